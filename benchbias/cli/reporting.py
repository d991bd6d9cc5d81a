"""The verb that writes the report of suites."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchbias.cli.options import All, AnyDevice, Asked, Config, DataDir, Device, Plugins, open_workspace, selected
from benchbias.errors import printable

if TYPE_CHECKING:
    from benchbias.report.gathering.source import Source
    from benchbias.runner.workspace import Workspace


def report(
    suites: Annotated[list[str], typer.Argument(help="The suites.", metavar="SUITE...")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The HTML file to write.")] = Path("report.html"),
    records: Annotated[Path | None, typer.Option(help="A published folder: report its records.")] = None,
    out: Annotated[Path, typer.Option("--out", readable=False, help="The results folder.")] = Path("results"),
    images: Annotated[bool, typer.Option(help="Embed images of the data sets: mind their licences.")] = True,
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    device: AnyDevice = None,
    all_: All = False,
) -> None:
    """Write one HTML file with everything that the records of suites say."""
    from benchbias.report.making import check_report_path, write_report

    check_report_path(output)
    names = list(dict.fromkeys(suites))
    if records is not None:
        workspace = open_workspace(config, plugin, data_dir)
        found = [_published(workspace, name, records, out, device or "cpu") for name in names]
    else:
        found = [_own(name, out, config, plugin, data_dir, device, everything=all_) for name in names]
    size = write_report([replace(source, images=images) for source in found], output)
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
        write_report([_published(workspace, suite, records, results, device)], path)

    def tell(line: str) -> None:
        print(printable(f"site: {line}"), file=sys.stderr)

    made = make_site(out, records, docs, report if reports else None, tell)
    print(printable(f"{out}: {made.boards} boards, {made.reports} reports, {made.pages} pages; open {out}/index.html"))


def _published(workspace: Workspace, suite: str, folder: Path, out: Path, device: str) -> Source:
    """The material of one suite of a published folder."""
    from benchbias.report.gathering.source import Source
    from benchbias.runner import publishing

    found = publishing.published_records(suite, folder)
    analyses = publishing.published_analyses(suite, folder)
    known = suite in workspace.catalogue.suites
    plan = workspace.plan(suite, selected(None, None, device=device)) if known else None
    return Source(suite, *found, analyses, folder, True, out, workspace, plan)


def _own(
    suite: str,
    out: Path,
    config: Path | None,
    plugins: list[Path] | None,
    data_dir: Path | None,
    device: str | None,
    *,
    everything: bool,
) -> Source:
    """The material of one suite of a results folder: of what its last run was of, unless the user says otherwise."""
    from benchbias.report.gathering.source import Source
    from benchbias.runner import publishing

    asked = Asked(device=device)
    plan, last = asked.plan(suite, out, config, plugins, data_dir, everything=everything, others=True)
    known = None if last is None else last.config
    data = None if last is None else last.data_dir
    workspace = open_workspace(
        config or (Path(known) if known else None), plugins, data_dir or (Path(data) if data else None)
    )
    found = publishing.records_of(plan, out)
    return Source(suite, *found, publishing.analyses_of(plan, out), out, False, out, workspace, plan)
