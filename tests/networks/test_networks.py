"""The networks of the literature: published counts, torchvision and timm as oracles, units of attention and MLPs."""

from __future__ import annotations

import copy
import importlib.util
import itertools
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import gelu, linear

from benchbias import BenchbiasError
from benchbias.data.values import Split, TrainingData
from benchbias.network.cost import layer_flops
from benchbias.network.inspect import head_name
from benchbias.sparse.cutting import budget_counts, cut, erk_densities
from benchbias.sparse.masks import Mask, apply, with_attached
from benchbias.suite.tables import Recipe
from benchbias.training.context import PruneContext, prunable_weights
from benchbias_plugins.methods.critical_neurons import critical_gradient, critical_magnitude
from benchbias_plugins.methods.gradient import gradient
from benchbias_plugins.methods.magnitude import magnitude
from benchbias_plugins.methods.torch_pruning_ import torch_pruning
from benchbias_plugins.networks.literature import benchbias_models
from benchbias_plugins.networks.literature.library import with_linear_attention
from benchbias_plugins.networks.literature.vit import VisionTransformer, of_timm, vit
from benchbias_plugins.networks.small_networks import simple_cnn
from support import ROOT
from support.pruning import cut_mask

MODELS = benchbias_models()
RGB = (3, 32, 32)


def make(model, shape=RGB, classes=10, **options):
    given = (Path(),) if model in ("resnet18", "resnet50", "vit", "torchvision", "timm") else ()
    return MODELS[model](shape, classes, *given, **options)


def seeded(build, seed=3):
    torch.manual_seed(seed)
    return build()


def weights(model):
    return sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear))


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def images(shape, count=3):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))


def same_state(one, other):
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


# --- ResNets of torchvision


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_with_the_imagenet_stem_it_is_torchvisions_network_with_its_random_draws(name):
    import torchvision

    ours = seeded(lambda: make(name, classes=7))
    theirs = seeded(lambda: getattr(torchvision.models, name)(num_classes=7))
    assert same_state(ours.state_dict(), theirs.state_dict())
    batch = images((3, 40, 40))
    assert torch.equal(ours.eval()(batch), theirs.eval()(batch))


def test_resnet18_has_the_weights_that_rest_counts():
    model = make("resnet18")
    assert weights(model) == 11_172_032
    assert sum(p.numel() for m in model.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()) == 9_600
    assert parameters(model) == 11_172_032 + 9_600 + 10


def test_the_cifar_stem_keeps_the_size_and_has_three_by_three_pixels():
    model = make("resnet18", stem="cifar", width=0.1)
    assert model.conv1.weight.shape[2:] == (3, 3)
    seen = []
    model.layer1.register_forward_hook(lambda module, args, output: seen.append(args[0].shape[2:]))
    model(images(RGB))
    assert seen == [RGB[1:]]
    assert weights(make("resnet18", stem="cifar")) == 11_172_032 - 3 * 64 * (49 - 9)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_the_width_multiplies_every_channel_of_a_resnet(name):
    half, whole = make(name, width=0.5), make(name)
    for (_, small), (layer, large) in zip(half.named_modules(), whole.named_modules(), strict=True):
        if isinstance(large, nn.Conv2d):
            assert 2 * small.out_channels == large.out_channels, layer
            assert 2 * small.in_channels == large.in_channels or layer == "conv1"


# --- ResNets for CIFAR


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("resnet20", 269_722),
        ("resnet32", 464_154),
        ("resnet44", 658_586),
        ("resnet56", 853_018),
        ("resnet110", 1_727_962),
    ],
)
def test_the_cifar_resnets_have_the_published_sizes(name, count):
    """0.27, 0.46, 0.66, 0.85 and 1.7 million (He et al., table 6); depth 6 n + 2 by their layers."""
    model = make(name)
    assert parameters(model) == count
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == int(name.removeprefix("resnet"))


def test_option_a_has_no_weights_and_passes_what_it_keeps_unchanged():
    model = make("resnet20")
    shortcut = model.layer2[0].shortcut
    maps = images((16, 8, 8))
    passed = shortcut(maps)
    assert passed.shape == (3, 32, 4, 4)
    assert torch.equal(passed[:, 8:24], maps[:, :, ::2, ::2])
    assert not passed[:, :8].any()
    assert not passed[:, 24:].any()
    assert parameters(make("resnet20", shortcut="B")) == 269_722 + 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64


