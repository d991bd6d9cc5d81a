"""Leaderboards from records: of a results folder, copied to a published one, and rebuilt from that alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchbias.board.markdown.surroundings import surroundings
from benchbias.board.published.files import board_files, published_files
from benchbias.board.published.index_page import Published, index_page
from benchbias.board.scored import Scored
from benchbias.errors import UsageError
from benchbias.plan.remembered import last_run
from benchbias.plan.trials import Plan
from benchbias.records.analysis import AnalysisRecord, read_analyses
from benchbias.records.latency import readable_latency
from benchbias.records.trial import TrialRecord, read_records, record_folder
from benchbias.runner.merging import Content, date_of, publish_to
from benchbias.runner.report import current_analyses, current_records, other_analyses, stored_records
from benchbias.statistics.cells import CellLayout, read_layouts
from benchbias.store.store import Store
from benchbias.util.files import folders_of, listed, replace_whole


def command_for(suite: str) -> str:
    """The command that makes a suite's leaderboard."""
    return f"benchbias run --suite {suite}"


def board(
    plan: Plan,
    out: Path,
    publish: Path | None = None,
    *,
    replace: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, str]:
    """The leaderboard of a results folder's current records; with `publish` they are copied, and it is that folder's.

    Its files are returned, texts by their paths below the folder of boards; the page to read is `SUITE.md`.
    A published folder keeps what else it has: only with `replace` do its other records of the suite go, after `tell`
    was told of each. Raises UsageError where old and new records do not fit together: then nothing is written.
    """
    store = Store(out)
    records, layouts = records_of(plan, out)
    analyses, latency = analyses_of(plan, out), readable_latency(out, plan.label, tell)
    files = board_files(plan.label, Scored.of(records, layouts, analyses), command_for(plan.suite), latency)
    store.create()
    for name, text in files.items():
        store.replace(out / "leaderboards" / name, text)
    if publish is None:
        return files
    new = Content.of(records, layouts, analyses, latency)
    return publish_to(publish, plan.suite, new, store, command_for(plan.suite), replace=replace, tell=tell)


def rebuild(
    suite: str, folder: Path, scored: Scored | None = None, *, tell: Callable[[str], None] = lambda line: None
) -> dict[str, str]:
    """The files of a published folder's board, from its records and pages.toml alone. Raises UsageError.

    They are texts by their paths below the folder; the page to read is `SUITE.md`. scored: its records, if at hand.
    """
    date, known = date_of(record_folder(folder, suite)), scored or published_scores(suite, folder)
    latency = readable_latency(folder, suite, tell)
    return published_files(suite, known, command_for(suite), date=date, pages=surroundings(folder), latency=latency)


def published_scores(suite: str, folder: Path) -> Scored:
    """The records of a published folder with all that its board says of them. Raises UsageError."""
    records, layouts = published_records(suite, folder)
    return Scored.of(records, layouts, published_analyses(suite, folder))


def write_boards(folder: Path, *, tell: Callable[[str], None] = lambda line: None) -> list[str]:
    """Write all boards of a published folder anew, and index.md, the page of all; the names of what was written.

    Raises UsageError before anything is written, StorageError.
    """
    texts = all_boards(folder, tell=tell)
    for name, text in texts.items():
        replace_whole(folder / name, text.encode())
    return list(texts)


def all_boards(folder: Path, *, tell: Callable[[str], None] = lambda line: None) -> dict[str, str]:
    """The files of all boards of a published folder, and index.md, from records and pages.toml. Raises UsageError."""
    pages = surroundings(folder)
    texts: dict[str, str] = {}
    published = []
    for suite in published_suites(folder):
        scored, date = published_scores(suite, folder), date_of(record_folder(folder, suite))
        latency = readable_latency(folder, suite, tell)
        texts |= published_files(suite, scored, command_for(suite), date=date, pages=pages, latency=latency)
        published.append(Published(suite, scored.suite["title"], date, scored.entries, scored.board.rank_by))
    texts["index.md"] = index_page(published, pages)
    return texts


def published_suites(folder: Path) -> list[str]:
    """The suites that a published folder has records of, by name."""
    return [path.name for path in folders_of(folder / "records") if listed(path, ".json")]


def records_of(plan: Plan, out: Path) -> tuple[list[TrialRecord], dict[str, CellLayout]]:
    """The current records of a results folder with the layouts of their test splits, `Plan.others` too.

    Raises UsageError where there are none.
    """
    store = Store(out)
    records = current_records(plan, store)[0]
    records += stored_records(plan.others, record_folder(out, plan.label), store.conflicts())[0]
    if not records:
        raise UsageError(
            f"{out} has no current records of suite {plan.suite!r}: `{command_for(plan.suite)}` makes them"
            f"{last_run(out, plan.suite)}"
        )
    return records, read_layouts(record_folder(out, plan.label))


def has_records(plan: Plan, out: Path) -> bool:
    """Whether a results folder has current records of a plan's trials."""
    return bool(current_records(plan, Store(out))[0])


def analyses_of(plan: Plan, out: Path) -> list[AnalysisRecord]:
    """The current analyses of a results folder; where a plan has none of its own, those of the whole suite."""
    store = Store(out)
    return current_analyses(plan, store) or other_analyses(plan, store)


PUBLISHED = Path("leaderboard")  # where a clone has the published records


def nearest_records(plan: Plan, out: Path) -> tuple[tuple[list[TrialRecord], dict[str, CellLayout]], Path]:
    """The current records of a results folder, or else those that this folder's `leaderboard` has; and which.

    Raises UsageError where there are none.
    """
    if not has_records(plan, out) and record_folder(PUBLISHED, plan.suite).is_dir():
        return published_records(plan.suite, PUBLISHED), PUBLISHED
    return records_of(plan, out), out


def published_records(suite: str, folder: Path) -> tuple[list[TrialRecord], dict[str, CellLayout]]:
    """The records of a published folder with the layouts of their test splits. Raises UsageError."""
    records = read_records(record_folder(folder, suite))
    if not records:
        known = published_suites(folder)
        raise UsageError(f"{folder} has no records of suite {suite!r} (known: {', '.join(known) or 'none'})")
    return records, read_layouts(record_folder(folder, suite))


def published_analyses(suite: str, folder: Path) -> list[AnalysisRecord]:
    """The analyses of a published folder. Raises UsageError."""
    return read_analyses(record_folder(folder, suite))
