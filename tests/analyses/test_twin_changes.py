"""Against the twin: the numbers of `benchbias compare`, of fairlearn and of sums by hand; rare errors."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference
from scipy import stats

from benchbias import BenchbiasError, Measured, Skip, TrialRecord, estimate, holm, p_value, part_accuracies
from benchbias.board.comparing import compare
from benchbias.board.row_trials import paired, trials_of
from benchbias.network.cost import ExampleCells, pack_counts
from benchbias.statistics.cells import read_layout
from benchbias_plugins.analyses.against_the_twin.breaking import breaking_sparsity, broken_from, equivalent_to
from benchbias_plugins.analyses.against_the_twin.changes import twin_changes
from benchbias_plugins.analyses.against_the_twin.fairness import ODDS, PARITY, fairness
from benchbias_plugins.analyses.against_the_twin.slope import disparity_slope
from support.populations import answers, member, population, predictions

CLASSES, ATTRIBUTES = 3, 3
METRICS = ("worst_group_accuracy", "conflicting_accuracy", "aligned_accuracy", "accuracy")
PART_OF = dict(zip(METRICS, ("worst group", "conflicting", "aligned", "all"), strict=True))


def column(table, name):
    return table.columns[name][2]


def lines(table, **texts):
    """The lines whose texts are these, as dicts."""
    rows = [
        dict(zip(table.columns, values, strict=True))
        for values in zip(*(c[2] for c in table.columns.values()), strict=True)
    ]
    return [row for row in rows if all(row[name] == text for name, text in texts.items())]


def line(table, **texts):
    (found,) = lines(table, **texts)
    return found


def answered(numbers, accuracy, *, seed=0, clusters=30, copies=2, folds=1, classes=CLASSES, attributes=ATTRIBUTES):
    """Predictions of a model that is right with the group's accuracy (K, A): each source image in every attribute.

    Copies share their image; with folds, a seed tests a part of the images only.
    """
    image = np.arange(clusters)[np.arange(clusters) % folds == seed % folds]
    cluster, attribute, _ = (x.ravel() for x in np.meshgrid(image, range(attributes), range(copies), indexing="ij"))
    label = cluster % classes
    hard = np.random.default_rng(cluster.max()).uniform(-0.2, 0.2, clusters)
    chance = np.clip(np.asarray(accuracy)[label, attribute] + hard[cluster] + numbers.normal(0, 0.04), 0, 1)
    right = numbers.random(len(label)) < chance
    other = (label + numbers.integers(1, classes, len(label))) % classes
    logits = answers(torch.from_numpy(np.where(right, label, other)), classes)
    found = predictions(logits, torch.from_numpy(label), torch.from_numpy(attribute), num_attributes=attributes)
    return replace(found, cluster=torch.from_numpy(cluster))


def accuracy_of(aligned, conflicting, classes=CLASSES, attributes=ATTRIBUTES):
    return np.where(np.eye(classes, attributes) > 0, aligned, conflicting)


def toy(*, seeds=5, levels=(0.5, 0.8, 0.9), loss=(0.0, 0.1, 0.3), folds=1, start=0):
    """ERM, and magnitude at some levels that costs conflicting accuracy."""
    members = []
    for seed in range(seeds):
        numbers = np.random.default_rng(100 * start + seed)
        made = answered(numbers, accuracy_of(0.9, 0.6), seed=seed, folds=folds)
        members.append(member("erm", seed, made))
        for level, lost in zip(levels, loss, strict=True):
            made = answered(numbers, accuracy_of(0.9, 0.6 - lost), seed=seed, folds=folds)
            body = {"sparsity": 0.95 * level, "nonzero_parameters": round(1000 * (1 - 0.95 * level))}
            members.append(member("magnitude", seed, made, swept={"sparsity": level}, baseline="erm", **body))
    return population(members)


def values_of(members):
    """Correct (S, N) by member, on one test split."""
    return np.stack([one.predictions["test"].correct.numpy() for one in members]).astype(float)


# --- twin_changes


def as_records(found):
    """The records and layouts that a board would be built from, of the same answers."""
    suite = {"name": "made", "reference": "erm", "rank_by": METRICS[0], "metrics": list(METRICS)}
    records, layouts = [], {}
    for one in found.members:
        test, body = one.predictions["test"], dict(one.record.body)
        layout = ExampleCells.of(test.cluster, test.groups)
        read = read_layout(layout.to_json())
        layouts[read.digest] = read
        right, aligned = test.correct.double(), test.aligned
        by_group = torch.tensor(body["group_correct"]).double() / torch.tensor(body["group_total"])
        metrics = (by_group.min(), right[~aligned].mean(), right[aligned].mean(), right.mean())
        body |= {"suite": suite, "metrics": dict(zip(METRICS, map(float, metrics), strict=True)), "ranked": True}
        body |= {"settings_from": "default", "correct": pack_counts(test.correct, layout)}
        records.append(TrialRecord(body, {}))
    return records, layouts


@pytest.mark.parametrize("folds", [1, 2])
def test_changes_are_those_of_the_board_and_of_compare(folds: int):
    found = toy(folds=folds, seeds=6)
    records, layouts = as_records(found)
    rows = {row.label: row for row in trials_of(records, layouts)}
    table = twin_changes(found)
    for level in (0.5, 0.8, 0.9):
        name = f"magnitude[sparsity={level}]"
        text = compare(records, layouts, name, "erm")
        for metric, part in PART_OF.items():
            ours, board = line(table, row=name, part=part), paired(rows[name], rows["erm"], metric)
            assert ours["control"] == "erm"
            assert ours["change"].mean == pytest.approx(100 * board.mean)
            assert ours["change"].standard_error == pytest.approx(100 * board.standard_error)
            assert ours["change"].freedom == pytest.approx(board.freedom)
            shown = f"{ours['change'].mean:+.1f} ± {ours['change'].half_width:.1f}"
            assert any(metric.replace("_", " ") in row and shown in row for row in text.splitlines())
        for group in found.members[0].record.body["group_names"]:
            shown = line(table, row=name, part=group)["change"]
            assert f"{shown.mean:+.1f} ± {shown.half_width:.1f}" in text.split(f"| group {group} ")[1].split("\n")[0]


def test_the_change_of_a_class_is_that_of_its_examples_with_both_variances():
    """Written anew: s^2 / S between seeds and the clusters' squared mean influence, Satterthwaite's freedom."""
    found = toy()
    table = twin_changes(found, by=("class",))
    rows = found.rows()
    dense, sparse = values_of(rows["erm"]), values_of(rows["magnitude[sparsity=0.9]"])
    test = found.members[0].predictions["test"]
    for label in range(CLASSES):
        inside = test.labels.numpy() == label
        gaps = 100 * (sparse - dense)[:, inside]  # (S, N)
        by_seed, cluster = gaps.mean(axis=1), test.cluster.numpy()[inside]
        centred = (gaps - by_seed[:, None]).mean(axis=0)
        sums = [centred[cluster == one].sum() / inside.sum() for one in np.unique(cluster)]
        total, mine = len(np.unique(test.cluster)), len(sums)  # other classes' clusters have no influence
        drawn = total / (total - 1) * np.square(sums).sum() + 100**2 * 2 / (mine + 2) ** 2
        seeds = by_seed.var(ddof=1) / len(by_seed)
        ours = line(table, row="magnitude[sparsity=0.9]", part=f"class {label}")
        assert ours["change"].mean == pytest.approx(by_seed.mean())
        assert ours["change"].standard_error ** 2 == pytest.approx(seeds + drawn)
        freedom = (seeds + drawn) ** 2 / (seeds**2 / (len(by_seed) - 1) + drawn**2 / (mine - 1))
        assert ours["change"].freedom == pytest.approx(freedom)
        assert ours["before"] == pytest.approx(dense[:, inside].mean())
        assert ours["after"] == pytest.approx(sparse[:, inside].mean())


def test_changes_add_up_and_change_sign_with_the_twins():
    found = toy()
    table = twin_changes(found)
    swapped = [
        replace(one, method="erm" if one.method == "magnitude" else "magnitude", swept={})
        for one in found.members
        if one.swept in ({}, {"sparsity": 0.9})
    ]
    for at, one in enumerate(swapped):
        body = {**one.record.body, "method": one.method, "baseline": "erm" if one.method == "magnitude" else None}
        swapped[at] = replace(one, record=TrialRecord(body, {}))
    back = twin_changes(population(swapped))
    totals = dict(
        zip(found.members[0].record.body["group_names"], found.members[0].record.body["group_total"], strict=True)
    )
    ours = lines(table, row="magnitude[sparsity=0.9]")
    for one in ours:
        theirs = line(back, part=one["part"])
        assert theirs["change"].mean == pytest.approx(-one["change"].mean)
        assert theirs["change"].half_width == pytest.approx(one["change"].half_width)
        assert (theirs["before"], theirs["after"]) == (one["after"], one["before"])
        assert 100 * (one["after"] - one["before"]) == pytest.approx(one["change"].mean)
    by_part = {one["part"]: one["change"].mean for one in ours}
    whole = sum(totals[name] * by_part[name] for name in totals) / sum(totals.values())
    assert by_part["all"] == pytest.approx(whole)
    assert by_part["all"] == pytest.approx(np.mean([by_part[f"class {label}"] for label in range(CLASSES)]))


def test_the_worst_group_is_the_difference_of_the_minima_of_each_seed_less_their_bias():
    found = toy(loss=(0.2, 0.2, 0.2))
    least = {
        (one.row, one.seed): min(np.divide(one.record.body["group_correct"], one.record.body["group_total"]))
        for one in found.members
    }
    for row in ("magnitude[sparsity=0.5]", "magnitude[sparsity=0.9]"):
        gaps = [100 * (least[row, seed] - least["erm", seed]) for seed in range(5)]
        one = line(twin_changes(found), row=row, part="worst group")
        assert one["change"].mean == pytest.approx(np.mean(gaps), abs=3)
        assert one["change"].mean == pytest.approx(100 * (one["after"] - one["before"]))


def test_a_twin_against_itself_has_changed_nowhere_and_is_equivalent():
    found = toy(levels=(0.5,), loss=(0.0,))
    base = {one.seed: one for one in found.members if one.method == "erm"}
    same = [replace(one, predictions=base[one.seed].predictions) for one in found.members]
    table = twin_changes(population(same))
    assert [one.mean for one in column(table, "change")] == [0.0] * len(column(table, "change"))
    assert set(column(table, "verdict")) == {"undecided"}, "few images: the next one may differ"
    assert set(column(twin_changes(population(same), margin=90.0), "verdict")) == {"equivalent"}
    assert set(column(table, "p holm")) == {1.0}


def test_verdicts_hold_what_is_adjusted_over_the_parts_of_a_row():
    table = twin_changes(toy(seeds=12, loss=(0.0, 0.05, 0.8)))
    broken = lines(table, row="magnitude[sparsity=0.9]")
    assert [one["p holm"] for one in broken] == pytest.approx(holm([p_value(one["change"]) for one in broken]))
    too_small = [
        2 * stats.t.sf(abs(one["change"].mean) / one["change"].standard_error, one["change"].freedom) for one in broken
    ]
    assert all(one["p holm"] >= p for one, p in zip(broken, holm(too_small), strict=True)), "Satterthwaite's are"
    assert line(table, row="magnitude[sparsity=0.9]", part="conflicting")["verdict"] == "lower"
    assert line(table, row="magnitude[sparsity=0.9]", part="worst group")["verdict"] == "lower"
    for one in broken:
        assert (one["verdict"] in ("lower", "higher")) == (one["p holm"] <= 0.05)
    assert {one["part"] for one in broken} == {
        *("all", "aligned", "conflicting", "worst group", "class 0", "class 1", "class 2"),
        *(f"group {number}" for number in range(9)),
    }


def test_of_two_groups_the_worst_ones_change_is_that_groups():
    made = {}
    labels = torch.arange(2000) % 2
    for seed in range(5):
        right = labels.clone()
        right[torch.arange(0, 2000, 2)[: 100 + seed % 2]] = 1
        made[seed] = predictions(answers(right, 2), labels, labels, num_attributes=2)
    worse = {}
    for seed in range(5):
        right = made[seed].predicted.clone()
        right[torch.arange(0, 2000, 2)[200:215]] = 1
        worse[seed] = replace(made[seed], logits=answers(right, 2))
    names = {"group_names": ["a", "b", "c", "d"], "group_aligned": [True, False, False, True]}
    members = [member("erm", seed, one, **names) for seed, one in made.items()]
    members += [member("cut", seed, one, baseline="erm", **names) for seed, one in worse.items()]
    table = twin_changes(population(members))
    assert line(table, part="class 0")["verdict"] == "lower"
    assert line(table, part="class 0")["change"].mean == pytest.approx(-1.5)
    assert line(table, part="worst group")["verdict"] == "no examples"  # groups b and c have none
    assert line(table, part="b")["change"] is None
    assert line(table, part="conflicting")["before"] is None

    def folded(one):
        """Two groups alone, so that the worst is the class that loses 1.5 points."""
        return replace(one, attributes=torch.zeros_like(labels), groups=labels, num_attributes=1,
                       train_group_shares=torch.tensor([0.5, 0.5]))  # fmt: skip

    two = {"group_names": ["a", "b"], "group_aligned": [True, False]}
    members = [member("erm", seed, folded(one), **two) for seed, one in made.items()]
    members += [member("cut", seed, folded(one), baseline="erm", **two) for seed, one in worse.items()]
    table = twin_changes(population(members))
    worst, same = line(table, part="worst group"), line(table, part="a")
    assert worst["change"].mean == pytest.approx(same["change"].mean) == pytest.approx(-1.5)
    assert worst["p holm"] <= 0.05
    assert (worst["verdict"], same["verdict"]) == ("lower", "lower")


def test_one_seed_gives_changes_without_intervals():
    table = twin_changes(toy(seeds=1))
    assert not any(one.over_seeds for one in column(table, "change"))
    assert set(column(table, "verdict")) == {"undecided"}


def test_what_cannot_be_compared_says_so():
    erm = population([one for one in toy().members if one.method == "erm"])
    for analysis in (twin_changes, breaking_sparsity, disparity_slope):
        with pytest.raises(Skip, match="baseline"):
            analysis(erm)
    for analysis in (twin_changes, breaking_sparsity):
        with pytest.raises(BenchbiasError, match="margin"):
            analysis(toy(seeds=2), margin=0.0)
    plain = [replace(one, swept={}) for one in toy(seeds=2, levels=(0.5,), loss=(0.1,)).members]
    for analysis in (breaking_sparsity, disparity_slope):
        with pytest.raises(Skip, match="sweeps"):
            analysis(population(plain))


def test_parts_are_sums_over_groups_and_differ_by_the_same_test_examples():
    made = toy().members[0].predictions["test"]
    found = part_accuracies(made, {"one": [[0, 4]], "least": [[0], [4], [1, 2]]})
    right, groups = made.correct.numpy(), made.groups.numpy()
    by_set = [right[np.isin(groups, one)].mean() for one in ([0], [4], [1, 2])]
    assert found["one"].value == pytest.approx(right[np.isin(groups, [0, 4])].mean())
    assert found["least"].value == pytest.approx(min(by_set))
    gap = found["one"] - 0.5 * found["one"]
    assert gap.value == pytest.approx(0.5 * found["one"].value)
    assert gap.influence.value == pytest.approx(0.5 * found["one"].influence.value)
    elsewhere = part_accuracies(answered(np.random.default_rng(1), accuracy_of(0.9, 0.5), clusters=33), {"a": [[0]]})
    assert (found["one"] + elsewhere["a"]).influence is None
    assert (found["one"] + Measured(0.5)).influence is None


# --- breaking_sparsity


def drawn_changes(numbers, truth, seeds=5, sd=3.0):
    """Changes of levels in points: seeds share an effect over the levels, as twins of one seed do."""
    common = numbers.normal(0, sd / 2, seeds)
    return [estimate(list(true + common + numbers.normal(0, sd, seeds))) for true in truth]


@pytest.mark.parametrize(
    "truth",
    [
        (0.0, 0.0, 0.0, 0.0),
        (0.0, -1.0, -2.0, -3.0),
        (-3.0, -3.0, -3.0, -3.0),
        (-3.0, -3.0, -9.0, -30.0),
        (-30.0, -9.0, -3.0, -9.0),
    ],
)
def test_levels_that_have_not_lost_the_margin_are_rarely_called_broken(truth):
    """The family error is that of one test, 2.5 %: at most 5 % is promised. Levels that lose more may be called."""
    numbers = np.random.default_rng(0)
    sound = [at for at, true in enumerate(truth) if true >= -3.0]
    wrong = 0
    repetitions = 1500
    for _ in range(repetitions):
        at = broken_from(drawn_changes(numbers, truth), 3.0)
        wrong += at is not None and any(level >= at for level in sound)
    assert wrong / repetitions <= 0.05
    if truth[0] == -3.0 and truth[-1] == -30.0:
        assert wrong / repetitions > 0.01, "a level at the margin below two that are broken is tested at its level"


def test_levels_beyond_the_margin_are_rarely_called_equivalent():
    numbers = np.random.default_rng(1)
    wrong = sum(
        (at := equivalent_to(drawn_changes(numbers, (0.0, -3.0, -3.0), seeds=10, sd=1.5), 3.0)) is not None and at >= 1
        for _ in range(1500)
    )
    assert 0 < wrong / 1500 <= 0.065  # 5 % of those whose first level is shown to be equivalent


def test_a_clear_loss_is_found_at_its_level_and_never_above_a_level_that_holds():
    numbers = np.random.default_rng(2)
    found = [broken_from(drawn_changes(numbers, (0.0, -1.0, -15.0, -30.0), sd=2.0), 3.0) for _ in range(200)]
    assert found.count(2) > 190
    assert all(broken_from(drawn_changes(numbers, (-30.0, -30.0, 0.0), sd=2.0), 3.0) is None for _ in range(50))
    assert broken_from([None], 3.0) is None
    assert broken_from([estimate([-30.0])], 3.0) is None, "one seed shows nothing"
    assert equivalent_to([estimate([0.0])], 3.0) is None


def test_breaking_sparsity_is_the_lowest_level_below_the_margin_by_the_board_s_interval():
    found = toy(seeds=8, loss=(0.0, 0.25, 0.45))
    table, changes = breaking_sparsity(found), twin_changes(found)
    for metric, part in (("worst_group_accuracy", "worst group"), ("conflicting_accuracy", "conflicting")):
        one = line(table, metric=metric)
        assert (one["method"], one["control"], one["levels"]) == ("magnitude", "erm", 3)
        bounds = {
            level: line(changes, row=f"magnitude[sparsity={level}]", part=part)["change"] for level in (0.5, 0.8, 0.9)
        }
        broken = [level for level, change in bounds.items() if change.mean + change.half_width < -3]
        assert one["breaking sparsity"] == min(broken)
        assert min(broken) in (0.8, 0.9)
        assert one["realised there"] == pytest.approx(0.95 * min(broken))
        assert one["change at highest"] == bounds[0.9]
        assert one["change at lowest"] == bounds[0.5]
        assert (one["lowest"], one["highest"]) == (0.5, 0.9)
    assert line(breaking_sparsity(found, margin=99.0), metric="conflicting_accuracy")["breaking sparsity"] is None
    assert line(breaking_sparsity(found, margin=99.0), metric="conflicting_accuracy")["equivalent up to"] == 0.9


def test_other_swept_values_are_held_and_a_density_is_a_sparsity():
    members = list(toy(levels=(0.5, 0.9), loss=(0.0, 0.4)).members)
    for one in list(members):
        if one.method == "magnitude":
            for layers in ("conv1", "fc"):
                swept = {"layers": layers, "density": round(1 - one.swept["sparsity"], 6)}
                body = {**one.record.body, "method": "layer", "swept": swept}
                members.append(replace(one, method="layer", swept=swept, record=TrialRecord(body, {})))
    table = breaking_sparsity(population(members))
    assert column(table, "method")[::2] == ("magnitude", "layer[layers=conv1]", "layer[layers=fc]")
    rows = [line(table, method=name, metric="conflicting_accuracy") for name in column(table, "method")[::2]]
    for one in rows[1:]:
        assert one["breaking sparsity"] == pytest.approx(rows[0]["breaking sparsity"]) == pytest.approx(0.9)
        assert one["change at highest"] == rows[0]["change at highest"]


# --- disparity_slope


def test_slopes_are_those_of_least_squares_through_the_origin_seed_by_seed():
    found = toy(loss=(0.05, 0.2, 0.35))
    rows = found.rows()
    aligned = found.members[0].predictions["test"].aligned.numpy()
    x = 0.95 * np.array([0.5, 0.8, 0.9])
    dense = values_of(rows["erm"])
    by_level = [100 * (values_of(rows[f"magnitude[sparsity={level}]"]) - dense) for level in (0.5, 0.8, 0.9)]
    parts = {
        "disparity": [gap[:, ~aligned].mean(axis=1) - gap[:, aligned].mean(axis=1) for gap in by_level],
        "conflicting": [gap[:, ~aligned].mean(axis=1) for gap in by_level],
        "aligned": [gap[:, aligned].mean(axis=1) for gap in by_level],
        "average": [gap.mean(axis=1) for gap in by_level],
    }
    table = disparity_slope(found)
    for quantity, gaps in parts.items():
        changes = np.stack(gaps, axis=1)  # (S, levels)
        slopes = [np.linalg.lstsq(x[:, None], row, rcond=None)[0][0] for row in changes]
        ours = line(table, quantity=quantity)
        assert ours["slope"].mean == pytest.approx(np.mean(slopes))
        assert ours["slope"].standard_error >= np.std(slopes, ddof=1) / math.sqrt(5)
        assert ours["largest misfit"] == pytest.approx(abs(changes.mean(axis=0) - np.mean(slopes) * x).max())
    assert line(table, quantity="disparity")["slope"].mean == pytest.approx(
        line(table, quantity="conflicting")["slope"].mean - line(table, quantity="aligned")["slope"].mean
    )
    by_halving = line(disparity_slope(found, axis="log compression"), quantity="average")
    logs = np.log2(
        [one.record.body["parameters"] / one.record.body["nonzero_parameters"] for one in found.members[1:4]]
    )
    slopes = [np.linalg.lstsq(logs[:, None], row, rcond=None)[0][0] for row in np.stack(parts["average"], axis=1)]
    assert by_halving["slope"].mean == pytest.approx(np.mean(slopes))


def test_a_line_is_found_again_and_a_seed_without_a_level_is_left_out():
    found = toy(levels=(0.5, 0.9), loss=(0.1, 0.2))
    fewer = population([one for one in found.members if (one.seed, one.swept) != (4, {"sparsity": 0.9})])
    whole = population([one for one in found.members if one.seed != 4])
    assert column(disparity_slope(fewer), "slope") == column(disparity_slope(whole), "slope")
    assert column(disparity_slope(fewer), "slope")[0].n == 4
    one_level = population([one for one in found.members if one.swept in ({}, {"sparsity": 0.9})])
    slope = line(disparity_slope(one_level), quantity="average")
    change = line(twin_changes(found), row="magnitude[sparsity=0.9]", part="all")["change"]
    assert slope["slope"].mean == pytest.approx(change.mean / (0.95 * 0.9))
    assert slope["slope"].half_width == pytest.approx(change.half_width / (0.95 * 0.9))
    assert slope["largest misfit"] == pytest.approx(0)
    dense = [replace(one, record=TrialRecord({**one.record.body, "sparsity": 0.0}, {})) for one in one_level.members]
    assert set(column(disparity_slope(population(dense)), "slope")) == {None}


# --- fairness


def by_fairlearn(found, metric):
    """On single examples; of more than two classes the largest over one against the rest."""
    test = found.predictions["test"]
    kinds = range(test.logits.shape[1]) if test.logits.shape[1] > 2 else [1]
    return max(
        metric(
            (test.labels == kind).long().numpy(),
            (test.predicted == kind).long().numpy(),
            sensitive_features=test.attributes.numpy(),
        )
        for kind in kinds
    )


@pytest.mark.parametrize(("classes", "attributes"), [(2, 2), (3, 3), (2, 4)])
def test_fairness_is_fairlearn_s_and_its_changes_are_paired(classes: int, attributes: int):
    members = []
    for seed in range(3):
        numbers = np.random.default_rng(seed)
        for method, conflicting in (("erm", 0.6), ("cut", 0.3)):
            chance = accuracy_of(0.9, conflicting, classes, attributes)
            made = answered(numbers, chance, clusters=40, classes=classes, attributes=attributes)
            members.append(member(method, seed, made, baseline="erm" if method == "cut" else None))
    found = population(members)
    table = fairness(found)
    for name, metric in ((ODDS, equalized_odds_difference), (PARITY, demographic_parity_difference)):
        values = {row: [100 * by_fairlearn(one, metric) for one in ones] for row, ones in found.rows().items()}
        for row in values:
            ours, expected = line(table, row=row)[name], estimate(values[row])
            assert (ours.mean, ours.half_width) == pytest.approx((expected.mean, expected.half_width))
        gaps = estimate([a - b for a, b in zip(values["cut"], values["erm"], strict=True)])
        change = line(table, row="cut")[f"change of {name}"]
        assert (change.mean, change.half_width) == pytest.approx((gaps.mean, gaps.half_width))
    plain = line(table, row="erm")
    assert (plain["control"], plain[f"change of {ODDS}"], plain[f"change of {PARITY}"]) == ("", None, None)
    assert line(table, row="cut")["control"] == "erm"


def test_reading_the_attribute_alone_is_as_unfair_as_can_be_and_the_class_alone_is_fair():
    labels = torch.tensor([0, 0, 1, 1]).repeat(10)
    attributes = torch.tensor([0, 1, 0, 1]).repeat(10)
    for answered_by, odds, parity in (
        (attributes, 100.0, 100.0),
        (labels, 0.0, 0.0),
        (torch.zeros(40).long(), 0.0, 0.0),
    ):
        table = fairness(population([member("erm", 0, predictions(answers(answered_by, 2), labels, attributes))]))
        assert (column(table, ODDS)[0].mean, column(table, PARITY)[0].mean) == (odds, parity)


def test_equalised_odds_are_undefined_where_an_attribute_lacks_a_class_and_parity_is_not():
    labels = torch.tensor([0, 1, 1, 1]).repeat(5)
    attributes = torch.tensor([0, 0, 1, 1]).repeat(5)
    table = fairness(population([member("erm", 0, predictions(answers(labels, 2), labels, attributes))]))
    assert column(table, ODDS) == (None,)
    assert column(table, PARITY)[0].mean == pytest.approx(50.0)
    unused = predictions(answers(labels, 2), labels, torch.zeros_like(labels), num_attributes=2)
    assert column(fairness(population([member("erm", 0, unused)])), ODDS)[0].mean == 0