@pytest.mark.parametrize("name", ["resnet20", "wide_resnet22_2"])
def test_every_group_but_the_first_halves_the_maps_once(name):
    model, sizes = make(name), []
    for group in (model.layer1, model.layer2, model.layer3):
        group.register_forward_hook(lambda module, args, output: sizes.append(tuple(output.shape[1:])))
    model(images(RGB))
    factor = 2 if name == "wide_resnet22_2" else 1
    assert sizes == [(16 * factor, 32, 32), (32 * factor, 16, 16), (64 * factor, 8, 8)]


def test_cifar_resnets_begin_as_published():
    """Kaiming normal with the fan-in (He et al., 2015): standard deviation sqrt(2 / fan_in)."""
    conv = seeded(lambda: make("resnet20")).layer3[0].conv1
    assert conv.weight.std().item() == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.03)


# --- the wide ResNet


def test_wide_resnet22_2_counts_by_its_formula():
    """16 channels, then three groups of three blocks of two 3x3 convolutions; 1x1 shortcuts where channels change."""
    widths = (16, 32, 64, 128)
    expected = 9 * 3 * 16 + 128 * 10
    for inside, outside in itertools.pairwise(widths):
        expected += 9 * inside * outside + 5 * 9 * outside**2 + inside * outside
    model = make("wide_resnet22_2")
    assert weights(model) == expected == 1_076_912
    assert sum(isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3) for m in model.modules()) == 1 + 18


def test_a_projecting_block_of_the_wide_resnet_starts_its_shortcut_after_batch_norm_and_relu():
    block = make("wide_resnet22_2").layer2[0].eval()
    nn.init.normal_(block.bn1.bias)
    maps = images((32, 8, 8)) - 0.5
    with torch.no_grad():
        block.conv2.weight.zero_()
        assert torch.equal(block(maps), block.shortcut(block.bn1(maps).relu()))
        plain = make("wide_resnet22_2").layer2[1].eval()
        plain.conv2.weight.zero_()
        wide = images((64, 8, 8))
        assert torch.equal(plain(wide), wide)


def test_dropout_of_the_wide_resnet_acts_in_training_alone():
    model = seeded(lambda: make("wide_resnet22_2", width=0.25))
    batch = images(RGB)
    assert not torch.equal(model(batch), model(batch))
    assert torch.equal(model.eval()(batch), model(batch))
    assert sum(m.p == 0.3 for m in model.modules() if isinstance(m, nn.Dropout)) == 9


@pytest.mark.parametrize("name", ["resnet18", "resnet20", "wide_resnet22_2", "vit"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 40)])
def test_they_take_other_shapes_and_the_head_makes_the_logits(name, shape):
    small = {"depth": 2, "dim": 24} if name == "vit" else {"width": 0.25}
    model = make(name, shape, 5, **small).eval()
    assert model(images(shape)).shape == (3, 5)
    assert model.get_submodule(head_name(model, images(shape, 1))).out_features == 5


# --- FLOPs and weights of REST's Table 1 (docs/rest-table-1.md), ERK's dense layers


@pytest.mark.parametrize(
    ("network", "size", "macs"),
    [("resnet18", 224, 1.814e9), ("resnet18", 32, 37.0e6), ("simple_cnn", 224, 860.6e6), ("simple_cnn", 28, 11.75e6)],
)
def test_multiply_adds_of_rests_networks(network, size, macs):
    model = make("resnet18") if network == "resnet18" else simple_cnn((3, 28, 28), 10)
    assert sum(layer_flops(model, torch.zeros(1, 3, size, size)).values()) / 2 == pytest.approx(macs, rel=1e-3)


def test_resnet18_costs_what_fvcore_like_counting_by_hand_gives():
    """By the shapes: 112 and 56 pixels a side in stem and first group, then halves."""
    stem, head = 3 * 64 * 49 * 112**2, 512 * 10
    total = stem + head + 4 * 9 * 64**2 * 56**2
    for inside, outside, side in ((64, 128, 28), (128, 256, 14), (256, 512, 7)):
        total += (9 * inside * outside + 3 * 9 * outside**2 + inside * outside) * side**2
    assert sum(layer_flops(make("resnet18"), torch.zeros(1, 3, 224, 224)).values()) == 2 * total


def prunable(model):
    return prunable_weights(model, (), torch.zeros(1, *RGB))


