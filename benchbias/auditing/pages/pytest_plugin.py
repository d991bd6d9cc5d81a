"""An audit as a test: `assert_no_subgroup_harm`, as a function and as a fixture of pytest. Its import costs nothing.

pytest finds the fixture by itself once benchbias is installed (entry point `pytest11`).
"""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchbias.auditing.pages.exits import FailIf, Undecided
    from benchbias.auditing.values import Audit

WIDTH = 100  # columns of the table in a message


class SubgroupHarmWarning(UserWarning):
    """An audit did not pass, and was asked to warn only."""


def assert_no_subgroup_harm(
    audit: Audit | None = None, *, fail_if: FailIf = "harmed", undecided: Undecided = "fail", **arguments: Any
) -> Audit:
    """Raise AssertionError, with the table of the groups, where a compressed model harms a group; return the audit.

    audit: one that is made already; without it `arguments` are those of `benchbias.audit` (label, dense, compressed,
    attributes, cluster, margin in points, ...). fail_if, undecided: as on the command line: "harmed", "beyond" or
    "undecided" fail; an undecided audit fails as well, unless it may "warn" (SubgroupHarmWarning) or "pass".

    Raises TypeError where both or neither are given, and the errors of `benchbias.audit`.
    """
    __tracebackhide__ = True
    from benchbias.auditing.pages.exits import exit_code, undecided_warning
    from benchbias.auditing.pages.text import text

    if (audit is None) == (not arguments):
        raise TypeError("assert_no_subgroup_harm takes an audit, or the arguments of benchbias.audit, and not both")
    found: Audit = importlib.import_module("benchbias.auditing.api").audit(**arguments) if audit is None else audit
    code = exit_code(found, fail_if=fail_if, undecided=undecided)
    if code:
        raise AssertionError(text(found, width=WIDTH, code=code).rstrip("\n"))
    if warned := undecided_warning(found, fail_if=fail_if, undecided=undecided):
        warnings.warn(warned, SubgroupHarmWarning, stacklevel=2)
    return found


def pytest_configure(config: Any) -> None:
    """Hand pytest the fixture: only here is pytest imported, so that the function works without it."""
    import pytest

    class Fixtures:
        """The fixtures of benchbias."""

        @pytest.fixture(name="assert_no_subgroup_harm")
        def asserting(self) -> Callable[..., Audit]:
            """Function that takes the arguments of `benchbias.audit` and fails the test where a group is harmed."""
            return assert_no_subgroup_harm

    config.pluginmanager.register(Fixtures(), "benchbias-fixtures")
