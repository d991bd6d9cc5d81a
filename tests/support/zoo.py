"""A zoo of small networks on images (3, 8, 8): the layer families of torch, and all that models do with weights.

`FITTING` networks are trained, pruned and counted; `REFUSED` ones get one message when they are made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize, prune

SHAPE, CLASSES = (3, 8, 8), 2
T, D = 8, 24  # an image as a sequence of its rows: steps, and numbers of a row


class Net(nn.Module):
    """Parts by name, and a function of them from images to logits."""

    def __init__(self, call: Callable[[Any, Tensor], Any], **parts: Any) -> None:
        super().__init__()
        self.call = call
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, images: Tensor) -> Any:
        return self.call(self, images)


@dataclass(frozen=True)
class Fitting:
    """A network and what is known of it.

    hidden: FLOPs of one example that FlopCounterMode does not see: of fused kernels. unreached: weights of matrices
    that pruning does not reach. by_unit: whether the rows of all its weights are output units.
    """

    make: Callable[[], nn.Module]
    hidden: int = 0
    unreached: int = 0
    by_unit: bool = True


def rows(images: Tensor) -> Tensor:
    """(B, 3, 8, 8) -> (B, 8, 24)."""
    return images.permute(0, 2, 1, 3).flatten(2)


def head(features: int) -> nn.Linear:
    return nn.Linear(features, CLASSES)


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(0.3 * torch.randn(shape))


def maps(*layers: nn.Module, shape: tuple[int, ...] = SHAPE) -> nn.Module:
    """Layers from images, seen as `shape`, to maps; their mean over places; a head."""
    body = nn.Sequential(nn.Unflatten(1, shape), *layers)
    width = body.eval()(torch.rand(2, 192)).flatten(2).shape[1]
    return nn.Sequential(nn.Flatten(), body.train(), nn.ReLU(), nn.Flatten(2), Mean(), head(width))


class Mean(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean(2)


def recurrent(layer: nn.RNNBase, features: int) -> nn.Module:
    first = layer.batch_first
    return Net(
        lambda m, x: m.head(m.layer(rows(x))[0][:, -1] if first else m.layer(rows(x).transpose(0, 1))[0][-1]),
        layer=layer,
        head=head(features),
    )


def stepped(cell: nn.RNNCellBase) -> nn.Module:
    def call(m: Any, x: Tensor) -> Tensor:
        state: Any = None
        for row in rows(x).unbind(1):
            state = m.cell(row, state)
        return m.head(state[0] if isinstance(state, tuple) else state)  # type: ignore[no-any-return]

    return Net(call, cell=cell, head=head(16))


def attending(**options: Any) -> nn.Module:
    size = options.get("kdim", 16)
    return Net(
        lambda m, x: m.head(m.attention(m.embed(rows(x)), m.keys(rows(x)), m.keys(rows(x)))[0].mean(1)),
        embed=nn.Linear(D, 16),
        keys=nn.Linear(D, size),
        attention=nn.MultiheadAttention(16, 4, batch_first=True, **options),
        head=head(16),
    )


def encoder(layer: nn.Module) -> nn.Module:
    return Net(lambda m, x: m.head(m.body(m.embed(rows(x))).mean(1)), embed=nn.Linear(D, 16), body=layer, head=head(16))


def by_products(kernel: Callable[[Tensor, Tensor, Tensor], Tensor]) -> nn.Module:
    return Net(
        lambda m, x: m.head(kernel(*(part(rows(x))[:, None] for part in (m.q, m.k, m.v)))[:, 0].mean(1)),
        **{name: nn.Linear(D, 16) for name in "qkv"},
        head=head(16),
    )


def softmax_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    shares = torch.einsum("bhqd,bhkd->bhqk", q, k).softmax(-1)
    return torch.einsum("bhqk,bhkd->bhqd", shares, v)


def words(images: Tensor) -> Tensor:
    """Bright or dark, by place: int64 (B, 64) from 0 to 9."""
    return (images[:, 0].flatten(1) * 3).clamp(0, 9).long()


def tied_linear() -> nn.Module:
    net = Net(
        lambda m, x: m.head(m.two(m.one(rows(x)).relu()).mean(1)),
        one=nn.Linear(D, D),
        two=nn.Linear(D, D),
        head=head(D),
    )
    net.two.weight = net.one.weight
    return net


def tied_embedding() -> nn.Module:
    """A language model's: the embedding is the weight of the layer that makes the answers."""
    net = Net(
        lambda m, x: m.head(m.answer(m.embed(words(x)).mean(1))), embed=nn.Embedding(10, 16), answer=nn.Linear(16, 10)
    )
    net.answer.weight = net.embed.weight
    net.head = head(10)
    return net


