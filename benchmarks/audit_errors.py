"""How often an audit errs: bounds that miss, groups called harmed that are not, false passes, false unevenness.

Prints markdown tables, the same bytes for the same arguments and versions. The numbers are computed by the functions
that an audit calls, in benchbias/auditing/. Every line has random numbers of its own. About 25 minutes on one core.

    python benchmarks/audit_errors.py [--draws 2000] [--seed 0] [--tables bounds harmed ...]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import scipy
from audit_worlds import AT_THE_MARGIN, EVEN, NO_HARM, Drawn, World, draw, groups, members, uneven_world
from simulated_intervals import show

from benchbias.auditing.statistics.bounds import harm_bounds, no_harm_p, safe_p
from benchbias.auditing.statistics.clusters import alike, clustered_harm
from benchbias.auditing.statistics.jointly import discrete_holm, tarone_holm
from benchbias.auditing.statistics.power import Planner, fewest, power_of_pass
from benchbias.auditing.statistics.signs import sign_p
from benchbias.auditing.statistics.uneven import uneven_p
from benchbias.auditing.statistics.weighted import LEAST

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from simulated_intervals import Lines

    Floats = NDArray[np.float64]
    Insides = Sequence[NDArray[np.bool_]]

LEVEL, MARGIN = 0.05, 0.03
LEVELS = (0.05, 0.01, 0.0025)
AGREEMENT = (20, 60)
SIZES = (1, 2, 3, 5, 8, 12, 21, 30, 50, 75, 100)
DISCORDANCE = (0.002, 0.02, 0.05, 0.1, 0.2)


def worst_miss(n: int, level: float, rates: int = 12) -> float:
    """The largest chance that an upper bound is below the truth, by enumeration of all counts.

    The truths lie just above each value that a bound can have, where the chance jumps, at several rates of flips.
    """
    b, c = (counts.ravel() for counts in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    b, c = b[b + c <= n], c[b + c <= n]
    upper = harm_bounds(b, c, n, level)[1]
    factorials = scipy.special.gammaln(n + 1) - sum(scipy.special.gammaln(k + 1) for k in (b, c, n - b - c))
    worst = 0.0
    values = np.unique(upper[upper < 1 - 1e-9].round(9))
    for harm in values[:: max(1, len(values) // 200)] + 1e-8:
        flips = abs(harm) + (1 - abs(harm)) * np.linspace(0, 1, rates)[:, None] ** 2
        logs = [scipy.special.xlogy(k, p) for k, p in ((b, (flips + harm) / 2), (c, (flips - harm) / 2))]
        chance = np.exp(factorials + logs[0] + logs[1] + scipy.special.xlogy(n - b - c, 1 - flips))
        worst = max(worst, float((chance * (upper < harm)).sum(1).max()))
    return worst


Names = Sequence[tuple[tuple[int, int], ...]]


def adjusted_p(drawn: Drawn, insides: Insides) -> Floats:
    """The adjusted p of no harm of every group; 1 where it has no examples."""
    if drawn.cluster is None:
        lost, gained = (np.array([(drawn.change[inside] == sign).sum() for inside in insides]) for sign in (1, -1))
        return discrete_holm(lost, lost + gained)
    found = [sign_p(*np.array(alike(*_sums(drawn, inside)))[[0, 2]]) for inside in insides]
    return tarone_holm(*np.transpose(found))


def safety_p(drawn: Drawn, insides: Insides) -> Floats:
    """The p of harm >= margin of every group; 1 where it has no examples."""
    if drawn.cluster is None:
        lost, gained = (np.array([(drawn.change[inside] == sign).sum() for inside in insides]) for sign in (1, -1))
        return safe_p(lost, gained, np.array([inside.sum() for inside in insides]), MARGIN)
    return np.array([clustered_harm(*_sums(drawn, inside), MARGIN, LEVEL).p_safe for inside in insides])


def _sums(drawn: Drawn, inside: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Harm and size of the clusters that a group has examples of."""
    assert drawn.cluster is not None
    size = np.bincount(drawn.cluster[inside])
    harm = np.bincount(drawn.cluster[inside], drawn.change[inside])
    return harm[size > 0], size[size > 0]


def told_world(world: World) -> tuple[str, ...]:
    clusters = "none" if world.cluster == 1 else f"{world.cluster}{', uneven' if world.uneven else ''}"
    return (
        world.name,
        f"{len(groups(world.values))}",
        f"{world.n}",
        clusters + (", across values" if world.within else ""),
    )


def rate(errors: Sequence[bool]) -> tuple[str, str]:
    """A share and its standard error, at least that of one error."""
    share = float(np.mean(errors))
    least = max(share, 1 / len(errors))
    return f"{share:.4f}", f"{math.sqrt(least * (1 - least) / len(errors)):.4f}"


def bounds_lines(draws: int, seed: int) -> Lines:
    """Nothing is drawn here."""
    lines: Lines = []
    for n in SIZES:
        lines.append((f"{n}", *(f"{worst_miss(n, level):.6f}" for level in LEVELS)))
    return lines


def harmed_lines(draws: int, seed: int) -> Lines:
    """No group is harmed. A group that is found to lose is called harmed where it is not shown safe."""
    lines: Lines = []
    for at, world in enumerate(NO_HARM):
        numbers, rejected, harmed = np.random.default_rng((seed, 1, at)), [], []
        for _ in range(draws):
            drawn = draw(world, numbers)
            insides = [members(drawn, name) for name in groups(world.values)]
            found = np.flatnonzero(adjusted_p(drawn, insides) <= LEVEL)
            rejected.append(len(found) > 0)
            harmed.append(bool(len(found)) and bool((safety_p(drawn, [insides[one] for one in found]) > LEVEL).any()))
        lines.append((*told_world(world), *rate(rejected), *rate(harmed)))
    return lines


