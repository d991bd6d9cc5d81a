"""Milliseconds and bytes made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchbias.records.latency import Latency
from benchbias.records.trial import TrialRecord


def network(what: str, ratio: float = 1.0, *, parameters: int = 1000, gain: bool = False) -> dict[str, Any]:
    """A network that takes 2 ms an image, times `ratio`, with bounds 10 % away."""
    timings = [
        {
            "batch": batch,
            "milliseconds": {name: 2.0 * ratio * by for name, by in (("median", 1), ("lower", 0.9), ("upper", 1.1))},
            "ratio": {name: ratio * by for name, by in (("median", 1), ("lower", 0.9), ("upper", 1.1))},
            "gain": gain,
        }
        for batch in (1, 64)
    ]
    counts = {"parameters": parameters, "nonzero": parameters // 2, "bytes": 4 * parameters}
    return {"what": what, **counts, "timings": timings}


def row(record: TrialRecord, **more: Any) -> dict[str, Any]:
    body = record.body
    named = {name: body[name] for name in ("trial", "task", "method", "swept", "seed")}
    named["product"] = (body["stages"] or ["0" * 64])[-1]
    found = {**named, "row": body["method"], "architecture": 0, "units": False, "finished": network("finished")}
    return found | more


def document(records: Sequence[TrialRecord], rows: Sequence[dict[str, Any]] = (), **more: Any) -> dict[str, Any]:
    """The document of a file on these records' suite."""
    suite = records[0].body["suite"]
    machine = {name: name for name in ("cpu", "system", "torch", "benchbias")}
    dense = network("dense")
    architecture = {"task": records[0].body["task"], "network": "net", "images": [3, 8, 8]}
    return {
        "schema": 1,
        "suite": suite["name"],
        "version": suite["version"],
        "limit": suite["limit"],
        "machine": machine | {"device": "cpu", "threads": 1, "date": "2026-01-31"},
        "repeats": 30,
        "busy": None,
        "own_time": 1.0,
        "architectures": [architecture | {"dense": dense, "again": dense}],
        "rows": list(rows) or [row(one) for one in records],
        "left_out": [],
    } | more


def latency(records: Sequence[TrialRecord], rows: Sequence[dict[str, Any]] = (), **more: Any) -> Latency:
    return Latency.model_validate(document(records, rows, **more))
