"""The verb that writes the report of suites."""

from __future__ import annotations

import sys
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


def site(
    out: Annotated[Path, typer.Option("--out", help="The folder of the site: absent, empty, or a site already.")],
    records: Annotated[Path, typer.Option(help="The published folder whose boards are shown.")] = Path("leaderboard"),
    docs: Annotated[Path | None, typer.Option(help="The folder `docs` of a checkout: its pages are shown too.")] = None,
    reports: Annotated[bool, typer.Option(help="Make the report of every suite.")] = True,
    results: Annotated[Path, typer.Option(help="The results folder, where data sets are built for images.")] = Path(
        "results"
    ),
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    device: Device = "cpu",
) -> None:
    """Make a static site of published boards, their reports, and the docs."""
    from benchbias.report.making import write_report
    from benchbias.site.making import make_site

    workspace = open_workspace(config, plugin, data_dir)

    def report(suite: str, path: Path) -> None:
        write_report([_source(workspace, suite, records, results, device)], path)

    def tell(line: str) -> None:
        print(printable(f"site: {line}"), file=sys.stderr)

    made = make_site(out, records, docs, report if reports else None, tell)
    print(printable(f"{out}: {made.boards} boards, {made.reports} reports, {made.pages} pages; open {out}/index.html"))


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
