"""The examples whose answer changed, as a table that spreadsheets read as text, and who is in which group."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchbias.auditing.values import ALL, Answers, Audit, Column

FORMULA = ("=", "+", "-", "@", "\t", "\n")
"""A cell that begins so may be run as a formula by a spreadsheet: a quotation mark before it makes it text."""


def flips_table(answers: Answers, audit: Audit, run: str | None = None) -> str:
    """A CSV of the examples whose answer any compressed model changed, in the order of their ids.

    Columns: id, label, the dense answer, each model's answer and its change (lost, gained, or changed where both are
    wrong), attributes, the groups that the example is in, and those of them that are harmed. run: the training run, for
    a first column `run`; None where there is but one.
    """
    changed = _changed(answers)
    ids = identities(answers)
    rows = sorted(changed, key=lambda at: (ids[at], at)) if answers.ids is not None else changed
    models = list(answers.compressed)
    first = [] if run is None else [run]
    head = [*(["run"] if first else []), "id", answers.label_name, answers.dense_name]
    head += [part for name in models for part in (name, f"change by {name}")]
    inside, harmed = membership(answers, audit), harmed_groups(audit)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(_safe, [*head, *answers.attributes, "groups", "harmed groups"]))
    for at in rows:
        cells = [*first, ids[at], class_name(answers, answers.label[at]), class_name(answers, answers.dense[at])]
        for name in models:
            cells += [class_name(answers, answers.compressed[name][at]), change(answers, name, at)]
        cells += [_value(column, at) for column in answers.attributes.values()]
        groups = inside.of(at)
        bad = [name for name in groups if name in harmed]
        writer.writerow(map(_safe, [*cells, "; ".join(groups), "; ".join(bad)]))
    return out.getvalue()


def identities(answers: Answers) -> Sequence[str]:
    """The id of each row; its number from 1 where examples have none."""
    return answers.ids if answers.ids is not None else [str(at + 1) for at in range(len(answers.label))]


def change(answers: Answers, model: str, at: int) -> str:
    """`lost`, `gained`, `changed` (from one wrong answer to another), or nothing."""
    label, dense, now = answers.label[at], answers.dense[at], answers.compressed[model][at]
    if dense == now:
        return ""
    return "lost" if dense == label else "gained" if now == label else "changed"


def _changed(answers: Answers) -> list[int]:
    found: Any = answers.dense != answers.dense
    for codes in answers.compressed.values():
        found = found | (codes != answers.dense)
    return [int(at) for at in found.nonzero()[0]]


def class_name(answers: Answers, code: int) -> str:
    """The name of a class; nothing where the label is not known."""
    return "" if code < 0 else answers.classes[code]


def _value(column: Column, at: int) -> str:
    code = column.codes[at]
    return "" if code < 0 else column.names[code]


def _safe(cell: str) -> str:
    """A cell that is text in a spreadsheet; a lone carriage return, which would end a row, is a new line."""
    text = cell.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if text.startswith(FORMULA) else text


@dataclass(frozen=True)
class Membership:
    """The groups that each example is in. cells: of every crossing, int (N,); names: (crossing, cell) -> group."""

    cells: tuple[Any, ...]
    names: Mapping[tuple[int, int], str]

    def of(self, at: int) -> list[str]:
        """The names of the groups of one example, without that of all: single attributes first."""
        found = (self.names.get((crossing, int(cells[at]))) for crossing, cells in enumerate(self.cells))
        return [name for name in found if name is not None and name != ALL]


def membership(answers: Answers, audit: Audit) -> Membership:
    """Who is in which group. Raises UsageError where the answers are not those of the audit."""
    from benchbias.auditing.groups import grouping_of

    grouping = grouping_of(answers, audit.options)
    names = {place: group.name for place, group in zip(grouping.places, grouping.groups, strict=True)}
    return Membership(tuple(crossing.cells for crossing in grouping.crossings), names)


def harmed_groups(audit: Audit) -> frozenset[str]:
    """The names of the groups that any model harms."""
    return frozenset(x.group.name for model in audit.models for x in model.lines if x.verdict == "harmed")
