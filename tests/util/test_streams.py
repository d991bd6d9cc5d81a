"""Streams that never raise: what cannot be encoded is replaced, what cannot be written is kept as a reason."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import threading

import pytest

from benchbias.util import streams

BOARD = "43.0 \N{PLUS-MINUS SIGN} 5.1 (33.6\N{EN DASH}52.4)\N{DAGGER} \N{GREEK SMALL LETTER ALPHA} \ud800"


@pytest.fixture(autouse=True)
def _streams_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, getattr(sys, name))


def wrapped(descriptor: int) -> io.TextIOWrapper:
    raw = streams._Steady(descriptor)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding="ascii", errors=streams.__name__, line_buffering=True)


def test_a_terminal_gets_the_nearest_characters_that_it_has():
    streams.steady_streams()
    reader, writer = os.pipe()
    with wrapped(writer) as stream:
        print(BOARD, file=stream)
    os.close(writer)
    assert os.read(reader, 1000) == b"43.0 +- 5.1 (33.6-52.4)* ? ?\n"
    os.close(reader)


def test_the_first_fault_is_kept_and_the_rest_is_dropped():
    streams.steady_streams()
    descriptor = os.open("/dev/full", os.O_WRONLY)
    stream = wrapped(descriptor)
    for _ in range(3):
        print("x" * 100_000, file=stream)
    stream.flush()
    assert stream.buffer.raw.failure.errno == errno.ENOSPC  # type: ignore[attr-defined]
    os.close(descriptor)


def test_a_stream_that_does_not_block_gets_everything():
    streams.steady_streams()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    content = "".join(f"{number}\n" for number in range(100_000))
    parts: list[bytes] = []

    def read() -> None:
        while part := os.read(reader, 1 << 16):
            parts.append(part)

    thread = threading.Thread(target=read)
    thread.start()
    with wrapped(writer) as stream:
        stream.write(content)
    os.close(writer)
    thread.join()
    os.close(reader)
    assert b"".join(parts).decode() == content


CLOSED = """
import os, sys
from benchbias.util.streams import ended, steady_streams
for number in map(int, sys.argv[1]):
    os.close(number)
sys.stdout = sys.__stdout__ = None if "1" in sys.argv[1] else sys.stdout
steady_streams()
taken = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
print("printed")
code = ended(int(sys.argv[3]))
assert os.fstat(taken).st_size == 0, "what was printed went into another's file"
assert taken > 2
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("closed", "work", "code"),
    [("0", 0, 0), ("1", 0, 4), ("2", 0, 0), ("012", 0, 4), ("1", 3, 4), ("1", 5, 4), ("1", 1, 4), ("0", 3, 3)]
    + [("1", own, own) for own in (2, 70, 130)],
)
def test_a_stream_that_is_closed_is_not_taken_by_the_next_file(closed: str, work: int, code: int, tmp_path):
    command = [sys.executable, "-c", CLOSED, closed, str(tmp_path / "file"), str(work)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) == int(closed == "1")
