"""The settings of an audit, and the warnings that its answers give, from the command line."""

from __future__ import annotations

from collections.abc import Sequence

from benchbias.auditing.assembling import check_options
from benchbias.auditing.entry import api
from benchbias.auditing.values import Answers, Options, Warning
from benchbias.cli.auditing.options import Asked
from benchbias.errors import UsageError


def options_of(asked: Asked) -> Options:
    """The settings of the audit: points as shares. Raises UsageError for what a margin or a level cannot be."""
    gate = None if asked.gate is None else tuple(name.strip() for name in asked.gate.split(","))
    if gate is not None and not all(gate):
        raise UsageError(f"--gate {asked.gate!r:.80}: names of attributes with commas between them; one is empty")
    options = Options(asked.margin / 100, asked.level, asked.depth, gate, asked.label_groups, asked.pool)
    check_options(options)
    return options


def expected_share(percent: float | None) -> float | None:
    """The accuracy that is expected of the dense model, as a share. Raises UsageError for what is a share already."""
    if percent is not None and 0 < percent <= 1:
        raise UsageError(f"--expect-accuracy {percent:g}: in percent, such as {100 * percent:g}")
    return None if percent is None else percent / 100


def checked(asked: Asked, runs: Sequence[Answers]) -> tuple[Warning, ...]:
    """The warnings about the answers of every training run, each once. Raises DataError where one stops the audit."""
    expected = expected_share(asked.expect_accuracy)
    return api.checked(runs, options_of(asked), expected, asked.allow or ())
