"""A product that does not come out again is a result: told, counted and marked until it is resolved."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from benchbias import load_results
from benchbias.plan.trials import Plan, Trial
from benchbias.records.trial import TrialRecord
from benchbias.runner.recording import marked
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store
from support.markdown import undated
from support.running import SMOKE_TRIALS, tree

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Workspace.open(quiet=True).plan("smoke")


@pytest.fixture
def out(smoke: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(smoke, tmp_path / "results"))


def disagree(out: Path, plan: Plan, key: str) -> None:
    """A second computation of a stage that gives something else."""
    product = Store(out).get(key)
    assert product is not None
    Store(out).put(key, plan.stages[key].inputs, {**product.body, "other": 1}, product.blobs)


def trial_of(plan: Plan, method: str, seed: int = 0) -> Trial:
    return next(trial for trial in plan.trials if (trial.method, trial.seed) == (method, seed))


def run(cli: Cli, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return cli("run", "-s", "smoke", "-o", str(out), *more, cwd=out.parent)


def test_a_conflict_of_one_trial_is_told_by_its_name_and_ends_with_3(out: Path, plan: Plan, cli: Cli):
    trial = trial_of(plan, "random")
    disagree(out, plan, trial.stages[-1])
    done = run(cli, out, "-q")
    assert (done.returncode, done.stdout) == (3, "")
    first, second = done.stderr.splitlines()
    told = "score, seed 0 came out otherwise when it was computed again (quarantine/conflict-"
    assert first.startswith(f"not reproducible: {told}{trial.stages[-1]}")
    assert first.endswith(f": {trial.label}")
    assert "benchbias status" in second
    summary = json.loads(run(cli, out, "--json").stdout)
    assert summary["exit_code"] == 3
    assert summary["conflicts"] == [{"stage": "score, seed 0", "trials": [trial.label]}]
    assert summary["trials"]["ok"] == SMOKE_TRIALS


def test_a_conflict_of_a_shared_stage_names_every_trial_that_rests_on_it(out: Path, plan: Plan, cli: Cli):
    key = trial_of(plan, "erm").stages[0]
    resting = [trial.label for trial in plan.trials if key in trial.stages]
    assert 5 < len(resting) < len(plan.trials)
    disagree(out, plan, key)
    done = run(cli, out, "-q")
    assert done.returncode == 3
    assert f"{', '.join(resting[:5])} and {len(resting) - 5} others" in done.stderr
    told = cli("status", "-s", "smoke", "-o", str(out), cwd=out.parent).stdout
    assert f"{len(resting)} conflict" in told
    assert all(label in told for label in resting)
    assert "1 NOT REPRODUCIBLE" in told
    assert key in told
    assert "clean --quarantine" in told


def test_a_trial_that_is_not_of_the_run_does_not_concern_it(out: Path, plan: Plan, cli: Cli):
    disagree(out, plan, trial_of(plan, "random").stages[-1])
    done = run(cli, out, "-q", "-m", "erm")
    assert (done.returncode, done.stderr) == (0, "")
    board = (out / "leaderboards" / "smoke.md").read_text()
    assert "Not reproducible: " in board, "but the board shows it, as it shows the row"
    assert "(1 of 2 seeds)" in board


def test_it_is_marked_on_boards_in_results_and_where_it_is_published_until_it_is_resolved(
    out: Path, plan: Plan, cli: Cli, smoke: Path, tmp_path: Path
):
    trial = trial_of(plan, "random")
    disagree(out, plan, trial.stages[-1])
    run(cli, out, "-q")
    was, board = (smoke / "leaderboards" / "smoke.md").read_text(), (out / "leaderboards" / "smoke.md").read_text()
    assert "reproducible" not in was
    assert board.count("≠: Not reproducible: ") == 1
    assert "random, 50 % (1 of 2 seeds)." in board
    assert "## Not reproducible" in board
    assert "- colored-digits-tiny: random\\[sparsity=0.5\\]: seeds 0\n" in board
    public = tmp_path / "public"
    published = cli("leaderboard", "smoke", "-o", str(out), "--publish", str(public), cwd=tmp_path)
    assert (published.returncode, undated(published.stdout)) == (0, board)
    assert cli("leaderboard", "smoke", "--records", str(public), cwd=tmp_path).stdout == published.stdout
    results = load_results("smoke", out=out)
    assert (results.exit_code, results.text) == (3, board)
    assert [found.trials for found in results.report.conflicts] == [(trial.label,)]
    assert "1 not reproducible" in repr(results)
    bodies = {name: text for name, text in tree(out).items() if name.startswith("records")}
    assert bodies == {name: text for name, text in tree(smoke).items() if name.startswith("records")}

    assert cli("clean", "--quarantine", "-o", str(out), cwd=tmp_path).returncode == 0
    assert load_results("smoke", out=out).text == was, "the mark of the record does not outlive the conflict"
    done = run(cli, out, "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert tree(out) == tree(smoke)
    assert (out / "leaderboards" / "smoke.md").read_text() == was
    for path in (out / "records" / "smoke").glob("*.json"):
        assert path.read_bytes() == (smoke / "records" / "smoke" / path.name).read_bytes()


def test_only_names_of_conflicts_count(out: Path, plan: Plan, cli: Cli):
    key = trial_of(plan, "random").stages[-1]
    for name in ("conflict-x.json", f"conflict-{key}.json", f"conflict-{key}-{'0' * 12}.json.swp", "damaged-1"):
        (out / "quarantine" / name).write_text("{}")
    assert Store(out).conflicts() == {}
    assert run(cli, out, "-q").returncode == 0


def test_a_record_is_marked_by_its_own_stages_alone(out: Path, plan: Plan):
    trial = trial_of(plan, "random")
    record = TrialRecord.from_file(out / "records" / "smoke" / f"{trial.id}.json")
    assert marked(record, {"0" * 64}) is record
    once = marked(record, {trial.stages[0], "0" * 64})
    assert once.measured["conflicts"] == [trial.stages[0]]
    assert (once.body, TrialRecord.from_text(once.to_text())) == (record.body, once)
    assert marked(once, ()) == record
