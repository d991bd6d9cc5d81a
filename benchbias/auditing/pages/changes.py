"""Differences between two audits: margin, groups, test set, verdicts. A quiet change of any would be a hole."""

from __future__ import annotations

from collections.abc import Iterable

from benchbias.auditing.pages.wording import bound, counted, margin_text
from benchbias.auditing.values import Audit, Compared, Options

NAMED = 3  # groups whose names are told


def changes(before: Audit, now: Audit) -> list[str]:
    """Sentences about what differs between an earlier audit and this one; none where nothing does."""
    found = _options(before.options, now.options)
    if before.dense != now.dense:
        found.append(f'The dense model was called "{before.dense}" and is now "{now.dense}".')
    if before.test_set != now.test_set:
        found.append(f"The test set is another one: {counted(before.n, 'example')} before, {now.n} now.")
    if before.pairs != now.pairs:
        found.append(f"{counted(before.pairs, 'pair')} of models before, {now.pairs} now.")
    found += _names("Groups", _groups(before), _groups(now))
    was, are = ({model.name: model for model in audit.models} for audit in (before, now))
    found += _names("Models", was, are)
    for name in sorted(was.keys() & are.keys()):
        found += _verdicts(was[name], are[name], now.options.margin)
    return found


def _options(before: Options, now: Options) -> list[str]:
    found = []
    if before.margin != now.margin:
        word = "raised" if now.margin > before.margin else "lowered"
        found.append(f"The margin was {word} from {margin_text(before.margin)} to {margin_text(now.margin)} points.")
    if before.level != now.level:
        found.append(f"The level was {before.level:g} and is now {now.level:g}.")
    if before.depth != now.depth:
        found.append(f"Up to {counted(before.depth, 'attribute')} were crossed, now up to {now.depth}.")
    if before.gate != now.gate:
        found.append(f"A pass needed {_gate(before)} safe, and now needs {_gate(now)} safe.")
    if before.by_label != now.by_label:
        found.append(f"Labels {'are now' if now.by_label else 'are no longer'} groups of their own.")
    if before.pool != now.pool:
        found.append(
            f'Values with fewer than {before.pool} examples were "(other)", now those with fewer than {now.pool}.'
        )
    return found


def _gate(options: Options) -> str:
    if options.gate is None:
        return "every attribute"
    return ", ".join(f'"{name}"' for name in options.gate) or "no attribute"


def _groups(audit: Audit) -> set[str]:
    return {line.group.name for model in audit.models for line in model.lines}


def _names(what: str, before: Iterable[str], now: Iterable[str]) -> list[str]:
    gone, new = sorted(set(before) - set(now)), sorted(set(now) - set(before))
    pairs = ((gone, "that are gone"), (new, "that are new"))
    return [f"{what} {word}: {_listed(names)}." for names, word in pairs if names]


def _listed(names: list[str]) -> str:
    told = ", ".join(f'"{name}"' for name in names[:NAMED])
    return told + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _verdicts(before: Compared, now: Compared, margin: float) -> list[str]:
    found = []
    name = now.name
    if before.verdict != now.verdict:
        found.append(f'"{name}" was {before.verdict} and is now {now.verdict}.')
    elif before.beyond_margin != now.beyond_margin:
        found.append(f'"{name}" is {"now" if now.beyond_margin else "no longer"} harmed beyond the margin.')
    was = {line.group.name: line.verdict for line in before.lines}
    newly = [x for x in now.lines if x.verdict == "harmed" and was.get(x.group.name, "harmed") != "harmed"]
    if newly:
        found.append(f'Harmed by "{name}" now, and not before: {_listed([x.group.name for x in newly])}.')
    cured = {x.group.name for x in now.lines if x.verdict != "harmed"}
    if healed := sorted(group for group in cured if was.get(group) == "harmed"):
        found.append(f'No longer harmed by "{name}": {_listed(healed)}.')
    shown = [bound(value.not_excluded, margin) for value in (before, now)]
    if shown[0] != shown[1]:
        found.append(f'Harm not excluded by "{name}": {shown[0]} points before, {shown[1]} now.')
    return found
