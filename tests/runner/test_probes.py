"""Probes in suites: a stage of their own, a table in the record, a section of the board; nothing flows back."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shutil
from dataclasses import fields, replace
from pathlib import Path

import pytest

from benchbias import ProbeContext, Table, TrainContext
from benchbias.board.markdown.probe_tables import probe_failures, probe_sections
from benchbias.board.text import number_text
from benchbias.cli.folders import doctor
from benchbias.errors import UsageError
from benchbias.plan.trials import Plan, Selection
from benchbias.records.trial import TrialRecord
from benchbias.runner.publishing import rebuild
from benchbias.runner.workspace import Workspace
from benchbias.statistics.estimates import estimate
from benchbias.store.store import Store
from benchbias.suite.catalogue import load, shipped_file
from support.running import tree

PLUGIN = '''
"""Probes for tests."""
from benchbias import Skip, Table, hookimpl

def looks(model, data, context, *, factor: float = 1.0):
    """A number of the seed, what the probe was given, and the distance from earlier epochs."""
    now = model.state_dict()["conv1.weight"]
    far = [float((now - context.checkpoint(epoch).state_dict()["conv1.weight"]).norm()) for epoch in (0, 1, 2)]
    number = float(data.splits["test"].cluster.sum() % 1000)
    where = ("start", "first", "last", "seed")
    values = (*far, factor * number)
    zeros = (int((now == 0).sum()), context.trained_epochs, None, len(data.splits["test"].split))
    return Table({"what": ("text", "", where), "value": ("number", "", values), "more": ("count", "", zeros)}, "Looked")

def breaks(model, data, context):
    """It never works."""
    raise ValueError("it never works")

def skips(model, data, context):
    """It does not fit."""
    raise Skip("not for this model")

def no_table(model, data, context):
    """It returns no table."""
    return {}

def unkept(model, data, context):
    """It asks for an epoch that was not kept."""
    context.checkpoint(7)

@hookimpl
def benchbias_probes():
    return {"looks": looks, "breaks": breaks, "skips": skips, "no_table": no_table, "unkept": unkept}
'''
TOML = """
schema = 1
[suites.probed]
title = "Probes"
version = "1"
tasks = ["colored-digits-tiny"]
methods = ["erm", "magnitude"]
seeds = 2
metrics = ["accuracy"]
rank_by = "accuracy"
probes = ["looks", "breaks", "skips", "no_table", "unkept"]
override.erm = { recipe = { epochs = 2, keep_epochs = [1, 2] } }
override.magnitude = { sweep = { sparsity = [0.5] }, recipe = { epochs = 2, keep_epochs = [1, 2] } }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cli) -> Path:
    """A finished run."""
    path = tmp_path_factory.mktemp("probed")
    (path / "probes.py").write_text(PLUGIN)
    (path / "own.toml").write_text(TOML)
    done = cli("run", "-s", "probed", *OPTIONS, "-j", "1", "-q", cwd=path)
    assert done.returncode == 1, done.stderr
    return path


OPTIONS = ("--config", "own.toml", "--plugin", "probes.py", "-o", "results")


def planned(folder: Path, old: str = "", new: str = "", plugin: str = PLUGIN, **selection) -> Plan:
    assert old in TOML
    (folder / "probes.py").write_text(plugin)
    (folder / "other.toml").write_text(TOML.replace(old, new))
    workspace = Workspace.open(folder / "other.toml", [folder / "probes.py"], quiet=True)
    return workspace.plan("probed", Selection(**selection))


def records(folder: Path) -> list[TrialRecord]:
    return [TrialRecord.from_file(path) for path in sorted((folder / "results/records/probed").glob("*.json"))]


def column(record: TrialRecord, name: str) -> list:
    return next(c["values"] for c in record.body["probes"]["looks"]["columns"] if c["name"] == name)


# a run


