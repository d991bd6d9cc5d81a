"""The document of a report: what it says is what the records and the board say."""

from __future__ import annotations

import json
import math
import random
import shlex
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from benchbias.board.entries import entries_of
from benchbias.board.standings import board_of
from benchbias.cli.options import selected
from benchbias.errors import UsageError
from benchbias.records.trial import TrialRecord
from benchbias.report.document import document_of
from benchbias.report.gathering.commands import command_of, reproduces
from benchbias.report.gathering.head import HIGHER_IS_BETTER
from benchbias.report.gathering.source import Source
from benchbias.report.making import report_of, write_report
from benchbias.runner.publishing import published_records
from benchbias.runner.workspace import Given, Workspace
from support import LEADERBOARD, RECORDS
from support.made_records import LAYOUTS, record
from support.made_reports import hostile_source, made_source, records_of


@pytest.fixture(scope="module")
def source() -> Source:
    return made_source()


@pytest.fixture(scope="module")
def suite(source: Source) -> dict:
    return document_of([source])["suites"][0]


def test_every_scored_trial_is_in_one_row_and_the_others_are_told(source: Source, suite: dict):
    head, rows = suite["head"], suite["board"]["rows"]
    assert (
        sum(len(row["seeds"]) for row in rows)
        == head["scored"]
        == sum(one.body["status"] == "ok" for one in source.records)
    )
    assert head["trials"] - head["scored"] == len(head["failed"]) == 2
    assert {one["words"] for one in head["failed"]} == {"broken"}
    assert len({row["id"] for row in rows}) == len(rows)


def test_rows_stand_as_on_the_board_with_its_ranks_and_verdicts(source: Source, suite: dict):
    entries = entries_of(board_of(source.records, source.layouts))
    assert [
        (row["task"], row["label"], row["verdict"], row["control"], row["rank"]) for row in suite["board"]["rows"]
    ] == [
        (one.row.task, one.row.label, one.verdict, one.control, None if one.rank is None else list(one.rank))
        for one in entries
    ]


def test_means_and_gaps_are_those_of_the_seeds(suite: dict):
    """Least accuracies have a bias that is taken off; accuracies have none."""
    rows = {(row["task"], row["label"]): row for row in suite["board"]["rows"]}
    for row in rows.values():
        assert row["metrics"]["accuracy"]["mean"] == pytest.approx(
            statistics.fmean(row["perSeed"]["accuracy"]), abs=2e-6
        )
        assert row["asCounted"] == pytest.approx(statistics.fmean(row["perSeed"]["worst_group_accuracy"]), abs=2e-6)
        for found in [*row["metrics"].values(), row["worstGroup"], *([row["gap"]] if row["gap"] else [])]:
            assert found["n"] == len(row["seeds"])
            assert found["low"] <= found["mean"] <= found["high"]
            assert not found["examplesOnly"]
        assert all(row["metrics"][name]["low"] >= 0 and row["metrics"][name]["high"] <= 1 for name in row["metrics"])
    good, bad = rows["toy", "grouped"], rows["toy", "small[sparsity=0.95]"]
    assert (good["verdict"], bad["verdict"], rows["toy", "plain"]["verdict"]) == ("helps", "harms", None)
    assert good["gap"]["low"] > 0 > bad["gap"]["high"]


def test_groups_add_up_to_the_records(source: Source, suite: dict):
    for row in suite["board"]["rows"]:
        bodies = [
            one.body
            for one in source.records
            if (one.body["status"], one.body["task"], one.body["method"]) == ("ok", row["task"], row["method"])
            and one.body["swept"] == row["swept"]
        ]
        assert [group["name"] for group in row["groups"]] == bodies[0]["group_names"]
        for at, group in enumerate(row["groups"]):
            shares = [body["group_correct"][at] / body["group_total"][at] for body in bodies]
            assert group["accuracy"]["mean"] == pytest.approx(statistics.fmean(shares), abs=1e-6)
            assert 0 <= group["accuracy"]["low"] <= group["accuracy"]["mean"] <= group["accuracy"]["high"] <= 1
            assert group["test"] == [bodies[0]["group_total"][at]]


def test_costs_are_of_the_records_and_unknown_where_a_seed_has_none():
    records = [one for one in records_of(seeds=3) if one.body["method"] == "plain"]
    row = document_of([Source("probe", records, LAYOUTS)])["suites"][0]["board"]["rows"][0]
    assert row["costs"]["seconds"]["mean"] == pytest.approx(4)
    assert row["costs"]["nonzeroBytes"] == 4000
    assert row["costs"]["relative"] == 1
    lacking = [*records[:2], replace(records[2], measured={})]
    row = document_of([Source("probe", lacking, LAYOUTS)])["suites"][0]["board"]["rows"][0]
    assert row["costs"]["seconds"] is None
    assert row["costs"]["peakBytes"] is None


