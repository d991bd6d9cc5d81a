"""Plugins of unusual but legitimate makes, installed in an environment of their own, are listed, checked and run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from benchbias.errors import UsageError
from benchbias.plugin.loading import PluginRef, components_of
from benchbias.plugin.registry import source_digest
from benchbias.testing.child import results
from benchbias.testing.finding import Target
from support import SUPPORT

UNUSUAL = SUPPORT / "unusual"
LOOSE = "loose files/all kinds.py"
PRUNERS = ("square", "raised", "method", "parts", "namespaced", "held")

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of the plugins, and a virtual environment that has them: one editable, in a src layout, two as wheels."""
    path = Path(shutil.copytree(UNUSUAL, tmp_path_factory.mktemp("unusual") / "here"))
    venv.create(path / "venv")
    (site,) = (path / "venv/lib").glob("python*/site-packages")
    (site / "rest.pth").write_text("".join(f"{entry}\n" for entry in sys.path if entry.startswith("/")))
    for name, target in (("editable", "wheel:editable"), ("namespace", "wheel"), ("object", "wheel")):
        command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(path / "wheels")]
        subprocess.run(command, cwd=path / name, check=True, capture_output=True)
    for wheel in (path / "wheels").glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(site)
    return path


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    env = {**os.environ, "BENCHBIAS_CACHE": str(folder / "cache")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(folder / "venv/bin/python"), "-m", "benchbias", *arguments]
        return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)

    return run


def test_all_of_them_are_listed_and_none_is_broken(run: Run):
    done = run("ls", "components", "--plugin", LOOSE)
    assert done.returncode == 0
    assert "broken" not in done.stderr
    listed = {tuple(line.split()[:2]) for line in done.stdout.splitlines()}
    assert listed >= {("pruner", name) for name in PRUNERS}
    assert listed >= {("model", "small_class"), ("model", "squeezed"), ("metric", "error_rate")}


@pytest.mark.slow
def test_they_run_in_a_suite_and_agree_with_the_core_where_they_are_the_same_criterion(run: Run, folder: Path):
    done = run("run", "-s", "unusual", "--config", "own.toml", "--plugin", LOOSE, "--limit", "40", "-j", "2", "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, str] = {}
    for path in (folder / "results/records").rglob("*.json"):
        body = json.loads(path.read_text()).get("body", {})
        if body:
            found[body["method"]] = body["correct"]["counts"]
            assert body["metrics"]["error_rate"] == 1 - sum(body["group_correct"]) / sum(body["group_total"])
    assert set(found) == {"magnitude", "square", "parts", "namespaced", "held"}
    assert len(set(found.values())) == 1


def test_they_pass_the_checks(run: Run):
    done = run("check", LOOSE, "--only", "runs", "--json")
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_to_be_called_again_can_be_pasted(tmp_path: Path):
    (tmp_path / "no python.py").write_text("def (:")
    ref = PluginRef("no python.py", "benchbias_loose_no_python", "", "", str(tmp_path / "no python.py"))
    job = {"targets": [Target(ref, (), "loose files/no python.py").to_json()], "waivers": {}, "only": [], "done": []}
    (again,) = [line["result"]["again"] for line in results(job) if "result" in line]
    assert again == "benchbias check 'loose files/no python.py'"


def test_any_source_of_a_namespaced_or_editable_plugin_is_in_its_digest(folder: Path, monkeypatch: pytest.MonkeyPatch):
    for name, module, other in (
        ("namespace", "lab_prunes.first.hooks", "lab_prunes/first/scoring.py"),
        ("editable/src", "benchbias_parts", "benchbias_parts/norms.py"),
    ):
        copy = Path(shutil.copytree(folder / name, folder / "changed" / name))
        monkeypatch.syspath_prepend(copy)
        ref = PluginRef("other", module, "other", "1.0")
        before = source_digest(ref)
        assert source_digest(ref) == before
        with (copy / other).open("a") as file:
            file.write("\n")
        assert source_digest(ref) != before


def written(tmp_path: Path, text: str) -> PluginRef:
    (tmp_path / "odd.py").write_text(text)
    return PluginRef("odd.py", "benchbias_loose_odd", "", "", str(tmp_path / "odd.py"))


HOLDER = """
from benchbias import hookimpl
class Plugin:
    @hookimpl
    def benchbias_metrics(self):
        return {"nought": lambda predictions: 0.0}
plugin = Plugin()
"""


def test_hooks_of_an_object_that_nobody_names_are_pointed_out(tmp_path: Path):
    with pytest.raises(UsageError, match=r"its object 'plugin' does: .*entry point"):
        components_of(written(tmp_path, HOLDER))


@pytest.mark.parametrize(
    ("attribute", "words"), [("Plugin", "is a class: name an instance"), ("plugs", "has no attribute 'plugs'")]
)
def test_an_entry_point_that_names_no_object_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attribute: str, words: str
):
    (tmp_path / f"held_{attribute.lower()}.py").write_text(HOLDER)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=words):
        components_of(PluginRef("held", f"held_{attribute.lower()}", "held", "1.0", attribute=attribute))


def test_a_loose_file_that_needs_its_neighbour_is_told_to_become_a_distribution(tmp_path: Path):
    (tmp_path / "neighbour.py").write_text("")
    with pytest.raises(UsageError, match=r"imports 'neighbour', a file beside it.*benchbias new"):
        components_of(written(tmp_path, "import neighbour"))
    with pytest.raises(ModuleNotFoundError):
        components_of(written(tmp_path, "import nowhere_at_all"))


def test_a_type_that_only_type_checkers_import_is_pointed_out(tmp_path: Path):
    text = (
        "from __future__ import annotations\nfrom typing import TYPE_CHECKING\nimport benchbias\nif TYPE_CHECKING:\n"
        "    from typing import Literal\n\ndef odd(predictions, *, of: Literal[1, 2] = 1):\n    return 0.0\n\n"
        "@benchbias.hookimpl\ndef benchbias_metrics():\n    return {'odd': odd}\n"
    )
    from benchbias.plugin.describe import answer

    assert "imported outside of `if TYPE_CHECKING:`" in answer(written(tmp_path, text))["error"]
