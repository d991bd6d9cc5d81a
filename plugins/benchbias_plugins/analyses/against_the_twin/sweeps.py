"""Methods swept over sparsity or density: their levels, from the lowest sparsity to the highest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from benchbias import Skip

from .twins import twin_rows

if TYPE_CHECKING:
    from benchbias import Member, Population

    from .twins import Twins


@dataclass(frozen=True)
class Level:
    """One level of a sweep. sparsity: as swept (1 - density); realised: of the network, mean over seeds."""

    sparsity: float
    realised: float
    pairs: tuple[tuple[Member, Member], ...]


@dataclass(frozen=True)
class Sweep:
    """A method at fixed other swept values; levels ascend. control: the method that it is compared with."""

    method: str
    control: str
    levels: tuple[Level, ...]


def sweeps(population: Population) -> list[Sweep]:
    """Every method that sweeps sparsity or density and has its control. Raises Skip where there is none."""
    found: dict[tuple[str, str], list[Level]] = {}
    for row in twin_rows(population):
        control, member = row.pairs[0]
        sparsity = swept_sparsity(member.swept)
        if sparsity is not None:
            found.setdefault((_without_level(member), _without_level(control)), []).append(_level(row, sparsity))
    if not found:
        raise Skip("no method with a baseline sweeps sparsity or density")
    return [
        Sweep(method, control, tuple(sorted(levels, key=lambda level: level.sparsity)))
        for (method, control), levels in found.items()
    ]


def swept_sparsity(swept: Mapping[str, Any]) -> float | None:
    """The sparsity of a row by its swept values: `sparsity`, or else 1 - `density`; None without either."""
    if "sparsity" in swept:
        return float(swept["sparsity"])
    return round(1 - float(swept["density"]), 12) if "density" in swept else None


def _level(row: Twins, sparsity: float) -> Level:
    realised: Sequence[float] = [member.record.body["sparsity"] for _, member in row.pairs]
    return Level(sparsity, math.fsum(realised) / len(realised), row.pairs)


def _without_level(member: Member) -> str:
    """The row's name without its sparsity or density."""
    level = "sparsity" if "sparsity" in member.swept else "density"
    return replace(member, swept={name: value for name, value in member.swept.items() if name != level}).row
