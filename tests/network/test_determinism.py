"""What has no deterministic form on a card is found without one, with the layer that calls it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchbias.errors import ComponentError
from benchbias.network.determinism import (
    OPERATIONS,
    refuse_without_deterministic_form,
    told,
    without_deterministic_form,
)

IMAGES = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Calling(nn.Module):
    """A convolution, whatever is asked for, global pooling, a linear head."""

    def __init__(self, call: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.stem, self.call, self.head = nn.Conv2d(3, 4, 3, padding=1), call, nn.LazyLinear(2)
        self(IMAGES)

    def forward(self, images: Tensor) -> Tensor:
        answer: Tensor = self.head(self.call(self.stem(images)).flatten(2).mean(dim=2))
        return answer


def volume(call: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda maps: call(maps[:, :, None].repeat(1, 1, 2, 1, 1)).flatten(2)


def unpooled(maps: Tensor) -> Tensor:
    pooled, where = functional.max_pool2d(maps, 2, return_indices=True)
    return functional.max_unpool2d(pooled, where, 2)


def sampled(maps: Tensor) -> Tensor:
    grid = functional.affine_grid(torch.eye(2, 3).expand(len(maps), 2, 3), list(maps.shape), align_corners=False)
    return functional.grid_sample(maps, grid, align_corners=False)


def product(maps: Tensor) -> Tensor:
    return maps.scatter_reduce(2, torch.zeros_like(maps, dtype=torch.int64), maps, "prod")


WITHOUT: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "adaptive average": ("adaptive average", lambda maps: functional.adaptive_avg_pool2d(maps, 2)),
    "adaptive max": ("adaptive max", lambda maps: functional.adaptive_max_pool2d(maps, 1)),
    "average of volumes": ("3-d average", volume(lambda maps: functional.avg_pool3d(maps, 2))),
    "adaptive average of volumes": ("adaptive average", volume(lambda maps: functional.adaptive_avg_pool3d(maps, 2))),
    "fractional": ("fractional", lambda maps: functional.fractional_max_pool2d(maps, 2, output_size=3)),
    "unpooling": ("unpooling", unpooled),
    "bicubic": ("interpolation", lambda maps: functional.interpolate(maps, scale_factor=2, mode="bicubic")),
    "linear": ("interpolation", lambda maps: functional.interpolate(maps.flatten(2), scale_factor=2, mode="linear")),
    "antialias": (
        "interpolation",
        lambda maps: functional.interpolate(maps, size=(4, 4), mode="bilinear", antialias=True),
    ),
    "reflection": ("reflection", lambda maps: functional.pad(maps, (1, 1, 1, 1), "reflect")),
    "median": ("median", lambda maps: maps.median(dim=1, keepdim=True).values.expand_as(maps)),
    "grid": ("grid", sampled),
    "product": ("product", product),
    "histogram": ("histogram", lambda maps: maps + torch.histc(maps.detach(), 4).sum()),
    "bincount": ("bincount", lambda maps: maps * torch.bincount(torch.zeros(3, dtype=torch.int64), torch.ones(3))[0]),
    "put": ("put", lambda maps: maps.put(torch.zeros(1, dtype=torch.int64), maps.flatten()[:1])),
}

WITH: dict[str, Callable[[Tensor], Tensor]] = {
    "global average": lambda maps: functional.adaptive_avg_pool2d(maps, 1),
    "max pooling": lambda maps: functional.max_pool2d(maps, 2),
    "average pooling": lambda maps: functional.avg_pool2d(maps, 2),
    "nearest": lambda maps: functional.interpolate(maps, scale_factor=2),
    "bilinear": lambda maps: functional.interpolate(maps, scale_factor=2, mode="bilinear"),
    "replication": lambda maps: functional.pad(maps, (1, 1, 1, 1), "replicate"),
    "median of all": lambda maps: maps - maps.median(),
    "counted": lambda maps: maps * torch.bincount(torch.zeros(3, dtype=torch.int64))[0],
    "sum": lambda maps: maps.scatter_reduce(2, torch.zeros_like(maps, dtype=torch.int64), maps, "sum"),
    "no gradient": lambda maps: maps + functional.adaptive_max_pool2d(maps.detach(), 1),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_an_operation_without_a_deterministic_form_is_found(name: str):
    words, call = WITHOUT[name]
    (found,) = without_deterministic_form(Calling(call), IMAGES)
    assert words in found.words
    assert words in told([found])
    assert "deterministic = false" in told([found])


@pytest.mark.parametrize("name", WITH)
def test_others_are_not(name: str):
    assert without_deterministic_form(Calling(WITH[name]), IMAGES) == ()


def test_the_layers_that_call_it_are_named_each_once_and_in_order():
    pool, other = nn.AdaptiveAvgPool2d(2), nn.AdaptiveAvgPool2d(4)
    inner = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), other)
    model = nn.ModuleDict({"inner": inner, "pool": pool})
    whole = nn.Sequential(model["inner"], pool, nn.Flatten(), nn.Linear(16, 2))
    (found,) = without_deterministic_form(whole, IMAGES)
    assert found.layers == ("0.1", "1")
    assert "layer '0.1', '1'" in found.text


def test_a_frozen_layer_needs_no_gradient_and_images_neither():
    frozen = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 2))
    assert without_deterministic_form(frozen, IMAGES)
    frozen[0].requires_grad_(False)
    assert without_deterministic_form(frozen, IMAGES) == ()
    first = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 2))
    assert without_deterministic_form(first, IMAGES) == ()


def test_a_bag_of_embeddings_counts_where_it_takes_the_largest():
    class Bags(nn.Module):
        def __init__(self, mode: str) -> None:
            super().__init__()
            self.bag, self.head = nn.EmbeddingBag(5, 4, mode=mode), nn.Linear(4, 2)

        def forward(self, images: Tensor) -> Tensor:
            answer: Tensor = self.head(self.bag(torch.zeros(len(images), 3, dtype=torch.int64)))
            return answer

    (found,) = without_deterministic_form(Bags("max"), IMAGES)
    assert found.layers == ("bag",)
    assert without_deterministic_form(Bags("mean"), IMAGES) == ()


def test_neither_the_network_nor_a_random_stream_moves():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.Linear(144, 2))
    before, state = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    without_deterministic_form(model, IMAGES)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_network_that_runs_on_no_cpu_is_left_to_torch():
    def only_on_a_card(maps: Tensor) -> Tensor:
        if not maps.is_cuda:
            raise NotImplementedError("no kernel for the CPU")
        return maps

    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 2))
    with pytest.raises(ComponentError, match="adaptive average"):
        refuse_without_deterministic_form(model, IMAGES)
    model[0].register_forward_hook(lambda module, args, output: only_on_a_card(output))
    refuse_without_deterministic_form(model, IMAGES)


def test_the_list_has_all_that_torchs_documentation_says_raises():
    """torch may say more in a later version: then this test says so, and the list is completed."""
    text = inspect.getdoc(torch.use_deterministic_algorithms) or ""
    raising = text.split("will throw a\n:class:`RuntimeError` when ``mode=True``:")[1].split("In addition")[0]
    documented = {
        name.split(".")[-1].rstrip("_") for name in re.findall(r"^\s+\* :(?:class|func):`([^`]+)`", raising, re.M)
    }
    known = {
        *("AvgPool3d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool2d", "FractionalMaxPool2d"),
        *("FractionalMaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d", "interpolate", "ReflectionPad1d"),
        *("ReflectionPad2d", "ReflectionPad3d", "NLLLoss", "CTCLoss", "EmbeddingBag", "put", "histc", "bincount"),
        *("median", "grid_sample", "scatter_reduce", "resize"),
    }
    assert documented <= known
    for name in OPERATIONS:
        space, _, rest = name.partition("::")
        base, _, overload = rest.partition(".")
        packet = getattr(getattr(torch.ops, space), base)
        assert not overload or overload in packet.overloads(), name
