"""Audits put together: verdicts, what the published examples say, and that no order changes a byte."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from benchbias.auditing.assembling import audit_answers
from benchbias.auditing.groups import grouping_of
from benchbias.auditing.values import ALL, DENSE, Answers, Audit, Column, Line, Options, Scores
from benchbias.errors import UsageError


def one_group(n: int, lost: int, gained: int = 0) -> Answers:
    """The label is 1 everywhere: the dense model has all right but what is gained."""
    label = np.ones(n, int)
    dense, compressed = label.copy(), label.copy()
    compressed[:lost] = 0
    dense[lost : lost + gained] = 0
    return Answers(("0", "1"), label, dense, {"small": compressed})


def line(audit: Audit, name: str = ALL, model: int = 0) -> Line:
    (found,) = [line for line in audit.models[model].lines if line.group.name == name]
    return found


@pytest.mark.parametrize(
    ("n", "lost", "upper", "verdict", "whole"),
    [(21, 0, 0.1329, "too small", "undecided"), (99, 0, 0.0298, "safe", "pass"), (21, 18, None, "harmed", "harmed")],
)
def test_the_cases_of_the_specification(n: int, lost: int, upper: float | None, verdict: str, whole: str):
    audit = audit_answers(one_group(n, lost), Options())
    found = line(audit)
    assert found.verdict == verdict
    assert audit.verdict == audit.models[0].verdict == whole
    if upper is not None:
        assert found.upper == pytest.approx(upper, abs=5e-5)


def drawn(seed: int, n: int = 1500, *, worse: float = 0.0, cluster: bool = False) -> Answers:
    """Three attributes and a label; as many are lost as gained, and for sex = f more by `worse`."""
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 2, n)
    sex, age, eyes = (generator.integers(0, k, n) for k in (2, 3, 2))
    dense = np.where(generator.random(n) < 0.9, label, 1 - label)
    flip = generator.random(n) < np.where(dense == label, 0.02 + worse * (sex == 0), 0.18)
    compressed = np.where(flip, 1 - dense, dense)
    small = np.where(generator.random(n) < 0.02, 1 - label, dense)
    return Answers(
        ("a", "b"),
        label,
        dense,
        {"int8": compressed, "int4": small},
        {
            "sex": Column(sex, ("f", "m")),
            "age": Column(age - 1, ("old", "young")),
            "eyes": Column(eyes, ("blue", "brown")),
        },
        generator.integers(0, n // 3, n) if cluster else None,
    )


def shuffled(answers: Answers, seed: int) -> Answers:
    """The same rows in another order, columns and models too."""
    order = np.random.default_rng(seed).permutation(len(answers.label))
    swap = reversed
    return replace(
        answers,
        label=answers.label[order],
        dense=answers.dense[order],
        compressed={name: values[order] for name, values in swap(answers.compressed.items())},
        attributes={name: Column(c.codes[order], c.names) for name, c in swap(answers.attributes.items())},
        cluster=None if answers.cluster is None else 1000 - answers.cluster[order],
        scores={
            name: Scores(*(None if part is None else part[order] for part in (s.confidence, s.of_label, s.divergence)))  # type: ignore[arg-type]
            for name, s in swap(answers.scores.items())
        },
    )


def with_scores(answers: Answers) -> Answers:
    generator = np.random.default_rng(3)
    names = (DENSE, *answers.compressed)
    size = len(answers.label)
    return replace(answers, scores={name: Scores(*generator.random((3, size))) for name in names})


@pytest.mark.parametrize("cluster", [False, True])
def test_the_order_of_rows_columns_and_models_changes_nothing(cluster: bool):
    answers = with_scores(drawn(0, worse=0.1, cluster=cluster))
    assert audit_answers(answers, Options()) == audit_answers(shuffled(answers, 1), Options())


def test_lines_are_counted_as_one_would_by_hand():
    answers = drawn(1, worse=0.2)
    audit = audit_answers(answers, Options())
    grouping = grouping_of(answers, Options())
    right, still = answers.dense == answers.label, answers.compressed["int8"] == answers.label
    (model,) = [model for model in audit.models if model.name == "int8"]
    for found in model.lines:
        at = [group.name for group in grouping.groups].index(found.group.name)
        inside = grouping.members(at)
        assert (found.lost, found.gained) == ((right & ~still & inside).sum(), (still & ~right & inside).sum())
        assert (found.dense_right, found.compressed_right) == ((right & inside).sum(), (still & inside).sum())
        assert found.churn == pytest.approx((answers.dense != answers.compressed["int8"])[inside].mean())
        wanted = (
            stats.binomtest(found.lost, found.lost + found.gained, alternative="greater").pvalue if found.lost else 1
        )
        assert found.p == pytest.approx(wanted)
        assert found.lower <= found.harm <= found.upper
        assert found.p <= found.adjusted <= 1


def test_harmed_is_adjusted_for_all_models_together():
    answers = drawn(2, worse=0.05)
    alone = audit_answers(replace(answers, compressed={"int8": answers.compressed["int8"]}), Options())
    both = audit_answers(answers, Options())
    for found in alone.models[0].lines:
        assert line(both, found.group.name, model=1).adjusted >= found.adjusted - 1e-12


def test_a_planted_harm_is_found_where_it_is_and_the_group_to_look_at_is_it():
    audit = audit_answers(drawn(3, n=4000, worse=0.15), Options())
    (model,) = [model for model in audit.models if model.name == "int8"]
    assert model.verdict == "harmed"
    assert model.beyond_margin
    assert model.without is not None
    assert model.without[0] == "sex=f"
    uneven = {one.attribute: one for one in model.uneven}
    assert uneven["sex"].p < 0.001
    assert uneven["sex"].value == "f"
    assert uneven["eyes"].p > 0.05


def test_missing_values_may_hide_harm():
    answers = drawn(4, n=3000)
    (model,) = [model for model in audit_answers(answers, Options()).models if model.name == "int8"]
    (missing,) = model.missing
    assert missing.attribute == "age"
    assert missing.n == (answers.attributes["age"].codes < 0).sum()
    for value in ("old", "young"):
        code = ("old", "young").index(value)
        kept = np.isin(answers.attributes["age"].codes, (-1, code))
        part = replace(
            answers,
            label=answers.label[kept],
            dense=answers.dense[kept],
            compressed={"int8": answers.compressed["int8"][kept]},
            attributes={},
        )
        assert missing.upper >= line(audit_answers(part, Options())).upper - 1e-12


def test_a_pass_needs_every_gated_group_and_no_crossing():
    answers = one_group(400, 0)
    sex = Column(np.arange(400) // 200, ("f", "m"))
    hair = Column(np.arange(400) % 2, ("x", "y"))
    audit = audit_answers(replace(answers, attributes={"sex": sex, "hair": hair}), Options())
    assert audit.verdict == "pass"
    few = replace(answers, attributes={"sex": Column((np.arange(400) >= 20).astype(int), ("f", "m"))})
    assert audit_answers(few, Options()).verdict == "undecided"
    assert audit_answers(few, Options(gate=())).verdict == "pass"


def test_clusters_of_one_are_no_clusters():
    answers = drawn(5)
    single = replace(answers, cluster=np.random.default_rng(0).permutation(len(answers.label)))
    one, other = audit_answers(answers, Options()), audit_answers(single, Options())
    assert one.models == other.models


def test_copies_make_no_example_worth_more():
    """Each example three times, in clusters: bounds are no narrower than those of the examples once."""
    answers = drawn(6, n=600)
    order = np.repeat(np.arange(600), 3)
    copies = replace(
        answers,
        label=answers.label[order],
        dense=answers.dense[order],
        compressed={name: values[order] for name, values in answers.compressed.items()},
        attributes={name: Column(c.codes[order], c.names) for name, c in answers.attributes.items()},
        cluster=order,
    )
    once, thrice = audit_answers(answers, Options()), audit_answers(copies, Options())
    for one, other in zip(once.models[0].lines, thrice.models[0].lines, strict=True):
        assert other.group.units == one.group.n
        assert other.upper - other.lower >= 0.97 * (one.upper - one.lower)


def test_labels_of_the_changed_answers_alone_give_the_same_harm():
    answers = drawn(7)
    agree = np.all([values == answers.dense for values in answers.compressed.values()], axis=0)
    partly = replace(answers, label=np.where(agree, -1, answers.label))
    whole, part = audit_answers(answers, Options(by_label=False)), audit_answers(partly, Options())
    for one, other in zip(whole.models, part.models, strict=True):
        for before, after in zip(one.lines, other.lines, strict=True):
            assert (before.group.name, before.lost, before.gained) == (after.group.name, after.lost, after.gained)
            assert (after.dense_right, after.error_ratio) == (None, None)


def test_probabilities_are_columns_that_decide_nothing():
    answers = drawn(8)
    plain, scored = audit_answers(answers, Options()), audit_answers(with_scores(answers), Options())
    assert plain.models[0].lines[0].confidence is None
    found = scored.models[0].lines[0]
    scores = with_scores(answers).scores
    assert found.confidence == pytest.approx((scores[DENSE].of_label - scores["int4"].of_label).mean(), abs=1e-6)
    cleared = [replace(one, confidence=None, calibration=None, divergence=None) for one in scored.models[0].lines]
    assert tuple(cleared) == plain.models[0].lines


def test_calibration_is_zero_where_confidence_is_accuracy():
    n = 1000
    label = np.ones(n, int)
    given = np.where(np.arange(n) % 10 < 7, 1, 0)
    answers = Answers(("0", "1"), label, given, {"small": given})
    scores = Scores(np.full(n, 0.7), np.full(n, 0.5), np.zeros(n))
    found = line(audit_answers(replace(answers, scores={DENSE: scores, "small": scores}), Options()))
    assert found.calibration == pytest.approx((0, 0), abs=1e-6)
    sure = replace(answers, scores={DENSE: scores, "small": replace(scores, confidence=np.ones(n))})
    assert line(audit_answers(sure, Options())).calibration == pytest.approx((0, 0.3), abs=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(margin=0.0), "margin 0: in points"),
        (Options(margin=1.0), "margin 100"),
        (Options(margin=float("nan")), "margin nan"),
        (Options(level=0.5), "level 0.5"),
    ],
)
def test_impossible_settings_are_one_message(options: Options, message: str):
    with pytest.raises(UsageError, match=message):
        audit_answers(one_group(20, 0), options)


def test_the_largest_harm_not_excluded_is_the_largest_bound():
    model = audit_answers(drawn(9), Options()).models[0]
    assert model.not_excluded == max(found.upper for found in model.lines)


def test_verdicts_follow_the_rules_of_the_specification():
    options: Any = Options()
    for seed, worse in ((10, 0.0), (11, 0.1), (12, 0.3)):
        for model in audit_answers(drawn(seed, n=2500, worse=worse), options).models:
            for found in model.lines:
                safe, harmed = found.p_safe <= 0.05, found.adjusted <= 0.05
                wanted = (
                    "safe" if safe else "harmed" if harmed else "too small" if found.group.units < 99 else "undecided"
                )
                assert found.verdict == wanted
                assert (found.upper < options.margin) == safe or abs(found.upper - options.margin) < 1e-9
                assert (found.needs is None) or found.verdict in ("too small", "undecided")


def test_a_pass_needs_labels_unless_they_make_no_groups():
    answers = one_group(400, 0, gained=1)
    partly = replace(answers, label=np.where(answers.dense == answers.compressed["small"], -1, 1))
    assert audit_answers(answers, Options()).verdict == "pass"
    unknown = audit_answers(partly, Options())
    assert (unknown.verdict, [warning.kind for warning in unknown.warnings]) == ("undecided", ["labels-unknown"])
    assert audit_answers(partly, Options(by_label=False)).verdict == "pass"
    assert audit_answers(partly, Options(gate=())).verdict == "pass"
    with pytest.raises(UsageError, match="changed answers without a label"):
        audit_answers(replace(answers, label=np.full(400, -1)), Options())


def test_more_examples_are_asked_for_only_where_there_are_fewer():
    """254 examples, 3 lost: the bound is 3.02 points, and 208 examples would show a harmless group safe."""
    found = line(audit_answers(one_group(254, 3), Options()))
    assert (found.verdict, found.needs) == ("undecided", None)
    fewer = line(audit_answers(one_group(100, 1), Options()))
    assert fewer.needs is not None
    assert fewer.needs > 100


def test_missing_examples_hide_no_harm_of_a_value():
    """30 of 300 of q are lost, none of 1,000 that lack a value: the bound is that of q alone."""
    answers = one_group(3000, 30)
    codes = np.repeat([1, 0, -1], [300, 1700, 1000])
    (missing,) = (
        audit_answers(replace(answers, attributes={"a": Column(codes, ("p", "q"))}), Options()).models[0].missing
    )
    own = line(audit_answers(one_group(300, 30), Options())).upper
    assert (missing.value, missing.upper) == ("q", pytest.approx(own))


def test_few_clusters_are_too_small_however_many_examples_they_have():
    answers = replace(one_group(320, 0), cluster=np.concatenate([np.zeros(200, int), np.arange(1, 121)]))
    assert line(audit_answers(answers, Options())).verdict == "too small"


def test_clusters_that_gain_together_are_no_loss():
    """One frame of many clusters is lost, and all of a few are gained as often: the signs alone would say harmed."""
    generator, found = np.random.default_rng(0), 0
    cluster = np.repeat(np.arange(100), 10)
    for _ in range(100):
        label = np.ones(1000, int)
        dense = label.copy()
        compressed = label.copy()
        first = np.arange(0, 1000, 10)
        compressed[first[generator.random(100) < 0.2]] = 0
        gained = np.repeat(generator.random(100) < 0.02, 10)
        dense[gained], compressed[gained] = 0, 1
        answers = Answers(("0", "1"), label, dense, {"small": compressed}, cluster=cluster)
        one = line(audit_answers(answers, Options(by_label=False)))
        found += one.verdict == "harmed"
        assert (one.p <= 0.05) <= (one.lower > 0)
    assert found <= 100 * 0.05 + 2 * np.sqrt(100 * 0.05 * 0.95)
