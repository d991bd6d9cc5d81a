"""Whose code a stage runs, by what a plan says of it."""

from __future__ import annotations

import pytest

from benchbias.plugin.foreign import runs_foreign_code

CALL = {"name": "it", "options": {"method": "l1", "layers": ["conv1", "!head"], "n": 2, "custom": None}}


def named(value: object) -> dict[str, object]:
    return {"name": "it", "options": {"custom": value}}


@pytest.mark.parametrize("inputs", [{}, {"component": CALL}, {"prune": {"component": CALL}, "metrics": [CALL]}])
def test_components_of_ours_run_our_code_alone(inputs: dict[str, object]):
    assert not runs_foreign_code(inputs, ["benchbias:erm", "benchbias:rigl"])
    assert runs_foreign_code(inputs, ["benchbias:erm", "other:rigl"])
    assert runs_foreign_code(inputs, ["benchbias.py"])


@pytest.mark.parametrize("value", ["package.module:Class", ["one", "package:Class"], {"deep": {"er": "p.m:C.inner"}}])
@pytest.mark.parametrize(
    "at", [lambda c: {"component": c}, lambda c: {"prune": {"component": c}}, lambda c: {"metrics": [CALL, c]}]
)
def test_an_option_that_names_an_object_runs_the_code_of_others(value: object, at):
    assert runs_foreign_code(at(named(value)), ["benchbias:torch_prune"])


@pytest.mark.parametrize("value", ["plain", "12:30", "a: b", "", ":", "http://a.b", "magnitude[sparsity=0.5]"])
def test_other_texts_name_no_object(value: str):
    assert not runs_foreign_code({"component": named(value)}, ["benchbias:torch_prune"])
