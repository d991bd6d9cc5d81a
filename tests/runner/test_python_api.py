"""`benchbias.run` and `benchbias.load_results`: frames, predictions, comparisons, display and types."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import benchbias
from benchbias.errors import StorageError
from benchbias.records.schema import Unscored
from benchbias.records.trial import TrialRecord
from benchbias.runner.frame import frame_of
from benchbias.store.store import Store
from support import ROOT
from support.markdown import blocks, tables

PAGE = (ROOT / "docs/python-api.md").read_text()


@pytest.fixture(scope="module")
def results(smoke: Path) -> benchbias.Results:
    return benchbias.load_results("smoke", out=smoke)


@pytest.fixture
def copied(smoke: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(smoke, tmp_path / "results"))


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_every_block_of_the_page_works(copied: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(copied.parent)
    names: dict[str, object] = {}
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        for block in blocks(PAGE, "python"):
            exec(compile(block, "python-api.md", "exec"), names)
    assert names["results"].report.computed == 0
    assert "Results(suite 'smoke': 6 trials, 6 ok; leaderboard: results/leaderboards/smoke.md)" in told.getvalue()
    assert "## colored-digits-tiny: magnitude\\[sparsity=0.5\\] against erm" in told.getvalue()


def test_loading_says_what_the_run_said_and_writes_nothing(smoke: Path):
    before = files(smoke)
    found = benchbias.load_results("smoke", out=str(smoke))
    assert found.leaderboard() == found._repr_markdown_() == (smoke / "leaderboards/smoke.md").read_text()
    assert {record.id for record in found.records} == {path.stem for path in smoke.glob("records/smoke/*.json")}
    assert found.exit_code == 0
    assert files(smoke) == before


def test_loading_writes_no_leaderboard_where_there_is_none(copied: Path):
    (copied / "leaderboards/smoke.md").unlink()
    before = files(copied)
    assert "## colored-digits-tiny" in benchbias.load_results("smoke", out=copied).leaderboard()
    assert files(copied) == before


def test_a_folder_without_trials_is_told_the_command(tmp_path: Path):
    with pytest.raises(benchbias.BenchbiasError, match=r"no current records of suite 'smoke': `benchbias run --suite"):
        benchbias.load_results("smoke", out=tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_string_stands_for_a_list_of_one(smoke: Path):
    (record,) = benchbias.load_results("smoke", methods="erm", tasks="colored-digits-tiny", seeds=1, out=smoke).records
    assert record.body["method"] == "erm"
    with pytest.raises(benchbias.BenchbiasError, match=r"--plugin wanda\.py: no such file"):
        benchbias.load_results("smoke", plugins="wanda.py", out=smoke)


def test_what_is_asked_for_and_not_done_counts_as_missing(copied: Path):
    found = benchbias.load_results("smoke", methods=["erm"], seeds=3, out=copied)
    assert (found.exit_code, len(found.records)) == (1, 2)
    assert "3 trials, 2 ok, 1 missing" in repr(found)
    with pytest.raises(benchbias.BenchbiasError, match="erm/2 is not done yet"):
        found.predictions("erm", seed=2)


# frames


def test_the_frame_holds_what_the_records_hold(results: benchbias.Results):
    frame = results.to_frame()
    assert len(frame) == len(results.records)
    by_trial = frame.set_index("trial")
    for record in results.records:
        row, body = by_trial.loc[record.id], record.body
        assert (row.task, row.method, row.seed, row.status) == (body["task"], body["method"], body["seed"], "ok")
        assert all(row[name] == value for name, value in body["metrics"].items())
        assert row["swept.sparsity"] == body["swept"].get("sparsity") or "sparsity" not in body["swept"]
        assert (row.sparsity, row.training_flops) == (body["sparsity"], body["training_flops"])
        parts = zip(body["group_names"], body["group_correct"], body["group_total"], strict=True)
        assert all(row[f"group.{name}"] == correct / total for name, correct, total in parts)
    assert frame.seed.dtype == "int64"
    assert frame.worst_group_accuracy.dtype == "float64"


def test_the_page_names_every_column(results: benchbias.Results):
    metrics = set(results.records[0].body["metrics"])
    for column in results.to_frame():
        name = column.split(".")[0] + ".NAME" if "." in column else column
        assert f"`{name}`" in PAGE or column in metrics, f"docs/python-api.md lacks the column {column}"


def test_failures_and_metrics_with_the_name_of_a_column_stand_in_the_frame(results: benchbias.Results):
    first, second = (dict(record.body) for record in results.records[:2])
    odd = TrialRecord(first | {"metrics": {"seed": 0.25, "undefined": None}}, {})
    keys = ("trial", "suite", "task", "method", "swept", "seed", "track")
    failed = {key: second[key] for key in keys} | {"status": "failed", "stage": "train erm", "reason": "no"}
    frame = frame_of([odd, TrialRecord(failed, {})]).set_index("trial")
    assert frame.loc[first["trial"], "metric.seed"] == 0.25
    assert frame.loc[first["trial"], "seed"] == first["seed"]
    row = frame.loc[second["trial"]]
    assert (row.status, row.stage, row.reason) == ("failed", "train erm", "no")
    assert frame.undefined.isna().all()
    assert row[["sparsity", "flops", "metric.seed"]].isna().all()
    assert len(frame_of([])) == 0


# predictions


def test_predictions_give_the_metrics_and_counts_of_the_record(results: benchbias.Results):
    record = next(record for record in results.records if record.body["swept"].get("sparsity") == 0.5)
    label = f"{record.body['method']}[sparsity=0.5]"
    answers = results.predictions(label, seed=record.body["seed"], task=record.body["task"])
    assert answers.split == "test"
    groups = range(len(record.body["group_names"]))
    correct = [int(answers.correct[answers.groups == group].sum()) for group in groups]
    assert correct == record.body["group_correct"]
    assert float(answers.correct.double().mean()) == pytest.approx(record.body["metrics"]["accuracy"], abs=1e-9)
    other = results.predictions(label.replace("[", "\\["), seed=record.body["seed"])
    assert torch.equal(answers.logits, other.logits)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"method": "ermm", "seed": 0}, r"unknown row 'ermm'; did you mean 'erm'\? \(known: .*jtt"),
        ({"method": "magnitude", "seed": 0}, "'magnitude' has several rows: magnitude.sparsity=0.5., magnitude"),
        ({"method": "erm", "seed": 7}, r"no seed 7 \(known: 0, 1\)"),
        ({"method": "erm", "seed": 0, "task": "waterbirds"}, "unknown task 'waterbirds'.*known: colored-digits-tiny"),
    ],
)
def test_a_trial_that_there_is_not_is_told_with_the_known_ones(results: benchbias.Results, arguments, words: str):
    with pytest.raises(benchbias.BenchbiasError, match=words):
        results.predictions(**arguments)


def test_a_failed_trial_says_why_it_has_no_predictions(copied: Path, results: benchbias.Results):
    (path,) = [
        copied / "records/smoke" / f"{record.id}.json"
        for record in results.records
        if (record.body["method"], record.body["seed"]) == ("erm", 1)
    ]
    record = TrialRecord.from_file(path)
    head = {key: record.body[key] for key in Unscored.model_fields if key in record.body}
    path.write_text(TrialRecord(head | {"status": "failed", "stage": "train erm", "reason": "it broke"}, {}).to_text())
    found = benchbias.load_results("smoke", out=copied)
    assert found.exit_code == 1
    assert "15 ok, 1 failed" in repr(found)
    with pytest.raises(benchbias.BenchbiasError, match=r"erm/1 has no predictions: it failed \(train erm: it broke\)"):
        found.predictions("erm", seed=1)
    assert found.to_frame().set_index(["row", "seed"]).loc[("erm", 1), "reason"] == "it broke"


def test_damaged_predictions_are_a_storage_error_not_numbers(copied: Path):
    found = benchbias.load_results("smoke", methods=["erm"], seeds=1, out=copied)
    (predict,) = [key for key, stage in found.plan.stages.items() if stage.kind == "predict"]
    store = Store(copied)
    blob = store.blob_path(store.get(predict).blobs["logits"])
    blob.chmod(0o644)
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    with pytest.raises(StorageError, match="damaged"):
        found.predictions("erm", seed=0)
    with pytest.raises(StorageError, match="gone"):
        found.predictions("erm", seed=0)


# types


def test_type_checkers_know_the_names_and_refuse_a_wrong_argument(tmp_path: Path):
    (tmp_path / "use.py").write_text("""
