"""Verbs for plugin authors: check a plugin, and begin a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchbias.cli.options import Json


def check(
    plugin: Annotated[str, typer.Argument(help="A component, a plugin's file or folder, a module, a distribution.")],
    waive: Annotated[list[str] | None, typer.Option(help="CHECK=reason: it may fail; may be repeated.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this check; may be repeated.")] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds a check may take.")] = 60.0,
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="A markdown table.")] = False,
) -> None:
    """Check that a plugin keeps its contract, on toy data."""
    from benchbias.testing import report
    from benchbias.testing.checking import check as checked
    from benchbias.testing.finding import find
    from benchbias.testing.waivers import parse_waivers

    results = checked(find(plugin), parse_waivers(waive or ()), only or (), timeout)
    form = report.as_json if as_json else report.as_markdown if markdown else report.as_text
    print(form(results))
    raise typer.Exit(report.exit_code(results))


KIND_HELP = (
    "pruner, trainer, dataset, model, metric, probe (a measurement of one trained model) or analysis (a comparison "
    "over all trials of a task)."
)


def new(
    kind: Annotated[str, typer.Argument(help=KIND_HELP)],
    name: Annotated[str, typer.Argument(help="The component's name.")],
    folder: Annotated[Path | None, typer.Option(help="Where (default: ./benchbias-NAME); it must not exist.")] = None,
) -> None:
    """Begin a plugin: a small distribution that works and passes its checks."""
    from benchbias.cli.scaffold import new as written

    for path in written(kind, name, folder):
        print(path)
