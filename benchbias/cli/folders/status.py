"""A plan beside a results folder: its summary, the state of its trials, their logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchbias.board.standings import needed_seeds
from benchbias.cli.folders.states import FolderState
from benchbias.errors import UsageError, plain, unknown
from benchbias.plan.trials import Plan, Trial
from benchbias.records.row_name import as_row_name
from benchbias.records.schema import TRACKS
from benchbias.runner.publishing import nearest_records
from benchbias.runner.report import Conflict
from benchbias.statistics.seeds import MOST_SEEDS
from benchbias.store.store import Store
from benchbias.util.text_table import table


def summary(plan: Plan, out: Path) -> dict[str, Any]:
    """Trials, distinct stages, what is cached, and the cost in dense runs.

    Cached is what lies there: only a run reads it, and makes again what it finds damaged.
    """
    store = Store(out)
    cached = store.keys() & set(plan.stages)
    kinds = Counter(stage.kind for stage in plan.stages.values())
    trains = [stage for stage in plan.stages.values() if stage.kind == "train"]
    unshared = sum(plan.stages[key].kind == "train" for trial in plan.trials for key in trial.stages)
    dense = _dense_epochs(plan)
    left = sum(stage.inputs["recipe"]["epochs"] for stage in trains if stage.key not in cached)
    return {
        "suite": plan.suite,
        "version": plan.table.version,
        "trials": len(plan.trials),
        "rows": len({(trial.task, trial.row) for trial in plan.trials}),
        "blocked": sorted(
            {f"{t.task}/{t.row}: {t.blocked}" for t in plan.trials if t.blocked}
            | {f"probe {name}: {why}" for t in plan.trials for name, why in t.blocked_probes.items()}
            | {f"analysis {planned.label}: {planned.blocked}" for planned in plan.analyses if planned.blocked}
        ),
        "tracks": {track: sum(t.track == track for t in plan.trials) for track in TRACKS},
        "stages": {"total": len(plan.stages), "cached": len(cached), **kinds},
        "train_stages_without_sharing": unshared,
        "dense_runs_left": round(left / dense, 2) if dense else 0.0,
        "missing": [{"kind": kind, "name": name} for kind, name in plan.missing],
        "raw": sorted({name for stage in plan.stages.values() for name in stage.inputs.get("raw", ())}),
    }


def _dense_epochs(plan: Plan) -> int:
    """Epochs of one plain run: the reference method's first train stage, else the longest of all."""
    epochs = {key: int(s.inputs["recipe"]["epochs"]) for key, s in plan.stages.items() if s.kind == "train"}
    for trial in plan.trials:
        if trial.method == plan.table.reference and trial.stages:
            return max(epochs[key] for key in trial.stages if key in epochs)
    return max(epochs.values(), default=0)


def summary_text(found: dict[str, Any]) -> str:
    """The summary for a reader."""
    stages = dict(found["stages"])
    total, cached = stages.pop("total"), stages.pop("cached")
    kinds = ", ".join(f"{count} {kind}" for kind, count in stages.items())
    tracks = ", ".join(f"{count} {track}" for track, count in found["tracks"].items() if count)
    lines = [
        f"suite {found['suite']}, version {found['version']}",
        f"  {found['trials']} trials in {found['rows']} rows (labels used: {tracks})",
        f"  {total} distinct stages: {kinds}",
        f"  {found['train_stages_without_sharing']} train stages if nothing were shared",
        f"  {cached} stages cached; the rest costs about {found['dense_runs_left']:g} dense training runs",
        f"  downloads: {', '.join(item['name'] for item in found['missing'] if item['kind'] == 'hub') or 'none'}",
        *(f"  no such folder: {item['name']}" for item in found["missing"] if item["kind"] == "folder"),
    ]
    if found["raw"]:
        lines.append(
            f"  data: not looked at; `benchbias prepare -s {found['suite']}` checks tables, images and weights"
        )
    return "\n".join([*lines, *(f"  cannot run: {plain(text)}" for text in found["blocked"])])


def seeds_needed(plan: Plan, out: Path) -> dict[str, Any] | None:
    """The seeds that a difference of 5 points takes, by task, from the records that are there; None without any."""
    try:
        (records, layouts), place = nearest_records(plan, out)
        found = needed_seeds(records, layouts)
    except UsageError:
        return None  # a run is planned all the same
    metric = records[0].body["suite"]["rank_by"].removeprefix("-")
    tasks = {task: asdict(one) for task, one in found.items()}
    return {"metric": metric, "records": len(records), "folder": str(place), "tasks": tasks}


def seeds_text(found: dict[str, Any] | None) -> list[str]:
    """The lines of `seeds_needed` for a reader."""
    if not found or not found["tasks"]:
        return ["  seeds: no finished runs here show how many a difference of 5 points would need"]
    lines = [
        f"  seeds for a difference of 5 points in {found['metric'].replace('_', ' ')}, resolved in 80 % of runs",
        f"  (from {found['records']} records of {found['folder']}):",
    ]
    for task, one in found["tasks"].items():
        alone, together = (_seeds(one[name]) for name in ("alone", "together"))
        lines.append(f"    {task}: {alone} by one comparison, {together} by all {one['pairs']} comparisons")
    return lines


