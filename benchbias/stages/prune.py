"""Stage `prune`: call a pruner on a copy of the model; its scores are cut exactly, its mask is checked.

A pruner that trains (`context.fit`) is told in the body what that cost, as a train stage is. Where the stage before in
this process differed only in its amount, the answer of its pruner is cut again, see `sweep`.
"""

from __future__ import annotations

from torch import nn

from benchbias.data.values import TrainingData
from benchbias.sparse.masks import Mask, apply, with_attached
from benchbias.stages.job import Job, Made, mask_blob, mask_body
from benchbias.stages.make_mask import amount_of, ask_pruner, fraction_of, prune_context, search_cost
from benchbias.stages.seeding import generator
from benchbias.stages.sweep import Asked, share, shared
from benchbias.suite.tables import Recipe


def run(job: Job) -> Made:
    """The product is a mask: never one that revives what the mask in force has removed."""
    amount = amount_of(job.inputs["cut"])
    asked, model = shared(job) if amount else None, None
    if asked is None:
        asked, model = _ask(job)
        share(job, asked)
    answer = asked.answer
    mask = answer.mask_for(fraction_of(amount, answer.shapes)).to("cpu")
    if answer.force is not None:
        mask = mask.intersect(answer.force)
    if mask.units:
        mask = with_attached(mask, model or _model(job, answer.force), _data(job).sample)
    blobs = {"mask": mask_blob(mask)} | ({"saved": asked.saved} if asked.saved else {})
    return Made({**mask_body(mask), **asked.cost}, blobs)


def _ask(job: Job) -> tuple[Asked, nn.Module]:
    """Ask the stage's pruner; the model is as it was before. Raises ComponentError, and Skip, see `fraction_of`."""
    data, force = _data(job), job.mask("mask")
    model = _model(job, force)
    context = prune_context(
        model,
        data,
        job.inputs["cut"],
        amount_of(job.inputs["cut"]),
        device=job.device,
        generator=generator(job.seed, "method"),
        recipe=Recipe.model_validate(job.inputs["recipe"]),
        order=generator(job.seed, "order"),
        mask=force,
        auxiliary_mask=job.mask("auxiliary"),
        earlier=job.earlier(),
    )
    answer = ask_pruner(job, job.inputs, model, context)
    return Asked(answer, context.written, search_cost(model, data.sample, context.reports, force)), model


def _data(job: Job) -> TrainingData:
    return job.training_data(Recipe.model_validate(job.inputs["recipe"]))


def _model(job: Job, force: Mask | None) -> nn.Module:
    """The model to prune, in eval mode, under the mask in force."""
    model = job.model("model").eval()
    if force is not None:
        apply(model, force)
    return model
