"""The search for settings: the same budget for all, no test example, ties to the default, a log that says it all."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchbias.errors import UsageError
from benchbias.plan.trials import Selection
from benchbias.runner.workspace import Workspace
from benchbias.suite.catalogue import load, shipped_file
from benchbias.suite.tables import SpaceTable
from benchbias.tuning.log import RECIPE, log_path, override_lines, read_log, render
from benchbias.tuning.search_space import (
    Dimension,
    Rule,
    Search,
    Value,
    choose,
    dimensions_of,
    mean_value,
    proposals,
    searches,
    worst_pooled,
)
from support import ROOT

PUBLISHED = log_path(ROOT / "leaderboard", "spurious-small")


@pytest.fixture(scope="module")
def workspace() -> Workspace:
    return Workspace.open(quiet=True)


def dimension(
    name: str = "a", low: float = 1, high: float = 100, *, log: bool = True, whole: bool = False
) -> Dimension:
    return Dimension(name, SpaceTable(low=float(low), high=float(high), log=log), 10, whole)


@given(st.floats(0.01, 10), st.floats(1.5, 1000), st.booleans(), st.floats(0, 1))
def test_a_position_and_its_value_are_each_others_inverse(low: float, factor: float, log: bool, at: float):
    one = dimension(low=low, high=low * factor, log=log)
    value = one.value(at)
    assert low * (1 - 1e-3) <= value <= low * factor * (1 + 1e-3)
    assert abs(one.position(value) - at) < 0.02 + 0.002 / (factor - 1) * factor


def test_proposals_start_at_the_default_and_fill_the_space_evenly():
    search = Search("m", "m", (dimension("a"), dimension("b", 0, 1, log=False), dimension("c", 1, 15, whole=True)))
    made = proposals(search, 17)
    assert made[0] == {"a": 10, "b": 10, "c": 10}
    assert len(made) == 17
    for one in search.dimensions:
        values = [settings[one.name] for settings in made[1:]]
        if one.whole:
            assert all(isinstance(value, int) and 1 <= value <= 15 for value in values)
        else:
            cells = sorted(int(16 * one.position(value) * (1 - 1e-9)) for value in values)
            assert len(set(cells)) >= 15, "a Sobol sequence puts one of 16 points into each sixteenth (but rounding)"


def test_proposals_depend_on_nothing_but_the_search():
    one, other = (Search(name, name, (dimension(),)) for name in ("one", "other"))
    assert proposals(one, 8) == proposals(one, 8)
    assert proposals(one, 16)[:5] == proposals(one, 5)
    assert proposals(one, 8)[1:] != proposals(other, 8)[1:]


def test_every_tunable_method_of_the_suite_is_searched_and_no_density_is(workspace: Workspace):
    found = {search.owner: search for search in searches(workspace.catalogue, workspace.registry, "spurious-small")}
    assert set(found) >= {RECIPE, "jtt", "group-dro", "rigl", "set", "rest", "undecayed"}
    assert next(iter(found)) == RECIPE
    names = {(owner, d.name) for owner, search in found.items() for d in search.dimensions}
    assert not {name for _, name in names} & {"density", "sparsity"}
    assert {("jtt", "upweight"), ("jtt", "identify_epochs"), ("rest", "upweight"), (RECIPE, "lr")} <= names
    assert "erm" not in found


def test_a_methods_own_space_goes_before_the_options_range(workspace: Workspace):
    bounds = {d.name: d.space for d in dimensions_of(workspace.catalogue.methods["rest"], workspace.registry)}
    assert bounds["upweight"].high == 200, "from benchmarks.toml"
    assert (bounds["drop"].low, bounds["drop"].high) == (0, 1), "from the option of the pruner inside the train stage"


def test_methods_without_group_labels_are_chosen_by_class_on_val(workspace: Workspace):
    table = workspace.catalogue.suite("spurious-small")
    assert Rule.of("labels-none", table) == Rule("val", "class")
    for track in ("val-select", "val-fit", "train"):
        assert Rule.of(track, table) == Rule("val_balanced", "group")


def scores(correct: list[int], total: list[int]) -> dict[str, object]:
    return {"group_correct": correct, "group_total": total, "num_classes": 2}


def test_seeds_are_pooled_before_the_worst_is_taken():
    one, other = scores([9, 1, 10, 0], [10, 10, 10, 0]), scores([10, 9, 0, 10], [10, 10, 10, 10])
    group = worst_pooled([one, other], "group")
    assert group is not None
    assert (group.accuracy, round(group.standard_error**2 * 20, 9)) == (0.5, 0.25)
    by_class = worst_pooled([one, other], "class")
    assert by_class is not None
    assert by_class.accuracy == 20 / 30, "the second class: 10 + 0 + 0 + 10 of 30"
    assert worst_pooled([one], "group") is None, "a group without an example"
    assert worst_pooled([one], "class") == Value(10 / 20, (0.25 / 20) ** 0.5)


def test_rows_of_a_sweep_are_averaged_and_their_errors_are_not_made_smaller():
    assert mean_value([Value(0.5, 0.1), Value(0.7, 0.1)]) == Value(0.6, 0.1)


SEARCH = Search("m", "m", (dimension("a"),))


def test_within_one_standard_error_the_trial_nearest_to_the_default_is_chosen():
    tried = [({"a": 10}, Value(0.80, 0.01)), ({"a": 80}, Value(0.90, 0.03)), ({"a": 20}, Value(0.88, 0.05))]
    assert choose(SEARCH, tried) == 2
    assert choose(SEARCH, [*tried, ({"a": 9}, Value(0.8701, 0.0))]) == 3
    assert choose(SEARCH, [({"a": 10}, Value(0.87, 0.0)), *tried[1:]]) == 0
    assert choose(SEARCH, [tried[0], ({"a": 80}, Value(0.90, 0.01)), tried[2]]) == 1, "0.88 is two errors away"


def test_a_failed_trial_is_not_chosen():
    assert choose(SEARCH, [({"a": 10}, None), ({"a": 80}, Value(0.1, 0.0))]) == 1
    assert choose(SEARCH, [({"a": 10}, None)]) is None


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, cli) -> Path:
    out = tmp_path_factory.mktemp("tune")
    done = cli("tune", "smoke", "-o", str(out), "-q")
    assert done.returncode == 0, done.stderr
    return out


def test_every_search_has_the_same_trials_and_one_choice(tuned: Path):
    entries = read_log(log_path(tuned, "smoke"))
    owners = {entry["owner"] for entry in entries}
    assert owners == {"jtt", "rigl", "rest"}
    for owner in owners:
        own = [entry for entry in entries if entry["owner"] == owner]
        assert [entry["trial"] for entry in own] == [0, 1]
        assert sum(entry["chosen"] for entry in own) == 1
        assert all(entry["seeds"] == [100] and entry["training_flops"] > 0 for entry in own)
    assert {entry["owner"] for entry in entries if entry["split"] == "val_balanced"} == {"rest"}


def test_no_test_example_is_predicted_or_scored(tuned: Path):
    objects = [json.loads(path.read_text())["content"] for path in (tuned / "objects").rglob("*.json")]
    scored = [item["inputs"]["split"] for item in objects if item["inputs"]["kind"] in ("predict", "score")]
    assert set(scored) == {"val", "val_balanced"}
    assert not list((tuned / "records").rglob("*.json")), "a search makes no record"
    blobs = {name for item in objects if item["inputs"]["kind"] == "predict" for name in item["blobs"]}
    assert blobs == {"logits"}


def test_the_same_search_again_computes_nothing_and_says_the_same(tuned: Path, cli):
    before = sorted((tuned / "objects").rglob("*.json"))
    log = log_path(tuned, "smoke").read_bytes()
    done = cli("tune", "smoke", "-o", str(tuned), "-q", "-m", "jtt")
    assert done.returncode == 0, done.stderr
    assert sorted((tuned / "objects").rglob("*.json")) == before
    assert log_path(tuned, "smoke").read_bytes() == log, "searches that were not run are kept"


def test_a_validation_score_and_a_test_score_have_different_keys(workspace: Workspace):
    plans = [
        workspace.plan("smoke", Selection(["erm"], seeds=[100], split=split))
        for split in ("test", "val", "val_balanced")
    ]
    kinds = [{stage.kind: key for key, stage in plan.stages.items()} for plan in plans]
    assert len({kind["train"] for kind in kinds}) == 1, "the same training serves all"
    assert len({kind["score"] for kind in kinds}) == len({kind["predict"] for kind in kinds}) == 3


def test_a_split_that_the_data_set_lacks_fails_with_the_known_ones(tmp_path: Path, cli):
    (tmp_path / "own.toml").write_text(
        'schema = 1\n[suites.own]\ntitle = "t"\nversion = "1"\ntasks = ["colored-digits-tiny"]\nmethods = ["rest"]\n'
        'seeds = 1\nmetrics = ["accuracy"]\nrank_by = "accuracy"\n'
        'tuning = { trials = 2, dev_seeds = [7], group_split = "val_best" }\n'
    )
    done = cli("tune", "own", "--config", str(tmp_path / "own.toml"), "-o", str(tmp_path / "out"), "-q")
    assert done.returncode == 1
    assert "no split 'val_best' (known: " in done.stderr
    entries = read_log(log_path(tmp_path / "out", "own"))
    assert [entry["accuracy"] for entry in entries] == [None, None]
    assert not any(entry["chosen"] for entry in entries)
    assert "failed" in done.stdout


def test_mistakes_are_one_line(tmp_path: Path, cli):
    for arguments, told in (
        (["smoke", "-m", "jt"], "did you mean 'jtt'"),
        (["smok"], "did you mean 'smoke'"),
    ):
        done = cli("tune", *arguments, "-o", str(tmp_path))
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert told in done.stderr
    (tmp_path / "own.toml").write_text(
        'schema = 1\n[suites.own]\ntitle = "t"\nversion = "1"\ntasks = ["colored-digits"]\nmethods = ["erm"]\n'
        'seeds = 1\nmetrics = ["accuracy"]\nrank_by = "accuracy"\n'
    )
    done = cli("tune", "own", "--config", str(tmp_path / "own.toml"))
    assert done.returncode == 2
    assert "has no `tuning` table (suites with one: " in done.stderr


def test_a_damaged_log_is_one_message(tmp_path: Path):
    (tmp_path / "x.jsonl").write_text('{"owner": "a"}\n')
    with pytest.raises(UsageError, match=r"x.jsonl: line 1: not an entry"):
        read_log(tmp_path / "x.jsonl")
    (tmp_path / "x.jsonl").write_text("{\n")
    with pytest.raises(UsageError, match=r"x.jsonl: line 1"):
        read_log(tmp_path / "x.jsonl")


def test_the_published_page_is_made_of_the_published_log():
    assert PUBLISHED.with_suffix(".md").read_text() == render(read_log(PUBLISHED))


def test_the_shipped_settings_are_what_the_published_search_chose():
    entries = read_log(PUBLISHED)
    shipped = load(shipped_file()).suites["spurious-small"]
    document = tomllib.loads("\n".join(override_lines(entries)))["override"]
    assert {name: shipped.override.get(name) for name in document} == document
    assert shipped.tuning is not None
    assert {tuple(entry["seeds"]) for entry in entries} == {tuple(shipped.tuning.dev_seeds)}
    assert isinstance(shipped.seeds, int)
    assert min(shipped.tuning.dev_seeds) >= shipped.seeds, "development seeds are none of the published ones"
    budget = {owner: sum(entry["owner"] == owner for entry in entries) for owner in {e["owner"] for e in entries}}
    assert set(budget.values()) == {shipped.tuning.trials}


def test_the_published_search_knows_every_method_with_something_to_search(workspace: Workspace):
    planned = {s.owner: s for s in searches(workspace.catalogue, workspace.registry, "spurious-small")}
    entries = read_log(PUBLISHED)
    assert {entry["owner"] for entry in entries} == set(planned)
    for owner, search in planned.items():
        tried = [entry["settings"] for entry in entries if entry["owner"] == owner]
        assert tried == proposals(search, len(tried)), f"{owner}: the log is of another space or another default"
