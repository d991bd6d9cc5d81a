"""Tables of details that a board has of each row: groups, settings, the value of each seed. No torch."""

from __future__ import annotations

import json
from collections.abc import Sequence

from benchbias.board.row_trials import Trials
from benchbias.board.rows import Row
from benchbias.board.text import escaped, points_text, table_lines, title
from benchbias.board.words import LABELS
from benchbias.statistics.influence import Measured

MOST_COLUMNS = 12  # of a table with more columns than lines, which is turned


def _table(cells: Sequence[Sequence[str]], header: Sequence[str]) -> list[str]:
    """A table, turned on its side where it would have many more columns than lines."""
    whole = [header, *cells]
    if len(header) > max(MOST_COLUMNS, len(whole)):
        whole = list(zip(*whole, strict=True))
    return table_lines(whole[1:], whole[0])


def _name(row: Trials) -> str:
    """A row's label, in italics where it is not ranked."""
    return escaped(row.label) if row.first["ranked"] else f"_{escaped(row.label)}_"


def group_lines(rows: Sequence[tuple[Row, Trials]]) -> list[str]:
    """The accuracy of each group, by row; nothing where records count no groups."""
    counted = [(row, one) for row, one in rows if row.groups]
    names = list(dict.fromkeys(name for _, one in counted for name in one.first["group_names"]))
    if not counted:
        return []
    sizes = _training([one for _, one in counted], names)
    cells = [[_name(one), *_groups(row, one, names)] for row, one in counted]
    head = ["_in training_", *(f"{sizes[name]:,}" if name in sizes else "–" for name in names)]
    told = "Accuracy of each group in percent, mean over seeds with the bounds of its interval, not adjusted."
    return ["", "### Groups", "", told, "", *_table([head, *cells], ["method", *map(escaped, names)])]


def _training(rows: Sequence[Trials], names: Sequence[str]) -> dict[str, int]:
    """How many training examples each group has, for the suite's reference method or else the first row."""
    usual = next((row for row in rows if row.first["method"] == row.first["suite"]["reference"]), rows[0])
    totals = usual.first.get("train_group_total") or ()
    return dict(zip(usual.first["group_names"], totals, strict=False))


def _groups(row: Row, trials: Trials, names: Sequence[str]) -> list[str]:
    """The accuracies of these groups; a dash where the row has none of that name."""
    known = list(trials.first["group_names"])
    return [points_text(row.groups[known.index(name)]) if name in known else "–" for name in names]


def setting_lines(rows: Sequence[Trials]) -> list[str]:
    """Every row's settings, and whose labels it had."""
    header = ["method", "settings", "labels used", "epochs selected"]
    return ["", "### Settings", "", *table_lines([_setting(row) for row in rows], header)]


def _setting(row: Trials) -> list[str]:
    settings = ", ".join(f"{name} = {json.dumps(value)}" for name, value in row.first["settings"].items())
    chosen = [
        "/".join("last" if epoch is None else str(epoch) for epoch in record.body.get("selected_epochs", ()))
        for record in row.records.values()
    ]
    return [
        _name(row),
        escaped(settings) or "–",
        escaped(LABELS.get(row.first["track"], row.first["track"])),
        escaped(", ".join(dict.fromkeys(chosen))) or "–",
    ]


def seed_lines(rows: Sequence[Trials], metric: str) -> list[str]:
    """The metric that ranks, for each row and seed, as it was counted."""
    seeds = sorted({seed for row in rows for seed in row.records})
    values = [row.values.get(metric, {}) for row in rows]
    cells = [
        [_name(row), *(_percent(found.get(seed)) for seed in seeds)] for row, found in zip(rows, values, strict=True)
    ]
    told = f"{title(metric).capitalize()} of each seed in percent, as counted: the bias of a least is not taken off."
    return ["", "### Seeds", "", told, "", *_table(cells, ["method", *(f"seed {seed}" for seed in seeds)])]


def _percent(value: Measured | None) -> str:
    return "–" if value is None else f"{100 * float(value.value):.2f}"
