"""Stage `init`: the initial weights."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from benchbias.network.fitness import check_model
from benchbias.stages.job import Job, Made
from benchbias.stages.loaded import loaded_notes
from benchbias.training.fit import snapshot


def run(job: Job) -> Made:
    """Build the model under the init seed and store its weights; notes where weights of a file do not fit the data.

    Raises ComponentError for a model that does not fit.
    """
    model = job.fresh_model()
    body = job.product("data").body
    what = f"model {job.inputs['component']['name']!r}"
    check_model(model, what, tuple(body["input_shape"]), int(body["num_classes"]))
    made = snapshot(model)
    notes = _notes(job) if job.inputs["component"]["options"].get("weights") is not None else []
    return Made({"notes": notes} if notes else {}, {"weights": made})


def _notes(job: Job) -> list[str]:
    body = job.product("data").body

    def build(more: int) -> nn.Module:
        return replace(job, inputs={**job.inputs, "seed": job.seed + more}).fresh_model()

    return loaded_notes(build, job.split("data", "train"), job.split("data", "val"), body["mean"], body["std"])
