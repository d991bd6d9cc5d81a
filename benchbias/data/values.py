"""The values that carry data: splits, group labels, data sets, what a trainer is given, and predictions."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from benchbias.data.augment import AUGMENTATIONS, Augmenter, Normaliser, drawn, normalise


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _is_index(values: Tensor, length: int) -> bool:
    return values.dtype == torch.int64 and values.shape == (length,)


@dataclass(frozen=True)
class Split:
    """Images and class labels of one split.

    images: uint8 (N, C, H, W). labels: int64 (N,), from 0 to num_classes - 1. Raises ValueError.
    """

    images: Tensor
    labels: Tensor
    num_classes: int
    name: str

    def __post_init__(self) -> None:
        where = f"split {self.name!r}"
        _require(
            self.images.dtype == torch.uint8 and self.images.ndim == 4,
            f"{where}: images must be uint8 (N, C, H, W), not {self.images.dtype} {tuple(self.images.shape)}",
        )
        _require(_is_index(self.labels, len(self.images)), f"{where}: labels must be int64 ({len(self.images)},)")
        _require(len(self.labels) > 0, f"{where}: holds no example")
        low, high = int(self.labels.min()), int(self.labels.max())
        _require(
            low >= 0 and high < self.num_classes,
            f"{where}: labels run from {low} to {high}, but there are {self.num_classes} classes",
        )

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class GroupLabels:
    """The spurious attribute of every example, and the groups (label, attribute).

    attributes: int64 (N,). groups: int64 (N,) = label * num_attributes + attribute.
    aligned: bool (N,), whether the attribute agrees with the label as in most of training.
    group_names: one name a group, in order. Raises ValueError.
    """

    attributes: Tensor
    groups: Tensor
    aligned: Tensor
    num_attributes: int
    group_names: tuple[str, ...]

    def __post_init__(self) -> None:
        _require(self.attributes.ndim == 1 and len(self.attributes) > 0, "attributes must be (N,), with N at least 1")
        length = len(self.attributes)
        _require(_is_index(self.attributes, length), "attributes must be int64 (N,)")
        _require(_is_index(self.groups, length), f"groups must be int64 ({length},)")
        _require(
            self.aligned.dtype == torch.bool and self.aligned.shape == (length,), f"aligned must be bool ({length},)"
        )
        _require(
            bool(((self.attributes >= 0) & (self.attributes < self.num_attributes)).all()),
            f"attributes must lie in 0 to {self.num_attributes - 1}",
        )
        _require(
            bool((self.groups % self.num_attributes == self.attributes).all()),
            "groups must be label * num_attributes + attribute",
        )
        _require(
            bool(((self.groups >= 0) & (self.groups < len(self.group_names))).all()),
            f"a group has no name: {len(self.group_names)} names for groups up to {int(self.groups.max())}",
        )

    @staticmethod
    def of(
        labels: Tensor, attributes: Tensor, aligned: Tensor, num_classes: int, attribute_names: tuple[str, ...]
    ) -> GroupLabels:
        """Build the groups from labels, attributes (N,) and aligned (N,); groups are named label/attribute."""
        num_attributes = len(attribute_names)
        names = tuple(f"{label}/{attribute}" for label in range(num_classes) for attribute in attribute_names)
        return GroupLabels(attributes, labels * num_attributes + attributes, aligned, num_attributes, names)

    def to(self, device: torch.device) -> GroupLabels:
        """The same labels on a device."""
        attributes, groups, aligned = (tensor.to(device) for tensor in (self.attributes, self.groups, self.aligned))
        return GroupLabels(attributes, groups, aligned, self.num_attributes, self.group_names)


@dataclass(frozen=True)
class LabelledSplit:
    """A split with its group labels and, for every example, the index of its source image (int64 (N,)).

    All copies of one source image form one cluster: they are not independent examples.
    """

    split: Split
    groups: GroupLabels
    cluster: Tensor

    def __post_init__(self) -> None:
        where = f"split {self.split.name!r}"
        _require(_is_index(self.cluster, len(self.split)), f"{where}: cluster must be int64 ({len(self.split)},)")
        _require(len(self.groups.groups) == len(self.split), f"{where}: images and group labels differ in number")
        _require(
            bool((self.groups.groups // self.groups.num_attributes == self.split.labels).all()),
            f"{where}: groups must be label * num_attributes + attribute",
        )


@dataclass(frozen=True)
class BiasedDataset:
    """A data set, as its factory returns it: the splits train, val and test; perhaps val_balanced and others.

    `val` follows the training distribution. A validation split balanced over groups gives group labels away: it is
    called `val_balanced`. mean, std: per channel, on the scale 0 to 1. notes: what a user should know of the data,
    by `prepare` and by every run. preprocessing: how the images were made, for records and boards. Raises ValueError.
    """

    splits: Mapping[str, LabelledSplit]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str
    licence: str
    augmentations: tuple[str, ...] = ("none",)
    notes: tuple[str, ...] = ()
    preprocessing: str = ""

    def __post_init__(self) -> None:
        missing = [name for name in ("train", "val", "test") if name not in self.splits]
        _require(not missing, f"a data set must have the splits train, val and test; missing: {', '.join(missing)}")
        odd = [name for name in self.splits if not name.isprintable() or "/" in name]
        _require(not odd, f"names of splits are printable and have no slash, not {odd}")
        loud = [name for item in self.splits.values() for name in item.groups.group_names if not name.isprintable()]
        _require(not loud, f"names of groups are printable, not {loud[:3]}")
        unknown = [name for name in self.augmentations if name not in AUGMENTATIONS]
        _require(not unknown, f"unknown augmentations {unknown}; known: {', '.join(AUGMENTATIONS)}")
        shapes = {tuple(item.split.images.shape[1:]) for item in self.splits.values()}
        _require(len(shapes) == 1, f"all splits must have images of one shape, not {sorted(shapes)}")
        for what, values in (
            ("num_classes", {item.split.num_classes for item in self.splits.values()}),
            ("num_attributes", {item.groups.num_attributes for item in self.splits.values()}),
            ("group_names", {item.groups.group_names for item in self.splits.values()}),
        ):
            _require(len(values) == 1, f"all splits must agree on {what}, not {sorted(map(str, values))}")
        channels = next(iter(shapes))[0]
        _require(len(self.mean) == len(self.std) == channels, f"mean and std must have {channels} entries")
        _require(all(value > 0 for value in self.std), "std must be positive in every channel")

    @property
    def num_classes(self) -> int:
        return self.splits["train"].split.num_classes

    @property
    def num_attributes(self) -> int:
        return self.splits["train"].groups.num_attributes


@dataclass(frozen=True)
class Batch:
    """images: float (B, C, H, W), normalised. labels: int64 (B,). index: int64 (B,) into the split."""

    images: Tensor
    labels: Tensor
    index: Tensor


@dataclass(frozen=True)
class TrainingData:
    """Training and validation images and labels, as a trainer or a pruner is given them. No test, no groups."""

    train: Split
    val: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    batch_size: int = 256
    augment: str = "none"
    augment_generator: torch.Generator = field(default_factory=torch.Generator, compare=False)

    @property
    def sample(self) -> Tensor:
        """The first training image, normalised: float32 (1, C, H, W)."""
        return self.batch(self.train, torch.zeros(1, dtype=torch.int64, device=self.train.labels.device)).images

    def batches(self, split: Split, augment: bool = False) -> Iterator[Batch]:
        """Go once over a split, in its order, in batches of the recipe's size."""
        device = split.labels.device
        for start in range(0, len(split), self.batch_size):
            stop = min(start + self.batch_size, len(split))
            index = torch.arange(start, stop, device=device)
            chosen = split.images[start:stop].to(device)
            yield Batch(self._made(chosen, augment), split.labels[start:stop].clone(), index)

    def batch(self, split: Split, index: Tensor, augment: bool = False) -> Batch:
        """The examples `index` (B,) of a split, normalised, and augmented by the recipe's augmentation."""
        chosen = rows(split.images, index.to(split.images.device)).to(index.device)  # they may be too many for it
        return Batch(self._made(chosen, augment), rows(split.labels, index), index)

    def _made(self, chosen: Tensor, augment: bool) -> Tensor:
        if not augment or self.augment == "none":
            return self._normalised(chosen)
        fits = self._normaliser.fits(chosen)
        augmenter = self._augmenter if fits else Augmenter.of(self.augment, chosen.shape[1:], chosen.device)
        draws = drawn(self.augment, len(chosen), chosen.shape[1:], self.augment_generator)
        return augmenter(chosen, tuple(draw.to(chosen.device) for draw in draws), self._normalised)

    def _normalised(self, images: Tensor) -> Tensor:
        if self._normaliser.fits(images):
            return self._normaliser(images)
        return normalise(images, self.mean, self.std)

    @functools.cached_property
    def _augmenter(self) -> Augmenter:
        return Augmenter.of(self.augment, self.train.images.shape[1:], self.train.labels.device)

    @functools.cached_property
    def _normaliser(self) -> Normaliser:
        return Normaliser.of(self.mean, self.std, self.train.images.shape[1:], self.train.labels.device)


