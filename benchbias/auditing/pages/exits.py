"""The exit code of an audit: 0, 3 where a model harms, 5 where too little is known."""

from __future__ import annotations

from typing import Literal, get_args

from benchbias.auditing.values import Audit
from benchbias.errors import UsageError, unknown

FailIf = Literal["harmed", "beyond", "undecided"]
Undecided = Literal["warn", "fail", "pass"]

FINE, HARMED, UNDECIDED = 0, 3, 5


def exit_code(audit: Audit, *, fail_if: FailIf = "harmed", undecided: Undecided = "fail") -> int:
    """The exit code of an audit. Raises UsageError for an unknown choice, and for two that contradict each other.

    fail_if: what ends with 3: a harmed model; "beyond": only one that is harmed beyond the margin (other harm counts
    as undecided); "undecided": also one of which too little is known. undecided: what an undecided audit ends with
    otherwise: "fail" with 5, "warn" and "pass" with 0.
    """
    check_choices(fail_if, undecided)
    if _fails(audit, fail_if):
        return HARMED
    return UNDECIDED if audit.verdict != "pass" and undecided == "fail" else FINE


def check_choices(fail_if: str, undecided: str) -> None:
    """Raises UsageError for an unknown choice, and for two that contradict each other."""
    if fail_if not in get_args(FailIf):
        raise UsageError(unknown("choice", fail_if, get_args(FailIf), "fail-if"))
    if undecided not in get_args(Undecided):
        raise UsageError(unknown("choice", undecided, get_args(Undecided), "undecided"))
    if fail_if == "undecided" and undecided != "fail":
        raise UsageError(
            f"fail-if undecided and undecided {undecided} contradict each other: an audit that knows too little "
            "fails, or it does not; leave one of the two out"
        )


def _fails(audit: Audit, fail_if: FailIf) -> bool:
    if fail_if == "beyond":
        return any(model.verdict == "harmed" and model.beyond_margin for model in audit.models)
    return audit.verdict == "harmed" or (fail_if == "undecided" and audit.verdict == "undecided")


def undecided_warning(audit: Audit, *, fail_if: FailIf = "harmed", undecided: Undecided = "fail") -> str | None:
    """The line that "warn" prints for an audit that ends with 0 and yet does not pass; None elsewhere."""
    if undecided != "warn" or audit.verdict == "pass" or exit_code(audit, fail_if=fail_if, undecided=undecided):
        return None
    found = "harm was found, but not beyond the margin" if audit.verdict == "harmed" else "too little is known"
    return f"the audit does not pass: {found}; it ends with 0 because undecided audits only warn"
