"""A plugin that misbehaves in any way and in any kind of component spoils its own trials and nothing else.

One clean run; one run of everything bad beside it; one of bad metrics. What bad components do is in bad_plugins.py.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchbias.engine.log import HEAD_BYTES, TAIL_BYTES
from benchbias.plan.trials import Plan, Selection
from benchbias.runner.launch import RunOptions, launch
from benchbias.runner.recording import make_record
from benchbias.runner.reporter import Silent
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store
from benchbias.tuning.search import _merged
from support.bad_plugins import CLEAN, FAULTS, QUIET, failing, method_of, tables, working
from support.killing import survivors
from support.running import tree

Cli = Callable[..., subprocess.CompletedProcess[str]]

OUT = f"bad-{os.getpid()}"  # a word that no other process on this machine has in its command
TIMEOUT = 12.0
MEMORY = 0.8
JOBS = 6

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Bad:
    """A results folder after the runs, and what they said."""

    folder: Path
    summary: dict[str, Any]
    errors: str
    plans: dict[str, Plan]
    left: dict[int, str]
    bodies: dict[str, dict[str, Any]]

    @property
    def out(self) -> Path:
        return self.folder / OUT

    def body(self, fault: str, kind: str) -> dict[str, Any]:
        """The record of a bad component's trial."""
        return self.bodies[method_of(fault, kind)]

    def logs(self, stage: str) -> list[Path]:
        """The logs of the stages whose label has this word."""
        plans = [self.plan, *self.plans.values()]
        keys = [key for plan in plans for key, item in plan.stages.items() if stage in item.label]
        return [path for key in keys if (path := self.out / "attempts" / f"{key}.log").is_file()]

    @property
    def plan(self) -> Plan:
        workspace = Workspace.open(self.folder / "bad.toml", [self.folder / "bad.py"], quiet=True)
        return workspace.plan("bad", Selection())


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())["body"]


def run(folder: Path, out: str, cli: Cli, *more: str) -> subprocess.CompletedProcess[str]:
    common = ("-s", "bad", "-o", out, "--config", "bad.toml", "--plugin", "bad.py", "--json")
    return cli("run", *common, *more, cwd=folder)


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory, plugin_cache: Path, cli: Cli) -> Bad:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "bad.py").write_text(FAULTS)
    (folder / "bad.toml").write_text(tables())
    limits = ("-j", str(JOBS), "--timeout", str(TIMEOUT), "--memory", str(MEMORY))
    done = run(folder, OUT, cli, *limits)  # a relative folder: components leave the one it starts in
    left = survivors(Path(OUT), 0.5)
    assert done.stdout, done.stderr
    names = [method_of(*case) for case in (*failing(), *working()) if case[1] == "metric"]
    workspace = Workspace.open(folder / "bad.toml", [folder / "bad.py"], quiet=True)
    plans = {name: workspace.plan(name, Selection()) for name in names}
    store, merged = Store(folder / OUT), _merged(list(plans.values()))
    options = RunOptions(out=store.root, jobs=JOBS, timeout=TIMEOUT, memory=MEMORY)
    computed = launch(workspace, merged, options, Silent())
    left |= survivors(folder / OUT, 0.5)
    bodies = {body["method"]: body for path in (folder / OUT).glob("records/bad/*.json") for body in [read(path)]}
    for name, plan in plans.items():
        record = make_record(plan, plan.trials[0], store, computed.blocked)
        assert record is not None
        bodies[name] = record.body
    return Bad(folder, json.loads(done.stdout), done.stderr, plans, left, bodies)


def test_the_exit_code_says_that_some_trials_failed(bad: Bad):
    metrics = [case for case in failing() if case[1] == "metric"]
    failed = len(failing()) - len(metrics)
    done = 1 + len([case for case in working() if case[1] != "metric"])  # and erm
    assert bad.summary["exit_code"] == 1
    assert bad.summary["trials"] == {"ok": done, "failed": failed, "skipped": 0, "missing": 0}
    assert len([case for case in metrics if bad.body(*case)["status"] == "failed"]) == len(metrics) > 0
    assert "Traceback" not in bad.errors
    assert not [c for c in bad.errors if not c.isprintable() and c != "\n"]


