"""Whole boards and whole claims files, simulated: how many say something wrong, and how much they find."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from interval_draws import at_least, chunks, estimates, table, worst
from interval_scenarios import Scenario, draw_rows
from interval_worlds import SEEDS, evenly, logits, world

from benchbias.board.claim_tables import ClaimTable
from benchbias.board.claims import answer_claims
from benchbias.statistics.family import Gaps
from benchbias.statistics.ranking import resolved_pairs

if TYPE_CHECKING:
    from numpy.random import Generator

    from benchbias.board.evidence import Evidence
    from benchbias.statistics.estimates import Estimate
    from benchbias.statistics.influence import Measured

    Estimates = Mapping[tuple[int, int], Estimate]

ROWS = 13
PAIRS = tuple(itertools.combinations(range(ROWS), 2))
REST = (0.85, 0.9, 0.95)
EQUAL = (0.6,) * ROWS
LEVELS = (0.68,) * 3 + (0.62,) * 4 + (0.58,) * 3 + (0.5,) * 3
CLAIMED = (0.6,) * 5 + (0.63,) * 4 + (0.68,) * 4
CLAIMS = 36
SPREAD = 0.25  # of seeds, in logits: 4 points
STILL = SPREAD / 4
UNLIKE = tuple(SPREAD * factor for factor in evenly(0.25, 1.5, ROWS))  # from 1 to 6 points


@dataclass(frozen=True)
class Family:
    """The rows of a board: the least accuracy of each, which one group has; tied: rows whose groups all have it."""

    name: str
    least: tuple[float, ...] = EQUAL
    tied: tuple[int, ...] = ()
    spreads: tuple[float, ...] = (SPREAD,) * ROWS
    groups: int = 4
    examples: int = 100
    more: Mapping[str, float] = field(default_factory=dict)

    def accuracies(self, row: int) -> tuple[float, ...]:
        """The accuracies of a row's groups."""
        if row in self.tied:
            return (self.least[row],) * self.groups
        return (self.least[row], *(REST[at % len(REST)] for at in range(self.groups - 1)))

    @property
    def scenario(self) -> Scenario:
        """The first row."""
        return world(self.name, self.accuracies(0), self.examples, self.spreads[0], common=1.0, **self.more)


BOARDS = (
    Family("all equal"),
    Family("all equal, seeds spread 1 to 6 points", spreads=UNLIKE),
    Family("all equal, groups of one row tied", tied=(0,)),
    Family("all equal, groups of half of the rows tied", tied=tuple(range(6))),
    Family("all equal, 20 images a group, one row tied", tied=(0,), examples=20),
    Family("all equal, 25 groups of 20, one row tied", tied=(0,), groups=25, examples=20),
    Family("all equal, one seed in ten collapses", more={"collapse": 0.1}),
    Family("all equal, other images are hard", more={"example_correlation": 0.0}),
    Family("four levels", LEVELS),
    Family("four levels, seeds spread 1 to 6 points", LEVELS, spreads=UNLIKE),
    Family("four levels, 1000 images a group", LEVELS, examples=1000),
    Family("four levels, one seed in ten collapses", LEVELS, more={"collapse": 0.1}),
    Family("all equal, 1000 images a group", examples=1000),
    Family("all equal, 1000 images a group, seeds spread 1 point", examples=1000, spreads=(STILL,) * ROWS),
)
FILES = (
    Family("claims on 13 rows", CLAIMED),
    Family("the same, 1000 images a group", CLAIMED, examples=1000),
    Family("the same, seeds spread 1 to 6 points", CLAIMED, spreads=UNLIKE),
    Family("the same, groups of three rows tied", CLAIMED, tied=(0, 5, 9)),
    Family("the same, one seed in ten collapses", CLAIMED, more={"collapse": 0.1}),
    Family("the same, 1000 images a group, seeds spread 1 point", CLAIMED, examples=1000, spreads=(STILL,) * ROWS),
)


def draw_family(family: Family, size: int, numbers: Generator) -> list[list[Measured]]:
    """Every row of so many boards: a value for each seed."""
    first = family.scenario
    rows = [logits(family.accuracies(at), spread) for at, spread in enumerate(family.spreads)]
    changes = [tuple(b - a for a, b in zip(first.logits, row, strict=True)) for row in rows[1:]]
    drawn = draw_rows(first, changes, size, numbers, family.spreads)
    return [worst(row, family.groups) for row in drawn]


def boards(
    family: Family, repetitions: int, numbers: Generator, pairs: Sequence[tuple[int, int]]
) -> dict[int, list[Estimates]]:
    """The differences of pairs of rows, of every board, by the number of seeds."""
    found: dict[int, list[Estimates]] = {seeds: [] for seeds in SEEDS}
    for size in chunks(family.groups * family.examples * ROWS, repetitions):
        rows = draw_family(family, size, numbers)
        for seeds in SEEDS:
            by_pair = [
                estimates([a - b for a, b in zip(rows[one][:seeds], rows[other][:seeds], strict=True)])
                for one, other in pairs
            ]
            found[seeds] += [dict(zip(pairs, gaps, strict=True)) for gaps in zip(*by_pair, strict=True)]
    return found


def judged(family: Family, gaps: Estimates) -> tuple[bool, float]:
    """Whether a board says of any row that it is better than one that it is not, and the share of differences found."""
    better = resolved_pairs(Gaps.of(gaps))
    wrong = any(family.least[one] <= family.least[other] for one, other in better)
    different = sum(family.least[one] != family.least[other] for one, other in PAIRS)
    return wrong, sum(family.least[one] > family.least[other] for one, other in better) / max(different, 1)


