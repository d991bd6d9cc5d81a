"""A folder that cannot hold results is refused when it is made, in one line that says what is missing."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchbias.errors import BenchbiasError, StorageError, UsageError
from benchbias.store.store import FOLDERS, Store
from benchbias.util.files import make_folders


def refusing(code: int) -> Callable[..., Any]:
    def call(*arguments: object, **named: object) -> None:
        raise OSError(code, os.strerror(code))

    return call


def refused(root: Path) -> BenchbiasError:
    with pytest.raises(BenchbiasError) as caught:
        Store(root).create()
    assert len(str(caught.value).splitlines()) == 1
    return caught.value


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK])
def test_a_file_system_without_hard_links_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int):
    monkeypatch.setattr(os, "link", refusing(code))
    error = refused(tmp_path / "results")
    assert isinstance(error, StorageError)
    assert all(word in str(error) for word in ("lacks hard links", os.strerror(code), "-o", "results"))
    assert not list((tmp_path / "results" / "tmp").iterdir())


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_without_locks_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int):
    monkeypatch.setattr(fcntl, "flock", refusing(code))
    error = refused(tmp_path / "results")
    assert all(word in str(error) for word in ("lacks file locks", os.strerror(code), "-o"))
    assert not list((tmp_path / "results" / "tmp").iterdir())


def test_a_fault_of_the_disk_is_not_taken_for_a_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "link", refusing(errno.ENOSPC))
    error = refused(tmp_path / "results")
    assert "lacks" not in str(error)
    assert os.strerror(errno.ENOSPC) in str(error)


def test_trying_leaves_nothing_and_a_whole_folder_is_made_again_as_often_as_asked(tmp_path: Path):
    for _ in range(2):
        Store(tmp_path / "results").create()
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == sorted(FOLDERS)
    assert not [path for path in (tmp_path / "results").rglob("*") if path.is_file()]


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_whole_folder_that_may_not_be_written_can_be_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
):
    """A read-only copy, or another user's: what is there is used, and whatever is to be written says so itself."""
    real = os.open

    def reading(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if flags & os.O_CREAT and str(path).startswith(str(tmp_path)):
            raise OSError(code, os.strerror(code))
        return real(path, flags, *rest, **named)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", reading)
        assert os.strerror(code) in str(refused(tmp_path / "results"))
    Store(tmp_path / "results").create()
    monkeypatch.setattr(os, "open", reading)
    store = Store(tmp_path / "results").create()
    with pytest.raises(StorageError, match=os.strerror(code)):
        store.put_measured("a" * 64, {})


def test_a_name_that_is_no_utf8_is_refused_before_anything_is_made(tmp_path: Path):
    error = refused(Path(os.fsdecode(os.fsencode(tmp_path) + b"/st\xff")))
    assert isinstance(error, UsageError)
    assert "UTF-8" in str(error)
    assert not os.listdir(tmp_path)  # noqa: PTH208


def test_a_relative_name_below_a_folder_that_is_no_utf8_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = os.fsencode(tmp_path) + b"/st\xff"
    os.mkdir(folder)  # noqa: PTH102
    monkeypatch.chdir(os.fsdecode(folder))
    assert "UTF-8" in str(refused(Path("results")))


def test_a_path_that_leaves_no_room_for_files_is_refused(tmp_path: Path):
    assert "bytes" in str(refused(tmp_path.joinpath(*["x" * 200] * 20)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["with space", "Ergebnisse-für-é", "结果", "a\nb", "-o", "%s{}"])
def test_unusual_names_are_used(tmp_path: Path, name: str):
    import torch

    store = Store(tmp_path / name).create()
    sha256 = store.put_blob({"a": torch.ones(2)})
    assert store.load_blob(sha256)["a"].tolist() == [1, 1]


# folders last


class Watched:
    """Notes which folders are made and synced; nothing else of os.mkdir and os.fsync changes."""

    def __init__(self, patched: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        self.synced: list[str] = []
        mkdir, fsync = os.mkdir, os.fsync

        def make(path: Any, *rest: Any, **named: Any) -> None:
            mkdir(path, *rest, **named)
            self.made.append(os.path.realpath(path))

        def sync(descriptor: int) -> None:
            fsync(descriptor)
            self.synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115

        patched.setattr(os, "mkdir", make)
        patched.setattr(os, "fsync", sync)


def test_every_folder_that_is_made_is_made_durable_in_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import torch

    from benchbias.util import canonical

    watched = Watched(monkeypatch)
    store = Store(tmp_path / "new" / "deep" / "results").create()
    key = canonical.digest({"x": 1})
    store.put(key, {"x": 1}, {}, {"weights": store.put_blob({"a": torch.ones(2)})})
    store.put_measured(key, {})
    store.put_attempt(key, {})
    store.replace(store.root / "records" / "suite" / "test" / "x.json", "{}")
    store.replace(tmp_path / "published" / "records" / "suite" / "x.json", "{}")
    made = {Path(path) for path in watched.made}
    wanted = {"new", "deep", "results", *FOLDERS, key[:2], key, "suite", "test", "published"}
    assert wanted <= {path.name for path in made}
    for path in made:
        after = watched.synced  # a parent may be synced for another child first, so each is followed by one
        assert str(path.parent) in after, path


def test_a_folder_that_a_dead_process_made_is_durable_before_anything_in_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its maker may have been ended before it had synced the parent."""
    store = Store(tmp_path / "results").create()
    (store.root / "measured" / "aa").mkdir()
    watched = Watched(monkeypatch)
    store.put_measured("a" * 64, {})
    assert str((store.root / "measured").resolve()) in watched.synced


def test_a_parent_that_cannot_be_listed_is_no_obstacle():
    """As a home folder of mode 0711 may be: one may go through it and see nothing."""
    with tempfile.TemporaryDirectory() as name:
        hidden = Path(name, "hidden")
        hidden.mkdir()
        hidden.chmod(0o333)
        Path(name).chmod(0o755)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            with pytest.raises(PermissionError):
                os.listdir(hidden)  # noqa: PTH208
            make_folders(hidden / "results" / "tmp")
            assert (hidden / "results" / "tmp").is_dir()
        finally:
            if root:
                os.seteuid(0)
            hidden.chmod(0o755)
