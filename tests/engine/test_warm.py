"""All of the core that a stage runs was imported before the first fork, and stands in its key.

Read from real stages: one of each kind is run in a process that has imported what an engine imports, and every function
of the core that runs is noted by the module it comes from.
"""

from __future__ import annotations

import ast
import importlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchbias.engine import supervisor, warm
from benchbias.keys import sources
from benchbias.keys.environment import worker_environment
from benchbias.keys.sources import SOURCES, module_names, source_files
from benchbias.keys.stamps import Kept
from benchbias.plugin.loading import PluginRef
from benchbias.plugin.registry import plugin_files
from benchbias.store.store import Store
from benchbias.util.as_read import AsRead, run_as_read
from support import ROOT
from support.picture_folder import write_pictures

TOML = """
schema = 1
[suites.all]
title = "A stage of every kind"
version = "1"
tasks = ["tiny", "read"]
methods = ["erm", "erm-ft", "magnitude", "rest"]
seeds = 1
metrics = ["worst_group_accuracy", "accuracy"]
rank_by = "accuracy"
reference = "erm"
probes = ["critical_zero"]
analyses = ["seen"]
override.erm-ft = { recipe = { epochs = 2 } }
override.magnitude = { recipe = { epochs = 2 }, sweep = { sparsity = [0.5] } }
override.rest = { recipe = { epochs = 2 }, parameters = { every = 4 }, sweep = { density = [0.2] } }
[tasks.tiny]
dataset = { use = "colored_digits", conflict_ratio = 0.05, draws = 1 }
model = { use = "lenet_small", width = 0.25 }
recipe = { epochs = 1, batch_size = 64, optimizer = "adamw", lr = 3e-3, schedule = "onecycle", augment = "shift" }
[tasks.read]
dataset = { use = "image_folder", folder = "pictures", size = 16 }
model = { use = "lenet_small", width = 0.25 }
recipe = { epochs = 1, batch_size = 64, optimizer = "adamw", lr = 3e-3 }
"""

SEEN = """
from benchbias import Population, Table, estimate, hookimpl

def seen(population: Population) -> Table:
    found = [estimate([float(m.predictions["test"].correct.double().mean()), 0.5]) for m in population.members]
    rows = tuple(str(number) for number in range(len(found)))
    return Table({"row": ("text", "", rows), "accuracy": ("estimate", "", tuple(found))}, "Seen.")

@hookimpl
def benchbias_analyses():
    return {"seen": seen}
"""

SCRIPT = """
import json, sys
from pathlib import Path
from benchbias.engine.warm import preload
preload()
from benchbias.engine.worker import run_stage
from benchbias.plan.trials import Selection
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store

plan = Workspace.open(Path("all.toml"), [Path("seen.py")], quiet=True).plan("all", Selection())
assert not plan.missing, plan.missing
store = Store(Path("results")).create()
payload = {**plan.payload(), "recompute": False, "provenance": {}}
before, found = set(sys.modules), {}
for key, stage in plan.stages.items():
    ran = found.setdefault(stage.kind + ("+reading" if "raw" in stage.inputs else ""), set())

    def note(frame, event, argument):
        if event == "call" and frame.f_globals.get("__name__", "").startswith("benchbias."):
            ran.add(frame.f_globals["__name__"])

    sys.setprofile(note)
    code = run_stage(store, payload, key)
    sys.setprofile(None)
    assert code == 0, (stage.label, code, store.attempts(key))
late = sorted(name for name in set(sys.modules) - before if name.split(".")[0] == "benchbias")
print(json.dumps({"late": late, "ran": {kind: sorted(names) for kind, names in found.items()}}))
"""

