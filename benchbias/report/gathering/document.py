"""The JSON document of a report: one part for each gatherer, one entry for each suite."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from benchbias.report.gathering.entries import gather_entries
from benchbias.report.gathering.head import gather_head
from benchbias.report.gathering.source import Source

Gatherer = Callable[[Source], Any]

PARTS: Mapping[str, Gatherer] = MappingProxyType(
    {
        "head": gather_head,
        "board": gather_entries,
    }
)
"""Parts of a suite's document by name: what JavaScript sees as `data.NAME`. None where a suite has no such material."""


def document_of(sources: Sequence[Source]) -> dict[str, Any]:
    """The document of a report. Raises UsageError where records contradict themselves."""
    return {
        "schema": 1,
        "version": importlib.metadata.version("benchbias"),
        "suites": [{name: gather(source) for name, gather in PARTS.items()} for source in sources],
    }
