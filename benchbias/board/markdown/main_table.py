"""The one table of a board that a reader needs, in at most seven columns, and the meaning of its symbols. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchbias.board.entries import Entry
from benchbias.board.marks import CEILING_ROOM, FLOOR_ROOM, LEAST_FIT
from benchbias.board.text import EXAMPLES_ALONE, escaped, gap_text, points_text, rank_text, table_lines, title
from benchbias.board.words import LABELS, times
from benchbias.statistics.estimates import FEWEST_SEEDS, LEVEL, MARGIN
from benchbias.statistics.influence import LEASTS

COLLAPSED, FLOOR, CEILING, UNFITTED, RAISED, AGAIN = "‡", "§", "◊", "¶", "△", "≠"
LENIENT, STACKED = "≈", "≡"
MOST_NAMED = 6  # rows that a line names
MARKS = (
    (COLLAPSED, "Some seeds collapsed: aligned examples, where the shortcut alone would do, are mostly wrong: {rows}."),
    (FLOOR, f"At the floor: at most {100 * FLOOR_ROOM:.0f} points above one constant answer or the shortcut alone."),
    (CEILING, f"At the ceiling: at most {100 * CEILING_ROOM:.0f} point below the suite's ceiling, or above it."),
    (
        UNFITTED,
        f"Fits less than {100 * LEAST_FIT:.0f} % of the conflicting training examples: it shows what training has not "
        "learnt, not only what the method does.",
    ),
    (RAISED, "A large bias of the least group was taken off; of so few examples a group the interval may miss."),
    (AGAIN, "Not reproducible: computed again, some seeds came out otherwise, and the first result counts: {rows}."),
    (
        LENIENT,
        "Not deterministic: the recipe lets be what has no deterministic form, so the numbers may not come again.",
    ),
    (
        STACKED,
        "Trained stacked: several seeds at once, whose sums are rounded otherwise than those of a seed alone.",
    ),
)
"""Symbols beside a method, and their meaning."""


def main_table(
    entries: Sequence[Entry], rank_by: str, pages: Mapping[str, str], controls: Mapping[str, str]
) -> list[str]:
    """The table of some entries of a task; whose labels they used is a column where that differs, else the heading's.

    pages: a link for some methods. controls: rows in words, by their labels, where a method has several.
    """
    metric = rank_by.removeprefix("-")
    header = ["rank", "method", _column(metric), "against its control", "verdict", "cost", "labels"]
    several = len({entry.row.track for entry in entries}) > 1
    shown = len(header) if several or not all(entry.row.ranked for entry in entries) else len(header) - 1
    return table_lines([_cells(entry, metric, pages, controls)[:shown] for entry in entries], header[:shown])


def _column(metric: str) -> str:
    """The title of the column that ranks, short."""
    return "worst group" if metric == "worst_group_accuracy" else title(metric)


def _cells(entry: Entry, metric: str, pages: Mapping[str, str], controls: Mapping[str, str]) -> list[str]:
    row, gap = entry.row, entry.row.to_baseline
    shown = gap_text(gap)
    bold = f"**{shown}**" if entry.verdict in ("helps", "harms") else shown
    symbols = "".join(symbol for symbol, found in symbols_of(entry).items() if found)
    return [
        rank_text(entry.rank),
        f"{_linked(entry, pages)}{f' {symbols}' if symbols else ''}",
        points_text(row.metrics.get(metric)),
        f"{bold} to {escaped(controls.get(entry.control or '', row.baseline or ''))}" if gap is not None else "–",
        entry.verdict or "–",
        times(entry.relative_cost),
        escaped(LABELS.get(row.track, row.track)),
    ]


def symbols_of(entry: Entry) -> Mapping[str, bool]:
    """Whether each symbol stands beside a row."""
    marks = entry.row.marks
    return {
        COLLAPSED: marks.collapsed > 0,
        FLOOR: marks.floor,
        CEILING: marks.ceiling,
        UNFITTED: marks.unfitted is not None,
        RAISED: marks.biased is not None,
        AGAIN: marks.conflicts > 0,
        LENIENT: marks.lenient,
        STACKED: marks.stacked > 1,
    }


def _linked(entry: Entry, pages: Mapping[str, str]) -> str:
    """A row in words; its method is a link where it has a page."""
    method = entry.row.method
    rest = escaped(entry.words.removeprefix(method))
    name = f"[{escaped(method)}]({pages[method]})" if method in pages else escaped(method)
    return f"{name}{rest}"


def symbol_lines(entries: Sequence[Entry]) -> list[str]:
    """A line for each symbol that stands in a table of these entries."""
    lines = []
    for symbol, meaning in MARKS:
        rows = [entry for entry in entries if symbols_of(entry)[symbol]]
        named = ", ".join(f"{escaped(entry.words)} ({_seeds(entry, symbol)})" for entry in rows[:MOST_NAMED])
        named += f", and {len(rows) - MOST_NAMED} rows more" if len(rows) > MOST_NAMED else ""
        lines += [f"- {symbol}: {meaning.format(rows=named)}"] if rows else []
    few = [entry for entry in entries if len(entry.row.seeds) < FEWEST_SEEDS]
    if few:
        lines.append(
            f"- {EXAMPLES_ALONE}: fewer than {FEWEST_SEEDS} seeds: the interval is of the test examples alone, for "
            "these networks. Nothing is ranked or judged."
        )
    return lines


def _rows_told(entries: Sequence[Entry]) -> str:
    """The meaning of what stands after the methods' names."""
    swept = {name for entry in entries for name in entry.row.swept}
    layers = ", of these layers" if "layers" in swept else ""
    parts = [f"`80 %` is a sparsity, the share of weights removed{layers}"] if "sparsity" in swept else []
    parts += ["`density` is the share kept"] if "density" in swept else []
    others = ", ".join(escaped(name.replace("_", " ")) for name in sorted(swept - {"sparsity", "density"}))
    parts += [f"{others}: a setting"] if others else []
    return f"{'; '.join(parts)}." if parts else "its name, as `benchbias show` takes it."


