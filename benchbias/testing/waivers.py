"""Waivers: checks that a component fails by its nature, each with a reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from benchbias.errors import UsageError, unknown


def parse_waivers(texts: Iterable[str]) -> dict[str, str]:
    """CHECK=reason, or COMPONENT:CHECK=reason. Raises UsageError without a reason."""
    found = {}
    for text in texts:
        name, equals, reason = text.partition("=")
        if not equals or not reason.strip():
            raise UsageError(f"--waive {text}: expected CHECK=reason or COMPONENT:CHECK=reason")
        found[name.strip()] = reason.strip()
    return found


def check_names(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse names of checks that there are not. Raises UsageError."""
    for name in given:
        if name.rpartition(":")[2] not in set(known):
            raise UsageError(unknown("check", name.rpartition(":")[2], known, where))


def waiver_of(waivers: Mapping[str, str], component: str, check: str) -> str | None:
    """The reason why a component may fail a check, or None."""
    return waivers.get(f"{component}:{check}", waivers.get(check))
