"""clean: what dead runs left goes; what lives, what is another's and what is no file of ours stays."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from benchbias.cli.folders.cleaning import clean_results
from benchbias.errors import StorageError
from benchbias.store import in_use as using
from benchbias.store.in_use import alone, in_use
from benchbias.store.store import Store
from support import afflicted


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A results folder with a plan, what a dead run left, and a noted failure."""
    made = Store(tmp_path / "results").create()
    (made.root / "plans" / "0123456789abcdef.json").write_text("{}")
    (made.root / "tmp" / "dead.tmp").write_text("half")
    made.put_attempt("b" * 64, {"reason": "no"})
    return made


def clean(store: Store, **more: bool) -> str:
    return clean_results(store.root, **({"everything": False, "quarantine": False, "failures": False} | more))


def left(store: Store) -> set[str]:
    names = {str(path.relative_to(store.root)) for path in store.root.rglob("*") if not path.is_dir()}
    return {name for name in names if not name.startswith(("attempts", "claims"))}


def test_beside_a_live_run_its_plan_stays_and_nothing_more_is_removed(store: Store):
    with in_use(store):
        assert "a run is alive" in clean(store)
        assert left(store) == {"plans/0123456789abcdef.json"}
        for option in ("everything", "quarantine", "failures"):
            with pytest.raises(StorageError, match="a run uses"):
                clean(store, **{option: True})
        assert left(store) == {"plans/0123456789abcdef.json"}
        assert store.attempts("b" * 64)
    assert "alive" not in clean(store)
    assert left(store) == set()
    clean(store, everything=True)
    assert not [path for path in store.root.rglob("*") if path.is_file()]


def test_runs_share_a_folder_and_wait_for_a_clean(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(using, "WAIT_SECONDS", 0.1)
    with in_use(store), in_use(store), alone(store.root) as free:
        assert not free
    with alone(store.root) as free:
        assert free
        with pytest.raises(StorageError, match="is being cleaned"), in_use(store):
            pass
    with in_use(store):
        pass


def test_a_run_that_begins_after_everything_was_removed_is_seen(store: Store):
    """Its lock is of the file that is there now, not of one that was removed."""
    with in_use(store):
        pass
    clean(store, everything=True)
    with in_use(store), alone(store.root) as free:
        assert not free


def test_what_is_no_file_of_ours_stays(store: Store, tmp_path: Path):
    folder = store.root / "tmp"
    (folder / "stray.tmp").mkdir()
    os.mkfifo(folder / "pipe.tmp")
    (folder / "link.tmp").symlink_to(tmp_path)
    for name in (".DS_Store", "notes.txt"):
        (folder / name).write_text("stray")
    (store.root / "plans" / "precious.json").write_text("stray")
    with (folder / "live.tmp").open("w") as live:
        fcntl.flock(live, fcntl.LOCK_EX)
        clean(store)
        names = {path.name for path in folder.iterdir()}
        assert names == {".DS_Store", "link.tmp", "live.tmp", "notes.txt", "pipe.tmp", "stray.tmp"}
        assert [path.name for path in (store.root / "plans").iterdir()] == ["precious.json"]


def foreign_file(here: Path) -> None:
    """One temporary file is another user's, in a folder in which only owners remove."""
    if os.geteuid() != 0:
        raise afflicted.Unmade("only root gives files away")
    folder = here / "results" / "tmp"
    (folder / "theirs.tmp").write_text("theirs")
    (folder / "theirs.tmp").chmod(0o600)
    os.chown(folder / "theirs.tmp", afflicted.SOMEBODY, afflicted.SOMEBODY)
    os.chown(folder, afflicted.SOMEBODY + 1, afflicted.SOMEBODY)
    folder.chmod(0o1777)
    afflicted._without_overrides()


@pytest.mark.parametrize("fault", [foreign_file, afflicted.read_only], ids=lambda fault: fault.__name__)
def test_what_cannot_be_removed_is_one_line_and_the_rest_goes(
    fault: Callable[[Path], None], store: Store, tmp_path: Path, plugin_cache: Path
):
    told = afflicted.run(["clean"], tmp_path, fault)
    if told is None:
        pytest.skip("this user cannot make the fault")
    assert told.code == 4, told.err
    assert len(told.err.splitlines()) == 1
    assert "cannot remove tmp/" in told.err
    gone = not (store.root / "plans" / "0123456789abcdef.json").exists()
    assert gone == (fault is foreign_file)
