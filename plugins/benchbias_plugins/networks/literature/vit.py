"""A vision transformer (Dosovitskiy et al., ICLR 2021) all of whose matrices are linear layers that pruners see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from torch import Tensor, nn

from benchbias import BenchbiasError, Range

from .weights import with_weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Width = Annotated[float, Range(0.05, 8, log=True)]
MLP_RATIO = 4  # hidden units of a block's MLP for each channel


class Attention(nn.Module):
    """Self-attention whose queries, keys and values are linear layers of their own: a row of `v` is a unit of a head.

    Head h has the rows h * d to (h + 1) * d of q, k and v, and these columns of proj.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (dim // heads) ** -0.5
        self.q, self.k, self.v = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (B, N, D) -> (B, N, D)."""
        q, k, v = (self._by_head(layer(tokens)) for layer in (self.q, self.k, self.v))  # (B, heads, N, d)
        shares = (self.scale * q @ k.transpose(-2, -1)).softmax(dim=-1)  # (B, heads, N, N)
        made: Tensor = self.proj((shares @ v).transpose(1, 2).flatten(2))
        return made

    def _by_head(self, tokens: Tensor) -> Tensor:
        return tokens.view(*tokens.shape[:2], self.heads, -1).transpose(1, 2)


class Mlp(nn.Module):
    """Two linear layers with GELU between them: a row of fc1 is a unit."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(dim, MLP_RATIO * dim), nn.GELU(), nn.Linear(MLP_RATIO * dim, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (B, N, D) -> (B, N, D)."""
        made: Tensor = self.fc2(self.act(self.fc1(tokens)))
        return made


class TransformerBlock(nn.Module):
    """Attention and an MLP, each after a layer norm and with a shortcut around both."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim, eps=1e-6), Attention(dim, heads)
        self.norm2, self.mlp = nn.LayerNorm(dim, eps=1e-6), Mlp(dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (B, N, D) -> (B, N, D)."""
        tokens = tokens + self.attn(self.norm1(tokens))
        made: Tensor = tokens + self.mlp(self.norm2(tokens))
        return made


class PatchEmbed(nn.Module):
    """Patches as tokens: a convolution whose stride is its size."""

    def __init__(self, channels: int, dim: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, dim, patch, stride=patch)

    def forward(self, images: Tensor) -> Tensor:
        """images (B, C, H, W) -> tokens (B, H W / patch^2, D)."""
        made: Tensor = self.proj(images)
        return made.flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    """Patches and a class token, with learned positions; blocks; a layer norm; a head on the class token.

    Names are timm's, but for attn.q, attn.k and attn.v, which are one layer attn.qkv there; so are initial values.
    """

    def __init__(
        self, input_shape: tuple[int, int, int], num_classes: int, patch: int, depth: int, heads: int, dim: int
    ) -> None:
        super().__init__()
        channels, height, columns = input_shape
        self.patch_embed = PatchEmbed(channels, dim, patch)
        self.cls_token = nn.Parameter(torch.empty(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + (height // patch) * (columns // patch), dim))
        self.blocks = nn.Sequential(*(TransformerBlock(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, num_classes)
        nn.init.normal_(self.cls_token, std=1e-6)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """images (B, C, H, W) -> logits (B, K)."""
        patches = self.patch_embed(images)  # (B, N, D)
        tokens = torch.cat([self.cls_token.expand(len(images), -1, -1), patches], dim=1) + self.pos_embed
        logits: Tensor = self.head(self.norm(self.blocks(tokens))[:, 0])
        return logits


def vit(
    input_shape: tuple[int, int, int],
    num_classes: int,
    root: Path,
    *,
    patch: Annotated[int, Range(1, 64)] = 4,
    depth: Annotated[int, Range(1, 64)] = 12,
    heads: Annotated[int, Range(1, 64)] = 3,
    dim: Annotated[int, Range(1, 4096)] = 192,
    width: Width = 1.0,
    weights: str | None = None,
    sha256: str | None = None,
) -> nn.Module:
    """A vision transformer in which every attention and MLP matrix is a linear layer: q, k, v, proj, fc1, fc2.

    patch: pixels a side of a patch, of which an image's sides are multiples. depth: blocks. heads, dim: of the
    attention; dim channels in all, ViT-Tiny has 12, 3 and 192. width: multiplies the channels of a head. weights,
    sha256: a file of tensors below the data folder, with these names or timm's, and its digest.
    """
    height, columns = input_shape[1:]
    if height % patch or columns % patch:
        raise BenchbiasError(f"vit: {height}x{columns} pixels are no whole number of patches of {patch}x{patch}")
    if dim % heads:
        raise BenchbiasError(f"vit: dim = {dim} is no multiple of heads = {heads}")
    channels = heads * max(1, round(width * dim / heads))
    network = VisionTransformer(input_shape, num_classes, patch, depth, heads, channels)
    return with_weights(network, root, weights, sha256, input_shape, of_timm)


def of_timm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors with timm's names as this network has them: a layer qkv is three, its rows in this order."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if ".attn.qkv." in name and len(tensor) % 3 == 0:
            parts = zip("qkv", tensor.chunk(3), strict=True)
            found |= {name.replace(".qkv.", f".{part}."): rows.contiguous() for part, rows in parts}
        else:
            found[name] = tensor
    return found
