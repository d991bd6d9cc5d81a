"""The sentences that a board begins with, made from its facts. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import MappingProxyType

from benchbias.board.entries import Entry
from benchbias.board.markdown.in_short import Best, InShort, Pruning, SparseTraining
from benchbias.board.text import gap_text, points_text, title
from benchbias.board.words import times

JUDGED = MappingProxyType(
    {
        "helps": "so it helps",
        "harms": "so it harms",
        "undecided": "which is undecided",
        "no difference": "which counts as no difference",
    }
)
"""Verdicts within a sentence."""


@dataclass(frozen=True)
class _Teller:
    """name: how the name of a row or a metric is written. rank_by: as the suite has it."""

    name: Callable[[str], str]
    rank_by: str

    def best(self, best: Best) -> str:
        entry, metric = best.entry, self.rank_by.removeprefix("-")
        most = "lowest" if self.rank_by.startswith("-") else "highest"
        value, seeds = points_text(entry.row.metrics.get(metric)), len(entry.row.seeds)
        over = f"{value} % over {seeds} {'seed' if seeds == 1 else 'seeds'}"
        if entry.row.marks.floor:
            return f"Without group labels, no row leaves the floor: the {most} mean {title(metric)} is {over}."
        told = (
            f"Without group labels, {self.name(entry.words)} has the {most} mean {title(metric)}: {over}"
            f"{_rank(entry.rank, best.of)}."
        )
        if entry.control is None or entry.row.to_baseline is None:
            return f"{told} It has no control to be held against."
        gap = f"{gap_text(entry.row.to_baseline)} points, {JUDGED[entry.verdict or 'undecided']}"
        told += f" Against its control {self.method(entry.control)} that is {gap}."
        if best.plain is not None and best.against is not None:
            told += (
                f" Its training costs {_times(entry)} that of {self.name(entry.row.reference or 'the reference')}. "
                f"Against {self.name(best.plain.words)}, plain training at {_times(best.plain)}, the difference is "
                f"{gap_text(best.against)} points (one pair, not adjusted)."
            )
        return told

    def method(self, label: str) -> str:
        """A row's method, without its swept values: its own row has them."""
        return self.name(label.partition("[")[0])

    def pruning(self, pruning: Pruning) -> str:
        rows, harmful = pruning.rows, pruning.harmful
        method, control = self.name(rows[0].row.method), self.method(rows[0].control or "")
        if not harmful:
            loss = "steady" if any(entry.verdict == "harms" for entry in rows) else "resolved"
            told = f"Pruning by {method} shows no {loss} loss up to {_amount(rows[-1])} sparsity, against {control}"
            return f"{told}: {_listed(_few(rows), judged=True)}."
        rest = rows[: len(rows) - len(harmful)]
        told = f"Pruning by {method} harms from {_amount(harmful[0])} sparsity on, against {control}"
        below = f" Below that: {_listed(_few(rest), judged=True)}." if rest else ""
        return f"{told}: {_listed(_few(harmful))}.{below}"

    def sparse(self, found: SparseTraining) -> str:
        first, longer, reference = found.same_steps, found.longer, self.name(found.reference)
        told = (
            f"Training sparse from the start ({self.name(first.words)}) for as many steps as {reference}, at "
            f"{_times(first)} its FLOPs: {_against(first, reference)}"
            f"{' (at the floor)' if first.row.marks.floor else ''}."
        )
        if longer is None or found.steps is None:
            return told
        return (
            f"{told} For {found.steps:.3g} times the steps ({self.name(longer.words)}), at {_times(longer)} its FLOPs: "
            f"{_against(longer, reference)}."
        )


def sentences(facts: InShort, rank_by: str, name: Callable[[str], str] = str) -> list[str]:
    """At most three paragraphs of a few sentences. rank_by: as the suite has it. name: how names are written."""
    teller = _Teller(name, rank_by)
    found = [
        None if facts.best is None else teller.best(facts.best),
        None if facts.pruning is None else teller.pruning(facts.pruning),
        None if facts.sparse is None else teller.sparse(facts.sparse),
    ]
    return [paragraph for paragraph in found if paragraph is not None]


def _rank(rank: tuple[int, int] | None, of: int) -> str:
    if rank is None or of < 2:
        return ""
    place = f"{rank[0]}" if rank[0] == rank[1] else f"{rank[0]}–{rank[1]}"
    return f", rank {place} of {of}"


def _times(entry: Entry) -> str:
    return times(entry.relative_cost).replace("×", " times")


def _few(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The first and the last of many."""
    return entries if len(entries) <= 3 else (entries[0], entries[-1])


def _amount(entry: Entry) -> str:
    return f"{100 * float(entry.row.swept['sparsity']):.6g} %"


def _listed(entries: Iterable[Entry], *, judged: bool = False) -> str:
    """Gaps by sparsity: `-9.4 ± 4.7 points at 80 %, -24.9 ± 5.4 at 90 %`."""
    parts: list[str] = []
    for entry in entries:
        unit = "" if parts else " points"
        verdict = f" ({entry.verdict})" if judged else ""
        parts.append(f"{gap_text(entry.row.to_baseline)}{unit} at {_amount(entry)}{verdict}")
    return ", ".join(parts)


def _against(entry: Entry, reference: str) -> str:
    return f"{gap_text(entry.row.to_reference)} points against {reference}"
