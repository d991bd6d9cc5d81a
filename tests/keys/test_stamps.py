"""What was read of files is read again as soon as they changed, and not before: counted, whatever the changes are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.keys.stamps import SETTLED_SECONDS, Kept
from benchbias.util.stamps import stamp_of


class Reader:
    """Reads all files of a folder, and counts how often."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.reads, self.now = folder, 0, 0.0
        self.kept = Kept(lambda: self.now)

    def read(self) -> dict[str, bytes]:
        self.reads += 1
        return {path.name: path.read_bytes() for path in sorted(self.folder.iterdir())}

    def value(self) -> dict[str, bytes]:
        return self.kept.value("files", self.read, lambda: [self.folder, *self.folder.iterdir()])

    def settle(self) -> None:
        self.value()
        self.now += SETTLED_SECONDS
        self.value()


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
    return Reader(tmp_path)


def test_what_has_lain_there_for_a_while_is_read_no_more(reader: Reader):
    assert reader.value() == {"a": b"a", "b": b"b"}
    assert (reader.value(), reader.reads) == ({"a": b"a", "b": b"b"}, 2)  # it may have been written in the same tick
    reader.now += SETTLED_SECONDS
    assert (reader.value(), reader.reads) == ({"a": b"a", "b": b"b"}, 3)
    for _ in range(5):
        assert reader.value() == {"a": b"a", "b": b"b"}
    assert reader.reads == 3


CHANGES = {
    "written": lambda folder: (folder / "a").write_bytes(b"A"),
    "written with its old times": lambda folder: (
        times := (folder / "a").stat(),
        (folder / "a").write_bytes(b"A"),
        os.utime(folder / "a", ns=(times.st_atime_ns, times.st_mtime_ns)),
    ),
    "replaced": lambda folder: ((folder / "c").write_bytes(b"A"), (folder / "c").rename(folder / "a")),
    "removed": lambda folder: (folder / "a").unlink(),
    "added": lambda folder: (folder / "c").write_bytes(b""),
    "renamed": lambda folder: (folder / "a").rename(folder / "c"),
    "no longer readable as a file": lambda folder: ((folder / "a").unlink(), (folder / "a").symlink_to(folder / "b")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_is_seen(reader: Reader, change: str):
    reader.settle()
    CHANGES[change](reader.folder)
    assert reader.value() == reader.read()
    reader.settle()
    assert reader.value() == reader.read()


@given(st.lists(st.sampled_from([*CHANGES, "look", "look", "wait"]), max_size=12))
@settings(max_examples=60, deadline=None)
def test_no_order_of_changes_and_looks_gives_an_old_value(tmp_path_factory: pytest.TempPathFactory, steps: list[str]):
    folder = tmp_path_factory.mktemp("files")
    for name in ("a", "b"):
        (folder / name).write_bytes(name.encode())
    reader = Reader(folder)
    for step in steps:
        if step == "wait":
            reader.now += SETTLED_SECONDS
        elif step != "look" and (folder / "a").exists():
            CHANGES[step](folder)
        assert reader.value() == reader.read()


def test_a_file_that_changes_while_it_is_read_is_read_again(reader: Reader):
    reader.settle()

    def torn() -> bytes:
        found = (reader.folder / "a").read_bytes()
        (reader.folder / "a").write_bytes(b"later")
        return found

    reader.now += SETTLED_SECONDS
    assert reader.kept.value("torn", torn, lambda: [reader.folder / "a"]) == b"a"
    reader.now += SETTLED_SECONDS
    assert reader.kept.value("torn", lambda: b"later", lambda: [reader.folder / "a"]) == b"later"


def test_what_raises_is_not_kept(reader: Reader):
    def fails() -> bytes:
        raise ValueError("gone")

    for _ in range(2):
        with pytest.raises(ValueError, match="gone"):
            reader.kept.value("x", fails, lambda: [reader.folder])
    assert reader.kept.value("x", lambda: b"there", lambda: [reader.folder]) == b"there"


def test_what_is_not_there_and_what_would_wait_has_a_stamp(tmp_path: Path):
    assert stamp_of(tmp_path / "nothing") is None
    os.mkfifo(tmp_path / "pipe")
    assert stamp_of(tmp_path / "pipe") == stamp_of(tmp_path / "pipe") is not None
