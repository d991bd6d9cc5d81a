"""Stage `init`: the initial weights."""

from __future__ import annotations

from benchbias.stages.job import Job, Made, check_finite
from benchbias.training.fit import snapshot


def run(job: Job) -> Made:
    """Build the model under the init seed and store its weights."""
    model = job.fresh_model()
    check_finite(model, "the model factory")
    return Made({}, {"weights": snapshot(model)})
