"""`benchbias audit -s SUITE`: rows of a finished suite against each other."""

from __future__ import annotations

from benchbias.auditing.runs.suite import audit_rows, runs_of_rows
from benchbias.cli.auditing.options import Asked
from benchbias.cli.auditing.outputs import tell
from benchbias.cli.auditing.settings import checked, options_of
from benchbias.errors import UsageError


def audit_suite(asked: Asked) -> int:
    """Audit rows of a suite over their common seeds; the exit code. Raises BenchbiasError."""
    from benchbias.runner.api import load_results

    assert asked.suite is not None
    assert asked.dense is not None
    if len(asked.dense) > 1:
        raise UsageError("of a suite --dense is one row: its seeds are the training runs")
    results = load_results(
        asked.suite,
        tasks=asked.task,
        out=asked.out,
        config=asked.config,
        plugins=asked.plugin or (),
        data_dir=asked.data_dir,
    )
    runs = runs_of_rows(results, asked.dense[0], asked.compressed or [], asked.task)
    warnings = checked(asked, runs)
    return tell(asked, audit_rows(runs, options_of(asked), warnings), runs)
