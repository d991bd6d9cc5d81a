"""Audits made by hand, for the pages that tell them: their bounds are only near right."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from statistics import NormalDist

from benchbias.auditing import values
from benchbias.auditing.values import (
    Audit,
    Compared,
    Discovery,
    Facts,
    Group,
    Latency,
    Line,
    Missing,
    Options,
    Slice,
    Uneven,
)

ATTRIBUTES = {
    "hair": ("blond", "dark", "grey"),
    "sex": ("female", "male", "(missing)"),
    "age": ("<30", "30-60", ">60"),
    "camera": ("a", "b", "c", "d"),
}
NASTY = "a|b <script>alert(1)</script> *x* `y` @me #3 =1+1 \N{SNOWMAN} \x1b[31m"
"""A value that means something to markdown, HTML, a terminal and a spreadsheet."""


def line(name: str, n: int, lost: int, gained: int, *, margin: float = 0.03, parts=(), gated=True, wrong=0.12) -> Line:
    """A line whose bounds are of the normal distribution, and whose verdict follows from them."""
    harm = (lost - gained) / n
    spread = math.sqrt(max((lost + gained) / n - harm**2, 1 / n) / n)
    lower, upper = max(-1.0, harm - 1.645 * spread), min(1.0, harm + 1.645 * spread)
    p = 1 - NormalDist().cdf(harm / spread)
    adjusted, beyond = min(1.0, 40 * p), min(1.0, 40 * (1 - NormalDist().cdf((harm - margin) / spread)))
    p_safe = NormalDist().cdf((harm - margin) / spread)
    safe, harmed = p_safe <= 0.05, adjusted <= 0.05
    verdict = "safe" if safe else "harmed" if harmed else "too small" if n < 99 else "undecided"
    right = min(round(n * (1 - wrong)), n - gained)
    right = max(right, lost)
    return Line(
        Group(name, parts, n, n, gated),
        *(right, right - lost + gained, lost, gained, harm, lower, upper, p, adjusted, p_safe, beyond, verdict),
        small_loss=safe and harmed,
        beyond_margin=verdict == "harmed" and beyond <= 0.05,
        needs=None if safe or harmed else max(2 * n, 449),
        detectable=0.03 if n > 500 else math.nan if n < 9 else 0.2,
        error_ratio=(n - right + lost - gained) / (n - right) if n > right else None,
        churn=(lost + gained + 1) / (n + 1),
    )


def model(name: str, planted: tuple[int, int] = (64, 9), *, seed: int = 0, extra: tuple[Line, ...] = ()) -> Compared:
    """A compressed model on 40 groups: `planted` are losses and gains of blond men, all others lose by chance."""
    draw = random.Random(seed)
    cells = [("all", (), 6000)]
    for attribute, names in ATTRIBUTES.items():
        cells += [(f"{attribute}={v}", ((attribute, v),), draw.randrange(700, 2900)) for v in names]
    for (a, first), (b, second) in itertools.combinations(ATTRIBUTES.items(), 2):
        for v, w in itertools.product(first, second):
            if len(cells) < 39 and (v, w) != ("blond", "male"):
                cells.append((f"{w} & {v}", ((a, v), (b, w)), draw.choice((21, 60, 121, 240, 1200))))
    lines = []
    for cell, parts, n in cells:
        lost = sum(draw.random() < 0.009 for _ in range(n))
        lines.append(line(cell, n, lost, draw.randrange(lost + 1), parts=parts, gated=len(parts) < 2))
    worst = line("male & blond", 507, *planted, parts=(("hair", "blond"), ("sex", "male")), gated=False)
    lines[1] = line("hair=blond", 879, planted[0] + 6, planted[1] + 7, parts=(("hair", "blond"),))
    rest = sorted([*lines[1:], worst, *extra], key=lambda x: (-x.harm, x.group.name))
    harmed = [x for x in rest if x.verdict == "harmed"]
    safe = all(x.verdict == "safe" for x in lines if x.group.gated)
    return Compared(
        name=name,
        verdict="harmed" if harmed else "pass" if safe else "undecided",
        beyond_margin=any(x.beyond_margin for x in harmed),
        lines=(lines[0], *rest),
        worst=rest[0].group.name,
        not_excluded=max(x.upper for x in [lines[0], *rest]),
        without=("male & blond", 0) if harmed else None,
        uneven=(Uneven("camera", 0.61, "b"), Uneven("sex", 0.012 if harmed else 0.4, "male")),
        missing=(Missing("sex", 320, "male", 0.137),),
        churn=0.041,
        warnings=(values.Warning("confidence", "Confidence fell by 4.1 points in `male & blond`, labels did not."),),
        facts=Facts(
            *(11_700_000, 11_689_512, 11_689_512),
            latency=(Latency(1, 4.1, 4.0, 4.4, 30), Latency(64, 120.5, 118.2, 125.0, 30)),
            machine="x86-64, 1 thread",
            sha256="0" * 64,
        ),
    )


def audit(*models: Compared, pairs: int = 1, options: Options | None = None, **changed) -> Audit:
    """An audit of models, of one that harms blond men where none is given."""
    chosen = models or (model("int8"),)
    order = ("harmed", "undecided", "pass")
    found = Audit(
        options=options or Options(),
        verdict=min((m.verdict for m in chosen), key=order.index),
        dense="dense",
        models=chosen,
        n=6000,
        units=6000,
        groups=len(chosen[0].lines),
        empty=("d & grey", "(missing) & grey"),
        test_set="ab" * 32,
        pairs=pairs,
        notes=("Read 6000 rows of predictions.csv.",),
        warnings=(values.Warning("few", "12 groups have fewer than 99 examples."),),
        dense_facts=Facts(46_800_000, 11_689_512, 11_689_512, (Latency(1, 9.0, 8.8, 9.9, 30),), "x86-64, 1 thread"),
    )
    return dataclasses.replace(found, **changed)


def two_models() -> Audit:
    """A model that harms, and a smaller one that only cannot be decided."""
    facts = Facts(5_200_000, 11_689_512, 2_337_902, (Latency(1, 6.0, 5.5, 6.6, 30),), "x86-64, 1 thread")
    return audit(model("int8"), dataclasses.replace(model("pruned-80", (8, 4), seed=1), facts=facts))


def discovered() -> Audit:
    """An audit with a slice that was found and shown to lose, and one that was not shown."""
    slices = tuple(
        Slice("int8", text, 400, 0.09, 410, 410, 40, 4, 36 / 410, 0.05, 0.12, p, 2 * p, 2 * p <= 0.05)
        for text, p in (("age > 61.5 and sex is |male|", 1e-6), ("camera is c", 0.2))
    )
    return audit(discovery=Discovery(slices, 3000, 3000, ("age", "camera", "sex|"), 0.05))


def passing() -> Audit:
    """An audit of a single model with two groups, both safe."""
    lines = (line("all", 4000, 12, 11), line("sex=female", 2100, 5, 6, parts=(("sex", "female"),)))
    found = dataclasses.replace(
        model("fp16"),
        verdict="pass",
        beyond_margin=False,
        lines=lines,
        worst="all",
        without=None,
        not_excluded=max(x.upper for x in lines),
        uneven=(),
        missing=(),
        warnings=(),
        facts=None,
    )
    return audit(found, n=4000, units=4000, groups=2, empty=(), notes=(), warnings=(), dense_facts=None)


def nasty() -> Audit:
    """An audit whose names are as bad as names of files and columns can be."""
    bad = line(NASTY, 507, 70, 2, parts=(("sex", NASTY),))
    return audit(dataclasses.replace(model(NASTY, extra=(bad,)), worst=NASTY), dense=NASTY, empty=(NASTY,))
