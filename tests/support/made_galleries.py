"""A source of a report with all that may stand in one: images, PIEs, balances, sweeps and probes, badly named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchbias.records.analysis import AnalysisRecord
from benchbias.report.gathering.source import Source
from benchbias.report.gathering.task_data import LabelledImages, TaskData
from support.made_records import LAYOUT, LAYOUTS, counted
from support.made_reports import HEAVY, HOSTILE, SUITE

GROUPS = HOSTILE[:3] + HOSTILE[7:8]
TASK, BAD = "toy", HOSTILE[1]


class Illustrated(Source):
    """A source whose data set is made up: noise of eight pixels, in the cells of the records' test split."""

    def data(self, task: str) -> TaskData:
        test = _split(np.repeat(LAYOUT.group, LAYOUT.total), np.repeat(LAYOUT.cluster, LAYOUT.total))
        train = _split(np.arange(60) % 4, np.arange(60))
        body = {
            "group_names": list(GROUPS),
            "source": HOSTILE[4],
            "licence": HOSTILE[5],
            "notes": [HOSTILE[0]],
            "input_shape": [3, 8, 8],
            "counts": {"train": [15, 15, 15, 15], "test": [80, 80, 80, 80]},
        }
        return TaskData(LAYOUT.digest, body, {"train": train, "test": test})


def _split(groups: Any, cluster: Any) -> LabelledImages:
    images = np.random.default_rng(len(groups)).integers(0, 256, (len(groups), 3, 8, 8), dtype=np.uint8)
    return LabelledImages(images, groups // 2, groups, cluster, np.isin(groups, (0, 3)))


def illustrated_source(seeds: int = 4) -> Source:
    """One task: a dense row, a pruned one, a layer sweep, and tables of PIEs and balances; names that are hostile."""
    rows: Sequence[tuple[str, tuple[float, float], dict[str, Any]]] = (
        (BAD, (0.95, 0.8), {"probes": {"touched": _probe()}}),
        ("pruned", (0.9, 0.3), {"baseline": BAD, "sparsity": 0.9}),
        *(
            (
                "layered",
                (0.9, 0.5),
                {"baseline": BAD, "swept": {"layers": layers, "sparsity": amount}, "sparsity": amount},
            )
            for layers in ("conv1", HOSTILE[6].replace("\n", " "))
            for amount in (0.3, 0.6)
        ),
    )
    records = [
        counted(method, seed, shares, **{**HEAVY, "task": TASK, "suite": SUITE, **body})
        for method, shares, body in rows
        for seed in range(seeds)
    ]
    records = [replace(one, body={**one.body, "group_names": list(GROUPS)}) for one in records]
    return Illustrated("probe", records, LAYOUTS, _analyses(records[0].body["suite"]))


def _probe() -> dict[str, Any]:
    texts = {"layer": ["conv1", "conv1", HOSTILE[0], HOSTILE[0]], "group": [GROUPS[0], GROUPS[3]] * 2}
    numbers = {name: [1.5, -20.25, None, 3.0] for name in ("change", "control", "difference")}
    return _table(
        {**{name: ("text", values) for name, values in texts.items()}}
        | {name: ("number", values) for name, values in numbers.items()}
    )


def _table(columns: dict[str, tuple[str, list[Any]]]) -> dict[str, Any]:
    made = [{"name": name, "kind": kind, "unit": "", "values": values} for name, (kind, values) in columns.items()]
    return {"caption": HOSTILE[0], "columns": made}


def _analyses(suite: Any) -> list[AnalysisRecord]:
    estimate = [1.5, 0.2, 3.0, 4]
    alpha = {
        "row": ("text", ["pruned", BAD]),
        "control": ("text", [BAD, f"{BAD}, another seed"]),
        "compression": ("number", [10.0, 1.0]),
        "alpha": ("estimate", [estimate, [1.0, 0.1, 3.0, 4]]),
        "mark": ("text", [">", ""]),
        "alpha lower": ("number", [1.1, None]),
        "alpha upper": ("number", [2.2, None]),
        "alpha if uniform": ("estimate", [estimate, None]),
    }
    balance = {
        "row": ("text", ["pruned", "pruned"]),
        "control": ("text", [BAD, BAD]),
        "class": ("text", [HOSTILE[0], "1"]),
        "balance before": ("number", [0.1, -0.1]),
        "balance after": ("number", [0.3, None]),
    }
    pies = range(60)
    label = [str(int(np.repeat(LAYOUT.group, LAYOUT.total)[at]) // 2) for at in pies]
    gallery = {
        "row": ("text", ["pruned"] * 60),
        "image": ("image", list(pies)),
        "label": ("text", label),
        "dense mode": ("text", label),
        "pruned mode": ("text", [str(1 - int(one)) for one in label]),
        "dense share": ("fraction", [1.0] * 60),
        "pruned share": ("fraction", [0.5 + 0.25 * (at % 3) for at in pies]),
        "margin": ("number", [2 - at / 60 for at in pies]),
    }
    tables = {"recall_balance": alpha, "intensification": balance, "pie_gallery": gallery}
    return [
        AnalysisRecord(
            {
                "suite": suite,
                "task": TASK,
                "analysis": name,
                "options": {},
                "trials": 24,
                "stage": None,
                "environment": {},
                "status": "ok",
                "table": _table(columns),
            }
        )
        for name, columns in tables.items()
    ]
