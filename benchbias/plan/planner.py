"""Suite -> Plan: all trials, their distinct stages in dependency order, and the analyses of the trials. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchbias.data.reading.raw_files import data_folder
from benchbias.errors import UsageError
from benchbias.plan.analysis_inputs import analyses_of, analysis_inputs
from benchbias.plan.choice import Choice
from benchbias.plan.stages import BlockedError, Stages
from benchbias.plan.trial_path import TrialPath
from benchbias.plan.trials import Plan, PlannedAnalysis, Selection, Trial
from benchbias.plugin.registry import Registry
from benchbias.records.schema import TRACKS
from benchbias.suite.catalogue import Catalogue
from benchbias.suite.settings import Settings, settings_from, settings_of
from benchbias.suite.tables import MAX_TRIALS
from benchbias.util import canonical


def make(
    catalogue: Catalogue,
    registry: Registry,
    suite: str,
    selection: Selection | None = None,
    data: Path | None = None,
    *,
    others: bool = False,
) -> Plan:
    """Plan a suite. Raises UsageError for anything unknown, missing or out of range.

    data: the data folder. others: also walk the trials of the suite that were not selected, see `Plan.others`. Raw
    files that are not there are no error: `Plan.missing` names them, and the keys are not those of a run.
    """
    choice = Choice.of(catalogue, registry, suite, selection or Selection())
    stages = Stages(registry, data or data_folder(), choice.selection.device)
    trials = _trials(choice, stages)
    analyses = tuple(_analyses(choice, stages, trials))
    needed = sorted({plugin for stage in stages.found.values() for plugin in stage.plugins})
    plugins = {name: {"digest": registry.digests[name], "ref": vars(registry.plugins[name])} for name in needed}
    plan = Plan(
        suite,
        choice.table,
        {name: choice.catalogue.methods[name] for name in choice.methods},
        trials,
        dict(stages.found),
        choice.selection.limit,
        choice.selection.device,
        plugins,
        analyses,
        stages.missing(),
        stack=choice.stack,
        stacks=stages.stacks.found(stages.found),
        unstacked=dict(stages.stacks.refused),
    )
    return _with_others(plan, choice.whole(), stages) if others and not choice.is_whole else plan


def _with_others(plan: Plan, whole: Choice, stages: Stages) -> Plan:
    """The plan, and what else of the suite there is at the same settings; stages that both share are walked once."""
    trials = _trials(whole, stages)
    chosen = {trial.id for trial in plan.trials}
    others = tuple(trial for trial in trials if trial.id not in chosen)
    return replace(plan, others=others, other_analyses=tuple(_analyses(whole, stages, trials)))


def _trials(choice: Choice, stages: Stages) -> tuple[Trial, ...]:
    settings = {
        (task, name): settings_of(choice.catalogue, choice.suite, task, name, choice.assigned)
        for task in choice.tasks
        for name in choice.methods
    }
    _check_size(choice, settings)
    return tuple(
        trial
        for (task, name), setting in settings.items()
        for point, values in setting.points()
        for trial in _row(choice, stages, task, name, point, values)
    )


def _check_size(choice: Choice, settings: Mapping[tuple[str, str], Settings]) -> None:
    rows, seeds = sum(setting.size for setting in settings.values()), len(choice.seeds)
    if rows * seeds > MAX_TRIALS:
        raise UsageError(
            f"suite {choice.suite!r}: {rows:,} rows (methods x swept values x tasks) x {seeds:,} seeds "
            f"= {rows * seeds:,} trials; the limit is {MAX_TRIALS:,}"
        )


def _row(
    choice: Choice, stages: Stages, task: str, name: str, point: Mapping[str, Any], values: Mapping[str, Any]
) -> Iterator[Trial]:
    """The trials of one row, one for each seed."""
    version, recipes = choice.table.version, dict[int, dict[str, Any]]()
    provenance = settings_from(choice.catalogue, choice.table, name)
    for seed in choice.seeds:
        path = TrialPath(choice, stages, task, name, values, seed, provenance=provenance, recipes=recipes)
        before = len(stages.found)
        try:
            score = path.walk()
        except BlockedError as blocked:
            stages.drop_after(before)
            identity = canonical.digest([choice.suite, version, task, name, dict(values), seed, "blocked"])
            yield Trial(identity, task, name, point, values, seed, TRACKS[0], blocked=str(blocked))
            continue
        what = [choice.suite, version, task, name, dict(point), seed, stages.identities[score]]
        yield Trial(
            *(canonical.digest(what), task, name, point, values, seed, TRACKS[path.track], tuple(path.keys)),
            settings_from=provenance,
            probes=path.probes,
            blocked_probes=path.blocked_probes,
        )


def _analyses(choice: Choice, stages: Stages, trials: Sequence[Trial]) -> Iterator[PlannedAnalysis]:
    """One stage for each task and analysis of the suite, made of all trials of the task that can run.

    A search for settings has none. Raises UsageError for an unknown analysis or option.
    """
    named, table = choice.selection.analyses, choice.table
    where = "analyse" if named is not None else f"{choice.catalogue.where('suites', choice.suite)}.analyses"
    chosen = analyses_of(table, named, where)
    for use in chosen if choice.selection.split == "test" else ():
        for task in choice.tasks:
            try:
                component, options = stages.component("analysis", use, where)
            except BlockedError as blocked:
                yield PlannedAnalysis(use.name, task, use.options, None, str(blocked))
                continue
            members = [trial for trial in trials if trial.task == task and _analysed(choice, trial)]
            if not members:
                yield PlannedAnalysis(use.name, task, options, None, "no trial of this task is analysed")
                continue
            inputs = analysis_inputs(choice.suite, table, choice.catalogue.methods, task, members)
            inputs["component"] = {"name": use.name, "options": options}
            key = stages.add("analyse", [component], inputs)
            yield PlannedAnalysis(use.name, task, options, stages.found[key])


def _analysed(choice: Choice, trial: Trial) -> bool:
    return trial.blocked is None and (not choice.table.analysed or trial.method in choice.table.analysed)