CARRIED = ("errors", "util", "plugin", "store", "suite", "records", "statistics", "engine", "keys", "data.reading")
"""Rooms that carry and check what a stage makes; data.reading is in the keys of the stages that read."""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("warm")
    (folder / "all.toml").write_text(TOML)
    (folder / "seen.py").write_text(SEEN)
    write_pictures(folder / "data" / "pictures")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=folder,
        env={**os.environ, "BENCHBIAS_DATA": str(folder / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room(module: str) -> str:
    return module.removeprefix("benchbias.")


@pytest.mark.slow
def test_no_module_of_the_core_is_imported_by_a_worker(real: dict[str, Any]):
    assert real["late"] == []


@pytest.mark.slow
def test_every_kind_of_stage_was_run(real: dict[str, Any]):
    assert set(real["ran"]) == {*SOURCES, "data+reading"}
    assert all(f"benchbias.stages.{kind.partition('+')[0]}" in names for kind, names in real["ran"].items())


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*SOURCES, "data+reading"])
def test_what_a_stage_runs_stands_in_its_key(real: dict[str, Any], kind: str):
    held = {module_of(path) for path in source_files(SOURCES[kind.partition("+")[0]])}
    ran = real["ran"][kind]
    others = [name for name in ran if not room(name).startswith(CARRIED)]
    assert others
    assert set(others) <= held
    reading = {name for name in ran if room(name).startswith("data.reading")}
    assert bool(reading - {"benchbias.data.reading.raw_files"}) == ("reading" in kind)
    assert reading <= {module_of(path) for path in source_files(sources.READING)}


def test_all_that_stands_in_keys_is_imported_by_an_engine():
    files = {path for names in SOURCES.values() for path in source_files(names)} | set(source_files(sources.READING))
    assert {module_of(path) for path in files} == set(module_names())
    assert "benchbias.stages.analyse" in module_names()


PLUGINS = ("methods.dfr", "methods.erm", "datasets.colored_digits")
PLUGINS_SCRIPT = """
import json, os, sys
from benchbias.engine.warm import preload, preload_plugins
from benchbias.plugin.loading import PluginRef
import torch

preload()
before = set(sys.modules)
for module in sys.argv[1:]:
    preload_plugins([PluginRef("benchbias:" + module, module, "benchbias", "1")])
found = {"new": sorted(set(sys.modules) - before), "threads": len(os.listdir("/proc/self/task"))}
found["small"] = float(torch.tensor(1e-310, dtype=torch.float64) / 4) > 0
print(json.dumps(found))
"""


def ref_of(name: str) -> PluginRef:
    return PluginRef(f"benchbias:{name}", f"benchbias_plugins.{name}", "benchbias", "1")


def imported_in_functions(ref: PluginRef) -> set[str]:
    """The modules that functions of a plugin's files import."""
    found = set[str]()
    for file in plugin_files(ref):
        tree = ast.parse(file.read_text()) if file.suffix == ".py" else ast.Module([], [])
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            for node in ast.walk(function):
                if isinstance(node, ast.ImportFrom) and not node.level:
                    found.add(str(node.module))
    return found


