"""PIEs: those of an independent count of votes and of the plugin, and what counts of records tell of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from benchbias.report.images.gallery import first_of_each
from benchbias.report.images.pies import Pie, Pies, pies_of_counts, pies_of_predictions, pies_of_table
from benchbias_plugins.analyses.pie.models import Models
from benchbias_plugins.analyses.pie.modes import Modes, tie_order


def populations(classes: int, dense: int = 7, pruned: int = 5, images: int = 300, seed: int = 0):
    """Two populations that are right in most answers, the pruned one less often: (dense, pruned, labels)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    hard = rng.random(images)

    def answers(models: int, strength: float) -> np.ndarray:
        wrong = rng.random((models, images)) < strength * hard
        return np.where(wrong, rng.integers(0, classes, (models, images)), labels)

    return answers(dense, 0.6), answers(pruned, 1.0), labels


def mode_of(votes: list[int]) -> int | None:
    """The only most frequent answer; None in a tie."""
    first, *rest = Counter(votes).most_common()
    return None if rest and rest[0][1] == first[1] else first[0]


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_pies_are_the_images_whose_modes_differ_and_labels_and_counts_are_recounted(classes: int):
    dense, pruned, labels = populations(classes)
    found = {pie.image: pie for pie in pies_of_predictions(dense, pruned, labels, classes)}
    assert found, "nothing to look at"
    checked = 0
    for image, label in enumerate(labels.tolist()):
        modes = [mode_of(side[:, image].tolist()) for side in (dense, pruned)]
        if None in modes:
            continue
        checked += 1
        assert (image in found) == (modes[0] != modes[1])
        if image in found:
            pie = found[image]
            assert [pie.label, pie.dense, pie.pruned] == [label, *modes]
            assert pie.right == tuple(int((side[:, image] == label).sum()) for side in (dense, pruned))
    assert checked > 200


def test_pies_are_those_of_the_analysis_ties_too():
    dense, pruned, labels = populations(4, dense=6, pruned=6)
    sides = [Models(tuple(range(len(side))), side, labels, 4) for side in (dense, pruned)]
    modes = Modes.of(*sides, tie_order("random", len(labels), 4, np.random.default_rng(0)))
    found = pies_of_predictions(dense, pruned, labels, 4)
    assert sorted(pie.image for pie in found) == np.flatnonzero(modes.pie).tolist()
    assert all((pie.dense, pie.pruned) == (modes.dense[pie.image], modes.pruned[pie.image]) for pie in found)
    margins = [pie.margin for pie in found]
    assert margins == sorted(margins, reverse=True)


def test_a_population_beside_itself_has_no_pie():
    dense, _, labels = populations(3)
    assert pies_of_predictions(dense, dense, labels, 3) == []


def right_of(side: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return (side == labels).sum(axis=0)


def test_of_two_classes_counts_of_right_models_give_the_pies_of_predictions():
    """Of odd numbers of models nothing ties, and the wrong answer of two is known."""
    dense, pruned, labels = populations(2)
    known = pies_of_predictions(dense, pruned, labels, 2)
    counted = pies_of_counts([right_of(dense, labels), right_of(pruned, labels)], (7, 5), labels, 2)
    by_image = {pie.image: pie for pie in counted}
    assert {pie.image for pie in known} == by_image.keys()
    for pie in known:
        other = by_image[pie.image]
        assert (pie.label, pie.dense, pie.pruned, pie.right) == (other.label, other.dense, other.pruned, other.right)
        assert pie.margin == pytest.approx(other.margin)


def test_of_many_classes_counts_name_no_label_that_they_cannot_know():
    dense, pruned, labels = populations(10)
    counted = pies_of_counts([right_of(dense, labels), right_of(pruned, labels)], (7, 5), labels, 10)
    assert counted
    for pie in counted:
        assert pie.dense == pie.label == labels[pie.image]
        assert pie.pruned is None
        assert mode_of(dense[:, pie.image].tolist()) == pie.dense
        assert pie.right[0] * 2 > 7
        assert pie.right[1] * 2 < 5


@pytest.mark.parametrize("classes", [2, 10])
def test_what_counts_name_are_pies_where_they_tell_the_modal_labels(classes: int):
    dense, pruned, labels = populations(classes)
    counted = pies_of_counts([right_of(dense, labels), right_of(pruned, labels)], (7, 5), labels, classes)
    assert Pies("task", "row", "control", (7, 5), counted, "counts").modal == (classes == 2)
    known = pies_of_predictions(dense, pruned, labels, classes)
    assert Pies("task", "row", "control", (7, 5), known, "predictions").modal
    words = [replace(pie, label=None, dense=None, pruned=None) for pie in known]
    assert Pies("task", "row", "control", (7, 5), words, "table").modal, "a table may have words for classes"


def test_a_table_of_pies_tells_how_many_models_err_or_at_least_so_many():
    dense, pruned, labels = populations(5)
    known = pies_of_predictions(dense, pruned, labels, 5)
    lines = [
        {
            "image": pie.image,
            "label": str(pie.label),
            "dense mode": str(pie.dense),
            "pruned mode": str(pie.pruned),
            "dense share": float((dense[:, pie.image] == pie.dense).mean()),
            "pruned share": float((pruned[:, pie.image] == pie.pruned).mean()),
            "margin": pie.margin,
        }
        for pie in known
    ]
    assert {one.exact for one in pies_of_table(lines, (7, 5))} >= {(True, False), (False, True)}
    for pie, told in zip(known, pies_of_table(lines, (7, 5)), strict=True):
        assert (told.image, told.label, told.dense, told.pruned) == (pie.image, pie.label, pie.dense, pie.pruned)
        for side, true, said, exact in zip((dense, pruned), pie.right, told.right, told.exact, strict=True):
            mode = pie.dense if side is dense else pie.pruned
            assert exact == (mode == pie.label)
            assert said == (true if exact else len(side) - int((side[:, pie.image] == mode).sum()))
            assert said >= true


def test_a_table_without_shares_or_with_words_for_classes_is_read_all_the_same():
    line = {"image": 3, "label": "cat", "dense mode": "cat", "pruned mode": "9" * 40}
    (pie,) = pies_of_table([line], (4, 4))
    assert (pie.image, pie.label, pie.dense, pie.pruned, pie.right) == (3, None, None, None, (None, None))


def pies(row: str, images: list[int]) -> Pies:
    return Pies("toy", row, "plain", (3, 3), [Pie(at, 0, 0, 1, (3, 0), 1.0) for at in images], "predictions")


@pytest.mark.parametrize("most", [0, 1, 5, 12, 1000])
def test_rows_share_the_images_that_a_page_may_have(most: int):
    found = [pies("a", list(range(20))), pies("b", list(range(10, 25))), pies("c", [100, 3])]
    chosen = first_of_each(found, most)
    images = {pie.image for own in chosen for pie in own}
    assert len(images) == min(most, len({pie.image for one in found for pie in one.found}))
    for own, one in zip(chosen, found, strict=True):
        order = [pie.image for pie in one.found]
        assert [pie.image for pie in own] == [image for image in order if image in {pie.image for pie in own}]
    if most >= 3:
        assert all(chosen), "a row has nothing though there is room"
