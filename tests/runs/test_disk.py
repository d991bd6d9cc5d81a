"""Disks that are full, read-only or rotten, for real: one line, and the run goes on when the disk is well again."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchbias.errors import DamagedError
from benchbias.store.store import Store
from support.killing import survivors
from support.running import tree

Cli = Callable[..., subprocess.CompletedProcess[str]]

NOBODY = 65534


@contextmanager
def mounted(folder: Path, *arguments: str) -> Iterator[Path]:
    """A mount at a folder, where this process may make one; else the test is skipped with the reason."""
    folder.mkdir()
    done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def one_line(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 4, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(smoke: Path, tmp_path: Path, cli: Cli):
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=2m", "tmpfs") as disk:
        out = disk / "results"
        command = ("run", "-s", "smoke", "-o", str(out), "-j", "2", "-q")
        full = cli(*command, cwd=tmp_path)
        one_line(full)
        assert "No space left" in full.stderr
        assert survivors(out) == {}
        had = {path.stem for path in out.glob("objects/*/*")}
        assert 0 < len(had) < len(list(smoke.glob("objects/*/*")))
        was, now = tree(smoke), tree(out)
        assert all(now[name] == was[name] for name in now if name.startswith(("objects", "blobs")))
        assert not list(out.glob("attempts/*/*.json")), "a full disk was noted as a failure of a stage"
        subprocess.run(["mount", "-o", "remount,size=32m", str(disk)], check=True)
        last = cli(*command, cwd=tmp_path)
        assert (last.returncode, last.stderr) == (0, "")
        assert tree(out) == was
        assert not list((out / "quarantine").iterdir())
        assert not list((out / "tmp").iterdir())


# a run of its own comes first: the very first one says that it reads the plugins
READ_ONLY = ("run", "-s", "smoke", "-m", "erm", "--seeds", "1", "-j", "2", "-q")


def test_a_read_only_disk_is_one_line(smoke: Path, tmp_path: Path, cli: Cli):
    (tmp_path / "source" / "results").mkdir(parents=True)
    with mounted(tmp_path / "disk", "--bind", str(tmp_path / "source")) as disk:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(disk)], check=True)
        for out in (disk / "results", disk / "new"):
            done = cli(*READ_ONLY, "-o", str(out), cwd=tmp_path)
            one_line(done)
            assert "Read-only" in done.stderr
            assert str(out) in done.stderr
    assert not list((tmp_path / "source" / "results").iterdir())


def test_a_folder_that_becomes_read_only_while_stages_run_is_one_line(smoke: Path, tmp_path: Path, cli: Cli):
    """The folders of a finished plan are there, and products cannot be added to them."""
    shutil.copytree(smoke, tmp_path / "source")
    shutil.rmtree(tmp_path / "source" / "objects")
    (tmp_path / "source" / "objects").mkdir()
    with mounted(tmp_path / "disk", "--bind", str(tmp_path / "source")) as disk:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(disk)], check=True)
        one_line(cli("run", "-s", "smoke", "-o", str(disk), "-j", "2", "-q", cwd=tmp_path))
        assert survivors(disk) == {}
    assert not list((tmp_path / "source" / "attempts").iterdir())


AS_NOBODY = f"""
import os, sys
from benchbias import cli
from benchbias.store import store
real = store.Store.create
def create(self):
    os.geteuid() or os.seteuid({NOBODY})  # not before: root's Python may be closed to others
    return real(self)
store.Store.create = create
sys.argv = ["benchbias", *sys.argv[1:]]
cli.main()
"""


def test_a_folder_of_someone_else_is_one_line(smoke: Path):
    """A run that has no rights in the folder, whoever it is."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "mine")
        folder.mkdir()
        for path in (folder, folder.parent):
            path.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, *READ_ONLY, "-o", str(folder / "results")],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        one_line(done)
        assert "Permission denied" in done.stderr
        assert not list(folder.iterdir())
        folder.parent.chmod(0o755)


def rot(path: Path, chance: random.Random) -> bytes:
    """Flip one bit of a file or cut its end off (more than a final newline); what it holds now is returned."""
    content = bytearray(path.read_bytes())
    if chance.random() < 0.25:
        del content[chance.randrange(len(content) - 1) :]
    else:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    return bytes(content)


@pytest.mark.parametrize("flips", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_rotten_objects_and_blobs_are_never_served(smoke: Path, tmp_path: Path, flips: int):
    """Flipped bits and truncations: each file alone is refused."""
    chance = random.Random(4)
    scratch = tmp_path / "scratch"
    shutil.copytree(smoke, scratch)
    one = Store(scratch)
    paths = sorted([*scratch.glob("objects/*/*"), *scratch.glob("blobs/*/*")])
    for _ in range(flips):
        path = chance.choice(paths)
        whole = path.read_bytes()
        wrong = rot(path, chance)
        assert wrong != whole
        if path.suffix == ".json":
            assert one.get(path.stem) is None
        else:
            with pytest.raises(DamagedError):
                one.load_blob(path.stem)
        assert not path.exists()
        path.write_bytes(whole)
    assert len(list((scratch / "quarantine").iterdir())) == flips


@pytest.mark.slow
def test_a_run_makes_rotten_objects_and_blobs_again(smoke: Path, tmp_path: Path, cli: Cli):
    """Half of all files, at once."""
    chance, was, out = random.Random(4), tree(smoke), tmp_path / "results"
    shutil.copytree(smoke, out)
    command = ("run", "-s", "smoke", "-o", str(out), "-j", "2", "-q")
    for rerun in ("missing", "all"):  # a blob that nothing reads again is only looked at by `all`
        paths = sorted([*out.glob("objects/*/*"), *out.glob("blobs/*/*")])
        wrong = {path: rot(path, chance) for path in chance.sample(paths, len(paths) // 2)}
        assert {path.suffix for path in wrong} == {".json", ".safetensors"}
        assert cli(*command, "--rerun", rerun).returncode == 0
        aside = {path.read_bytes() for path in (out / "quarantine").iterdir()}
        for path, content in wrong.items():
            unread = rerun == "missing" and path.suffix == ".safetensors" and path.read_bytes() == content
            assert content in aside or unread, path
        now = tree(out)
        assert {name for name in was if now.get(name) != was[name]} <= {
            str(path.relative_to(out)) for path in wrong if rerun == "missing" and path.suffix == ".safetensors"
        }
    assert tree(out) == was
    assert not list((out / "quarantine").glob("conflict-*"))
    assert not list(out.glob("attempts/*/*.json"))