def test_what_a_plugin_says_that_it_imports_it_does_import():
    """dfr's list is whole: all that it imports is imported once, and not in each of its stages."""
    said = {
        name: set(importlib.import_module(ref_of(name).module).IMPORTED_WHEN_CALLED)
        for name in ("methods.dfr", "datasets.colored_digits")
    }
    assert said["methods.dfr"] == imported_in_functions(ref_of("methods.dfr"))
    assert said["datasets.colored_digits"] < imported_in_functions(ref_of("datasets.colored_digits"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_plugins_and_what_they_import_start_no_thread_before_a_fork():
    done = subprocess.run(
        [sys.executable, "-c", PLUGINS_SCRIPT, *(ref_of(name).module for name in PLUGINS)],
        env=worker_environment(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"sklearn.linear_model", "scipy.optimize", "benchbias_plugins.methods.erm"} <= set(found["new"])
    assert found["threads"] == 1
    assert found["small"], "a library has switched off the smallest numbers"


def test_a_plugin_that_cannot_be_imported_is_left_to_its_stage():
    warm.preload_plugins([ref_of("methods.nothing"), ref_of("methods.erm")])
    assert "benchbias_plugins.methods.erm" in sys.modules


def test_only_plugins_of_ours_that_some_stage_still_needs_are_imported(tmp_path: Path):
    plan = {
        "recompute": False,
        "stages": {
            "a" * 64: {"plugins": ["benchbias:dfr", "theirs:b", "loose.py"]},
            "b" * 64: {"plugins": ["benchbias:erm"]},
        },
    }
    store = Store(tmp_path).create()
    assert supervisor._own_plugins(plan, store) == ["benchbias:dfr", "benchbias:erm"]
    done = store.object_path("a" * 64)
    done.parent.mkdir(parents=True, exist_ok=True)
    done.write_bytes(b"{}")
    assert supervisor._own_plugins(plan, store) == ["benchbias:erm"]
    assert supervisor._own_plugins({**plan, "recompute": True}, store) == ["benchbias:dfr", "benchbias:erm"]


def changing_plugin(*digests: str) -> tuple[dict[str, Any], list[str]]:
    """A plan with one plugin, and the digests that it has when it is looked at, one after another."""
    ref = {"name": "benchbias:erm", "module": "benchbias_plugins.methods.erm", "distribution": "benchbias"}
    plugins = {"benchbias:erm": {"ref": {**ref, "version": "1"}, "digest": "planned"}}
    stages = {"a" * 64: {"plugins": ["benchbias:erm"], "inputs": {}}}
    return {"recompute": False, "stages": stages, "plugins": plugins}, list(digests)


@pytest.mark.parametrize(
    ("digests", "imported", "told"),
    [
        (["planned", "planned"], 1, None),
        (["another"], 0, None),
        (["planned", "another"], 1, "plugin 'benchbias:erm' was changed while this run was going on; run again"),
    ],
    ids=["as planned", "changed before", "changed while it was imported"],
)
def test_a_plugin_is_imported_as_keys_name_it_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digests: list[str], imported: int, told: str | None
):
    plan, left = changing_plugin(*digests)
    taken, out = list[PluginRef](), io.StringIO()
    monkeypatch.setattr(warm, "preload", lambda: None)
    monkeypatch.setattr(warm, "preload_plugins", taken.extend)
    monkeypatch.setattr(supervisor, "first_refusal", lambda stages, kept: None)
    monkeypatch.setattr(supervisor, "plugin_now", lambda plan, name, kept: left.pop(0))
    if told is None:
        supervisor._import_what_keys_name(plan, Store(tmp_path), out, Kept())
        assert out.getvalue() == ""
    else:
        with pytest.raises(SystemExit):
            supervisor._import_what_keys_name(plan, Store(tmp_path), out, Kept())
        assert json.loads(out.getvalue()) == {"changed": told}
    assert len(taken) == imported
    assert left == []


def test_an_edit_that_is_taken_back_while_an_engine_imports_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Digests before and after say the same, and something else was imported."""
    path, out = tmp_path / "edited_while_imported.py", io.StringIO()
    path.write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", [finder for finder in sys.meta_path if not isinstance(finder, AsRead)])
    run_as_read([path.stem])

    def preload() -> None:
        path.write_text("VALUE = 2\n")
        importlib.import_module(path.stem)
        path.write_text("VALUE = 1\n")

    monkeypatch.setattr(warm, "preload", preload)
    plan = {"stages": {}, "plugins": {}, "recompute": False}
    with pytest.raises(SystemExit):
        supervisor._import_what_keys_name(plan, Store(tmp_path), out, Kept())
    assert json.loads(out.getvalue()) == {"changed": f"{path} was changed while this run was going on; run again"}
    del sys.modules[path.stem]
    monkeypatch.setattr(warm, "preload", lambda: importlib.import_module(path.stem))
    supervisor._import_what_keys_name(plan, Store(tmp_path), io.StringIO(), Kept())
    assert run_as_read().read == {}, "each worker would read again what its engine has compared"
    del sys.modules[path.stem]


@pytest.mark.parametrize("answers", [["changed"], [None, "changed"]], ids=["before the imports", "while they went on"])
def test_an_engine_that_imports_other_sources_than_keys_name_ends_before_any_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: list[str | None]
):
    """Sources that are as the keys say before and after the imports have been imported as the keys say."""
    told, imported = io.StringIO(), list[str]()
    left = list(answers)
    monkeypatch.setattr(warm, "preload", lambda: imported.append("all"))
    monkeypatch.setattr(supervisor, "first_refusal", lambda stages, kept: left.pop(0))
    with pytest.raises(SystemExit) as caught:
        supervisor._import_what_keys_name(
            {"stages": {}, "plugins": {}, "recompute": False}, Store(tmp_path), told, Kept()
        )
    assert caught.value.code == 1
    assert json.loads(told.getvalue()) == {"changed": "changed"}
    assert len(imported) == len(answers) - 1
