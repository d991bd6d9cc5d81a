"""Reasons why a trial has no finished network: true, and with what can be done about it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchbias.plan.finding import row_trial
from benchbias.plan.remembered import Remembered, remember
from benchbias.plan.trials import Plan, Selection
from benchbias.records.trial import record_folder
from benchbias.runner.failures import not_done
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Workspace.open(quiet=True).plan("smoke", Selection(["erm", "disent"]))


@pytest.fixture
def copied(smoke: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(smoke, tmp_path / "results"))


def test_a_trial_of_other_sources_is_to_be_run_again(plan: Plan, copied: Path):
    """Its record lies there; its last stage has another key than today's."""
    trial = row_trial(plan, "erm", 0, None, "test")
    assert (record_folder(copied, "smoke") / f"{trial.id}.json").is_file()
    other = replace(trial, stages=(*trial.stages[:-1], "f" * 64))
    stages = {**plan.stages, "f" * 64: replace(plan.stages[trial.stages[-1]])}
    said = not_done(replace(plan, stages=stages), other, copied)
    assert "by other sources" in said
    assert "run it again: `benchbias run -s smoke -m erm`" in said


def test_a_failure_is_named_with_its_stage_and_reason(plan: Plan, copied: Path):
    trial = row_trial(plan, "disent", 0, None, "test")
    key = next(key for key in trial.stages if not Store(copied).has(key))
    folder = copied / "attempts" / key
    folder.mkdir(parents=True)
    (folder / "1.json").write_text(json.dumps({"status": "failed", "kind": "exception", "reason": "planted"}))
    said = not_done(plan, trial, copied)
    assert f"{plan.stages[key].label} failed (planted)" in said
    assert "`benchbias logs`" in said


def test_runs_with_other_options_are_named(plan: Plan, copied: Path):
    trial = row_trial(plan, "disent", 0, None, "test")
    shutil.copytree(copied / "records/smoke", copied / "records/smoke.limit-40")
    remember(Store(copied), "smoke", Remembered(methods=["erm"], limit=40))
    said = not_done(plan, trial, copied)
    assert f"{trial.label} is not done in {copied} with these options" in said
    assert "the folder has runs of --limit 40" in said
    assert "the last run there was of -m erm --limit 40" in said


def test_a_trial_that_cannot_run_says_why(plan: Plan, copied: Path):
    trial = replace(row_trial(plan, "erm", 0, None, "test"), stages=(), blocked="it needs what is not here")
    assert not_done(plan, trial, copied) == f"{trial.label} cannot run: it needs what is not here"
