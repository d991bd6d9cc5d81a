"""One wheel holds both packages, benchmarks.toml and the entry points; an editable install finds them too."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from benchbias.suite.catalogue import shipped_file
from support import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("benchbias-*.whl"))


def test_the_wheel_holds_both_packages_the_tables_and_the_licence(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "benchbias/cli/__init__.py",
        "benchbias/py.typed",
        "benchbias_plugins/py.typed",
        "benchbias/benchmarks.toml",
    ):
        assert name in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    templates = {f"benchbias/cli/templates/{path.name}" for path in (ROOT / "benchbias/cli/templates").iterdir()}
    assert len(templates) > 10
    assert templates <= set(names)
    page = {str(path.relative_to(ROOT)) for path in (ROOT / "benchbias/report/page").rglob("*") if path.is_file()}
    assert {name for name in page if "__pycache__" not in name} <= set(names)
    assert "benchbias/report/page/vendor/plot.LICENSE" in names
    assert not any(name.startswith(("tests", "docs", "plugins/")) for name in names)


def test_the_source_distribution_holds_what_a_contributor_reads(tmp_path: Path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert names >= {path.name for path in (*ROOT.glob("*.md"), ROOT / "CITATION.cff", ROOT / "LICENSE")}
    assert names >= {"docs/reference.md", "tests/support/public_api.txt", "benchbias/py.typed", "benchmarks.toml"}


def test_the_wheel_works_from_where_it_is_unpacked(wheel: Path, tmp_path: Path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "BENCHBIAS_CACHE": str(tmp_path / "cache")}
    code = "import benchbias.suite.catalogue as s, benchbias_plugins as p; print(s.shipped_file()); print(p.__file__)"
    shown = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, cwd="/")
    assert all(line.startswith(str(tmp_path)) for line in shown.stdout.splitlines())
    done = subprocess.run(
        [sys.executable, "-m", "benchbias", "plan", "-s", "spurious-small", "-o", str(tmp_path / "results")],
        env=env,
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    assert "0 stages cached" in done.stdout


def test_an_editable_install_reads_the_checkouts_tables():
    assert shipped_file() == ROOT / "benchmarks.toml"


def test_both_hold_the_same_tables(wheel: Path):
    assert zipfile.ZipFile(wheel).read("benchbias/benchmarks.toml") == (ROOT / "benchmarks.toml").read_bytes()
