"""The records of a run: written to the results folder, and read from it where they are today's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchbias.plan.trials import Plan, Trial
from benchbias.records.analysis import AnalysisRecord, analysis_folder
from benchbias.records.trial import TrialRecord, record_folder
from benchbias.runner.failures import Failure, known_failures, with_descendants
from benchbias.runner.loop import Computed
from benchbias.runner.recording import Products, analysis_records, make_record, marked
from benchbias.statistics.cells import CellLayout, read_layout
from benchbias.store.store import Store
from benchbias.util import canonical
from benchbias.util.files import is_regular, storage_errors

TRIALS_TOLD = 5  # of a conflict, in one line; `status` names all
CONFLICT = 3  # the exit code of a run whose results do not come out again


@dataclass(frozen=True)
class Conflict:
    """A stage of which a second computation gave another product.

    stage: its label. trials: those that rest on it. files: the other products, below the results folder.
    """

    key: str
    stage: str
    trials: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True)
class RunReport:
    """The report of a run: stages found in the store, computed and failed; what became of every trial.

    layouts: the cells of the test splits in which the records count, by digest. conflicts: until they are resolved.
    """

    cached: int
    computed: int
    failures: Mapping[str, Failure]
    records: tuple[TrialRecord, ...]
    missing: int
    seconds: float
    analyses: tuple[AnalysisRecord, ...] = ()
    layouts: Mapping[str, CellLayout] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 where every trial, probe and analysis is done or was skipped, else 1; 3 where products are in conflict."""
        if self.conflicts:
            return CONFLICT
        bodies = [*(record.body for record in self.records), *(record.body for record in self.analyses)]
        probes = [failure for body in bodies for failure in body.get("probe_failures", {}).values()]
        return int(self.missing > 0 or any(found["status"] == "failed" for found in (*bodies, *probes)))


def record(plan: Plan, store: Store, computed: Computed) -> RunReport:
    """Write the records of every trial and analysis that is done or has failed. Raises StorageError."""
    conflicts, products = store.conflicts(), Products(store, computed.products)
    made = [one for trial in plan.trials if (one := make_record(plan, trial, products, computed.blocked))]
    made = [marked(one, conflicts) for one in made]
    texts = {one.id: one.to_text() for one in made}
    folder = record_folder(store.root, plan.label)
    for name, text in texts.items():
        store.replace(folder / f"{name}.json", text)
    records = [TrialRecord.from_text(text) for text in texts.values()]  # as any reader has them
    documents = _layouts(plan, products, records)
    for digest, document in documents.items():
        store.replace(folder / "test" / f"{digest}.json", canonical.dumps(document) + "\n")
    found = analysis_records(plan, plan.analyses, products, computed.blocked)
    analyses = _write_analyses(analysis_folder(folder), found, store)
    missing = len(plan.trials) - len(records)
    counts = (computed.cached, computed.computed, computed.failures)
    layouts = {digest: read_layout(document) for digest, document in documents.items()}
    told = conflicts_of(plan, conflicts)
    return RunReport(*counts, tuple(records), missing, computed.seconds, tuple(analyses), layouts, told)


def conflicts_of(plan: Plan, conflicts: Mapping[str, Sequence[str]]) -> tuple[Conflict, ...]:
    """The conflicts of a results folder that are of a plan's stages, in the plan's order."""
    found = []
    for key in plan.stages:
        if key in conflicts:
            trials = [trial.label for trial in plan.trials if key in trial.everything]
            trials += [planned.label for planned in plan.analyses if planned.key == key]
            files = tuple(f"quarantine/{name}" for name in conflicts[key])
            found.append(Conflict(key, plan.stages[key].label, tuple(trials), files))
    return tuple(found)


def conflict_text(conflict: Conflict) -> str:
    """One line on a conflict, with some of the trials."""
    some = ", ".join(conflict.trials[:TRIALS_TOLD])
    more = len(conflict.trials) - TRIALS_TOLD
    trials = f"{some} and {more} others" if more > 0 else some
    told = f"{conflict.stage} came out otherwise when it was computed again ({conflict.files[0]})"
    return f"not reproducible: {told}: {trials or 'no trial'}"


def _write_analyses(folder: Path, records: Sequence[AnalysisRecord], store: Store) -> list[AnalysisRecord]:
    """Write the records of a run's analyses; those of other runs stay. All are returned as read."""
    texts = {one.file: one.to_text() for one in records}
    for name, text in texts.items():
        store.replace(folder / name, text)
    return [AnalysisRecord.from_text(text) for text in texts.values()]


def _layouts(plan: Plan, store: Products, records: Iterable[TrialRecord]) -> dict[str, object]:
    """The cells of each test split that the records count in, by digest."""
    wanted = {record.body["correct"]["layout"] for record in records if record.body["status"] == "ok"}
    found: dict[str, object] = {}
    for key, stage in plan.stages.items():
        if stage.kind == "data" and (product := store.get(key)) is not None:
            layout = product.body["layout"]
            if (digest := canonical.digest(layout)) in wanted:
                found[digest] = layout
    return found


def stored_records(
    trials: Iterable[Trial], folder: Path, conflicts: Collection[str]
) -> tuple[list[TrialRecord], list[str]]:
    """The records of a folder whose keys are today's, and the ids of older (stale) ones, of these trials.

    conflicts: keys of stages that came out otherwise a second time, which their records then say.
    """
    current, stale = [], []
    for trial in trials:
        path = folder / f"{trial.id}.json"
        with storage_errors(f"cannot read {path}"):
            there = is_regular(path)
        if not there:
            continue
        found = TrialRecord.from_file(path)
        if tuple(found.body["stages"]) == trial.everything:
            current.append(marked(found, conflicts))
        else:
            stale.append(trial.id)
    return current, stale


def current_records(plan: Plan, store: Store) -> tuple[list[TrialRecord], list[str]]:
    """The plan's records whose keys are today's, and the ids of older (stale) ones."""
    return stored_records(plan.trials, record_folder(store.root, plan.label), store.conflicts())


def current_analyses(plan: Plan, store: Store) -> list[AnalysisRecord]:
    """A plan's analyses whose keys are today's: those that a results folder holds, and those known to have failed."""
    if not plan.analyses:
        return []
    done = store.keys() & plan.stages.keys()
    return analysis_records(plan, plan.analyses, store, with_descendants(plan, known_failures(plan, store, done)))


def other_analyses(plan: Plan, store: Store) -> list[AnalysisRecord]:
    """Analyses of the whole suite that a results folder holds, for a plan that is not of the whole suite."""
    found = analysis_records(plan, plan.other_analyses, store, {})
    return [record for record in found if record.body["status"] == "ok"]