def test_a_failing_probe_costs_no_score_and_is_told_everywhere(folder: Path, cli):
    assert {record.body["status"] for record in records(folder)} == {"ok"}
    for record in records(folder):
        told = record.body["probe_failures"]
        assert set(record.body["probes"]) == {"looks"}
        assert {name: failure["status"] for name, failure in told.items()} == {
            **dict.fromkeys(("breaks", "no_table", "unkept"), "failed"),
            "skips": "skipped",
        }
        assert told["breaks"]["reason"] == "ValueError: it never works (probe 'breaks' of plugin 'probes.py')"
        assert "returned dict, not a Table" in told["no_table"]["reason"]
        assert "epoch 7 was not kept (known: 0, 1, 2)" in told["unkept"]["reason"]
    board = (folder / "results/leaderboards/probed.md").read_text()
    assert "breaks: failed in 2 trials: ValueError: it never works" in board
    status = cli("status", "-s", "probed", *OPTIONS, cwd=folder).stdout
    assert "4 done" in status
    assert status.count("probe failed") == 12
    assert status.count("probe skipped") == 4
    log = cli("logs", "colored-digits-tiny/erm/0", "-s", "probed", *OPTIONS, cwd=folder).stdout
    assert "probe breaks, seed 0: not done" in log
    assert "raise ValueError" in log
    assert "probe looks, seed 0: done" in log


def test_a_second_run_computes_nothing_and_doctor_knows_what_probes_made(folder: Path, cli):
    before = tree(folder / "results")
    done = cli("run", "-s", "probed", *OPTIONS, "-j", "1", "--json", cwd=folder)
    assert json.loads(done.stdout)["stages"]["computed"] == 0
    assert done.returncode == 1
    assert tree(folder / "results") == before
    workspace = Workspace.open(folder / "own.toml", [folder / "probes.py"], quiet=True)
    store = Store(folder / "results")
    one = dataclasses.replace(workspace.catalogue, suites={"probed": workspace.catalogue.suites["probed"]})
    found = next(doctor._stale(dataclasses.replace(workspace, catalogue=one), store, store.keys()))
    assert "0 products and 0 records of other sources" in found.found


def test_a_probe_reads_kept_epochs_and_the_start_under_the_mask(folder: Path):
    for record in records(folder):
        start, first, last, _ = column(record, "value")
        zeros, epochs, undefined, size = column(record, "more")
        assert (epochs, undefined) == (2, None)
        assert size > 600
        if record.body["method"] == "erm":
            assert start > first > last == 0
            assert zeros == 0
        else:
            assert zeros > 10
            assert last == 0, "epoch 2 of the fine-tuning is the model, under its mask too"


def test_the_board_has_the_mean_over_seeds_and_is_made_of_records_alone(folder: Path, tmp_path: Path):
    board = (folder / "results/leaderboards/details/probed.md").read_text()
    values = [column(record, "value")[3] for record in records(folder) if record.body["method"] == "erm"]
    row = next(line for line in board.splitlines() if line.startswith("| erm ") and "| seed " in line)
    assert row.split("|")[3].strip() == number_text(estimate(values)), "two seeds have a mean and no interval"
    assert "±" not in row
    (tmp_path / "records").mkdir()
    shutil.copytree(folder / "results/records/probed", tmp_path / "records/probed")
    assert rebuild("probed", tmp_path)["details/probed.md"] == board


def test_clean_leaves_what_probes_made(folder: Path, tmp_path: Path, cli):
    copy = shutil.copytree(folder / "results", tmp_path / "results")
    assert cli("clean", "-o", str(copy)).returncode == 0
    assert tree(copy) == tree(folder / "results")


def test_a_record_of_other_probes_is_stale(folder: Path, tmp_path: Path, cli):
    for name in ("probes.py", "own.toml"):
        shutil.copy(folder / name, tmp_path)
    shutil.copytree(folder / "results", tmp_path / "results")
    (tmp_path / "own.toml").write_text(TOML.replace('"looks"', '{ use = "looks", factor = 2.0 }'))
    status = cli("status", "-s", "probed", *OPTIONS, cwd=tmp_path).stdout
    assert "4 stale" in status
    assert "4 missing" in status


# a plan


def test_probes_are_no_part_of_keys_and_identities_of_what_is_scored(tmp_path: Path):
    line = 'probes = ["looks", "breaks", "skips", "no_table", "unkept"]\n'
    without, with_ = planned(tmp_path, line), planned(tmp_path)
    assert {key for key, stage in with_.stages.items() if stage.kind != "probe"} == set(without.stages)
    assert [(trial.id, trial.stages, trial.track) for trial in with_.trials] == [
        (trial.id, trial.stages, trial.track) for trial in without.trials
    ]
    assert all(trial.everything == trial.stages and not trial.probes for trial in without.trials)
    assert sum(stage.kind == "probe" for stage in with_.stages.values()) == 5 * 4