def dense_layers(model, density):
    shapes = {name: tuple(p.shape) for name, p in prunable(model).items()}
    found = erk_densities(shapes, density)
    kept = sum(found[name] * torch.Size(shapes[name]).numel() for name in shapes)
    return {name.removesuffix(".weight") for name, share in found.items() if share == 1}, kept


@pytest.mark.parametrize(
    ("density", "dense"),
    [
        (0.1, {"fc", "layer2.0.downsample.0", "conv1", "layer3.0.downsample.0"}),
        (0.05, {"fc", "layer2.0.downsample.0"}),
        (0.005, set()),
    ],
)
def test_the_layers_of_resnet18_that_erk_leaves_dense(density, dense):
    found, kept = dense_layers(make("resnet18"), density)
    assert found == dense
    assert kept == pytest.approx(density * 11_172_032)


def test_the_layers_of_the_simple_cnn_that_erk_leaves_dense():
    assert dense_layers(simple_cnn((3, 28, 28), 10), 0.05)[0] == {"features.0.0", "fc"}
    assert dense_layers(simple_cnn((3, 28, 28), 10), 0.005)[0] == set()


@pytest.mark.parametrize(
    ("network", "size", "expected", "ratio"),
    [
        ("resnet18", 224, 55_860, 0.0143),
        ("simple_cnn", 224, 3_305, 0.0077),
        ("simple_cnn", 28, 3_305, 0.0085),
    ],
)
def test_weights_and_cost_at_rests_density(network, size, expected, ratio):
    model = make("resnet18") if network == "resnet18" else simple_cnn((3, 28, 28), 10)
    _, kept = dense_layers(model, 0.005)
    assert round(kept) == expected
    found, counts = prunable(model), budget_counts(prunable(model), {"density": 0.005}, "erk")
    flops = layer_flops(model, torch.zeros(1, 3, size, size))
    sparse = sum(cost * counts[name] / found[name].numel() for name, cost in flops.items())
    assert sparse / sum(flops.values()) == pytest.approx(ratio, abs=5e-5)


def test_the_page_on_rests_table_has_the_numbers_that_its_script_counts():
    spec = importlib.util.spec_from_file_location("rest_table_1", ROOT / "benchmarks/rest_table_1.py")
    script = importlib.util.module_from_spec(spec)
    sys.modules["rest_table_1"] = script
    try:
        spec.loader.exec_module(script)
    finally:
        del sys.modules["rest_table_1"]
    page = (ROOT / "docs/rest-table-1.md").read_text()
    lines = [f"| {' | '.join(row)} |" for case in script.CASES for row in script.rows(case)]
    assert len(lines) == 24
    assert [line for line in lines if line not in page] == []


# --- the vision transformer


def small_vit(**options):
    torch.manual_seed(1)
    model = vit((3, 16, 16), 5, Path(), **{"depth": 2, "heads": 2, "dim": 16, **options})
    with torch.no_grad():
        for parameter in model.parameters():  # biases and norms are not at zeros and ones, and attention is not flat
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model.double().eval()


PIXELS = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_vit_is_timms_for_equal_weights():
    from timm.models.vision_transformer import VisionTransformer as Theirs

    theirs = Theirs(img_size=16, patch_size=4, num_classes=5, embed_dim=16, depth=2, num_heads=2).double().eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    ours = small_vit()
    ours.load_state_dict(of_timm(theirs.state_dict()))
    torch.testing.assert_close(ours(PIXELS), theirs(PIXELS))
    assert parameters(ours) == parameters(theirs)


def test_vit_tiny_has_the_published_size():
    """DeiT-Ti (Touvron et al., ICML 2021): 5.7 million parameters with 1,000 classes."""
    model = vit((3, 224, 224), 1000, Path(), patch=16)
    assert parameters(model) == 5_717_416


def test_every_matrix_of_attention_and_mlp_is_a_layer_that_pruners_see():
    found = prunable_weights(small_vit(), ("blocks.*",), torch.zeros(1, 3, 16, 16, dtype=torch.float64))
    layers = [f"blocks.{n}.{part}.weight" for n in (0, 1) for part in ("attn.q", "attn.k", "attn.v", "attn.proj")]
    layers += [f"blocks.{n}.mlp.{part}.weight" for n in (0, 1) for part in ("fc1", "fc2")]
    assert set(found) == set(layers)


@pytest.mark.parametrize("wrong", [{"patch": 5}, {"heads": 3}])
def test_a_vit_that_does_not_fit_is_refused(wrong):
    with pytest.raises(BenchbiasError, match="vit:"):
        small_vit(**wrong)


