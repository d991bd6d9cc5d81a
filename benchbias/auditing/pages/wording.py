"""Numbers and sentences of an audit, the same on every page: shares as points, names kept apart from our own words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchbias.auditing.values import ALL, Audit, Compared, Line, Missing, Slice, Uneven
from benchbias.statistics.estimates import FEWEST_SEEDS


class Name(str):
    """A word of the user's inside a sentence: each page quotes or escapes it in its own way."""

    __slots__ = ()


Sentence = Sequence[str]
"""Parts of a sentence: our own words as str, the user's as Name."""

SHOWN_EMPTY = 5  # names of empty crossings in a sentence
MOST_DIGITS, SAME = 6, 1e-10  # decimals of points; shares that are nearer to each other are equal
DESCRIPTION = "(a description, not a test)"


def points(share: float, digits: int = 1) -> str:
    """A share in percent or points, e.g. `13.7`; never `-0.0`."""
    text = f"{100 * share:.{digits}f}"
    return text.removeprefix("-") if not float(text) else text


def bound(share: float, margin: float) -> str:
    """A harm or a bound in points, with as many decimals, up to 6, as show that it is not 0 and from the margin."""
    others = [other for other in (0.0, margin) if not math.isclose(share, other, abs_tol=SAME)]
    for digits in range(1, MOST_DIGITS):
        if all(points(share, digits) != points(other, digits) for other in others):
            return points(share, digits)
    return points(share, MOST_DIGITS)


def interval(line: Line | Slice, margin: float) -> str:
    """The bounds of a group or a slice, e.g. `0.9 .. 2.4`."""
    return f"{bound(line.lower, margin)} .. {bound(line.upper, margin)}"


def margin_text(share: float) -> str:
    """The margin as it was given, e.g. `3` or `2.5`."""
    return f"{100 * share:.6g}"


def confidence(level: float) -> str:
    """The percentage of a one-sided bound, e.g. `95`."""
    return f"{100 * (1 - level):.6g}"


def p_text(p: float) -> str:
    """A p value, e.g. `.012` or `< .001`."""
    return "< .001" if p < 0.0005 else "1" if p >= 0.9995 else f"{p:.3f}".removeprefix("0")


def counted(number: int, noun: str, many: str | None = None) -> str:
    """A number with its noun, e.g. `1 group`, `2 groups`."""
    return f"{number} {noun if number == 1 else many or noun + 's'}"


def examples(n: int, units: int) -> str:
    """A number of examples, and of the clusters that they are in where these are fewer."""
    return counted(n, "example") + (f" in {counted(units, 'cluster')}" if units != n else "")


def right(line: Line, pairs: int = 1) -> tuple[float, float] | None:
    """The shares of right answers before and after; None where labels are not known. pairs: runs that are summed."""
    if line.dense_right is None or line.compressed_right is None:
        return None
    return min(1.0, line.dense_right / (line.group.n * pairs)), min(1.0, line.compressed_right / (line.group.n * pairs))


def errors(line: Line, pairs: int = 1) -> str:
    """The errors before and after with their ratio, e.g. `errors 12.9 -> 23.3 %, x1.8`; nothing without labels."""
    shares = right(line, pairs)
    if shares is None:
        return ""
    ratio = ratio_text(line)
    return f"errors {points(1 - shares[0])} -> {points(1 - shares[1])} %" + (f", {ratio}" if ratio else "")


def ratio_text(line: Line) -> str:
    """The ratio of errors, e.g. `x1.8`; nothing where the dense model makes none."""
    ratio = line.error_ratio
    if ratio is None:
        return ""
    return f"x{ratio:.0f}" if ratio >= 99.95 else f"x{ratio:.1f}"


def suspect(line: Line, margin: float) -> bool:
    """Whether the group's own bounds show a loss, or one beyond the margin, that its verdict does not say."""
    if line.verdict == "harmed":
        return not line.beyond_margin and line.lower > margin
    return line.verdict != "safe" and line.lower > 0


def judged(line: Line, margin: float) -> str:
    """The verdict on one group in full words, with the examples that would decide."""
    odd = suspect(line, margin)
    if line.verdict == "harmed":
        return "harmed beyond margin" if line.beyond_margin else "harmed, suspect beyond" if odd else "harmed"
    if line.verdict == "safe":
        return "safe, some loss" if line.small_loss else "safe"
    needs = "" if line.needs is None else f", needs about {line.needs}"
    return f"{line.verdict}{', suspect' if odd else ''}{needs}"


def headline(audit: Audit) -> Sentence:
    """The models and the size of the audit: `int8 against dense, 6000 examples, margin 3 points, 40 groups`."""
    one = [Name(audit.models[0].name)] if len(audit.models) == 1 else [counted(len(audit.models), "model")]
    size = f", {examples(audit.n, audit.units)}, margin {margin_text(audit.options.margin)} points"
    return [*one, " against ", Name(audit.dense), f"{size}, {counted(audit.groups, 'group')}"]


def verdict_of(compared: Compared) -> str:
    """The verdict on one model, e.g. `harmed, beyond the margin`."""
    return "harmed, beyond the margin" if compared.verdict == "harmed" and compared.beyond_margin else compared.verdict


def overall(compared: Compared, audit: Audit) -> Sentence:
    """All examples together: right before and after, lost and gained, the harm with its bounds, in words."""
    line, margin = compared.lines[0], audit.options.margin
    shares = right(line, audit.pairs)
    told = f" {points(shares[0])} -> {points(shares[1])} % right" if shares else ""
    runs = " in all pairs" if audit.pairs > 1 else ""
    bounds = f"{bound(line.harm, margin)} [{bound(line.lower, margin)}, {bound(line.upper, margin)}]"
    word = _overall_word(line, margin)
    return [f"Overall{told}: lost {line.lost}, gained {line.gained}{runs}. Overall harm {bounds}: {word}."]


