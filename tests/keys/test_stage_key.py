"""A key names everything that decides a product; an identity leaves out sources, the machine and raw files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchbias.keys import stage_key
from benchbias.keys.environment import (
    MEMORY_SETTINGS,
    PACKAGES,
    WORKER_SETTINGS,
    describe_environment,
    worker_environment,
)
from benchbias.keys.stage import Stage
from benchbias.keys.stage_key import stage_of
from benchbias.plugin.components import Component
from benchbias.plugin.registry import Registry
from support import ROOT

PRUNER = Component("pruner", "largest", "mine", ("model",), {}, "Largest first.")
INPUTS = {"component": {"name": "largest", "options": {"drop": 0.3}}, "seed": 0, "parents": {"model": "k1"}}
ENVIRONMENT = {"torch": "2.0+build", "cpu": "one"}


def stage(
    inputs: Any = INPUTS, component: Component = PRUNER, digest: str = "d1", identity: str = "i1", **environment: str
) -> Stage:
    registry = Registry({("pruner", "largest"): component}, {}, {"mine": digest}, {})
    machine, identities = {**ENVIRONMENT, **environment}, {"k1": identity}
    return stage_of("prune", [component], inputs, registry=registry, environment=machine, identities=identities)


def test_the_same_inputs_have_the_same_key_and_identity():
    assert stage() == stage(dict(reversed(INPUTS.items())))


@pytest.mark.parametrize(
    "other",
    [
        INPUTS | {"seed": 1},
        INPUTS | {"component": {"name": "largest", "options": {"drop": 0.4}}},
        INPUTS | {"component": {"name": "smallest", "options": {"drop": 0.3}}},
    ],
)
def test_other_inputs_are_another_stage_and_another_trial(other: Any):
    assert stage(other).key != stage().key
    assert stage(other).identity != stage().identity


def test_another_parent_is_in_the_key_and_its_identity_in_the_identity():
    assert stage(INPUTS | {"parents": {"start": "k1"}}).identity != stage().identity
    assert stage(identity="i2").identity != stage().identity
    assert stage(identity="i2").key == stage().key


@pytest.mark.parametrize("changed", [{"digest": "d2"}, {"cpu": "two"}, {"torch": "2.1"}])
def test_sources_and_machine_are_in_the_key_alone(changed: dict[str, str]):
    assert stage(**changed).key != stage().key
    assert stage(**changed).identity == stage().identity


def test_raw_files_and_what_reads_them_are_in_the_key_alone(monkeypatch: pytest.MonkeyPatch):
    one, other = (stage(INPUTS | {"raw": {"hub:a/b": digest}}) for digest in ("r1", "r2"))
    assert len({one.key, other.key, stage().key}) == 3
    assert one.identity == other.identity == stage().identity
    monkeypatch.setattr(stage_key, "reading_digest", lambda: "edited")
    assert stage(INPUTS | {"raw": {"hub:a/b": "r1"}}).key != one.key
    assert stage() == stage()


def test_a_package_that_a_component_uses_is_in_its_keys(monkeypatch: pytest.MonkeyPatch):
    using = replace(PRUNER, uses={"numpy": "numpy"})
    before = stage(component=using)
    monkeypatch.setattr(stage_key, "version_of", lambda package: "another")
    assert stage(component=using).key != before.key
    assert stage(component=using).identity == before.identity == stage().identity


def test_torch_keeps_the_build_in_its_version_where_a_component_says_that_it_uses_it():
    assert stage(component=replace(PRUNER, uses={"torch": "torch"})).inputs["environment"] == ENVIRONMENT


def test_options_that_a_component_had_stay_in_the_identity_and_are_in_no_key():
    had = INPUTS | {"component": {"name": "largest", "options": {"drop": 0.3, "pool": 256}}}
    lost = replace(PRUNER, former={"pool": 256})
    assert stage(component=lost).identity == stage(had).identity != stage().identity
    assert stage(component=lost).key == stage().key != stage(had).key


def test_the_pruner_inside_a_train_stage_keeps_its_former_options_too():
    call = INPUTS["component"]
    inner = {"component": call, "cut": {}}
    outer = {"component": {"name": "erm", "options": {}}, "prune": inner, "parents": {"model": "k1"}}
    had = {**outer, "prune": {**inner, "component": {"name": "largest", "options": {"drop": 0.3, "pool": 256}}}}
    assert stage(outer, replace(PRUNER, former={"pool": 256})).identity == stage(had).identity


def test_the_environment_names_every_package_and_workers_have_ours_alone():
    assert set(describe_environment("cpu")["packages"]) == set(PACKAGES)
    given = {"MKL_CBWR": "AVX", "OMP_NUM_THREADS": "8", "HOME": "/home/me"}
    assert worker_environment(given) == {"HOME": "/home/me", **MEMORY_SETTINGS, **WORKER_SETTINGS}


def test_a_users_own_settings_of_memory_are_left_to_workers():
    own = {"MALLOC_TRIM_THRESHOLD_": "7", "MALLOC_ARENA_MAX": "2"}
    assert worker_environment(own) == {**MEMORY_SETTINGS, **own, **WORKER_SETTINGS}
    tuned = {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=7"}
    assert worker_environment(tuned) == {**tuned, **WORKER_SETTINGS}
    other = {"GLIBC_TUNABLES": "glibc.rtld.nns=2"}
    assert worker_environment(other) == {**other, **MEMORY_SETTINGS, **WORKER_SETTINGS}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout: the core as it is, one plugin, and the tables; all committed."""
    shutil.copytree(ROOT / "benchbias", tmp_path / "benchbias", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "mine.py").write_text("")
    (tmp_path / "benchmarks.toml").write_text("schema = 1\n")
    (tmp_path / "notes.md").write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def told(checkout: Path) -> dict[str, Any]:
    """The provenance that the checkout's own code tells."""
    code = "import json; from benchbias.keys.environment import provenance; print(json.dumps(provenance()))"
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ["benchbias/stages/train.py", "plugins/mine.py", "benchmarks.toml"])
def test_a_change_in_any_room_makes_a_checkout_dirty(checkout: Path, name: str):
    assert told(checkout) | {"benchbias": ""} == {
        "benchbias": "", "commit": git(checkout, "rev-parse", "HEAD"), "dirty": False
    }  # fmt: skip
    with (checkout / name).open("a") as file:
        file.write("\n")
    assert told(checkout)["dirty"]


def test_a_change_of_a_page_leaves_it_clean(checkout: Path):
    (checkout / "notes.md").write_text("later")
    assert not told(checkout)["dirty"]


def test_without_git_the_version_alone_is_told(checkout: Path):
    shutil.rmtree(checkout / ".git")
    assert set(told(checkout)) == {"benchbias"}
