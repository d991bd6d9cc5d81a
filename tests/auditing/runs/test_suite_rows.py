"""Rows of a finished suite as an audit: the answers are the store's, and what is not there is one message."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchbias import load_results
from benchbias.auditing.runs.suite import audit_rows, runs_of_rows
from benchbias.auditing.values import Options
from benchbias.errors import UsageError
from benchbias.runner.results import Results

SPARSE = "magnitude[sparsity=0.9]"


@pytest.fixture(scope="module")
def results(smoke: Path) -> Results:
    return load_results("smoke", out=smoke)


def test_the_answers_of_every_seed_are_those_of_the_store(results: Results):
    runs = runs_of_rows(results, "erm-ft", [SPARSE])
    assert len(runs) == 2
    for seed, answers in enumerate(runs):
        told = results.predictions("magnitude[sparsity=0.9]", seed=seed)
        assert np.array_equal(answers.compressed[SPARSE], told.predicted.numpy())
        assert np.array_equal(answers.label, told.labels.numpy())
        assert np.array_equal(answers.attributes["attribute"].codes, told.attributes.numpy())
        assert answers.attributes["attribute"].names == ("red", "green")


def test_accuracies_of_groups_are_those_of_the_records(results: Results):
    audit = audit_rows(runs_of_rows(results, "erm-ft", [SPARSE]), Options(depth=2))
    lines = {frozenset(line.group.parts): line for line in audit.models[0].lines}
    records = [r for r in results.records if r.body["method"] == "magnitude" and r.body["swept"] == {"sparsity": 0.9}]
    for place, name in enumerate(records[0].body["group_names"]):
        label, attribute = name.split("/")
        line = lines[frozenset({("label", label), ("attribute", attribute)})]
        assert line.compressed_right == sum(record.body["group_correct"][place] for record in records)
    assert audit.pairs == 2


def test_several_rows_are_several_models(results: Results):
    audit = audit_rows(runs_of_rows(results, "erm-ft", [SPARSE, "random[sparsity=0.5]"]), Options())
    assert [model.name for model in audit.models] == [SPARSE, "random[sparsity=0.5]"]


@pytest.mark.parametrize(
    ("dense", "compressed", "task", "message"),
    [
        ("erm-fx", SPARSE, None, "unknown row 'erm-fx'; did you mean 'erm-ft'"),
        ("erm-ft", "magnitude", None, "magnitude has several rows: "),
        ("erm-ft", "erm-ft", None, "stands on both sides"),
        ("erm-ft", SPARSE, "colored-digitz", "unknown task"),
    ],
)
def test_a_row_or_task_that_there_is_not_is_one_message(
    results: Results, dense: str, compressed: str, task: str | None, message: str
):
    with pytest.raises(UsageError, match=message):
        runs_of_rows(results, dense, [compressed], task)
