"""The head of a suite's report: what was run, how often, and from which records."""

from __future__ import annotations

from typing import Any

from benchbias.board.words import in_words
from benchbias.records.trial import sorted_records
from benchbias.report.gathering.source import Source
from benchbias.runner.publishing import command_for

HIGHER_IS_BETTER = frozenset(
    {
        "accuracy", "accuracy_train_weighted", "worst_group_accuracy", "mean_group_accuracy", "worst_class_accuracy",
        "aligned_accuracy", "conflicting_accuracy", "digit_one_accuracy",
    }
)  # fmt: skip
"""Metrics of which more is better. Of `spurious_attribute_accuracy` neither more nor less is: chance is the ideal."""


def gather_head(source: Source) -> dict[str, Any]:
    """Name, title, version, metrics and tasks of a suite, its seeds, and the command that makes its records."""
    bodies = [record.body for record in source.records]
    suite = bodies[0]["suite"]
    done = [body for body in bodies if body["status"] == "ok"]
    return {
        "suite": suite["name"],
        "title": suite["title"],
        "version": suite["version"],
        "limit": suite["limit"],
        "reference": suite["reference"],
        "ceiling": suite.get("ceiling"),
        "metrics": _ordered(suite["metrics"], suite["rank_by"].removeprefix("-")),
        "rankBy": suite["rank_by"].removeprefix("-"),
        "lowerIsBetter": suite["rank_by"].startswith("-"),
        "directions": {name: _direction(name, suite["rank_by"]) for name in suite["metrics"]},
        "tasks": sorted({body["task"] for body in bodies}),
        "seeds": sorted({body["seed"] for body in bodies}),
        "trials": len(bodies),
        "scored": len(done),
        "failed": _failed(source),
        "command": command_for(suite["name"]),
    }


def _direction(metric: str, rank_by: str) -> int:
    """1 where more of a metric is better, -1 where less is, 0 where that is not known."""
    if metric == rank_by.removeprefix("-"):
        return -1 if rank_by.startswith("-") else 1
    return int(metric in HIGHER_IS_BETTER)


def _ordered(metrics: list[str], first: str) -> list[str]:
    return sorted(metrics, key=lambda name: (name != first, metrics.index(name)))


def _failed(source: Source) -> list[dict[str, Any]]:
    """The trials without a score, each with its reason."""
    bodies = [record.body for record in sorted_records(source.records) if record.body["status"] != "ok"]
    return [
        {"words": in_words(body["method"], body["swept"])}
        | {key: body[key] for key in ("task", "seed", "status", "stage", "reason")}
        for body in bodies
    ]
