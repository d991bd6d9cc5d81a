"""Pruning-identified exemplars: the method card's invariants, and what populations that differ by chance alone give."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, ttest_ind

from benchbias import BenchbiasError, Skip, Table, p_value
from benchbias.statistics.influence import Influence, example_variance
from benchbias.statistics.ranking import holm as core_holm
from benchbias.statistics.spread import spread
from benchbias_plugins.analyses.pie import crossfit, pie_classes, pie_corrupted, pie_counts, pie_gallery, pie_subsets
from benchbias_plugins.analyses.pie.chance import over_blocks
from benchbias_plugins.analyses.pie.crossfit import cross_fit, subsets
from benchbias_plugins.analyses.pie.matching import entropy, nearest
from benchbias_plugins.analyses.pie.models import Models, comparisons
from benchbias_plugins.analyses.pie.modes import Modes, tie_order, votes
from benchbias_plugins.analyses.pie.splits import blocks, halves
from benchbias_plugins.analyses.pie.subsets import over_models_and_images
from benchbias_plugins.analyses.pie.welch import holm, welch
from support import BENCHMARKS
from support.populations import answers, member, population, predictions

CLASSES = 4
SIDES = ("dense", "pruned")


@pytest.fixture(scope="module")
def simulation():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import pie_simulation
        import pie_worlds
    finally:
        sys.path.remove(str(BENCHMARKS))
    return pie_simulation, pie_worlds


def made(dense: np.ndarray, pruned: np.ndarray, labels: np.ndarray, **more):
    """A population of two rows from predicted classes (S, N)."""
    target = torch.from_numpy(labels)
    members = []
    for method, predicted, baseline in (("dense", dense, None), ("pruned", pruned, "dense")):
        for seed, row in enumerate(predicted):
            found = predictions(answers(torch.from_numpy(row), CLASSES), target)
            members.append(member(method, seed, found, baseline=baseline, **more.get(method, {})))
    return population(members)


def random_answers(numbers, labels: np.ndarray, models: int, right: float) -> np.ndarray:
    """Right with a chance that differs by example, else a random class."""
    chance = np.clip(right + 0.3 * np.random.default_rng(9).standard_normal(len(labels)), 0, 1)
    wrong = numbers.integers(0, CLASSES, (models, len(labels)))
    return np.where(numbers.random((models, len(labels))) < chance, labels, wrong)


@pytest.fixture(scope="module")
def two():
    """12 dense and 12 pruned models that differ."""
    numbers = np.random.default_rng(0)
    labels = np.arange(200) % CLASSES
    dense, pruned = random_answers(numbers, labels, 12, 0.7), random_answers(numbers, labels, 12, 0.55)
    pruned[:, labels == 0] = 1 - (numbers.random((12, 50)) < 0.1)
    return dense, pruned, labels


def column(table: Table, name: str, **where: str) -> list:
    """The values of a column in the rows whose texts are those given."""
    texts = {key: table.columns[key.replace("_", " ")][2] for key in where}
    values = table.columns[name][2]
    return [value for place, value in enumerate(values) if all(texts[k][place] == v for k, v in where.items())]


# the test of classes


def test_equal_populations_have_no_pie_and_no_significant_class(two):
    dense, _, labels = two
    even = dense[:, :40].copy()
    even[:6] = 0  # ties in half of the votes, and so of the modes
    even[6:] = 1
    for given, target in ((dense, labels), (even, labels[:40])):
        table = pie_counts(made(given, given, target))
        assert column(table, "PIE share", compared="all models")[0].mean == 0
        assert column(table, "significant classes", compared="all models")[0].mean == 0
        assert column(table, "p of classes", compared="all models") == [1.0]
        p = [value for value in pie_classes(made(given, given, target)).columns["p"][2] if not math.isnan(value)]
        assert p == pytest.approx([1.0] * len(p))
    assert len(p) < CLASSES, "constant models: there is nothing to test"


def test_swapping_the_populations_changes_the_sign_alone(two):
    dense, pruned, labels = two
    one, other = pie_classes(made(dense, pruned, labels)), pie_classes(made(pruned, dense, labels))
    for name in ("recall change", "normalised change"):
        for mine, theirs in zip(one.columns[name][2], other.columns[name][2], strict=True):
            assert mine.mean == pytest.approx(-theirs.mean)
            assert (mine.standard_error, mine.freedom) == pytest.approx((theirs.standard_error, theirs.freedom))
    assert one.columns["p"][2] == pytest.approx(other.columns["p"][2])
    swapped = {"gain": "loss", "loss": "gain", "-": "-"}
    assert [swapped[v] for v in one.columns["verdict"][2]] == list(other.columns["verdict"][2])
    assert {"gain", "loss"} <= set(one.columns["verdict"][2])
    counts = [pie_counts(made(*pair, labels)) for pair in ((dense, pruned), (pruned, dense))]
    shares, right = zip(
        *(
            (
                column(t, "PIE share", compared="all models")[0].mean,
                [column(t, n, compared="all models")[0] for n in ("pruned right", "dense right")],
            )
            for t in counts
        ),
        strict=True,
    )
    assert shares[0] == shares[1] > 0
    assert right[0] == right[1][::-1]


def test_other_names_of_classes_permute_the_results(two):
    dense, pruned, labels = two
    order = np.array([2, 0, 3, 1])
    one, other = pie_classes(made(dense, pruned, labels)), pie_classes(made(*(order[x] for x in two)))
    for name in ("p", "p holm", "verdict"):
        values = one.columns[name][2]
        renamed = [other.columns[name][2][number] for number in order]
        assert renamed == (pytest.approx(values) if name != "verdict" else list(values))


@pytest.mark.parametrize("shift", ["model", "population_as_published"])
def test_the_test_is_scipys_on_shifted_recalls_and_its_interval_agrees(two, shift):
    dense, pruned, labels = two
    shifted = []
    for predicted in (dense, pruned):
        right = predicted == labels
        recalls = np.stack([right[:, labels == c].mean(axis=1) for c in range(CLASSES)], axis=1)
        accuracy = right.mean(axis=1, keepdims=True)
        shifted.append(recalls - (accuracy if shift == "model" else accuracy.mean()))
    expected = ttest_ind(shifted[1], shifted[0], equal_var=False)
    table = pie_classes(made(dense, pruned, labels), shift=shift)
    assert table.columns["p"][2] == pytest.approx(expected.pvalue)
    assert table.columns["p holm"][2] == pytest.approx(core_holm(expected.pvalue.tolist()))
    changes = table.columns["normalised change"][2]
    assert [p_value(one) for one in changes] == pytest.approx(expected.pvalue, rel=1e-6)
    assert [one.freedom for one in changes] == pytest.approx(expected.df)
    assert [one.mean for one in changes] == pytest.approx(100 * (shifted[1].mean(axis=0) - shifted[0].mean(axis=0)))
    verdicts = list(zip(table.columns["verdict"][2], changes, strict=True))
    assert verdicts[0][0] == "loss", "what was planted"
    assert all(verdict == ("gain" if one.mean > 0 else "loss") for verdict, one in verdicts if verdict != "-")
    recall = [one.mean for one in table.columns["recall change"][2]]
    gap = 100 * ((pruned == labels).mean() - (dense == labels).mean())
    assert recall == pytest.approx([one.mean + gap for one in changes])


def test_a_constant_of_recalls_and_accuracy_alike_changes_nothing(two):
    recalls = np.random.default_rng(1).random((2, 12, CLASSES))
    shifted = recalls - recalls.mean(axis=(1, 2), keepdims=True)
    moved = recalls.copy()
    moved[1] += 0.2
    again = moved - moved.mean(axis=(1, 2), keepdims=True)
    assert welch(*again).p == pytest.approx(welch(*shifted).p)
    assert welch(*again).mean == pytest.approx(welch(*shifted).mean)


def test_holm_is_the_cores_over_what_was_tested():
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.5, 0.012])
    found = holm(p)
    assert math.isnan(found[1])
    assert np.delete(found, 1) == pytest.approx(core_holm(np.delete(p, 1).tolist()))


def test_a_class_in_which_no_model_differs_is_untested_and_said_to_be(two):
    dense, pruned, labels = (part.copy() for part in two)
    dense[:, labels == 0] = pruned[:, labels == 0] = 0
    table = pie_classes(made(dense, pruned, labels), shift="population_as_published")
    assert table.columns["verdict"][2][0] == table.columns["verdict holm"][2][0] == "untested"
    assert math.isnan(table.columns["p"][2][0])
    change = table.columns["normalised change"][2][0]
    assert change.mean > 0, "it gained where all others lost"
    assert change.half_width is None
    assert "1 of 4" in table.caption
    pruned[:, labels == 0] = 1  # no spread, but not equal: SciPy's p would be 0
    assert pie_classes(made(dense, pruned, labels)).columns["verdict"][2][0] != "-"
    assert column(pie_counts(made(dense, pruned, labels)), "classes tested", compared="all models")[0] <= CLASSES


def test_a_class_without_examples_is_untested(two):
    dense, pruned, labels = two
    some = labels != 3
    table = pie_classes(made(dense[:, some], pruned[:, some], labels[some]))
    assert table.columns["verdict"][2][3] == "untested"
    assert table.columns["recall change"][2][3] is None
    assert table.columns["verdict"][2][0] != "untested"


def test_equal_populations_are_rejected_at_the_nominal_rate(simulation):
    script, _ = simulation
    numbers, repetitions = np.random.default_rng(0), 500
    quiet = np.array([0.002] + [0.02] * 9)
    for sd, together in ((quiet, 0.0), (np.full(10, 0.02), 0.04)):
        found = script.rejections(sd, together, "model", repetitions, numbers)
        assert binomtest(round(found[0] * repetitions), repetitions, 0.05).pvalue > 0.001
        assert 0.035 < found.mean() < 0.065
    published = script.rejections(quiet, 0.0, "population_as_published", repetitions, numbers)
    assert published[0] > 0.3, "noise of the accuracy counts as an effect of a class that hardly varies"


# modes and PIEs


def test_ties_go_to_the_largest_class_as_published_or_to_each_alike():
    predicted = np.repeat([[0], [2]], 3000, axis=1)
    models = Models((0, 1), predicted, np.zeros(3000, dtype=int), CLASSES)
    other = Models((0, 1), np.repeat([[1], [2]], 3000, axis=1), models.labels, CLASSES)
    assert votes(models)[0].tolist() == [1, 0, 1, 0]
    numbers = np.random.default_rng(0)
    largest = Modes.of(models, other, tie_order("largest", 3000, CLASSES, numbers))
    assert set(largest.dense) == set(largest.pruned) == {2}
    drawn = Modes.of(models, other, tie_order("random", 3000, CLASSES, numbers))
    assert set(drawn.dense) == {0, 2}
    assert binomtest(int((drawn.dense == 2).sum()), 3000).pvalue > 0.001
    assert 0.6 < drawn.pie.mean() < 0.7, "of three classes in equal order, 2 is before the other in 1 of 3"


def test_a_vote_always_outweighs_the_order_of_ties():
    predicted = np.array([[0, 1], [0, 1], [3, 3]])
    models = Models((0, 1, 2), predicted, np.array([0, 0]), CLASSES)
    for ties in ("random", "largest"):
        for seed in range(50):
            order = tie_order(ties, 2, CLASSES, np.random.default_rng(seed))
            assert Modes.of(models, models, order).dense.tolist() == [0, 1]


def test_pies_are_counted_by_which_mode_is_right():
    labels = np.zeros(6, dtype=int)
    dense = np.tile([0, 0, 1, 1, 2, 1], (4, 1))
    pruned = np.tile([0, 1, 0, 2, 2, 0], (4, 1))
    table = pie_counts(made(dense, pruned, labels), block=4)
    values = [
        column(table, name, compared="all models")[0] for name in ("PIEs", "pruned right", "dense right", "neither")
    ]
    assert values == [4, 2, 1, 1]
    assert column(table, "PIE share", compared="all models")[0].mean == pytest.approx(400 / 6)
    assert column(table, "PIE share", compared="A/A halves")[0].mean == 0


def test_halves_and_blocks_share_no_seed():
    numbers = np.random.default_rng(0)
    one, other = halves(13, numbers)
    assert len(one) == len(other) == 6
    assert not set(one) & set(other)
    assert len({tuple(sorted(halves(13, numbers)[0])) for _ in range(20)}) > 10
    found = blocks(30, 7, numbers)
    assert len(found) == 5
    used = np.concatenate([np.concatenate(block) for block in found])
    assert len(set(used.tolist())) == len(used) == 30
    assert {len(half) for block in found for half in block} == {3}


def test_halves_never_hold_the_two_models_of_one_seed():
    """Twins answer alike, strangers by chance: if a seed stood on both sides, fewer PIEs would be found than by A/A."""
    numbers = np.random.default_rng(0)
    labels = np.arange(300) % CLASSES
    dense = numbers.integers(0, CLASSES, (12, 300))
    table = pie_counts(made(dense, dense, labels), repeats=10)
    share, chance = (column(table, "PIE share", compared=name)[0].mean for name in ("halves", "A/A halves"))
    assert share == pytest.approx(chance, abs=3)
    assert share > 50
    assert column(table, "PIE share", compared="all models")[0].mean == 0
    assert column(table, "PIE share", compared="beyond A/A")[0].mean == pytest.approx(0, abs=3)
    assert [column(table, "models", compared=name)[0] for name in ("all models", "halves", "beyond A/A")] == [12, 6, 3]


def test_the_interval_over_blocks_is_the_t_interval_of_one_partition_and_no_shorter_for_many():
    from benchbias import estimate

    values = np.random.default_rng(0).normal(3, 1, (40, 5, 2))
    single, expected = over_blocks(values[:1])[1], estimate(values[0, :, 1].tolist())
    assert (single.mean, single.half_width, single.n) == pytest.approx((expected.mean, expected.half_width, 5))
    assert over_blocks(values)[0].standard_error == pytest.approx(1 / math.sqrt(5), rel=0.15)


@pytest.fixture(scope="module")
def counted(simulation):
    """Tables of `pie_counts`, 60 each, without and with harm."""
    _, worlds = simulation
    numbers = np.random.default_rng(2)
    found = {}
    for harm in (0.0, 1.0):
        world = worlds.World.of(300, 5, harm, numbers)
        found[harm] = [pie_counts(world.population(12, numbers), repeats=3, exchanges=19, block=4) for _ in range(45)]
    return found


def means(tables: list[Table], name: str, compared: str) -> np.ndarray:
    return np.array([column(table, name, compared=compared)[0].mean for table in tables])


def test_without_an_effect_pruned_and_dense_differ_as_dense_and_dense_do(counted):
    for name in ("PIE share", "significant classes"):
        gap = means(counted[0.0], name, "halves") - means(counted[0.0], name, "A/A halves")
        assert abs(gap.mean()) < 3 * gap.std(ddof=1) / math.sqrt(len(gap))
        beyond = [column(table, name, compared="beyond A/A")[0] for table in counted[0.0]]
        held = [one.mean == 0 if one.half_width is None else one.lower <= 0 <= one.upper for one in beyond]
        assert np.mean(held) >= 0.93
    rate = means(counted[0.0], "significant classes", "A/A halves").mean() / 5
    assert 0.02 < rate < 0.08
    for name in ("p of PIEs", "p of classes"):
        rejected = sum(column(table, name, compared="all models")[0] <= 0.05 for table in counted[0.0])
        assert rejected <= 7, "5 % of 45 are 2"


def test_an_effect_is_found_beyond_what_is_chance(counted):
    for name in ("PIE share", "significant classes"):
        gap = means(counted[1.0], name, "halves") - means(counted[1.0], name, "A/A halves")
        assert gap.mean() > 5 * gap.std(ddof=1) / math.sqrt(len(gap))
    for name in ("p of PIEs", "p of classes"):
        assert np.mean([column(table, name, compared="all models")[0] <= 0.05 for table in counted[1.0]]) > 0.4
    holm_counts = means(counted[1.0], "significant, Holm", "all models")
    assert (holm_counts <= means(counted[1.0], "significant classes", "all models")).all()
    assert holm_counts.sum() > 0


# subsets


def test_neighbours_are_the_nearest_that_are_left():
    values = np.array([0.0, 1.0, 2.0, 10.0, 0.9, 2.2, 9.0, 30.0])
    found = nearest(values, np.array([1, 2, 3]), np.array([0, 4, 5, 6, 7]), np.random.default_rng(0))
    assert sorted(found.tolist()) == [4, 5, 6]
    twice = nearest(np.array([1.0, 1.0, 0.8, 1.3]), np.array([0, 1]), np.array([2, 3]), np.random.default_rng(0))
    assert sorted(twice.tolist()) == [2, 3], "without replacement"
    few = nearest(values, np.array([1, 2, 3]), np.array([7]), np.random.default_rng(0))
    assert few.tolist() == [7]


def test_equal_neighbours_are_drawn_at_random():
    values = np.array([1.0, 0.5, 0.5, 0.5, 7.0, 1.5, 1.5, 1.5])
    pool = np.array([1, 2, 3, 4, 5, 6, 7])
    drawn = [nearest(values, np.array([0]), pool, np.random.default_rng(seed))[0] for seed in range(600)]
    above = [nearest(values[:4], np.array([0]), pool[:3], np.random.default_rng(seed))[0] for seed in range(600)]
    assert set(drawn) == {5, 6, 7}, "of two sides as near, the upper"
    for taken, kinds in ((drawn, (5, 6, 7)), (above, (1, 2, 3))):
        for kind in kinds:
            assert binomtest(taken.count(kind), 600, 1 / 3).pvalue > 1e-4


def test_entropy_is_of_the_mean_of_what_models_say():
    sure = np.zeros((2, 3, 2), dtype=np.float32)
    sure[0, :, 0] = sure[1, 0, 0] = sure[1, 1, 1] = 1
    sure[1, 2] = 0.5
    expected = [0, math.log(2), -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))]
    assert entropy(sure) == pytest.approx(expected)


def test_subsets_split_the_images_and_match_what_they_say(simulation):
    numbers = np.random.default_rng(0)
    pie = numbers.random(500) < 0.2
    uncertain = numbers.random(500) + pie
    easy = np.round(numbers.random(500) - 0.5 * pie, 1)
    found = subsets(pie, uncertain, easy, numbers)
    assert sorted([*found["PIE"], *found["non-PIE"]]) == found["all"].tolist() == list(range(500))
    size = int(pie.sum())
    for name in ("random", "entropy-matched", "accuracy-matched"):
        assert len(set(found[name].tolist())) == size
    assert not pie[found["entropy-matched"]].any()
    assert not pie[found["accuracy-matched"]].any()
    for values, name in ((uncertain, "entropy-matched"), (easy, "accuracy-matched")):
        gaps = {n: abs(values[found[n]].mean() - values[pie].mean()) for n in (name, "non-PIE")}
        assert gaps[name] < 0.7 * gaps["non-PIE"]
    right = numbers.random(500) < 0.6
    weighted = size / 500 * right[found["PIE"]].mean() + (1 - size / 500) * right[found["non-PIE"]].mean()
    assert weighted == pytest.approx(right.mean())


def test_models_are_not_scored_on_what_they_chose():
    """Of answers that are noise alone nothing is hard: a model that chose its own PIEs would look worse on them."""
    numbers = np.random.default_rng(3)
    labels = np.zeros(2000, dtype=int)
    dense, pruned = (np.where(numbers.random((8, 2000)) < 0.55, 0, 1) for _ in range(2))
    table = pie_subsets(made(dense, pruned, labels), repeats=4)
    for side in ("dense", "pruned"):
        assert column(table, f"accuracy {side}", subset="PIE")[0].mean == pytest.approx(55, abs=2)
        for subset in ("entropy-matched", "random", "non-PIE"):
            assert abs(column(table, f"PIE harder, {side}", subset=subset)[0].mean) < 3


def test_what_the_choosing_models_say_is_theirs_alone(two, monkeypatch):
    given, asked = made(two[0][:4], two[1][:4], two[2]), []
    mine = [member.predictions["test"].logits.softmax(dim=1).numpy() for member in given.members[:4]]

    def spied(probabilities: np.ndarray) -> np.ndarray:
        asked.append([seed for one in probabilities for seed in range(4) if np.allclose(one, mine[seed])])
        return entropy(probabilities)

    monkeypatch.setattr(crossfit, "entropy", spied)
    monkeypatch.setattr(crossfit, "halves", lambda seeds, numbers: (np.array([0, 2]), np.array([3, 1])))
    pie_subsets(given, repeats=1)
    assert asked == [[0, 2], [3, 1]]


def test_a_planted_loss_on_images_that_vary_is_found_and_paired_by_seed():
    """Images of one kind are answered alike by all; of the other kind pruned models lose 30 points."""
    numbers = np.random.default_rng(4)
    labels = np.zeros(400, dtype=int)
    weak = np.arange(400) < 100
    skill = numbers.normal(0, 0.1, (10, 1))  # of a seed, in both rows
    dense = np.where(numbers.random((10, 400)) < np.where(weak, 0.65 + skill, 0.95), 0, 1)
    pruned = np.where(numbers.random((10, 400)) < np.where(weak, 0.30 + skill, 0.95), 0, 1)
    table = pie_subsets(made(dense, pruned, labels), repeats=4)
    assert column(table, "choosers' accuracy", subset="all")[0] == pytest.approx((dense == 0).mean())
    change = column(table, "change", subset="PIE")[0]
    assert change.interval()[0] < -30 < change.interval()[1] + 6
    assert change.n == 10
    apart = [column(table, f"accuracy {side}", subset="PIE")[0].standard_error for side in ("dense", "pruned")]
    assert change.standard_error < math.hypot(*apart), "twins share what their seed can do"
    beyond = column(table, "PIE change beyond", subset="non-PIE")[0]
    assert beyond.interval()[1] < -15
    assert column(table, "PIE harder, dense", subset="non-PIE")[0].interval()[0] > 15
    assert column(table, "PIE harder, dense", subset="PIE") == [None]
    assert column(table, "images", subset="PIE") == column(table, "images", subset="entropy-matched")


def test_pies_of_chance_stand_beside_pies_of_as_few_models(simulation):
    """Without an effect both are alike, though each is harder than other images; with one they are not."""
    _, worlds = simulation
    numbers = np.random.default_rng(6)
    found = {}
    for harm in (0.0, 1.0):
        given = worlds.World.of(400, 5, harm, numbers).population(16, numbers)
        table = pie_subsets(given, repeats=5)
        found[harm] = [column(table, f"PIE harder, {side}", subset="A/A PIE of quarters")[0] for side in SIDES]
        change = column(table, "PIE change beyond", subset="A/A PIE of quarters")[0]
        assert (change.interval()[1] < 0) == (harm > 0)
        sizes = [column(table, "images", subset=f"{name}PIE of quarters")[0] for name in ("", "A/A ")]
        assert sizes[0] > 1.2 * sizes[1] if harm else sizes[0] == pytest.approx(sizes[1], rel=0.1)
        assert column(table, "PIE harder, dense", subset="PIE of quarters") == [None]
        assert column(table, "PIE harder, dense", subset="non-PIE")[0].interval()[0] > 5
    assert all(abs(one.mean) < 3 for one in found[0.0])
    assert found[1.0][0].interval()[1] < -3, "what pruning breaks was easier for the dense models"


def test_without_a_pie_nothing_is_scored(two):
    dense, _, labels = two
    same = np.tile(dense[0], (6, 1))
    table = pie_subsets(made(same, same, labels), repeats=2)
    assert column(table, "accuracy dense", subset="PIE") == column(table, "change", subset="all") == [None]
    assert math.isnan(column(table, "images", subset="PIE")[0])


def test_the_interval_on_all_images_is_the_boards(two):
    dense, pruned, labels = two
    twins = comparisons(made(dense, pruned, labels))[0].twins(4)
    fitted = cross_fit(twins, 3, "random", np.random.default_rng(0))
    cluster = np.arange(200) // 2
    found = over_models_and_images(((fitted["all"], (-1.0, 1.0)),), cluster)
    gaps = 100 * ((pruned == labels).astype(float) - (dense == labels))  # (S, N)
    by_cluster = (gaps - gaps.mean(axis=1, keepdims=True)).reshape(12, 100, 2).sum(axis=2) / 200
    shared, clusters = example_variance([Influence(np.arange(100), values, "one") for values in by_cluster])
    expected = spread(gaps.mean(axis=1), shared, clusters)
    assert found.mean == pytest.approx(float(expected.mean))
    assert found.standard_error == pytest.approx(float(expected.standard_error))
    assert found.freedom == pytest.approx(float(expected.freedom))
    assert found.n == 12


def test_intervals_on_subsets_hold_for_other_models_and_other_images(simulation):
    _, worlds = simulation
    numbers = np.random.default_rng(5)
    world = worlds.World.of(200, 5, 0.5, numbers)
    drawn: dict[tuple[bool, str], list] = {}
    for repetition in range(120):
        new = repetition % 2 == 1
        given = worlds.World.of(200, 5, 0.5, numbers) if new else world
        table = pie_subsets(given.population(12, numbers), repeats=2)
        for name in ("PIE harder, dense", "PIE harder, pruned", "PIE change beyond"):
            for subset in ("entropy-matched", "A/A PIE of quarters"):
                drawn.setdefault((new, name + subset), []).append(column(table, name, subset=subset)[0])
    for name, estimates in drawn.items():
        true = np.mean([one.mean for one in estimates])
        held = sum(one.interval()[0] <= true <= one.interval()[1] for one in estimates)
        assert binomtest(held, len(estimates), 0.95, alternative="less").pvalue > 0.01, (name, held)


# corrupted splits, gallery


def with_splits(right: dict[str, dict[str, list[list[int]]]]):
    """Rows and splits from numbers of right answers of 10, by seed."""
    labels = torch.zeros(10, dtype=torch.int64)
    members = []
    for method, splits in right.items():
        for seed in range(len(splits["test"])):
            found = {
                split: predictions(answers((torch.arange(10) >= counts[seed]).long(), 2), labels, split=split)
                for split, counts in splits.items()
            }
            members.append(member(method, seed, found, baseline=None if method == "dense" else "dense"))
    return population(members)


def test_corruption_is_relative_to_the_baseline_and_to_the_clean_change():
    given = with_splits(
        {
            "dense": {"test": [10, 8], "test-noise-2": [5, 8], "train": [10, 10]},
            "pruned": {"test": [9, 8], "test-noise-2": [4, 4], "train": [10, 10]},
        }
    )
    table = pie_corrupted(given)
    assert table.columns["row"][2] == ("pruned",)
    assert table.columns["split"][2] == ("test-noise-2",)
    expected = {
        "accuracy dense": [50, 80],
        "accuracy pruned": [40, 40],
        "drop": [50, 40],
        "relative change": [-20, -50],
        "relative change beyond clean": [-10, -50],
        "drop beyond the baseline's": [0, 40],
    }
    for name, values in expected.items():
        found = table.columns[name][2][0]
        assert found.mean == pytest.approx(np.mean(values)), name
        assert found.half_width is None, f"two seeds have no interval: {name}"


def test_corruption_of_what_is_never_right_is_undefined_and_without_splits_it_is_skipped():
    given = with_splits({"dense": {"test": [9, 8], "test-fog": [0, 1]}, "pruned": {"test": [9, 8], "test-fog": [1, 1]}})
    assert pie_corrupted(given).columns["relative change"][2] == (None,)
    assert pie_corrupted(given).columns["drop"][2][0].mean == pytest.approx(75)
    with pytest.raises(Skip, match="predict"):
        pie_corrupted(with_splits({"dense": {"test": [9]}, "pruned": {"test": [9]}}))
    partial = population(
        [*given.members[:3], replace(given.members[3], predictions={"test": given.members[3].predictions["test"]})]
    )
    with pytest.raises(BenchbiasError, match="test-fog"):
        pie_corrupted(partial)


def test_the_gallery_shows_the_largest_disagreement_first(two):
    labels = np.array([0, 1, 2, 3])
    dense = np.array([[0, 1, 2, 3]] * 4)
    pruned = np.array([[1, 1, 3, 0], [1, 1, 3, 0], [1, 1, 3, 3], [0, 1, 3, 0]])
    table = pie_gallery(made(dense, pruned, labels), most=2)
    assert table.columns["image"][2] == (2, 0)
    assert table.columns["image"][0] == "image"
    assert table.columns["label"][2] == table.columns["dense mode"][2] == ("2", "0")
    assert table.columns["pruned mode"][2] == ("3", "1")
    assert table.columns["dense share"][2] == (1.0, 1.0)
    assert table.columns["pruned share"][2] == (1.0, 0.75)
    assert table.columns["margin"][2] == (2.0, 1.5)
    assert "2 of 3" in table.caption


def test_the_gallery_is_of_the_named_row_or_of_the_sparsest():
    labels = torch.arange(3)
    members = []
    for sparsity in (0.5, 0.9, 0.7):
        predicted = torch.tensor([0, 1, 0 if sparsity == 0.9 else 2])
        for seed in range(2):
            found = predictions(answers(predicted, 4), labels)
            members.append(member("pruned", seed, found, baseline="dense", swept={"s": sparsity}, sparsity=sparsity))
            members.append(member("dense", seed + 2 * int(10 * sparsity), predictions(answers(labels, 4), labels)))
    given = population(members)
    assert pie_gallery(given).columns["row"][2] == ("pruned[s=0.9]",)
    assert pie_gallery(given, row="pruned[s=0.5]").columns["image"][2] == ()
    with pytest.raises(BenchbiasError, match=r"pruned\[s=0.7\]"):
        pie_gallery(given, row="pruned[s=0.8]")


# populations


def test_a_row_is_compared_with_the_baseline_of_its_own_swept_value_and_all_its_seeds():
    labels = torch.arange(3)
    found = predictions(answers(labels, 4), labels)
    members = [
        member(method, seed, found, swept={"epochs": epochs}, baseline="dense" if method == "pruned" else None)
        for method, seeds in (("dense", range(5)), ("pruned", range(1, 4)))
        for epochs in (1, 3)
        for seed in seeds
    ]
    rows = comparisons(population(members))
    assert [(one.row, one.baseline) for one in rows] == [
        ("pruned[epochs=1]", "dense[epochs=1]"),
        ("pruned[epochs=3]", "dense[epochs=3]"),
    ]
    assert rows[0].dense.seeds == (0, 1, 2, 3, 4)
    assert rows[0].pruned.seeds == (1, 2, 3)
    twins = rows[0].twins(3)
    assert twins.dense.seeds == twins.pruned.seeds == (1, 2, 3)
    assert [one.seed for one in twins.dense_members] == [1, 2, 3]
    with pytest.raises(Skip, match="3 seeds in common"):
        rows[0].twins(4)


def test_what_is_wrong_with_a_population_is_said():
    labels = torch.arange(3)
    found = predictions(answers(labels, 4), labels)
    alone = population([member("dense", seed, found) for seed in range(3)])
    with pytest.raises(Skip, match="no row stands beside its baseline; rows: dense"):
        pie_classes(alone)
    other = predictions(answers(labels, 4), labels.flip(0))
    pruned = [member("pruned", seed, other, baseline="dense") for seed in range(3)]
    for analysis in (pie_classes, pie_counts, pie_subsets, pie_gallery):
        with pytest.raises(BenchbiasError, match="different examples"):
            analysis(population([*alone.members, *pruned]))
    few = [member("pruned", 0, found, baseline="dense")]
    with pytest.raises(Skip, match="pruned has 1 seeds"):
        pie_classes(population([*alone.members, *few]))


def test_equal_seeds_of_an_analysis_give_equal_tables(two):
    given = made(*two)
    for analysis in (pie_counts, pie_subsets):
        one, other, third = (analysis(given, repeats=2, seed=seed).to_json() for seed in (0, 0, 1))
        assert one == other != third
