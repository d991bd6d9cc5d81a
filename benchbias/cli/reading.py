"""Verbs that read: what there is, and leaderboards from records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchbias.cli.options import (
    Config,
    DataDir,
    Device,
    Json,
    Offline,
    Out,
    Plugins,
    Sets,
    Tasks,
    open_workspace,
    selected,
)
from benchbias.errors import UsageError, printable

if TYPE_CHECKING:
    from benchbias.figures import Pictures
    from benchbias.runner.workspace import Workspace

FIGURE_HELP = (
    "What --plot draws: layer-sweep, equal-accuracy, sparsity-curves, recall-balance, class-impact, pie-sheet, "
    "probe-chart, equal-fit (default: the first that fits)."
)


def list_(
    what: Annotated[str, typer.Argument(help="suites, tasks, methods, plugins or components.")] = "suites",
    config: Config = None,
    plugin: Plugins = None,
) -> None:
    """List suites, tasks, methods, plugins or components."""
    from benchbias.cli.showing import listing

    print(printable(listing(open_workspace(config, plugin), what)))


def show(
    name: Annotated[str, typer.Argument(help="A suite, task, method, plugin or component.")],
    suite: Annotated[str | None, typer.Option("-s", "--suite", help="Show a method as this suite runs it.")] = None,
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    set_: Sets = None,
    image: Annotated[Path | None, typer.Option(help="Of a task: write sample images by group to this PNG.")] = None,
    by: Annotated[str | None, typer.Option(help="A row of --image: a group (default) or a class.")] = None,
    width: Annotated[int | None, typer.Option(min=200, max=10_000, help="Pixels that --image may take.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Of a suite: draw a figure into this SVG, PDF or PNG.")] = None,
    figure: Annotated[str | None, typer.Option(help=FIGURE_HELP)] = None,
    records: Annotated[Path | None, typer.Option(help="A published folder: --plot draws its records.")] = None,
    out: Out = Path("results"),
    device: Device = "cpu",
) -> None:
    """Show all about one name, each value with its source."""
    from benchbias.cli.showing import details

    if image is None and (by is not None or width is not None):
        raise UsageError("--by and --width go with --image FILE")
    workspace = open_workspace(config, plugin, data_dir)
    if plot is not None:
        _plot(workspace, name, plot, figure, records, out, device)
        return
    if figure is not None or records is not None:
        raise UsageError("--figure and --records go with --plot FILE")
    print(printable(details(workspace, name, suite, set_ or ())))
    if image is not None:
        from benchbias.report.gathering.pictures import write_sheet

        if name not in workspace.catalogue.tasks:
            raise UsageError(f"--image goes with a task (known: {', '.join(workspace.catalogue.tasks)})")
        for line in write_sheet(workspace, name, image, out, by or "group", width):
            print(printable(line))


def _plot(
    workspace: Workspace, name: str, path: Path, figure: str | None, records: Path | None, out: Path, device: str
) -> None:
    from benchbias.figures import Material, check_path, fitting, write_figure
    from benchbias.runner import publishing

    check_path(path)
    workspace.catalogue.suite(name)  # an unknown one is refused before anything is read
    if records is not None:
        found, place = publishing.published_records(name, records), records
        analyses = publishing.published_analyses(name, records)
    else:
        plan = workspace.plan(name, selected(None, None, device=device))
        found, place = publishing.nearest_records(plan, out)
        analyses = publishing.analyses_of(plan, out) if place == out else publishing.published_analyses(name, place)

    def pictures(task: str) -> Pictures:
        from benchbias.report.gathering.pictures import pictures_of

        return pictures_of(workspace, name, task, out, found[1])

    material = Material.of(*found, analyses, pictures)
    for line in write_figure(name, material, path, figure):
        print(printable(line))
    print(printable(f"{path}: {len(found[0])} records of {place}; its figures: {', '.join(fitting(material))}"))


def doctor(
    out: Out = Path("results"),
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    torch: Annotated[bool, typer.Option("--torch", help="Also import torch, which takes seconds.")] = False,
    as_json: Json = False,
) -> None:
    """Look for what may be wrong with the installation and a results folder."""
    from benchbias.cli.folders.doctor import examine, report
    from benchbias.runner.workspace import Workspace

    findings = examine(Workspace.open(config, plugin or (), quiet=as_json, data=data_dir), out, torch=torch)
    print(json.dumps([vars(finding) for finding in findings]) if as_json else report(findings))
    raise typer.Exit(int(any(finding.problem for finding in findings)))


def prepare(
    suite: Annotated[str | None, typer.Option("-s", "--suite", help="Prepare the data of this suite.")] = None,
    task: Tasks = None,
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    offline: Offline = False,
) -> None:
    """Fetch, verify and decode the data sets of a suite or of single tasks."""
    from benchbias.cli.preparing import prepare_data

    workspace = open_workspace(config, plugin, data_dir, offline=offline)
    raise typer.Exit(prepare_data(workspace, suite, task))
