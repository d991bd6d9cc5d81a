"""Tensors that are copied when they are read: whoever is given them cannot change the originals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T", bound=Tensor)


def copied(tensor: Tensor) -> Tensor:
    """A copy without a gradient's history."""
    return tensor.detach().clone()


class Copies(Mapping[str, Tensor]):
    """Tensors by name. Each is copied when it is first read, and the copy is kept; what nobody reads costs nothing."""

    def __init__(self, originals: Mapping[str, T], copy: Callable[[T], Tensor] = copied) -> None:
        self._originals, self._copy = originals, copy
        self._copies: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._copies:
            self._copies[name] = self._copy(self._originals[name])
        return self._copies[name]

    def __contains__(self, name: object) -> bool:
        return name in self._originals

    def __iter__(self) -> Iterator[str]:
        return iter(self._originals)

    def __len__(self) -> int:
        return len(self._originals)

    def read_all(self) -> None:
        """Copy what nobody has read yet: the originals are about to change."""
        for name in self._originals:
            self[name]


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of the same shapes without memory, on the meta device: for what counts weights and reads none."""
    originals = tensors._originals if isinstance(tensors, Copies) else tensors
    return {name: torch.empty(tensor.shape, device="meta") for name, tensor in originals.items()}