def _overall_word(line: Line, margin: float) -> str:
    if line.verdict == "safe":
        return "a loss, within the margin" if line.small_loss else "within the margin"
    if line.verdict == "harmed":
        perhaps = "suspect beyond the margin" if suspect(line, margin) else "perhaps within the margin"
        return f"harmed, {'beyond the margin' if line.beyond_margin else perhaps}"
    return judged(line, margin)


def worst_group(compared: Compared, audit: Audit) -> Sentence | None:
    """The errors of the group with the largest harm, where that is no gain and more than one group was looked at."""
    line = next((x for x in compared.lines if x.group.name == compared.worst), None)
    if line is None or line.group.name == ALL or line.harm <= 0:
        return None
    told = errors(line, audit.pairs) or f"{bound(line.harm, audit.options.margin)} points"
    verdict = "" if line.verdict == "harmed" else f" ({line.verdict})"
    return ["Largest harm: ", Name(line.group.name), f"{verdict}, {told}."]


def without(compared: Compared) -> Sentence | None:
    """The group without which the fewest groups are harmed: where to look first."""
    if compared.without is None:
        return None
    name, left = compared.without
    rest = "no group is harmed" if not left else f"{counted(left, 'group')} would still be harmed"
    return ["Without ", Name(name), f" {rest}: look there first {DESCRIPTION}."]


def not_excluded(compared: Compared, margin: float) -> Sentence:
    """The largest harm that is not excluded, and the group that could have it."""
    line = max(compared.lines, key=lambda line: line.upper)
    where = [" (", Name(line.group.name), f", {counted(line.group.n, 'example')})"]
    return [f"Harm not excluded anywhere: {bound(compared.not_excluded, margin)} points", *where, "."]


def pairs(audit: Audit) -> Sentence:
    """Say how many training runs the audit speaks of."""
    if audit.pairs == 1:
        return ["One pair of models: this says nothing about other training runs."]
    own = f"{audit.pairs} pairs of models, each from a training run of its own."
    return [own] if audit.pairs >= FEWEST_SEEDS else [f"{own} The bounds are of the test examples alone."]


def flips(compared: Compared, audit: Audit, file: str | None = None) -> Sentence:
    """The number of answers that changed: lost, gained, wrong both times; and the file that lists them."""
    line, share = compared.lines[0], f"{points(compared.churn)} %"
    told = f"{line.lost} lost, {line.gained} gained"
    if audit.pairs > 1:  # runs may have test sets of several sizes: the number of all answers is not known
        parts = [f"{share} of all answers changed: {told} in all pairs, the others wrong both times"]
    else:
        number = max(round(compared.churn * audit.n), line.lost + line.gained)
        wrong = number - line.lost - line.gained
        parts = [f"{counted(number, 'answer')} changed ({share}): {told}, {wrong} wrong both times"]
    return [*parts, *((". Listed in ", Name(file)) if file else ()), "."]


def uneven(found: Uneven, level: float) -> Sentence | None:
    """Say that one value of an attribute loses more than the rest; None where this was not shown."""
    if found.p > level:
        return None
    attribute, value = Name(found.attribute), Name(found.value)
    return [attribute, f" loses unevenly (p {_equals(found.p)}): ", value, " loses more than the rest."]


def _equals(p: float) -> str:
    text = p_text(p)
    return text if text.startswith("<") else f"= {text}"


def missing(found: Missing, margin: float) -> Sentence:
    """Say how many examples lack an attribute, and the bound of its worst value, whether they have it or not."""
    lacks = "1 example lacks " if found.n == 1 else f"{found.n} examples lack "
    whose = "Whether or not it has" if found.n == 1 else "Whether none or all of them have"
    told = f". {whose} the value ", f", its harm is below {bound(found.upper, margin)} points."
    return [lacks, Name(found.attribute), told[0], Name(found.value), told[1]]


def empty(names: Sequence[str]) -> Sentence | None:
    """Name the crossings without examples; None where each has some."""
    if not names:
        return None
    parts: list[str] = ["No examples, so nothing is said of: "]
    for at, name in enumerate(names[:SHOWN_EMPTY]):
        parts += [", " if at else "", Name(name)]
    hidden = len(names) - SHOWN_EMPTY
    return [*parts, f" and {counted(hidden, 'more crossing')}." if hidden > 0 else "."]


def settings(audit: Audit) -> list[Sentence]:
    """The settings and the test set: what a reader needs to see that two audits are alike."""
    options = audit.options
    gate: list[str] = ["every attribute"] if options.gate is None else []
    for at, name in enumerate(options.gate or ()):
        gate += [", " if at else "", Name(name)]
    labels = "each label is" if options.by_label else "labels are not"
    pool = f" Values with fewer than {options.pool} examples are one group." if options.pool else ""
    return [
        [
            f"Settings: margin {margin_text(options.margin)} points, level {options.level:g}, "
            f"crossings of up to {counted(options.depth, 'attribute')}; a pass needs ",
            *(gate or ["no attribute"]),
            f" safe; {labels} a group.{pool}",
        ],
        [f"Test set: {examples(audit.n, audit.units)}, digest {audit.test_set[:16]}."],
    ]


def told(audit: Audit, compared: Compared) -> list[Sentence]:
    """The sentences on one model that follow its table, in order."""
    options = audit.options
    found: list[Sentence | None] = [worst_group(compared, audit), without(compared)]
    found.append(not_excluded(compared, options.margin))
    found += [uneven(value, options.level) for value in compared.uneven]
    found += [missing(value, options.margin) for value in compared.missing]
    return [sentence for sentence in found if sentence is not None]
