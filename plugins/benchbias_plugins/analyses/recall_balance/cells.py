"""Correct answers by source image and class (or group), and random halves of the source images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from benchbias import Member

By = Literal["class", "group"]
SPLIT = "test"  # the split that is scored


@dataclass(frozen=True)
class Cells:
    """The test examples by cell: those of one source image (cluster) in one unit, which is a class or a group.

    names: of the U units. unit, cluster: int64 (J,), cells in the order of units, clusters numbered from 0. total:
    float64 (J,), examples in a cell. cell: int64 (N,), the cell of every example.
    """

    names: tuple[str, ...]
    unit: Tensor
    cluster: Tensor
    total: Tensor
    cell: Tensor

    @staticmethod
    def of(member: Member, by: By) -> Cells:
        """The cells of a population whose members all answer this member's test examples."""
        asked = member.predictions[SPLIT]
        names = tuple(member.record.body["group_names"] if by == "group" else map(str, range(asked.logits.shape[1])))
        unit = asked.groups if by == "group" else asked.labels  # (N,)
        _, cluster = torch.unique(asked.cluster, return_inverse=True)  # (N,), from 0
        clusters = int(cluster.max()) + 1
        found, cell = torch.unique(unit * clusters + cluster, return_inverse=True)
        return Cells(names, found // clusters, found % clusters, torch.bincount(cell).double(), cell)

    @property
    def clusters(self) -> int:
        return int(self.cluster.max()) + 1

    @property
    def shares(self) -> Tensor:
        """The share of every unit among the test examples, float64 (U,)."""
        counts = torch.zeros(len(self.names), dtype=torch.float64).index_add(0, self.unit, self.total)
        return counts / counts.sum()

    def correct(self, members: Sequence[Member]) -> Tensor:
        """Correct answers of every member in every cell, float64 (M, J)."""
        answers = torch.stack([member.predictions[SPLIT].correct.double() for member in members])  # (M, N)
        return torch.zeros(len(members), len(self.total), dtype=torch.float64).index_add(1, self.cell, answers)


def random_halves(cells: Cells, splits: int, seed: int) -> Tensor:
    """The half, 0 or 1, of every source image in every split: int64 (splits, clusters).

    All copies of an image stay together. Images that occur in the same units are halved among themselves, to within
    one image.
    """
    occurs = torch.zeros(cells.clusters, len(cells.names), dtype=torch.bool)
    occurs[cells.cluster, cells.unit] = True
    _, stratum = torch.unique(occurs, dim=0, return_inverse=True)
    generator = np.random.default_rng(seed)
    half = np.empty((splits, cells.clusters), dtype=np.int64)
    for number in range(int(stratum.max()) + 1):
        images = np.flatnonzero(stratum.numpy() == number)
        order = generator.random((splits, len(images))).argsort(axis=1)
        odd = generator.integers(2, size=(splits, 1))  # which half gets the odd image
        np.put_along_axis(half, images[order], (np.arange(len(images)) + odd) % 2, axis=1)
    return torch.from_numpy(half)
