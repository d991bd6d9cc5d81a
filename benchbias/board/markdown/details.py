"""Scores -> markdown: byte-identical from the same records. No torch, no plugins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchbias.board.markdown.analysis_tables import analysis_sections
from benchbias.board.markdown.failures import troubles
from benchbias.board.markdown.latency_table import latency_section
from benchbias.board.markdown.legend import legend
from benchbias.board.markdown.probe_tables import probe_sections
from benchbias.board.markdown.row_tables import group_lines, seed_lines, setting_lines
from benchbias.board.row_trials import Rows, row_of
from benchbias.board.rows import Row
from benchbias.board.scored import Scored
from benchbias.board.standings import Board, Standing
from benchbias.board.text import (
    count,
    escaped,
    gap_text,
    points_text,
    rank_text,
    resolved_points,
    table_lines,
    title,
)
from benchbias.records.analysis import AnalysisRecord
from benchbias.records.latency import Latency
from benchbias.records.trial import TrialRecord
from benchbias.statistics.cells import CellLayout
from benchbias.statistics.estimates import FEWEST_SEEDS
from benchbias.statistics.influence import LEASTS
from benchbias.statistics.ranking import Resolution


def details_page(
    records: Sequence[TrialRecord],
    layouts: Mapping[str, CellLayout],
    command: str,
    analyses: Sequence[AnalysisRecord] = (),
) -> str:
    """All that there is of a leaderboard, as markdown; `command` is what makes it. `page.board_page` is what to read.

    layouts: the cells of the test splits that the records count in, by digest. analyses: of the suite's trials.
    Raises UsageError where records contradict themselves.
    """
    return details_of(Scored.of(records, layouts, analyses), command)


def details_of(scored: Scored, command: str, latency: Latency | None = None) -> str:
    """The same of records that are scored already; latency: what was measured of their networks, if anything was."""
    if not scored.records:
        return "# No records yet\n"
    ordered, layouts, suite = scored.records, scored.layouts, scored.suite
    lines = [
        f"# Details: {escaped(suite['title'])}",
        "",
        f"Suite {escaped(suite['name'])}, version {escaped(suite['version'])}: every column of its board.",
    ]
    if suite["limit"] is not None:
        lines += ["", f"**Limited run** (`--limit {suite['limit']}`): nothing here is comparable or ranked."]
    trials, board = scored.rows, scored.board
    for task, unranked in board.unranked.items():
        standings = [standing for standing in board.standings if standing.task == task]
        lines += ["", f"## {escaped(task)}"]
        for standing in standings:
            lines += ["", f"### Labels used: {standing.track}", "", *_ranked(standing, board, suite)]
            lines += ["", *_tells_apart(standing, suite)]
        if unranked:
            lines += ["", "### Controls and ceilings, not ranked" if suite["limit"] is None else "### Not ranked", ""]
            lines += _table([(None, row) for row in unranked], board, suite)
        lines += ["", *_tested(task, ordered, layouts)]
        whole = [*(row for standing in standings for row in standing.rows), *unranked]
        lines += ["", "### Cost", "", *_costs(whole), "", *_baselines(board.baseline_resolution[task])]
        lines += _of_rows(whole, trials, suite)
    lines += probe_sections(ordered)
    lines += analysis_sections(scored.analyses)
    lines += latency_section(latency, {record.id: record.body["stages"] for record in ordered})
    tables = [*(standing.rows for standing in board.standings), *board.unranked.values()]
    lines += ["", *legend(suite, command, _notes([row for rows in tables for row in rows]))]
    lines += troubles(ordered)
    return "\n".join(lines) + "\n"


def _of_rows(rows: Sequence[Row], trials: Rows, suite: Mapping[str, Any]) -> list[str]:
    """The tables of groups, settings and seeds, in the order of the rows."""
    both = [(row, one) for row in rows if (one := row_of(trials, row.task, row.label)) is not None]
    found, metric = [one for _, one in both], suite["rank_by"].removeprefix("-")
    return [*group_lines(both), *setting_lines(found), *seed_lines(found, metric)] if found else []


def _metrics(suite: Mapping[str, Any]) -> list[str]:
    """The suite's metrics in its order, the one that ranks first."""
    names: list[str] = suite["metrics"]
    rank_by = suite["rank_by"].removeprefix("-")
    return sorted(names, key=lambda name: (name != rank_by, names.index(name)))


def _ranked(standing: Standing, board: Board, suite: Mapping[str, Any]) -> list[str]:
    return _table(list(zip(standing.ranks, standing.rows, strict=True)), board, suite)


def _table(rows: Sequence[tuple[tuple[int, int] | None, Row]], board: Board, suite: Mapping[str, Any]) -> list[str]:
    reference = suite["reference"]
    first, *others = _metrics(suite)
    counted = [f"{title(first)} as counted"] if first in LEASTS else []
    header = [
        *("rank", "method", "sparsity", title(first), *counted, "worst group of the mean", *map(title, others)),
        "gap to baseline",
        f"gap to {escaped(reference)}" if reference else "gap to reference",
        "fit of conflicting training examples",
        "marks",
        "seeds",
    ]
    return table_lines([_cells(rank, row, (first, *others), board) for rank, row in rows], header)


