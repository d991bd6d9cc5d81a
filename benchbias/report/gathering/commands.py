"""The command that makes the trials of one row."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchbias.board.row_trials import Trials
from benchbias.report.gathering.source import Source

OWN_TABLES = Path("benchmarks.toml")  # read without being named, in the folder where a command is called


def command_of(source: Source, trials: Trials) -> str | None:
    """E.g. `benchbias run --suite S --task T --method magnitude --set 'magnitude.sparsity=[0.8]' --seeds 0-9`.

    A swept value in brackets stays a swept one, so that these are the trials of the suite. Files of tables and plugins
    are named as the user has named them. None where a name or a value has characters that a page does not show.
    """
    first = trials.first
    words = ["benchbias", "run", "--suite", first["suite"]["name"], "--task", first["task"], "--method"]
    words.append(first["method"])
    for name, value in first["swept"].items():
        words += ["--set", f"{first['method']}.{name}=[{_toml(value)}]"]
    words += _seeds(sorted(trials.records))
    if first["suite"]["limit"] is not None:
        words += ["--limit", str(first["suite"]["limit"])]
    device = _device(source, trials)
    words += ["--device", device] if device != "cpu" else []
    command = shlex.join([*words, *_files(source)])
    return command if command.isprintable() else None


def reproduces(source: Source, trials: Trials) -> bool | None:
    """Whether the command of the row plans its very trials; None where the suite is not among the tables."""
    if source.plan is None:
        return None
    return {record.id for record in trials.records.values()} <= source.planned_plainly


def _files(source: Source) -> list[str]:
    """The options that name the user's own tables and plugins."""
    if source.workspace is None:
        return []
    given = source.workspace.given
    unnamed = OWN_TABLES if str(OWN_TABLES) in source.workspace.catalogue.origin.values() else None
    config = given.config or unnamed
    named = [part for path in given.plugins for part in ("--plugin", str(path))]
    return [*(["--config", str(config)] if config is not None else []), *named]


def _seeds(seeds: Sequence[int]) -> list[str]:
    """Options for the seeds: 0-9, one seed, or a list."""
    if len(seeds) == 1:
        return ["--seed", str(seeds[0])]
    if seeds == list(range(seeds[0], seeds[-1] + 1)):
        return ["--seeds", f"{seeds[0]}-{seeds[-1]}"]
    return ["--seeds", ",".join(map(str, seeds))]


def _toml(value: Any) -> str:
    """A value of a swept parameter in TOML syntax, which is JSON's for what a record can hold."""
    return json.dumps(value, ensure_ascii=False)


def _device(source: Source, trials: Trials) -> str:
    return str(trials.first.get("environment", {}).get("device", "cpu")).partition(" ")[0]  # its model follows
