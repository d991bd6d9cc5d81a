"""Rows with their controls, seed by seed, and the parts of a test split that they are compared on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchbias import BenchbiasError, Skip, part_accuracies

if TYPE_CHECKING:
    from benchbias import Measured, Member, Population

Parts = Mapping[str, Sequence[Collection[int]]]

WORST = "worst group"


@dataclass(frozen=True)
class Twins:
    """A row beside its control: (control, member) of every seed that both have."""

    row: str
    control: str
    pairs: tuple[tuple[Member, Member], ...]


def twin_rows(population: Population) -> list[Twins]:
    """Every row whose control is in the population, in its order. Raises Skip where there is none."""
    found: dict[tuple[str, str], list[tuple[Member, Member]]] = {}
    for control, member in population.pairs():
        found.setdefault((member.row, control.row), []).append((control, member))
    if not found:
        raise Skip("no row has its baseline in this population: there is no twin to compare with")
    return [
        Twins(row, control, tuple(sorted(pairs, key=lambda pair: pair[1].seed)))
        for (row, control), pairs in found.items()
    ]


def summary_parts(body: Mapping[str, Any]) -> dict[str, list[list[int]]]:
    """All examples, the aligned, the conflicting, and the worst group, by the groups that each consists of."""
    aligned = body["group_aligned"]
    groups = range(len(aligned))
    return {
        "all": [list(groups)],
        "aligned": [[group for group in groups if aligned[group]]],
        "conflicting": [[group for group in groups if not aligned[group]]],
        WORST: [[group] for group in groups],
    }


def class_parts(body: Mapping[str, Any]) -> dict[str, list[list[int]]]:
    """Every class: its groups follow one another, as many as there are attributes."""
    attributes = len(body["group_names"]) // body["num_classes"]
    return {
        f"class {label}": [list(range(label * attributes, (label + 1) * attributes))]
        for label in range(body["num_classes"])
    }


def group_parts(body: Mapping[str, Any]) -> dict[str, list[list[int]]]:
    """Every group, by its name."""
    return {name: [[group]] for group, name in enumerate(body["group_names"])}


class Accuracies:
    """Accuracies of parts by member, each computed once though many rows share one control."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.known: dict[tuple[str, int], dict[str, Measured]] = {}

    def of(self, member: Member) -> dict[str, Measured]:
        """By part."""
        name = (member.row, member.seed)
        if name not in self.known:
            self.known[name] = part_accuracies(member.predictions["test"], self.parts)
        return self.known[name]

    def changes(self, pairs: Sequence[tuple[Member, Member]], part: str) -> list[Measured]:
        """The signed change of every pair (control, member), in points, paired by test example."""
        return [100.0 * (self.of(member)[part] - self.of(control)[part]) for control, member in pairs]


def require_margin(margin: float) -> None:
    """Raises BenchbiasError."""
    if not 0 < margin <= 100:
        raise BenchbiasError(f"margin is in points, above 0 and at most 100, not {margin}")
