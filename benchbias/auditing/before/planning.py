"""Plan a test set: what an audit of so many examples could decide, before anything is labelled or run."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.statistics.power import Planner, detectable, fewest, power_of_pass
from benchbias.auditing.values import ALL, Column
from benchbias.errors import DataError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MANY_VALUES = 500  # of a column: each is a group
SHOWN = 60  # groups in a text
HEADER = ("group", "n", "chance of safe", "needs", "finds harm from")
EXAMPLES = MappingProxyType({"discordance": ", such as 0.02 where 2 of 100 answers turn right or wrong"})


@dataclass(frozen=True)
class Sized:
    """A group to be. n: its examples; design: as many times more are needed for their clusters; gated: for a pass.

    unequal: its clusters have different numbers of examples, so that the design is approximate.
    """

    name: str
    n: int
    design: float = 1.0
    gated: bool = True
    unequal: bool = False


@dataclass(frozen=True)
class PlannedGroup:
    """The evidence that a group could give.

    chance: of being shown safe if nothing is harmed; needs: examples for the wished power.
    finds: the least true harm, a share, that is found with the wished power among all groups; None where none is.
    too_small: where no answer changes it cannot be shown safe. design: times more examples for the clusters.
    """

    name: str
    n: int
    design: float
    gated: bool
    chance: float
    needs: int | None
    finds: float | None
    too_small: bool


@dataclass(frozen=True)
class Plan:
    """The decisions that an audit could make.

    discordance: the share of examples that the models are thought to lose or gain.
    margin, level, power: shares. pass_at_most: the least chance of a gated group, which no pass can exceed.
    pass_at_least: what is left if groups fail one by one. clustered: whether examples share clusters;
    unequal: whether clusters of one group have different sizes.
    """

    discordance: float
    margin: float
    level: float
    power: float
    fewest: int
    pass_at_most: float
    pass_at_least: float
    clustered: bool
    unequal: bool
    groups: tuple[PlannedGroup, ...]


def sizes(
    columns: Mapping[str, Column],
    *,
    cluster: NDArray[Any] | None = None,
    depth: int = 1,
    gate: Sequence[str] | None = None,
) -> tuple[Sized, ...]:
    """The groups of columns: all examples, each value, and crossings of up to `depth` columns, which no pass needs.

    cluster: int (N,), equal for examples that are no independent draws; the worst is assumed, that they change
    together. gate: the columns whose values a pass needs, None for all. Raises UsageError for others, and DataError for
    a cluster below 0, which is a missing one, and for a column of too many values.
    """
    for name in gate or ():
        if name not in columns:
            raise UsageError(f"gate: {name!r:.80} is none of the columns ({', '.join(sorted(columns))})")
    if not columns:
        raise UsageError("a plan is made for groups: name a column of labels or attributes")
    if cluster is not None and (cluster < 0).any():
        raise DataError(f"no cluster in {int((cluster < 0).sum())} rows of {len(cluster)}: fill the cells")
    total = len(next(iter(columns.values())).codes)
    for name, column in columns.items():
        if len(column.names) > MANY_VALUES:
            told = f"column {name!r:.80} has {len(column.names)} values, each a group"
            raise DataError(f"{told}, and at most {MANY_VALUES} are planned for: give ranges instead of numbers")
    found = [_sized(ALL, np.ones(total, bool), cluster, gated=True)]
    for many in range(1, depth + 1):
        for names in itertools.combinations(sorted(columns), many):
            gated = many == 1 and (gate is None or names[0] in gate)
            for name, member in _crossing(columns, names):
                found.append(_sized(name, member, cluster, gated=gated))
    return tuple(found)


def plan(
    groups: Sequence[Sized],
    discordance: float,
    margin: float = 0.03,
    *,
    level: float = 0.05,
    power: float = 0.8,
) -> Plan:
    """Plan what an audit of these groups could decide if so large a share of answers turns right or wrong.

    A harm is found where McNemar's test rejects at level / groups: the audit's joint test finds no less. Raises
    UsageError for shares outside 0 to 1, and where there are no groups.
    """
    for name, value in (("discordance", discordance), ("margin", margin), ("level", level), ("power", power)):
        if not 0 < value < 1:
            raise UsageError(f"{name} is {value:g}: a share above 0 and below 1 is meant{EXAMPLES.get(name, '')}")
    if not groups:
        raise UsageError("a plan is made for groups, and there are none")
    planner = Planner(margin, level, power)
    known: dict[tuple[int, float], tuple[float, float | None]] = {}
    least, planned = fewest(margin, level), []
    for group in groups:
        key = (group.n, group.design)
        if key not in known:
            alone = int(group.n / group.design)
            finds = detectable(alone, discordance, level / len(groups), power)
            known[key] = (power_of_pass(alone, discordance, 0.0, margin, level), finds)
        chance, finds = known[key]
        needs = planner.needed(discordance, group.design)
        small = group.n / group.design < least
        planned.append(PlannedGroup(group.name, group.n, group.design, group.gated, chance, needs, finds, small))
    gated = [group.chance for group in planned if group.gated]
    return Plan(
        discordance=discordance,
        margin=margin,
        level=level,
        power=power,
        fewest=least,
        pass_at_most=min(gated, default=1.0),
        pass_at_least=max(0.0, 1 - sum(1 - chance for chance in gated)),
        clustered=any(group.design > 1 for group in groups),
        unequal=any(group.unequal for group in groups),
        groups=tuple(sorted(planned, key=lambda group: (group.name != ALL, group.chance, group.n, group.name))),
    )


def plan_text(found: Plan) -> str:
    """The plan as lines of text, groups with the least chance first."""
    rows = [HEADER] + [_row(group) for group in found.groups[:SHOWN]]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEADER))]
    first, *others = widths
    table = [
        "  ".join([row[0].ljust(first), *(cell.rjust(width) for cell, width in zip(row[1:], others, strict=True))])
        for row in rows
    ]
    small = sum(group.too_small and group.gated for group in found.groups)
    lines = [
        f"If {_points(found.discordance)} % of answers turn right or wrong and nothing is harmed, "
        f"at a margin of {_points(found.margin)} points:",
        f"A pass has a chance of {_range(found.pass_at_least, found.pass_at_most)}.",
        *(line.rstrip() for line in table),
        f"needs: examples for a chance of {_chance(found.power)}. Where no answer changes, it takes {found.fewest}.",
        "finds harm from: the least harm that is found with that chance, among all these groups.",
    ]
    if len(found.groups) > SHOWN:
        lines.append(f"{len(found.groups) - SHOWN} groups with a larger chance are not shown; the JSON has each.")
    if small:
        lines.append(
            f"{small} groups that a pass needs are too small where no answer changes: add examples, or pool them."
        )
    if found.clustered:
        lines.append("Examples of one cluster are taken to change together, which is the worst case.")
    if found.unequal:
        lines.append("Clusters have different sizes: all this is approximate, and a chance may be lower than said.")
    return "\n".join(lines) + "\n"


def plan_json(found: Plan) -> str:
    """The plan as JSON: the fields of `Plan`, shares from 0 to 1."""
    return json.dumps(asdict(found), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _crossing(columns: Mapping[str, Column], names: Sequence[str]) -> list[tuple[str, NDArray[Any]]]:
    """The groups of one crossing that have examples: name and members, bool (N,)."""
    shape = tuple(len(columns[name].names) for name in names)
    present = np.all([columns[name].codes >= 0 for name in names], axis=0)
    if not present.any():
        return []
    codes = np.ravel_multi_index([np.maximum(columns[name].codes, 0) for name in names], shape)
    found = []
    for cell in np.unique(codes[present]):
        values = [int(at) for at in np.unravel_index(cell, shape)]
        told = (f"{name}={columns[name].names[at]}" for name, at in zip(names, values, strict=True))
        found.append((" & ".join(told), present & (codes == cell)))
    return found


def _sized(name: str, member: NDArray[Any], cluster: NDArray[Any] | None, *, gated: bool) -> Sized:
    """A group. Its design is the size of the cluster that an example is in on average (Kish, 1965)."""
    n = int(member.sum())
    if cluster is None:
        return Sized(name, n, 1.0, gated)
    many = np.unique(cluster[member], return_counts=True)[1].astype(float)
    return Sized(name, n, float(np.square(many).sum() / n), gated, bool(many.min() < many.max()))


def _row(group: PlannedGroup) -> tuple[str, ...]:
    needs = "never" if group.needs is None else str(group.needs)
    finds = "never" if group.finds is None else f"{_points(group.finds)} points"
    chance = f"too small, {_chance(group.chance)}" if group.too_small else _chance(group.chance)
    return group.name, str(group.n), chance, needs, finds


def _points(share: float) -> str:
    return f"{100 * share:.2f}".rstrip("0").rstrip(".")


def _range(least: float, most: float) -> str:
    low, high = _chance(least), _chance(most)
    return low if low == high else f"{low} to {high}"


def _chance(share: float) -> str:
    return f"{100 * share:.0f} %"
