"""`benchbias audit FILE --label-only-flips`: labels for the answers that changed, and for no others."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby
from types import MappingProxyType

from benchbias.auditing.before.labelling import (
    ChurnBound,
    changed,
    check_flips,
    check_free,
    churn_bounds,
    needs_label_groups,
    read_sheet,
    write_sheet,
)
from benchbias.auditing.pages.exits import FINE, HARMED, UNDECIDED
from benchbias.auditing.tables.table import counted
from benchbias.auditing.values import Answers, Options
from benchbias.cli.auditing.command import given_options
from benchbias.cli.auditing.options import Asked
from benchbias.cli.auditing.settings import checked
from benchbias.errors import UsageError, plain, printable

FILES = ("markdown", "html", "flips", "discover", "feature")
LATER = MappingProxyType(
    {"json_file": "--json", "expect_accuracy": "--expect-accuracy"} | {name: f"--{name}" for name in FILES}
)
"""Options that need the labels, by their fields."""

SHOWN = 30  # groups of one model
HEADER = ("model", "group", "n", "changed", "harm at most", "")


def check_asked(asked: Asked, runs: Sequence[Answers]) -> None:
    """Raise UsageError for options about labels that do not go together, StorageError for a sheet that is there."""
    if not asked.only_flips:
        if asked.to_label is not None or asked.labels is not None:
            raise UsageError("--to-label and --labels go with --label-only-flips")
        return
    if asked.to_label is None:
        return
    if asked.labels is not None:
        raise UsageError("--to-label writes the examples to label, and --labels reads them: give one of them")
    if len(runs) > 1:
        raise UsageError("--to-label writes the examples of one pair of models: run it once for each pair")
    check_free(asked.to_label)


def labelled(asked: Asked, runs: Sequence[Answers]) -> list[Answers]:
    """The answers with labels for all that changed: those of the table, and of the sheet. Raises DataError."""
    if asked.labels is not None:
        known = {name for answers in runs for name in answers.classes}
        return [read_sheet(answers, asked.labels, asked.allow or (), known=known) for answers in runs]
    for answers in runs:
        check_flips(answers)
    if asked.to_label is not None:
        told = f"{asked.to_label} is not written: every changed answer has a label already"
        print(f"benchbias: {plain(told)}", file=sys.stderr)
    return list(runs)


def lacking_labels(answers: Answers) -> int:
    """The number of changed answers that have no label."""
    return int((changed(answers) & (answers.label < 0)).sum())


def tell_unlabelled(asked: Asked, answers: Answers, settings: Options) -> int:
    """Print what changed answers alone allow, and write the sheet of those to label; the exit code.

    Raises UsageError for options that need labels, and what an audit raises for the others.
    """
    lacking = lacking_labels(answers)
    _refuse(asked, lacking)
    warnings = checked(asked, [answers])
    bounds = churn_bounds(answers, settings)
    unsafe = sum(bound.gated and not bound.safe for bound in bounds)
    unknown = needs_label_groups(answers, settings)
    passed = not unsafe and not unknown
    code = _code(asked, passed=passed)
    verdict = "PASS" if passed else "UNDECIDED"
    lines = [f"{verdict}  without labels, margin {100 * settings.margin:g} points      exit {code}"]
    lines += ["No more can be lost than has changed.", "", *_table(bounds, all_groups=asked.all_groups), ""]
    lines.append(
        f"harm at most: in points, each with {100 * (1 - settings.level):g} % confidence, for this group alone."
    )
    if unsafe:
        lines.append(f"Not shown safe: {counted(unsafe, 'group')} that a pass needs.")
    if unknown:
        lines.append("A pass needs the groups of labels too, and these are unknown: --no-label-groups leaves them out.")
    lines += [warning.text for warning in warnings]
    lines += _sheet(asked, answers, passed=passed)
    print(printable("\n".join(lines)))
    if not passed and code == FINE and asked.undecided == "warn":
        told = "the audit does not pass: too little is known; it ends with 0 because undecided audits only warn"
        print(f"benchbias: {told}", file=sys.stderr)
    return code


def _refuse(asked: Asked, lacking: int) -> None:
    given = sorted(LATER[name] for name in given_options(asked) & LATER.keys())
    if given:
        told = f"labels are lacking for {lacking} changed answers, so there is no audit yet"
        remedy = "" if asked.to_label is not None else "; --to-label FILE writes them"
        raise UsageError(f"{' and '.join(given)}: {told}{remedy}")


def _code(asked: Asked, *, passed: bool) -> int:
    if passed:
        return FINE
    if asked.fail_if == "undecided":
        return HARMED
    return UNDECIDED if asked.undecided == "fail" else FINE


def _sheet(asked: Asked, answers: Answers, *, passed: bool) -> list[str]:
    """Write the sheet, and say so. Its writing comes before any print, for it may fail."""
    if asked.to_label is None:
        return [] if passed else ["--to-label FILE writes the examples whose label would decide it."]
    number = write_sheet(answers, asked.to_label)
    told = f"{asked.to_label}: {number} examples to label; fill the column `label`, and run again with"
    return [told, f"  --label-only-flips --labels {asked.to_label}"]


def _table(bounds: Sequence[ChurnBound], *, all_groups: bool) -> list[str]:
    """The groups as lines: those that prevent a pass first, then by falling bound."""
    rows: list[tuple[str, ...]] = [HEADER]
    left = 0
    ordered = sorted(bounds, key=lambda bound: (bound.model, bound.safe or not bound.gated, -bound.upper, bound.group))
    for _, found in groupby(ordered, lambda bound: bound.model):
        own = list(found)
        shown = own if all_groups else own[:SHOWN]
        left += len(own) - len(shown)
        rows += [_row(bound) for bound in shown]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEADER))]
    lines = [
        "  ".join(
            cell.ljust(width) if at in (0, 1, 5) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [*lines, *([f"{left} groups are not shown; --all-groups shows each."] if left else [])]


def _row(bound: ChurnBound) -> tuple[str, ...]:
    word = "safe" if bound.safe else "undecided" if bound.gated else "undecided, no pass needs it"
    return bound.model, bound.group, str(bound.n), str(bound.changed), f"{100 * bound.upper:.1f}", word
