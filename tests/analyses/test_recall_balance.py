"""Recall balance: the slopes' identities, their intervals where the truth is known, and what is refused."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from benchbias import BenchbiasError, Skip
from benchbias_plugins.analyses.recall_balance import benchbias_analyses
from benchbias_plugins.analyses.recall_balance.cells import Cells, random_halves
from benchbias_plugins.analyses.recall_balance.ratio import Ratio
from benchbias_plugins.analyses.recall_balance.weighing import Weights
from support import BENCHMARKS
from support.populations import answers, member, population, predictions

REPETITIONS = 100
ANALYSES = benchbias_analyses()
PUBLISHED = {"halves": False, "deattenuate": False, "average": "models"}
SAME_IMAGES = {"halves": False, "deattenuate": False}


def asked(right, totals, order=None):
    """Predictions with so many right answers of every class; `order` permutes each class's images."""
    labels = torch.repeat_interleave(torch.arange(len(totals)), torch.tensor(totals))
    correct = torch.cat([torch.arange(total) < number for number, total in zip(right, totals, strict=True)])
    return of_correct(correct if order is None else correct[order], labels)


def of_correct(correct, labels):
    classes = int(labels.max()) + 1
    return predictions(answers(torch.where(correct.bool(), labels, (labels + 1) % classes), classes), labels)


def twins(pairs, **body):
    """A population of the rows erm and magnitude[sparsity=0.9]: one pair of predictions a seed."""
    members = []
    for seed, (before, after) in enumerate(pairs):
        members.append(member("erm", seed, before))
        members.append(member("magnitude", seed, after, swept={"sparsity": 0.9}, baseline="erm", **body))
    return population(members)