import benchbias
from benchbias import PruneContext, Results, Scores, TrainingData, hookimpl
from torch import Tensor, nn

results: Results = benchbias.run("smoke", methods=["erm"], seeds=[0, 1], rerun="failed")
logits: Tensor = results.predictions("erm", seed=0).logits
text: str = benchbias.load_results("smoke").compare("erm", "jtt", margin=0.02)
best: str = str(results.to_frame().status)
metrics: object = results.records[0].body["metrics"]

def largest(model: nn.Module, data: TrainingData, context: PruneContext) -> Scores:
    return {name: w.abs() for name, w in context.prunable(model).items()}

@hookimpl
def benchbias_pruners() -> dict[str, object]:
    return {"largest": largest}

benchbias.run("smoke", method=["erm"])
benchbias.run("smoke", rerun="some")
results.predictions("erm")
benchbias.PruneContext.prunabel
""")
    skipped = "".join(f"[mypy-{name}.*]\nfollow_imports = skip\n" for name in ("torch", "pandas", "numpy", "pydantic"))
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nfollow_imports = silent\n{skipped}")  # torch alone takes half a minute
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=mypy.ini", "--output=json", "use.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    found = [(line["line"], line["code"]) for line in map(json.loads, done.stdout.splitlines())]
    assert found == [(19, "call-arg"), (20, "arg-type"), (21, "call-arg"), (22, "attr-defined")], done.stdout


def test_the_rows_of_results_are_those_of_the_leaderboard(results: benchbias.Results):
    """Numbers against the page of details, verdicts against the page to read."""
    frame = results.rows()
    made = [(record.body["method"], str(record.body["swept"])) for record in results.records]
    assert len(frame) == len(set(made))
    found, header = {}, list[str]()
    for cells in tables(results.files["details/smoke.md"]):
        header = cells if cells[:2] == ["rank", "method"] else header
        if header and len(cells) == len(header) and cells != header:
            found[cells[1]] = dict(zip(header, cells, strict=True))
    assert found.keys() == set(frame.label)
    read = [cells for cells in tables(results.leaderboard()) if len(cells) in (6, 7)]
    for row in frame.to_dict("records"):
        told = found[row["label"]]
        mean, lower, upper = (100 * row[f"worst_group_accuracy{end}"] for end in ("", "_lower", "_upper"))
        assert told["worst group accuracy"].startswith(f"{mean:.1f} ({lower:.1f}\N{EN DASH}{upper:.1f})")
        assert told["worst group accuracy as counted"] == f"{100 * row['as_counted']:.1f}"
        assert told["seeds"] == str(row["n"]) == str(len(row["seeds"]))
        assert told["sparsity"].startswith(f"{row['sparsity']:.3f}")
        assert told["marks"] == (", ".join(row["marks"]) or "\N{EN DASH}")
        if row["gap"] == row["gap"]:
            assert f"{100 * row['gap']:+.1f}" in told["gap to baseline"]
            assert f"(to {row['control'].partition('[')[0]}" in told["gap to baseline"]
        shown = [cells for cells in read if re.fullmatch(rf"{re.escape(row['words'])}\W*", cells[1])]
        verdict = row["verdict"] if isinstance(row["verdict"], str) else "\N{EN DASH}"
        assert [cells[4] for cells in shown] == [verdict]


def test_without_a_record_the_rows_are_an_empty_frame():
    from benchbias.runner.frame import frame_of_board

    assert frame_of_board([], {}).empty
