"""Sources -> the file of a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchbias.errors import UsageError
from benchbias.report.document import document_of
from benchbias.report.gathering.source import Source
from benchbias.report.page.html import page
from benchbias.util.files import storage_errors

SUFFIXES = (".html", ".htm")


def check_report_path(path: Path) -> None:
    """Refuse a file whose name says no HTML, and one in a folder that is not there. Raises UsageError."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"-o {path}: the file's name must end in {' or '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise UsageError(f"-o {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise UsageError(f"-o {path}: it is a folder; name a file")


def report_of(sources: Sequence[Source]) -> str:
    """The page of a report as text, the same from the same records."""
    return page(document_of(sources), f"benchbias report: {', '.join(source.suite for source in sources)}")


def write_report(sources: Sequence[Source], path: Path) -> int:
    """Write the report; its size in bytes is returned. Raises UsageError, and StorageError where it cannot."""
    check_report_path(path)
    content = report_of(sources).encode()
    with storage_errors(f"-o: cannot write {path}"):
        path.write_bytes(content)
    return len(content)
