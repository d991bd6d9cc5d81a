"""The peers' own packages, imported unchanged: stand-ins only for dependencies that are absent and not used here."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, TypeVar

from torch import Tensor
from torch.utils.data import Dataset

from .circumstances import version
from .rows import Absent

T = TypeVar("T")

UNUSED = ("transformers", "wilds", "umap", "pytorch_grad_cam", "clip")
"""Dependencies of spuco that its trainers and evaluator do not use, but that its packages import."""


class _Anything(ModuleType):
    """A module that has every name: a class that takes anything."""

    __path__: Sequence[str] = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda self, *given, **named: None})


class StandIns:
    """Finds the absent modules, after every other finder."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if name.partition(".")[0] in self.names else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Anything(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing runs."""


def import_spuco() -> list[str]:
    """Make `import spuco` work; the absent dependencies that something stands in for. Raises Absent."""
    if importlib.util.find_spec("spuco") is None:
        raise Absent("spuco is not installed: pip install 'benchbias[bench]'")
    absent = [name for name in UNUSED if importlib.util.find_spec(name) is None]
    sys.meta_path.append(StandIns(absent))
    importlib.import_module("spuco")
    return absent


def spuco_note(absent: Sequence[str]) -> str:
    """The version that is timed, and the dependencies that are not there."""
    without = f", without {', '.join(absent)}" if absent else ""
    return f"spuco {version('spuco')}{without}"


def require_torch_pruning() -> None:
    """Raises Absent where Torch-Pruning is not installed."""
    if importlib.util.find_spec("torch_pruning") is None:
        raise Absent("torch-pruning is not installed: pip install 'benchbias[bench]'")


class SpucoImages(Dataset):  # type: ignore[type-arg]
    """Images and labels as spuco's own data sets keep them: lists of float tensors and of ints."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = [image.float() / 255 for image in images], labels.tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], self.labels[index]


def partition(labels: Tensor, attributes: Tensor) -> dict[tuple[int, int], list[int]]:
    """The examples of each (label, attribute), as spuco's evaluator takes them."""
    found: dict[tuple[int, int], list[int]] = {}
    for number, pair in enumerate(zip(labels.tolist(), attributes.tolist(), strict=True)):
        found.setdefault(pair, []).append(number)
    return found


def quietly(call: Callable[[], T]) -> Callable[[], T]:
    """The same call without its progress bars."""

    def made() -> T:
        with open("/dev/null", "w", encoding="utf-8") as null:  # noqa: PTH123
            kept, sys.stderr = sys.stderr, null
            try:
                return call()
            finally:
                sys.stderr = kept

    return made
