"""The verb that runs analyses: comparisons over all trials of a task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchbias.cli.options import (
    AnyDevice,
    Config,
    DataDir,
    Gpus,
    Jobs,
    Json,
    Memory,
    Methods,
    Out,
    PerGpu,
    Plugins,
    Quiet,
    Seed,
    Seeds,
    Sets,
    Stack,
    Tasks,
    Timeout,
    open_workspace,
    selected,
)
from benchbias.errors import UsageError, printable
from benchbias.keys.cards import device_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchbias.records.analysis import AnalysisRecord


def analyse(
    suite: Annotated[str, typer.Argument(help="A suite.")],
    names: Annotated[list[str] | None, typer.Argument(help="Analyses (default: those of the suite).")] = None,
    method: Methods = None,
    task: Tasks = None,
    seeds: Seeds = None,
    seed: Seed = None,
    to: Annotated[Path | None, typer.Option(help="Write one table to this .md, .csv, .parquet or .json.")] = None,
    records: Annotated[Path | None, typer.Option(help="A published folder: print the tables that it has.")] = None,
    jobs: Jobs = None,
    out: Out = Path("results"),
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    set_: Sets = None,
    timeout: Timeout = 3600.0,
    memory: Memory = None,
    device: AnyDevice = None,
    gpus: Gpus = None,
    per_gpu: PerGpu = 1,
    stack: Stack = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run analyses: comparisons over all trials of a task. The trials must be done; nothing is trained."""
    from benchbias.board.markdown.analysis_tables import check_suffix
    from benchbias.runner.report import CONFLICT

    if to is not None:
        check_suffix(to)
    if records is not None:
        found = _published(suite, names, task, records)
    else:
        from dataclasses import replace

        from benchbias.cli.console import reporter
        from benchbias.cli.lacking import check_analyses
        from benchbias.runner.analysing import analyse_suite
        from benchbias.runner.launch import RunOptions

        workspace = open_workspace(config, plugin, data_dir)
        check_analyses(workspace, names or ())
        chosen = selected(method, task, seeds, seed, set_, None, device_of(device, gpus), quiet=quiet or as_json)
        selection = replace(chosen, analyses=names, stack=stack)
        shown = reporter(-1 if quiet or as_json else 0)
        options = RunOptions(out=out, jobs=jobs, timeout=timeout, memory=memory, per_card=per_gpu)
        found = analyse_suite(workspace, suite, selection, shown, options)
    if not found:
        raise UsageError(f"suite {suite!r} has no analyses: name some (`benchbias ls components` lists them)")
    _say(found, to, as_json=as_json)
    if any(record.conflict for record in found):
        raise typer.Exit(CONFLICT)
    raise typer.Exit(int(any(record.body["status"] == "failed" for record in found)))


def _published(
    suite: str, names: Sequence[str] | None, tasks: Sequence[str] | None, records: Path
) -> list[AnalysisRecord]:
    from benchbias.records.analysis import find_analysis
    from benchbias.runner.publishing import published_analyses, published_records

    published_records(suite, records)  # an unknown suite is refused
    found = published_analyses(suite, records)
    if names is None and tasks is None:
        return found
    chosen = names if names is not None else dict.fromkeys(record.name for record in found)
    return [find_analysis(found, name, task, str(records)) for name in chosen for task in (tasks if tasks else (None,))]


def _say(found: Sequence[AnalysisRecord], to: Path | None, *, as_json: bool) -> None:
    from benchbias.board.markdown.analysis_tables import analysis_sections, json_of, write_table

    if to is not None:
        tables = [(record, record.table) for record in found]
        if len(tables) != 1 or tables[0][1] is None:
            labels = ", ".join(record.label for record in found)
            raise UsageError(f"--to {to}: it holds one table; name one analysis, and one task with -t (here: {labels})")
        write_table(tables[0][0], tables[0][1], to)
        print(printable(f"{to}: {found[0].label}"))
    elif as_json:
        print(json.dumps([json_of(record) for record in found]))
    else:
        print("\n".join(analysis_sections(found, most=None)).strip())
