"""Leaderboards from records: of a results folder, copied to a published one, and rebuilt from that alone."""

from __future__ import annotations

from pathlib import Path

from benchbias.board.render import render
from benchbias.errors import UsageError
from benchbias.plan.trials import Plan
from benchbias.records.analysis import AnalysisRecord, analysis_folder, read_analyses
from benchbias.records.trial import TrialRecord, read_records, record_folder
from benchbias.runner.report import current_analyses, current_records
from benchbias.statistics.cells import CellLayout, read_layouts
from benchbias.store.store import Store
from benchbias.util.files import folders_of


def command_for(suite: str) -> str:
    """The command that makes a suite's leaderboard."""
    return f"benchbias run --suite {suite}"


def board(plan: Plan, out: Path, publish: Path | None) -> str:
    """The leaderboard of a results folder's current records; with `publish`, records and table go there too."""
    store = Store(out)
    records, layouts = records_of(plan, out)
    analyses = current_analyses(plan, store)
    text = render(records, layouts, command_for(plan.suite), analyses)
    store.create().replace(out / "leaderboards" / f"{plan.suite}.md", text)
    if publish is not None:
        _publish(plan, records, analyses, text, store, publish)
    return text


def _publish(
    plan: Plan,
    records: list[TrialRecord],
    analyses: list[AnalysisRecord],
    text: str,
    store: Store,
    publish: Path,
) -> None:
    """Exactly one record a trial and an analysis: those that are no longer planned go."""
    folder = record_folder(publish, plan.suite)
    source = record_folder(store.root, plan.suite)
    layouts = {record.body["correct"]["layout"] for record in records if record.body["status"] == "ok"}
    wanted = {f"{record.id}.json": record.to_text() for record in records}
    wanted |= {f"test/{layout}.json": (source / "test" / f"{layout}.json").read_text() for layout in layouts}
    wanted |= {f"{analysis_folder(Path())}/{record.file}": record.to_text() for record in analyses}
    for path in [*folder.glob("*.json"), *folder.glob("test/*.json"), *analysis_folder(folder).glob("*.json")]:
        if str(path.relative_to(folder)) not in wanted:
            path.unlink()
    for name, content in wanted.items():
        store.replace(folder / name, content)
    store.replace(publish / f"{plan.suite}.md", text)


def rebuild(suite: str, folder: Path) -> str:
    """The leaderboard of a published folder, from its records alone. Raises UsageError."""
    records, layouts = published_records(suite, folder)
    return render(records, layouts, command_for(suite), published_analyses(suite, folder))


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
