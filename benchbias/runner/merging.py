"""Records added to a published folder: what is there stays, unless it is replaced, and its board is of all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from benchbias.board.markdown.surroundings import surroundings
from benchbias.board.published.files import published_files
from benchbias.board.scored import Scored
from benchbias.errors import NewerRecordError, StorageError, UsageError
from benchbias.records.analysis import AnalysisRecord, analysis_folder, read_analyses
from benchbias.records.latency import Latency, latency_file, read_latency, readable_latency
from benchbias.records.row_name import row_name
from benchbias.records.trial import TrialRecord, read_records, record_folder
from benchbias.statistics.cells import MAX_LAYOUT_BYTES, CellLayout, read_layouts
from benchbias.store.store import Store
from benchbias.util.files import is_regular, listed, read_regular, storage_errors

DATE = "published.txt"
"""The file of a suite's published records that says when they last changed."""

Tell = Callable[[str], None]
Record = TypeVar("Record", TrialRecord, AnalysisRecord)


@dataclass(frozen=True)
class Content:
    """All that a suite's board is made of: records by trial, layouts by digest, analyses by file.

    latency: what was measured of the networks, which no record has.
    """

    records: Mapping[str, TrialRecord]
    layouts: Mapping[str, CellLayout]
    analyses: Mapping[str, AnalysisRecord]
    latency: Latency | None = None

    @staticmethod
    def of(
        records: Sequence[TrialRecord],
        layouts: Mapping[str, CellLayout],
        analyses: Sequence[AnalysisRecord],
        latency: Latency | None = None,
    ) -> Content:
        """Make it from lists."""
        return Content({one.id: one for one in records}, layouts, {one.file: one for one in analyses}, latency)

    @property
    def used_layouts(self) -> set[str]:
        """The digests of the layouts in which records count."""
        return {one.body["correct"]["layout"] for one in self.records.values() if one.body["status"] == "ok"}

    @property
    def files(self) -> set[str]:
        """The files of it, relative to the folder of the suite's records."""
        named = {f"{trial}.json" for trial in self.records} | {f"test/{digest}.json" for digest in self.used_layouts}
        return named | {str(analysis_folder(Path()) / file) for file in self.analyses}

    def with_others(self, there: Content) -> Content:
        """This, and what else is there."""
        return Content(
            {**there.records, **self.records},
            {**there.layouts, **self.layouts},
            {**there.analyses, **self.analyses},
            self.latency,
        )


def publish_to(
    publish: Path, suite: str, new: Content, store: Store, command: str, *, replace: bool, tell: Tell
) -> dict[str, str]:
    """Write records, layouts, analyses and the files of the board of all that the folder then has, which are returned.

    Raises UsageError where old and new do not fit together, or what is there was made by a newer benchbias: then
    nothing has been written.
    """
    folder = record_folder(publish, suite)
    there = _readable(folder) if replace else _whole(folder)
    if not replace:
        _refuse_others(folder, there, new)
    content = new if replace else new.with_others(there)
    texts = _texts(new, record_folder(store.root, suite))
    date = date_of(folder) if _unchanged(folder, texts) else datetime.now(UTC).date().isoformat()
    analyses = [content.analyses[file] for file in sorted(content.analyses)]
    scored = Scored.of(list(content.records.values()), content.layouts, analyses)
    latency = _latency(publish, suite, new, tell)
    boards = published_files(suite, scored, command, date=date, pages=surroundings(publish), latency=latency)
    _tell_changes(there, new, tell)
    going = [path for path in _files(folder) if str(path.relative_to(folder)) not in new.files] if replace else []
    for path in going:
        tell(f"removes {path}{_named(path, there)}")
    for name, written in texts.items():
        store.replace(folder / name, written)
    for path in going:
        with storage_errors(f"cannot remove {path}"):
            path.unlink(missing_ok=True)
    if new.latency is not None:
        store.replace(latency_file(publish, suite), new.latency.to_text())
    if date is not None:
        store.replace(folder / DATE, f"{date}\n")
    for name, text in boards.items():
        store.replace(publish / name, text)
    return boards


def _latency(publish: Path, suite: str, new: Content, tell: Tell) -> Latency | None:
    """The milliseconds and bytes that the folder then has.

    Raises NewerRecordError where a newer benchbias's file would be replaced.
    """
    if new.latency is None:
        return readable_latency(publish, suite, tell)
    try:
        read_latency(publish, suite)
    except NewerRecordError:
        raise
    except UsageError as error:
        tell(f"replaced: {error}")
    return new.latency


