"""Cuts: the same masks as by one stable sort a level, for every dtype, budget, mask in force and kind of score."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchbias.sparse import ranking
from benchbias.sparse.cutting import budget_counts, cut, cut_levels, ranked_cut, removed_count
from benchbias.sparse.masks import Mask
from benchbias.sparse.ranking import highest

quick = settings(max_examples=80, deadline=None, derandomize=True)

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
LEVELS = (0.0, 0.1, 0.5, 0.77, 0.9, 0.999, 1.0)


def by_one_sort_a_level(scores: Any, parameters: Any, amount: Any, budget: Any, force: Mask | None) -> Mask:
    """The definition: float64, one stable sort, removed ones first, of equal scores the first is kept."""
    ranked = {name: scores[name].double().flatten() for name in parameters}
    for name in parameters:
        if force is not None and name in force.tensors:
            ranked[name] = ranked[name].masked_fill(~force.tensors[name].flatten(), -math.inf)
    counts = None if budget == "global" else budget_counts(parameters, amount, budget)
    kept: dict[str, Tensor] = {}
    for names in [list(parameters)] if counts is None else [[name] for name in parameters]:
        flat = torch.cat([ranked[name] for name in names])
        gone = removed_count(len(flat), **amount) if counts is None else len(flat) - counts[names[0]]
        keep = torch.ones(len(flat), dtype=torch.bool)
        keep[torch.sort(flat, descending=True, stable=True).indices[len(flat) - gone :]] = False
        parts = torch.split(keep, [parameters[name].numel() for name in names])
        kept |= {name: part.view(parameters[name].shape) for name, part in zip(names, parts, strict=True)}
    mask = Mask(kept)
    return mask.intersect(force) if force is not None else mask


def by_one_unit_after_another(scores: Any, parameters: Any, amount: Any, budget: Any, force: Mask | None) -> Mask:
    """The definition for units: the lowest goes while it fits, of equal ones the last, those removed already first."""
    kept = {name: torch.ones(p.shape, dtype=torch.bool) for name, p in parameters.items()}
    for names in [list(parameters)] if budget == "global" else [[name] for name in parameters]:
        left = removed_count(sum(parameters[name].numel() for name in names), **amount)
        units = []
        for name in names:
            for unit, value in enumerate(scores[name].double().tolist()):
                gone = force is not None and name in force.tensors and not bool(force.tensors[name][unit].any())
                units.append((-math.inf if gone else value, name, unit))
        for at in sorted(range(len(units)), key=lambda at: (units[at][0], -at)):
            _, name, unit = units[at]
            left -= parameters[name][0].numel()
            if left < 0:
                break
            kept[name][unit] = False
    mask = Mask(kept, units=True)
    return mask.intersect(force) if force is not None else mask


@st.composite
def questions(draw: st.DrawFn) -> tuple[Any, Any, Any, Any]:
    """Parameters, scores of them, a mask in force or none, and the generator of all that."""
    stream = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    shapes = draw(st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=4), min_size=1, max_size=4))
    parameters = {f"layer{number}.weight": torch.zeros(shape) for number, shape in enumerate(shapes)}
    step = draw(st.sampled_from([0.0, 0.5, 1.0, 1e-3]))  # of 0 there are no ties, of 1 very many
    scores = {}
    for name, parameter in parameters.items():
        values = torch.randn(parameter.shape, generator=stream, dtype=torch.float64)
        values = (values / step).round() * step if step else values
        values = torch.where(torch.rand(values.shape, generator=stream) < 0.1, -0.0, values)
        scores[name] = values.to(draw(st.sampled_from(DTYPES)))
    force = None
    if draw(st.booleans()):
        covered = draw(st.lists(st.sampled_from([*parameters, "elsewhere"]), unique=True))
        sizes = {**{name: p.shape for name, p in parameters.items()}, "elsewhere": torch.Size([3])}
        share = draw(st.sampled_from([0.0, 0.3, 1.0]))
        force = Mask({name: torch.rand(sizes[name], generator=stream) < share for name in covered})
    return parameters, scores, force, stream


amounts = st.one_of(
    *(st.fixed_dictionaries({name: st.one_of(st.sampled_from(LEVELS), st.floats(0, 1))}) for name in
      ("sparsity", "density"))
)  # fmt: skip


def assert_same(one: Mask, other: Mask) -> None:
    assert list(one.tensors) == list(other.tensors)
    assert one.units == other.units
    assert all(torch.equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items())


@quick
@given(questions(), st.lists(amounts, min_size=1, max_size=5), st.sampled_from(["global", "uniform", "erk"]))
def test_every_level_of_one_ranking_is_the_mask_of_a_stable_sort(asked: Any, levels: Any, budget: Any) -> None:
    parameters, scores, force, _ = asked
    masks = cut_levels(scores, parameters, levels, budget=budget, force=force)
    for mask, amount in zip(masks, levels, strict=True):
        assert_same(mask, by_one_sort_a_level(scores, parameters, amount, budget, force))
        assert_same(mask, cut(scores, parameters, **amount, budget=budget, force=force))


@quick
@given(questions(), st.lists(amounts, min_size=1, max_size=5), st.sampled_from(["global", "uniform"]))
def test_every_level_of_units_is_what_one_unit_after_another_leaves(asked: Any, levels: Any, budget: Any) -> None:
    parameters, _, force, stream = asked
    if all(parameter.ndim == 1 for parameter in parameters.values()):
        parameters = {**parameters, "last.weight": torch.zeros(3, 2)}
    scores = {name: torch.randint(-2, 3, (len(p),), generator=stream).double() for name, p in parameters.items()}
    masks = cut_levels(scores, parameters, levels, budget=budget, force=force)
    for mask, amount in zip(masks, levels, strict=True):
        assert_same(mask, by_one_unit_after_another(scores, parameters, amount, budget, force))


def test_parameters_count_by_their_shapes_alone() -> None:
    scores = {"a.weight": torch.arange(6.0).view(2, 3)}
    mask = cut(scores, {"a.weight": torch.empty(2, 3, device="meta")}, sparsity=0.5)
    assert mask.tensors["a.weight"].tolist() == [[False] * 3, [True] * 3]


def test_scores_are_not_changed_and_ranked_ones_may_be_afterwards() -> None:
    scores = {"a.weight": torch.randn(4, 5), "b.weight": torch.randn(3, 5)}
    before = {name: score.clone() for name, score in scores.items()}
    level = ranked_cut(scores, scores)
    first = level({"sparsity": 0.4})
    assert all(torch.equal(score, before[name]) for name, score in scores.items())
    for score in scores.values():
        score.zero_()
    assert_same(level({"sparsity": 0.4}), first)
    assert_same(level({"sparsity": 0.7}), cut(before, before, sparsity=0.7))


@pytest.mark.parametrize("amount", [{}, {"sparsity": 0.1, "density": 0.9}, {"removed": 3}])
def test_an_amount_is_a_sparsity_or_a_density(amount: Any) -> None:
    with pytest.raises(ValueError, match="one of them"):
        cut_levels({"a": torch.ones(2, 2)}, {"a": torch.ones(2, 2)}, [amount])


def test_all_levels_of_a_sweep_are_of_one_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each level partitions only what the levels before left in one piece: at most the whole once for each halving."""
    read: list[int] = []
    plain = ranking._Partitioned._at

    def counted(self: Any, position: int) -> Any:
        known = [-1, *self.known, len(self.inside)]
        if position not in self.known:
            after = next(number for number, at in enumerate(known) if at > position)
            read.append(known[after] - known[after - 1] - 1)
        return plain(self, position)

    monkeypatch.setattr(ranking._Partitioned, "_at", counted)
    scores = {"a.weight": torch.randn(100, 100)}
    cut_levels(scores, scores, [{"sparsity": 0.5}, {"sparsity": 0.25}, {"sparsity": 0.75}, {"sparsity": 0.5}])
    assert read == [10_000, 4999, 5000]


