"""Trials, probes and analyses that gave nothing, with the reason. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from benchbias.board.markdown.probe_tables import probe_failures
from benchbias.board.marks import conflict_lines
from benchbias.board.text import escaped
from benchbias.records.row_name import row_name
from benchbias.records.trial import TrialRecord


def troubles(records: Sequence[TrialRecord]) -> list[str]:
    """The parts of a board on trials that came out otherwise, that have no score, and on probes without a table."""
    return [*conflict_lines(records), *failure_lines(records), *probe_failures(records)]


def failure_lines(records: Sequence[TrialRecord]) -> list[str]:
    """The part of a board that names trials without a score, with the reason; nothing where there are none."""
    bad: dict[tuple[str, str, str], list[int]] = {}
    for record in records:
        body = record.body
        if body["status"] != "ok":
            label = row_name(body["method"], body["swept"])
            bad.setdefault((f"{body['task']}: {label}", body["status"], body["reason"]), []).append(body["seed"])
    if not bad:
        return []
    lines = ["", "## Not scored", ""]
    for (label, status, reason), seeds in bad.items():
        lines.append(f"- {escaped(label)}: {status} in {len(seeds)} trials: {escaped(reason)}")
    return lines
