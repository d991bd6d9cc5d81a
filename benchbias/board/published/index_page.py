"""The page of all published boards, and of rows over several tasks. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchbias.board.entries import Entry
from benchbias.board.markdown.surroundings import Surroundings
from benchbias.board.published.across import FEWEST_TASKS, HEADLINE_TASKS, NOT_LEARNT, Across, across
from benchbias.board.text import escaped, points_text, table_lines, title
from benchbias.statistics.estimates import LEVEL


@dataclass(frozen=True)
class Published:
    """One published board: its suite's name and title, the date, its entries, and the metric that ranks."""

    name: str
    title: str
    date: str | None
    entries: tuple[Entry, ...]
    rank_by: str


def index_page(boards: Sequence[Published], pages: Surroundings) -> str:
    """All boards of a folder as markdown: which task, which best row; then rows over the tasks that count."""
    lines = ["# Leaderboards", "", *_first(boards, pages)]
    lines += ["", "## All boards", "", *map(_board, boards)]
    return "\n".join(lines) + "\n"


def _first(boards: Sequence[Published], pages: Surroundings) -> list[str]:
    counted = [board for board in boards if (page := pages.suites.get(board.name)) is not None and page.overall]
    rows = across(board.entries for board in counted)
    tasks = list(dict.fromkeys(entry.row.task for board in counted for entry in board.entries))
    if not rows:
        return [f"No row stands on boards of {FEWEST_TASKS} tasks: there is nothing to say across tasks."]
    links = ", ".join(f"[{escaped(board.name)}]({board.name}.md)" for board in counted)
    return [
        f"Rows that stand on at least {FEWEST_TASKS} of {len(tasks)} tasks ({escaped(', '.join(tasks))}), by the group "
        f"labels that they used. The boards are {links}.",
        "",
        *table_lines([_cells(row, pages.methods) for row in rows], HEADER),
        "",
        f"No number over tasks stands alone below {HEADLINE_TASKS} independent tasks, and tasks that share images are "
        "not independent. Read the board of the task that is most like yours.",
        "",
        *_legend(),
    ]


WORDS = ("helps", "no difference", "undecided", "harms", NOT_LEARNT)
HEADER = ("method", "labels", "tasks", *WORDS, "place")


def _cells(row: Across, pages: Mapping[str, str]) -> list[str]:
    method, comma, rest = row.words.partition(", ")
    name = f"[{escaped(method)}]({pages[method]})" if method in pages else escaped(method)
    counted = [str(row.verdicts.get(word, 0)) for word in WORDS]
    judged = sum(row.verdicts.values()) > 0
    return [
        f"{name}{comma}{escaped(rest)}",
        row.section,
        f"{len(row.tasks)} of {row.of}",
        *(counted if judged else ["–"] * len(WORDS)),
        _place(row),
    ]


def _place(row: Across) -> str:
    """The mean place in percent, with its interval and on how many tasks."""
    if row.place is None:
        return "–"
    low, high = (max(0.0, row.place.lower or 0.0), min(1.0, row.place.upper or 1.0))
    bounds = f" ({100 * low:.0f}–{100 * high:.0f})" if row.place.half_width is not None else ""
    return f"{100 * row.place.mean:.0f}{bounds}, {row.place.n} tasks"


def _legend() -> list[str]:
    return [
        "- **helps**, **harms**, **no difference**, **undecided**: on how many tasks the row's difference from its "
        "control has this verdict. Each board names the control. –: the row has none.",
        f"- **{NOT_LEARNT}**: on how many tasks a side collapsed, or the floor is all that there is. Such a task tells "
        "little of the method.",
        "- **place**: the mean place among the ranked rows with the same labels: 0 is the first, 100 the last. Tasks "
        "on which all of them stand at the floor are left out.",
        f"- The bounds of a place are those of Student's {100 * LEVEL:.0f} % interval over tasks, as if tasks were "
        "independent.",
        "- **labels**: the group labels used: none, those of the validation split, or those of the training split.",
        "- A task on which a row was not run is missing, and counts as nothing.",
    ]


def _board(board: Published) -> str:
    """A line of the list: the board, what it asks, its size, and the best row that used no group labels."""
    seeds = sorted({len(entry.row.seeds) for entry in board.entries})
    spread = "no scored trial" if not seeds else f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    date = f", published {board.date}" if board.date else ""
    name = escaped(board.title) + ("" if board.title.endswith((".", "?", "!")) else ".")
    rows = f"{len(board.entries)} rows, seeds: {spread}{date}"
    return f"- [{escaped(board.name)}]({board.name}.md): {name} {rows}. {_best(board)}."


def _best(board: Published) -> str:
    """The first ranked row of each task that used no group labels."""
    metric = board.rank_by.removeprefix("-")
    parts, tasks = [], list(dict.fromkeys(entry.row.task for entry in board.entries))
    several = len(tasks) > 1
    for task in tasks:
        ranked = [entry for entry in board.entries if entry.row.task == task and entry.section == "none" and entry.rank]
        if ranked:
            value = points_text(ranked[0].row.metrics.get(metric))
            floor = ", at the floor" if ranked[0].row.marks.floor else ""
            where = f"{escaped(task)}: " if several else ""
            parts.append(f"{where}{escaped(ranked[0].words)}, {value} %{floor}")
    if not parts:
        return "No row without group labels is ranked"
    most = "Lowest" if board.rank_by.startswith("-") else "Highest"
    return f"{most} mean {title(metric)} of ranked rows without group labels: {'; '.join(parts)}"
