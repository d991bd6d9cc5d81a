"""What cannot be read is not damaged, and what is no plain file is neither waited for nor followed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from benchbias.engine.log import Log
from benchbias.errors import BenchbiasError, DamagedError, NewerError, StorageError
from benchbias.store.store import Store
from benchbias.util import canonical

KEY = canonical.digest({"x": 1})
TENSORS = {"weight": torch.arange(6.0)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "results").create()
    store.put(KEY, {"x": 1}, {"loss": 0.5}, {"weights": store.put_blob(TENSORS)})
    store.put_measured(KEY, {"seconds": 1.0})
    store.put_attempt(KEY, {"reason": "no"})
    store.log_path(KEY).write_text("printed\n")
    with store.claim(KEY):
        pass
    return store


def files(store: Store) -> dict[str, bytes]:
    return {str(path.relative_to(store.root)): path.read_bytes() for path in store.root.rglob("*") if path.is_file()}


@pytest.fixture
def impatient() -> Iterator[None]:
    """A call that waits for a pipe is an error, and no test that never ends."""

    def late(number: int, frame: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 20)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


# a newer schema


def newer(path: Path, schema: Any = 2) -> bytes:
    path.write_text(path.read_text().replace('"schema":1', f'"schema":{schema}'))
    return path.read_bytes()


def test_a_product_of_a_newer_schema_is_told_and_stays(store: Store):
    content = newer(store.object_path(KEY))
    acts: list[Callable[[], Any]] = [
        lambda: store.has(KEY),
        lambda: store.get(KEY),
        lambda: store.put(KEY, {"x": 1}, {"loss": 0.5}, {}),
    ]
    for act in acts:
        with pytest.raises(NewerError, match=r"newer benchbias.*schema 2.*upgrade") as caught:
            act()
        assert (caught.value.exit_code, len(str(caught.value).splitlines())) == (4, 1)
    assert store.object_path(KEY).read_bytes() == content
    assert not list((store.root / "quarantine").iterdir())


@pytest.mark.parametrize("schema", ["0", '"2"', "true", "null", "1.5"])
def test_a_schema_that_there_never_was_is_damage(store: Store, schema: str):
    newer(store.object_path(KEY), schema)
    assert store.get(KEY) is None
    assert len(list((store.root / "quarantine").iterdir())) == 1


def test_a_derived_file_of_a_newer_schema_is_not_replaced(store: Store):
    path = store.root / "records" / "suite" / "one.json"
    store.replace(path, '{"schema":1,"body":1}')
    store.replace(path, '{"schema":1,"body":2}')
    content = newer(path)
    with pytest.raises(NewerError, match="newer benchbias"):
        store.replace(path, '{"schema":1,"body":3}')
    assert path.read_bytes() == content
    path.write_text('{"schema":2')  # half of a document says nothing
    store.replace(path, '{"schema":1,"body":3}')
    assert json.loads(path.read_text())["body"] == 3


# errors of reading


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("unable to mmap"), ValueError("no UTF-8"), OSError(24)])
def test_a_blob_of_the_right_sum_stays_whatever_cannot_read_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    def failing(*arguments: object, **named: object) -> None:
        raise error

    sha256 = store.put_blob(TENSORS)
    before = files(store)
    with monkeypatch.context() as patched:
        patched.setattr(safetensors.torch, "load_file", failing)
        for _ in range(3):
            with pytest.raises(StorageError, match="nothing was moved") as caught:
                store.load_blob(sha256)
            assert not isinstance(caught.value, DamagedError)
            assert len(str(caught.value).splitlines()) == 1
    assert files(store) == before
    assert torch.equal(store.load_blob(sha256)["weight"], TENSORS["weight"])


def test_a_lack_of_memory_says_nothing_of_an_object(store: Store, monkeypatch: pytest.MonkeyPatch):
    def failing(text: object) -> None:
        raise MemoryError

    before = files(store)
    with monkeypatch.context() as patched:
        patched.setattr(canonical, "loads", failing)
        with pytest.raises(StorageError, match="no memory"):
            store.has(KEY)
    assert files(store) == before
    assert store.has(KEY)


# no plain files


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def a_link_to_a_copy(path: Path) -> None:
    path.symlink_to(path.with_suffix(".aside"))


def a_folder(path: Path) -> None:
    path.mkdir()
    (path / "mine").write_text("mine")


def a_socket(path: Path) -> None:
    os.mknod(path, 0o140644)


KINDS = (a_pipe, a_link_to_a_device, a_link_to_itself, a_link_to_a_copy, a_folder, a_socket)


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_what_is_no_plain_file_is_neither_waited_for_nor_followed(
    store: Store, make: Callable[[Path], None], impatient: None
):
    (blob,) = store.root.glob("blobs/*/*")
    (attempt,) = store.root.glob("attempts/*/*.json")
    record = store.root / "records" / "one.json"
    record.write_text("{}")
    paths = [store.object_path(KEY), blob, store.measured_path(KEY), attempt, store.log_path(KEY), record]
    before = files(store)
    for path in paths:
        path.rename(path.with_suffix(".aside"))
        make(path)
    assert (store.measured(KEY), store.attempts(KEY), store.log(KEY)) == ({}, [], [])
    assert not store.blob_is_whole(blob.stem)
    assert store.keys() == {KEY}
    assert store.get(KEY) is None
    with pytest.raises(DamagedError):
        store.load_blob(blob.stem)
    store.put(KEY, {"x": 1}, {"loss": 0.5}, {"weights": store.put_blob(TENSORS)})
    assert store.has(KEY)
    log = Log(store.log_path(KEY))
    log.take(b"more\n")
    log.close()
    if make is a_folder:
        with pytest.raises(StorageError):
            store.replace(record, "[]")
    else:
        store.replace(record, "[]")
        assert record.read_text() == "[]"
    after = files(store)
    for path in paths:
        name = str(path.with_suffix(".aside").relative_to(store.root))
        assert after[name] == before[str(path.relative_to(store.root))], "it was followed"


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_a_claim_that_is_no_plain_file_is_one_line(store: Store, make: Callable[[Path], None], impatient: None):
    path = store.root / "claims" / KEY
    path.unlink()
    make(path)
    assert not store.claimed(KEY)
    assert store.holder(KEY) == "another process"
    with pytest.raises(StorageError) as caught, store.claim(KEY):
        pass
    assert len(str(caught.value).splitlines()) == 1


def test_files_of_others_among_the_objects_are_passed_over(store: Store):
    (store.root / "objects" / "stray").write_text("x")
    (store.root / "objects" / ".DS_Store").write_text("x")
    (store.root / "objects" / KEY[:2] / "._notes.json").write_text("x")
    (store.root / "objects" / KEY[:2] / "folder.json").mkdir()
    assert store.keys() == {KEY}


@pytest.mark.parametrize("text", ["[1]", "7", "{", "\xff", '{"seconds":1,"seconds":2}'])
def test_notes_that_are_none_are_as_if_they_were_not_there(store: Store, text: str):
    (attempt,) = store.root.glob("attempts/*/*.json")
    for path in (attempt, store.measured_path(KEY)):
        path.write_text(text)
    assert (store.measured(KEY), store.attempts(KEY)) == ({}, [])


def test_every_error_of_these_is_one_of_ours(store: Store):
    """As the command line shows it: one line, and exit code 4."""
    assert issubclass(NewerError, BenchbiasError)
    store.object_path(KEY).parent.rename(store.root / "aside")
    store.object_path(KEY).parent.write_text("a file in place of a folder")
    with pytest.raises(StorageError) as caught:
        store.get(KEY)
    assert (caught.value.exit_code, len(str(caught.value).splitlines())) == (4, 1)
