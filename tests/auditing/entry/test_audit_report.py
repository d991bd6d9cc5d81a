"""`benchbias.audit`: what its report says is what the command line says."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pandas
import pytest

import benchbias
from benchbias import AuditReport, BenchbiasError


def arrays(n: int = 600) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    label, sex = generator.integers(0, 2, n), generator.choice(["f", "m"], n)
    dense = np.where(generator.random(n) < 0.9, label, 1 - label)
    lost = (dense == label) & (sex == "f") & (generator.random(n) < 0.2)
    return {"label": label, "dense": dense, "compressed": np.where(lost, 1 - label, dense), "attributes": {"sex": sex}}


@pytest.fixture(scope="module")
def report() -> AuditReport:
    return benchbias.audit(**arrays())


def test_a_report_answers_what_was_asked(report: AuditReport):
    assert (report.verdict, report.exit_code) == ("harmed", 3)
    assert report.exit_code_for(fail_if="beyond") == 3
    assert report.worst.group.name in {"sex=f", "label=0 & sex=f", "label=1 & sex=f"}
    assert report.uneven["sex"].value == "f"
    assert repr(report) == "AuditReport(harmed: compressed against dense, 600 examples, 9 groups)"
    assert str(report).startswith("HARMED")
    assert "sex=f" in report.to_markdown()
    assert json.loads(report.to_json())["verdict"] == "harmed"


def test_flips_are_the_changed_right_answers(report: AuditReport):
    given = arrays()
    flips = report.flips
    assert [flip["row"] for flip in flips] == np.flatnonzero(given["dense"] != given["compressed"]).tolist()
    assert {flip["change"] for flip in flips} == {"lost"}
    assert all(flip["label"] == flip["dense"] != flip["compressed"] for flip in flips)


def test_a_frame_has_a_row_for_each_group(report: AuditReport):
    frame = report.to_frame()
    assert len(frame) == report.audit.groups
    row = frame[frame.group == "all"].iloc[0]
    assert row.harm == pytest.approx((row.lost - row.gained) / row.n)


def test_tables_of_pandas_and_lists_give_the_same(report: AuditReport):
    given = arrays()
    frame = pandas.DataFrame({"sex": given["attributes"]["sex"]})
    lists = {name: given[name].tolist() for name in ("label", "dense", "compressed")}
    assert benchbias.audit(**lists, attributes=frame).audit == report.audit


def test_several_models_are_named_and_asked_for(report: AuditReport):
    given = arrays()
    both = benchbias.audit(**given | {"compressed": {"a": given["compressed"], "b": given["dense"]}})
    assert [line.group.name for line in both.lines("a")] == [line.group.name for line in report.groups]
    with pytest.raises(BenchbiasError, match="name one"):
        both.groups  # noqa: B018
    with pytest.raises(BenchbiasError, match="unknown model 'c'"):
        both.lines("c")


def test_pairs_are_training_runs():
    given = arrays()
    pair = (given["dense"], given["compressed"])
    found = benchbias.audit(label=given["label"], pairs=[pair] * 3, attributes=given["attributes"])
    assert found.audit.pairs == 3
    assert found.verdict == "harmed"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dense": None}, "give dense and compressed, or pairs"),
        ({"pairs": [(1, 2)]}, "give dense and compressed, or pairs"),
        ({"dense": None, "compressed": None, "pairs": []}, "pairs is empty"),
        ({"margin": 0}, "margin 0: in points"),
        ({"gate": ["age"]}, "unknown attribute 'age'"),
        ({"allow": ["x"]}, "unknown stop 'x'"),
        ({"expect_accuracy": 99.0}, "99.0 % (were|was|is|are) expected|expected-accuracy"),
        ({"expect_accuracy": 199.0}, "the expected accuracy is 199 %"),
        ({"expect_accuracy": "99"}, "audit: expect_accuracy is '99' .of type str.: a number is needed"),
        ({"margin": "3"}, "audit: margin is '3' .of type str.: a number is needed"),
        ({"level": None}, "audit: level is None"),
        ({"depth": 1.5}, "audit: depth is 1.5 .of type float.: a whole number is needed"),
        ({"pool": True}, "audit: pool is True"),
        ({"pool": -1}, "audit: pool is -1: 0 or more"),
        ({"gate": "age"}, "unknown attribute 'age'"),
        ({"gate": 3}, "audit: gate is 3: a list of names, or one name"),
        ({"allow": "x"}, "unknown stop 'x'"),
        ({"allow": [None]}, "audit: allow is .None.: a list of names"),
        ({"classes": "classes.txt"}, "classes is the text 'classes.txt': give a list of names, or a pathlib.Path"),
        ({"dense": None, "compressed": None, "pairs": [(1,)]}, "number 0 of pairs .* tuple with 1 parts: each is"),
        ({"dense": None, "compressed": None, "pairs": [5]}, "number 0 of pairs .* is of type int: each is"),
        ({"dense": None, "compressed": None, "pairs": 5}, "pairs is of type int: a list of .dense, compressed."),
    ],
)
def test_a_mistake_is_one_message(changes: dict[str, Any], message: str):
    with pytest.raises(BenchbiasError, match=message):
        benchbias.audit(**arrays() | changes)


def test_one_name_alone_is_a_list_of_one():
    one, several = (benchbias.audit(**arrays(), gate=gate, allow="low-accuracy") for gate in ("sex", ["sex"]))
    assert one.audit == several.audit
    assert one.audit.options.gate == ("sex",)


def test_neither_import_nor_audit_imports_torch():
    code = (
        "import sys, benchbias\n"
        "r = benchbias.audit(label=[0, 1] * 80, dense=[0, 1] * 80, compressed=[0, 1] * 79 + [0, 0])\n"
        "r.to_markdown(); r.to_json(); str(r); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
