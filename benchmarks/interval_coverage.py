"""How often the board's intervals hold the true value, and how often whole boards and claims files err, simulated.

Prints markdown tables, the same bytes for the same arguments and versions; docs/coverage.md has those of the defaults.
The board's numbers are computed by the functions that the board itself calls, in benchbias/. About 20 minutes on one
core. Every table and every line has random numbers of its own: a table alone is the same as among all.

    python benchmarks/interval_coverage.py [--repetitions 1000] [--seed 0] [--tables rows gaps ...]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from interval_families import boards_table, claims_table
from interval_gaps import gaps_table, tail_table
from interval_moderated import moderated_table
from interval_rows import SLOWER, bootstraps_table, collapse_table, rows_table


@dataclass(frozen=True)
class Section:
    """A table, made from a number of repetitions (a share of the given one) and a seed, with its heading and legend."""

    title: str
    legend: str
    make: Callable[[int, int], list[str]]
    share: float = 1.0


SECTIONS = {
    "rows": Section(
        "Rows",
        "Coverage in percent, in brackets the percent of truths below and above the interval; truth, mean width and "
        "bias in points. None: percent of repetitions without an interval, since nothing varied; they count in the "
        "bias alone. First of **worst group accuracy**, the mean over seeds of the least accuracy. Before: the least "
        "as counted, with Satterthwaite's t. Last of **worst group of the mean**, from one repetition in "
        f"{SLOWER}.",
        rows_table,
    ),
    "collapse": Section(
        "Rows of which one seed in ten collapses",
        "Percent, of **worst group accuracy**, 4 groups of 180 images; in brackets the percent of truths below and "
        "above the interval.",
        collapse_table,
    ),
    "bootstraps": Section(
        "Intervals that the board does not use",
        "Coverage in percent. Nested: draws seeds, and examples for each seed anew; crossed: examples once for all.",
        bootstraps_table,
        0.3,
    ),
    "gaps": Section(
        "Differences",
        "The second row minus the first, in points; coverage as above. The last three columns say how often zero is "
        "rejected. They are in percent of repetitions, and in how many of them at Holm's first step among 78 and 2,415 "
        "pairs.",
        gaps_table,
    ),
    "tail": Section(
        "The tail of the test alone",
        "False findings that a family of so many equal pairs expects, each tested at 5 % over their number; 180 images "
        "decide each. A family is safe where it expects at most 0.05. Before: Satterthwaite's t.",
        tail_table,
        2000,
    ),
    "boards": Section(
        "Whole boards",
        "All 78 pairs of 13 rows, by Holm. Percent of boards that call any row better which is not, and percent of the "
        "true differences that are found. 4 groups of 100 images unless the name says otherwise. "
        "Four levels: least accuracies of 68, 62, 58 and 50 %.",
        boards_table,
        0.4,
    ),
    "claims": Section(
        "Whole claims files",
        "36 claims (`higher`, `lower`, `equivalent`) on rows of one board. A third has a true difference of zero, a "
        "third of just the margin (3 points), a third of 8 points. Percent of files with any wrong verdict, and "
        "percent of claims that get another verdict than `unresolved`.",
        claims_table,
        0.3,
    ),
    "moderated": Section(
        "Considered and not adopted: the moderated t",
        "All 78 pairs of 13 rows, by Holm, with normal errors. Percent of boards with a false “better”, and of the "
        "true differences found. The images' standard error of a row is 1.5 points, or nearly zero (`exact`).",
        moderated_table,
    ),
}


def section(name: str, repetitions: int, seed: int) -> list[str]:
    """Lines of a section."""
    one = SECTIONS[name]
    return [f"## {one.title}", "", one.legend, "", *one.make(max(1, round(one.share * repetitions)), seed), ""]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Simulated coverage of the board's intervals, as markdown.")
    parser.add_argument("--repetitions", type=int, default=1000, help="of a world; some tables take a share of it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tables", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    given = parser.parse_args(arguments)
    command = f"--repetitions {given.repetitions} --seed {given.seed}"
    print(f"Made by `python benchmarks/interval_coverage.py {command}` with numpy {np.__version__}.\n", flush=True)
    for name in given.tables:
        print("\n".join(section(name, given.repetitions, given.seed)), flush=True)


if __name__ == "__main__":
    main()
