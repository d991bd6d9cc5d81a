"""Sources of reports made of records by hand: an ordinary suite, a hostile one, a large one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchbias.records.trial import TrialRecord
from benchbias.report.gathering.source import Source
from support.made_records import LAYOUTS, counted, failure

SUITE = {"reference": "plain", "ceiling": "top", "name": "probe", "title": "Probe of reports"}
HEAVY = {"weights": 900, "parameters": 1000, "flops": 2000}

ROWS: tuple[tuple[str, tuple[float, float], dict[str, Any]], ...] = (
    ("plain", (0.9, 0.55), {}),
    ("longer", (0.9, 0.56), {"ranked": False}),
    ("small", (0.9, 0.5), {"swept": {"sparsity": 0.5}, "baseline": "longer", "sparsity": 0.5}),
    ("small", (0.9, 0.35), {"swept": {"sparsity": 0.8}, "baseline": "longer", "sparsity": 0.8}),
    ("small", (0.9, 0.2), {"swept": {"sparsity": 0.95}, "baseline": "longer", "sparsity": 0.95}),
    ("sparse", (0.9, 0.45), {"swept": {"density": 0.2}, "baseline": "plain", "sparsity": 0.8, "training_flops": 900}),
    ("lost", (0.12, 0.5), {"baseline": "plain"}),
    ("chooser", (0.9, 0.7), {"track": "val-select", "baseline": "plain"}),
    ("grouped", (0.88, 0.85), {"track": "train", "baseline": "plain", "training_flops": 10_000}),
    ("top", (0.97, 0.96), {"ranked": False}),
)
"""Method, the shares of right answers on aligned and conflicting examples, and more of the record."""


def records_of(task: str = "toy", seeds: int = 5, **more: Any) -> list[TrialRecord]:
    """All rows on one task, with costs as a run measures them; one trial failed."""
    made = []
    for method, shares, body in ROWS:
        for seed in range(seeds):
            cost = {"nonzero_parameters": round(1000 * (1 - body.get("sparsity", 0.0)))}
            suite = {**SUITE, **more.get("suite", {})}
            rest = {key: value for key, value in more.items() if key != "suite"}
            one = counted(method, seed, shares, **HEAVY, **cost, **{"task": task, "suite": suite, **body, **rest})
            made.append(replace(one, measured={"seconds": 3.0 + seed, "peak_memory_bytes": 10_000_000}))
    return [*made, failure("broken", 0, suite=made[0].body["suite"], task=task)]


def made_source(seeds: int = 5) -> Source:
    """A suite of two tasks."""
    return Source("probe", [*records_of("toy", seeds), *records_of("other", seeds)], LAYOUTS)


HOSTILE = (
    "</script><script>window.hacked = 1</script>",
    '<img src="x" onerror="window.hacked = 1">',
    "javascript:window.hacked=1",
    "\u202eright to left\u202c \u05d0\u05d1\u05d2",
    "[a](javascript:window.hacked=1) **bold** `code` | pipe",
    "\"quotes' `backticks` & &amp; \\u003c",
    "line\nbreak\ttab\u2028separator",
    "long" * 50,
    "__proto__",
    "{{7*7}} ${7*7}",
)


def hostile_source() -> Source:
    """A suite whose names are as bad as names can be: of tasks, methods, values, groups, settings and reasons."""
    records = []
    suite = {**SUITE, "title": HOSTILE[0], "version": HOSTILE[1], "reference": HOSTILE[8], "ceiling": HOSTILE[7]}
    for at, method in enumerate(HOSTILE):
        for seed in range(3):
            more: dict[str, Any] = {"swept": {HOSTILE[2]: HOSTILE[at], "sparsity": 0.5}} if at % 2 else {}
            names = [HOSTILE[(at + 1 + k) % len(HOSTILE)] if at == 1 else HOSTILE[k] for k in range(4)]
            one = counted(
                *(method, seed, (0.9, 0.5)), task=HOSTILE[3], suite=suite, baseline=None if at == 8 else HOSTILE[8],
                **HEAVY, settings={HOSTILE[at]: HOSTILE[-1 - at]}, settings_from=HOSTILE[5], sparsity=0.1 * at, **more,
            )  # fmt: skip
            records.append(replace(one, body={**one.body, "group_names": names}))
    broken = failure(HOSTILE[0], 7, reason=HOSTILE[1], suite=records[0].body["suite"], task=HOSTILE[3])
    return Source("probe", [*records, broken], LAYOUTS)


def large_source() -> Source:
    """A suite of 1,000 trials: 20 tasks, ten rows each, five seeds."""
    records = [one for task in range(20) for one in records_of(f"task-{task:02}") if one.body["status"] == "ok"]
    return Source("probe", records, LAYOUTS)
