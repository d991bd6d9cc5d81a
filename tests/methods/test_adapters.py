"""The adapters of torch.nn.utils.prune and Torch-Pruning, against the libraries used directly and against formulas."""

from __future__ import annotations

import copy
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
import torch.nn.utils.prune as library
import torch_pruning as tp
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, relu

from benchbias.errors import BenchbiasError, Skip
from benchbias.runner.workspace import Workspace
from benchbias.sparse.masks import Mask, apply, with_attached
from benchbias.training.context import PruneContext
from benchbias_plugins.methods.torch_prune import torch_prune
from benchbias_plugins.methods.torch_pruning_ import Importance, torch_pruning
from support.pruning import LAYERS, by_hand, context, cut_mask, first, gone, kept, network, same, source

SHARES = (0.0, 0.3, 0.5, 0.9)
HIDDEN = LAYERS[:-1]


def cut(
    pruner: Any,
    sparsity: float,
    net: nn.Module,
    budget: Any = "global",
    asked: PruneContext | None = None,
    **options: Any,
) -> Mask:
    """The mask that a prune stage makes of a pruner's answer."""
    return cut_mask(
        "adapter",
        lambda model, given: pruner(model, given.data, given, **options),
        net,
        asked or context(),
        {"sparsity": sparsity},
        budget,
    )


def weights_of(net: nn.Module, names: list[str] = LAYERS) -> dict[str, nn.Parameter]:
    found = dict(net.named_parameters())
    return {name: found[name] for name in names}


def modules_of(net: nn.Module, names: list[str] = LAYERS) -> list[nn.Module]:
    return [net.get_submodule(name.removesuffix(".weight")) for name in names]


def masks_of(net: nn.Module, names: list[str] = LAYERS) -> Mask:
    """What torch.nn.utils.prune has left on a network."""
    found = {name: dict(net.named_buffers()).get(f"{name}_mask") for name in names}
    return Mask({name: torch.ones_like(weights_of(net)[name]) if m is None else m.bool() for name, m in found.items()})


# torch.nn.utils.prune


@pytest.mark.parametrize("sparsity", SHARES)
def test_l1_cut_globally_is_global_unstructured(sparsity: float):
    net = network()
    other = copy.deepcopy(net)
    amount = gone(sum(weight.numel() for weight in weights_of(net).values()), sparsity)
    pairs = [(module, "weight") for module in modules_of(other)]
    library.global_unstructured(pairs, library.L1Unstructured, amount=amount)
    assert same(cut(torch_prune, sparsity, net), masks_of(other))


@pytest.mark.parametrize("sparsity", SHARES)
def test_l1_cut_uniformly_is_l1_unstructured_of_each_layer(sparsity: float):
    net = network()
    other = copy.deepcopy(net)
    for module in modules_of(other):
        library.l1_unstructured(module, "weight", gone(module.weight.numel(), sparsity))
    assert same(cut(torch_prune, sparsity, net, "uniform"), masks_of(other))


@pytest.mark.parametrize("norm", [0.5, 1, 2])
@pytest.mark.parametrize("sparsity", SHARES)
def test_ln_of_output_units_is_ln_structured(sparsity: float, norm: float):
    net = network()
    other = copy.deepcopy(net)
    for module in modules_of(other):
        units = gone(module.weight.numel(), sparsity) // module.weight[0].numel()
        library.ln_structured(module, "weight", units, norm, 0)
    mask = cut(torch_prune, sparsity, net, "uniform", method="ln_structured", n=norm)
    assert same(mask, masks_of(other))
    assert mask.units


def test_the_norm_is_l2_unless_it_is_set():
    net = network()
    masks = [cut(torch_prune, 0.5, net, method="ln_structured", **n) for n in ({}, {"n": 2.0}, {"n": 1.0})]
    assert same(masks[0], masks[1])
    assert not same(masks[0], masks[2])


@pytest.mark.parametrize("sparsity", SHARES)
def test_ln_of_inputs_is_the_librarys_own_mask(sparsity: float):
    net = network()
    other = copy.deepcopy(net)
    for module in modules_of(other):
        amount = gone(module.weight.numel(), sparsity) / module.weight.numel()
        library.ln_structured(module, "weight", amount, 1, 1)
    assert same(cut(torch_prune, sparsity, net, "uniform", method="ln_structured", n=1.0, dim=1), masks_of(other))