def board_line(number: int, repetitions: int, seed: int) -> list[str]:
    """A line of the table of boards, of the kind with this number."""
    family = BOARDS[number]
    numbers = np.random.default_rng([seed, 6, number])
    of_board = boards(family, at_least(repetitions, family.groups), numbers, PAIRS)
    found = [np.array([judged(family, gaps) for gaps in of_board[seeds]]).mean(axis=0) for seeds in SEEDS]
    same = len(set(family.least)) == 1
    power = ["–" if same else f"{100 * share:.0f}" for _, share in found]
    return [family.name, *(f"{100 * wrong:.1f}" for wrong, _ in found), *power]


def boards_table(repetitions: int, seed: int) -> list[str]:
    """Markdown of every kind of board."""
    wrong = [f"boards with a false “better”, {SEEDS[0]} seeds", *(f"{seeds} seeds" for seeds in SEEDS[1:])]
    powers = [f"differences found, {SEEDS[0]} seeds", *(f"{seeds} seeds" for seeds in SEEDS[1:])]
    lines = [board_line(number, repetitions, seed) for number in range(len(BOARDS))]
    return table(["13 rows", *wrong, *powers], lines)


@dataclass(frozen=True)
class Stated:
    """A claim on two rows, and the true difference of the first minus the second, as a fraction."""

    pair: tuple[int, int]
    claim: ClaimTable
    true: float

    def wrong(self, verdict: str) -> bool:
        """Whether a verdict says what is not true; the border of the margin is beyond what `equivalent` means."""
        within, bound = abs(self.true) < self.claim.bound * (1 - 1e-9), self.claim.bound
        if self.claim.expects == "equivalent":
            beyond = abs(self.true) > bound * (1 + 1e-9)
            return (verdict == "supported" and not within) or (verdict == "refuted" and not beyond)
        right = self.true > 0 if self.claim.expects == "higher" else self.true < 0
        opposite = self.true < 0 if self.claim.expects == "higher" else self.true > 0
        wrong = {"supported": not right, "refuted": not opposite, "equivalent": not within}
        return wrong.get(verdict, False)


def stated(family: Family) -> list[Stated]:
    """Claims on a third each of equal rows, rows that differ by the margin of 3 points, and by 8 points."""
    scale, margin, found = 1 - family.more.get("collapse", 0.0), 0.03, []
    for size in (0.0, margin, 0.08):
        pairs = [(a, b) for a, b in PAIRS if abs(abs(family.least[a] - family.least[b]) - size) < 1e-6]
        for at, (one, other) in enumerate(pairs[:: max(1, len(pairs) // (CLAIMS // 3))][: CLAIMS // 3]):
            pair = (one, other) if at % 2 else (other, one)
            expects = ("higher", "lower", "equivalent")[at // 2 % 3]
            fields = {"says": "a simulation", "suite": "simulated", "row": f"row {pair[0]}", "other": f"row {pair[1]}"}
            claim = ClaimTable.model_validate(
                {
                    **fields,
                    "metric": "worst_group_accuracy",
                    "expects": expects,
                    "margin": 100 * margin * scale,
                    "written": "before its seeds",
                }
            )
            found.append(Stated(pair, claim, (family.least[pair[0]] - family.least[pair[1]]) * scale))
    return found


@dataclass(frozen=True)
class Simulated:
    """Evidence of a suite, simulated, as `answer_claims` asks for it: a difference for every claim, no marks."""

    gaps: Mapping[str, Estimate | None]

    def answers(self, claim: ClaimTable) -> bool:
        """Everything has been run."""
        return bool(claim.suite)

    def gap(self, name: str, claim: ClaimTable) -> Estimate | None:
        """The difference that a claim is about."""
        return self.gaps[name] if claim.suite else None

    def marks(self, claim: ClaimTable) -> dict[str, Any]:
        """No row has a mark."""
        return {} if claim.suite else {"": None}


def file_judged(claims: Sequence[Stated], gaps: Estimates) -> tuple[bool, float]:
    """Whether any verdict of a file is wrong, and the share of claims that it answers."""
    named = {f"claim {at}": one for at, one in enumerate(claims)}
    evidence = cast("Evidence", Simulated({name: gaps[one.pair] for name, one in named.items()}))
    answers = answer_claims({name: one.claim for name, one in named.items()}, lambda _: evidence)
    wrong = any(named[answer.name].wrong(answer.verdict) for answer in answers)
    return wrong, sum(answer.verdict != "unresolved" for answer in answers) / len(answers)


def file_line(number: int, repetitions: int, seed: int) -> list[str]:
    """A line of the table of claims files, of the kind with this number."""
    family = FILES[number]
    claims = stated(family)
    pairs = tuple(one.pair for one in claims)
    of_file = boards(family, repetitions, np.random.default_rng([seed, 7, number]), pairs)
    found = [np.array([file_judged(claims, gaps) for gaps in of_file[seeds]]).mean(axis=0) for seeds in SEEDS]
    wrong = [f"{100 * share:.1f}" for share, _ in found]
    return [family.name, *wrong, *(f"{100 * share:.0f}" for _, share in found)]


def claims_table(repetitions: int, seed: int) -> list[str]:
    """Markdown of every kind of claims file."""
    wrong = [f"files with a wrong verdict, {SEEDS[0]} seeds", *(f"{seeds} seeds" for seeds in SEEDS[1:])]
    answered = [f"claims answered, {SEEDS[0]} seeds", *(f"{seeds} seeds" for seeds in SEEDS[1:])]
    lines = [file_line(number, repetitions, seed) for number in range(len(FILES))]
    return table([f"{CLAIMS} claims", *wrong, *answered], lines)
