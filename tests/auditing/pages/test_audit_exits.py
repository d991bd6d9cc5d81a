"""The exit codes of audits: every verdict with every choice, as a table."""

from __future__ import annotations

import dataclasses

import pytest

from benchbias.auditing.pages.exits import exit_code, undecided_warning
from benchbias.errors import UsageError
from support import sample_audits as samples

KINDS = {
    "pass": ("pass", False),
    "undecided": ("undecided", False),
    "harmed": ("harmed", False),
    "beyond": ("harmed", True),
}
CODES = {
    ("harmed", "fail"): {"pass": 0, "undecided": 5, "harmed": 3, "beyond": 3},
    ("harmed", "warn"): {"pass": 0, "undecided": 0, "harmed": 3, "beyond": 3},
    ("harmed", "pass"): {"pass": 0, "undecided": 0, "harmed": 3, "beyond": 3},
    ("beyond", "fail"): {"pass": 0, "undecided": 5, "harmed": 5, "beyond": 3},
    ("beyond", "warn"): {"pass": 0, "undecided": 0, "harmed": 0, "beyond": 3},
    ("beyond", "pass"): {"pass": 0, "undecided": 0, "harmed": 0, "beyond": 3},
    ("undecided", "fail"): {"pass": 0, "undecided": 3, "harmed": 3, "beyond": 3},
}


def audit(kind: str):
    verdict, beyond = KINDS[kind]
    return samples.audit(dataclasses.replace(samples.passing().models[0], verdict=verdict, beyond_margin=beyond))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("choice", CODES)
def test_every_code(kind: str, choice: tuple[str, str]):
    fail_if, undecided = choice
    code = exit_code(audit(kind), fail_if=fail_if, undecided=undecided)
    assert code == CODES[choice][kind]
    warned = undecided_warning(audit(kind), fail_if=fail_if, undecided=undecided)
    assert (warned is not None) == (undecided == "warn" and kind != "pass" and code == 0)


def test_the_defaults_fail_if_harmed_or_undecided():
    assert [exit_code(audit(kind)) for kind in KINDS] == [0, 5, 3, 3]


def test_of_several_models_the_worst_counts():
    assert exit_code(samples.two_models()) == 3
    models = [dataclasses.replace(audit(kind).models[0], name=kind) for kind in ("harmed", "undecided")]
    assert exit_code(samples.audit(*models), fail_if="beyond") == 5


def test_an_unknown_choice_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="beyond, harmed, undecided"):
        exit_code(audit("pass"), fail_if="harm")
    with pytest.raises(UsageError, match="fail, pass, warn"):
        exit_code(audit("pass"), undecided="never")
    with pytest.raises(UsageError, match="fail, pass, warn"):
        exit_code(audit("beyond"), undecided="never")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("undecided", ["warn", "pass"])
def test_choices_that_contradict_each_other_are_refused_whatever_the_audit_says(kind: str, undecided: str):
    with pytest.raises(UsageError, match="contradict"):
        exit_code(audit(kind), fail_if="undecided", undecided=undecided)
