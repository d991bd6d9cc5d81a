"""The files of an audit: outputs that would spoil what is read, or each other, are refused; the others are written."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import IO

from benchbias.cli.auditing.options import Asked
from benchbias.errors import UsageError
from benchbias.util.files import read_regular, storage_errors, write_whole

STANDARD_OUTPUT = Path("-")
OPEN = MappingProxyType({"/dev/stdout": 1, "/dev/stderr": 2})
OPEN_FOLDERS = ("/dev/fd", "/proc/self/fd")
"""The names of what is open already: a file behind one is written on from where it stands, never replaced."""

MOST_BYTES = 100_000_000  # of an older file that is looked at


def check_files(asked: Asked) -> None:
    """Raises UsageError for an output that is an input or another output, and for two on standard output."""
    outputs = _outputs(asked)
    printed = [option for option, path in outputs.items() if path == STANDARD_OUTPUT]
    if len(printed) > 1:
        raise UsageError(f"{' and '.join(printed)}: one of them alone can go to standard output (-)")
    inputs = {os.path.realpath(path): option for option, path in _inputs(asked)}
    taken: dict[str, str] = {}
    for option, path in outputs.items():
        final = os.path.realpath(path)
        if path == STANDARD_OUTPUT or written_on(path):
            continue
        if final in inputs:
            raise UsageError(f"{option} {path} is read by {inputs[final]}: writing would spoil it; name another file")
        if final in taken:
            raise UsageError(f"{taken[final]} and {option} are the same file, {path}: name two files")
        taken[final] = option


def _outputs(asked: Asked) -> dict[str, Path]:
    found = {
        "--json": asked.json_file,
        "--markdown": asked.markdown,
        "--html": asked.html,
        "--flips": asked.flips,
        "--to-label": asked.to_label,
    }
    return {option: path for option, path in found.items() if path is not None}


def _inputs(asked: Asked) -> Iterator[tuple[str, str | Path]]:
    """The options that name files which are there, each with such a file."""
    named: dict[str, list[str | Path | None]] = {
        "the audit": [asked.file],
        "--table": [asked.table],
        "--join": [*(asked.join or ())],
        "--classes": [asked.classes],
        "--labels": [asked.labels],
        "--config": [asked.config],
        "--plugin": [*(asked.plugin or ())],
    }
    if asked.suite is None and asked.file is None:
        models = {"--model": [asked.model or ""], "--dense": asked.dense or [], "--compressed": asked.compressed or []}
        named |= {option: [part for text in texts for part in _parts(text)] for option, texts in models.items()}
    for option, paths in named.items():
        yield from ((option, path) for path in paths if path and _is_file(path))


def _parts(text: str) -> Iterator[str]:
    """The files that FILE, FILE=MODEL and FILE.py:FUNCTION may mean."""
    for part in (text, *text.rpartition("=")[::2], *text.partition("=")[::2]):
        yield from (part, part.rpartition(":")[0])


def _is_file(path: str | Path) -> bool:
    """Whether a file can be found there; no name of a model or a column is an error."""
    with contextlib.suppress(OSError, ValueError):
        return Path(path).is_file()
    return False


def _descriptor(path: Path) -> int | None:
    """The number of an open file that a path is another name of; None elsewhere."""
    folder, _, number = str(path.absolute()).rpartition("/")
    if folder in OPEN_FOLDERS and number.isdecimal():
        return int(number)
    return OPEN.get(f"{folder}/{number}")


def written_on(path: Path) -> bool:
    """Whether a path is a pipe, a device, a folder, or what is open already: nothing can replace it."""
    return _descriptor(path) is not None or (path.exists() and not path.is_file())


def _opened(path: Path) -> IO[bytes]:
    number = _descriptor(path)
    return path.open("ab") if number is None else os.fdopen(os.dup(number), "wb")


def check_plan(path: Path) -> None:
    """Raises UsageError where a file holds something else than a plan: a plan never replaces an audit."""
    if path == STANDARD_OUTPUT or written_on(path) or not _is_file(path):
        return
    try:
        with storage_errors(f"cannot read {path}"):
            found = json.loads(read_regular(Path(os.path.realpath(path)), MOST_BYTES))
    except (ValueError, RecursionError, UsageError):
        found = None
    if not (isinstance(found, dict) and {"discordance", "groups"} <= found.keys()) or "models" in found:
        raise UsageError(f"--json {path} is there, and is no plan: name another file, or remove it")


def write(path: Path, content: str) -> None:
    """Write a text file whole or not at all, making its folder; a pipe or a device as it is. Raises StorageError."""
    data = content.encode()
    if path == STANDARD_OUTPUT:
        print(content, end="")
        return
    with storage_errors(f"cannot write {path}"):
        if written_on(path):
            sys.stdout.flush()
            with contextlib.suppress(BrokenPipeError), _opened(path) as stream:  # a reader may go away
                stream.write(data)
            return
        final = Path(os.path.realpath(path))
        if final.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        final.parent.mkdir(parents=True, exist_ok=True)
        partial = final.with_name(f".{final.name}.{os.getpid()}")
        try:
            write_whole(partial, data)
            partial.replace(final)
        finally:
            partial.unlink(missing_ok=True)