@pytest.mark.parametrize(
    ("method", "options"), [("random_unstructured", {}), ("random_structured", {}), ("random_structured", {"dim": 1})]
)
def test_random_masks_follow_the_methods_own_stream(method: str, options: dict[str, Any]):
    def mask(seed: int) -> Mask:
        return cut(torch_prune, 0.5, network(), "uniform", context(seed=seed), method=method, **options)

    one = mask(4)
    torch.rand(3)
    assert same(one, mask(4))
    assert not same(one, mask(5))
    assert one.units == (method == "random_structured" and not options)
    if method == "random_structured":
        slices = [part for t in one.tensors.values() for part in (t.transpose(0, 1) if options else t)]
        assert {bool(part.all()) for part in slices} == {True, False}
        assert all(bool(part.all()) or not bool(part.any()) for part in slices)


CUSTOM = '''
import torch
from torch.nn.utils import prune

class Alternate(prune.BasePruningMethod):
    """Every second weight, whatever is asked."""
    PRUNING_TYPE = "unstructured"
    def compute_mask(self, t, default_mask):
        mask = default_mask.clone()
        mask.view(-1)[::2] = 0
        return mask

class Largest(prune.L1Unstructured):
    """The largest go: nothing that we ship does so."""
    def compute_mask(self, t, default_mask):
        return super().compute_mask(1 / t, default_mask)

class Rows(prune.LnStructured):
    def __init__(self, amount):
        super().__init__(amount, n=1, dim=0)
    @classmethod
    def apply(cls, module, name, amount):
        return super(prune.LnStructured, cls).apply(module, name, amount)

class Below(prune.BasePruningMethod):
    PRUNING_TYPE = "unstructured"
    def __init__(self, threshold):
        self.threshold = threshold
    def compute_mask(self, t, default_mask):
        return default_mask * (t.abs() > self.threshold)
'''


@pytest.fixture
def methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an importable module with pruning methods of one's own."""
    (tmp_path / "own_methods.py").write_text(CUSTOM)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_methods", raising=False)
    return "own_methods"


@pytest.mark.parametrize("budget", ["global", "uniform", "erk"])
@pytest.mark.parametrize("sparsity", SHARES)
def test_a_class_by_name_is_its_own_method(sparsity: float, budget: str):
    """L1Unstructured by its path, through the library, is l1_unstructured, cut by the core."""
    net = network()
    mask = cut(torch_prune, sparsity, net, budget, custom="torch.nn.utils.prune:L1Unstructured")
    assert same(mask, cut(torch_prune, sparsity, net, budget))


def test_a_class_of_ones_own_is_applied_as_the_library_would(methods: str):
    net = network()
    other = copy.deepcopy(net)
    largest = importlib.import_module(methods).Largest
    total = sum(weight.numel() for weight in weights_of(net).values())
    pairs = [(module, "weight") for module in modules_of(other)]
    library.global_unstructured(pairs, largest, amount=gone(total, 0.3))
    assert same(cut(torch_prune, 0.3, net, custom=f"{methods}:Largest"), masks_of(other))
    alternate = cut(torch_prune, 0.9, net, custom=f"{methods}:Alternate")
    assert all(torch.equal(t.flatten(), torch.arange(t.numel()) % 2 == 1) for t in alternate.tensors.values())


def test_of_a_mask_in_force_nothing_comes_back_and_the_count_is_of_all_weights(methods: str):
    net = network()
    force = cut(torch_prune, 0.3, net, method="random_unstructured")
    total = sum(weight.numel() for weight in weights_of(net).values())
    for custom, budget in ((f"{methods}:Largest", "global"), ("torch.nn.utils.prune:L1Unstructured", "uniform")):
        mask = cut(torch_prune, 0.6, net, budget, context(mask=force), custom=custom)
        assert not bool((kept(mask) & ~kept(force)).any())
        assert abs(int((~kept(mask)).sum()) - gone(total, 0.6)) <= (0 if budget == "global" else len(LAYERS))


def test_rows_of_a_class_of_ones_own_are_whole_units(methods: str):
    net = network()
    other = copy.deepcopy(net)
    for module in modules_of(other):
        amount = gone(module.weight.numel(), 0.5) / module.weight.numel()
        library.ln_structured(module, "weight", amount, 1, 0)
    mask = cut(torch_prune, 0.5, net, "uniform", custom=f"{methods}:Rows")
    assert mask.units
    assert same(mask, masks_of(other))


