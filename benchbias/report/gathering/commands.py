"""The command that makes the trials of one row."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from benchbias.board.row_trials import Trials
from benchbias.report.gathering.source import Source


def command_of(source: Source, trials: Trials) -> str:
    """E.g. `benchbias run --suite S --task T --method magnitude --set 'magnitude.sparsity=[0.8]' --seeds 0-9`.

    A swept value in brackets stays a swept one, so that these are the trials of the suite.
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
    return shlex.join([*words, *(["--device", device] if device != "cpu" else [])])


def reproduces(source: Source, trials: Trials) -> bool | None:
    """Whether this benchbias plans the very trials of the row; None where the suite is not among its tables."""
    if source.plan is None:
        return None
    return {record.id for record in trials.records.values()} <= source.planned


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
    return str(trials.first.get("environment", {}).get("device", "cpu")).partition(":")[0]
