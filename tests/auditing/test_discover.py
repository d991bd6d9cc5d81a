"""Slices are found on one half of the clusters and tested on the other: planted harm is found, chance is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchbias.auditing.before.discover import CONFIDENCE, Discovery, discover, discovery_text
from benchbias.auditing.before.halves import first_half
from benchbias.auditing.before.slices import features_of, find_slices
from benchbias.auditing.statistics.jointly import discrete_holm
from benchbias.auditing.tables.from_arrays import from_arrays
from benchbias.auditing.values import Answers, Column
from benchbias.errors import BenchbiasError


def world(
    seed: int, n: int = 3000, *, planted: float = 0.0, copies: int = 1, **more: Any
) -> tuple[Answers, dict[str, Any]]:
    """Answers of two models that flip symmetrically, but for a planted slice, and features that say nothing else.

    copies: images in a cluster, which flip together. The planted slice is bright images of brown hair.
    """
    generator = np.random.default_rng(seed)
    many = n // copies
    label = generator.integers(0, 2, many)
    right = generator.random(many) < 0.9
    features = {f"noise {k}": generator.normal(size=many) for k in range(8)} | {"light": generator.random(many)}
    hair = generator.choice(["black", "blond", "brown", "red"], many)
    draw = generator.random(many)
    still = np.where(right, draw > 0.05, draw < 0.45)  # 4.5 % lost, 4.5 % gained
    slice_ = (features["light"] > 0.7) & (hair == "brown")
    still = np.where(slice_ & right, draw > 0.05 + planted, still)
    spread = {name: np.repeat(column, copies) for name, column in features.items()}
    answers = from_arrays(
        *(np.repeat(codes, copies) for codes in (label, np.where(right, label, 1 - label))),
        {"int8": np.repeat(np.where(still, label, 1 - label), copies)},
        {"hair": np.repeat(hair, copies)},
        cluster=np.repeat(np.arange(many), copies) if copies > 1 else None,
        **more,
    )
    return answers, spread


def permuted(answers: Answers, features: dict[str, Any], order: Any) -> tuple[Answers, dict[str, Any]]:
    """The same examples in another order of rows, clusters renumbered, and of features."""
    numbers = np.random.default_rng(5).permutation(10 * len(order))
    return replace(
        answers,
        label=answers.label[order],
        dense=answers.dense[order],
        compressed={name: codes[order] for name, codes in answers.compressed.items()},
        attributes={name: Column(c.codes[order], c.names) for name, c in answers.attributes.items()},
        cluster=None if answers.cluster is None else numbers[answers.cluster[order]],
        ids=None if answers.ids is None else tuple(answers.ids[at] for at in order),
    ), {name: features[name][order] for name in sorted(features, reverse=True)}


@pytest.mark.parametrize("copies", [1, 3])
def test_a_planted_slice_is_found_and_told_in_plain_words(copies: int):
    answers, features = world(0, 4000 * copies, planted=0.3, copies=copies)
    found = discover(answers, features)
    first = found.slices[0]
    assert first.harmed
    assert "hair is brown" in first.text
    assert "light > 0." in first.text
    assert first.lower > 0
    assert found.explored + found.tested == 4000 * copies
    assert abs(found.explored - found.tested) < 0.1 * 4000 * copies
    assert first.units * copies == first.n


def test_the_numbers_are_those_of_the_second_half_and_the_words_tell_the_slice():
    answers, features = world(0, 4000, planted=0.3)
    found = discover(answers, features)
    first = halves_of(answers, features)
    harm = (answers.dense == answers.label).astype(int) - (answers.compressed["int8"] == answers.label)
    hair = np.array([answers.attributes["hair"].names[code] for code in answers.attributes["hair"].codes])
    checked = 0
    for slice_ in found.slices:
        member = np.ones(4000, bool)
        for words in slice_.text.split(" and "):
            if " > " in words:
                name, value = words.split(" > ")
                member &= features[name] > float(value)
            if " <= " in words:
                name, value = words.split(" <= ")
                member &= features[name] <= float(value)
            if words.startswith("hair is not "):
                member &= ~np.isin(hair, words.removeprefix("hair is not ").split(" or "))
            elif words.startswith("hair is "):
                member &= hair == words.removeprefix("hair is ")
            elif words.startswith("label is "):
                label = words.removeprefix("label is ").removeprefix("not ")
                member &= (answers.label == answers.classes.index(label)) != ("not" in words)
        second = member & ~first
        assert (slice_.n, slice_.lost, slice_.gained) == (
            second.sum(),
            (harm[second] > 0).sum(),
            (harm[second] < 0).sum(),
        )
        explored = member & first
        assert (slice_.found_n, slice_.found_harm) == (explored.sum(), pytest.approx(harm[explored].mean()))
        checked += 1
    assert checked >= 3


def halves_of(answers: Answers, features: dict[str, Any]) -> Any:
    """The first half, as discover cuts it: the attributes are among the features."""
    columns = {"hair": answers.attributes["hair"].codes} | features
    return first_half(answers, [columns[name] for name in sorted(columns)])


@pytest.mark.parametrize("kind", ["single", "clusters", "ids", "ids and clusters"])
def test_the_order_of_rows_and_columns_changes_nothing(kind: str):
    copies = 3 if "clusters" in kind else 1
    ids = [f"image {k}" for k in range(1500)] if "ids" in kind else None
    answers, features = world(3, 1500, planted=0.3, copies=copies, identity=ids)
    one = discover(answers, features)
    assert one.slices
    for seed in range(3):
        other = discover(*permuted(answers, features, np.random.default_rng(seed).permutation(1500)))
        assert other == one


def test_a_half_with_ids_does_not_depend_on_the_answers():
    ids = [f"image {k}" for k in range(1500)]
    halves = [first_half(world(seed, 1500, identity=ids)[0], []) for seed in range(2)]
    assert (halves[0] == halves[1]).all()


def test_a_cluster_is_never_cut():
    for ids in (None, [str(k) for k in range(1500)]):
        answers, _ = world(1, 1500, copies=3, identity=ids)
        assert answers.cluster is not None
        half = first_half(answers, [])
        assert np.isin(np.bincount(answers.cluster, half), (0, 3)).all()


def test_the_halves_without_ids_are_tosses_and_not_balanced_by_what_the_models_answer():
    """Examples that are alike in all columns: how many of them go to the first half varies as for tosses of a coin."""
    counts = []
    for seed in range(400):
        n = 300 + seed
        label = np.repeat([0, 1, 0], [n // 3, n - 2 * (n // 3), n // 3])
        answers = Answers(("0", "1"), label, label, {"int8": np.where(np.arange(n) < 100, 1 - label, label)})
        counts.append(first_half(answers, [])[:100].sum())
    assert np.mean(counts) == pytest.approx(50, abs=1)
    assert np.std(counts) == pytest.approx(5, abs=0.8)


def test_features_are_numbers_categories_missing_cells_and_embeddings():
    first = np.ones(60, bool)
    columns = {
        "age": Column(np.arange(60), tuple(str(k) for k in range(60))),
        "sex": Column(np.repeat([0, 1, -1], 20), ("f", "m")),
        "rare": Column(np.repeat([0, 1], [5, 55]), ("a", "b")),
        "size": np.where(np.arange(60) < 30, np.nan, np.arange(60.0)),
        "point": np.ones((60, 2)),
    }
    found = {(feature.name, feature.value): feature for feature in features_of(columns, first)}
    expected = {("age", None), ("sex", "f"), ("sex", "m"), ("sex", "missing"), ("rare", "b"), ("size", None)}
    assert set(found) == expected | {("point[0]", None), ("point[1]", None)}
    assert found["size", None].holes
    harm = (np.arange(60) < 30).astype(int)
    (slice_,) = find_slices(list(found.values()), harm, first, 1, 5)
    assert slice_.text in ("age <= 29.5", "size <= 0 or is missing")
    assert (slice_.member == harm).all()


def test_missing_numbers_are_told_and_stand_below_all_others():
    size = np.where(np.arange(200) % 2 == 0, np.nan, np.arange(200.0))
    features = features_of({"size": size}, np.ones(200, bool))
    (found,) = find_slices(features, (np.arange(200) % 2 == 0).astype(int), np.ones(200, bool), 1, 5)
    assert found.text.startswith("size <= ")
    assert found.text.endswith(" or is missing")
    assert (found.member == np.isnan(size)).all()


def test_confidence_of_the_dense_model_is_a_feature_where_it_is_known():
    answers, _ = world(0, 400)
    logits = 3.5 * np.eye(2)[answers.dense] + np.random.default_rng(0).random((400, 2))
    with_scores = from_arrays(answers.label, logits, {"int8": answers.compressed["int8"]})
    assert CONFIDENCE in discover(with_scores).features
    assert "label" in discover(with_scores).features
    assert "label" not in discover(with_scores, by_label=False).features


def test_an_embedding_is_searched_number_by_number():
    answers, features = world(2, 4000, planted=0.9)
    embedding = np.stack([features["noise 0"], features["light"]], axis=1)
    found = discover(answers, {"point": embedding})
    assert any("point[1] > 0." in slice_.text and slice_.harmed for slice_ in found.slices)
    order = np.random.default_rng(0).permutation(4000)
    assert discover(*permuted(answers, {"point": embedding}, order)) == found


def test_all_models_are_one_family():
    answers, features = world(0, 4000, planted=0.2)
    alone = discover(answers, features)
    twice = discover(replace(answers, compressed=dict.fromkeys(("a", "b"), answers.compressed["int8"])), features)
    assert len(twice.slices) == 2 * len(alone.slices)
    assert min(s.adjusted for s in twice.slices) > min(s.adjusted for s in alone.slices)


def test_where_all_are_harmed_a_slice_must_lose_more_than_the_rest_and_the_strongest_comes_first():
    """Of black hair 20 % are lost, of blond 30 %, of few of brown 50 %: black is none, and brown is before blond."""
    hair = np.repeat(["black", "blond", "brown"], [3700, 2000, 300])
    share = {"black": 0.2, "blond": 0.3, "brown": 0.5}
    harm = (np.random.default_rng(0).random(6000) < [share[value] for value in hair]).astype(int)
    first = np.arange(6000) % 3 > 0
    names, codes = np.unique(hair, return_inverse=True)
    found = find_slices(features_of({"hair": Column(codes, tuple(names))}, first), harm, first, 3, 50)
    assert found[0].text == "hair is brown"
    for slice_ in found:
        assert harm[slice_.member & first].mean() > harm[first].mean()
    assert not any(slice_.text in ("hair is black", "hair is not brown") for slice_ in found)
    assert {"hair is brown", "hair is not black"} & {slice_.text for slice_ in found}


def test_too_few_examples_and_models_that_agree_give_no_slices():
    answers, features = world(0, 60)
    assert discover(answers, features).slices == ()
    same = replace(answers, compressed={"int8": answers.dense})
    assert "No slice lost more examples than it gained." in discovery_text(discover(same, features))


def test_the_text_tells_the_slices():
    answers, features = world(0, 4000, planted=0.3)
    found = discover(answers, features)
    text = discovery_text(found)
    assert all(slice_.text in text for slice_ in found.slices)
    assert ": harmed (" in text


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "depth": ({"depth": 7}, "depth 1 to 6, most 1 or more"),
    "most": ({"most": 0}, "depth 1 to 6, most 1 or more"),
    "level": ({"level": 1.5}, "level between 0 and 1"),
    "length": ({"features": {"x": np.zeros(3)}}, "feature 'x' has 3 rows, and there are 400 examples"),
    "texts": ({"features": {"x": np.array(["a"] * 400)}}, "feature 'x': numbers"),
    "infinite": ({"features": {"x": np.full(400, np.inf)}}, "feature 'x' holds an infinite number"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_one_message(fault: str):
    changes, message = FAULTS[fault]
    with pytest.raises(BenchbiasError, match=message):
        discover(world(0, 400)[0], **changes)


def test_changed_answers_without_labels_and_no_features_stop():
    answers, _ = world(0, 400)
    with pytest.raises(BenchbiasError, match="changed answers have no label"):
        discover(replace(answers, label=np.full(400, -1)))
    with pytest.raises(BenchbiasError, match="slices are made of features"):
        discover(replace(answers, attributes={}), by_label=False)


def same_half(answers: Answers, features: dict[str, Any]) -> bool:
    """Whether the slices are harmed on the half on which they were found."""
    columns = {"hair": answers.attributes["hair"]} | features
    first = halves_of(answers, features)
    harm = (answers.dense == answers.label).astype(int) - (answers.compressed["int8"] == answers.label)
    found = find_slices(features_of(columns, first), harm, first, 3, 5)
    lost, gained = (np.array([(harm[one.member & first] == sign).sum() for one in found], int) for sign in (1, -1))
    return bool(len(found) and (discrete_holm(lost, lost + gained) <= 0.05).any())


def found_any(found: Discovery) -> bool:
    return any(slice_.harmed for slice_ in found.slices)


@pytest.mark.slow
def test_without_harm_slices_are_found_rarely_where_the_same_examples_would_find_them_nearly_always():
    worlds = [world(seed) for seed in range(300)]
    other = np.mean([found_any(discover(*one)) for one in worlds])
    same = np.mean([same_half(*one) for one in worlds])
    print(f"false discovery {other:.3f}, on the same half {same:.3f}")
    assert other <= 0.05 + 2 * (0.05 * 0.95 / 300) ** 0.5
    assert same >= 0.6


@pytest.mark.slow
def test_without_harm_slices_of_few_categories_are_found_rarely():
    """Many examples are alike in all columns: the halves are independent still."""
    found = []
    for seed in range(400):
        generator = np.random.default_rng(seed)
        columns = {name: generator.integers(0, 3, 2000) for name in ("a", "b")}
        draw, label = generator.random(2000), np.arange(2000) % 2
        answers = from_arrays(
            label, np.where(draw < 0.1, 1 - label, label), np.where(draw > 0.9, 1 - label, label), columns
        )
        found.append(found_any(discover(answers)))
    assert 0 < np.mean(found) <= 0.05 + 2 * (0.05 * 0.95 / 400) ** 0.5


@pytest.mark.slow
def test_without_harm_clusters_that_flip_together_are_found_rarely():
    found = np.mean([found_any(discover(*world(seed, 6000, copies=4))) for seed in range(200)])
    assert found <= 0.05 + 2 * (0.05 * 0.95 / 200) ** 0.5