def _cells(rank: tuple[int, int] | None, row: Row, metrics: Sequence[str], board: Board) -> list[str]:
    first, *others = (points_text(row.metrics.get(metric)) for metric in metrics)
    counted = [_plain_points(row.as_counted)] if metrics[0] in LEASTS else []
    baseline = f" (to {escaped(row.baseline)}{_collapsed(row)})" if row.baseline and row.to_baseline else ""
    gap = gap_text(row.to_baseline)
    shown = f"**{gap}**" if board.resolved(row) else gap
    return [
        _rank(rank, row),
        escaped(row.label) if row.ranked else f"_{escaped(row.label)}_",
        f"{row.sparsity:.3f}{_reached(row)}",
        *(first, *counted, points_text(row.worst_group) if row.worst_group else "–", *others),
        shown + baseline,
        gap_text(row.to_reference),
        points_text(row.train_conflicting_accuracy) if row.train_conflicting_accuracy else "–",
        ", ".join(row.marks.words()) or "–",
        str(len(row.seeds)),
    ]


def _reached(row: Row) -> str:
    """The share of all matrices that pruning reaches, where that is not the whole."""
    return f" of {math.floor(1000 * row.reach) / 10:g} %" if row.reach < 1 else ""


def _plain_points(value: float | None) -> str:
    return "undefined" if value is None else f"{100 * value:.1f}"


def _collapsed(row: Row) -> str:
    """How many seeds of a row's baseline collapsed, where some did."""
    of = row.baseline_marks
    return f"; {of.collapsed} of its {of.seeds} seeds collapsed" if of is not None and of.collapsed else ""


def _rank(rank: tuple[int, int] | None, row: Row) -> str:
    return f"collapsed in {row.collapsed} of {len(row.seeds)}" if row.collapsed else rank_text(rank)


def _costs(rows: Sequence[Row]) -> list[str]:
    header = ["method", "labels used", "settings from", "parameters", "FLOPs dense / non-zero", "training FLOPs"]
    cells = [
        [
            escaped(row.label) if row.ranked else f"_{escaped(row.label)}_",
            escaped(row.track),
            escaped(row.settings_from),
            f"{row.parameters:,}",
            f"{count(row.flops)} / {count(row.sparse_flops)}",
            "–" if row.training_flops is None else count(row.training_flops),
        ]
        for row in rows
    ]
    return table_lines(cells, header)


def _notes(rows: Sequence[Row]) -> list[str]:
    """Notes on what only some boards show."""
    found = []
    if any(row.reach < 1 for row in rows):
        found.append(
            "- **sparsity of N %**: pruning reaches so much of the network's matrices. Embeddings and bare parameters "
            "stay dense, and the sparsity is of the rest."
        )
    if any(row.training_flops is None for row in rows):
        found.append("- **training FLOPs –**: weights were changed by work that nothing counts: the cost is unknown.")
    return found


def _tells_apart(standing: Standing, suite: Mapping[str, Any]) -> list[str]:
    """Lines on what the ranks of one table can and cannot tell."""
    fair = sum(rank is not None for rank in standing.ranks)
    if standing.resolution is None:
        return [f"Nothing is ranked here: it takes two rows with {FEWEST_SEEDS} common seeds that did not collapse."]
    told = f"{fair} rows, {standing.resolution.pairs} comparisons: {_resolves(standing.resolution)}"
    if len(standing.tiers) < 2:
        return [f"{told} No two rows are resolved."]
    tiers = " > ".join(escaped(label) for label in standing.tiers)
    return [f"{told} {len(standing.tiers)} tiers, the largest set of rows that are pairwise resolved: {tiers}."]


def _tested(task: str, records: Sequence[TrialRecord], layouts: Mapping[str, CellLayout]) -> list[str]:
    """How many source images the seeds test, that settings were not chosen on others, and how images were made."""
    bodies = [record.body for record in records if record.body["task"] == task]
    used = {body["correct"]["layout"] for body in bodies if "correct" in body}
    number = len(set[int]().union(*(layouts[digest].cluster.tolist() for digest in used)))
    searched = any(body.get("settings_from", "default") not in ("default", "paper") for body in bodies)
    told = (
        " Settings that were searched for were chosen on the validation splits of other seeds, which draw on the same "
        "images: one that helped to choose there may be tested here."
    )
    tested = [f"All seeds together test {number:,} source images.{told if searched else ''}"] if number else []
    made = sorted({body["preprocessing"] for body in bodies if body.get("preprocessing")})
    return [*tested, *(f"Images: {escaped(text)}." for text in made)]


def _baselines(found: Resolution | None) -> list[str]:
    if found is None:
        return [f"No row has a baseline on {FEWEST_SEEDS} seeds."]
    return [f"{found.pairs} gaps to a baseline: {_resolves(found)}"]


def _resolves(found: Resolution) -> str:
    return (
        f"an observed difference of {resolved_points(found.difference)} points is resolved (median over them), "
        f"and a true one of {resolved_points(found.with_power)} in 80 % of such runs."
    )
