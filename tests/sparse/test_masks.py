"""Masks: cuts are exact, stable and nested; budgets are what RigL's are; slimming a network is masking it."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune

from benchbias.sparse.cutting import budget_counts, cut, erk_densities, removed_count
from benchbias.sparse.masks import Mask, apply, with_attached

quick = settings(max_examples=60, deadline=None, derandomize=True)

BUDGETS = ("global", "uniform", "erk")

shapes_of_layers = st.lists(
    st.one_of(st.tuples(*[st.integers(1, 12)] * 2), st.tuples(*[st.integers(1, 6)] * 4)), min_size=1, max_size=5
).map(lambda shapes: {f"layer{number}.weight": shape for number, shape in enumerate(shapes)})
thousandths = st.integers(0, 1000)


def layers(shapes, seed=0):
    """Parameters of these shapes, and scores for them: a random order without ties."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(sum(map(math.prod, shapes.values())), generator=generator).double()
    parts = torch.split(order, [math.prod(shape) for shape in shapes.values()])
    scores = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
    return {name: torch.zeros(shape) for name, shape in shapes.items()}, scores


def removed(mask):
    return {name: int((~tensor).sum()) for name, tensor in mask.tensors.items()}


def water_filling(shapes, density):
    """ERK in exact arithmetic, in one pass over the layers by falling sum(shape) / prod(shape)."""
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    raw = {name: Fraction(sum(shape), sizes[name]) for name, shape in shapes.items()}
    ordered = sorted(shapes, key=lambda name: -raw[name])
    for dense in range(len(ordered)):
        kept = density * sum(sizes.values()) - sum(sizes[name] for name in ordered[:dense])
        scale = kept / sum(sum(shapes[name]) for name in ordered[dense:])
        if scale * raw[ordered[dense]] <= 1:
            return {name: Fraction(1) if name in ordered[:dense] else scale * raw[name] for name in shapes}
    return dict.fromkeys(shapes, Fraction(1))


# --- how many weights go


@quick
@given(shapes_of_layers, thousandths, st.booleans())
def test_a_global_cut_removes_exactly_the_floor_of_sparsity_times_all_weights(shapes, parts, by_density):
    parameters, scores = layers(shapes)
    amount = {"density": (1000 - parts) / 1000} if by_density else {"sparsity": parts / 1000}
    total = sum(map(math.prod, shapes.values()))
    assert sum(removed(cut(scores, parameters, **amount)).values()) == parts * total // 1000


