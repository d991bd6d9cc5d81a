"""Predictions of finished trials, from the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from benchbias.stages.common import Job
from benchbias.stages.score import predictions

if TYPE_CHECKING:
    from benchbias.data import Predictions
    from benchbias.store import Store
    from benchbias.trials import Plan, Trial


def stored_predictions(plan: Plan, trial: Trial, store: Store) -> Predictions:
    """What a trial's score was computed from, on the CPU. Raises StorageError where it is gone or damaged."""
    inputs = plan.stages[trial.stages[-1]].inputs
    stages = {key: plan.stages[key].inputs for key in trial.stages}
    job = Job(store, inputs, stages, {}, torch.device("cpu"), Path())
    return predictions(job, "test", inputs["split"])
