"""One launch for all verbs: a run plans once, reads back nothing that it wrote, and shows what the folder holds."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from benchbias.errors import UsageError
from benchbias.plan import planner
from benchbias.plan.trials import Selection
from benchbias.records.trial import TrialRecord
from benchbias.runner import launch, workspace
from benchbias.runner.launch import RERUN, RunOptions, run_suite
from benchbias.runner.reporter import Silent
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store


@pytest.fixture
def copied(smoke: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(smoke, tmp_path / "results"))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often a suite is planned and a record is read."""
    counted = {"make": 0, "from_file": 0}
    make, from_file = planner.make, TrialRecord.from_file

    def counting_make(*arguments: Any, **options: Any) -> Any:
        counted["make"] += 1
        return make(*arguments, **options)

    def counting_read(path: Path) -> TrialRecord:
        counted["from_file"] += 1
        return from_file(path)

    monkeypatch.setattr(workspace, "make", counting_make)
    monkeypatch.setattr(TrialRecord, "from_file", staticmethod(counting_read))
    return counted


def test_a_whole_run_plans_once_and_reads_no_record(copied: Path, calls: dict[str, int]):
    results = run_suite(Workspace.open(quiet=True), "smoke", Selection(), RunOptions(out=copied), Silent())
    assert (results.exit_code, results.report.computed) == (0, 0)
    assert calls == {"make": 1, "from_file": 0}


def test_what_a_run_returns_is_what_it_wrote(copied: Path):
    shutil.rmtree(copied / "records")
    before = (copied / "leaderboards" / "smoke.md").read_bytes()
    results = run_suite(Workspace.open(quiet=True), "smoke", Selection(), RunOptions(out=copied), Silent())
    read = {path.stem: TrialRecord.from_file(path) for path in (copied / "records" / "smoke").glob("*.json")}
    assert {record.id: record for record in results.records} == read
    assert results.board.read_bytes() == before == results.text.encode()


def test_a_part_of_a_suite_is_planned_once_and_its_board_shows_the_other_trials(copied: Path, calls: dict[str, int]):
    before = (copied / "leaderboards" / "smoke.md").read_bytes()
    chosen = Selection(methods=["erm"], seeds=[1])
    results = run_suite(Workspace.open(quiet=True), "smoke", chosen, RunOptions(out=copied), Silent())
    assert len(results.records) == 1
    assert len(results.shown) == len(list((copied / "records" / "smoke").glob("*.json")))
    assert results.board.read_bytes() == before
    assert calls["make"] == 1
    assert calls["from_file"] == len(results.shown) - len(results.records)


def test_the_stages_of_other_trials_are_not_computed(tmp_path: Path):
    whole = Workspace.open(quiet=True)
    plan = whole.plan("smoke", Selection(methods=["erm"], seeds=[1]), others=True)
    alone = whole.plan("smoke", Selection(methods=["erm"], seeds=[1]))
    assert plan.stages == alone.stages
    assert plan.trials == alone.trials
    ids = {trial.id for trial in whole.plan("smoke").trials}
    assert {trial.id for trial in (*plan.trials, *plan.others)} == ids
    assert not {trial.id for trial in plan.trials} & {trial.id for trial in plan.others}


def test_an_unknown_rerun_is_refused_before_anything_is_opened(tmp_path: Path):
    with pytest.raises(UsageError, match=", ".join(RERUN)):
        RunOptions(out=tmp_path / "results", rerun="alll")
    assert not (tmp_path / "results").exists()


def test_the_payload_is_named_by_its_content(tmp_path: Path):
    plan, store = Workspace.open(quiet=True).plan("smoke"), Store(tmp_path).create()
    first = launch.write_payload(plan, store, recompute=False)
    assert launch.write_payload(plan, store, recompute=False) == first
    assert launch.write_payload(plan, store, recompute=True) != first
