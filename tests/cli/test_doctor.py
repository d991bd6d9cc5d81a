"""doctor: sees what was broken on purpose, says what to do, and changes nothing."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from benchbias.runner.workspace import Workspace

HEALTHY = {"products", "blobs", "not reproducible", "quarantine", "failures", "left behind", "stale"}


@pytest.fixture
def results(smoke: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(smoke, tmp_path / "results"))


@pytest.fixture(scope="module")
def examined(cli):
    def one(*arguments: str) -> tuple[int, dict[str, dict[str, object]]]:
        done = cli("doctor", "--json", *arguments)
        assert done.stderr == ""
        findings = json.loads(done.stdout)
        assert done.returncode == int(any(finding["problem"] for finding in findings))
        return done.returncode, {finding["about"]: finding for finding in findings}

    return one


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_a_healthy_folder_has_no_problem_and_is_left_as_it_is(results: Path, examined):
    before = everything(results)
    code, found = examined("-o", str(results))
    assert code == 0
    assert found.keys() >= HEALTHY
    number = len(list((results / "objects").glob("*/*.json")))
    assert str(found["products"]["found"]).startswith(f"{number}, 0 damaged")
    assert str(found["stale"]["found"]).startswith("0 products and 0 records")
    assert everything(results) == before


def test_what_was_broken_is_found_and_left_for_the_next_run(results: Path, examined, cli):
    objects, blobs = (sorted((results / name).glob("*/*")) for name in ("objects", "blobs"))
    objects[0].write_bytes(objects[0].read_bytes()[:-9])
    blobs[0].write_bytes(b"\0" + blobs[0].read_bytes()[1:])
    (results / "quarantine" / f"conflict-{objects[1].stem}-0123456789ab.json").write_text("{}")
    (results / "tmp" / "left.tmp").write_text("")
    before = everything(results)
    code, found = examined("-o", str(results))
    assert code == 1
    for about, words in (
        ("products", ", 1 damaged"),
        ("blobs", ", 1 damaged"),
        ("not reproducible", f": quarantine/conflict-{objects[1].stem}-"),
    ):
        assert words in str(found[about]["found"])
        assert found[about]["problem"]
    assert str(found["left behind"]["found"]).startswith("1 temporary")
    assert not found["left behind"]["problem"]
    assert everything(results) == before, "nothing is moved or removed"
    done = cli("doctor", "-o", str(results))
    assert sum(line.startswith("! ") for line in done.stdout.splitlines()) == 3
    assert done.stdout.rstrip().endswith("3 problems found")


def test_products_that_no_suite_uses_today_are_stale(results: Path, examined, tmp_path: Path):
    (tmp_path / "own.toml").write_text(
        'schema = 1\n[tasks.colored-digits-tiny]\ndataset = { use = "colored_digits", draws = 2 }\n'
        'model = { use = "lenet_small", width = 0.25 }\nrecipe = { epochs = 1 }\n'
    )
    number = len(list((results / "objects").glob("*/*.json")))
    _, found = examined("-o", str(results), "--config", str(tmp_path / "own.toml"))
    workspace = Workspace.open(tmp_path / "own.toml", quiet=True)
    used = {key for name in workspace.catalogue.suites for key in workspace.plan(name).stages}
    there = {path.stem for path in (results / "objects").glob("*/*.json")}
    assert 0 < len(there - used) > number / 2, "another suite may use some of the same data"
    assert str(found["stale"]["found"]).startswith(f"{len(there - used)} products and ")


def test_a_broken_plugin_is_a_problem_with_its_reason(tmp_path: Path, examined):
    (tmp_path / "broken.py").write_text("raise RuntimeError('out of order')\n")
    code, found = examined("--plugin", str(tmp_path / "broken.py"), "-o", str(tmp_path / "none"))
    assert code == 1
    assert "out of order" in str(found["plugin"]["found"])
    assert "is not there yet" in str(found["results"]["found"])


def test_a_torch_that_cannot_be_imported_is_a_problem_in_one_line(tmp_path: Path, cli):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('libc is too old')\n")
    (tmp_path / "torch" / "version.py").write_text("__version__ = '2.0.0'\n")
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    done = cli("doctor", "-o", str(tmp_path / "none"), env={"PYTHONPATH": path})
    assert done.returncode == 1
    assert "torch" in done.stdout
    assert "ImportError: libc is too old" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_folder_that_is_not_ours_is_a_problem(tmp_path: Path, examined):
    code, found = examined("-o", str(tmp_path))
    assert code == 1
    assert "is no results folder (it has no objects, " in str(found["results"]["found"])