def rows(tensor: Tensor, index: Tensor) -> Tensor:
    """The rows `index` (B,) of a tensor, as `tensor[index]` has them: many times faster on a CPU."""
    if tensor.device.type == "cpu" and index.ndim == 1 and index.dtype == torch.int64:
        try:
            return tensor.index_select(0, index)
        except IndexError:  # counted from the end, or beyond it
            return tensor[index]
    return tensor[index]


@dataclass(frozen=True)
class Predictions:
    """A model's answers on one split, with all labels: what a metric is given.

    logits: float32 (N, K). labels, attributes, groups, cluster: int64 (N,). aligned: bool (N,).
    train_group_shares: float (G,), the share of every group in training, in the order of group_names.
    """

    split: str
    logits: Tensor
    labels: Tensor
    attributes: Tensor
    groups: Tensor
    aligned: Tensor
    cluster: Tensor
    train_group_shares: Tensor
    num_attributes: int

    def __post_init__(self) -> None:
        length = len(self.labels)
        for name in ("attributes", "groups", "cluster", "labels"):
            _require(_is_index(getattr(self, name), length), f"predictions: {name} must be int64 ({length},)")
        _require(
            self.aligned.dtype == torch.bool and self.aligned.shape == (length,),
            f"predictions: aligned must be bool ({length},)",
        )
        _require(
            bool((self.groups < len(self.train_group_shares)).all()), "predictions: train_group_shares lacks a group"
        )
        _require(self.logits.ndim == 2 and len(self.logits) == length, "predictions: logits must be (N, K)")

    @property
    def predicted(self) -> Tensor:
        """The predicted class of every example, int64 (N,); the first of equal logits."""
        return self.logits.argmax(dim=1)

    @property
    def correct(self) -> Tensor:
        """Whether each example is classified correctly, bool (N,)."""
        return self.predicted == self.labels