def of_counts(pairs, totals):
    """Of right answers in every hundredth of a class's images, three seeds of each pair."""
    hundred = [[[number * total // 100 for number, total in zip(one, totals, strict=True)] for one in p] for p in pairs]
    return twins([(asked(before, totals), asked(after, totals)) for before, after in hundred * 3])


def random_pairs(seed=0, models=6, totals=(40, 40, 40, 40)):
    """Answers of noisy models, in a random order of images."""
    numbers = np.random.default_rng(seed)
    labels = torch.repeat_interleave(torch.arange(len(totals)), torch.tensor(totals))
    recall = np.linspace(0.5, 0.95, len(totals))[labels]
    drawn = torch.from_numpy(numbers.random((models, 2, len(labels))) < recall)
    return [(of_correct(before, labels), of_correct(after, labels)) for before, after in drawn]


def cells_of(table):
    """The table's rows, by (row, control), as dictionaries."""
    columns = {name: values for name, (_, _, values) in table.columns.items()}
    lines = [dict(zip(columns, line, strict=True)) for line in zip(*columns.values(), strict=True)]
    return {(line["row"], line["control"]): line for line in lines}


def line(given, row="magnitude[sparsity=0.9]", control="erm", **options):
    return cells_of(ANALYSES["recall_balance"](given, **options))[row, control]


def balances(predicted):
    labels, correct = predicted.labels.numpy(), predicted.correct.numpy()
    recalls = np.array([correct[labels == c].mean() for c in range(predicted.logits.shape[1])])
    return recalls / correct.mean() - 1


# --- identities


@pytest.mark.parametrize("options", [{}, SAME_IMAGES, PUBLISHED, {"fit_intercept": True, "weights": "share"}])
def test_identical_models_have_alpha_1_and_are_not_told_from_it(options):
    pairs = [(before, before) for before, _ in random_pairs(totals=(200, 150, 100, 120))]
    found = line(twins(pairs), **options)
    assert found["alpha"].mean == pytest.approx(1, abs=1e-12)
    assert found["mark"] == "?"
    assert found["alpha over uniform"].mean == pytest.approx(0, abs=1e-12)
    ratios = ANALYSES["intensification"](twins(pairs)).columns["intensification"][2]
    assert ratios == pytest.approx([1.0] * 4)


@pytest.mark.parametrize("average", ["pooled", "models"])
def test_balances_that_are_k_times_those_before_have_alpha_k(average):
    pairs = [((90, 80, 70, 80), (85, 80, 75, 80)), ((96, 80, 64, 80), (88, 80, 72, 80))]
    found = line(of_counts(pairs, (1000,) * 4), **SAME_IMAGES, average=average)
    assert found["alpha"].mean == pytest.approx(0.5, abs=1e-12)


def test_scaling_all_recalls_leaves_balances_and_permuting_classes_leaves_alpha():
    halved = [((80, 60, 40), (40, 30, 20))] * 3
    assert line(of_counts(halved, (1000,) * 3), **SAME_IMAGES)["alpha"].mean == pytest.approx(1, abs=1e-12)
    pairs = [((90, 81, 70), (90, 60, 50)), ((92, 75, 71), (80, 66, 40)), ((88, 80, 73), (85, 62, 50))]
    turned = [(before[::-1], after[::-1]) for before, after in pairs]
    one, other = (line(of_counts(given, (1000,) * 3), **SAME_IMAGES) for given in (pairs, turned))
    assert one["alpha"].mean == pytest.approx(other["alpha"].mean, abs=1e-12)
    assert one["alpha"].standard_error == pytest.approx(other["alpha"].standard_error)


def test_errors_that_all_grow_by_one_factor_give_the_uniform_alpha_and_nothing_over_it():
    pairs = [((90, 80, 70), (80, 60, 40)), ((92, 78, 70), (84, 56, 40))]
    found = line(of_counts(pairs, (1000,) * 3), **SAME_IMAGES)
    assert found["alpha"].mean == pytest.approx(2 * 0.8 / 0.6)
    assert found["alpha if uniform"].mean == pytest.approx(2 * 0.8 / 0.6)
    assert found["alpha over uniform"].mean == pytest.approx(0, abs=1e-12)
    assert found["accuracy change"].mean == pytest.approx(-20)


def test_shares_times_balances_sum_to_zero():
    totals = (50, 100, 200, 80)
    table = ANALYSES["intensification"](twins(random_pairs(totals=totals)))
    for column in ("balance before", "balance after"):
        weighted = np.array(table.columns[column][2]) * np.array(totals)
        assert np.abs(weighted).max() > 1
        assert weighted.sum() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("halves", [True, False])
def test_an_intercept_changes_nothing_where_classes_weigh_as_they_count(halves):
    options = {"halves": halves, "deattenuate": halves}
    balanced, unbalanced = twins(random_pairs()), twins(random_pairs(totals=(20, 40, 60, 160)))
    for given, weights in ((balanced, "equal"), (unbalanced, "share")):
        free = line(given, **options, weights=weights, fit_intercept=True)["alpha"].mean
        assert line(given, **options, weights=weights)["alpha"].mean == pytest.approx(free, abs=1e-12)
    differ = [line(unbalanced, **options, fit_intercept=free)["alpha"].mean for free in (True, False)]
    assert abs(differ[0] - differ[1]) > 1e-3


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_as_published_it_is_the_mean_over_models_of_the_regression_of_all_classes(fit_intercept):
    pairs = random_pairs(totals=(20, 40, 60, 160))
    slopes = []
    for before, after in pairs:
        x, y = balances(before), balances(after)
        slopes.append(stats.linregress(x, y).slope if fit_intercept else (x * y).sum() / (x * x).sum())
    found = line(twins(pairs), **PUBLISHED, fit_intercept=fit_intercept)
    assert found["alpha"].mean == pytest.approx(np.mean(slopes))
    assert found["alpha"].standard_error >= stats.sem(slopes) * (1 - 1e-9)
    assert (found["alpha lower"], found["alpha upper"]) == pytest.approx(found["alpha"].interval(0.99))


def test_a_baseline_is_compared_with_every_other_seed_once():
    pairs = random_pairs()
    x = [balances(before) for before, _ in pairs]
    apart = [(i, j) for i in range(len(x)) for j in range(len(x)) if i != j]
    slopes = [(x[i] * x[j]).sum() / (x[i] ** 2).sum() for i, j in apart]
    found = line(twins(pairs), row="erm", control="erm, another seed", **PUBLISHED)
    assert found["alpha"].mean == pytest.approx(np.mean(slopes))
    assert found["models"] == len(pairs)
    assert found["accuracy change"] is None


def test_alpha_shared_is_the_slope_along_the_mean_of_the_other_baselines():
    pairs = random_pairs()
    x, y = (np.array([balances(pair[side]) for pair in pairs]) for side in (0, 1))
    z = np.array([np.delete(x, m, axis=0).mean(axis=0) for m in range(len(x))])
    found = line(twins(pairs), **SAME_IMAGES)
    assert found["alpha shared"].mean == pytest.approx((z * y).sum() / (z * x).sum())
    assert found["alpha shared"].mean != pytest.approx(found["alpha"].mean, rel=1e-3)


# --- undefined


@pytest.mark.parametrize("options", [{}, SAME_IMAGES, PUBLISHED])
def test_without_any_balance_before_alpha_is_empty_and_never_infinite(options):
    given = of_counts([((80, 80, 80), (90, 80, 60))] * 4, (1000,) * 3)
    found = line(given, **options)
    assert [found[name] for name in ("alpha", "alpha lower", "alpha upper", "alpha over uniform")] == [None] * 4
    assert ANALYSES["intensification"](given).columns["intensification"][2] == (None, None, None)


def test_balances_that_are_rounding_are_none():
    given = of_counts([((70, 70, 70), (90, 80, 60))] * 2, (300, 700, 1100))
    assert abs(balances(given.members[0].predictions["test"])).max() < 1e-15
    for options in (SAME_IMAGES, PUBLISHED):
        assert line(given, **options)["alpha"] is None


def test_a_model_without_a_balance_to_begin_with_has_no_ratio_in_the_median():
    given = of_counts([((90, 80, 70), (85, 82, 75)), ((90, 82, 68), (85, 81, 74))], (1000,) * 3)
    found = ANALYSES["intensification"](given).columns["intensification"][2]
    assert found[1] == pytest.approx(0.5)  # of the second pair: (81 - 80) / (82 - 80)


def test_a_model_that_is_never_right_leaves_no_number_and_a_perfect_one_no_uniform_alpha():
    nothing = line(of_counts([((90, 70), (0, 0)), ((90, 75), (60, 40))], (1000, 1000)), **SAME_IMAGES)
    assert nothing["alpha"] is None
    assert nothing["mark"] == "?"
    perfect = line(of_counts([((1000, 1000), (90, 80))] * 2, (1000, 1000)), **SAME_IMAGES)
    assert perfect["alpha"] is perfect["alpha if uniform"] is perfect["alpha over uniform"] is None
    assert perfect["accuracy change"].mean == pytest.approx(-15)


def test_a_class_with_one_image_takes_no_part_in_halves():
    totals = (1000, 1000, 1000, 1)
    pairs = [((90, 80, 60, 100), (85, 70, 45, 0)), ((92, 80, 60, 0), (85, 70, 50, 100))]
    given = of_counts(pairs, totals)
    assert np.isfinite(line(given, deattenuate=False)["alpha"].mean)


def test_alpha_is_empty_where_the_balances_before_are_noise():
    numbers = np.random.default_rng(0)
    labels = torch.arange(10).repeat_interleave(20)
    drawn = torch.from_numpy(numbers.random((12, 2, 200)) < 0.8)
    found = line(twins([(of_correct(b, labels), of_correct(a, labels)) for b, a in drawn]))
    assert found["alpha"] is found["alpha lower"] is None
    assert abs(found["reliability"]) < 0.3


def test_one_seed_among_rows_with_more_has_no_interval():
    members = list(twins(random_pairs(totals=(200, 200, 200))).members)
    before, after = random_pairs(seed=1, models=1, totals=(200, 200, 200))[0]
    members += [member("other", 0, after, baseline="dense"), member("dense", 0, before)]
    found = cells_of(ANALYSES["recall_balance"](population(members)))
    alone = found["other", "dense"]
    assert (alone["models"], alone["alpha"], alone["mark"]) == (1, None, "?")
    nulls = [row for row, control in found if "another seed" in control]
    assert nulls == ["erm"]
    two = cells_of(ANALYSES["recall_balance"](twins(random_pairs(models=2))))
    assert ("erm", "erm, another seed") in two


# --- refused


def test_what_cannot_be_asked_is_told():
    analysis, classes = (ANALYSES[name] for name in ("recall_balance", "intensification"))
    before, after = random_pairs(models=1)[0]
    alone = population([member("erm", 0, before), member("erm", 1, before)])
    for asking in (analysis, classes):
        with pytest.raises(Skip, match=r"no row's baseline is in the task \(erm\)"):
            asking(alone)
        with pytest.raises(Skip, match="at least two seeds"):
            asking(twins([(before, after)]))
        with pytest.raises(BenchbiasError, match="different examples"):
            asking(twins([(before, after), *random_pairs(models=1, totals=(30, 40, 40, 40))]))
    with pytest.raises(BenchbiasError, match="deattenuate"):
        analysis(twins(random_pairs()), halves=False)


# --- halves


def test_halves_keep_copies_together_and_halve_every_class():
    labels = torch.arange(5).repeat_interleave(torch.tensor([11, 20, 7, 30, 1]))
    copied = predictions(answers(labels, 5).repeat(3, 1), labels.repeat(3))
    images = 100 + torch.arange(len(labels)).flip(0)
    cells = Cells.of(member("erm", 0, replace(copied, cluster=images.repeat(3))), "class")
    assert cells.clusters == len(labels)
    assert cells.total.tolist() == [3.0] * len(labels)
    half = random_halves(cells, 50, seed=0)  # one number an image: copies cannot be parted
    assert half.shape == (50, len(labels))
    for unit in range(4):
        inside = half[:, cells.cluster[cells.unit == unit]]
        assert ((2 * inside.sum(dim=1) - inside.shape[1]).abs() <= 1).all()
        assert len(inside.unique(dim=0)) > 20
    one = cells.cluster[cells.unit == 4]
    assert len(one) == 1
    assert 10 < int(half[:, one].sum()) < 40  # an odd image is in either half
    assert torch.equal(half, random_halves(cells, 50, seed=0))
    assert not torch.equal(half, random_halves(cells, 50, seed=1))


def test_copies_of_images_change_neither_alpha_nor_its_interval():
    def copied(one):
        parts = (one.logits.repeat(4, 1), one.labels.repeat(4))
        return replace(predictions(*parts), cluster=one.cluster.repeat(4))

    pairs = random_pairs(totals=(100, 120, 90))
    once, fourfold = line(twins(pairs)), line(twins([(copied(b), copied(a)) for b, a in pairs]))
    assert once["alpha"].parts == pytest.approx(fourfold["alpha"].parts)
    assert once["reliability"] == pytest.approx(fourfold["reliability"])


def test_noise_that_both_models_share_is_not_read_as_a_slope():
    """Before and after are right on the same images by chance, where all classes are equally hard."""
    numbers = np.random.default_rng(0)
    labels = torch.arange(10).repeat_interleave(40)
    drawn = torch.from_numpy(numbers.random((12, 400)) < 0.8)
    given = twins([(of_correct(one, labels), of_correct(one, labels)) for one in drawn])
    assert line(given, **SAME_IMAGES)["alpha"].mean == pytest.approx(1)
    assert abs(line(given, deattenuate=False)["alpha"].mean) < 0.3


def test_de_attenuation_divides_by_the_reliability():
    given = twins(random_pairs(totals=(60, 60, 60, 60)))
    found, flat = line(given), line(given, deattenuate=False)
    assert found["alpha"].mean * found["reliability"] == pytest.approx(flat["alpha"].mean)
    assert 0 < found["reliability"] < 1
    assert found["reliability"] == flat["reliability"]


# --- groups


def test_groups_may_stand_in_place_of_classes():
    numbers = np.random.default_rng(0)
    labels, attributes = torch.arange(2).repeat_interleave(400), torch.arange(2).repeat(400)
    recall = torch.tensor([[0.95, 0.65], [0.65, 0.95]])[labels, attributes].numpy()
    harder = torch.tensor([[0.98, 0.48], [0.48, 0.98]])[labels, attributes].numpy()

    def drawn(shares):
        correct = torch.from_numpy(numbers.random(len(labels)) < shares)
        return predictions(answers(torch.where(correct, labels, 1 - labels), 2), labels, attributes)

    given = twins([(drawn(recall), drawn(harder)) for _ in range(8)])
    found = line(given, by="group")
    assert found["alpha"].mean == pytest.approx((0.25 / 0.73) / (0.15 / 0.8), abs=0.12)
    assert found["mark"] == ">"
    assert line(given)["alpha"] is None  # classes are equally hard
    table = ANALYSES["intensification"](given, by="group")
    assert table.columns["group"][2] == ("group 0", "group 1", "group 2", "group 3")
    assert table.columns["recall change"][2][1].mean == pytest.approx(-17, abs=3)


# --- classes


def test_intensification_is_the_median_and_the_change_of_recall_is_paired():
    pairs = random_pairs(models=7, totals=(41, 43, 47, 53))
    table = ANALYSES["intensification"](twins(pairs))
    ratios = np.median([balances(after) / balances(before) for before, after in pairs], axis=0)
    assert table.columns["intensification"][2] == pytest.approx(list(ratios))
    means = np.mean([balances(after) / balances(before) for before, after in pairs], axis=0)
    assert np.abs(means - ratios).max() > 1e-3
    for c, found in enumerate(table.columns["recall change"][2]):
        right = [[float(one.correct[one.labels == c].double().mean()) for one in pair] for pair in pairs]
        gaps = 100 * np.diff(right).ravel()
        assert found.mean == pytest.approx(gaps.mean())
        assert found.standard_error >= stats.sem(gaps) * (1 - 1e-9)
    assert table.columns["class"][2] == ("0", "1", "2", "3")


# --- estimates


def test_the_published_form_is_the_mean_of_the_models_own_slopes_with_students_interval_over_models():
    pairs = random_pairs(3, models=8)
    table = ANALYSES["recall_balance_as_published"](twins(pairs))
    found = cells_of(table)["magnitude[sparsity=0.9]", "erm"]
    balances = []
    for pair in pairs:
        recalls = [np.array([float(one.correct[one.labels == c].double().mean()) for c in range(4)]) for one in pair]
        balances.append(
            [recall / float(one.correct.double().mean()) - 1 for recall, one in zip(recalls, pair, strict=True)]
        )
    slopes = [float(x @ y / (x @ x)) for x, y in balances]
    assert found["alpha"].mean == pytest.approx(np.mean(slopes))
    assert found["alpha"].standard_error == pytest.approx(stats.sem(slopes))
    assert found["alpha"].freedom == pytest.approx(7)
    assert "over models at these test images" in table.caption
    wide = cells_of(ANALYSES["recall_balance_as_published"](twins(pairs), images=True))[
        "magnitude[sparsity=0.9]", "erm"
    ]
    assert wide["alpha"].standard_error > found["alpha"].standard_error


def test_an_estimate_of_what_images_do_not_touch_is_students():
    values = torch.tensor([1.0, 2.5, 0.3, 4.0, 2.2], dtype=torch.float64)
    weights = Weights.ones(5, 20)
    found = weights.influence(weights.mean(values)).estimate()
    assert found.interval(0.99) == pytest.approx(stats.t.interval(0.99, 4, values.mean(), stats.sem(values)))


def test_an_estimate_of_models_that_all_answer_alike_has_the_variance_of_the_draw_of_images():
    right = torch.arange(200).double().remainder(5) < 3
    weights = Weights.ones(6, 200)
    accuracy = (weights.image * right).sum(dim=1) / weights.image.sum(dim=1)
    found = weights.influence(weights.mean(accuracy)).estimate()
    assert found.standard_error == pytest.approx((0.6 * 0.4 / 200) ** 0.5)
    assert found.freedom == pytest.approx(199)


def test_noise_of_one_model_on_one_image_counts_once():
    numbers = np.random.default_rng(0)
    stated, means = [], []
    for _ in range(400):
        right = torch.from_numpy(numbers.random((10, 100)) < 0.7).double()
        weights = Weights.ones(10, 100)
        accuracy = (weights.image * right).sum(dim=1) / weights.image.sum(dim=1)
        found = weights.influence(weights.mean(accuracy)).estimate()
        means.append(found.mean)
        stated.append(found.standard_error**2)
    assert np.mean(stated) == pytest.approx(np.var(means), rel=0.4)  # counted twice it would be 2


def test_bounds_are_where_the_t_test_of_the_difference_has_the_level():
    cross = torch.tensor([1.2, 0.9, 1.8, 1.4, 1.1, 1.6], dtype=torch.float64)
    square = torch.tensor([1.0, 0.8, 1.1, 0.9, 1.0, 1.2], dtype=torch.float64)
    weights = Weights.ones(6, 5)
    ratio = Ratio(weights.influence(weights.mean(cross)), weights.influence(weights.mean(square)))
    for bound in ratio.interval(0.99):
        assert stats.ttest_1samp(cross - bound * square, 0).pvalue == pytest.approx(0.01, rel=1e-4)
    told = stats.ttest_1samp(cross - square, 0).pvalue
    assert [ratio.side(level) for level in (1 - 1.01 * told, 1 - 0.99 * told)] == [">", "?"]


# --- where the truth is known


@pytest.fixture(scope="module")
def simulation():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import recall_balance_simulation
    finally:
        sys.path.remove(str(BENCHMARKS))
    return recall_balance_simulation


@pytest.fixture(scope="module")
def simulated(simulation):
    """Short forms of the benchmark's scenarios, by name: fewer splits and models."""
    simulation.SPLITS = 4
    kept = {}
    for scenario in simulation.SCENARIOS[3:6] + simulation.SCENARIOS[7:]:
        short = replace(scenario, models=12, images=100)
        kept[scenario.name] = simulation.simulate(short, REPETITIONS, np.random.default_rng(0))
    return kept


ALPHAS = {
    "150 images a class, alpha 1": 1.0,
    "150 images a class, alpha 1.5": 1.5,
    "150 images a class, alpha 0.7": 0.7,
    "alpha 1.5, images mostly hard for all": 1.5,
}


@pytest.mark.parametrize("name", ALPHAS)
def test_alpha_is_found_where_the_published_slope_is_biased(simulated, name):
    medians = {key: np.median(values) for key, values in simulated[name].points.items()}
    assert medians["alpha"] == pytest.approx(ALPHAS[name], rel=0.05)
    assert medians["alpha shared"] == pytest.approx(ALPHAS[name], rel=0.05)
    if ALPHAS[name] >= 1:  # below, the noise that x and y share happens to make up for what noise of x flattens
        assert medians["same images"] < ALPHAS[name] - 0.06


@pytest.mark.parametrize("name", ALPHAS)
def test_the_99_percent_interval_holds_alpha(simulated, name):
    held = simulated[name].held
    assert np.mean(held["alpha"]) >= 0.95  # 6 or more misses of 100 have a chance of 0.0005
    assert np.mean(held["alpha, linearised"]) >= 0.95
    assert np.mean(held["alpha shared"]) >= 0.95


def test_an_interval_of_models_alone_is_too_short(simulated):
    assert np.mean(simulated["alpha 1.5, images mostly hard for all"].held["models only"]) < 0.95


def test_marks_are_those_of_the_truth(simulated):
    for name, mark in (("alpha 1.5", ">"), ("alpha 0.7", "<")):
        found = simulated[f"150 images a class, {name}"]
        assert found.share("alpha", mark) > 0.8
        assert found.share("alpha", "<" if mark == ">" else ">") == 0
    assert simulated["150 images a class, alpha 1"].share("alpha", "?") >= 0.95


def test_what_a_model_loses_of_its_own_flattens_alpha_and_not_the_shared_one(simulated):
    medians = simulated["alpha 1, a model's own part half lost"].points
    assert np.median(medians["alpha"]) == pytest.approx(0.9, abs=0.02)
    assert np.median(medians["alpha shared"]) == pytest.approx(1, abs=0.02)


def test_growing_errors_alone_leave_nothing_over_the_uniform_alpha(simulated):
    found = simulated["all errors grow by 4/3"]
    assert np.median(found.points["alpha"]) > 1.35
    assert np.mean(found.held["over uniform"]) >= 0.95
    assert np.mean(simulated["150 images a class, alpha 0.7"].held["over uniform"]) < 0.2


def test_a_null_of_equal_models_is_told_from_1_in_one_percent_and_one_of_different_models_is(simulation):
    simulation.SPLITS = 4
    alike, _, differ = (replace(null, images=100, models=12) for null in simulation.NULLS)
    found = simulation.simulate_null(alike, 3 * REPETITIONS, np.random.default_rng(0))
    assert found.share("alpha", "?") >= 0.965  # 11 or more told of 300 have a chance of 0.0003
    found = simulation.simulate_null(replace(differ, training=0.7), REPETITIONS, np.random.default_rng(0))
    assert found.share("alpha", "<") > 0.8
    assert np.median(found.points["alpha"]) == pytest.approx(1 / 1.49, abs=0.04)


def test_less_pruning_is_seen_beside_a_smaller_alpha(simulation):
    """As undecayed pruning was run: asked for as much as magnitude pruning, it removes less, and intensifies less."""
    numbers = np.random.default_rng(0)
    scenario = replace(simulation.LARGER, models=12, accuracy_after=0.8, training=0.0, same=0.9)
    found = {}
    for method, alpha, left in (("magnitude", 1.5, 100), ("undecayed", 1.1, 190)):
        drawn = simulation.draw(replace(scenario, alpha=alpha), numbers)
        members = []
        for seed in range(12):
            before, after = (of_correct(part[seed], drawn.cells.unit) for part in (drawn.before, drawn.after))
            members.append(member("erm-ft", seed, before))
            members.append(member(method, seed, after, baseline="erm-ft", nonzero_parameters=left))
        found[method] = line(population(members), row=method, control="erm-ft")
    assert found["magnitude"]["compression"] == pytest.approx(10)
    assert found["undecayed"]["compression"] == pytest.approx(1000 / 190)
    assert found["magnitude"]["alpha lower"] > found["undecayed"]["alpha"].mean
    assert [found[method]["mark"] for method in found] == [">", "?"]
