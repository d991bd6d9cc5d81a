"""doctor: sees what was broken on purpose, says what to do, and changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from benchbias import cli as command_line
from benchbias.runner.workspace import Workspace
from benchbias.suite import catalogue
from benchbias.suite.catalogue import shipped_file
from support.mutated import toml

HEALTHY = {"products", "blobs", "not reproducible", "quarantine", "failures", "left behind", "stale"}


@pytest.fixture
def results(smoke: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(smoke, tmp_path / "results"))


Found = tuple[int, dict[str, dict[str, object]]]
"""The exit code, and the findings by what they are about."""


def findings(code: int, printed: str) -> Found:
    found = json.loads(printed)
    assert code == int(any(finding["problem"] for finding in found))
    return code, {finding["about"]: finding for finding in found}


@pytest.fixture(scope="module")
def examined(cli) -> Callable[..., Found]:
    """`benchbias doctor` as it is."""

    def one(*arguments: str) -> Found:
        done = cli("doctor", "--json", *arguments)
        assert done.stderr == ""
        return findings(done.returncode, done.stdout)

    return one


@pytest.fixture
def doctor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, smoke: Path
) -> Callable[..., tuple[int, str]]:
    """`benchbias doctor` in this process, with two suites and no new import of torch: its exit code and text.

    All suites together have 10,000 trials to plan.
    """
    shipped = tomllib.loads(shipped_file().read_text())
    shipped["suites"] = {name: shipped["suites"][name] for name in ("smoke", "critical-neurons")}
    (tmp_path / "two.toml").write_text(toml(shipped))
    monkeypatch.setattr(catalogue, "shipped_file", lambda: tmp_path / "two.toml")
    monkeypatch.chdir(tmp_path)  # the checkout's benchmarks.toml is read where it lies in the current folder
    monkeypatch.setattr("benchbias.cli.folders.doctor._devices", lambda: iter(()))

    def one(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["benchbias", "doctor", *arguments])
        before = signal.getsignal(signal.SIGTERM)
        with pytest.raises(SystemExit) as end:
            command_line.main()
        signal.signal(signal.SIGTERM, before)
        printed = capsys.readouterr()
        assert printed.err == ""
        return int(end.value.code or 0), printed.out

    return one


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def healthy(found: Found, results: Path) -> None:
    code, about = found
    assert code == 0
    assert about.keys() >= HEALTHY
    number = len(list((results / "objects").glob("*/*.json")))
    assert str(about["products"]["found"]).startswith(f"{number}, 0 damaged")
    assert str(about["stale"]["found"]).startswith("0 products and 0 records")


def test_a_healthy_folder_has_no_problem_and_is_left_as_it_is(results: Path, doctor):
    before = everything(results)
    healthy(findings(*doctor("--json", "-o", str(results))), results)
    assert everything(results) == before


@pytest.mark.slow
def test_so_it_is_with_every_shipped_suite(results: Path, examined):
    before = everything(results)
    healthy(examined("-o", str(results)), results)
    assert everything(results) == before


def test_what_was_broken_is_found_and_left_for_the_next_run(results: Path, doctor):
    objects, blobs = (sorted((results / name).glob("*/*")) for name in ("objects", "blobs"))
    objects[0].write_bytes(objects[0].read_bytes()[:-9])
    blobs[0].write_bytes(b"\0" + blobs[0].read_bytes()[1:])
    (results / "quarantine" / f"conflict-{objects[1].stem}-0123456789ab.json").write_text("{}")
    (results / "tmp" / "left.tmp").write_text("")
    before = everything(results)
    code, found = findings(*doctor("--json", "-o", str(results)))
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
    _, text = doctor("-o", str(results))
    assert sum(line.startswith("! ") for line in text.splitlines()) == 3
    assert text.rstrip().endswith("3 problems found")


def test_files_of_other_programs_are_no_faults(results: Path, doctor):
    clean = doctor("--json", "-o", str(results))[1]
    for folder in [results, *(path for path in results.rglob("*") if path.is_dir())]:
        for name in (".DS_Store", "Thumbs.db", ".nfs00001", "notes.txt~", "._x.json"):
            (folder / name).write_text("stray")
        (folder / "stray").mkdir()
    found = findings(*doctor("--json", "-o", str(results)))[1]
    before = findings(0, clean)[1]
    for about in HEALTHY:
        assert found[about] == before[about]


def test_only_suites_with_records_are_planned(results: Path, doctor, monkeypatch: pytest.MonkeyPatch):
    planned = []
    plan = Workspace.plan
    monkeypatch.setattr(Workspace, "plan", lambda self, name, *more, **others: planned.append(name) or plan(self, name))
    doctor("--json", "-o", str(results))
    assert planned == ["smoke"]


def test_products_that_no_suite_uses_today_are_stale(results: Path, doctor, tmp_path: Path):
    (tmp_path / "own.toml").write_text(
        'schema = 1\n[tasks.colored-digits-tiny]\ndataset = { use = "colored_digits", draws = 2 }\n'
        'model = { use = "lenet_small", width = 0.25 }\nrecipe = { epochs = 1 }\n'
    )
    number = len(list((results / "objects").glob("*/*.json")))
    _, found = findings(*doctor("--json", "-o", str(results), "--config", str(tmp_path / "own.toml")))
    workspace = Workspace.open(tmp_path / "own.toml", quiet=True)
    used = set(workspace.plan("smoke").stages)  # the one suite that has records here
    there = {path.stem for path in (results / "objects").glob("*/*.json")}
    assert 0 < len(there - used) > number / 2
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
    assert cli("doctor", "-o", str(tmp_path / "none"), env={"PYTHONPATH": path}).returncode == 0, "it imports nothing"
    done = cli("doctor", "--torch", "-o", str(tmp_path / "none"), env={"PYTHONPATH": path})
    assert done.returncode == 1
    assert "torch" in done.stdout
    assert "ImportError: libc is too old" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_folder_that_is_not_ours_is_a_problem(tmp_path: Path, examined):
    code, found = examined("-o", str(tmp_path))
    assert code == 1
    assert "is no results folder (it has no objects, " in str(found["results"]["found"])


def test_a_latency_file_that_no_board_can_read_is_named(doctor: Callable[..., tuple[int, str]], results: Path):
    folder = results / "latency"
    folder.mkdir()
    (folder / "smoke.json").write_text("{")
    code, text = doctor("-o", str(results))
    assert code == 1
    (line,) = [line for line in text.splitlines() if line.startswith("! latency")]
    assert "smoke.json" in line
    assert "boards are without it" in line