def _seeds(entry: Entry, symbol: str) -> str:
    """How many of a row's seeds a symbol is of."""
    marks = entry.row.marks
    return f"{marks.conflicts if symbol == AGAIN else marks.collapsed} of {marks.seeds} seeds"


def column_lines(entries: Sequence[Entry], rank_by: str) -> list[str]:
    """A line for each column of the main table."""
    metric, better = title(rank_by.removeprefix("-")), "lower" if rank_by.startswith("-") else "higher"
    reference = next((entry.row.reference for entry in entries if entry.row.reference), None)
    least = " The bias of a least of few examples is taken off." if rank_by.removeprefix("-") in LEASTS else ""
    lines = [
        f"- **rank**: by {metric}, {better} is better. `2–4`: one row is resolved as better; all but four are "
        "resolved as worse. Every pair of the table is tested, adjusted for their number (Holm).",
        f"- **method**: {_rows_told(entries)}",
        f"- **{_column(rank_by.removeprefix('-'))}**: {metric} in percent, mean over seeds, with the bounds of its "
        f"{100 * LEVEL:.0f} % interval.{least}",
        "- **against its control**: points, on the same seeds and test images, ± half of the interval. The control has "
        "the same stages without what is tested. Bold: the verdict is *helps* or *harms*.",
        "- **verdict**: *helps* or *harms*: the difference from the control is resolved. *No difference*: it is within "
        f"{100 * MARGIN:g} points, of networks that have learnt the task. *Undecided*: neither is shown. Each is "
        "adjusted for all rows of the task (Holm). The ± is not: it is of one row alone, so a difference may be "
        "undecided though its interval leaves out zero.",
        "- **labels**: whose group labels the method, its settings or its choice of an epoch used.",
    ]
    if reference:
        lines.append(f"- **cost**: FLOPs of training over those of {escaped(reference)}, counted from kept weights.")
    return lines