@pytest.mark.parametrize(
    ("options", "budget", "message"),
    [
        ({"n": 2.0}, "global", "l1_unstructured takes no 'n' .it takes: nothing"),
        ({"method": "random_structured", "n": 2.0}, "global", "random_structured takes no 'n' .it takes: dim"),
        ({"custom": "own_methods:Rows", "dim": 0}, "global", "own_methods:Rows takes no 'dim'"),
        ({"method": "ln_structured", "dim": 1}, "global", 'LnStructured cuts layer by layer: set budget = "uniform"'),
        ({"custom": "own_methods:Rows"}, "global", "Rows cuts layer by layer"),
        ({"custom": "own_methods:Below"}, "global", "Below needs threshold: derive a class"),
        ({"custom": "own_methods:Nothing"}, "global", "no attribute 'Nothing'"),
        ({"custom": "no_such_module_here:X"}, "global", "No module named 'no_such_module_here'"),
        ({"custom": "a b"}, "global", "package.module:Class"),
        ({"custom": "torch.nn:Linear"}, "global", "no class derived from torch.nn.utils.prune.BasePruningMethod"),
        ({"custom": "torch.nn.utils.prune:l1_unstructured"}, "global", "no class derived from"),
    ],
)
def test_what_does_not_fit_is_refused_by_one_line(methods: str, options: dict[str, Any], budget: str, message: str):
    with pytest.raises(BenchbiasError, match=message):
        cut(torch_prune, 0.5, network(), budget, **options)


def test_planning_imports_nothing_that_a_table_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "never_imported.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own.toml").write_text(
        'schema = 1\n[suites.own]\ntitle = "t"\nversion = "1"\ntasks = ["colored-digits-tiny"]\nmethods = ["own"]\n'
        'seeds = 1\nmetrics = ["accuracy"]\nrank_by = "accuracy"\n[methods.own]\n'
        'stages = [{ prune = "torch_prune", custom = "never_imported:Largest", sparsity = 0.5 }, { train = "erm" }]\n'
    )
    plan = Workspace.open(tmp_path / "own.toml", quiet=True).plan("own")
    assert plan.trials[0].blocked is None
    assert "never_imported" not in sys.modules


# Torch-Pruning


def test_every_importance_of_the_installed_library_can_be_named():
    """But the abstract one, and OBDCImportance: it needs the library's own pruner, and fails on layers with a bias."""
    kinds = {
        name
        for name, value in vars(tp.importance).items()
        if isinstance(value, type) and issubclass(value, tp.importance.Importance)
    }
    assert set(get_args(Importance)) == kinds - {"Importance", "OBDCImportance"}


def scores(net: nn.Module, names: list[str] = HIDDEN, **options: Any) -> dict[str, Tensor]:
    layers = tuple(name.removesuffix(".weight") for name in names)
    net = copy.deepcopy(net)
    return {name: score.detach() for name, score in torch_pruning(net, source(), context(layers), **options).items()}


def by_library(net: nn.Module, scorer: Any) -> dict[str, Tensor]:
    """What an importance says of each layer's group, asked as the library's documentation does."""
    graph = tp.DependencyGraph().build_dependency(net, torch.zeros(1, 3, 8, 8))
    found = {}
    for name, module in zip(HIDDEN, modules_of(net, HIDDEN), strict=True):
        way = tp.prune_conv_out_channels if isinstance(module, nn.Conv2d) else tp.prune_linear_out_channels
        found[name] = scorer(graph.get_pruning_group(module, way, list(range(len(module.weight)))))
    return found


def agree(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert list(found) == list(expected)
    for name, score in found.items():
        assert score.count_nonzero() > 0
        torch.testing.assert_close(score, expected[name], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    "name", ["MagnitudeImportance", "LAMPImportance", "FPGMImportance", "GroupMagnitudeImportance"]
)
def test_scores_of_weights_are_the_librarys(name: str):
    net = network().eval()
    agree(scores(net, importance=name), by_library(net, getattr(tp.importance, name)()))


def test_settings_reach_the_importance():
    net = network().eval()
    set_ = {"p": 1, "group_reduction": "max", "normalizer": "sum", "bias": True}
    agree(scores(net, **set_), by_library(net, tp.importance.MagnitudeImportance(**set_)))
    plain = scores(net, p=1, group_reduction="first", normalizer="none")
    agree(plain, {name: w.detach().abs().flatten(1).sum(1) for name, w in weights_of(net, HIDDEN).items()})


def test_batch_norm_scales_are_scored():
    net = network().eval()
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([1.0, -2.0, 3.0, 4.0]))
    found = scores(net, LAYERS[:1], importance="BNScaleImportance", normalizer="max")
    torch.testing.assert_close(found["0.weight"], torch.tensor([0.25, 0.5, 0.75, 1.0]))


