"""Analyses in suites: what they are given, where their tables go, what a failure costs, and the verb `analyse`."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchbias import BenchbiasError, Estimate, Population, Table, estimate, run
from benchbias.errors import UsageError
from benchbias.records.analysis import AnalysisRecord
from benchbias.records.columns import check_table
from benchbias.runner.publishing import rebuild
from benchbias.stages.data import drawn_share
from support.markdown import undated
from support.populations import answers, member, population, predictions

SUITE = """
schema = 1
[suites.mine]
title = "Mine"
version = "1"
tasks = ["tiny"]
methods = ["erm", "erm-ft", "magnitude"]
seeds = 2
metrics = ["worst_group_accuracy", "accuracy"]
rank_by = "worst_group_accuracy"
reference = "erm"
analyses = ["seen"]
override.erm-ft = { recipe = { epochs = 1 } }
override.magnitude = { recipe = { epochs = 1 }, sweep = { sparsity = [0.5, 0.9] } }
[tasks.tiny]
dataset = { use = "colored_digits", conflict_ratio = 0.05, draws = 1, seed = 0 }
model = { use = "lenet_small", width = 0.25 }
recipe = { epochs = 1, batch_size = 64, optimizer = "adamw", lr = 3e-3 }
"""

SEEN = '''
"""What an analysis is given."""
from benchbias import Population, Table, estimate, hookimpl

def seen(population: Population, *, split: str = "test", more: int | None = None) -> Table:
    """Accuracy of every row, from the predictions, beside what the records say."""
    rows = population.rows()
    population.require_same_examples(split)
    found = [[float(m.predictions[split].correct.double().mean()) for m in ms] for ms in rows.values()]
    told = [[m.record.body["metrics"]["accuracy"] for m in ms] for ms in rows.values()]
    twins = [sum(one.row == row for _, one in population.pairs()) for row in rows]
    share = [ms[0].trained_on for ms in rows.values()]
    for m in population.members:
        if m.trained_on is not None:
            assert m.predictions["train-all"].cluster[m.trained_on].equal(m.predictions["train"].cluster)
    columns = {
        "row": ("text", "", tuple(rows)),
        "accuracy": ("estimate", "", tuple(map(estimate, found))),
        "recorded": ("number", "", tuple(sum(v) / len(v) for v in told)),
        "twins": ("count", "", tuple(twins)),
        "splits": ("text", "", tuple(", ".join(sorted(ms[0].predictions)) for ms in rows.values())),
        "share": ("number", "", tuple(None if s is None else float(s.double().mean()) for s in share)),
        "steps": ("count", "", tuple(ms[0].record.body["training_steps"] for ms in rows.values())),
    }
    return Table(columns, "What an analysis sees.")

def refuses(population: Population) -> Table:
    """An analysis that fails."""
    raise ValueError("no such luck")

@hookimpl
def benchbias_analyses():
    return {"seen": seen, "refuses": refuses}
'''


def told(folder: Path, text: str = SUITE, plugin: str = SEEN) -> dict[str, object]:
    (folder / "own.toml").write_text(text)
    (folder / "seen.py").write_text(plugin)
    return {"config": folder / "own.toml", "plugins": folder / "seen.py", "out": folder / "results"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run, its folder, and its results."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, run("mine", **told(folder))


def test_an_analysis_sees_every_trial_with_its_record_and_its_predictions(finished):
    _, results = finished
    assert results.exit_code == 0
    table = results.analysis("seen").to_frame()
    assert list(table["row"]) == ["erm", "erm-ft", "magnitude[sparsity=0.5]", "magnitude[sparsity=0.9]"]
    assert list(table["twins"]) == [0, 0, 2, 2], "erm-ft is the twin of magnitude"
    assert (table["accuracy"] - table["recorded"]).abs().max() < 1e-12
    by_row = results.to_frame().groupby("row").mean(numeric_only=True)
    for _, line in table.iterrows():
        named = line["row"]
        assert line["recorded"] == pytest.approx(by_row.loc[named, "accuracy"], abs=1e-12)
        assert line["steps"] == by_row.loc[named, "training_steps"]
    assert set(table["splits"]) == {"test, train"}
    assert table["share"].isna().all()
    assert list(table["accuracy.n"]) == [2] * 4


def test_its_table_is_on_the_board_and_in_a_record_beside_those_of_trials(finished, cli):
    folder, results = finished
    details = results.files["details/mine.md"]
    assert "## Analyses" in details
    assert "Of 8 trials. What an analysis sees." in details
    path = folder / "results/records/mine/analyses/tiny+seen.json"
    record = AnalysisRecord.from_file(path)
    assert record.to_text() == path.read_text()
    assert record.table is not None
    assert record.table.to_json() == results.analysis("seen").to_json()
    published = folder / "published"
    options = ["--config", "own.toml", "--plugin", "seen.py"]
    done = cli("leaderboard", "mine", *options, "--publish", str(published), cwd=folder)
    assert done.returncode == 0, done.stderr
    rebuilt = rebuild("mine", published)
    assert rebuilt["mine.md"] == done.stdout, "from the published records alone"
    pages = {name: undated(text) for name, text in rebuilt.items() if name.endswith(".md")}
    assert pages == results.files
    (published / "records/mine/analyses/tiny+old.json").write_text("{}")
    notes = published / "records/mine/notes/mine.json"
    notes.parent.mkdir()
    notes.write_text("{}")
    refused = cli("leaderboard", "mine", *options, "--publish", str(published), cwd=folder)
    assert refused.returncode == 2
    assert "tiny+old.json" in refused.stderr
    cli("leaderboard", "mine", *options, "--publish", str(published), "--replace", cwd=folder)
    assert [p.name for p in (published / "records/mine/analyses").iterdir()] == ["tiny+seen.json"], "the old one went"
    assert notes.exists(), "what is not ours stays"
    read = cli("analyse", "mine", "--records", str(published), cwd=folder)
    assert read.stdout.strip() == details[details.index("## Analyses") :].split("\n\nAccuracies in")[0].strip()


def test_a_second_run_computes_nothing_and_a_changed_option_only_the_analysis(finished):
    folder, results = finished
    old = folder / "results/records/mine/analyses/tiny+old.json"
    old.write_text("{}")
    again = run("mine", **told(folder))
    assert (again.report.computed, again.text) == (0, results.text)
    assert old.read_text() == "{}", "a run removes no record that it was not told to"
    old.unlink()
    (folder / "own.toml").write_text(SUITE.replace('["seen"]', '[{ use = "seen", split = "train" }]'))
    changed = run("mine", config=folder / "own.toml", plugins=folder / "seen.py", out=folder / "results")
    assert changed.report.computed == 1
    assert changed.analysis("seen") != results.analysis("seen")


def test_a_failing_analysis_costs_no_score_and_is_told_with_its_reason(finished, cli):
    folder, whole = finished
    files = told(folder, SUITE.replace('["seen"]', '["seen", "refuses"]'))
    results = run("mine", **files)
    assert results.exit_code == 1
    assert all(record.body["status"] == "ok" for record in results.records)
    assert results.analysis("seen") == whole.analysis("seen")
    assert "- tiny/refuses: failed: analyse refuses of tiny: ValueError: no such luck" in results.text
    with pytest.raises(UsageError, match=r"tiny/refuses has no table: failed: .*no such luck"):
        results.analysis("refuses")
    with pytest.raises(UsageError, match="unknown analysis 'sean'; did you mean 'seen'"):
        results.analysis("sean")
    options = ["--config", "own.toml", "--plugin", "seen.py"]
    status = cli("status", "-s", "mine", *options, cwd=folder)
    assert "analysis failed" in status.stdout
    assert "no such luck" in status.stdout
    log = cli("logs", "tiny/refuses", "-s", "mine", *options, cwd=folder)
    assert "Traceback" in log.stdout
    assert 'raise ValueError("no such luck")' in log.stdout
    told(folder)


def test_a_failed_trial_blocks_the_analyses_that_are_made_of_it_and_no_other(tmp_path: Path):
    broken = SUITE.replace(
        "[tasks.tiny]", "[methods.bad]\nstages = [{ train = 'erm', recipe = { augment = 'flip-crop' } }]\n[tasks.tiny]"
    )
    files = told(tmp_path, broken.replace('"magnitude"]', '"bad"]').replace("override.magnitude", "# "))
    results = run("mine", seeds=1, **files)
    assert results.exit_code == 1
    assert "- tiny/seen: failed: train erm, seed 0" in results.text
    text = (tmp_path / "own.toml").read_text().replace('analyses = ["seen"]', 'analyses = ["seen"]\nanalysed = ["erm"]')
    (tmp_path / "own.toml").write_text(text)
    results = run("mine", seeds=1, **files)
    assert list(results.analysis("seen").columns["row"][2]) == ["erm"]


def test_a_method_of_a_broken_plugin_is_no_member_and_blocks_no_analysis(tmp_path: Path):
    text = SUITE.replace("[tasks.tiny]", "[methods.gone]\nstages = [{ train = 'nowhere' }]\n[tasks.tiny]")
    files = told(tmp_path, text.replace('"erm-ft", "magnitude"', '"gone"').replace("override", "# override"))
    (tmp_path / "broken.py").write_text("raise ImportError('no such thing')")
    results = run("mine", seeds=1, **files | {"plugins": [tmp_path / "seen.py", tmp_path / "broken.py"]})
    assert [record.body["status"] for record in results.records] == ["ok", "failed"]
    assert list(results.analysis("seen").columns["row"][2]) == ["erm"]


def test_analyse_asks_what_the_suite_does_not_and_trains_nothing(finished, cli):
    folder, results = finished
    told(folder, SUITE.replace('analyses = ["seen"]\n', ""))
    options = ["--config", "own.toml", "--plugin", "seen.py"]
    none = cli("analyse", "mine", *options, cwd=folder)
    assert none.returncode == 2
    assert "has no analyses: name some" in none.stderr
    for name in ("x.csv", "x.json", "x.md", "x.parquet"):
        done = cli("analyse", "mine", "seen", *options, "--to", name, cwd=folder)
        assert done.returncode == 0, done.stderr
    frame = results.analysis("seen").to_frame()
    rows = list(csv.DictReader((folder / "x.csv").open()))
    assert [float(row["accuracy"]) for row in rows] == list(frame["accuracy"])
    assert pandas.read_parquet(folder / "x.parquet").equals(frame)
    document = json.loads((folder / "x.json").read_text())
    assert Table.from_json(document["table"]) == results.analysis("seen")
    assert (folder / "x.md").read_text().count("\n|") == len(rows) + 2
    wrong = cli("analyse", "mine", "seen", *options, "--to", "x.xls", cwd=folder)
    assert (wrong.returncode, "must end in .md, .csv, .parquet, .json" in wrong.stderr) == (2, True)
    missing = cli("analyse", "mine", "seen", *options, "--seeds", "3", cwd=folder)
    assert missing.returncode == 2
    assert "4 of 12 trials of suite 'mine' are not in results" in missing.stderr
    assert "did you mean 'seen'" in cli("analyse", "mine", "sen", *options, cwd=folder).stderr
    told(folder)


SHARES = '''
"""How training and test differ between members."""
from benchbias import Population, Table, hookimpl

def shares(population: Population) -> Table:
    """Of every member, conflicting training examples and the first test image, asked of all in turn."""
    members = population.members
    conflicting = [float((~m.predictions["train"].aligned).double().mean()) for m in members]
    first = [int(m.predictions["test"].cluster[0]) for m in members]
    columns = {
        "row": ("text", "", tuple(f"{m.row}, seed {m.seed}" for m in members)),
        "conflicting": ("fraction", "", tuple(conflicting)),
        "cluster": ("count", "", tuple(first)),
    }
    return Table(columns, "Shares.")

@hookimpl
def benchbias_analyses():
    return {"shares": shares}
'''


def test_a_member_has_the_labels_of_its_own_data(tmp_path: Path):
    even = "[methods.even]\ndataset = { conflict_ratio = 0.5 }\nstages = [{ train = 'erm' }]\n[tasks.tiny]"
    text = SUITE.replace("[tasks.tiny]", even).replace('"erm-ft", "magnitude"', '"even"').replace(", seed = 0 }", " }")
    text = "\n".join(line for line in text.splitlines() if not line.startswith("override"))
    results = run("mine", **told(tmp_path, text.replace('"seen"', '"shares"'), SHARES))
    frame = results.analysis("shares").to_frame().set_index("row")
    assert frame["conflicting"].round(2).to_dict() == {
        **{f"erm, seed {seed}": 0.05 for seed in (0, 1)},
        **{f"even, seed {seed}": 0.5 for seed in (0, 1)},
    }
    assert frame.loc["erm, seed 0", "cluster"] == frame.loc["even, seed 0", "cluster"]
    assert frame.loc["erm, seed 0", "cluster"] != frame.loc["erm, seed 1", "cluster"]


def test_a_task_may_predict_other_splits_and_train_each_seed_on_a_share(tmp_path: Path):
    text = SUITE.replace(
        "recipe = { epochs = 1, batch", 'predict = ["val_balanced"]\ntrain_fraction = 0.7\nrecipe = { epochs = 1, batch'
    )
    results = run("mine", methods="erm", **told(tmp_path, text))
    table = results.analysis("seen").to_frame()
    assert list(table["splits"]) == ["test, train, train-all, val_balanced"]
    assert table["share"][0] == pytest.approx(0.7, abs=0.01)
    bodies = [record.body for record in results.records]
    whole = run("mine", methods="erm", **told(tmp_path)).records[0].body
    assert sum(bodies[0]["train_group_total"]) == pytest.approx(0.7 * sum(whole["train_group_total"]), abs=2)
    assert bodies[0]["trial"] != whole["trial"]
    (tmp_path / "own.toml").write_text(text.replace("val_balanced", "val_balance"))
    bad = run(
        "mine", methods="erm", config=tmp_path / "own.toml", plugins=tmp_path / "seen.py", out=tmp_path / "results"
    )
    assert r"predict, seed 0: the data set has no split 'val\_balance' \(known: " in bad.text


@given(st.lists(st.integers(0, 3), min_size=8, max_size=60), st.floats(0.2, 0.9), st.integers(0, 9))
def test_a_share_holds_the_same_fraction_of_every_class(labels: list[int], fraction: float, seed: int):
    given_labels = torch.tensor(labels)
    counts = given_labels.bincount()
    if any(round(fraction * int(count)) == 0 < count for count in counts):
        with pytest.raises(BenchbiasError, match="leaves no example of class"):
            drawn_share(given_labels, fraction, seed)
        return
    chosen = drawn_share(given_labels, fraction, seed)
    found = given_labels[chosen].bincount(minlength=len(counts))
    assert found.tolist() == [round(fraction * int(count)) for count in counts]
    assert torch.equal(chosen, drawn_share(given_labels, fraction, seed))


def test_shares_of_two_seeds_differ():
    labels = torch.arange(200) % 2
    assert not torch.equal(drawn_share(labels, 0.5, 0), drawn_share(labels, 0.5, 1))


def test_an_estimate_comes_back_from_a_record_as_it_went():
    values = (estimate([0.1, 0.2, 0.4]), estimate([0.5]), None)
    table = Table({"value": ("estimate", "points", values)}, "Estimates")
    back = Table.from_json(json.loads(json.dumps(table.to_json())))
    for one, other in zip(values, back.columns["value"][2], strict=True):
        assert (one is None and other is None) or (one.parts == other.parts and one.half_width == other.half_width)
    assert values[0].interval() == pytest.approx(
        (values[0].mean - values[0].half_width, values[0].mean + values[0].half_width)
    )
    wide, narrow = values[0].interval(0.99), values[0].interval(0.5)
    assert wide[0] < narrow[0] < values[0].mean < narrow[1] < wide[1]


@pytest.mark.parametrize(
    "value",
    [
        *([1.0, 0.1, 2.0], [1.0, 0.1, 2.0, -1], [1.0, -0.1, 2.0, 3], [1.0, 0.1, 0.0, 3], [1.0, 0.1, None, 3]),
        *([None, 0.1, 2.0, 3], [float("nan"), None, None, 1], [1.0, 0.1, float("nan"), 3], ["1", None, None, 1]),
        *([1e31, None, None, 1], 0.5, "x", [True, None, None, 1], [1.0, None, None, 1.5]),
    ],
)
def test_no_other_value_is_an_estimate(value: object):
    check_table(
        "", [("value", "estimate", "", [[1.0, 0.1, 2.0, 3], [1.0, None, None, 1], Estimate(1.0, None, 1, None)])]
    )
    with pytest.raises(ValueError, match="is no estimate"):
        check_table("", [("value", "estimate", "", [value])])


def test_a_population_knows_its_rows_its_twins_and_that_its_examples_are_the_same():
    labels = torch.arange(12) % 3
    found = predictions(answers(labels, 3), labels)
    members = [member("erm", seed, found) for seed in (1, 0)]
    members += [member("ft", seed, found, swept={"epochs": epochs}) for seed in (0, 1) for epochs in (1, 2)]
    members += [
        member("mag", seed, found, swept={"sparsity": 0.5, "epochs": epochs}, baseline="ft")
        for seed in (0, 1)
        for epochs in (1, 2)
    ]
    members += [member("alone", 7, found, baseline="erm"), member("self", 0, found, baseline="self")]
    whole = population(members)
    assert [m.seed for m in whole.rows()["erm"]] == [0, 1]
    assert list(whole.rows())[:3] == ["erm", "ft[epochs=1]", "ft[epochs=2]"]
    pairs = [(base.row, one.row, base.seed == one.seed) for base, one in whole.pairs()]
    assert sorted(set(pairs)) == [
        (f"ft[epochs={epochs}]", f"mag[sparsity=0.5, epochs={epochs}]", True) for epochs in (1, 2)
    ]
    whole.require_same_examples()
    other = predictions(answers(labels, 3), labels.flip(0))
    with pytest.raises(BenchbiasError, match="fix its seed in the task"):
        population([*members, member("erm", 9, other)]).require_same_examples()
    with pytest.raises(BenchbiasError, match="'train' was not predicted by every trial"):
        whole.require_same_examples("train")


@pytest.mark.parametrize(
    ("change", "told_of"),
    [
        (lambda body: body.update(table=None), "an analysis that is ok has a table"),
        (lambda body: body.update(status="failed"), "no other has one"),
        (lambda body: body.update(task="other"), "it is the record of other/seen"),
        (lambda body: body.update(extra=1), "unknown key 'extra'"),
        (lambda body: body["table"]["columns"][1]["values"].__setitem__(0, [1, 2]), "is no estimate"),
        (lambda body: body["table"]["columns"].append({"name": "x"}), "kind"),
    ],
)
def test_a_forged_record_of_an_analysis_is_refused_by_name(finished, tmp_path: Path, change, told_of: str):
    folder, _ = finished
    document = json.loads((folder / "results/records/mine/analyses/tiny+seen.json").read_text())
    change(document["body"])
    path = tmp_path / "tiny+seen.json"
    path.write_text(json.dumps(document))
    with pytest.raises(UsageError) as refused:
        AnalysisRecord.from_file(path)
    assert str(path) in str(refused.value)
    assert told_of in str(refused.value)


def test_a_suite_with_an_unknown_analysis_or_option_is_refused(tmp_path: Path):
    for bad, message in (
        ('["sen"]', "unknown analysis 'sen'; did you mean 'seen'"),
        ('[{ use = "seen", splt = "train" }]', "unknown option 'splt'"),
        ('["seen", "seen"]', "an analysis stands twice"),
        ('["seen"]\nanalysed = ["erme"]', "did you mean 'erm'"),
    ):
        with pytest.raises(UsageError, match=message):
            run("mine", **told(tmp_path, SUITE.replace('["seen"]', bad)))


def test_a_population_is_what_its_plugin_asks_for():
    assert Population(()).pairs() == []
    assert Population(()).rows() == {}


def test_an_analysis_that_does_not_come_out_again_is_told_and_marked(finished, tmp_path, cli):
    folder = Path(shutil.copytree(finished[0], tmp_path / "finished"))
    results = run("mine", **told(folder))
    (planned,) = results.plan.analyses
    product = results.store.get(planned.key)
    other = {**product.body, "more": 1}
    results.store.put(planned.key, results.plan.stages[planned.key].inputs, other, product.blobs)
    again = run("mine", **told(folder))
    assert again.exit_code == 3
    assert [found.trials for found in again.report.conflicts] == [("tiny/seen",)]
    note = "Not reproducible: computed again, it came out otherwise."
    was, now = results.files["details/mine.md"], again.files["details/mine.md"]
    assert now == was.replace("What an analysis sees.", f"What an analysis sees. {note}")
    path = folder / "results/records/mine/analyses/tiny+seen.json"
    record = AnalysisRecord.from_file(path)
    assert record.conflict
    done = cli("analyse", "mine", "--config", "own.toml", "--plugin", "seen.py", "-q", cwd=folder)
    assert (done.returncode, note in done.stdout) == (3, True)
    assert "not reproducible: analyse seen of tiny" in done.stderr
    assert (record.to_text(), record.body) == (path.read_text(), results.analyses[0].body)
