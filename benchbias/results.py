"""Records of trials: all that a leaderboard is built from. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchbias import canonical
from benchbias.bodies import TRACKS as TRACKS
from benchbias.bodies import check_document
from benchbias.columns import check_table
from benchbias.errors import BenchbiasError, StorageError, UsageError, unknown
from benchbias.estimates import Estimate
from benchbias.files import read_regular

if TYPE_CHECKING:
    import pandas
    from torch import Tensor

    from benchbias.data import Predictions

RECORD_SCHEMA = 1
MAX_RECORD_BYTES = 16 << 20
ESTIMATE_PARTS = ("standard_error", "degrees_of_freedom", "n")


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
    def from_file(path: Path) -> TrialRecord:
        """Read a record. Raises UsageError naming the file, StorageError where the disk refuses."""
        try:
            text = read_regular(path, MAX_RECORD_BYTES)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None
        except OSError as error:
            raise StorageError(f"{path}: cannot be read: {error.strerror}") from None
        try:
            document = canonical.loads(text)
            schema = document.get("schema") if isinstance(document, dict) else None
            if schema != RECORD_SCHEMA or isinstance(schema, bool):
                raise UsageError(f"its schema is not {RECORD_SCHEMA}")
            check_document(document)
            return TrialRecord(document["body"], document["measured"])
        except (StorageError, UsageError) as error:
            raise UsageError(f"{path}: not a record: {error}") from None


def record_folder(root: Path, suite: str) -> Path:
    """Where the records of a suite lie, below a results folder or a published one."""
    return root / "records" / suite


def read_records(folder: Path) -> list[TrialRecord]:
    """All records of a folder: one a trial, named by it, all of the folder's suite. Raises UsageError."""
    records: list[TrialRecord] = []
    for path in sorted(folder.glob("*.json")):
        record = TrialRecord.from_file(path)
        if record.id != path.stem:
            raise UsageError(f"{path}: it is the record of the trial {record.id}, not of its name")
        suite = record.body["suite"]
        label = suite["name"] if suite["limit"] is None else f"{suite['name']}.limit-{suite['limit']}"
        if label != folder.name:
            raise UsageError(f"{path}: it is a record of the suite {label!r}, not of {folder.name!r}")
        if suite != (records or [record])[0].body["suite"]:
            raise UsageError(f"{path}: it describes the suite otherwise than {records[0].id[:12]} does")
        records.append(record)
    return records


@dataclass(frozen=True)
class Table:
    """What a probe or an analysis returns: columns by name, each (kind, unit, values); all of one length.

    kind: text (str), number (float), count (int from 0), fraction (float from 0 to 1), estimate (an `Estimate`; of
    an analysis only) or image (int: an index into a split; at most one such column). None or NaN where a number is
    undefined. Of probes a board averages rows of equal texts over seeds, and a claim names a row of an analysis by
    its texts: what tells two rows apart stands in text columns. Raises ValueError.
    """

    columns: Mapping[str, tuple[str, str, tuple[Any, ...]]]
    caption: str

    def __post_init__(self) -> None:
        check_table(self.caption, [(name, *column) for name, column in self.columns.items()])

    def to_json(self) -> dict[str, Any]:
        """As a record holds it: columns in their order, undefined values as null."""
        columns = [
            {"name": name, "kind": kind, "unit": unit, "values": [_plain(kind, value) for value in values]}
            for name, (kind, unit, values) in self.columns.items()
        ]
        return {"caption": self.caption, "columns": columns}

    def to_frame(self) -> pandas.DataFrame:
        """A pandas DataFrame. An estimate takes four columns: its mean, `.standard_error`, `.degrees_of_freedom`, `.n`.

        What is undefined is NaN or None.
        """
        import pandas

        columns: dict[str, Any] = {}
        for name, (kind, _, values) in self.columns.items():
            if kind != "estimate":
                columns[name] = list(values)
                continue
            parts = [(None,) * 4 if value is None else value.parts for value in values]
            for at, part in enumerate(("", *ESTIMATE_PARTS)):
                columns[f"{name}.{part}" if part else name] = [value[at] for value in parts]
        return pandas.DataFrame(columns)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Table:
        """The table that `to_json` gave. Raises ValueError."""
        columns = {
            c["name"]: (c["kind"], c["unit"], tuple(_value(c["kind"], item) for item in c["values"]))
            for c in value["columns"]
        }
        return Table(columns, value["caption"])


