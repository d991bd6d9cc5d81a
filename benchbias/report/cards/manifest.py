"""The manifest of a suite's records: versions, machines, seeds, the digest of all records, and the commands."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

from benchbias.records.trial import TrialRecord, record_folder
from benchbias.report.gathering.source import Source
from benchbias.runner.merging import date_of
from benchbias.runner.publishing import command_for

MOST = 12  # different values that are listed


def gather_manifest(source: Source) -> dict[str, Any]:
    """Everything that tells which records these are and how they came about. Records hold no date; their folder may."""
    records, suite = source.records, source.records[0].body["suite"]
    bodies = [record.body for record in records]
    environments = [body.get("environment") or {} for body in bodies]
    return {
        "suite": suite["name"],
        "version": suite["version"],
        "records": len(records),
        "status": dict(sorted(Counter(body["status"] for body in bodies).items())),
        "seeds": sorted({body["seed"] for body in bodies}),
        "sha256": digest_of(records),
        "analyses": [[one.label, one.body["status"], one.body["trials"]] for one in source.analyses],
        "code": _counted(line for record in records for line in record.measured.get("code", ())),
        "hosts": _counted(line for record in records for line in record.measured.get("hosts", ())),
        "torch": _counted(str(one["torch"]) for one in environments if "torch" in one),
        "devices": _counted(str(one["device"]) for one in environments if "device" in one),
        "cpus": _counted(str(one["cpu"]) for one in environments if "cpu" in one),
        "packages": _counted(_packages(one["packages"]) for one in environments if one.get("packages")),
        "seconds": sum(float(record.measured.get("seconds", 0.0)) for record in records),
        "commands": [
            command_for(suite["name"]),
            f"benchbias leaderboard {suite['name']}",
            f"benchbias report {suite['name']}",
        ],
        "folder": source.place.name,
        "published": source.published,
        "date": date_of(record_folder(source.place, source.suite)) if source.published else None,
    }


def digest_of(records: Iterable[TrialRecord]) -> str:
    """The sha256 of all records' bodies, each as its file has it, in the order of trials: measured times are left out.

    Anybody with the records finds it again.
    """
    total = hashlib.sha256()
    for record in sorted(records, key=lambda one: one.id):
        total.update(TrialRecord(record.body, {}).to_text().encode())
    return total.hexdigest()


def _packages(found: Any) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items()) if isinstance(found, dict) else str(found)


def _counted(texts: Iterable[str]) -> list[list[Any]]:
    """[text, how many records or notes], the most frequent first; at most MOST, then the number of others."""
    counted = Counter(texts).most_common()
    rest = counted[MOST:]
    more = [[f"{len(rest)} others", sum(number for _, number in rest)]] if rest else []
    return [[text, number] for text, number in counted[:MOST]] + more