def test_the_width_of_a_vit_multiplies_the_channels_of_a_head():
    half = small_vit(width=0.5)
    assert half.blocks[0].attn.q.weight.shape == (8, 8)
    assert half.blocks[0].mlp.fc1.weight.shape == (32, 8)
    assert half.blocks[0].attn.heads == 2


def rows(mask, name):
    return mask.tensors[name].flatten(1).any(dim=1)


def slimmed(model: VisionTransformer, mask: Mask, pixels):
    """What a vit computes whose removed rows of q, k, v and fc1 are not there, nor what would read them."""

    def kept(layer, name):
        whole = torch.ones(len(layer.weight), dtype=torch.bool)
        return rows(mask, f"{name}.weight") if f"{name}.weight" in mask.tensors else whole

    tokens = model.patch_embed(pixels)
    tokens = torch.cat([model.cls_token.expand(len(pixels), -1, -1), tokens], 1) + model.pos_embed
    for number, block in enumerate(model.blocks):
        attn, name = block.attn, f"blocks.{number}"
        q, k, v = (kept(getattr(attn, part), f"{name}.attn.{part}") for part in "qkv")
        inside, size = block.norm1(tokens), len(q) // attn.heads
        added = attn.proj.bias.expand_as(tokens)
        for head in range(attn.heads):
            own = torch.arange(len(q)) // size == head
            pairs, values = own & q & k, own & v  # a query's row is gone with its key's, and the other way round
            if not values.any():
                continue
            query, key = (linear(inside, layer.weight[pairs], layer.bias[pairs]) for layer in (attn.q, attn.k))
            shares = (query @ key.transpose(1, 2) * size**-0.5).softmax(-1)
            value = linear(inside, attn.v.weight[values], attn.v.bias[values])
            added = added + linear(shares @ value, attn.proj.weight[:, values])
        tokens = tokens + added
        hidden = kept(block.mlp.fc1, f"{name}.mlp.fc1")
        units = gelu(linear(block.norm2(tokens), block.mlp.fc1.weight[hidden], block.mlp.fc1.bias[hidden]))
        tokens = tokens + linear(units, block.mlp.fc2.weight[:, hidden], block.mlp.fc2.bias)
    return model.head(model.norm(tokens)[:, 0])


def unit_mask(model, removed):
    """A mask that removes these rows of these layers."""
    weights = dict(model.named_parameters())
    tensors = {name: torch.ones_like(weights[name], dtype=torch.bool) for name in removed}
    for name, gone in removed.items():
        tensors[name][gone] = False
    return Mask(tensors, units=True)


HEAD = list(range(8, 16))  # the second head's rows


@pytest.mark.parametrize(
    "removed",
    [
        {"blocks.0.mlp.fc1.weight": [0, 5, 63], "blocks.1.mlp.fc1.weight": list(range(60))},
        {"blocks.0.attn.v.weight": [3, 9, 10]},
        {"blocks.0.attn.q.weight": [1, 12], "blocks.1.attn.k.weight": [0, 2]},
        {"blocks.0.attn.v.weight": HEAD},
        {f"blocks.1.attn.{part}.weight": HEAD for part in "qkv"},
    ],
    ids=["mlp units", "value rows", "query and key rows", "a head's values", "a whole head"],
)
def test_a_vit_without_units_is_the_masked_one(removed):
    model = small_vit()
    assert torch.allclose(slimmed(model, Mask({}), PIXELS), model(PIXELS))
    mask = with_attached(unit_mask(model, removed), model, PIXELS[:1])
    assert set(mask.attached) == {name.replace(".weight", ".bias") for name in removed}
    masked = copy.deepcopy(model)
    apply(masked, mask)
    torch.testing.assert_close(masked(PIXELS), slimmed(model, mask, PIXELS))
    assert not torch.allclose(masked(PIXELS), model(PIXELS), atol=1e-3)
    bare = copy.deepcopy(model)
    apply(bare, Mask(mask.tensors, units=True))
    assert not torch.allclose(bare(PIXELS), masked(PIXELS), atol=1e-4), "the biases that go with the units do matter"


# --- pruners on them


def context(layers=(), size=16):
    stream = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (32, 3, size, size), generator=stream, dtype=torch.uint8)
    train = Split(pixels, torch.arange(32) % 2, 2, "train")
    return PruneContext(
        device=torch.device("cpu"),
        generator=torch.Generator().manual_seed(1),
        recipe=Recipe(batch_size=16),
        data=TrainingData(train, train, (0.5,) * 3, (1.0,) * 3, 16),
        order=torch.Generator(),
        layers=layers,
    )