def _seeds(number: int | None) -> str:
    return f"more than {MOST_SEEDS}" if number is None else str(number)


def status_text(state: FolderState) -> str:
    """How many trials are done, running, failed, missing; each that is not done, with the reason."""
    plan, out = state.plan, state.out
    rows: list[tuple[str, str, str, str]] = []
    for one in state.trials:
        name = one.trial.id[:12]
        if one.state != "done":
            rows.append((name, one.state, one.trial.label, one.reason))
        rows += [
            (name, f"probe {found.status}", one.trial.label, plain(f"{probe}: {found.reason}"))
            for probe, found in one.probes.items()
        ]
    rows += [
        ("", f"analysis {one.state}", one.planned.label, one.reason) for one in state.analyses if one.state != "done"
    ]
    counts = ", ".join(f"{n} {name}" for name, n in state.counts.items()) or "no trials"
    lines = [f"suite {plan.suite} in {out}: {counts}"]
    if rows:
        lines += ["", table(("trial", "state", "task/method/seed", "reason"), rows)]
    if any(row[1].rpartition(" ")[2] in ("failed", "skipped") for row in rows):
        extra = "".join(f" -m {name}" for name in plan.methods if name not in plan.table.methods)
        lines += [
            "",
            f"`benchbias logs TRIAL -s {plan.suite} -o {out}{extra}` shows a trial's output and traceback.",
        ]
    if state.stale:
        lines += ["", f"{state.stale} stale: made by other sources or on another machine, on no leaderboard"]
    lines += _conflict_lines(state.conflicts, out)
    if state.damaged:
        lines += ["", f"{state.damaged} damaged files were put into quarantine and made again"]
    return "\n".join(lines)


def _conflict_lines(conflicts: Sequence[Conflict], out: Path) -> list[str]:
    """The stages that came out otherwise a second time, and how that is resolved."""
    if not conflicts:
        return []
    files = [f"  {found.stage}: {out / name}" for found in conflicts for name in found.files]
    return [
        "",
        f"{len(conflicts)} NOT REPRODUCIBLE: a second computation gave other bytes. What was there first is counted:",
        *files,
        f"Find out why. `benchbias clean --quarantine -o {out}` then keeps the first products and takes the marks",
        "away; another results folder (`-o`) computes everything anew.",
    ]


def find_trial(plan: Plan, name: str) -> Trial:
    """A trial by its id, the beginning of its id, or task/method/seed. Raises UsageError."""
    name = as_row_name(name)
    found = [trial for trial in plan.trials if trial.label == name or trial.id.startswith(name)]
    if len(found) != 1 and not any(trial.label == name for trial in found):
        if found:
            raise UsageError(f"{len(found)} trials begin with {name!r}: give more of the id")
        raise UsageError(unknown("trial", name, [trial.label for trial in plan.trials][:20], plan.suite))
    return found[0]


def _logged(plan: Plan, name: str) -> tuple[list[str], tuple[str, ...]]:
    """The first lines of `logs` on a trial or an analysis, and the keys of its stages. Raises UsageError."""
    planned = next((one for one in plan.analyses if one.label == name), None)
    if planned is not None:
        told = [f"  cannot run: {plain(planned.blocked)}"] if planned.blocked else []
        return [f"analysis {planned.label}", *told], (planned.key,) if planned.key else ()
    trial = find_trial(plan, name)
    lines = [f"trial {trial.label}", f"  id {trial.id}"]
    if trial.blocked:
        lines.append(f"  cannot run: {plain(trial.blocked)}")
    lines += [f"  probe {name} cannot run: {plain(why)}" for name, why in trial.blocked_probes.items()]
    return lines, trial.everything


def log_text(plan: Plan, name: str, out: Path) -> str:
    """Text on each stage of a trial or an analysis: its state, noted failures with tracebacks, what it printed."""
    store = Store(out)
    lines, keys = _logged(plan, name)
    for key in keys:
        state = "done" if store.has(key) else "not done"
        measured = store.measured(key)
        took = measured.get("seconds")
        seconds = f", {took:.1f} s" if state == "done" and isinstance(took, int | float) else ""
        lines.append(f"  {plan.stages[key].label}: {state}{seconds}  ({key[:12]})")
        for attempt in store.attempts(key):
            lines.append(f"    {attempt.get('status')}: {plain(str(attempt.get('reason')))}")
            lines += [f"      {plain(line)}" for line in str(attempt.get("traceback", "")).splitlines()]
        lines += [f"    printed: {plain(line)}" for line in store.log(key)[-200:]]
    return "\n".join(lines)