def test_below_three_seeds_an_interval_says_that_it_is_of_the_examples_alone():
    found = document_of([Source("probe", records_of(seeds=2), LAYOUTS)])["suites"][0]["board"]["rows"]
    assert all(row["metrics"]["accuracy"]["examplesOnly"] and row["metrics"]["accuracy"]["n"] == 2 for row in found)


def test_records_without_groups_or_counts_or_control_are_told_without_them():
    row = document_of([Source("probe", [record(seed=seed) for seed in range(3)], {})])["suites"][0]["board"]["rows"][0]
    assert row["groups"] == []
    assert row["gap"] is row["verdict"] is row["control"] is None


def test_points_of_one_curve_share_everything_but_the_sparsity(suite: dict):
    series = {row["label"]: row["series"] for row in suite["board"]["rows"]}
    assert series["small[sparsity=0.5]"] == series["small[sparsity=0.95]"] == "small"
    assert series["sparse[density=0.2]"] == "sparse"
    layers = [record("cut", 0, swept={"layers": name, "sparsity": 0.5}) for name in ("conv1", "conv2")]
    rows = document_of([Source("probe", layers, {})])["suites"][0]["board"]["rows"]
    assert {row["series"] for row in rows} == {"cut, layers conv1", "cut, layers conv2"}


def test_a_metric_has_the_better_side_that_is_known_of_it():
    """The metric that ranks says its own; chance is the ideal of the shortcut's accuracy, so it has none."""
    shipped = Workspace.open().registry.names("metric")
    assert set(shipped) - {"spurious_attribute_accuracy"} == HIGHER_IS_BETTER
    names = ["loss", "accuracy", "spurious_attribute_accuracy", "attribute_accuracy"]
    suite = {"metrics": names, "rank_by": "-loss"}
    made = [record(seed=seed, metrics=dict.fromkeys(names, 0.5), suite=suite) for seed in range(3)]
    head = document_of([Source("probe", made, {})])["suites"][0]["head"]
    assert head["directions"] == dict(zip(names, (-1, 1, 0, 0), strict=True))


def test_rows_of_one_name_and_other_settings_keep_their_own_trials():
    """Another recipe makes another row: its numbers are not those of its namesake."""
    ones = [record("twice", seed, 0.3, settings={"epochs": 1}) for seed in range(3)]
    others = [record("twice", seed, 0.6, settings={"epochs": 2}) for seed in range(3)]
    rows = document_of([Source("probe", [*ones, *others], {})])["suites"][0]["board"]["rows"]
    found = {
        row["settings"]["epochs"]: (row["perSeed"]["accuracy"][0], row["metrics"]["accuracy"]["mean"]) for row in rows
    }
    assert found == {1: (0.3, 0.3), 2: (0.6, 0.6)}


def test_the_report_is_the_same_bytes_from_the_same_records_in_any_order(source: Source):
    shuffled = list(source.records)
    random.Random(3).shuffle(shuffled)
    assert report_of([replace(source, records=shuffled)]) == report_of([source])


@pytest.mark.parametrize("made", [made_source, hostile_source])
def test_the_document_is_json_that_has_no_nan(made):
    def numbers(value):
        if isinstance(value, dict):
            yield from (one for part in value.values() for one in numbers(part))
        elif isinstance(value, list):
            yield from (one for part in value for one in numbers(part))
        elif isinstance(value, float):
            yield value

    document = document_of([made()])
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert all(math.isfinite(value) for value in numbers(document))


def planned_by(command: str, workspace: Workspace) -> set[str]:
    """The ids of the trials that a command plans, its options read as the command line reads them."""
    words = shlex.split(command)
    assert words[:2] == ["benchbias", "run"]
    pairs = list(zip(words[2::2], words[3::2], strict=True))
    given = dict(pairs)
    sets = [value for option, value in pairs if option == "--set"]
    seed = int(given["--seed"]) if "--seed" in given else None
    selection = selected([given["--method"]], [given["--task"]], given.get("--seeds"), seed, sets)
    return {trial.id for trial in workspace.plan(given["--suite"], selection).trials}


