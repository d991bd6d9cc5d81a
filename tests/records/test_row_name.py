"""One spelling of a row's name, whoever writes it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchbias.board.text import escaped
from benchbias.cli.folders.status import find_trial
from benchbias.plan.trials import Trial
from benchbias.records.row_name import as_row_name, row_name

SWEPT = {"sparsity": 0.8, "layers": ["conv1", "conv2"], "seed": 3}
NAME = "magnitude[sparsity=0.8, layers=conv1+conv2, seed=3]"


def test_a_name_has_the_method_and_its_swept_values():
    assert row_name("magnitude", SWEPT) == NAME
    assert row_name("erm", {}) == "erm"


@pytest.mark.parametrize("spelt", [NAME, NAME.replace(", ", ","), f" {NAME} ", escaped(NAME)])
def test_every_spelling_of_a_user_is_that_name(spelt: str):
    assert as_row_name(spelt) == NAME


def test_a_trial_and_a_board_spell_it_alike():
    trial = Trial("id", "digits", "magnitude", SWEPT, {}, 3, "labels-none")
    assert trial.row == NAME
    assert trial.label == f"digits/{NAME}/3"


@pytest.mark.parametrize("spelt", [NAME, NAME.replace(", ", ","), escaped(NAME)])
def test_a_command_finds_the_trial_by_any_spelling(spelt: str):
    trial = Trial("0" * 64, "digits", "magnitude", SWEPT, {}, 3, "labels-none")
    plan: Any = SimpleNamespace(trials=(trial,), suite="mine")
    assert find_trial(plan, f"digits/{spelt}/3") is trial
