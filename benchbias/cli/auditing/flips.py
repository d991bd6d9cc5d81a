"""`benchbias audit FILE --label-only-flips`: labels for the answers that changed, and for no others."""

from __future__ import annotations

from collections.abc import Sequence

from benchbias.auditing.before.labelling import ChurnBound, changed, check_flips, churn_bounds, read_sheet, write_sheet
from benchbias.auditing.pages.exits import FINE, UNDECIDED
from benchbias.auditing.values import Answers, Options
from benchbias.cli.auditing.options import Asked
from benchbias.errors import printable


def labelled(asked: Asked, answers: Answers) -> Answers:
    """The answers with labels for all that changed: those of the table, and of the sheet. Raises DataError."""
    if asked.labels is not None:
        return read_sheet(answers, asked.labels)
    check_flips(answers)
    return answers


def lacks_labels(answers: Answers) -> bool:
    """Whether a changed answer has no label."""
    return bool((changed(answers) & (answers.label < 0)).any())


def tell_unlabelled(asked: Asked, answers: Answers, settings: Options) -> int:
    """Print what changed answers alone allow, and write the sheet of those to label; the exit code."""
    bounds = churn_bounds(answers, margin=settings.margin, level=settings.level)
    print(printable("\n".join(_text(bounds, settings))))
    safe = all(bound.safe for bound in bounds)
    if asked.to_label is not None:
        number = write_sheet(answers, asked.to_label)
        print(printable(f"{asked.to_label}: {number} examples to label; fill the column `label`, and run again with"))
        print(printable(f"  --label-only-flips --labels {asked.to_label}"))
    elif not safe:
        print("--to-label FILE writes the examples whose label would decide it.")
    return FINE if safe or asked.undecided != "fail" else UNDECIDED


def _text(bounds: Sequence[ChurnBound], settings: Options) -> list[str]:
    rows = [("model", "group", "n", "changed", "harm at most", "")]
    for bound in sorted(bounds, key=lambda bound: (bound.model, -bound.upper, bound.group)):
        word = "safe" if bound.safe else "undecided"
        rows.append((bound.model, bound.group, str(bound.n), str(bound.changed), f"{100 * bound.upper:.1f}", word))
    widths = [max(len(row[at]) for row in rows) for at in range(6)]
    lines = [
        "  ".join(
            cell.ljust(width) if at in (0, 1, 5) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [
        f"Without labels: no more can be lost than has changed. Margin {100 * settings.margin:g} points.",
        "",
        *lines,
        "",
        f"harm at most: in points, each with {100 * (1 - settings.level):g} % confidence, for this group alone.",
    ]
