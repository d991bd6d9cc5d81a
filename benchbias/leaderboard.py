"""Scores -> markdown: byte-identical from the same records. No torch, no plugins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from benchbias.results import TrialRecord, sorted_records
from benchbias.scores import LEVEL, Estimate, Row, score


def escaped(text: str) -> str:
    """Text that means itself in a markdown table: one line, no markup, no control characters."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))
    marked = re.sub(r"([\\`*_{}\[\]<>()#+!|~&$@])", r"\\\1", plain)
    return re.sub(r"(?i)(://)|(?<=www)(\.)", r"\\\g<0>", marked)  # GitHub makes links of bare addresses


def _points(value: Estimate | None) -> str:
    """A fraction in percent, with its interval: `43.0 ± 9.4`."""
    if value is None:
        return "undefined"
    if value.half_width is None:
        return f"{100 * value.mean:.1f}"
    return f"{100 * value.mean:.1f} ± {100 * value.half_width:.1f}"


def _gap(value: Estimate | None) -> str:
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


def _title(metric: str) -> str:
    return escaped(metric.replace("_", " "))


def _cells(row: Row, metrics: Sequence[str]) -> list[str]:
    name = escaped(row.label) if row.ranked else f"_{escaped(row.label)}_"
    rank_metrics = [_points(row.metrics.get(metric)) for metric in metrics]
    baseline = f" (to {escaped(row.baseline)})" if row.baseline and row.to_baseline else ""
    return [
        name,
        escaped(row.track),
        f"{row.sparsity:.3f}",
        *rank_metrics,
        _gap(row.to_baseline) + baseline,
        _gap(row.to_reference),
        _points(row.train_conflicting_accuracy) if row.train_conflicting_accuracy else "–",
        f"{row.parameters:,}",
        f"{count(row.flops)} / {count(row.sparse_flops)}",
        count(row.training_flops),
        str(len(row.seeds)),
    ]


def render(records: Sequence[TrialRecord], command: str) -> str:
    """The leaderboard of one suite as markdown; `command` is what makes it."""
    ordered = sorted_records(records)
    if not ordered:
        return "# No records yet\n"
    suite = ordered[0].body["suite"]
    rank_by = suite["rank_by"].removeprefix("-")
    metrics = _metric_order(suite, rank_by)
    lines = [
        f"# {escaped(suite['title'])}",
        "",
        f"Suite {escaped(suite['name'])}, version {escaped(suite['version'])}.",
    ]
    if suite["limit"] is not None:
        lines += ["", f"**Limited run** (`--limit {suite['limit']}`): nothing here is comparable or ranked."]
    rows = score(ordered)
    for task in dict.fromkeys(row.task for row in rows):
        lines += ["", f"## {escaped(task)}", "", *_table([row for row in rows if row.task == task], metrics, suite)]
    lines += ["", *_legend(suite, command)]
    lines += _failed(ordered)
    return "\n".join(lines) + "\n"


def _metric_order(suite: dict[str, Any], rank_by: str) -> list[str]:
    """The suite's metrics in its order, the one that ranks first."""
    names: list[str] = suite["metrics"]
    return sorted(names, key=lambda name: (name != rank_by, names.index(name)))


def _table(rows: Sequence[Row], metrics: Sequence[str], suite: dict[str, Any]) -> list[str]:
    reference = suite["reference"]
    header = [
        "method",
        "labels used",
        "sparsity",
        *map(_title, metrics),
        "gap to baseline",
        f"gap to {escaped(reference)}" if reference else "gap to reference",
        "fit of conflicting training examples",
        "parameters",
        "FLOPs dense / non-zero",
        "training FLOPs",
        "seeds",
    ]
    from tabulate import tabulate

    cells = [_cells(row, metrics) for row in rows]
    table: str = tabulate(cells, header, tablefmt="pipe", disable_numparse=True)
    return table.split("\n")


def _legend(suite: dict[str, Any], command: str) -> list[str]:
    rank_by = _title(suite["rank_by"].removeprefix("-"))
    return [
        f"Accuracies in percent: mean over seeds ± half of the {100 * LEVEL:.0f} % Student's t interval over seeds. "
        f"Rows are sorted by {rank_by}; they are not ranked: rows whose intervals overlap are not told apart here.",
        "",
        "- **labels used**: whose group labels a method, its settings or its epoch selection had: none "
        "(`labels-none`), the validation split's to choose (`val-select`) or to fit (`val-fit`), the training "
        "split's (`train`).",
        "- **sparsity**: zeros over all convolution and linear weights, head included, counted by the core.",
        f"- **gap**: the mean of per-seed differences in {rank_by}, with its interval. The baseline is the row "
        "named, on the same seeds and data: for pruned rows the same stages, steps and data order without the mask.",
        "- **fit of conflicting training examples**: accuracy on the bias-conflicting examples of the training "
        "split. FLOPs: multiplications and additions of one forward pass; zeros in a dense tensor save no time.",
        "- _Italic_ rows are controls and ceilings.",
        "",
        f"Made by `{command}`.",
    ]


def _failed(records: Sequence[TrialRecord]) -> list[str]:
    bad: dict[tuple[str, str, str], list[int]] = {}
    for record in records:
        body = record.body
        if body["status"] != "ok":
            swept = ", ".join(f"{name}={value}" for name, value in body["swept"].items())
            label = f"{body['method']}[{swept}]" if swept else body["method"]
            bad.setdefault((f"{body['task']}: {label}", body["status"], body["reason"]), []).append(body["seed"])
    if not bad:
        return []
    lines = ["", "## Not scored", ""]
    for (label, status, reason), seeds in bad.items():
        lines.append(f"- {escaped(label)}: {status} in {len(seeds)} trials: {escaped(reason)}")
    return lines