@quick
@given(shapes_of_layers, thousandths)
def test_a_uniform_cut_removes_exactly_the_floor_of_sparsity_times_each_layer(shapes, parts):
    parameters, scores = layers(shapes)
    mask = cut(scores, parameters, sparsity=parts / 1000, budget="uniform")
    assert removed(mask) == {name: parts * math.prod(shape) // 1000 for name, shape in shapes.items()}


@quick
@example({"one.weight": (6, 10)}, 200)  # the share is a whole number of weights, in binary a little less
@example({"one.weight": (7, 1), "two.weight": (3, 11)}, 250)
@given(shapes_of_layers, st.integers(0, 999))
def test_an_erk_cut_removes_the_floor_of_each_layers_share_in_exact_arithmetic(shapes, parts):
    parameters, scores = layers(shapes)
    densities = water_filling(shapes, 1 - Fraction(parts, 1000))
    expected = {name: math.floor((1 - densities[name]) * math.prod(shape)) for name, shape in shapes.items()}
    assert removed(cut(scores, parameters, sparsity=parts / 1000, budget="erk")) == expected


@pytest.mark.parametrize(
    ("sparsity", "total", "expected"), [(0.9, 10, 9), (0.7, 10, 7), (0.29, 100, 29), (0.58, 50, 29)]
)
def test_decimal_sparsities_mean_what_they_say_where_binary_fractions_fall_short(sparsity, total, expected):
    assert removed_count(total, sparsity=sparsity) == expected
    assert removed_count(total, density=float(1 - Fraction(str(sparsity)))) == expected


@quick
@given(st.floats(1e-9, 1), st.integers(1, 10**9))
def test_any_float_counts_as_the_decimal_number_that_it_prints(fraction, total):
    exact = Fraction(str(fraction)) * total
    assert removed_count(total, sparsity=fraction) == math.floor(exact)
    assert removed_count(total, density=fraction) == total - math.ceil(exact)


# --- which weights go


@quick
@given(shapes_of_layers, thousandths, st.sampled_from(BUDGETS))
def test_of_equal_scores_the_first_are_kept(shapes, parts, budget):
    parameters, _ = layers(shapes)
    scores = {name: torch.full(shape, 0.25) for name, shape in shapes.items()}
    mask = cut(scores, parameters, density=max(parts, 1) / 1000, budget=budget)
    groups = [mask.tensors.values()] if budget == "global" else [[tensor] for tensor in mask.tensors.values()]
    for group in groups:
        flat = torch.cat([tensor.flatten() for tensor in group]).int()
        assert bool((flat.diff() <= 0).all()), "a kept weight stands after a removed one"


@quick
@given(shapes_of_layers, st.lists(st.integers(0, 999), min_size=2, max_size=5), st.sampled_from(BUDGETS), st.booleans())
def test_a_sparser_cut_of_the_same_scores_keeps_no_weight_that_a_denser_one_removes(shapes, levels, budget, tied):
    parameters, scores = layers(shapes)
    if tied:
        scores = {name: (score % 3) for name, score in scores.items()}
    masks = [cut(scores, parameters, sparsity=parts / 1000, budget=budget) for parts in sorted(levels)]
    for dense, sparse in itertools.pairwise(masks):
        assert all(bool((dense.tensors[name] | ~sparse.tensors[name]).all()) for name in shapes)


@quick
@given(shapes_of_layers, thousandths)
def test_no_removed_weight_scores_higher_than_a_kept_one(shapes, parts):
    parameters, scores = layers(shapes, seed=parts)
    mask = cut(scores, parameters, sparsity=parts / 1000)
    kept = torch.cat([scores[name][tensor] for name, tensor in mask.tensors.items()])
    gone = torch.cat([scores[name][~tensor] for name, tensor in mask.tensors.items()])
    assert not len(kept) or not len(gone) or bool(kept.min() > gone.max())


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.5, 0.83, 0.999])
def test_a_global_magnitude_cut_is_that_of_torchs_own_pruning(sparsity):
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(3, 7, 3), nn.Flatten(), nn.Linear(28, 11))
    weights = {name: p.detach() for name, p in model.named_parameters() if name.endswith("weight")}
    mask = cut({name: weight.abs() for name, weight in weights.items()}, weights, sparsity=sparsity)
    amount = sum(removed(mask).values())
    prune.global_unstructured([(model[0], "weight"), (model[2], "weight")], prune.L1Unstructured, amount=amount)
    assert torch.equal(mask.tensors["0.weight"], model[0].weight_mask.bool())
    assert torch.equal(mask.tensors["2.weight"], model[2].weight_mask.bool())


@quick
@given(shapes_of_layers, thousandths, st.integers(0, 999), st.sampled_from(BUDGETS))
def test_weights_that_the_mask_in_force_removed_go_first_and_never_come_back(shapes, already, parts, budget):
    parameters, scores = layers(shapes, seed=1)
    force = cut(layers(shapes, seed=2)[1], parameters, sparsity=already / 1000)
    free = removed(cut(scores, parameters, sparsity=parts / 1000, budget=budget))
    mask = cut(scores, parameters, sparsity=parts / 1000, budget=budget, force=force)
    assert all(not bool((tensor & ~force.tensors[name]).any()) for name, tensor in mask.tensors.items())
    if budget == "global":
        assert sum(removed(mask).values()) == max(sum(free.values()), sum(removed(force).values()))
    else:
        assert removed(mask) == {name: max(count, removed(force)[name]) for name, count in free.items()}


def with_entry(scores, value):
    changed = scores.clone()
    changed[0, 1] = value
    return changed


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda scores: with_entry(scores, math.nan), id="nan"),
        pytest.param(lambda scores: with_entry(scores, math.inf), id="infinite"),
        pytest.param(lambda scores: with_entry(scores, -math.inf), id="minus infinite"),
        pytest.param(lambda scores: scores.long(), id="whole numbers"),
        pytest.param(lambda scores: scores.flatten(), id="other shape"),
        pytest.param(lambda scores: scores.tolist(), id="no tensor"),
    ],
)
def test_scores_that_cannot_be_cut_are_refused_and_the_layer_is_named(spoil):
    parameters, scores = layers({"features.0.weight": (2, 3), "head.weight": (2, 2)})
    spoilt = {**scores, "features.0.weight": spoil(scores["features.0.weight"])}
    with pytest.raises(ValueError, match=r"features\.0\.weight"):
        cut(spoilt, parameters, sparsity=0.5)


