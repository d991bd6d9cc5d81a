"""The shape of the tests: folders like those of the packages, and no test that imports another one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from support import ROOT, SUPPORT
from support.imports import imported

TESTS = ROOT / "tests"
MODULES = sorted(TESTS.rglob("test_*.py"))
OWN = {"docs", "runs", "distributions", "support"}
"""Folders that stand for no package: of pages and boards, of whole runs, of wheels and environments, and of helpers."""

FILES = [path for path in sorted(TESTS.rglob("*.py")) if not {"third_party", "unusual"} & set(path.parts)]
"""All of ours, without the plugins of others that are tested as these come."""


def packages(folder: str) -> set[str]:
    return {path.name for path in (ROOT / folder).iterdir() if (path / "__init__.py").is_file()}


def test_a_folder_of_tests_is_a_package_or_one_of_a_few_others():
    found = {path.name for path in TESTS.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert found >= OWN
    assert found - OWN == packages("benchbias") | packages("plugins/benchbias_plugins")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_nothing_imports_a_test_module_or_a_conftest(path: Path):
    tests = {module.stem for module in MODULES} | {"conftest"}
    assert not {name for name in imported(path) if tests & set(name.split("."))}


def test_such_an_import_would_be_found(tmp_path: Path):
    (tmp_path / "test_mine.py").write_text("def f():\n    from .test_plan import plan\n    from support import spy\n")
    assert imported(tmp_path / "test_mine.py") == {".test_plan", ".test_plan.plan", "support", "support.spy"}


def test_no_two_test_modules_have_one_name():
    """pytest imports them by name, without their folders."""
    assert [name for name, count in Counter(path.name for path in MODULES).items() if count > 1] == []


def test_helpers_are_in_use():
    used = {name for path in FILES for name in imported(path)}
    helpers = {path.stem for path in SUPPORT.glob("*.py")} - {"__init__"}
    assert {name for name in helpers if f"support.{name}" not in used} == set()
