"""Two users of one group share a results folder: what the one has made, the other claims, reads, adds to, replaces.

The folder is the group's (setgid) and their umask is 002, as groups have it. They are processes of their own.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchbias.cli.folders.cleaning import clean_results
from benchbias.store.store import Store
from benchbias.util import canonical
from support.faulty import in_child

GROUP, ALICE, BOB = 4444, 4001, 4002
KEY = canonical.digest({"x": 1})


@pytest.fixture
def shared() -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root can be two users")
    name = tempfile.mkdtemp()
    try:
        Path(name).chmod(0o755)
        folder = Path(name, "shared")
        folder.mkdir()
        os.chown(folder, -1, GROUP)
        folder.chmod(0o2775)
        yield folder / "results"
    finally:
        shutil.rmtree(name)


def told_by(user: int, act: Callable[[], object], umask: int = 0o002) -> str:
    """What an act of this user gives, or how it fails."""

    def work(tell: Callable[[str], None]) -> int:
        os.setgroups([])
        os.setgid(GROUP)
        os.setuid(user)
        os.umask(umask)
        try:
            tell(str(act()))
        except Exception as error:
            tell(f"{type(error).__name__}: {error}")
        return 0

    code, lines = in_child(work)
    assert code == 0
    (line,) = lines
    return line


def claim(root: Path) -> bool:
    with Store(root).create().claim(KEY) as mine:
        return mine


def add(root: Path, loss: float) -> bool:
    import torch

    store = Store(root)
    store.put(KEY, {"x": 1}, {"loss": loss}, {"weights": store.put_blob({"a": torch.ones(2)})})
    store.put_measured(KEY, {"seconds": 1.0})
    store.put_attempt(KEY, {"reason": "no"})
    store.replace(root / "records" / "suite" / "one.json", f'{{"loss":{loss}}}')
    store.replace(root / "leaderboards" / "suite.md", f"{loss}")
    store.replace(root.parent / "published" / "records" / "suite" / "one.json", f"{loss}")
    return store.has(KEY)


def test_two_users_of_a_group_share_a_folder(shared: Path):
    assert [told_by(user, lambda: claim(shared)) for user in (ALICE, BOB, ALICE)] == ["True"] * 3
    assert [told_by(user, lambda: add(shared, 0.5)) for user in (ALICE, BOB)] == ["True"] * 2
    assert told_by(BOB, lambda: add(shared, 0.75)) == "True"  # a conflict, beside the first
    assert list(Store(shared).conflicts()) == [KEY]
    assert (shared / "leaderboards" / "suite.md").read_text() == "0.75"
    assert len(Store(shared).attempts(KEY)) == 3
    told = told_by(ALICE, lambda: clean_results(shared, everything=False, quarantine=True, failures=True))
    assert "removed" in told


def test_a_damaged_product_of_another_user_is_put_aside_and_made_again(shared: Path):
    told_by(ALICE, lambda: claim(shared))
    told_by(ALICE, lambda: add(shared, 0.5))
    Store(shared).object_path(KEY).write_bytes(b"{")
    assert told_by(BOB, lambda: add(shared, 0.5)) == "True"
    assert [path.name[:8] for path in (shared / "quarantine").iterdir()] == ["damaged-"]


def test_everything_has_the_modes_of_the_umask(shared: Path):
    for act in (lambda: claim(shared), lambda: add(shared, 0.5), lambda: add(shared, 0.75)):
        told_by(ALICE, act)
    for path in shared.rglob("*"):
        found = path.stat()
        assert found.st_gid == GROUP, path
        assert stat.S_IMODE(found.st_mode) == (0o2775 if path.is_dir() else 0o664), path


def test_a_claim_that_may_only_be_read_is_a_claim_all_the_same(shared: Path):
    """Of someone whose umask is 022, in a folder that was opened later."""

    def taken(root: Path) -> tuple[bool, str]:
        with Store(root).claim(KEY) as mine:
            return mine, told_by_root(root)

    def told_by_root(root: Path) -> str:
        return str(Store(root).claimed(KEY))

    told_by(ALICE, lambda: claim(shared), umask=0o022)
    (shared / "claims").chmod(0o2775)
    (shared / "tmp").chmod(0o2775)
    assert told_by(BOB, lambda: taken(shared)) == "(True, 'True')"
    with Store(shared).claim(KEY):
        assert told_by(BOB, lambda: taken(shared)) == "(False, 'True')"