def shipped_plans() -> list[Plan]:
    workspace = Workspace.open(shipped_file(), quiet=True)
    return [workspace.plan(name, Selection(seeds=1)) for name in load(shipped_file()).suites]


def test_nothing_has_a_probe_as_its_parent(tmp_path: Path):
    plans = [planned(tmp_path), *shipped_plans()]
    assert sum(stage.kind == "probe" for plan in plans for stage in plan.stages.values()) > 20
    for plan in plans:
        parents = {plan.stages[key].kind for stage in plan.stages.values() for key in stage.parents.values()}
        assert "probe" not in parents


def test_the_types_give_a_probe_nothing_to_hand_on():
    """No `save`, no `fit`; it is frozen, and no other context has what a probe may see."""
    assert not {"save", "saved", "fit", "fit_weighted", "written"} & set(dir(ProbeContext))
    assert not issubclass(ProbeContext, TrainContext.__mro__[1])
    assert ProbeContext.__dataclass_params__.frozen
    assert {field.name for field in fields(TrainContext)} >= {"data"}
    assert str(TrainContext.__annotations__ | TrainContext.__mro__[1].__annotations__).count("BiasedDataset") == 0


def test_an_option_of_a_probe_changes_its_key_alone(tmp_path: Path):
    one, other = planned(tmp_path), planned(tmp_path, '"looks"', '{ use = "looks", factor = 2.0 }')
    assert {stage.label for key, stage in other.stages.items() if key not in one.stages} == {
        "probe looks, seed 0",
        "probe looks, seed 1",
    }


def test_probed_names_the_methods_that_are_probed(tmp_path: Path):
    plan = planned(tmp_path, "seeds = 2\n", 'seeds = 2\nprobed = ["erm"]\n')
    assert {trial.method: len(trial.probes) for trial in plan.trials} == {"erm": 5, "magnitude": 0}


def test_a_search_for_settings_runs_no_probe(tmp_path: Path):
    assert not any(trial.probes for trial in planned(tmp_path, split="val").trials)


def test_a_probe_of_a_broken_plugin_leaves_its_trials_scored(tmp_path: Path):
    plan = planned(tmp_path, plugin="raise RuntimeError")
    for trial in plan.trials:
        assert trial.blocked is None
        assert trial.stages
        assert set(trial.blocked_probes) == {"looks", "breaks", "skips", "no_table", "unkept"}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"looks"', '"loks"', "did you mean 'looks'"),
        ('"looks"', '"breaks"', "a probe stands twice"),
        ('"looks"', '{ use = "looks", facto = 1.0 }', "did you mean 'factor'"),
        ('"looks"', "3", "expected { use"),
        ("seeds = 2", 'seeds = 2\nprobed = ["emr"]', "did you mean 'erm'"),
    ],
)
def test_mistakes_in_a_suite_are_one_clear_message(tmp_path: Path, old, new, told):
    with pytest.raises(UsageError, match=told):
        planned(tmp_path, old, new)


# tables


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"x": ("number", "", (1.0, "a"))}, "column 'x', row 1: 'a' is no number"),
        ({"x": ("number", "", (True,))}, "True is no number"),
        ({"x": ("number", "", (math.inf,))}, "inf is no number"),
        ({"x": ("fraction", "", (1.5,))}, "1.5 is no fraction"),
        ({"x": ("count", "", (-1,))}, "-1 is no count"),
        ({"x": ("count", "", (1.0,))}, "1.0 is no count"),
        ({"x": ("image", "", (None,))}, "None is no image"),
        ({"x": ("text", "", (None,))}, "None is no text"),
        ({"x": ("text", "", ("a\nb",))}, "is no text"),
        ({"x": ("words", "", ())}, "kind 'words'"),
        ({"x": ("text", "", ("a",)), "y": ("count", "", ())}, "one length"),
        ({"x": ("image", "", (1,)), "y": ("image", "", (1,))}, "one image column"),
        ({"x": ("count", "", (0,) * 20_001)}, "20,000 cells"),
        ({"x" * 201: ("count", "", ())}, "one line of at most 200"),
    ],
)
def test_a_table_is_checked_where_it_is_made(columns, told):
    with pytest.raises(ValueError, match=told):
        Table(columns, "caption")


