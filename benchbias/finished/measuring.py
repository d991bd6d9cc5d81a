"""Milliseconds and bytes of a suite's rows, measured in a process of its own and written beside the records."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from benchbias.errors import NewerRecordError, StorageError, UsageError
from benchbias.finished.asking import ask
from benchbias.finished.kept import with_earlier
from benchbias.plan.trials import Plan, Trial
from benchbias.records.latency import Latency, latency_file, read_latency
from benchbias.runner.failures import not_done
from benchbias.store.in_use import alone
from benchbias.store.store import Store

FEWEST, REPEATS = 8, 30  # rounds: an interval of a median takes six; the default
LEAST_OWN = 0.95  # of the time that passed the process must have been at work: else others were too


def measure(
    plan: Plan,
    out: Path,
    settings: Mapping[str, str],
    *,
    repeats: int,
    every_seed: bool,
    busy: bool,
    tell: Callable[[str], None] = lambda line: None,
) -> Latency:
    """Time the finished networks of a plan's rows, and write what was found to the results folder.

    every_seed: not only the first seed of a row that is done. busy: also while a run uses the folder; the file says
    so. settings: environment variables of the workspace's workers. tell: is told which rows stay of an earlier
    measurement, those that were not asked for and are still current (`Plan.others`), and which go. Raises UsageError
    where nothing is done or can be timed, a run goes on, or a newer benchbias has measured; StorageError.
    """
    if repeats < FEWEST:
        raise UsageError(f"--repeats {repeats}: an interval takes {FEWEST} rounds or more")
    store, old = Store(out), _older(out, plan.label, tell)
    chosen, left_out = _chosen(plan, store, every_seed=every_seed)
    if not chosen:
        raise UsageError(_nothing(plan, out))
    before = _used(out)
    if before and not busy:
        raise UsageError(
            f"a run uses {out}: what is timed now would be too slow; wait for its end (--busy measures and says so)"
        )
    found = ask("measure", plan, chosen, out.absolute(), settings, {"repeats": repeats})
    if not found["rows"]:
        first = found["left_out"][0]
        raise UsageError(f"nothing could be timed, and nothing is written: {first['row']}: {first['reason']}")
    used = before or _used(out)
    made = Latency.model_validate(
        {
            "schema": 1,
            "suite": plan.suite,
            "version": plan.table.version,
            "limit": plan.limit,
            "machine": found["machine"] | {"date": datetime.datetime.now(datetime.UTC).date().isoformat()},
            "repeats": repeats,
            "busy": _busy(used, found["own_time"]),
            **{name: found[name] for name in ("own_time", "architectures", "rows")},
            "left_out": [*left_out, *found["left_out"]],
        }
    )
    made, kept, dropped = with_earlier(made, old, plan, store.keys())
    store.create().replace(latency_file(out, plan.label), made.to_text())
    if kept:
        tell(f"{kept} rows that were measured earlier, and were not asked for now, stay in the file")
    if dropped:
        tell(f"{dropped} rows that were measured earlier go: other seeds, or no longer current")
    return made


def _older(out: Path, label: str, tell: Callable[[str], None]) -> Latency | None:
    """The earlier measurement of a suite. Raises NewerRecordError; a damaged file is said, and written anew."""
    try:
        return read_latency(out, label)
    except NewerRecordError:
        raise
    except UsageError as error:
        tell(f"{error}; nothing of it stays")
        return None


def _nothing(plan: Plan, out: Path) -> str:
    """The message where no trial that was asked for is done: the reason of the first."""
    reason = not_done(plan, plan.trials[0], out) if plan.trials else "no trial was asked for"
    return f"{out} has no finished network of suite {plan.suite!r} among what was asked for: {reason}"


def _chosen(plan: Plan, store: Store, *, every_seed: bool) -> tuple[list[Trial], list[dict[str, Any]]]:
    """The trials to measure, and the rows that have none, with the reason."""
    rows: dict[tuple[str, str], list[Trial]] = {}
    for trial in plan.trials:
        rows.setdefault((trial.task, trial.row), []).append(trial)
    done = store.keys()
    chosen, left_out = [], []
    for (task, row), trials in rows.items():
        finished = [trial for trial in trials if trial.stages and trial.stages[-1] in done]
        chosen += finished if every_seed else finished[:1]
        if not finished:
            reason = next((trial.blocked for trial in trials if trial.blocked), None)
            left_out.append({"task": task, "row": row, "reason": reason or "no seed of it was done"})
    return chosen, left_out


def _used(out: Path) -> bool:
    """Whether a run uses a results folder at this moment."""
    try:
        with alone(out) as free:
            return not free
    except StorageError:
        return False  # nothing was ever run there


def _busy(used: bool, own_time: float | None) -> str | None:
    reasons: Iterable[str] = (
        *(["a run used the results folder"] if used else []),
        *(
            [f"the process was at work in {100 * own_time:.0f} % of the time that passed"]
            if own_time is not None and own_time < LEAST_OWN
            else []
        ),
    )
    return "; ".join(reasons) or None
