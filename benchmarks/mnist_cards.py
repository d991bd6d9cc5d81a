"""The numbers and the sample sheets of docs/data/colored-mnist.md and docs/data/spuco-mnist.md.

    python benchmarks/mnist_cards.py FOLDER

FOLDER gets the sheets. MNIST is read from BENCHBIAS_DATA (default: ./data). A near duplicate of an image is another one
at a root mean square distance of at most 0.1 of the full range of grey.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchbias import BiasedDataset, hub_images
from benchbias.figures.sample_sheet import Samples, draw_sheet
from benchbias_plugins.datasets.colored_mnist import colored_mnist
from benchbias_plugins.datasets.spuco_mnist import partition, spuco_mnist

NEAR = 0.1
BLOCK = 2_000  # images compared at once


def main() -> None:
    folder, root = Path(sys.argv[1]), Path(os.environ.get("BENCHBIAS_DATA", "data"))
    made = {
        "spuco-mnist, the published setting": spuco_mnist(root, 0),
        "spuco-mnist, the board's task": spuco_mnist(
            root, 1, difficulty="variance_medium", strength=0.95, examples=4000
        ),
        "colored-mnist, conflict ratio 0.005": colored_mnist(root, 0, conflict_ratio=0.005),
        "colored-mnist, conflict ratio 0.05": colored_mnist(root, 0, conflict_ratio=0.05),
    }
    for name, dataset in made.items():
        counts(name, dataset)
    sheet(made["spuco-mnist, the board's task"], folder / "spuco-mnist.png")
    sheet(made["colored-mnist, conflict ratio 0.05"], folder / "colored-mnist.png")
    duplicates(root)


def counts(name: str, dataset: BiasedDataset) -> None:
    """Images, conflicting ones, and the smallest and the largest group of every split."""
    for split, item in dataset.splits.items():
        groups = torch.bincount(item.groups.groups, minlength=len(item.groups.group_names))
        aligned = torch.zeros(len(groups), dtype=torch.bool)
        aligned[item.groups.groups[item.groups.aligned]] = True
        conflicting = groups[~aligned]
        print(
            f"{name}, {split}: {len(item.split)} images, {int((~item.groups.aligned).sum())} conflicting; "
            f"aligned groups of {int(groups[aligned].min())} to {int(groups[aligned].max())}, "
            f"conflicting groups of {int(conflicting.min())} to {int(conflicting.max())}"
        )


def sheet(dataset: BiasedDataset, path: Path) -> None:
    """The first training images of every group of the first two classes."""
    train = dataset.splits["train"]
    attributes = dataset.num_attributes
    keep, names = train.split.labels < 2, train.groups.group_names[: 2 * attributes]
    aligned = np.zeros(len(names), dtype=bool)
    aligned[train.groups.groups[keep & train.groups.aligned].numpy()] = True
    images, groups = train.split.images[keep].numpy(), train.groups.groups[keep].numpy()
    draw_sheet(Samples(images, groups, aligned, names, attributes), path)


def duplicates(root: Path) -> None:
    """Exact and near duplicates of validation and test images in training; both constructions share the sources."""
    train, test = (hub_images(root, "ylecun/mnist", split) for split in ("train", "test"))
    fit, val = partition(np.asarray(train.columns["label"]))
    pixels = train.images[:, 0].numpy().reshape(len(train.images), -1).astype(np.float32) / 255
    parts = {
        "val": (pixels[val], np.asarray(train.columns["label"])[val]),
        "test": (
            test.images[:, 0].numpy().reshape(len(test.images), -1).astype(np.float32) / 255,
            np.asarray(test.columns["label"]),
        ),
    }
    for name, (images, labels) in parts.items():
        distance, nearest = closest(images, pixels[fit])
        near = distance <= NEAR
        other = labels != np.asarray(train.columns["label"])[fit][nearest]
        print(
            f"{name} in the 48,004 training images: {int((distance < 1e-4).sum())} exact duplicates, {int(near.sum())} "
            f"near ones of {len(images)}, of these {int((near & other).sum())} of another digit; "
            f"the nearest is {distance.min():.3f} away, in the median {np.median(distance):.3f}"
        )


def closest(images: NDArray[np.float32], others: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The root mean square distance of every image (N, P) to the nearest of the others (M, P), and which that is."""
    norms = np.square(others).sum(axis=1)
    found, which = [], []
    for start in range(0, len(images), BLOCK):
        part = images[start : start + BLOCK]
        squared = np.square(part).sum(axis=1)[:, None] + norms - 2 * part @ others.T
        at = squared.argmin(axis=1)
        exact = np.square(part.astype(np.float64) - others[at]).mean(axis=1)  # the product loses the last digits
        found.append(np.sqrt(exact))
        which.append(at)
    return np.concatenate(found), np.concatenate(which)


if __name__ == "__main__":
    main()