def pass_lines(draws: int, seed: int) -> Lines:
    """The last value of the first attribute is harmed by the margin; all values must be safe for a pass."""
    lines: Lines = []
    for at, world in enumerate(AT_THE_MARGIN):
        numbers, safe = np.random.default_rng((seed, 2, at)), []
        for _ in range(draws):
            drawn = draw(world, numbers)
            insides = [members(drawn, name) for name in groups(world.values) if len(name) < 2]
            safe.append(safety_p(drawn, insides) <= LEVEL)
        harmless = [bool(np.delete(one, 2).all()) for one in safe]
        lines.append((*told_world(world), *rate([bool(one.all()) for one in safe]), f"{np.mean(harmless):.2f}"))
    return lines


def uneven_lines(draws: int, seed: int) -> Lines:
    """No value loses more than the rest; then the first one loses 8 points more."""
    lines: Lines = []
    for at, world in enumerate(EVEN):
        numbers, found = np.random.default_rng((seed, 3, at)), []
        for one in (world, uneven_world(world, 0.08)):
            tests = [draw(one, numbers) for _ in range(draws)]
            p = [uneven_p(t.change, t.codes[:, 0], world.values[0], t.cluster)[0] for t in tests]
            found.append([value <= LEVEL for value in p])
        lines.append((world.name, f"{world.values[0]}", f"{world.n}", *rate(found[0]), f"{np.mean(found[1]):.2f}"))
    return lines


def power_lines(draws: int, seed: int) -> Lines:
    """The power of the numbers that are said to be needed: exact, and drawn."""
    lines: Lines = []
    for at, (margin, flips) in enumerate((m, q) for m in (0.01, 0.03, 0.1) for q in DISCORDANCE):
        numbers, n = np.random.default_rng((seed, 4, at)), Planner(margin).needed(flips)
        assert n is not None
        counts = numbers.multinomial(n, (flips / 2, flips / 2, 1 - flips), size=10 * draws)
        safe = safe_p(counts[:, 0], counts[:, 1], n, margin) <= LEVEL
        before = power_of_pass(n - 1, flips, 0.0, margin) if n > fewest(margin) else math.nan
        exact = power_of_pass(n, flips, 0.0, margin)
        lines.append((f"{100 * margin:g}", f"{flips:g}", f"{n}", f"{exact:.3f}", f"{before:.3f}", *rate(list(safe))))
    return lines


def mcnemar_lines(draws: int, seed: int) -> Lines:
    """Agreement with the tests that the bounds contain, over all counts."""
    lines: Lines = []
    for n in AGREEMENT:
        b, c = (counts.ravel() for counts in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
        b, c = b[b + c <= n], c[b + c <= n]
        for level in LEVELS:
            lower, upper = harm_bounds(b, c, n, level)
            differ = int(((lower > 0) != (no_harm_p(b, c) <= level)).sum())
            without = c == 0
            exact = scipy.stats.beta.ppf(1 - level, b[without] + 1, np.maximum(n - b[without], LEAST))
            apart = abs(upper[without] - np.where(b[without] == n, 1.0, exact)).max()
            lines.append((f"{n}", f"{level:g}", f"{len(b)}", f"{differ}", f"{apart:.1e}"))
    return lines


WORLD = ("world", "groups", "n", "clusters")
ERROR = ("share", "standard error")
TABLES: dict[str, tuple[str, tuple[str, ...], Callable[[int, int], Lines]]] = {
    "bounds": ("Bounds: the worst miss of all truths, enumerated", ("n", *(f"at {x:g}" for x in LEVELS)), bounds_lines),
    "agreement": (
        "Bounds: agreement with McNemar's test, and with Clopper and Pearson without gains",
        ("n", "level", "counts", "differ from McNemar", "apart from Clopper-Pearson"),
        mcnemar_lines,
    ),
    "harmed": (
        "Any group falsely found to lose, and falsely called harmed",
        (*WORLD, "any rejection", ERROR[1], "any harmed", ERROR[1]),
        harmed_lines,
    ),
    "pass": ("False pass at the margin", (*WORLD, "false pass", ERROR[1], "the others safe"), pass_lines),
    "uneven": ("Uneven", ("world", "values", "n", "false", ERROR[1], "found, 8 points more"), uneven_lines),
    "power": (
        "Power of the number needed",
        ("margin, points", "flips", "needed", "exact power", "with one less", "drawn", ERROR[1]),
        power_lines,
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Simulated and enumerated errors of an audit, as markdown.")
    parser.add_argument("--draws", type=int, default=2000, help="of each world")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tables", nargs="+", choices=tuple(TABLES), default=tuple(TABLES), metavar="TABLE")
    given = parser.parse_args(arguments)
    versions = f"numpy {np.__version__}, scipy {scipy.__version__}"
    command = f"--draws {given.draws} --seed {given.seed} --tables {' '.join(given.tables)}"
    print(f"Made by `python benchmarks/audit_errors.py {command}` with {versions}.\n")
    for name in given.tables:
        title, head, make = TABLES[name]
        show(title, head, make(given.draws, given.seed))


if __name__ == "__main__":
    main()
