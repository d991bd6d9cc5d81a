"""A distribution that is not ours, from its wheel beside ours from its wheel: listed, checked, run, on the board."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from support import ROOT, SUPPORT

EXTRAS = SUPPORT / "third_party/benchbias-extras"

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


def packages() -> list[str]:
    """The folders of installed packages of the running environment, not the checkout that it has as editable."""
    return [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment: both wheels installed by pip, every other package that of this environment."""
    folder = tmp_path_factory.mktemp("third-party")
    for source in (ROOT, EXTRAS):
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
        subprocess.run(build, cwd=source, check=True, capture_output=True)
    venv.create(folder / "venv", symlinks=True)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / "packages_of_the_tests.pth").write_text("\n".join(packages()))  # after its own; their .pth are not read
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "venv" / "bin" / "python"), "install"]
    options = ["--quiet", "--no-deps", "--no-index", "--no-compile", "--ignore-installed"]
    wheels = [str(path) for path in sorted(folder.glob("*.whl"))]
    subprocess.run([*pip, *options, *wheels], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def installed(environment: Path) -> Run:
    """A command of that environment, away from the checkout and from this environment's variables."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    env["BENCHBIAS_CACHE"] = str(environment / "cache")

    def run(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = [str(environment / "venv" / "bin" / command), *arguments]
        return subprocess.run(program, cwd=environment, env=env, capture_output=True, text=True, check=False)

    return run


def test_it_imports_nothing_of_ours_but_public_names():
    import benchbias

    tree = ast.parse((EXTRAS / "benchbias_extras.py").read_text())
    modules = [
        node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and "benchbias" in (node.module or "")
    ]
    assert [node.module for node in modules] == ["benchbias"]
    assert {alias.name for alias in modules[0].names} <= set(benchbias.__all__)


def test_nothing_of_the_checkout_is_imported(environment: Path, installed: Run):
    code = "import sys, benchbias, benchbias_plugins, benchbias_extras as e\n"
    code += "print(*[m.__file__ for m in (benchbias, benchbias_plugins, e)], *sys.path, sep='\\n')"
    done = installed("python", "-P", "-c", code)
    assert done.returncode == 0, done.stderr
    modules, path = done.stdout.splitlines()[:3], done.stdout.splitlines()[3:]
    assert all(Path(module).is_relative_to(environment / "venv" / "lib") for module in modules)
    assert not {str(ROOT), str(ROOT / "plugins"), str(EXTRAS)} & set(path)


def test_it_is_listed_with_its_components(installed: Run):
    plugins, components = installed("benchbias", "ls", "plugins"), installed("benchbias", "ls", "components")
    assert plugins.returncode == components.returncode == 0, plugins.stderr
    assert "benchbias-extras:extras" in plugins.stdout
    for name in ("snip", "lff", "class_gap"):
        assert any(name in line and "benchbias-extras" in line for line in components.stdout.splitlines())


def test_it_passes_the_checks(installed: Run):
    done = installed("benchbias", "check", "benchbias-extras")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 components" in done.stdout


@pytest.mark.slow
def test_its_own_tests_pass(environment: Path, installed: Run):
    shutil.copytree(EXTRAS / "tests", environment / "tests")  # and not its module, which is that of the wheel
    done = installed("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


@pytest.mark.slow
def test_it_runs_in_a_suite_and_gets_its_rows(environment: Path, installed: Run):
    (environment / "own.toml").write_text(TOML)
    out = environment / "out"
    done = installed("benchbias", "run", "-s", "with-extras", "--config", "own.toml", "-o", str(out), "-q")
    assert done.returncode == 0, done.stderr
    board = (out / "leaderboards" / "details" / "with-extras.md").read_text()
    rows = {line.split("|")[2].strip() for line in board.split("### Cost")[0].splitlines() if line.startswith("| ")}
    assert {"erm", "lff", "snip"} <= rows
    assert "class gap" in board
