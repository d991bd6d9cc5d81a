"""Stage `init`: the initial weights."""

from __future__ import annotations

from benchbias.network.fitness import check_model
from benchbias.stages.job import Job, Made
from benchbias.training.fit import snapshot


def run(job: Job) -> Made:
    """Build the model under the init seed and store its weights. Raises ComponentError for one that does not fit."""
    model = job.fresh_model()
    body = job.product("data").body
    what = f"model {job.inputs['component']['name']!r}"
    check_model(model, what, tuple(body["input_shape"]), int(body["num_classes"]))
    return Made({}, {"weights": snapshot(model)})