def test_a_table_comes_back_from_json_and_undefined_is_null():
    table = Table(
        {"a": ("text", "", ("x", "y")), "n": ("number", "m", (1, math.nan)), "f": ("fraction", "", (0, None))}, "c"
    )
    plain = table.to_json()
    assert plain["columns"][1] == {"name": "n", "kind": "number", "unit": "m", "values": [1.0, None]}
    assert Table.from_json(json.loads(json.dumps(plain))).to_json() == plain


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda b: b["probes"]["looks"].update(more=1), "body.probes.looks.*unknown key 'more'"),
        (lambda b: b["probes"]["looks"]["columns"][0].update(more=1), "unknown key 'more'.*known: kind, name, unit"),
        (lambda b: b["probes"]["looks"]["columns"][1]["values"].append(1.0), "one length"),
        (lambda b: b["probes"]["looks"]["columns"][2]["values"].__setitem__(0, -1), "no count"),
        (lambda b: b["probes"].update(breaks=b["probes"]["looks"]), "not both"),
        (lambda b: b["probe_failures"]["breaks"].update(status="ok"), "status"),
        (lambda b: b["probe_failures"]["breaks"].update(x="ok"), "unknown key 'x'"),
    ],
)
def test_a_record_with_another_table_is_refused_by_one_line(folder: Path, tmp_path: Path, change, told):
    document = json.loads(next((folder / "results/records/probed").glob("*.json")).read_text())
    change(document["body"])
    path = tmp_path / f"{document['body']['trial']}.json"
    path.write_text(json.dumps(document))
    with pytest.raises(UsageError, match=told):
        TrialRecord.from_file(path)


def made(seed: int, values: list[float | None], texts: list[str], **more) -> TrialRecord:
    table = Table({"what": ("text", "", tuple(texts)), "share": ("fraction", "", tuple(values))}, "Cap*tion")
    head = {"trial": "0", "suite": {}, "task": "t", "method": "m", "swept": {}, "seed": seed, "status": "ok"}
    return TrialRecord({**head, "metrics": {"a": 1}, "probes": {"p": table.to_json()}, **more}, {})


def test_rows_of_equal_texts_are_averaged_within_a_seed_and_then_over_seeds():
    lines = probe_sections(
        [made(0, [0.3, 0.5, None], ["x", "x", "y"]), made(1, [0.42, 0.5], ["x", "y"]), made(2, [0.41], ["x"])]
    )
    x, y = (next(line for line in lines if f"| {text} " in line) for text in ("x", "y"))
    expected = estimate([0.4, 0.42, 0.41])
    assert expected is not None
    low, high = (float(bound) for bound in re.search(r"41\.0 \((.*?)–(.*?)\)", x).groups())
    assert high - low == pytest.approx(200 * expected.half_width, abs=0.2)
    assert "50.0 (1)" in y
    assert [line.split("|")[-2].strip() for line in (x, y)] == ["3", "2"]
    assert "Cap\\*tion" in lines
    assert probe_sections([made(0, [], [], probes={})]) == []


def test_failures_are_counted_by_reason():
    bad = made(0, [], [], probe_failures={"q": {"status": "failed", "reason": "a*b"}})
    assert probe_failures([bad, bad])[-1] == "- t: m: q: failed in 2 trials: a\\*b"
    assert probe_failures([made(0, [], [])]) == []


@pytest.mark.parametrize(
    ("mean", "width", "text"),
    [
        (-3.21049, 0.4567, "-3.21 ± 0.46"),
        (12345.6, 120.0, "12346 ± 120"),
        (0.00012345, 0.000021, "0.000123 ± 0.000021"),
        (-0.004, 0.4, "0.00 ± 0.40"),
        (1.23456, None, "1.235"),
        (2.0, 0.0, "2"),
    ],
)
def test_numbers_have_two_digits_of_their_interval(mean, width, text):
    one = estimate([1.0])
    assert one is not None
    assert number_text(replace(one, mean=mean, half_width=width)) == text
