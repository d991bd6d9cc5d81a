"""Verdicts of a check: it holds, perhaps with a note; it does not apply; or what came instead of what was expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from benchbias.testing.calling.subject import Subject

Status = Literal["ok", "failed", "skipped", "waived"]


class Unmet(Exception):
    """Raised by a check: what came, in one line."""


class NotApplicable(Exception):
    """Raised by a check that says nothing about this component, with the reason."""


class Refused(Exception):
    """A component raised Skip or a BenchbiasError: it says itself that it does not fit. skip: it was Skip."""

    def __init__(self, reason: str, skip: bool) -> None:
        super().__init__(reason)
        self.skip = skip


class Crashed(Exception):
    """A component raised anything else: what, and the place in its source."""


@dataclass(frozen=True)
class Check:
    """One property that components of some kinds must have.

    function: raises Unmet or NotApplicable; may return a note. expected: its docstring's first line. gate: without
    it no later check says anything.
    """

    name: str
    kinds: frozenset[str]
    function: Callable[[Subject], str | None]
    gate: bool = False

    @property
    def expected(self) -> str:
        return (self.function.__doc__ or "").strip().split("\n")[0]


@dataclass(frozen=True)
class Result:
    """The verdict of one check on one component. again: the command that repeats it."""

    kind: str
    component: str
    plugin: str
    check: str
    status: Status
    expected: str
    found: str
    again: str
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Result:
        return Result(**value)
