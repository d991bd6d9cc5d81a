"""The meaning of an audit for a reader without statistics: what the verdict and its words say, and what they do not."""

from __future__ import annotations

from collections.abc import Sequence

from benchbias.auditing.pages.choosing import ordered
from benchbias.auditing.pages.wording import Name, Sentence, confidence, counted, margin_text, points, right, suspect
from benchbias.auditing.values import ALL, Audit, Compared, Line
from benchbias.statistics.estimates import FEWEST_SEEDS


def meaning(audit: Audit, model: Compared) -> list[Sentence]:
    """A paragraph on one model's verdict, as sentences."""
    if model.verdict == "harmed":
        return _harmed(audit, model)
    if model.verdict == "pass":
        return _passed(audit, model)
    return _undecided(audit, model)


def _harmed(audit: Audit, model: Compared) -> list[Sentence]:
    harmed = [line for line in model.lines if line.verdict == "harmed"]
    worst = max(harmed, key=lambda line: line.harm, default=model.lines[0])
    margin = margin_text(audit.options.margin)
    if worst.beyond_margin:
        beyond = f"The loss is also shown to be more than your margin of {margin} points."
    elif suspect(worst, audit.options.margin):
        beyond = f"Alone it lost more than your margin of {margin} points, but not after allowing for all groups."
    else:
        beyond = f"Whether it is more than your margin of {margin} points was not shown."
    others = counted(len(harmed) - 1, "other group") if len(harmed) > 1 else ""
    more = f"{others} {'was' if len(harmed) == 2 else 'were'} harmed too; groups that overlap share their losses. "
    return [
        *_shares(audit, model, worst),
        ["This is more than chance: if no group really lost, an audit would say so of any of them at most "],
        [f"{100 * audit.options.level:.6g} times in 100. {beyond} ", more if others else ""],
        *_of_examples_alone(audit),
        [f"Look at {'its losses' if worst.group.name == ALL else 'this group'} before you ship the model."],
    ]


def _shares(audit: Audit, model: Compared, line: Line) -> list[Sentence]:
    shares = right(line, audit.pairs)
    where = ["Over all examples, "] if line.group.name == ALL else ["In the group ", Name(line.group.name), ", "]
    runs = f", over {audit.pairs} pairs of models" if audit.pairs > 1 else ""
    verb = "was" if line.lost == 1 else "were"
    counts = f"{counted(line.lost, 'right answer')} {verb} lost and {line.gained} gained{runs}. "
    among = f"of {counted(line.group.n, 'example')}, "
    if shares is None:
        return [[*where, among, counts]]
    return [
        [*where, Name(model.name), f" is right on {points(shares[1])} of 100 examples, where "],
        [Name(audit.dense), f" is right on {points(shares[0])}: {among}{counts}"],
    ]


def _passed(audit: Audit, model: Compared) -> list[Sentence]:
    margin, wrong = margin_text(audit.options.margin), f"{100 * audit.options.level:.6g}"
    gated = sum(line.group.gated for line in model.lines)
    unknown = sum(line.verdict != "safe" for line in model.lines if not line.group.gated)
    every = "all examples" if gated == 1 else f"all of the {gated} groups that a pass needs"
    found: list[Sentence] = [
        [f"For {every}, the harm was shown to be below {margin} points. "],
        [f"If any of them really lost {margin} points or more, an audit would pass at most {wrong} times in 100. "],
    ]
    found += _of_examples_alone(audit)
    if unknown:
        verb = "is" if unknown == 1 else "are"
        found.append([f"A pass needs no crossing: {counted(unknown, 'crossing')} {verb} undecided or too small."])
    return found


def _undecided(audit: Audit, model: Compared) -> list[Sentence]:
    margin = margin_text(audit.options.margin)
    open_ = [line for line in ordered(model) if line.group.gated and line.verdict != "safe"]
    open_ += [line for line in model.lines[:1] if line.verdict != "safe" and line.group.gated]
    needing = [line for line in open_ if line.needs is not None]
    found: list[Sentence] = [
        ["No group was shown to lose, but that is no pass: "],
        [f"{counted(len(open_), 'group')} could not be shown to lose less than {margin} points. "],
    ]
    if odd := sum(suspect(line, audit.options.margin) for line in model.lines):
        told = f"{counted(odd, 'group')} {'loses' if odd == 1 else 'lose'} if looked at alone"
        found.append([f"{told}, but not after allowing for all groups. "])
    if needing:
        found.append(_would_need(max(needing, key=lambda line: (line.needs or 0) - line.group.n)))
    return [*found, *_of_examples_alone(audit), [_more(audit, needing)]]