def test_scores_for_an_unknown_layer_are_refused_by_name():
    parameters, scores = layers({"a.weight": (2, 3)})
    with pytest.raises(ValueError, match=r"b\.weight"):
        cut({**scores, "b.weight": torch.zeros(2, 3)}, parameters, sparsity=0.5)


def test_a_layer_without_scores_is_an_error_that_names_it():
    parameters, scores = layers({"a.weight": (2, 3), "b.weight": (2, 2)})
    with pytest.raises(ValueError, match=r"b\.weight"):
        cut({"a.weight": scores["a.weight"]}, parameters, sparsity=0.5)


# --- Erdos-Renyi-Kernel budgets

RESNET18 = {"conv1": (64, 3, 7, 7), "fc": (10, 512)}
for _stage, _width in enumerate((64, 128, 256, 512), 1):
    _before = max(64, _width // 2) if _stage > 1 else 64
    RESNET18 |= {
        f"layer{_stage}.0.conv1": (_width, _before, 3, 3),
        f"layer{_stage}.0.conv2": (_width, _width, 3, 3),
        f"layer{_stage}.1.conv1": (_width, _width, 3, 3),
        f"layer{_stage}.1.conv2": (_width, _width, 3, 3),
    }
    if _stage > 1:
        RESNET18[f"layer{_stage}.0.downsample"] = (_width, _before, 1, 1)
SIMPLE_CNN = {"conv1": (64, 3, 4, 4), "conv2": (128, 64, 4, 4), "conv3": (256, 128, 4, 4), "fc": (10, 256)}


def test_the_reference_networks_have_their_published_numbers_of_weights():
    assert sum(map(math.prod, SIMPLE_CNN.values())) == 660_992
    assert round(sum(map(math.prod, RESNET18.values())) / 1e6, 2) == 11.17


@pytest.mark.parametrize(
    ("shapes", "density", "expected"),
    [
        (RESNET18, 0.05, {"fc", "layer2.0.downsample"}),
        (RESNET18, 0.1, {"fc", "layer2.0.downsample", "conv1", "layer3.0.downsample"}),
        (RESNET18, 0.005, set()),
        (SIMPLE_CNN, 0.05, {"conv1", "fc"}),
    ],
)
def test_erk_makes_the_layers_dense_that_the_reference_code_does(shapes, density, expected):
    assert {name for name, value in erk_densities(shapes, density).items() if value == 1} == expected


@pytest.mark.parametrize(("shapes", "expected"), [(RESNET18, 55_860), (SIMPLE_CNN, 3_305)])
def test_erk_keeps_the_known_number_of_weights_at_half_a_percent(shapes, expected):
    densities = erk_densities(shapes, 0.005)
    assert round(sum(densities[name] * math.prod(shape) for name, shape in shapes.items())) == expected
    parameters = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    kept = sum(budget_counts(parameters, {"density": 0.005}, "erk").values())
    assert expected <= kept + 0.5, "zeros are rounded down, so weights are not lost"
    assert kept <= expected + len(shapes), "at most one weight a layer"


@quick
@given(shapes_of_layers, st.floats(1e-3, 1))
def test_erk_densities_spend_the_budget_and_stay_fractions(shapes, density):
    densities = erk_densities(shapes, density)
    total = sum(map(math.prod, shapes.values()))
    assert sum(densities[name] * math.prod(shape) for name, shape in shapes.items()) == pytest.approx(density * total)
    assert all(0 < value <= 1 for value in densities.values())


@quick
@given(shapes_of_layers, st.floats(1e-3, 1), st.randoms(use_true_random=False))
def test_erk_densities_do_not_depend_on_the_order_of_the_layers(shapes, density, random):
    names = list(shapes)
    random.shuffle(names)
    assert erk_densities({name: shapes[name] for name in names}, density) == pytest.approx(
        erk_densities(shapes, density)
    )


# --- whole units


units = st.lists(st.tuples(st.integers(1, 8), st.integers(1, 6)), min_size=1, max_size=4)


@quick
@given(units, thousandths, st.sampled_from(["global", "uniform"]))
def test_unit_scores_remove_whole_units_and_stop_within_one_unit_of_the_target(shapes, parts, budget):
    parameters, _ = layers({f"{number}.weight": shape for number, shape in enumerate(shapes)})
    scores = layers({name: (len(parameter),) for name, parameter in parameters.items()}, seed=4)[1]
    mask = cut(scores, parameters, sparsity=parts / 1000, budget=budget)
    assert mask.units
    assert all(torch.equal(t.any(dim=1), t.all(dim=1)) for t in mask.tensors.values()), "half a unit was removed"
    for names in [list(parameters)] if budget == "global" else [[name] for name in parameters]:
        target = Fraction(parts, 1000) * sum(parameters[name].numel() for name in names)
        gone = sum(removed(mask)[name] for name in names)
        assert gone <= target
        kept = [(scores[n][unit], len(row)) for n in names for unit, row in enumerate(mask.tensors[n]) if row.all()]
        size_of_lowest = min(kept)[1] if kept else math.inf
        assert math.floor(target) - gone < size_of_lowest, "the lowest kept unit would have fitted"


def test_units_of_equal_score_are_kept_in_the_order_of_the_parameters():
    parameters = {"a.weight": torch.zeros(3, 2), "b.weight": torch.zeros(3, 2)}
    mask = cut({name: torch.ones(3) for name in parameters}, parameters, sparsity=0.5)
    assert bool(mask.tensors["a.weight"].all())
    assert not bool(mask.tensors["b.weight"].any())


@pytest.mark.parametrize("units_before", [True, False])
def test_a_cut_of_units_never_revives_what_the_mask_in_force_removed(units_before):
    parameters = {"a.weight": torch.zeros(4, 3)}
    before = torch.tensor([[0, 0, 0], [1, 1, 1], [1, 1, 1], [1, 1, 1]] if units_before else [[0, 1, 1]] * 4).bool()
    force = Mask({"a.weight": before}, units=units_before)
    mask = cut({"a.weight": torch.tensor([9.0, 1.0, 2.0, 3.0])}, parameters, sparsity=0.25, force=force)
    assert not bool((mask.tensors["a.weight"] & ~before).any())


def test_units_that_the_mask_in_force_removed_go_first():
    parameters = {"a.weight": torch.zeros(4, 3)}
    force = Mask({"a.weight": torch.tensor([False, True, True, True])[:, None].expand(4, 3)}, units=True)
    mask = cut({"a.weight": torch.tensor([9.0, 1.0, 2.0, 3.0])}, parameters, sparsity=0.5, force=force)
    assert mask.tensors["a.weight"].any(dim=1).tolist() == [False, False, True, True]


def test_scores_for_units_and_for_weights_are_not_mixed():
    parameters, scores = layers({"a.weight": (2, 3), "b.weight": (2, 2)})
    with pytest.raises(ValueError, match=r"a\.weight"):
        cut({**scores, "b.weight": torch.zeros(2)}, parameters, sparsity=0.5)


def test_units_have_no_erk_budget():
    with pytest.raises(ValueError, match="erk"):
        cut({"a.weight": torch.zeros(2)}, {"a.weight": torch.zeros(2, 3)}, sparsity=0.5, budget="erk")


# --- whole units in a network: masked and slimmed are the same function


def norm_first(width, following):
    return [nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, following, 3)]


