"""Verbs that read: what there is, and leaderboards from records."""

from __future__ import annotations

import json
import sys
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
    SuiteName,
    Tasks,
    open_workspace,
    selected,
)
from benchbias.errors import UsageError, plain, printable

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
    plot: Annotated[Path | None, typer.Option(help="Of a suite: draw a figure into this SVG, PDF or PNG.")] = None,
    figure: Annotated[str | None, typer.Option(help=FIGURE_HELP)] = None,
    records: Annotated[Path | None, typer.Option(help="A published folder: --plot draws its records.")] = None,
    out: Out = Path("results"),
    device: Device = "cpu",
) -> None:
    """Show all about one name, each value with its source."""
    from benchbias.cli.showing import details

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
        for line in write_sheet(workspace, name, image, out):
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


def leaderboard(
    suite: Annotated[str | None, typer.Argument(help="The suite; none with --write.")] = None,
    out: Out = Path("results"),
    records: Annotated[
        Path | None, typer.Option(help="A published folder: rebuild its board from its records alone.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="With --records: write all its boards and index.md into that folder.")
    ] = False,
    publish: Annotated[
        Path | None, typer.Option(help="Add the records to this folder, and make the board of all that it has.")
    ] = None,
    details: Annotated[bool, typer.Option("--details", help="Print the page of details: every column.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="With --publish: remove the suite's other records, and say which.")
    ] = False,
    method: Annotated[
        list[str] | None, typer.Option("-m", "--method", help="Rows besides the suite's own: as `run` was told.")
    ] = None,
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    device: Device = "cpu",
) -> None:
    """Write a suite's leaderboard from its records and print it."""
    from benchbias.runner import publishing

    if replace and publish is None:
        raise UsageError("--replace goes with --publish FOLDER")
    if write:
        if records is None or suite is not None:
            raise UsageError("--write goes with --records FOLDER, and writes the boards of all its suites")
        for name in publishing.write_boards(records):
            print(printable(str(records / name)))
        return
    if suite is None:
        raise UsageError("name a suite: `benchbias ls suites` lists them")
    page = f"details/{suite}.md" if details else f"{suite}.md"
    if records is not None:
        print(publishing.rebuild(suite, records)[page], end="")
        return
    workspace = open_workspace(config, plugin, data_dir)
    rows = [*workspace.catalogue.suite(suite).methods, *method] if method else None
    made = workspace.plan(suite, selected(rows, None, device=device))
    files = publishing.board(made, out, publish, replace=replace, tell=lambda line: print(plain(line), file=sys.stderr))
    print(files[page], end="")


def compare(
    one: Annotated[str, typer.Argument(help="A row: a method, or method[name=value].")],
    other: Annotated[str, typer.Argument(help="The row that it is compared with.")],
    suite: SuiteName,
    out: Out = Path("results"),
    records: Annotated[Path | None, typer.Option(help="A published folder, instead of results.")] = None,
    margin: Annotated[float, typer.Option(min=0.01, help="Points within which rows count as equivalent.")] = 3.0,
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    device: Device = "cpu",
) -> None:
    """Compare two rows of a suite, paired by seed and test example."""
    from benchbias.board.comparing import compare as compared
    from benchbias.runner import publishing

    if records is not None:
        found = publishing.published_records(suite, records)
    else:
        workspace = open_workspace(config, plugin, data_dir)
        plan = workspace.plan(suite, selected(None, None, device=device))
        names = [row.partition("[")[0] for row in (one, other)]
        more = [name for name in names if {("pruner", name), ("trainer", name)} & workspace.registry.components.keys()]
        if set(more) - set(
            plan.table.methods
        ):  # a component's own name, run with `--method`, is no method of the suite
            methods = list(dict.fromkeys((*plan.table.methods, *more)))
            plan = workspace.plan(suite, selected(methods, None, device=device))
        found = publishing.records_of(plan, out)
    print(compared(*found, one, other, margin / 100), end="")


def claims(
    file: Annotated[Path | None, typer.Argument(help="A claims.toml (default: the shipped one).")] = None,
    out: Out = Path("results"),
    records: Annotated[Path | None, typer.Option(help="A published folder, instead of results.")] = None,
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Say which claims of the literature the records support, refute, or leave open."""
    from benchbias.board.claims import answer_claims, claims_data, claims_text, load_claims
    from benchbias.board.evidence import Evidence
    from benchbias.records.trial import record_folder
    from benchbias.runner import publishing

    known, digest = load_claims(file)
    if records is not None:
        folder = records
        if not (folder / "records").is_dir():
            raise UsageError(f"{folder} is no published folder: it has no records")

        def found(suite: str) -> Evidence | None:
            if not record_folder(folder, suite).is_dir():
                return None
            made = publishing.published_analyses(suite, folder)
            return Evidence.of(*publishing.published_records(suite, folder), made)
    else:
        workspace = open_workspace(config, plugin, data_dir)

        def found(suite: str) -> Evidence | None:
            plan = workspace.plan(suite, selected(None, None, device=device))
            if not publishing.has_records(plan, out):
                return None
            return Evidence.of(*publishing.records_of(plan, out), publishing.analyses_of(plan, out))

    answers = answer_claims(known, found)
    print(json.dumps(claims_data(answers, digest)) if as_json else claims_text(answers, digest), end="")


def doctor(
    out: Out = Path("results"),
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    torch: Annotated[bool, typer.Option("--torch", help="Also import torch, which takes seconds.")] = False,
    as_json: Json = False,
) -> None:
    """Look for what may be wrong with the installation and a results folder."""
    from benchbias.cli.doctor import examine, report
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
