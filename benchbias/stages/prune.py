"""Stage `prune`: call a pruner on a copy of the model; its scores are cut exactly, its mask is checked.

A pruner that trains (`context.fit`) is told in the body what that cost, as a train stage is.
"""

from __future__ import annotations

from benchbias.sparse.masks import apply, with_attached
from benchbias.stages.job import Job, Made, mask_blob, mask_body
from benchbias.stages.make_mask import amount_of, ask_pruner, prune_context, search_cost
from benchbias.stages.seeding import generator
from benchbias.suite.tables import Recipe


def run(job: Job) -> Made:
    """The product is a mask: never one that revives what the mask in force has removed."""
    recipe = Recipe.model_validate(job.inputs["recipe"])
    data = job.training_data(recipe)
    force = job.mask("mask")
    model = job.model("model").eval()
    if force is not None:
        apply(model, force)
    context = prune_context(
        model,
        data,
        job.inputs["cut"],
        amount_of(job.inputs["cut"]),
        device=job.device,
        generator=generator(job.seed, "method"),
        recipe=recipe,
        order=generator(job.seed, "order"),
        mask=force,
        auxiliary_mask=job.mask("auxiliary"),
        earlier=job.earlier(),
    )
    mask = ask_pruner(job, job.inputs, model, context).mask_for(context.amount).to("cpu")
    if force is not None:
        mask = mask.intersect(force)
    sample = data.sample
    mask = with_attached(mask, model, sample)
    blobs = {"mask": mask_blob(mask)}
    body = mask_body(mask) | search_cost(model, sample, context.reports, force)
    return Made(body, blobs | ({"saved": context.written} if context.written else {}))
