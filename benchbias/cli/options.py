"""Options that several verbs share, and what they open."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchbias.errors import UsageError

if TYPE_CHECKING:
    from benchbias.plan.remembered import Remembered
    from benchbias.plan.trials import Plan, Selection
    from benchbias.runner.workspace import Workspace

Out = Annotated[Path, typer.Option("-o", "--out", readable=False, help="The results folder.")]
Config = Annotated[Path | None, typer.Option(help="Tables over the shipped ones (default: ./benchmarks.toml).")]
Plugins = Annotated[list[Path] | None, typer.Option("--plugin", help="A loose plugin file; may be repeated.")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", help="method.parameter=value or recipe.key=value, in TOML syntax.")
]
SuiteName = Annotated[str, typer.Option("-s", "--suite", help="The suite (`benchbias ls suites`).")]
Methods = Annotated[
    list[str] | None,
    typer.Option("-m", "--method", help="Methods or globs; a pruner's or trainer's name runs it as it is."),
]
Tasks = Annotated[list[str] | None, typer.Option("-t", "--task", help="Only these tasks of the suite.")]
Seeds = Annotated[str | None, typer.Option(help="5 (five seeds, 0 to 4), 0-4, or 0,3,7; see --seed.")]
Seed = Annotated[int | None, typer.Option(min=0, help="One seed: 5 is the seed 5 alone.")]
Limit = Annotated[int | None, typer.Option(min=2, help="At most N images a split: quick, and unranked.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, or cuda:1.")]
AnyDevice = Annotated[str | None, typer.Option("--device", help="cpu (default), cuda, or cuda:1.")]
Gpus = Annotated[str | None, typer.Option("--gpus", help="Cards to use: 0,1 or all; of one model.")]
PerGpu = Annotated[int, typer.Option("--per-gpu", min=1, max=64, help="Stages at once on a card.")]
Stack = Annotated[
    int | None,
    typer.Option(
        "--stack", min=1, help="Seeds of a row that are trained at once, for cards (default: the suite's, 1)."
    ),
]
All = Annotated[
    bool, typer.Option("--all", help="The whole suite: take no options from the last run in the results folder.")
]
Strict = Annotated[bool, typer.Option("--strict-plugins", help="A broken plugin ends the command.")]
Jobs = Annotated[
    int | None, typer.Option("-j", "--jobs", min=1, help="Stages at once (default: CPUs; on cards, --per-gpu a card).")
]
Timeout = Annotated[
    float, typer.Option(min=0.1, help="Seconds a stage may take, and one of another run is waited for.")
]
Memory = Annotated[
    float | None, typer.Option(min=0.01, help="GiB of the host that a stage may hold (default: no limit).")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Failures only.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="A line for every stage.")]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Where raw data lie (default: $BENCHBIAS_DATA, else ./data).")
]
Offline = Annotated[bool, typer.Option("--offline", help="Open no connection.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def open_workspace(
    config: Path | None,
    plugins: list[Path] | None,
    data_dir: Path | None = None,
    *,
    strict: bool = False,
    offline: bool = False,
) -> Workspace:
    from benchbias.errors import plain
    from benchbias.runner.workspace import Workspace

    workspace = Workspace.open(config, plugins or (), strict=strict, data=data_dir, offline=offline)
    for name, broken in workspace.registry.broken.items():
        more = f"`benchbias show {shlex.quote(name)}` shows all"
        print(f"plugin {name!r} is broken and left out: {plain(broken.reason)} ({more})", file=sys.stderr)
    return workspace


@dataclass(frozen=True)
class Asked:
    """The options by which a user says what of a suite to look at; None or empty: not given."""

    methods: list[str] | None = None
    tasks: list[str] | None = None
    seeds: str | None = None
    seed: int | None = None
    sets: list[str] | None = None
    limit: int | None = None
    device: str | None = None
    stack: int | None = None

    @property
    def given(self) -> bool:
        """Whether any of them is."""
        parts = (self.methods, self.tasks, self.seeds, self.seed)
        values = (*parts, self.sets, self.limit, self.device, self.stack)
        return any(value is not None and value != [] for value in values)

    def plan(
        self,
        suite: str,
        out: Path,
        config: Path | None,
        plugins: list[Path] | None,
        data_dir: Path | None,
        *,
        everything: bool,
        others: bool = False,
        quiet: bool = True,
    ) -> tuple[Plan, Remembered | None]:
        """The plan that is asked for; where nothing is, that of the folder's last run, and what that was asked for.

        everything: of the whole suite (`--all`). Raises UsageError.
        """
        from benchbias.cli.folders.recalling import recalled_plan

        if everything and self.given:
            raise UsageError("--all is the whole suite: leave it out, or the options that choose a part of it")
        if everything or self.given:
            workspace = open_workspace(config, plugins, data_dir)
            chosen = (self.methods, self.tasks, self.seeds, self.seed, self.sets, self.limit, self.device or "cpu")
            return workspace.plan(suite, selected(*chosen, quiet=quiet, stack=self.stack), others=others), None

        def opened(known: Path | None, data: Path | None) -> Workspace:
            return open_workspace(known, plugins, data)

        named = plugins or ()
        return recalled_plan(suite, out, opened, config=config, plugins=named, data_dir=data_dir, others=others)


def selected(
    methods: list[str] | None,
    tasks: list[str] | None,
    seeds: str | None = None,
    seed: int | None = None,
    sets: list[str] | None = None,
    limit: int | None = None,
    device: str = "cpu",
    *,
    quiet: bool = True,
    stack: int | None = None,
) -> Selection:
    """A selection; unless quiet, says which seeds it took. Raises UsageError."""
    from benchbias.plan.trials import Selection

    chosen = chosen_seeds(seeds, seed)
    if isinstance(chosen, int) and chosen > 0 and not quiet:
        meant = f"0 to {chosen - 1}" if chosen > 1 else "0"
        print(f"--seeds {chosen}: the seeds {meant} (--seed {chosen} is the seed {chosen} alone)", file=sys.stderr)
    return Selection(methods, tasks, chosen, sets or (), limit, device, stack=stack)


def chosen_seeds(seeds: str | None, seed: int | None) -> int | range | list[int] | None:
    """The seeds that `--seeds` or `--seed` names. Raises UsageError where both are given."""
    if seed is not None and seeds is not None:
        raise UsageError(f"--seeds {seeds} --seed {seed}: give one of them; --seed is one seed")
    return parse_seeds(seeds) if seed is None else [seed]


def parse_seeds(text: str | None) -> int | range | list[int] | None:
    """5 -> five seeds from 0; 0-4 and 0,3,7 -> those. Raises UsageError."""
    if text is None:
        return None
    if re.fullmatch(r"[0-9]+", text):
        return int(text)
    if found := re.fullmatch(r"([0-9]+)-([0-9]+)", text):
        if int(found[1]) > int(found[2]):
            raise UsageError(f"--seeds {text}: the range runs backwards; did you mean {found[2]}-{found[1]}?")
        return range(int(found[1]), int(found[2]) + 1)
    if re.fullmatch(r"[0-9]+(,[0-9]+)+", text):
        return [int(part) for part in text.split(",")]
    raise UsageError(f"--seeds {text}: expected 5, 0-4 or 0,3,7")