def pruned(pruner, model, layers=(), sparsity=0.5, budget="uniform", **options):
    def call(model, context):
        return pruner(model, context.data, context, **options)

    return cut_mask("checked", call, model, context(layers), {"sparsity": sparsity}, budget)


NETS = {
    "resnet18": {"stem": "cifar", "width": 0.1},
    "resnet20": {"width": 0.5, "shortcut": "B"},
    "wide_resnet22_2": {"width": 0.25},
    "vit": {"depth": 2, "heads": 2, "dim": 16},
}


def moved(name):
    """A network whose batch norms are at no default."""
    model = seeded(lambda: make(name, (3, 16, 16), 2, **NETS[name]))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                    tensor.uniform_(0.5, 1.5)
    return model.eval()


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("pruner", [magnitude, gradient])
def test_single_weights_are_removed_exactly(name, pruner):
    model = moved(name)
    total = sum(w.numel() for w in context().prunable(model).values())
    mask = pruned(pruner, model, sparsity=0.7, budget="global")
    assert total - sum(mask.counts().values()) == int(0.7 * total)
    apply(model, mask)
    assert torch.isfinite(model(images((3, 16, 16)))).all()


UNITS = {
    "critical-magnitude": (critical_magnitude, {}),
    "critical-gradient": (critical_gradient, {"pool": 16, "batch": 8}),
    "torch-pruning": (torch_pruning, {}),
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("way", UNITS)
def test_whole_units_are_removed_with_what_goes_with_them(name, way):
    """The masked network is the one in which what the layer and its batch norm make of a removed unit is zero."""
    pruner, options = UNITS[way]
    model = moved(name)
    batch = images((3, 16, 16))
    mask = with_attached(pruned(pruner, model, ("!head",), **options), model, batch[:1])
    assert mask.units
    assert 0.4 < mask.sparsity <= 0.5
    masked, silenced = copy.deepcopy(model), copy.deepcopy(model)
    apply(masked, mask)
    for layer in mask.tensors:
        for module in followers(silenced, layer.removesuffix(".weight")):
            module.register_forward_hook(zeroed(rows(mask, layer)))
    torch.testing.assert_close(masked(batch), silenced(batch), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(masked(batch), model(batch), atol=1e-3)


def followers(model, layer):
    """A layer, and the batch norm that alone reads it."""
    owner, _, last = layer.rpartition(".")
    beside = dict(model.get_submodule(owner).named_children())
    if hasattr(model, "bn") and layer == "conv1":  # the stem of the wide network, whose reader is the first block
        return [model.conv1, model.layer1[0].bn1]
    found = [beside[last]]
    pairs = {"conv1": "bn2"} if hasattr(model, "bn") else {"conv1": "bn1", "conv2": "bn2", "0": "1"}
    norm = beside.get(pairs.get(last, ""))
    return [*found, norm] if isinstance(norm, nn.BatchNorm2d) else found


def zeroed(kept):
    def hook(module, args, output):
        axis = 1 if output.ndim == 4 else -1
        return output * kept.view(*[-1 if at == axis % output.ndim else 1 for at in range(output.ndim)])

    return hook


def test_torch_pruning_takes_a_heads_queries_keys_and_values_together():
    mask = pruned(torch_pruning, moved("vit"), ("!head",))
    q, k, v = (rows(mask, f"blocks.0.attn.{part}.weight") for part in "qkv")
    assert torch.equal(q, k)
    assert torch.equal(q, v)
    with pytest.raises(BenchbiasError, match="admit all or none"):
        pruned(torch_pruning, moved("vit"), ("*.v",))


def test_a_resnet_without_the_inner_channels_of_its_blocks_is_the_masked_one():
    """The slimmed network is built: smaller convolutions and batch norms, and no zeros."""
    model = moved("resnet18")
    weights = context(("layer*.conv1",)).prunable(model)
    mask = cut(
        {n: w.detach().flatten(1).norm(dim=1) for n, w in weights.items()}, weights, sparsity=0.5, budget="uniform"
    )
    mask = with_attached(mask, model, images((3, 16, 16), 1))
    masked, small = copy.deepcopy(model), copy.deepcopy(model)
    apply(masked, mask)
    for name in mask.tensors:
        kept = rows(mask, name)
        block = small.get_submodule(name.removesuffix(".conv1.weight"))
        block.conv1.weight = nn.Parameter(block.conv1.weight[kept])
        block.conv2.weight = nn.Parameter(block.conv2.weight[:, kept])
        block.bn1.weight, block.bn1.bias = nn.Parameter(block.bn1.weight[kept]), nn.Parameter(block.bn1.bias[kept])
        block.bn1.running_mean, block.bn1.running_var = block.bn1.running_mean[kept], block.bn1.running_var[kept]
    batch = images((3, 16, 16))
    assert parameters(small) < parameters(model)
    torch.testing.assert_close(masked(batch), small(batch), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(masked(batch), model(batch), atol=1e-3)


# --- networks of the libraries


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_a_network_of_torchvision_is_torchvisions(name):
    import torchvision

    ours = seeded(lambda: make("torchvision", (3, 64, 64), 4, name=name))
    theirs = seeded(lambda: torchvision.models.get_model(name, weights=None, num_classes=4))
    assert same_state(ours.state_dict(), theirs.state_dict())
    assert torch.equal(ours.eval()(images((3, 64, 64))), theirs.eval()(images((3, 64, 64))))


@pytest.mark.parametrize(("name", "options"), [("resnet10t", {}), ("vit_tiny_patch16_224", {"img_size": (32, 48)})])
def test_a_network_of_timm_is_timms_and_gets_the_images_shape(name, options):
    import timm

    shape = (1, 32, 48)
    ours = seeded(lambda: make("timm", shape, 4, name=name))
    theirs = seeded(lambda: timm.create_model(name, num_classes=4, in_chans=1, **options))
    assert same_state(ours.state_dict(), theirs.state_dict())
    assert torch.equal(ours.eval()(images(shape)), theirs.eval()(images(shape)))


def test_on_grey_images_a_network_of_torchvision_is_the_one_on_three_equal_channels():
    grey = seeded(lambda: make("torchvision", (1, 64, 64), 4, name="mobilenet_v3_small")).eval()
    colour = seeded(lambda: make("torchvision", (3, 64, 64), 4, name="mobilenet_v3_small")).eval()
    batch = images((1, 64, 64))
    torch.testing.assert_close(grey(batch), colour(batch.expand(-1, 3, -1, -1)))


def test_attention_of_torchvisions_vit_becomes_layers_and_stays_the_same_function():
    from torchvision.models.vision_transformer import VisionTransformer as Theirs

    torch.manual_seed(0)
    theirs = Theirs(image_size=32, patch_size=16, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=4)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    ours = copy.deepcopy(theirs)
    with_linear_attention(ours)
    batch = images(RGB)
    for mode in (True, False):
        torch.testing.assert_close(ours.train(mode)(batch), theirs.train(mode)(batch), rtol=1e-4, atol=1e-5)
    assert parameters(ours) == parameters(theirs)
    layer = "encoder.layers.encoder_layer_0.self_attention"
    assert {f"{layer}.{part}.weight" for part in ("q", "k", "v", "proj")} <= set(prunable(ours))
    assert set(layer_flops(ours, batch[:1])) == {*prunable(ours), ""}, "and the products of activations"


@pytest.mark.parametrize(
    ("model", "name", "shape", "words"),
    [
        ("torchvision", "mobilnet_v3_smal", RGB, "mobilenet_v3_small"),
        ("timm", "vit_tiny_patch61_224", RGB, "vit_tiny_patch16_224"),
        ("timm", "hf-hub:owner/name", RGB, "has no model"),
        ("torchvision", "squeezenet1_1", (3, 4, 4), "cannot take images of 3x4x4"),
        ("torchvision", "vit_b_32", (3, 40, 40), "does not take images of 3x40x40"),
        ("torchvision", "vit_b_32", (3, 32, 64), "square"),
        ("torchvision", "mobilenet_v3_small", (4, 32, 32), "1 or 3 channels, not of 4"),
        ("torchvision", "swin_t", RGB, "without calling them as layers"),
        ("timm", "nf_regnet_b0", RGB, "make other weights of theirs"),
    ],
)
def test_what_a_library_cannot_give_is_refused_in_one_message(model, name, shape, words):
    with pytest.raises(BenchbiasError, match=words) as told:
        make(model, shape, name=name)
    assert len(str(told.value)) < 400
    assert "\n" not in str(told.value)
