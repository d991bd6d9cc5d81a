"""`benchbias audit`: does a compressed model harm a group of examples?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import typer

from benchbias.auditing.pages.exits import check_choices
from benchbias.cli.auditing import options
from benchbias.cli.auditing.command import given_options
from benchbias.cli.auditing.files import check_files
from benchbias.cli.auditing.options import Asked
from benchbias.errors import UsageError

PLAN = "plan"

WAYS = MappingProxyType(
    {
        "a table": options.EVERY | options.TABLE,
        "models": options.EVERY | options.MODELS,
        "a suite": options.EVERY | options.SUITE,
        "plan": options.PLAN | {"file"},
    }
)

HOW = (
    "say what to audit: a table of answers (`benchbias audit answers.csv --dense COLUMN --compressed COLUMN`), models "
    "on images (`--model NAME --dense FILE --compressed FILE --data FOLDER`), rows of a suite (`-s SUITE --dense ROW "
    "--compressed ROW`), or `benchbias audit plan --table FILE`"
)


def audit(asked: Asked) -> None:
    """Say whether a compressed model harms a group of examples, against the dense model.

    Answers come from a table, from models that are run on images, or from two rows of a finished suite. `audit plan`
    says before labelling what could be decided. Exit codes: 0 no gated group is harmed, 3 harmed, 5 undecided.
    """
    way = way_of(asked)
    check_options(asked, way)
    check_files(asked)
    raise typer.Exit(ACTS[way](asked))


def way_of(asked: Asked) -> str:
    """The way to the answers. Raises UsageError where none is said, or two are."""
    if asked.file == PLAN:
        return "plan"
    said = {
        "a table": asked.file is not None,
        "models": asked.data is not None or asked.model is not None,
        "a suite": asked.suite is not None,
    }
    found = [way for way, here in said.items() if here]
    if len(found) > 1:
        raise UsageError(f"one audit is of {' or of '.join(found)}, not of both")
    if not found:
        raise UsageError(HOW)
    return found[0]


def check_options(asked: Asked, way: str) -> None:
    """Raises UsageError for an option that this way does not read, and for choices that contradict each other."""
    for name in sorted(given_options(asked) - WAYS[way]):
        others = " and ".join(other for other, names in WAYS.items() if name in names)
        raise UsageError(f"{option_name(name)} goes with {others}, not with {way}")
    if way == "plan":
        return
    check_choices(asked.fail_if, asked.undecided)
    for name in ("dense", "compressed"):
        if not getattr(asked, name):
            raise UsageError(f"--{name} is missing: an audit compares a compressed model with the dense one")


def option_name(name: str) -> str:
    """The option of a field, as a user writes it."""
    special = {"identity": "--id", "only_flips": "--label-only-flips", "json_file": "--json"}
    return special.get(name, f"--{name.replace('_', '-')}")


def _table(asked: Asked) -> int:
    from benchbias.cli.auditing.tables import audit_table

    return audit_table(asked)


def _models(asked: Asked) -> int:
    from benchbias.cli.auditing.models import audit_models

    return audit_models(asked)


def _suite(asked: Asked) -> int:
    from benchbias.cli.auditing.suites import audit_suite

    return audit_suite(asked)


def _plan(asked: Asked) -> int:
    from benchbias.cli.auditing.planning import plan_audit

    return plan_audit(asked)


ACTS: Mapping[str, Callable[[Asked], int]] = MappingProxyType(
    {"a table": _table, "models": _models, "a suite": _suite, "plan": _plan}
)