# --- the highest among some


def highest_on_lists(values: list[float], count: int, among: list[bool], ties: bool) -> list[bool]:
    chosen = [at for at, inside in enumerate(among) if inside]
    key = {at: math.inf if math.isnan(values[at]) else values[at] for at in chosen}
    order = sorted(chosen, key=lambda at: (not math.isnan(values[at]), -key[at], at))
    chosen = order[:count]
    if not ties and len(order) > count:  # NaN is above nothing, and nothing above it
        chosen = [at for at in chosen if values[at] > values[order[count]]]
    return [at in set(chosen) for at in range(len(values))]


numbers = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.5, math.inf, -math.inf, math.nan]) | st.floats(-9, 9, width=16)


@quick
@given(
    st.lists(st.tuples(numbers, st.booleans()), min_size=1, max_size=30),
    st.booleans(),
    st.sampled_from(DTYPES),
    st.data(),
)
def test_exactly_so_many_of_the_highest_are_marked(rows: Any, whole: bool, dtype: torch.dtype, data: Any) -> None:
    values, among = (list(column) for column in zip(*rows, strict=True))
    among = [True] * len(values) if whole else among
    given, inside = torch.tensor(values, dtype=dtype), None if whole else torch.tensor(among)
    ways: Mapping[str, Any] = {"partitions": ranking.ranked(given, inside), "a sort": ranking.by_sorting(given, inside)}
    for count in data.draw(st.lists(st.integers(0, sum(among)), min_size=1, max_size=4)):
        for ties in (True, False):
            expected = highest_on_lists(given.tolist(), count, among, ties)
            assert {name: way(count, ties).tolist() for name, way in ways.items()} == dict.fromkeys(ways, expected)


def test_whole_numbers_are_ranked_exactly() -> None:
    values = torch.tensor([2**60, 2**60 + 1, 2**60 - 1])
    assert ranking.ranked(values)(1).tolist() == [False, True, False]


def test_values_of_any_shape_are_marked_where_they_stand() -> None:
    values = torch.tensor([[3.0, 1.0], [1.0, 2.0]])
    assert highest(values, 3).tolist() == [[True, True], [False, True]]
    assert highest(values, 3, ties="none").tolist() == [[True, False], [False, True]]
    odd = torch.tensor([torch.nan, 3.0, 2.0, torch.nan])
    assert highest(odd, 3).tolist() == [True, True, False, True]
    assert highest(odd, 3, ties="none").tolist() == [False, True, False, False]
    assert highest(values, 1, values < 3).tolist() == [[False, False], [False, True]]
    assert highest(values.T, 3).tolist() == [[True, True], [False, True]], "by rows, as it is read"


@pytest.mark.parametrize("count", [-1, 3])
def test_more_values_than_there_are_cannot_be_marked(count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} of 2 values"):
        highest(torch.ones(3), count, torch.tensor([True, True, False]))


def test_many_zeros_have_their_place_before_anything_is_partitioned() -> None:
    values = torch.tensor([0.0, -1.0, 0.0, 2.0, -0.0, 0.0, 1.0, -2.0])
    ranked, sort = ranking.ranked(values), ranking.by_sorting(values)
    assert (ranked.known, ranked.inside[2:6].tolist()) == ([2, 5], [0.0] * 4)  # type: ignore[attr-defined]
    for ties in (True, False):
        assert all(torch.equal(ranked(count, ties), sort(count, ties)) for count in range(9))
