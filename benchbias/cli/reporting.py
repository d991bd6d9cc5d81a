"""The verb that writes the report of suites."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchbias.cli.options import Config, DataDir, Device, Plugins, open_workspace, selected
from benchbias.errors import printable

if TYPE_CHECKING:
    from benchbias.plan.trials import Plan
    from benchbias.report.gathering.source import Source
    from benchbias.runner.workspace import Workspace


def report(
    suites: Annotated[list[str], typer.Argument(help="The suites.", metavar="SUITE...")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The HTML file to write.")] = Path("report.html"),
    records: Annotated[Path | None, typer.Option(help="A published folder: report its records.")] = None,
    out: Annotated[Path, typer.Option("--out", readable=False, help="The results folder.")] = Path("results"),
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    device: Device = "cpu",
) -> None:
    """Write one HTML file with everything that the records of suites say."""
    from benchbias.report.making import check_report_path, write_report

    check_report_path(output)
    workspace = open_workspace(config, plugin, data_dir)
    names = list(dict.fromkeys(suites))
    found = [_source(workspace, name, records, out, device) for name in names]
    size = write_report(found, output)
    count = sum(len(source.records) for source in found)
    places = ", ".join(dict.fromkeys(str(source.place) for source in found))
    print(printable(f"{output}: {count} records of {places}, {size / 1e6:.1f} MB; open it in a browser"))


def _source(workspace: Workspace, suite: str, folder: Path | None, out: Path, device: str) -> Source:
    """The material of one suite: of a published folder where one is named, else of the results folder."""
    from benchbias.report.gathering.source import Source
    from benchbias.runner import publishing

    if folder is not None:
        found = publishing.published_records(suite, folder)
        analyses = publishing.published_analyses(suite, folder)
        plan = _plan(workspace, suite, device) if suite in workspace.catalogue.suites else None
        return Source(suite, *found, analyses, folder, True, out, workspace, plan)
    plan = _plan(workspace, suite, device)
    found = publishing.records_of(plan, out)
    return Source(suite, *found, publishing.analyses_of(plan, out), out, False, out, workspace, plan)


def _plan(workspace: Workspace, suite: str, device: str) -> Plan:
    return workspace.plan(suite, selected(None, None, device=device))