def _more(audit: Audit, needing: Sequence[Line]) -> str:
    """Say what would decide."""
    wider = "a wider margin would too, if you can defend it."
    if audit.pairs > 1:
        return f"More training runs, or more labelled examples, may decide; {wider}"
    if needing:
        return f"More labelled examples of these groups would decide; {wider}"
    return f"Their bounds are near the margin or above it: more labelled examples may decide; {wider}"


def _of_examples_alone(audit: Audit) -> list[Sentence]:
    """Say that a few training runs speak of no others."""
    if audit.pairs == 1 or audit.pairs >= FEWEST_SEEDS:
        return []
    return [["The bounds are of the test examples alone: two training runs say nothing of others. "]]


def _would_need(line: Line) -> Sentence:
    has = counted(line.group.n, "example")
    return ["The group ", Name(line.group.name), f" has {has} and would need about {line.needs}. "]


def not_said(audit: Audit) -> list[Sentence]:
    """The limits of an audit, a sentence or two each."""
    few = "this is one pair" if audit.pairs == 1 else f"these are {audit.pairs} pairs"
    runs: list[Sentence] = [[f"Another training run or another compression of the same model: {few} of models."]]
    return [
        *(runs if audit.pairs < FEWEST_SEEDS else []),
        ["Whether ", Name(audit.dense), " itself is fair: harm is counted from its answers, mistakes included."],
        ["Groups that no column names, and images unlike those of this test set."],
        ["The cause. Groups overlap, and a group may lose because of another one inside it."],
        ["That a group without a verdict of harm is safe: only safe means safe."],
        ["Anything, if test images were used for calibration, distillation or for choosing the model."],
        [f"That a bound is certain: each one misses with a chance of {100 * audit.options.level:.6g} %."],
    ]


def legend(audit: Audit) -> list[str]:
    """The words of the table in plain words, a sentence or two each."""
    level, margin = confidence(audit.options.level), margin_text(audit.options.margin)
    groups = counted(audit.groups, "group") + (f" of {len(audit.models)} models" if len(audit.models) > 1 else "")
    false = f"{100 * audit.options.level:.6g}"
    return [
        *(_of_runs() if audit.pairs > 1 else ()),
        "lost: right before and wrong now. gained: the reverse.",
        "harm: lost less gained, in points: percent of the group's examples.",
        f"bounds: the harm is above the lower and below the upper one, each with {level} % confidence (one-sided), "
        "for this group alone (unadjusted).",
        f"safe: the harm is shown to be below the margin of {margin} points.",
        f"harmed: a loss is shown, adjusted for all {groups} together: "
        f"the chance of any false one is at most {false} %.",
        "undecided: neither is shown. Not harmed does not mean safe.",
        "too small: so few examples would not show the group safe even if no answer had changed.",
        *_where(audit, groups),
    ]


def _of_runs() -> list[str]:
    return [
        "n: examples of one run. lost and gained are sums over all runs; the harm is the mean of the runs' harms. "
        "Where test sets differ in size, n is their mean."
    ]


def _where(audit: Audit, groups: str) -> list[str]:
    """The words that are explained only where they stand."""
    margin = audit.options.margin
    lines = [line for model in audit.models for line in model.lines]
    found = []
    if any(suspect(line, margin) for line in lines):
        found.append(
            f"suspect: a loss (or one beyond the margin) on its own, but not after allowing for all {groups} together."
        )
    if any(line.needs is not None for line in lines):
        found.append(
            "needs: with about so many examples of this group it could be shown safe, if there is no true harm. "
            "No number: it has as many, and its bound is near or above the margin."
        )
    if any(test.p <= audit.options.level for model in audit.models for test in model.uneven):
        found.append(
            "unevenly: p is for the values of one attribute together; it is not adjusted over attributes or models."
        )
    return found
