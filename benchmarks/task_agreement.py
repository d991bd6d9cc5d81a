"""Do two tasks agree on the order of methods? From published records; Bell et al. (2024) call it convergent validity.

    python benchmarks/task_agreement.py spurious-small spuco-mnist --records leaderboard [--controls]

The rows that both suites have by name and swept values: Kendall's tau between their means over seeds with its exact
permutation p-value, and the 2.5 and 97.5 % points of a bootstrap of seeds (drawn once for all rows of a suite, each
suite for itself). Beside it how well halves of the seeds agree within a suite, for noise alone keeps tau below 1; and
which pairs of rows both suites resolve, in the same order and in opposite orders. The bias of a least is taken off.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from benchbias.board.row_trials import Trials, trials_of
from benchbias.board.text import escaped, points_text, table_lines, title
from benchbias.errors import UsageError
from benchbias.runner.publishing import published_records
from benchbias.statistics.estimates import over_seeds
from benchbias.statistics.family import Gaps
from benchbias.statistics.ranking import resolved_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

METRICS = ("worst_group_accuracy", "conflicting_accuracy")


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau-b of two suites' means, its two-sided p-value and the bounds of its bootstrap over seeds."""

    tau: float
    p: float
    low: float
    high: float


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Whether two suites agree on the order of methods, as markdown.")
    parser.add_argument("suites", nargs=2, metavar="SUITE")
    parser.add_argument("--records", type=Path, default=Path("leaderboard"), help="the published folder")
    parser.add_argument("--controls", action="store_true", help="also rows that are not ranked")
    parser.add_argument("--draws", type=int, default=2000, help="of the bootstrap over seeds")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    suites = [rows_of(name, given.records, given.controls) for name in given.suites]
    shared = [label for label in suites[0] if label in suites[1]]
    if len(shared) < 3:
        raise SystemExit(f"{' and '.join(given.suites)} share {len(shared)} rows: it takes three")
    numbers = np.random.default_rng(given.seed)
    for metric in METRICS:
        print(f"\n{title(metric)}, {len(shared)} rows\n")
        print("\n".join(means_table(given.suites, suites, shared, metric)) + "\n")
        print("\n".join(agreement_table(given.suites, suites, shared, metric, given.draws, numbers)))


def rows_of(suite: str, folder: Path, controls: bool) -> dict[str, Trials]:
    """The rows of a suite of one task, by name. Raises UsageError for several tasks."""
    rows = trials_of(*published_records(suite, folder))
    if len({row.first["task"] for row in rows}) > 1:
        raise UsageError(f"{suite} has several tasks")
    return {row.label: row for row in rows if controls or row.first["ranked"]}


def values_of(rows: Mapping[str, Trials], shared: Sequence[str], metric: str) -> Values:
    """(rows, seeds) of the seeds that all of them have. Raises UsageError where a row lacks the metric."""
    seeds = sorted(set.intersection(*(set(rows[label].records) for label in shared)))
    found = []
    for label in shared:
        measured = rows[label].measured(metric, seeds)
        if measured is None:
            raise UsageError(f"{label} has no {metric} in some seed")
        found.append([float(one.value) - float(one.bias) for one in measured.values()])
    return np.array(found)


def agreement(one: Values, other: Values, draws: int, numbers: np.random.Generator) -> Agreement:
    """The agreement of two suites' values (rows, seeds), the same rows in the same order."""
    found = stats.kendalltau(one.mean(axis=1), other.mean(axis=1), method="exact" if _untied(one, other) else "auto")
    taus = []
    for _ in range(draws):
        drawn = [values[:, numbers.integers(0, values.shape[1], values.shape[1])] for values in (one, other)]
        taus.append(stats.kendalltau(*(values.mean(axis=1) for values in drawn)).statistic)
    low, high = np.quantile(taus, (0.025, 0.975), method="inverted_cdf")
    return Agreement(float(found.statistic), float(found.pvalue), float(low), float(high))


def _untied(*values: Values) -> bool:
    return all(len(np.unique(one.mean(axis=1))) == len(one) for one in values)


def halves(values: Values) -> float:
    """The mean of Kendall's tau over all halvings of the seeds (of an odd number, the second half has one more)."""
    seeds = range(values.shape[1])
    taus = []
    for half in itertools.combinations(seeds, len(seeds) // 2):
        inside = np.isin(seeds, half)
        taus.append(stats.kendalltau(values[:, inside].mean(axis=1), values[:, ~inside].mean(axis=1)).statistic)
    return float(np.mean(taus))


def orders(rows: Mapping[str, Trials], shared: Sequence[str], metric: str) -> set[tuple[int, int]]:
    """(higher, lower) of every pair of the shared rows that the suite resolves, after Holm."""
    return resolved_pairs(Gaps.between([rows[name].values[metric] for name in shared]))


def means_table(
    names: Sequence[str], suites: Sequence[Mapping[str, Trials]], shared: Sequence[str], metric: str
) -> list[str]:
    """Means with intervals and ranks in either suite, in the order of the first."""
    means = [values_of(rows, shared, metric).mean(axis=1) for rows in suites]
    ranks = [len(shared) + 1 - stats.rankdata(mean, method="max").astype(int) for mean in means]
    cells = []
    for at in sorted(range(len(shared)), key=lambda at: -means[0][at]):
        shown = [escaped(shared[at])]
        for rows, rank in zip(suites, ranks, strict=True):
            shown += [str(rank[at]), points_text(over_seeds(list((rows[shared[at]].measured(metric) or {}).values())))]
        cells.append(shown)
    return table_lines(cells, ["row", *(text for name in names for text in (f"rank, {name}", name))])


def agreement_table(
    names: Sequence[str],
    suites: Sequence[Mapping[str, Trials]],
    shared: Sequence[str],
    metric: str,
    draws: int,
    numbers: np.random.Generator,
) -> list[str]:
    """Lines on what the two orders have in common."""
    values = [values_of(rows, shared, metric) for rows in suites]
    found = agreement(*values, draws, numbers)
    told = [orders(rows, shared, metric) for rows in suites]
    opposite = [" > ".join(escaped(shared[at]) for at in pair) for pair in sorted(told[0]) if pair[::-1] in told[1]]
    cells = [
        ["Kendall's tau between the suites", f"{found.tau:.2f} ({found.low:.2f} to {found.high:.2f}), p {found.p:.2g}"],
        *([f"between halves of the seeds of {n}", f"{halves(v):.2f}"] for n, v in zip(names, values, strict=True)),
        *(
            [f"pairs resolved in {name}", f"{len(pairs)} of {len(shared) * (len(shared) - 1) // 2}"]
            for name, pairs in zip(names, told, strict=True)
        ),
        ["resolved in both, in the same order", str(len(told[0] & told[1]))],
        [f"resolved in both, in opposite orders (as in {names[0]})", ", ".join(opposite) or "none"],
    ]
    return table_lines(cells, ["quantity", "value"])


if __name__ == "__main__":
    main()