def frozen(net: nn.Module, *names: str) -> nn.Module:
    for name in names:
        net.get_submodule(name).requires_grad_(False)
    return net


def buffered(**buffers: Tensor) -> nn.Module:
    net = mlp()
    for name, buffer in buffers.items():
        net.register_buffer(name, buffer)
    return net


def mlp() -> Any:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.ReLU(), nn.Linear(16, CLASSES))


class ExtraState(nn.Module):
    """A state besides parameters and buffers."""

    def __init__(self, state: Any) -> None:
        super().__init__()
        self.state, self.body = state, mlp()

    def forward(self, images: Tensor) -> Any:
        return self.body(images)

    def get_extra_state(self) -> Any:
        return self.state

    def set_extra_state(self, state: Any) -> None:
        self.state = state


class OwnWeight(nn.Linear):
    """A layer that scales its weight in each pass."""

    def forward(self, given: Tensor) -> Tensor:
        return functional.linear(given, self.weight / self.in_features**0.5, self.bias)


class Double(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


def hidden_lstm(given: int, units: int, out: int | None = None) -> int:
    return 2 * T * 4 * units * (given + (out or units))


def hidden_attention(features: int) -> int:
    return 2 * 2 * T * T * features


FITTING: Mapping[str, Fitting] = {
    "conv 1-D": Fitting(lambda: maps(nn.Conv1d(24, 6, 3), shape=(24, 8))),
    "conv 2-D": Fitting(lambda: maps(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 3))),
    "conv 3-D": Fitting(lambda: maps(nn.Conv3d(3, 4, 3), shape=(3, 4, 4, 4))),
    "strides, dilation": Fitting(lambda: maps(nn.Conv2d(3, 6, 3, stride=2, padding=2, dilation=2))),
    "padding by reflection": Fitting(lambda: maps(nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect"))),
    "groups": Fitting(lambda: maps(nn.Conv2d(3, 6, 3, groups=3), nn.GroupNorm(2, 6), nn.Conv2d(6, 4, 1, groups=2))),
    "depthwise": Fitting(lambda: maps(nn.Conv2d(3, 3, 3, groups=3), nn.Conv2d(3, 8, 1, bias=False))),
    "transposed 1-D": Fitting(lambda: maps(nn.ConvTranspose1d(24, 6, 3), shape=(24, 8)), by_unit=False),
    "transposed 2-D": Fitting(lambda: maps(nn.ConvTranspose2d(3, 6, 2, stride=2), nn.BatchNorm2d(6)), by_unit=False),
    "transposed 3-D": Fitting(lambda: maps(nn.ConvTranspose3d(3, 4, 2), shape=(3, 4, 4, 4)), by_unit=False),
    "transposed, groups": Fitting(
        lambda: maps(nn.ConvTranspose2d(3, 6, 3, groups=3, stride=2, output_padding=1)), by_unit=False
    ),
    "normalisation": Fitting(lambda: maps(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4, affine=True), nn.PReLU(4))),
    "no linear layer": Fitting(
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, CLASSES, 6), nn.Flatten())
    ),
    "RNN": Fitting(lambda: recurrent(nn.RNN(D, 16, batch_first=True), 16), by_unit=False),
    "LSTM": Fitting(lambda: recurrent(nn.LSTM(D, 16, batch_first=True), 16), hidden=hidden_lstm(D, 16), by_unit=False),
    "LSTM, two layers, both ways": Fitting(
        lambda: recurrent(nn.LSTM(D, 16, num_layers=2, bidirectional=True), 32),
        hidden=2 * hidden_lstm(D, 16) + 2 * hidden_lstm(32, 16),
        by_unit=False,
    ),
    "LSTM, projected": Fitting(lambda: recurrent(nn.LSTM(D, 16, proj_size=5), 5), by_unit=False),
    "GRU, both ways": Fitting(lambda: recurrent(nn.GRU(D, 16, bidirectional=True, bias=False), 32), by_unit=False),
    "RNN cell": Fitting(lambda: stepped(nn.RNNCell(D, 16)), by_unit=False),
    "LSTM cell": Fitting(lambda: stepped(nn.LSTMCell(D, 16)), by_unit=False),
    "GRU cell": Fitting(lambda: stepped(nn.GRUCell(D, 16)), by_unit=False),
    "attention": Fitting(lambda: attending(), by_unit=False),
    "attention, other keys": Fitting(lambda: attending(kdim=12, vdim=12), by_unit=False),
    "attention, more keys": Fitting(lambda: attending(add_bias_kv=True, add_zero_attn=True), by_unit=False),
    "encoder layer": Fitting(
        lambda: encoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)),
        hidden=hidden_attention(16),
        by_unit=False,
    ),
    "encoder, two layers": Fitting(
        lambda: encoder(nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, 0.0, batch_first=True), 2)),
        hidden=2 * hidden_attention(16),
        by_unit=False,
    ),
    "fused attention": Fitting(
        lambda: by_products(functional.scaled_dot_product_attention), hidden=hidden_attention(16)
    ),
    "attention by einsum": Fitting(lambda: by_products(softmax_attention)),
    "bilinear": Fitting(
        lambda: Net(lambda m, x: m.head(m.two(rows(x)[:, 0], rows(x)[:, 1])), two=nn.Bilinear(D, D, 6), head=head(6)),
        hidden=2 * D * D * 6,
    ),
    "embedding": Fitting(
        lambda: Net(lambda m, x: m.head(m.embed(words(x)).mean(1)), embed=nn.Embedding(10, 16), head=head(16)),
        unreached=160,
    ),
    "bag of embeddings": Fitting(
        lambda: Net(lambda m, x: m.head(m.embed(words(x))), embed=nn.EmbeddingBag(10, 16), head=head(16)),
        unreached=160,
    ),
    "positions": Fitting(
        lambda: Net(
            lambda m, x: m.head((m.embed(rows(x)) + m.at).mean(1)),
            embed=nn.Linear(D, 6),
            at=parameter(1, T, 6),
            head=head(6),
        ),
        unreached=T * 6,
    ),
    "bare matrices": Fitting(
        lambda: Net(
            lambda m, x: (x.flatten(1) @ m.one).relu() @ m.two @ m.three,
            one=parameter(192, 8),
            two=parameter(8, 8),
            three=parameter(8, 2),
        ),
        unreached=192 * 8 + 64 + 16,
    ),
    "bare convolution": Fitting(
        lambda: Net(
            lambda m, x: m.head(functional.conv2d(x, m.kernel).mean((2, 3))), kernel=parameter(5, 3, 3, 3), head=head(5)
        ),
        unreached=135,
    ),
    "bare vector": Fitting(
        lambda: Net(
            lambda m, x: torch.stack([m.body(x) @ m.one, m.body(x) @ m.two], 1),
            body=mlp_of(6),
            one=parameter(6),
            two=parameter(6),
        ),
        hidden=2 * 2 * 6,
    ),
    "low rank": Fitting(
        lambda: Net(
            lambda m, x: m.head(functional.linear(x.flatten(1), m.up.weight @ m.down.weight)),
            down=nn.Linear(192, 4, bias=False),
            up=nn.Linear(4, 6, bias=False),
            head=head(6),
        )
    ),
    "learned queries": Fitting(
        lambda: Net(
            lambda m, x: m.head((m.q(m.queries) @ m.k(rows(x)).transpose(1, 2) @ rows(x)).mean(1)),
            queries=parameter(4, 6),
            q=nn.Linear(6, 6),
            k=nn.Linear(D, 6),
            head=head(D),
        ),
        unreached=24,
    ),
    "tied layers": Fitting(tied_linear),
    "tied embedding": Fitting(tied_embedding),
    "tied and transposed": Fitting(
        lambda: Net(
            lambda m, x: m.head(functional.linear(m.one(rows(x)).relu(), m.one.weight.t()).mean(1)),
            one=nn.Linear(D, 6),
            head=head(D),
        )
    ),
    "one layer called twice": Fitting(
        lambda: Net(lambda m, x: m.head(m.one(m.one(rows(x)).relu()).mean(1)), one=nn.Linear(D, D), head=head(D))
    ),
    "one layer, two names": Fitting(
        lambda: Net(lambda m, x: m.body(x), body=(net := mlp()), first=net[1], last=net[3])
    ),
    "a weight without a call": Fitting(
        lambda: Net(
            lambda m, x: m.head(functional.linear(x.flatten(1), m.one.weight)), one=nn.Linear(192, 6), head=head(6)
        )
    ),
    "a layer without use": Fitting(lambda: Net(lambda m, x: m.body(x), body=mlp(), other=nn.Linear(5, 7))),
    "a frozen backbone": Fitting(lambda: frozen(mlp(), "1")),
    "a frozen head": Fitting(lambda: frozen(mlp(), "3")),
    "a weight scaled in the pass": Fitting(lambda: nn.Sequential(nn.Flatten(), OwnWeight(192, 8), nn.ReLU(), head(8))),
    "a list of parameters": Fitting(
        lambda: Net(
            lambda m, x: x.flatten(1) @ m.many[0] @ m.many[1],
            many=nn.ParameterList([parameter(192, 5), parameter(5, 2)]),
        ),
        unreached=970,
    ),
    "an infinite buffer": Fitting(lambda: buffered(mask=torch.full((4, 4), -torch.inf).triu(1))),
    "a NaN buffer": Fitting(lambda: buffered(empty=torch.full((3,), torch.nan))),
    "integer and bool buffers": Fitting(
        lambda: buffered(
            at=torch.arange(5), flag=torch.ones(2, dtype=torch.bool), none=torch.zeros(0), one=torch.tensor(1.5)
        )
    ),
    "a tensor as extra state": Fitting(lambda: ExtraState(torch.arange(3.0))),
    "bfloat16": Fitting(lambda: Net(lambda m, x: m.body(x.bfloat16()), body=mlp().bfloat16())),
    "float64": Fitting(lambda: Net(lambda m, x: m.body(x.double()), body=mlp().double())),
    "dropout and modes": Fitting(
        lambda: nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(192, 8), nn.Tanh(), head(8))
    ),
    "recomputed": Fitting(
        lambda: Net(
            lambda m, x: m.head(torch.utils.checkpoint.checkpoint(m.one, x.flatten(1), use_reentrant=False)),
            one=nn.Linear(192, 6),
            head=head(6),
        )
    ),
}


