"""The settings of an audit, and the warnings that its answers give, from the command line."""

from __future__ import annotations

from collections.abc import Sequence

from benchbias.auditing.assembling import check_options
from benchbias.auditing.entry import api
from benchbias.auditing.values import Answers, Options, Warning
from benchbias.cli.auditing.options import Asked


def options_of(asked: Asked) -> Options:
    """The settings of the audit: points as shares. Raises UsageError for what a margin or a level cannot be."""
    gate = None if asked.gate is None else tuple(name.strip() for name in asked.gate.split(",") if name.strip())
    options = Options(asked.margin / 100, asked.level, asked.depth, gate, asked.label_groups, asked.pool)
    check_options(options)
    return options


def checked(asked: Asked, runs: Sequence[Answers]) -> tuple[Warning, ...]:
    """The warnings about the answers of every training run, each once. Raises DataError where one stops the audit."""
    expected = None if asked.expect_accuracy is None else asked.expect_accuracy / 100
    return api.checked(runs, options_of(asked), expected, asked.allow or ())
