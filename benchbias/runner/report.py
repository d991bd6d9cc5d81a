"""The records of a run: written to the results folder, and read from it where they are today's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchbias.plan.trials import Plan, Trial
from benchbias.records.analysis import AnalysisRecord, analysis_folder
from benchbias.records.trial import TrialRecord, record_folder
from benchbias.runner.failures import Failure, known_failures, with_descendants
from benchbias.runner.loop import Computed
from benchbias.runner.recording import Products, analysis_records, make_record
from benchbias.statistics.cells import CellLayout, read_layout
from benchbias.store.store import Store
from benchbias.util import canonical
from benchbias.util.files import storage_errors


@dataclass(frozen=True)
class RunReport:
    """The report of a run: stages found in the store, computed and failed; what became of every trial.

    layouts: the cells of the test splits in which the records count, by digest.
    """

    cached: int
    computed: int
    failures: Mapping[str, Failure]
    records: tuple[TrialRecord, ...]
    missing: int
    seconds: float
    analyses: tuple[AnalysisRecord, ...] = ()
    layouts: Mapping[str, CellLayout] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 where every trial, probe and analysis is done or was skipped, else 1."""
        bodies = [*(record.body for record in self.records), *(record.body for record in self.analyses)]
        probes = [failure for body in bodies for failure in body.get("probe_failures", {}).values()]
        return int(self.missing > 0 or any(found["status"] == "failed" for found in (*bodies, *probes)))


def record(plan: Plan, store: Store, computed: Computed) -> RunReport:
    """Write the records of every trial and analysis that is done or has failed. Raises StorageError."""
    products = Products(store, computed.products)
    made = [one for trial in plan.trials if (one := make_record(plan, trial, products, computed.blocked))]
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
    return RunReport(*counts, tuple(records), missing, computed.seconds, tuple(analyses), layouts)


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


def stored_records(trials: Iterable[Trial], folder: Path) -> tuple[list[TrialRecord], list[str]]:
    """The records of a folder whose keys are today's, and the ids of older (stale) ones, of these trials."""
    current, stale = [], []
    for trial in trials:
        path = folder / f"{trial.id}.json"
        with storage_errors(f"cannot read {path}"):
            there = path.is_file()
        if not there:
            continue
        found = TrialRecord.from_file(path)
        if tuple(found.body["stages"]) == trial.everything:
            current.append(found)
        else:
            stale.append(trial.id)
    return current, stale


def current_records(plan: Plan, store: Store) -> tuple[list[TrialRecord], list[str]]:
    """The plan's records whose keys are today's, and the ids of older (stale) ones."""
    return stored_records(plan.trials, record_folder(store.root, plan.label))


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
