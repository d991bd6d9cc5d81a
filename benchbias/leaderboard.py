"""Scores -> markdown: byte-identical from the same records. No torch, no plugins."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from benchbias.cells import CellLayout
from benchbias.estimates import LEVEL, Estimate
from benchbias.ranking import SMALLEST_GAP, Resolution
from benchbias.results import TrialRecord, sorted_records
from benchbias.rows import row_label
from benchbias.scores import Row
from benchbias.standings import Board, Standing, board_of
from benchbias.worst_group import CrossFitted


def escaped(text: str) -> str:
    """Text that means itself in a markdown table: one line, no markup, no control characters."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))
    marked = re.sub(r"([\\`*_{}\[\]<>()#+!|~&$@])", r"\\\1", plain)
    return re.sub(r"(?i)(://)|(?<=www)(\.)", r"\\\g<0>", marked)  # GitHub makes links of bare addresses


def points_text(value: Estimate | None) -> str:
    """A fraction in percent, with its interval: `43.0 ± 9.4`."""
    if value is None:
        return "undefined"
    if value.half_width is None:
        return f"{100 * value.mean:.1f}"
    return f"{100 * value.mean:.1f} ± {100 * value.half_width:.1f}"


def _bounds(value: CrossFitted | None) -> str:
    """`43.0 (38.1 to 47.9)`."""
    if value is None:
        return "–"
    return f"{100 * value.value:.1f} ({100 * value.lower:.1f} to {100 * value.upper:.1f})"


def gap_text(value: Estimate | None) -> str:
    """A difference of fractions in points, with its sign and interval: `+25.9 ± 5.1`."""
    if value is None:
        return "–"
    spread = "" if value.half_width is None else f" ± {100 * value.half_width:.1f}"
    return f"{100 * value.mean:+.1f}{spread}"


def count(value: float) -> str:
    """A large number with its unit: `1.23 G`."""
    for size, unit in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"


def title(metric: str) -> str:
    """A metric's name for readers."""
    return escaped(metric.replace("_", " "))


def render(records: Sequence[TrialRecord], layouts: Mapping[str, CellLayout], command: str) -> str:
    """The leaderboard of one suite as markdown; `command` is what makes it.

    layouts: the cells of the test splits that the records count in, by digest. Raises UsageError where records
    contradict themselves.
    """
    ordered = sorted_records(records)
    if not ordered:
        return "# No records yet\n"
    suite = ordered[0].body["suite"]
    lines = [
        f"# {escaped(suite['title'])}",
        "",
        f"Suite {escaped(suite['name'])}, version {escaped(suite['version'])}.",
    ]
    if suite["limit"] is not None:
        lines += ["", f"**Limited run** (`--limit {suite['limit']}`): nothing here is comparable or ranked."]
    board = board_of(ordered, layouts)
    for task, unranked in board.unranked.items():
        standings = [standing for standing in board.standings if standing.task == task]
        lines += ["", f"## {escaped(task)}"]
        for standing in standings:
            lines += ["", f"### Labels used: {standing.track}", "", *_ranked(standing, board, suite)]
            lines += ["", *_tells_apart(standing, suite)]
        if unranked:
            lines += ["", "### Controls and ceilings, not ranked" if suite["limit"] is None else "### Not ranked", ""]
            lines += _table([(None, row) for row in unranked], board, suite)
        whole = [*(row for standing in standings for row in standing.rows), *unranked]
        lines += ["", "### Cost", "", *_costs(whole), "", *_baselines(board.baseline_resolution[task])]
    lines += ["", *_legend(suite, command)]
    lines += _failed(ordered)
    return "\n".join(lines) + "\n"


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
    header = [
        *("rank", "method", "sparsity", title(first), "worst group, cross-fitted", *map(title, others)),
        "gap to baseline",
        f"gap to {escaped(reference)}" if reference else "gap to reference",
        "fit of conflicting training examples",
        "seeds",
    ]
    return _markdown([_cells(rank, row, (first, *others), board) for rank, row in rows], header)


def _cells(rank: tuple[int, int] | None, row: Row, metrics: Sequence[str], board: Board) -> list[str]:
    first, *others = (points_text(row.metrics.get(metric)) for metric in metrics)
    baseline = f" (to {escaped(row.baseline)})" if row.baseline and row.to_baseline else ""
    gap = gap_text(row.to_baseline)
    shown = f"**{gap}**" if (row.task, row.label) in board.resolved_to_baseline else gap
    return [
        _rank(rank, row),
        escaped(row.label) if row.ranked else f"_{escaped(row.label)}_",
        f"{row.sparsity:.3f}",
        *(first, _bounds(row.worst_group), *others),
        shown + baseline,
        gap_text(row.to_reference),
        points_text(row.train_conflicting_accuracy) if row.train_conflicting_accuracy else "–",
        str(len(row.seeds)),
    ]


def _rank(rank: tuple[int, int] | None, row: Row) -> str:
    if row.collapsed:
        return f"collapsed in {row.collapsed} of {len(row.seeds)}"
    if rank is None:
        return "–"
    return str(rank[0]) if rank[0] == rank[1] else f"{rank[0]}–{rank[1]}"