@pytest.mark.parametrize("name", ["smoke", "prune-layers"])
def test_the_command_of_a_row_plans_its_trials(name: str):
    """Planned trials become records, these a row, and its command plans the trials again."""
    workspace = Workspace.open()
    plan = workspace.plan(name)
    chosen = {trial.row: trial for trial in plan.trials if trial.swept}
    for row in [*chosen][-2:]:
        trials = [trial for trial in plan.trials if trial.row == row]
        made = [record(one.method, one.seed, task=one.task, swept=dict(one.swept)) for one in trials]
        made = [
            replace(one, body={**one.body, "trial": trial.id, "suite": {**one.body["suite"], "name": name}})
            for one, trial in zip(made, trials, strict=True)
        ]
        source = Source(name, made, {}, plan=plan)
        found = document_of([source])["suites"][0]["board"]["rows"][0]
        assert planned_by(found["command"], workspace) == {trial.id for trial in trials}
        assert found["reproduces"] is True


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.name for path in RECORDS.iterdir() if path.is_dir()))
def test_the_commands_of_published_rows_plan_the_trials_of_their_records(name: str):
    """Every row that says so: its command makes these very trials."""
    records, layouts = published_records(name, LEADERBOARD)
    workspace = Workspace.open()
    source = Source(name, records, layouts, workspace=workspace, plan=workspace.plan(name))
    said = [row for row in source.rows if reproduces(source, row)]
    assert said, "no published row can be made again"
    for row in said:
        assert planned_by(command_of(source, row) or "", workspace) == {one.id for one in row.records.values()}, (
            row.label
        )


def test_a_row_of_another_version_is_said_to_be_one():
    """Records of other trials than this benchbias plans: the command is there, and does not claim to make them."""
    workspace = Workspace.open()
    made = [replace(one, body={**one.body, "method": "erm"}) for one in records_of() if one.body["method"] == "plain"]
    source = Source("smoke", made, LAYOUTS, workspace=workspace, plan=workspace.plan("smoke"))
    assert document_of([source])["suites"][0]["board"]["rows"][0]["reproduces"] is False
    assert document_of([replace(source, plan=None)])["suites"][0]["board"]["rows"][0]["reproduces"] is None


def test_a_list_of_seeds_is_one_and_a_limited_run_and_a_device_are_said():
    plain = [one.body for one in records_of(seeds=6, suite={"limit": 64}) if one.body["method"] == "plain"]
    made = [TrialRecord({**one, "environment": {"device": "cuda"}}, {}) for one in plain if one["seed"] in (0, 2, 5)]
    source = Source("probe", made, LAYOUTS)
    words = shlex.split(command_of(source, source.rows[0]) or "")
    assert words[words.index("--seeds") + 1] == "0,2,5"
    assert words[words.index("--limit") + 1] == "64"
    assert words[words.index("--device") + 1] == "cuda"


def test_files_of_the_users_are_named_as_they_were_given():
    made = [one for one in records_of() if one.body["method"] == "plain"]
    source = Source("probe", made, LAYOUTS, workspace=Workspace.open())
    row = source.rows[0]
    assert not {"--config", "--plugin"} & set(shlex.split(command_of(source, row) or ""))
    for given, catalogue, told in (
        (
            Given(Path("my own.toml"), (Path("a.py"), Path("../b.py"))),
            source.catalogue,
            "--config 'my own.toml' --plugin a.py --plugin ../b.py",
        ),
        (
            Given(),
            replace(source.catalogue, origin={("suites", "probe"): "benchmarks.toml"}),
            "--config benchmarks.toml",
        ),
    ):
        workspace = replace(source.workspace, given=given, catalogue=catalogue)
        assert (command_of(replace(source, workspace=workspace), row) or "").endswith(f" {told}")


@pytest.mark.parametrize("value", ["a\u202eb", "a\u2028b", "\x9b31m", "\u2066"])
def test_a_command_with_characters_that_are_not_shown_is_not_written(value: str):
    made = [record("erm", seed, swept={"kind": value}) for seed in range(2)]
    source = Source("probe", made, LAYOUTS)
    assert document_of([source])["suites"][0]["board"]["rows"][0]["command"] is None


def test_trials_of_settings_that_the_command_does_not_name_are_not_said_to_be_its_own():
    workspace = Workspace.open()
    changed = workspace.plan("smoke", selected(["erm"], None, sets=["recipe.epochs=3"]))
    for plan, own in ((changed, False), (workspace.plan("smoke", selected(["erm"], None)), True)):
        made = [record(one.method, one.seed, task=one.task) for one in plan.trials]
        made = [replace(one, body={**one.body, "trial": it.id}) for one, it in zip(made, plan.trials, strict=True)]
        source = Source("smoke", made, {}, workspace=workspace, plan=plan)
        assert reproduces(source, source.rows[0]) is own


def test_a_report_replaces_the_file_and_refuses_other_names(tmp_path: Path, source: Source):
    path = tmp_path / "report.html"
    path.write_text("before")
    assert write_report([source], path) == path.stat().st_size
    with pytest.raises(UsageError, match="must end in"):
        write_report([source], tmp_path / "report.pdf")
    with pytest.raises(UsageError, match="there is no folder"):
        write_report([source], tmp_path / "absent" / "report.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UsageError, match="it is a folder"):
        write_report([source], tmp_path / "folder.html")
