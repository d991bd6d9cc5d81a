"""Made-up test cells for the statistics' tests."""

from __future__ import annotations

import numpy as np

from benchbias.statistics.cells import Cells


def table(cluster, group, total, correct, layout="one split"):
    return Cells(*(np.asarray(column) for column in (cluster, group, total, correct)), layout)


def drawn(numbers, accuracy, *, clusters=60, copies=4, seeds=5, spread=0.3, both=True, first=0):
    """One row's cells, one a seed, on one test set: clusters of `copies` in every group (or in one group each).

    accuracy: of each group; the outcomes of a cluster's copies and groups depend on its difficulty.
    """
    groups = len(accuracy)
    if both:
        cluster = np.repeat(np.arange(clusters), groups)
        group = np.tile(np.arange(groups), clusters)
    else:
        cluster, group = np.arange(clusters), np.arange(clusters) % groups
    total = numbers.integers(1, copies + 1, len(cluster))
    difficulty = numbers.uniform(-spread, spread, clusters)
    chance = np.clip(np.asarray(accuracy)[group] + difficulty[cluster], 0, 1)
    made = [np.clip(chance + numbers.normal(0, 0.03), 0, 1) for _ in range(seeds)]
    return [table(first + cluster, group, total, numbers.binomial(total, chances)) for chances in made]


def bootstrap_means(rows, metric, numbers, repetitions=4000):
    """(repetitions, rows): the mean over seeds of a metric with clusters drawn once for all seeds and rows.

    rows: lists of Cells, one a seed; metric: accuracies (..., G), correct and total (..., G) -> (...).
    """
    clusters = np.unique(np.concatenate([cells.cluster for row in rows for cells in row]))
    weights = numbers.multinomial(len(clusters), np.full(len(clusters), 1 / len(clusters)), repetitions)
    groups = 1 + max(int(cells.group.max()) for row in rows for cells in row)
    found = np.zeros((repetitions, len(rows)))
    for at, row in enumerate(rows):
        for cells in row:
            weight = weights[:, np.searchsorted(clusters, cells.cluster)]
            member = np.eye(groups)[cells.group]
            found[:, at] += metric((weight * cells.correct) @ member, (weight * cells.total) @ member) / len(row)
    return found