def test_taylor_is_weight_times_gradient_of_one_training_batch():
    net = network().eval()
    slopes = by_hand(net, first(16))
    raw = {"group_reduction": "first", "normalizer": "none"}
    products = {name: (w.detach() * slopes[name]).flatten(1) for name, w in weights_of(net, HIDDEN).items()}
    agree(
        scores(net, importance="TaylorImportance", **raw), {n: product.abs().sum(1) for n, product in products.items()}
    )
    joint = scores(net, importance="TaylorImportance", multivariable=True, **raw)
    agree(joint, {name: product.sum(1).abs() for name, product in products.items()})
    graded = copy.deepcopy(net).train()
    batch = source().batch(source().train, first(16))
    cross_entropy(graded(batch.images), batch.labels).backward()
    agree(scores(net, importance="GroupTaylorImportance"), by_library(graded, tp.importance.TaylorImportance()))


def test_hessian_is_the_mean_of_squared_gradients_of_single_examples():
    net = network(norm=False).eval()
    index = first(16)
    squares = {name: torch.zeros_like(w) for name, w in weights_of(net, HIDDEN).items()}
    for at in index:
        for name, slope in by_hand(net, at[None]).items():
            if name in squares:
                squares[name] += slope.square() / len(index)
    found = scores(net, importance="HessianImportance", group_reduction="first", normalizer="none")
    weights = weights_of(net, HIDDEN)
    agree(found, {name: (w.detach().square() * squares[name]).flatten(1).sum(1) for name, w in weights.items()})


def test_activations_are_what_goes_into_the_next_layer():
    net = network().eval()
    batch = source().batch(source().train, first(16))
    found = scores(net, LAYERS[:1], importance="ActivationImportance", normalizer="none")
    torch.testing.assert_close(found["0.weight"], net[:3](batch.images).abs().mean((0, 2, 3)))


def test_more_batches_change_what_is_seen():
    net = network(norm=False)
    for name in ("TaylorImportance", "ActivationImportance"):
        one, all_ = (scores(net, LAYERS[:1], importance=name, batches=count)["0.weight"] for count in (1, 0))
        assert not torch.allclose(one, all_)
        torch.testing.assert_close(all_, scores(net, LAYERS[:1], importance=name, batches=99)["0.weight"])


def test_random_scores_follow_the_methods_own_stream():
    state = torch.random.get_rng_state()
    net = network()
    before = torch.random.get_rng_state()
    one = scores(net, importance="RandomImportance")
    assert torch.equal(before, torch.random.get_rng_state())
    torch.rand(3)
    agree(one, scores(net, importance="RandomImportance"))
    assert not torch.equal(one["3.weight"], one["7.weight"][:5])
    torch.random.set_rng_state(state)


class Residual(nn.Module):
    """Two convolutions whose outputs are added; between them and the head a third, whose channels go alone."""

    def __init__(self, *, depthwise: bool = False) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.stem, self.norm = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.branch = nn.Conv2d(6, 6, 3, padding=1, groups=6 if depthwise else 1)
        self.branch_norm = nn.BatchNorm2d(6)
        self.last = nn.Conv2d(6, 4, 3)
        self.head = nn.Linear(4, 2)
        self(torch.randn(9, 3, 8, 8))
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        stem = relu(self.norm(self.stem(images)))
        both = relu(stem + self.branch_norm(self.branch(stem)))
        logits: Tensor = self.head(relu(self.last(both)).mean((2, 3)))
        return logits


def slimmed(net: nn.Module, mask: Mask) -> nn.Module:
    """The network without the removed units, as Torch-Pruning cuts them out of every layer that has them."""
    net = copy.deepcopy(net)
    for name in mask.tensors:
        module = net.get_submodule(name.removesuffix(".weight"))
        graph = tp.DependencyGraph().build_dependency(net, torch.zeros(1, 3, 8, 8))
        way = graph.get_pruner_of_module(module).prune_out_channels
        going = [unit for unit, row in enumerate(mask.tensors[name].flatten(1)) if not bool(row.any())]
        if len(module.weight) == len(mask.tensors[name]) and going:  # else it went with a layer before it
            graph.get_pruning_group(module, way, going).prune()
    return net