def date_of(folder: Path) -> str | None:
    """The day on which a published suite's records last changed, ISO 8601; None where the folder does not say it.

    Raises UsageError for a file that says no day.
    """
    path = folder / DATE
    try:
        found = re.fullmatch(rb"(\d{4}-\d{2}-\d{2})\n?", read_regular(path, 100))
        return datetime.fromisoformat(found[1].decode() if found else "").date().isoformat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    except ValueError:
        raise UsageError(f"{path}: is damaged: it must hold one day, such as 2026-01-31") from None


def _unchanged(folder: Path, texts: Mapping[str, str]) -> bool:
    """Whether a published folder has these files with these contents already, and a date."""
    there = ((folder / name, text.encode()) for name, text in texts.items())
    return date_of(folder) is not None and all(is_regular(path) and path.read_bytes() == text for path, text in there)


def _texts(new: Content, source: Path) -> dict[str, str]:
    """The files that are written, layouts first: a record without its layout could not be read."""
    found = {}
    for digest in sorted(new.used_layouts):
        path = source / "test" / f"{digest}.json"
        with storage_errors(f"cannot read {path}"):
            found[f"test/{digest}.json"] = read_regular(path, MAX_LAYOUT_BYTES).decode()
    found |= {f"{trial}.json": record.to_text() for trial, record in new.records.items()}
    return found | {str(analysis_folder(Path()) / file): one.to_text() for file, one in new.analyses.items()}


def _whole(folder: Path) -> Content:
    """All that a published folder holds of a suite. Raises UsageError where some of it is none, or of another suite."""
    try:
        return Content.of(read_records(folder), read_layouts(folder), read_analyses(folder))
    except UsageError as error:
        replaced = "" if isinstance(error, NewerRecordError) else " (with --replace it goes, and all that is not new)"
        raise UsageError(f"{error}; nothing was published{replaced}") from None


def _readable(folder: Path) -> Content:
    """The trials that can be read: the rest is to go. Raises NewerRecordError for what a newer benchbias has made."""
    records = [record for path in listed(folder, ".json") if (record := _tried(TrialRecord.from_file, path))]
    for path in listed(analysis_folder(folder), ".json"):
        _tried(AnalysisRecord.from_file, path)
    return Content.of(records, {}, [])


def _tried(read: Callable[[Path], Record], path: Path) -> Record | None:
    try:
        return read(path)
    except NewerRecordError:
        raise
    except (UsageError, StorageError):
        return None


def _files(folder: Path) -> list[Path]:
    """All files of a suite's records, sorted; those of other programs are none. Raises StorageError."""
    return sorted(path for one in (folder, folder / "test", analysis_folder(folder)) for path in listed(one, ".json"))


def _refuse_others(folder: Path, there: Content, new: Content) -> None:
    """Raises UsageError where what stays describes the suite otherwise: one board cannot show both."""
    head = next(iter(new.records.values())).body["suite"]
    stay: list[tuple[str, Mapping[str, Any]]] = [
        *((_label(one), one.body) for trial, one in there.records.items() if trial not in new.records),
        *((one.label, one.body) for file, one in there.analyses.items() if file not in new.analyses),
    ]
    others = [(label, body["suite"]["version"]) for label, body in stay if body["suite"] != head]
    if others:
        raise UsageError(
            f"{folder} holds {len(others)} records that describe the suite otherwise (version {others[0][1]}, these "
            f"are of version {head['version']}), e.g. {others[0][0]}: --replace removes them; nothing was published"
        )


def _tell_changes(there: Content, new: Content, tell: Tell) -> None:
    """Say which records are given another body, and how many there are of each kind."""
    known = new.records.keys() & there.records.keys()
    changed = [trial for trial in sorted(known) if there.records[trial].body != new.records[trial].body]
    for trial in changed:
        tell(f"replaces {_label(new.records[trial])} ({trial[:12]}): the published body is another")
    stay = [record for trial, record in there.records.items() if trial not in known]
    tell(
        f"{len(new.records) - len(known)} records added, {len(known)} were there ({len(changed)} with another body), "
        f"{len(stay)} others stay"
    )
    made = {_row(record): _maker(record) for record in new.records.values()}
    older = [record for record in stay if made.get(_row(record), _maker(record)) != _maker(record)]
    if older:
        rows = sorted({"/".join(_row(record)) for record in older})
        tell(f"rows of which older seeds stay, made by other code or packages than the new ones: {', '.join(rows)}")


def _row(record: TrialRecord) -> tuple[str, str]:
    return record.body["task"], row_name(record.body["method"], record.body["swept"])


def _maker(record: TrialRecord) -> tuple[Any, Any]:
    """The code and the packages that have made a record."""
    return record.measured.get("code"), record.body.get("environment")


def _label(record: TrialRecord) -> str:
    return "/".join((*_row(record), str(record.body["seed"])))


def _named(path: Path, there: Content) -> str:
    record = there.records.get(path.stem)
    return f" ({_label(record)})" if record is not None else ""
