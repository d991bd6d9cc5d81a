"""Stage `analyse`: one comparison over all trials of a task. It sees everything; nothing flows back into a trial."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from benchbias.data.values import Predictions
from benchbias.errors import ComponentError, DamagedError
from benchbias.records.population import Member, Population
from benchbias.records.scored import scored_body
from benchbias.records.table import Table
from benchbias.records.trial import TrialRecord
from benchbias.stages.job import Job, Made
from benchbias.stages.predict import further_splits
from benchbias.stages.score import predictions
from benchbias.stages.seeding import seed_everything


def run(job: Job) -> Made:
    """The product is the analysis' table."""
    known: dict[tuple[str, ...], Predictions] = {}
    members = (_member(job, number, head, known) for number, head in enumerate(job.inputs["members"]))
    population = Population(tuple(members))
    seed_everything(job.seed)
    table = job.call("analysis", {"population": population})
    if not isinstance(table, Table):
        name = job.inputs["component"]["name"]
        raise ComponentError(f"analysis {name!r} returned {type(table).__name__}, not a Table")
    return Made({"table": table.to_json()})


def _member(job: Job, number: int, head: Mapping[str, Any], known: dict[tuple[str, ...], Predictions]) -> Member:
    roles = itertools.takewhile(job.parents.__contains__, (f"{number}.{index}" for index in itertools.count()))
    keys = [job.parents[role] for role in roles]
    stages = [(str(job.all_inputs[key]["kind"]), _body(job, key)) for key in keys]
    own = replace(job, inputs=job.all_inputs[keys[-1]])  # the job of its score stage
    body = {**head, "suite": job.inputs["suite"], "task": job.inputs["task"], **scored_body(stages)}
    trained_on = own.blob("data", "share")["trained_on"] if "share" in own.product("data").blobs else None
    splits = {own.inputs["split"]: "test", "train": "data", **further_splits(_predict(own))}
    record = TrialRecord(body, {})
    kept = StoredPredictions(own, splits, known)
    return Member(head["method"], head["swept"], head["seed"], record, kept, trained_on)


def _body(job: Job, key: str) -> Mapping[str, Any]:
    product = job.store.get(key)
    if product is None:
        raise DamagedError("the product of a trial is gone; run again to make it anew")
    return product.body


def _predict(score: Job) -> Job:
    """The job of the predict stage that a score was made from."""
    return replace(score, inputs=score.all_inputs[score.parents["predict"]])


@dataclass(frozen=True, eq=False)
class StoredPredictions(Mapping[str, Predictions]):
    """A member's predictions by split, read from the store when they are asked for: a population may be large.

    splits: the role that each is of. known: predictions that were read before, for the labels that members share.
    """

    job: Job
    splits: Mapping[str, str]
    known: dict[tuple[str, ...], Predictions]

    def __getitem__(self, split: str) -> Predictions:
        role = self.splits[split]
        place = (self.job.parents[role], self.job.parents["data"], split)
        if place not in self.known:
            self.known[place] = predictions(self.job, role, split)
            return self.known[place]
        logits = self.job.blob("predict", "logits", (split,))[split]
        return replace(self.known[place], logits=logits)

    def __iter__(self) -> Iterator[str]:
        return iter(self.splits)

    def __len__(self) -> int:
        return len(self.splits)