def _plain(kind: str, value: Any) -> Any:
    """A value as JSON: a number has one form, whether it was written as 1 or as 1.0."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if kind == "estimate":
        mean, error, freedom, number = value.parts if isinstance(value, Estimate) else value
        return [float(mean), *(None if part is None else float(part) for part in (error, freedom)), number]
    return float(value) if kind in ("number", "fraction") else value


def _value(kind: str, value: Any) -> Any:
    return Estimate.of(*value) if kind == "estimate" and value is not None else value


@dataclass(frozen=True)
class Member:
    """One trial of a population: its method, swept values and seed, its record, its predictions by split.

    predictions: of the scored split (`test`), of `train`, and of the splits that the task's `predict` names.
    trained_on: where the task has a `train_fraction`, which items of the split `train-all` this member was trained
    on, bool (n,); else None.
    """

    method: str
    swept: Mapping[str, Any]
    seed: int
    record: TrialRecord
    predictions: Mapping[str, Predictions]
    trained_on: Tensor | None = None

    @property
    def row(self) -> str:
        """The row of the board that it belongs to: `method[name=value]`."""
        return row_label(self.method, self.swept)


@dataclass(frozen=True)
class Population:
    """All trials of one task that are done: what an analysis is given, in the order of the suite's rows and seeds."""

    members: tuple[Member, ...]

    def rows(self) -> dict[str, tuple[Member, ...]]:
        """The members of every row, by the row's name, in the order of seeds."""
        found: dict[str, list[Member]] = {}
        for member in self.members:
            found.setdefault(member.row, []).append(member)
        return {row: tuple(sorted(members, key=lambda member: member.seed)) for row, members in found.items()}

    def pairs(self) -> list[tuple[Member, Member]]:
        """(baseline, member) of one seed, for every member whose method names a baseline that is there.

        Of a baseline with swept values it is the one whose values the member shares.
        """
        by_method: dict[tuple[str, int], list[Member]] = {}
        for member in self.members:
            by_method.setdefault((member.method, member.seed), []).append(member)
        found = []
        for member in self.members:
            baseline = member.record.body["baseline"]
            others = by_method.get((baseline, member.seed), []) if baseline != member.method else []
            twins = [other for other in others if _shares_values(other, member)]
            found += [(twins[0], member)] if len(twins) == 1 else []
        return found

    def require_same_examples(self, split: str = "test") -> None:
        """Raises BenchbiasError unless all members answer the same examples of a split, in the same order."""
        kept = [member.predictions[split] for member in self.members if split in member.predictions]
        if len(kept) < len(self.members):
            raise BenchbiasError(f"split {split!r} was not predicted by every trial: name it in the task's `predict`")
        for one in kept[1:]:
            same = all(getattr(one, n).equal(getattr(kept[0], n)) for n in ("labels", "groups", "cluster"))
            if not same:
                raise BenchbiasError(
                    f"the trials answer different examples of {split!r}: a population needs one data set; fix its seed "
                    "in the task (dataset = { ..., seed = 0 })"
                )


def _shares_values(other: Member, member: Member) -> bool:
    """Whether a member has every swept value of another that is its own too."""
    return all(member.swept.get(name, value) == value for name, value in other.swept.items())


def sorted_records(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """In the order of task, method, swept values, seed: whatever order they were made in."""
    return sorted(
        records, key=lambda r: (r.body["task"], r.body["method"], canonical.dumps(r.body["swept"]), r.body["seed"])
    )


def value_text(value: Any) -> str:
    """A swept value in a row's name: a list of layers is `conv1+conv2`."""
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


def row_label(method: str, swept: Mapping[str, Any]) -> str:
    """E.g. `magnitude[sparsity=0.8]`; a list of layers is `conv1+conv2`."""
    values = ", ".join(f"{name}={value_text(value)}" for name, value in swept.items())
    return f"{method}[{values}]" if values else method
