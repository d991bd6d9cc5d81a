"""Records of analyses: the tables of a suite's analyses as files, beside the records of its trials. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbias.errors import NewerRecordError, StorageError, UsageError, unknown
from benchbias.records.schema import AnalysisFile, check_document
from benchbias.records.table import Table
from benchbias.records.trial import MAX_RECORD_BYTES, RECORD_SCHEMA, refuse_newer_record
from benchbias.util import canonical
from benchbias.util.files import listed, read_regular


@dataclass(frozen=True)
class AnalysisRecord:
    """One analysis of one task's trials: a function of the key of its stage.

    conflict: whether it came out otherwise when it was computed again.
    """

    body: Mapping[str, Any]
    conflict: bool = False

    @property
    def name(self) -> str:
        return str(self.body["analysis"])

    @property
    def task(self) -> str:
        return str(self.body["task"])

    @property
    def label(self) -> str:
        """E.g. `digits/recall_balance`."""
        return f"{self.task}/{self.name}"

    @property
    def table(self) -> Table | None:
        """None where there is none: see `reason` in the body."""
        found = self.body.get("table")
        return None if found is None else Table.from_json(found)

    @property
    def file(self) -> str:
        """The name of its file, which no other analysis of the suite has: names hold no `+`."""
        return f"{self.task}+{self.name}.json"

    def to_text(self) -> str:
        """The record's file: canonical JSON."""
        marked = {"conflict": True} if self.conflict else {}
        return canonical.dumps({"schema": RECORD_SCHEMA, "body": dict(self.body), **marked}) + "\n"

    @staticmethod
    def from_text(text: str | bytes) -> AnalysisRecord:
        """The record that a file's text holds. Raises UsageError."""
        document = canonical.loads(text)
        refuse_newer_record(document)
        check_document(document, AnalysisFile)
        return AnalysisRecord(document["body"], document.get("conflict", False))

    @staticmethod
    def from_file(path: Path) -> AnalysisRecord:
        """Read the record of an analysis. Raises UsageError naming the file, StorageError where the disk refuses."""
        try:
            record = AnalysisRecord.from_text(read_regular(path, MAX_RECORD_BYTES))
            if record.file != path.name:
                raise UsageError(f"it is the record of {record.label}, not of its name")
            return record
        except NewerRecordError as error:
            raise NewerRecordError(f"{path}: not a record: {error}") from None
        except (StorageError, UsageError) as error:
            raise UsageError(f"{path}: not the record of an analysis: {error}") from None
        except OSError as error:
            raise StorageError(f"{path}: cannot be read: {error.strerror}") from None


def analysis_folder(records: Path) -> Path:
    """Where the analyses of a suite lie, below the folder of its records."""
    return records / "analyses"


def read_analyses(records: Path) -> list[AnalysisRecord]:
    """All analyses beside a suite's records, by name. Raises UsageError."""
    return [AnalysisRecord.from_file(path) for path in listed(analysis_folder(records), ".json")]


def find_analysis(found: Sequence[AnalysisRecord], name: str, task: str | None, where: str) -> AnalysisRecord:
    """The analysis of a name; task: may be left out where there is one. Raises UsageError."""
    named = [record for record in found if record.name == name]
    if not named:
        raise UsageError(unknown("analysis", name, dict.fromkeys(record.name for record in found), where))
    tasks = [record.task for record in named]
    if task is None and len(tasks) > 1:
        raise UsageError(f"{where}: {name!r} is of several tasks: name one (known: {', '.join(tasks)})")
    if task is not None and task not in tasks:
        raise UsageError(unknown("task", task, tasks, where))
    return named[tasks.index(task)] if task is not None else named[0]
