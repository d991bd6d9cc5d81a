"""All of the core that a stage runs was imported before the first fork, and stands in its key.

Read from real stages: one of each kind is run in a process that has imported what an engine imports, and every function
of the core that runs is noted by the module it comes from.
"""

from __future__ import annotations

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
from benchbias.keys.sources import SOURCES, module_names, source_files
from benchbias.keys.stamps import Kept
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


@pytest.mark.parametrize("answers", [["changed"], [None, "changed"]], ids=["before the imports", "while they went on"])
def test_an_engine_that_imports_other_sources_than_keys_name_ends_before_any_stage(
    monkeypatch: pytest.MonkeyPatch, answers: list[str | None]
):
    """Sources that are as the keys say before and after the imports have been imported as the keys say."""
    told, imported = io.StringIO(), list[str]()
    left = list(answers)
    monkeypatch.setattr(warm, "preload", lambda: imported.append("all"))
    monkeypatch.setattr(supervisor, "first_refusal", lambda stages, kept: left.pop(0))
    with pytest.raises(SystemExit) as caught:
        supervisor._import_what_keys_name({"stages": {}}, told, Kept())
    assert caught.value.code == 1
    assert json.loads(told.getvalue()) == {"changed": "changed"}
    assert len(imported) == len(answers) - 1