def norm_last(width, following):
    return [nn.Conv2d(3, width, 3), nn.ReLU(), nn.BatchNorm2d(width), nn.Conv2d(width, following, 3)]


def randomised(model):
    """Weights, affine parameters and running statistics such that nothing is 0 or 1 by chance."""
    generator = torch.Generator().manual_seed(5)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) + 0.1)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data -= 0.6
    return model.eval()


def slimmed(make, model, kept):
    """The network without the removed channels of its first layer: smaller tensors, not zeros."""
    small = nn.Sequential(*make(int(kept.sum()), 5)).double().eval()
    state = {}
    for name, tensor in model.state_dict().items():
        last = name.startswith("3.")
        if tensor.ndim == 0 or name == "3.bias":
            state[name] = tensor
        else:
            state[name] = tensor[:, kept] if last else tensor[kept]
    small.load_state_dict(state)
    return small


@pytest.mark.parametrize("make", [norm_first, norm_last])
def test_a_network_with_masked_units_is_the_network_without_them(make):
    model = randomised(nn.Sequential(*make(8, 5)).double())
    images = torch.rand((4, 3, 9, 9), dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    dense = model(images)
    weights = {"0.weight": model[0].weight.detach()}
    mask = cut({"0.weight": weights["0.weight"].flatten(1).norm(dim=1)}, weights, sparsity=0.5)
    kept = mask.tensors["0.weight"].flatten(1).all(dim=1)
    expected = slimmed(make, model, kept)(images)
    apply(model, with_attached(mask, model, images[:1]))
    assert int(kept.sum()) == 4
    assert not torch.allclose(dense, expected), "the removed channels do matter"
    torch.testing.assert_close(model(images), expected)


def test_biases_and_batch_norms_are_attached_but_not_counted():
    model = randomised(nn.Sequential(*norm_first(8, 5)).double())
    weights = {"0.weight": model[0].weight.detach()}
    mask = cut({"0.weight": torch.arange(8.0)}, weights, sparsity=0.5)
    full = with_attached(mask, model, torch.zeros(1, 3, 9, 9, dtype=torch.float64))
    assert set(full.attached) == {"0.bias", "1.weight", "1.bias"}
    assert full.counts() == mask.counts()
    assert full.density == mask.density == 0.5


def test_biases_of_units_are_attached_where_single_weights_were_removed_before():
    model = randomised(nn.Sequential(*norm_first(8, 5)).double())
    weights = {"0.weight": model[0].weight.detach()}
    force = cut({"0.weight": weights["0.weight"].abs()}, weights, sparsity=0.1)
    mask = cut({"0.weight": torch.arange(8.0)}, weights, sparsity=0.5, force=force)
    full = with_attached(mask, model, torch.zeros(1, 3, 9, 9, dtype=torch.float64))
    assert {name: tensor.tolist() for name, tensor in full.attached.items()} == dict.fromkeys(
        ("0.bias", "1.weight", "1.bias"), [False] * 4 + [True] * 4
    )


class Keywords(nn.Module):
    """Calls a layer by keyword, and one without any argument."""

    class Constant(nn.Module):
        def forward(self):
            return 1.0

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.constant = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), self.Constant()

    def forward(self, images):
        return self.norm(input=self.conv(input=images)) + self.constant()


