"""The sentences that a board begins with, made from its facts. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import MappingProxyType

from benchbias.board.entries import Entry
from benchbias.board.markdown.in_short import Best, InShort, Pruning, SparseTraining
from benchbias.board.text import gap_text, points_text, rank_text, title
from benchbias.board.words import times
from benchbias.statistics.estimates import Estimate

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

    @property
    def metric(self) -> str:
        return self.rank_by.removeprefix("-")

    @property
    def most(self) -> str:
        return "lowest" if self.rank_by.startswith("-") else "highest"

    def value(self, entry: Entry) -> str:
        return f"{points_text(entry.row.metrics.get(self.metric))} %"

    def best(self, best: Best) -> list[str]:
        entry, seeds = best.entry, len(best.entry.row.seeds)
        over = f"{self.value(entry)} over {seeds} {'seed' if seeds == 1 else 'seeds'}"
        if entry.row.marks.floor:
            return [
                f"No ranked row without group labels leaves the floor: the {self.most} {title(self.metric)} is {over}."
            ]
        told = []
        if best.of > 1 and not best.resolved:
            told.append(f"No two of the {best.of} ranked rows without group labels are resolved.")
        told.append(
            f"{self.name(entry.words)} has the {self.most} mean {title(self.metric)} of the ranked rows without group "
            f"labels: {over}{_rank(entry.rank, best.of) if best.resolved else ''}."
        )
        if best.higher is not None:
            told.append(f"A control has a better mean: {self.name(best.higher.words)}, {self.value(best.higher)}.")
        return told + self.against(best)

    def against(self, best: Best) -> list[str]:
        """The best row beside its own control, and beside one that cost as much."""
        entry = best.entry
        if entry.row.to_baseline is None or entry.verdict is None:
            return []
        gap = f"{gap_text(entry.row.to_baseline)} points, {JUDGED[entry.verdict]}"
        told = [f"Against its control {self.method(entry.control or '')} that is {gap}."]
        if best.as_dear is not None:
            reference = self.name(entry.row.reference or "the reference")
            told.append(
                f"It costs {_times(entry)} the training of {reference}. Against {self.name(best.as_dear.other.words)}, "
                f"a control at {_times(best.as_dear.other)}, the difference is {_pair(best.as_dear.gap)}."
            )
        return told

    def method(self, label: str) -> str:
        """A row's method, without its swept values: its own row has them."""
        return self.name(label.partition("[")[0])

    def pruning(self, pruning: Pruning) -> list[str]:
        rows, harmful = pruning.rows, pruning.harmful
        method, control = self.name(rows[0].row.method), self.method(rows[0].control or "")
        if not harmful:
            loss = "steady" if any(entry.verdict == "harms" for entry in rows) else "resolved"
            told = f"Pruning ({method}) shows no {loss} loss up to {_amount(rows[-1])} sparsity, against {control}"
            return [f"{told}: {_listed(_few(rows), judged=True)}."]
        rest = rows[: len(rows) - len(harmful)]
        told = f"Pruning ({method}) harms from {_amount(harmful[0])} sparsity on, against {control}"
        below = [f"Below that: {_listed(_few(rest), judged=True)}."] if rest else []
        return [f"{told}: {_listed(_few(harmful))}.", *below]

    def sparse(self, found: SparseTraining) -> list[str]:
        first, longer, reference = found.same_steps, found.longer, self.name(found.reference)
        floor = ", at the floor" if first.row.marks.floor else ""
        told = [
            f"Sparse training ({self.name(first.words)}) for the steps of {reference} takes {_times(first)} its FLOPs: "
            f"{_pair(first.row.to_reference)} against {reference}{floor}."
        ]
        if longer is None:
            return told
        told.append(
            f"For {found.steps:.3g} times the steps ({self.name(longer.words)}) it takes {_times(longer)} the FLOPs of "
            f"{reference}: {_pair(longer.row.to_reference)} against {reference}."
        )
        if found.as_long is not None:
            dense = self.name(found.as_long.other.words)
            told.append(f"Against {dense}, dense for as many steps: {_pair(found.as_long.gap)}.")
        return [*told, "These pairs are not adjusted."]


def sentences(facts: InShort, rank_by: str, name: Callable[[str], str] = str) -> list[str]:
    """At most three paragraphs of a few sentences. rank_by: as the suite has it. name: how names are written."""
    teller = _Teller(name, rank_by)
    found = [
        [] if facts.best is None else teller.best(facts.best),
        [] if facts.pruning is None else teller.pruning(facts.pruning),
        [] if facts.sparse is None else teller.sparse(facts.sparse),
    ]
    return [" ".join(paragraph) for paragraph in found if paragraph]


def _pair(gap: Estimate | None) -> str:
    """A difference that nobody adjusted, and whether its interval includes zero."""
    if gap is None:
        return "not known"
    low, high = gap.interval() if gap.half_width is not None else (gap.mean, gap.mean)
    return f"{gap_text(gap)} points{', not resolved' if low <= 0 <= high else ''}"


def _rank(rank: tuple[int, int] | None, of: int) -> str:
    return f", rank {rank_text(rank)} of {of}" if rank is not None and of > 1 else ""


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
        unit, marks = "" if parts else " points", entry.row.marks
        notes = [str(entry.verdict)] if judged else []
        notes += [f"{marks.collapsed} of {marks.seeds} seeds collapsed"] if marks.collapsed else []
        notes += ["at the floor"] if marks.floor and not marks.collapsed else []
        note = f" ({', '.join(notes)})" if notes else ""
        parts.append(f"{gap_text(entry.row.to_baseline)}{unit} at {_amount(entry)}{note}")
    return ", ".join(parts)