def _costs(rows: Sequence[Row]) -> list[str]:
    header = ["method", "labels used", "settings from", "parameters", "FLOPs dense / non-zero", "training FLOPs"]
    cells = [
        [
            escaped(row.label) if row.ranked else f"_{escaped(row.label)}_",
            escaped(row.track),
            escaped(row.settings_from),
            f"{row.parameters:,}",
            f"{count(row.flops)} / {count(row.sparse_flops)}",
            count(row.training_flops),
        ]
        for row in rows
    ]
    return _markdown(cells, header)


def _markdown(cells: Sequence[Sequence[str]], header: Sequence[str]) -> list[str]:
    from tabulate import tabulate

    table: str = tabulate(cells, header, tablefmt="pipe", disable_numparse=True)
    return table.split("\n")


def _tells_apart(standing: Standing, suite: Mapping[str, Any]) -> list[str]:
    """What the ranks of one table can and cannot tell."""
    fair = sum(rank is not None for rank in standing.ranks)
    if standing.resolution is None or fair < 2:
        return ["Nothing is ranked here: it takes two rows and two seeds."]
    tiers = " > ".join(escaped(label) for label in standing.tiers)
    return [
        f"{fair} rows, {standing.resolution.pairs} comparisons: {_resolves(standing.resolution)} "
        f"{len(standing.tiers)} tiers, the largest set of rows that are pairwise told apart: {tiers}."
    ]


def _baselines(found: Resolution | None) -> list[str]:
    if found is None:
        return ["No row has a baseline on two seeds."]
    return [f"{found.pairs} gaps to a baseline: {_resolves(found)}"]


def _resolves(found: Resolution) -> str:
    return (
        f"a difference of {100 * found.difference:.1f} points is told apart (median over them), "
        f"and a true one of {100 * found.with_power:.1f} in 80 % of such runs."
    )


def _legend(suite: Mapping[str, Any], command: str) -> list[str]:
    rank_by = title(suite["rank_by"].removeprefix("-"))
    return [
        f"Accuracies in percent: mean over seeds ± half of the {100 * LEVEL:.0f} % interval (Student's t on the spread "
        "of the seeds plus that of the test examples, drawn once for all seeds; Satterthwaite's degrees of freedom). A "
        "metric that the test counts do not determine has an interval over seeds alone. Intervals are for these "
        "source images and this scheme of splits: training sets overlap, and new data of the kind would vary more. "
        "0.0 means no spread among these seeds, not certainty.",
        "",
        f"- **rank**: within a table: 1 + the number of rows that are better in {rank_by} by a paired t test, adjusted "
        "for all comparisons of the table (Holm), to the number of rows less those that are worse. Rows whose ranges "
        f"overlap may not be told apart. In worst group accuracy no gap below {100 * SMALLEST_GAP:.0f} points counts.",
        "- **worst group, cross-fitted**: the group is chosen on the other seeds and the other half of the test "
        "examples, so it is not the worst by chance: for absolute statements; its interval covers whichever group is "
        "the worst. worst group accuracy, the mean of the seeds' own minima, is what papers print; it is biased low.",
        f"- **collapsed**: in that many seeds accuracy on aligned examples is below half of the way from chance to "
        f"{_ceiling(suite)}. Such rows stand last and are not ranked.",
        f"- **gap**: the mean of per-seed differences in {rank_by}. The baseline is the row named, on the same seeds "
        "and data. Bold: told from zero at 5 %, adjusted for all such gaps of the task (Holm). The gap to the "
        "reference is not adjusted.",
        "- **fit of conflicting training examples**: accuracy on the bias-conflicting examples of the training split.",
        "- **labels used**: whose group labels a method, its settings or its epoch selection had: none "
        "(`labels-none`), the validation split's to choose (`val-select`) or to fit (`val-fit`), the training "
        "split's (`train`). **settings from**: chosen by nobody (`default`), on validation data drawn as training is "
        "(`iid-val`), from a paper, or by validation groups (`val-groups`).",
        "- **sparsity**: zeros over all convolution and linear weights, head included, counted by the core. FLOPs: "
        "multiplications and additions of one forward pass; zeros in a dense tensor save no time.",
        "",
        f"Made by `{command}`.",
    ]


def _ceiling(suite: Mapping[str, Any]) -> str:
    return f"that of {escaped(suite['ceiling'])}" if suite.get("ceiling") else "1"


def _failed(records: Sequence[TrialRecord]) -> list[str]:
    bad: dict[tuple[str, str, str], list[int]] = {}
    for record in records:
        body = record.body
        if body["status"] != "ok":
            label = row_label(body["method"], body["swept"])
            bad.setdefault((f"{body['task']}: {label}", body["status"], body["reason"]), []).append(body["seed"])
    if not bad:
        return []
    lines = ["", "## Not scored", ""]
    for (label, status, reason), seeds in bad.items():
        lines.append(f"- {escaped(label)}: {status} in {len(seeds)} trials: {escaped(reason)}")
    return lines
