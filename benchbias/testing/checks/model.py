"""Checks of models: logits, head and features, a step of training, answers that depend on nothing else."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from benchbias.data.values import BiasedDataset
from benchbias.network.by_weight import forward_pass
from benchbias.network.cost import count_cost
from benchbias.network.inspect import evaluating
from benchbias.network.weights import unreached
from benchbias.suite.tables import Recipe
from benchbias.testing.calling.calls import model_trial, pixels, plain, refused
from benchbias.testing.calling.subject import Subject
from benchbias.testing.calling.verdicts import Refused, Unmet
from benchbias.testing.toys.toy import toy_dataset
from benchbias.testing.toys.trial import RECIPE, ToyTrial
from benchbias.training.context import TrainContext

CLASSES = (2, 5)
SHOWN = 4  # names that a note tells


def forward_shapes(subject: Subject) -> str:
    """Images (B, C, H, W) of the smallest size and twice that give finite float logits (B, K), for 2 and 5 classes."""
    smallest = pixels(subject)
    sizes = (smallest, 2 * smallest)
    for size in sizes:
        for classes in CLASSES:
            _check_logits(_build(subject, size, classes), size, classes)
    return f"{', '.join(f'{size}x{size}' for size in sizes)}"


def one_pixel_image(subject: Subject) -> str | None:
    """Images of 1x1 pixel work, or are refused with a BenchbiasError or Skip that says why."""
    try:
        _check_logits(_build(subject, 1, 2), 1, 2)
    except Refused as error:
        return refused(error)
    return None


def _build(subject: Subject, size: int, classes: int) -> nn.Module:
    data = toy_dataset(size=size)
    return model_trial(subject, data=_of_classes(data, classes)).network()


def _of_classes(data: BiasedDataset, classes: int) -> BiasedDataset:
    from benchbias.data.values import GroupLabels, LabelledSplit, Split

    splits = {
        name: LabelledSplit(
            Split(item.split.images, item.split.labels, classes, name),
            GroupLabels.of(item.split.labels, item.groups.attributes, item.groups.aligned, classes, ("dark", "bright")),
            item.cluster,
        )
        for name, item in data.splits.items()
    }
    return BiasedDataset(splits, data.mean, data.std, data.source, data.licence)


def _check_logits(model: nn.Module, size: int, classes: int) -> None:
    for count in (1, 3):
        with evaluating(model):
            logits = model(torch.rand(count, 3, size, size))
        if not isinstance(logits, Tensor) or not logits.is_floating_point():
            raise Unmet(f"forward gave {type(logits).__name__}, not a float tensor")
        if logits.shape != (count, classes):
            raise Unmet(f"images {(count, 3, size, size)} gave {tuple(logits.shape)}, not {(count, classes)}")
        if not bool(torch.isfinite(logits).all()):
            raise Unmet("the logits are not finite")


def head(subject: Subject) -> str:
    """Its head is found, makes one logit a class, and what goes into it are features (B, D)."""
    trial = model_trial(subject)
    model, context = trial.network(), _context(trial)
    found = context.head(model)
    weight = getattr(found, "weight", None)
    if not isinstance(weight, Tensor) or weight.shape[0] != 2:
        raise Unmet(f"the head {found} does not make 2 logits")
    batch = next(iter(context.data.batches(context.data.train)))
    features = context.features(model.eval(), batch.images)
    if features.ndim != 2 or len(features) != len(batch.images):
        raise Unmet(f"{len(batch.images)} images have features of shape {tuple(features.shape)}, not (B, D)")
    return f"{features.shape[1]} features"


def _context(trial: ToyTrial) -> TrainContext:
    recipe = Recipe.model_validate(RECIPE)
    data = trial.training_data()
    stream = torch.Generator()
    return TrainContext(device=trial.device, generator=stream, recipe=recipe, data=data, order=stream)


def reach(subject: Subject) -> str:
    """The share of its matrices that pruning reaches, what it does not, and weights remade (never a failure)."""
    model, side = model_trial(subject).network(), pixels(subject)
    images = torch.rand(1, 3, side, side)
    cost, seen = count_cost(model, images), forward_pass(model, images)
    left, told = unreached(model, seen.used), "all of its matrices"
    if left:
        share = cost.weights / cost.matrix_weights
        told = f"{math.floor(1000 * share) / 10:g} % of the weights in its matrices; not {_first(left)}"
    if not seen.computed:
        return told
    return f"{told}; FLOPs are dense where its forward remakes {_first(sorted(seen.computed))}: zeros may come back"


def _first(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def learns(subject: Subject) -> None:
    """An epoch of training moves every weight that can be pruned, and leaves all finite."""
    trial = model_trial(subject)
    after = trial.made[trial.train(plain, epochs=1)].blobs["weights"]
    before = trial.made[trial.init].blobs["weights"]
    weights = _context(trial).prunable(trial.network())
    if not weights:
        raise Unmet("it has no linear, convolution, recurrent or attention weight: nothing can be pruned")
    still = [name for name in weights if torch.equal(before[name], after[name])]
    if still:
        raise Unmet(f"these weights have not moved: {', '.join(still)}")


def same_in_eval(subject: Subject) -> None:
    """In eval mode an image's logits are the same twice, from a copy, and whatever else is in its batch."""
    model = model_trial(subject).network()
    images = torch.rand(6, 3, pixels(subject), pixels(subject), generator=torch.Generator().manual_seed(0))
    twin = copy.deepcopy(model)
    twin.load_state_dict(model.state_dict())
    with evaluating(model), evaluating(twin):
        first, second, other = model(images), model(images), twin(images)
        alone = torch.cat([model(image[None]) for image in images])
    if not torch.equal(first, second):
        raise Unmet("the same images gave other logits the second time")
    if not torch.equal(first, other):
        raise Unmet("a copy with the same weights gave other logits")
    if not torch.allclose(first, alone, rtol=1e-4, atol=1e-5):
        raise Unmet("an image alone has other logits than in a batch")
