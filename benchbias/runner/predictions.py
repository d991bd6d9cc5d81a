"""Predictions of finished trials, from the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchbias.data.values import Predictions
    from benchbias.plan.trials import Plan, Trial
    from benchbias.store.store import Store


def stored_predictions(plan: Plan, trial: Trial, store: Store) -> Predictions:
    """The predictions behind a trial's score, on the CPU. Raises StorageError where they are gone or damaged."""
    import torch

    from benchbias.stages.job import Job
    from benchbias.stages.score import predictions

    inputs = plan.stages[trial.stages[-1]].inputs
    stages = {key: plan.stages[key].inputs for key in trial.stages}
    job = Job(store, inputs, stages, {}, torch.device("cpu"), Path())
    return predictions(job, "test", inputs["split"])
