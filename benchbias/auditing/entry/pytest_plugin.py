"""An audit as a test: `assert_no_subgroup_harm`, as a function and as a fixture of pytest. Its import costs nothing.

pytest finds the fixture by itself once benchbias is installed (entry point `pytest11`).
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchbias.auditing.entry.report import AuditReport
    from benchbias.auditing.pages.exits import FailIf, Undecided

WIDTH = 100  # columns of the table in a message


class SubgroupHarmWarning(UserWarning):
    """An audit did not pass, and was asked to warn only."""


def assert_no_subgroup_harm(
    report: AuditReport | None = None, *, fail_if: FailIf = "harmed", undecided: Undecided = "fail", **arguments: Any
) -> AuditReport:
    """Raise AssertionError, with the table of the groups, where a compressed model harms a group; return the report.

    report: what `benchbias.audit` has returned; without it `arguments` are its arguments (label, dense, compressed,
    attributes, cluster, margin in points, ...). fail_if, undecided: as on the command line: "harmed", "beyond" or
    "undecided" fail; an undecided audit fails as well, unless it may "warn" (SubgroupHarmWarning) or "pass".

    Raises TypeError where both or neither are given, and the errors of `benchbias.audit`.
    """
    __tracebackhide__ = True
    from benchbias.auditing.pages.exits import exit_code, undecided_warning
    from benchbias.auditing.pages.text import text

    if (report is None) == (not arguments):
        raise TypeError("assert_no_subgroup_harm takes a report, or the arguments of benchbias.audit, and not both")
    found = _audited(**arguments) if report is None else report
    code = exit_code(found.audit, fail_if=fail_if, undecided=undecided)
    if code:
        raise AssertionError(text(found.audit, width=WIDTH, code=code).rstrip("\n"))
    if warned := undecided_warning(found.audit, fail_if=fail_if, undecided=undecided):
        warnings.warn(warned, SubgroupHarmWarning, stacklevel=2)
    return found


def _audited(**arguments: Any) -> AuditReport:
    from benchbias.auditing.entry.api import audit

    return audit(**arguments)


def pytest_configure(config: Any) -> None:
    """Hand pytest the fixture: only here is pytest imported, so that the function works without it."""
    import pytest

    class Fixtures:
        """The fixtures of benchbias."""

        @pytest.fixture(name="assert_no_subgroup_harm")
        def asserting(self) -> Callable[..., AuditReport]:
            """Function that takes the arguments of `benchbias.audit` and fails the test where a group is harmed."""
            return assert_no_subgroup_harm

    config.pluginmanager.register(Fixtures(), "benchbias-fixtures")
