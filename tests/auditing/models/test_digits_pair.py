"""The example to audit: what is written is a pair, and what its pages say of it is so."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from benchbias.auditing.models import digits_pair
from benchbias.auditing.models.collect import answers_of_models
from benchbias.auditing.models.specs import ImageSpec, LookSpec, RunSpec, model_spec
from benchbias.errors import UsageError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("digits") / "pair"
    digits_pair.make_digits_pair(made)
    return made


def test_the_pair_is_as_its_page_says(folder):
    models = model_spec(
        str(folder / "dense.safetensors"), [str(folder / "pruned.safetensors")], model=f"{folder}/network.py:network"
    )
    images = ImageSpec(str(folder / "images"), folder / "labels.csv", attributes=("ink",))
    run = RunSpec(cache=None, measure=False)
    answers, facts = answers_of_models(models, images, LookSpec((0.5,), (0.5,)), run, quiet=True)
    right, after = answers.dense == answers.label, answers.compressed["pruned"] == answers.label
    assert len(right) == 1097
    assert (round(100 * right.mean(), 1), round(100 * after.mean(), 1)) == (95.7, 95.6)
    nine = answers.label == answers.classes.index("9")
    lost, gained = int((right & ~after & nine).sum()), int((~right & after & nine).sum())
    assert round(100 * (lost - gained) / nine.sum(), 1) == 8.6
    assert binom.sf(lost - 1, lost + gained, 0.5) < 0.05 / 12, (
        "exact McNemar's test, for the groups that have enough flips"
    )
    assert np.bincount(answers.attributes["ink"].codes).min() > 500
    assert (facts["dense"].nonzeros, facts["pruned"].nonzeros) == (4810, 3389)


def test_a_folder_that_is_in_use_is_left_alone(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        digits_pair.make_digits_pair(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    monkeypatch.setattr(sys, "argv", ["digits_pair", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        digits_pair.main()
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
