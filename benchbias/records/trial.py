"""The record of a trial: all that a leaderboard is built from. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbias.errors import NewerRecordError, StorageError, UsageError, unknown
from benchbias.records.schema import TRACKS, check_document
from benchbias.util import canonical
from benchbias.util.files import listed, read_regular

RECORD_SCHEMA = 1
MAX_RECORD_BYTES = 16 << 20


@dataclass(frozen=True)
class TrialRecord:
    """One trial: `body`, a function of its key, and `measured`, what differs from run to run."""

    body: Mapping[str, Any]
    measured: Mapping[str, Any]

    def __post_init__(self) -> None:
        missing = [name for name in ("trial", "suite", "task", "method", "seed", "status") if name not in self.body]
        if missing:
            raise UsageError(f"a record lacks {', '.join(missing)}")
        if self.body.get("track", TRACKS[0]) not in TRACKS:
            raise UsageError(unknown("track", self.body["track"], TRACKS))
        if self.body["status"] == "ok" and not self.body.get("metrics"):
            raise UsageError("a record with status ok has no metrics")

    @property
    def id(self) -> str:
        return str(self.body["trial"])

    def to_text(self) -> str:
        """The record's file: canonical JSON."""
        document = {"schema": RECORD_SCHEMA, "body": dict(self.body), "measured": dict(self.measured)}
        return canonical.dumps(document) + "\n"

    @staticmethod
    def from_text(text: str | bytes) -> TrialRecord:
        """The record that a file's text holds. Raises UsageError."""
        document = canonical.loads(text)
        refuse_newer_record(document)
        schema = document.get("schema") if isinstance(document, dict) else None
        if schema != RECORD_SCHEMA or isinstance(schema, bool):
            raise UsageError(f"its schema is not {RECORD_SCHEMA}")
        check_document(document)
        return TrialRecord(document["body"], document["measured"])

    @staticmethod
    def from_file(path: Path) -> TrialRecord:
        """Read a record. Raises UsageError naming the file, StorageError where the disk refuses."""
        try:
            text = read_regular(path, MAX_RECORD_BYTES)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None
        except OSError as error:
            raise StorageError(f"{path}: cannot be read: {error.strerror}") from None
        try:
            return TrialRecord.from_text(text)
        except NewerRecordError as error:
            raise NewerRecordError(f"{path}: not a record: {error}") from None
        except (StorageError, UsageError) as error:
            raise UsageError(f"{path}: not a record: {error}") from None


def refuse_newer_record(document: object) -> None:
    """Raises NewerRecordError for the file of a record that only a newer benchbias can read."""
    schema = document.get("schema") if isinstance(document, dict) else None
    if isinstance(schema, int) and schema > RECORD_SCHEMA:
        told = f"its schema is {schema}, not {RECORD_SCHEMA}"
        raise NewerRecordError(f"{told}: it was made by a newer benchbias; upgrade this one")


def record_folder(root: Path, suite: str) -> Path:
    """Where the records of a suite lie, below a results folder or a published one."""
    return root / "records" / suite


def read_records(folder: Path) -> list[TrialRecord]:
    """All records of a folder: one a trial, named by it, all of the folder's suite. Raises UsageError."""
    records: list[TrialRecord] = []
    known: dict[str, Any] = {}
    for path in listed(folder, ".json"):
        record = _sharing(TrialRecord.from_file(path), known)
        if record.id != path.stem:
            raise UsageError(f"{path}: it is the record of the trial {record.id}, not of its name: rename or move it")
        suite = record.body["suite"]
        label = suite["name"] if suite["limit"] is None else f"{suite['name']}.limit-{suite['limit']}"
        if label != folder.name:
            raise UsageError(f"{path}: it is a record of the suite {label!r}, not of {folder.name!r}")
        if suite != (records or [record])[0].body["suite"]:
            raise UsageError(f"{path}: it describes the suite otherwise than {records[0].id[:12]} does")
        records.append(record)
    return records


SHARED = ("suite", "environment", "settings", "group_names", "group_aligned", "group_total", "train_group_total")
"""Keys whose values many records of a folder have alike: one is kept for those that follow each other."""


def _sharing(record: TrialRecord, known: dict[str, Any]) -> TrialRecord:
    """The same record, with values of the one read before it where they are equal. `known` is theirs, and changes."""
    body = dict(record.body)
    for name in SHARED:
        if name in body:
            same = repr(known.get(name)) == repr(body[name])  # 1, 1.0 and True are equal, and not the same
            known[name] = body[name] = known[name] if same else body[name]
    return TrialRecord(body, record.measured)


def sorted_records(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Sort by task, method, swept values and seed, whatever order the records were made in."""
    return sorted(
        records, key=lambda r: (r.body["task"], r.body["method"], canonical.dumps(r.body["swept"]), r.body["seed"])
    )