def mlp_of(units: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, units), nn.ReLU())


def pruned_by_hook() -> nn.Module:
    net = mlp()
    prune.l1_unstructured(net[1], "weight", amount=0.5)
    return net


def with_layer(change: Callable[[Any], Any]) -> nn.Module:
    net = mlp()
    net[1] = change(net[1])
    return net


def doubled(layer: nn.Module) -> nn.Module:
    parametrize.register_parametrization(layer, "weight", Double())
    return layer


def with_nan(net: nn.Module) -> nn.Module:
    with torch.no_grad():
        net[1].weight[0, 0] = torch.nan
    return net


class InTraining(nn.Module):
    """A second answer in training mode, as torchvision's Inception has."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()

    def forward(self, images: Tensor) -> Any:
        return (self.body(images), self.body(images)) if self.training else self.body(images)


REFUSED: Mapping[str, tuple[Callable[[], nn.Module], str]] = {
    "weight norm, by hook": (lambda: with_layer(nn.utils.weight_norm), "computed from other tensors .*: remove"),
    "spectral norm, by hook": (lambda: with_layer(nn.utils.spectral_norm), r"in each pass .*\(1\)"),
    "weight norm of an LSTM": (
        lambda: recurrent(nn.utils.weight_norm(nn.LSTM(D, 16), "weight_hh_l0"), 16),
        r"in each pass .*\(layer\)",
    ),
    "weight norm": (lambda: with_layer(parametrizations.weight_norm), r"in each pass .*\(1\)"),
    "spectral norm": (lambda: with_layer(parametrizations.spectral_norm), r"in each pass .*\(1\)"),
    "orthogonal": (lambda: with_layer(parametrizations.orthogonal), r"in each pass .*\(1\)"),
    "another parametrization": (lambda: with_layer(doubled), r"in each pass .*\(1\)"),
    "torch's pruning": (pruned_by_hook, r"in each pass .*\(1\)"),
    "a scripted layer": (lambda: with_layer(torch.jit.script), r"layers of torch.jit .*\(1\): give"),
    "a lazy layer": (lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(2)), r"no shapes yet \(1.weight, 1.bias\)"),
    "extra state": (lambda: ExtraState({"seen": 3}), r"more than tensors.*_extra_state"),
    "a tuple": (lambda: Net(lambda m, x: (m.body(x), x), body=mlp()), "answers with a tuple"),
    "a dict": (lambda: Net(lambda m, x: {"logits": m.body(x)}, body=mlp()), "answers with a dict"),
    "a tuple in training alone": (InTraining, "in training mode answers with a tuple"),
    "three classes": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), r"shape \(2, 3\).*\(2, 2\)"),
    "maps": (lambda: nn.Conv2d(3, 2, 3), r"shape \(2, 2, 6, 6\)"),
    "answers, not logits": (lambda: Net(lambda m, x: m.body(x).argmax(1), body=mlp()), "int64 numbers"),
    "all frozen": (lambda: mlp().requires_grad_(False), "all its parameters are frozen"),
    "no parameter": (lambda: nn.Sequential(nn.AvgPool2d(8), nn.Flatten()), "no parameter"),
    "a NaN weight": (lambda: with_nan(mlp()), "not finite: 1.weight"),
    "float64 without a cast": (lambda: mlp().double(), "in eval mode does not take float32 images of 3x8x8"),
    "another image size": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(100, 2)), "float32 images of 3x8x8"),
    "complex": (
        lambda: Net(
            lambda m, x: (x.flatten(1) @ m.one).abs(), one=nn.Parameter(torch.randn(192, 2, dtype=torch.complex64))
        ),
        "complex",
    ),
}
"""A network, and what the message says."""
