"""The JSON document of a report: one part for each gatherer, one entry for each suite."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from benchbias.report.cards.claims import gather_claims
from benchbias.report.cards.manifest import gather_manifest
from benchbias.report.cards.method_and_task import gather_cards
from benchbias.report.gathering.balance import gather_balance
from benchbias.report.gathering.entries import gather_entries
from benchbias.report.gathering.groups import gather_groups
from benchbias.report.gathering.head import gather_head
from benchbias.report.gathering.heat import gather_heat
from benchbias.report.gathering.sentences import gather_sentences
from benchbias.report.gathering.source import Source
from benchbias.report.images.gallery import gather_gallery

Gatherer = Callable[[Source], Any]

PARTS: Mapping[str, Gatherer] = MappingProxyType(
    {
        "head": gather_head,
        "sentences": gather_sentences,
        "board": gather_entries,
        "groups": gather_groups,
        "gallery": gather_gallery,
        "balance": gather_balance,
        "heat": gather_heat,
        "cards": gather_cards,
        "manifest": gather_manifest,
    }
)
"""Parts of a suite's document by name: what JavaScript sees as `data.NAME`. None where a suite has no such material."""


def document_of(sources: Sequence[Source]) -> dict[str, Any]:
    """The document of a report. Raises UsageError where records contradict themselves."""
    claims = gather_claims(sources)
    return {
        "schema": 1,
        "version": importlib.metadata.version("benchbias"),
        "suites": [
            {**{name: gather(source) for name, gather in PARTS.items()}, "claims": own}
            for source, own in zip(sources, claims, strict=True)
        ],
    }
