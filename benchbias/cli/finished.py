"""Verbs on finished networks: written to a file, timed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchbias.cli.options import (
    All,
    AnyDevice,
    Asked,
    Config,
    DataDir,
    Limit,
    Methods,
    Out,
    Plugins,
    Seed,
    Seeds,
    Sets,
    Stack,
    SuiteName,
    Tasks,
)
from benchbias.errors import UsageError, plain

if TYPE_CHECKING:
    from benchbias.plan.remembered import Remembered
    from benchbias.plan.trials import Plan, Trial

MOST_LINES = 8  # on layers that keep removed units
ResultsFolder = Annotated[Path, typer.Option("--out", readable=False, help="The results folder.")]


def export(
    trial: Annotated[str, typer.Argument(help="A trial: its id (or its beginning), or task/method/seed.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="FILE.safetensors, FILE.pt2 or FILE.onnx.")],
    suite: Annotated[
        str | None, typer.Option("-s", "--suite", help="The suite (default: the one that the folder has a run of).")
    ] = None,
    slim: Annotated[bool, typer.Option("--slim", help="Cut removed units out: a smaller network.")] = False,
    out: ResultsFolder = Path("results"),
    method: Methods = None,
    seeds: Seeds = None,
    seed: Seed = None,
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    set_: Sets = None,
    limit: Limit = None,
    device: AnyDevice = None,
    stack: Stack = None,
    all_: All = False,
) -> None:
    """Write the finished network of a trial to a file, with its mask applied.

    The file is read again and must give the answers that the trial was scored by; else it is not left there.
    """
    from benchbias.finished.api import export_trial

    name = suite if suite is not None else _only_suite(out)
    asked = Asked(method, None, seeds, seed, set_, limit, device, stack)
    plan, last = asked.plan(name, out, config, plugin, data_dir, everything=all_)
    chosen = _found(plan, trial, name, out, whole=all_ or asked.given)
    found = export_trial(_settings(data_dir, last), plan, chosen, output, out, slim=slim)
    same = "exactly" if found.difference == 0 else f"to {found.difference:.1g}"
    print(
        plain(
            f"{output}: {found.bytes:,} bytes, {found.description['parameters']:,} parameters; it gives the stored "
            f"answers to {found.examples:,} images {same}"
        )
    )
    if found.slimmed is not None:
        print(plain(f"slimmed: {found.slimmed}"))
    for line in found.left[:MOST_LINES]:
        print(plain(f"  {line}"), file=sys.stderr)
    if len(found.left) > MOST_LINES:
        print(f"  and {len(found.left) - MOST_LINES} more layers, see `not_cut` in its description", file=sys.stderr)


def latency(
    suite: SuiteName,
    out: Out = Path("results"),
    method: Methods = None,
    task: Tasks = None,
    seeds: Seeds = None,
    seed: Seed = None,
    repeats: Annotated[int, typer.Option(help="Rounds: each network is timed once a round.")] = 30,
    every_seed: Annotated[bool, typer.Option("--every-seed", help="All seeds, not the first that is done.")] = False,
    busy: Annotated[bool, typer.Option("--busy", help="Measure while a run uses the folder, and say so.")] = False,
    to: Annotated[Path | None, typer.Option(help="Also write it to FILE.md or FILE.json.")] = None,
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    set_: Sets = None,
    limit: Limit = None,
    device: AnyDevice = None,
    stack: Stack = None,
    all_: All = False,
) -> None:
    """Measure milliseconds and bytes of each row's finished network, beside its dense one: outside of all ranks.

    It is written to results/latency/SUITE.json. Boards that are made from then on have it on their page of details.
    """
    from benchbias.board.markdown.latency_table import latency_page
    from benchbias.finished.measuring import measure
    from benchbias.util.files import replace_whole

    if to is not None and to.suffix not in (".md", ".json"):
        raise UsageError(f"--to {to}: a table is written to a file that ends in .md or .json")
    asked = Asked(method, task, seeds, seed, set_, limit, device, stack)
    plan, last = asked.plan(suite, out, config, plugin, data_dir, everything=all_, others=True)
    every = every_seed or (seeds is not None)
    found = measure(plan, out, _settings(data_dir, last), repeats=repeats, every_seed=every, busy=busy, tell=_tell)
    if to is not None:
        replace_whole(to, (latency_page(found) if to.suffix == ".md" else found.to_text()).encode())
    print(latency_page(found), end="")
    if found.busy is not None:
        print(plain(f"the machine was busy: {found.busy}"), file=sys.stderr)


def _tell(line: str) -> None:
    print(plain(line), file=sys.stderr)


def _found(plan: Plan, trial: str, suite: str, out: Path, *, whole: bool) -> Trial:
    """The trial that is named. Raises UsageError, with the options that a plan of a part of the suite is of."""
    from benchbias.cli.folders.status import find_trial
    from benchbias.plan.remembered import last_run

    try:
        return find_trial(plan, trial)
    except UsageError as error:
        part = "" if whole else last_run(out, suite)
        raise UsageError(f"{error}{part and part + ' (--all: the whole suite)'}") from None


def _settings(data_dir: Path | None, last: Remembered | None) -> dict[str, str]:
    """Environment variables of the process that works on networks: where raw data lie."""
    from benchbias.data.reading.raw_files import data_folder

    known = None if last is None or last.data_dir is None else Path(last.data_dir)
    return {"BENCHBIAS_DATA": str((data_dir or known or data_folder()).absolute())}


def _only_suite(out: Path) -> str:
    """The suite of the runs in a results folder. Raises UsageError where there are none, or several."""
    from benchbias.plan.finding import suites_run

    found = suites_run(out)
    if len(found) != 1:
        known = f"it has runs of {', '.join(found)}" if found else "it says of no run which suite it was of"
        raise UsageError(f"{out}: name a suite with --suite: {known}")
    return found[0]