def test_no_process_survives(bad: Bad):
    assert bad.left == {}


def test_the_trials_of_good_components_have_the_bytes_of_a_run_without_bad_ones(bad: Bad, cli: Cli):
    chosen = [word for name in CLEAN for word in ("-m", name)]
    done = run(bad.folder, "clean", cli, *chosen, "-j", "2")
    assert done.returncode == 0, done.stderr
    clean, beside = tree(bad.folder / "clean"), tree(bad.out)
    made = {name: content for name, content in clean.items() if not name.startswith("leaderboards")}
    assert len([name for name in made if name.startswith("records")]) > len(CLEAN)
    assert {name: beside.get(name) for name in made} == made


@pytest.mark.parametrize("case", failing(), ids="-".join)
def test_a_failure_names_reason_component_plugin_and_stage(bad: Bad, case: tuple[str, str]):
    fault, kind = case
    body = bad.body(*case)
    assert body["status"] == "failed", body
    assert re.search(failing()[case], body["reason"]), body["reason"]
    of = f"{'pruner' if kind == 'inner' else kind} '{fault}_{kind}' of plugin 'bad.py'"
    assert of in body["reason"], body["reason"]
    assert "\n" not in body["reason"]
    assert body["stage"]
    assert "metrics" not in body


@pytest.mark.parametrize("case", working(), ids="-".join)
def test_what_is_wrong_and_does_no_harm_is_scored(bad: Bad, case: tuple[str, str]):
    body = bad.body(*case)
    assert body["status"] == "ok", body["reason"]
    assert 0 <= body["metrics"]["accuracy"] <= 1


MEASURED = ("metrics", "correct", "sparsity", "group_correct", "training_flops")


@pytest.mark.parametrize("fault", [*QUIET, "mutates"])
def test_what_a_pruner_does_to_its_process_changes_no_other_stage_of_its_trial(bad: Bad, fault: str):
    mine, clean = bad.body(fault, "pruner"), bad.body("nothing", "pruner")
    assert {name: mine[name] for name in MEASURED} == {name: clean[name] for name in MEASURED}


@pytest.mark.parametrize("fault", ["mutates", "seeds", "environment", "nan", "nothing"])
def test_a_metric_changes_neither_the_counts_nor_other_metrics(bad: Bad, fault: str):
    mine, clean = bad.body(fault, "metric"), bad.body("nothing", "metric")
    assert mine["correct"] == clean["correct"]
    names = ("accuracy", "worst_class_accuracy")
    assert [mine["metrics"][name] for name in names] == [clean["metrics"][name] for name in names]
    value = mine["metrics"][f"{fault}_metric"]
    assert value is None if fault == "nan" else value == clean["metrics"]["accuracy"]


def test_sparsity_is_counted_whatever_is_claimed(bad: Bad):
    assert bad.body("nothing", "pruner")["sparsity"] > 0.45
    assert bad.body("lies", "pruner")["sparsity"] < 0.01
    assert bad.body("lies", "inner")["sparsity"] < 0.01
    assert bad.body("lies", "trainer")["sparsity"] == bad.body("nothing", "pruner")["sparsity"]


def test_a_flood_is_cut_in_the_middle_and_draws_on_no_terminal(bad: Bad, cli: Cli):
    logs = bad.logs("floods_pruner")
    assert len(logs) == 1
    text = logs[0].read_bytes()
    assert HEAD_BYTES <= len(text) < HEAD_BYTES + TAIL_BYTES + 200
    assert text.startswith(b"\x1b[2J")
    assert b"bytes of output are left out here]" in text
    assert text.endswith(b"the last words\n")
    where = ("-s", "bad", "-o", OUT, "--config", "bad.toml", "--plugin", "bad.py")
    shown = cli("logs", f"stripes/{method_of('floods', 'pruner')}/0", *where, cwd=bad.folder)
    assert "the last words" in shown.stdout
    assert not [c for c in shown.stdout if not c.isprintable() and c != "\n"]


def test_no_file_is_left_that_others_cannot_read(bad: Bad):
    kept = [path for name in ("objects", "blobs", "measured", "attempts") for path in (bad.out / name).rglob("*")]
    assert kept
    assert not [path for path in kept if path.stat().st_mode & 0o444 != 0o444]