@pytest.mark.parametrize(
    ("net", "budget"),
    [
        (network().eval(), "global"),
        (network().eval(), "uniform"),
        (Residual(), "uniform"),
        (Residual(depthwise=True), "uniform"),
    ],
)
@pytest.mark.parametrize("sparsity", [0.3, 0.5, 0.75])
def test_the_slimmed_network_is_the_same_function(net: nn.Module, budget: str, sparsity: float):
    asked = context(("!head",))
    images = torch.randn(7, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    mask = with_attached(cut(torch_pruning, sparsity, net, budget, asked), net, images[:1])
    masked = copy.deepcopy(net)
    apply(masked, mask)
    small = slimmed(net, mask)
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in net.parameters())
    torch.testing.assert_close(small(images), masked(images), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(masked(images), net(images), atol=1e-3)


@pytest.mark.parametrize("name", ["MagnitudeImportance", "TaylorImportance", "RandomImportance"])
@pytest.mark.parametrize("sparsity", [0.2, 0.5, 0.84])
def test_units_that_are_added_go_together(name: str, sparsity: float):
    mask = cut(torch_pruning, sparsity, Residual(), "uniform", context(("!head",)), importance=name)
    stem, branch, last = (mask.tensors[f"{layer}.weight"].flatten(1).any(dim=1) for layer in ("stem", "branch", "last"))
    assert torch.equal(stem, branch)
    assert int((~stem).sum()) == gone(6, sparsity)
    assert int((~last).sum()) == gone(4, sparsity)


class Odd(nn.Module):
    """Layers whose units are no rows of their own."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.kind = kind
        self.stem, self.other = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
        self.wide = nn.Conv2d(3, 8, 3, padding=1)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.turned = nn.ConvTranspose2d(8, 8, 1)
        self.head = nn.Linear(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.wide(images)
        if self.kind == "partial":
            hidden = hidden + torch.cat([self.stem(images), self.other(images)], dim=1)
        if self.kind == "grouped":
            hidden = self.grouped(hidden)
        if self.kind == "transposed":
            hidden = self.turned(hidden)
        logits: Tensor = self.head(relu(hidden).mean((2, 3)))
        return logits


@pytest.mark.parametrize(
    ("net", "layers", "budget", "message"),
    [
        (Residual(), ("!head",), "global", "stem.weight, branch.weight go together.* set budget"),
        (Residual(), ("!head", "!branch"), "uniform", "stem.weight go with those of branch.weight: admit all or none"),
        (Odd("partial"), ("stem", "other", "wide"), "uniform", "share some units only"),
        (Odd("grouped"), ("wide", "grouped"), "uniform", "grouped.weight, a convolution in 2 groups"),
        (Odd("grouped"), ("grouped",), "uniform", "grouped.weight, a convolution in 2 groups"),
        (Odd("transposed"), ("turned",), "uniform", "transposed convolution"),
        (Odd("plain"), ("stem", "wide"), "uniform", "stem.weight: Torch-Pruning does not find"),
    ],
)
def test_layers_whose_units_are_not_their_own_are_refused(net: nn.Module, layers: Any, budget: str, message: str):
    with pytest.raises(BenchbiasError, match=message):
        cut(torch_pruning, 0.5, net, budget, context(layers))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"importance": "BNScaleImportance", "p": 2}, r"BNScaleImportance takes no 'p' \(it takes: group_reduction"),
        ({"importance": "RandomImportance", "bias": True}, r"RandomImportance takes no 'bias' \(it takes: nothing"),
        ({"importance": "LAMPImportance", "normalizer": "max"}, "leave `normalizer` out"),
        ({"batches": 2}, "MagnitudeImportance looks at no data"),
        ({"importance": "BNScaleImportance"}, "BNScaleImportance says nothing of 7.weight"),
        ({"importance": "ActivationImportance"}, "ActivationImportance gives 80 scores for the 5 units of 3.weight"),
    ],
)
def test_settings_that_do_not_fit_are_refused(options: dict[str, Any], message: str):
    with pytest.raises(BenchbiasError, match=message):
        cut(torch_pruning, 0.5, network(), **options)


def test_scores_that_are_not_finite_are_refused():
    net = network()
    with torch.no_grad():
        net[9].weight.zero_()  # no gradient reaches the other layers: their mean is 0 / 0
    with pytest.raises(BenchbiasError, match=r"TaylorImportance is not finite on 0\.weight"):
        cut(torch_pruning, 0.5, net, importance="TaylorImportance", group_reduction="first")


def test_without_the_library_it_is_skipped(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(Skip, match=r"torch-pruning cannot be imported .*: pip install 'benchbias\[pruning\]'"):
        cut(torch_pruning, 0.5, network())
