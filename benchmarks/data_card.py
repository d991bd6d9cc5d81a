"""The numbers of docs/data/colored-digits.md: examples by group, exact and near duplicates between splits.

    python benchmarks/data_card.py

A near duplicate of a source image is another one at a root mean square distance of at most 0.1 of the full range of
grey; of a digit this is a few pixels that differ by a few of the 16 levels.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

from benchbias_plugins.datasets.colored_digits import colored_digits

NEAR = 0.1
SEEDS = range(10)  # those of the suite


def main() -> None:
    digits = load_digits()
    images = digits.images.reshape(len(digits.images), -1) / 16
    distance = np.sqrt(np.square(images[:, None] - images[None]).mean(axis=2))
    np.fill_diagonal(distance, np.inf)
    upper = np.triu(distance <= NEAR)
    other = digits.target[:, None] != digits.target[None]
    print(f"{len(images)} source images: {np.triu(distance == 0).sum()} exact duplicates; {upper.sum()} near ones")
    print(
        f"of these with two different digits: {(upper & other).sum()}; the nearest pair is {distance.min():.3f} apart"
    )
    counts: dict[str, list[int]] = {}
    pairs: dict[str, list[tuple[int, int, int]]] = {}
    for seed in SEEDS:
        splits = colored_digits(Path(), seed).splits
        for name, item in splits.items():
            found = torch.bincount(item.groups.groups, minlength=4).tolist()
            counts.setdefault(name, []).extend(found if not seed else [])
        for one, two in combinations(("train", "val", "test"), 2):
            left, right = (np.unique(splits[name].cluster.numpy()) for name in (one, two))
            near = (distance[np.ix_(right, left)] <= NEAR).any(axis=1)
            exact = (distance[np.ix_(right, left)] == 0).any(axis=1)
            shared = len(np.intersect1d(left, right))
            pairs.setdefault(f"{two} in {one}", []).append((shared, int(exact.sum()), int(near.sum())))
    for name, found in counts.items():
        print(f"{name}, seed 0: {sum(found)} images; by group 0/red, 0/green, 1/red, 1/green: {found}")
    for name, numbers in pairs.items():
        means = np.mean(numbers, axis=0)
        print(f"{name}: shared sources {means[0]:.1f}, exact duplicates {means[1]:.1f}, near {means[2]:.1f} (mean)")


if __name__ == "__main__":
    main()