def test_layers_that_are_called_by_keyword_are_attached_too():
    model = Keywords()
    mask = cut({"conv.weight": torch.arange(8.0)}, {"conv.weight": model.conv.weight.detach()}, sparsity=0.5)
    assert set(with_attached(mask, model, torch.zeros(1, 3, 9, 9)).attached) == {
        "conv.bias",
        "norm.weight",
        "norm.bias",
    }


def test_attaching_leaves_the_model_as_it_was():
    model = randomised(nn.Sequential(*norm_first(8, 5)).double()).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    mask = cut({"0.weight": torch.arange(8.0)}, {"0.weight": model[0].weight.detach()}, sparsity=0.5)
    with_attached(mask, model, torch.zeros(1, 3, 9, 9, dtype=torch.float64))
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


# --- Mask


def network():
    torch.manual_seed(7)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


@pytest.mark.parametrize("part", ["tensors", "attached"])
@pytest.mark.parametrize("value", [torch.ones(2), torch.ones(2, dtype=torch.uint8), [True, False]])
def test_a_mask_is_made_of_bool_tensors(part, value):
    with pytest.raises(TypeError, match=r"fc\.weight"):
        Mask(**{"tensors": {}, part: {"fc.weight": value}})


def test_a_mask_that_names_an_unknown_parameter_is_refused():
    with pytest.raises(ValueError, match=r"2\.wieght"):
        Mask({"2.wieght": torch.ones(3, 8, dtype=torch.bool)}).check(dict(network().named_parameters()))


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"2\.weight.*\(8, 3\).*\(3, 8\)"):
        Mask({"2.weight": torch.ones(8, 3, dtype=torch.bool)}).check(dict(network().named_parameters()))


def test_a_mask_does_not_follow_changes_to_the_table_it_was_made_from():
    table = {"a": torch.tensor([True])}
    mask = Mask(table)
    table["b"] = torch.tensor([True])
    assert set(mask.tensors) == {"a"}
    with pytest.raises(TypeError):
        mask.tensors["b"] = torch.tensor([True])


def test_density_and_sparsity_count_weights_over_all_tensors():
    mask = Mask(
        {"a": torch.tensor([True, False, False]), "b": torch.tensor([[True], [True], [False], [False], [False]])}
    )
    assert mask.counts() == {"a": 1, "b": 2}
    assert (mask.density, mask.sparsity) == (pytest.approx(3 / 8), pytest.approx(5 / 8))


def test_an_intersection_keeps_what_both_keep_and_takes_over_what_only_one_covers():
    one = Mask({"a": torch.tensor([True, True, False]), "b": torch.tensor([False])})
    other = Mask({"a": torch.tensor([True, False, True]), "c": torch.tensor([False])})
    both = one.intersect(other)
    assert {name: tensor.tolist() for name, tensor in both.tensors.items()} == {
        "a": [True, False, False],
        "b": [False],
        "c": [False],
    }
