"""A distribution that is not ours, from its wheel beside ours from its wheel: listed, checked, run, on the board."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXTRAS = Path(__file__).parent / "third_party" / "benchbias-extras"

TOML = """
schema = 1

[suites.with-extras]
title = "Ours and theirs"
version = "1.0"
tasks = ["colored-digits-tiny"]
methods = ["erm", "lff", "snip"]
seeds = 1
metrics = ["worst_group_accuracy", "class_gap"]
rank_by = "worst_group_accuracy"

[methods.lff]
stages = [{ train = "lff", q = 0.5 }]
baseline = "erm"

[methods.snip]
stages = [{ prune = "snip", sparsity = 0.5 }, { train = "erm" }]
baseline = "erm"
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The command line of a folder into which both wheels were unpacked; other packages are this environment's."""
    folder = tmp_path_factory.mktemp("third-party")
    for source in (ROOT, EXTRAS):
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
        subprocess.run(command, cwd=source, check=True, capture_output=True)
    for wheel in folder.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(folder / "site")
    env = {**os.environ, "PYTHONPATH": str(folder / "site"), "BENCHBIAS_CACHE": str(folder / "cache")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "benchbias", *arguments]
        return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)

    return run


def test_it_imports_nothing_of_ours_but_public_names():
    import benchbias

    tree = ast.parse((EXTRAS / "benchbias_extras.py").read_text())
    modules = [
        node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and "benchbias" in (node.module or "")
    ]
    assert [node.module for node in modules] == ["benchbias"]
    assert {alias.name for alias in modules[0].names} <= set(benchbias.__all__)


def test_it_is_listed_with_its_components(installed: Run):
    plugins, components = installed("ls", "plugins"), installed("ls", "components")
    assert plugins.returncode == components.returncode == 0, plugins.stderr
    assert "benchbias-extras:extras" in plugins.stdout
    for name in ("snip", "lff", "class_gap"):
        assert any(name in line and "benchbias-extras" in line for line in components.stdout.splitlines())


def test_it_passes_the_checks(installed: Run):
    done = installed("check", "benchbias-extras")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 components" in done.stdout


def test_it_runs_in_a_suite_and_gets_its_rows(installed: Run, tmp_path: Path):
    (tmp_path / "own.toml").write_text(TOML)
    done = installed(
        "run", "-s", "with-extras", "--config", str(tmp_path / "own.toml"), "-o", str(tmp_path / "out"), "-q"
    )
    assert done.returncode == 0, done.stderr
    board = (tmp_path / "out" / "leaderboards" / "with-extras.md").read_text()
    rows = {line.split("|")[2].strip() for line in board.split("### Cost")[0].splitlines() if line.startswith("| ")}
    assert {"erm", "lff", "snip"} <= rows
    assert "class gap" in board
