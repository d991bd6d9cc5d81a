"""Leaderboards from records: of a results folder, copied to a published one, and rebuilt from that alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchbias.board.markdown.details import details_page
from benchbias.errors import UsageError
from benchbias.plan.trials import Plan
from benchbias.records.analysis import AnalysisRecord, read_analyses
from benchbias.records.trial import TrialRecord, read_records, record_folder
from benchbias.runner.merging import Content, publish_to
from benchbias.runner.report import current_analyses, current_records
from benchbias.statistics.cells import CellLayout, read_layouts
from benchbias.store.store import Store
from benchbias.util.files import folders_of


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
) -> str:
    """The leaderboard of a results folder's current records; with `publish` they are copied, and it is that folder's.

    A published folder keeps what else it has: only with `replace` do its other records of the suite go, after `tell`
    was told of each. Raises UsageError where old and new records do not fit together: then nothing is written.
    """
    store = Store(out)
    records, layouts = records_of(plan, out)
    analyses = current_analyses(plan, store)
    text = details_page(records, layouts, command_for(plan.suite), analyses)
    store.create().replace(out / "leaderboards" / f"{plan.suite}.md", text)
    if publish is None:
        return text
    new = Content.of(records, layouts, analyses)
    return publish_to(publish, plan.suite, new, store, command_for(plan.suite), replace=replace, tell=tell)


def rebuild(suite: str, folder: Path) -> str:
    """The leaderboard of a published folder, from its records alone. Raises UsageError."""
    records, layouts = published_records(suite, folder)
    return details_page(records, layouts, command_for(suite), published_analyses(suite, folder))


def records_of(plan: Plan, out: Path) -> tuple[list[TrialRecord], dict[str, CellLayout]]:
    """The current records of a results folder with the layouts of their test splits. Raises UsageError."""
    records, _ = current_records(plan, Store(out))
    if not records:
        raise UsageError(
            f"{out} has no current records of suite {plan.suite!r}: `{command_for(plan.suite)}` makes them"
        )
    return records, read_layouts(record_folder(out, plan.suite))


def has_records(plan: Plan, out: Path) -> bool:
    """Whether a results folder has current records of a plan's trials."""
    return bool(current_records(plan, Store(out))[0])


def analyses_of(plan: Plan, out: Path) -> list[AnalysisRecord]:
    """The current analyses of a results folder."""
    return current_analyses(plan, Store(out))


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
        known = [path.name for path in folders_of(folder / "records")]
        raise UsageError(f"{folder} has no records of suite {suite!r} (known: {', '.join(known) or 'none'})")
    return records, read_layouts(record_folder(folder, suite))


def published_analyses(suite: str, folder: Path) -> list[AnalysisRecord]:
    """The analyses of a published folder. Raises UsageError."""
    return read_analyses(record_folder(folder, suite))
