"""A model with the tensors of a file: the file's head says for how many classes it is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from benchbias.auditing.models.builders import Architecture
from benchbias.auditing.models.looks import COLOUR, GREY
from benchbias.errors import DataError
from benchbias.network.checkpoints import checkpoint_tensors
from benchbias.network.weights import load_state

GUESS = 1000  # classes of a first try
SHOWN = 4

Shapes = Mapping[str, tuple[int, ...]]


def filled(
    built: Architecture,
    content: bytes,
    name: str,
    say: Callable[[str], None],
    *,
    table: str | None = None,
    warn: Callable[[str], None] | None = None,
) -> nn.Module:
    """The model with a file's tensors, for as many classes as its head has. Raises DataError where they do not fit.

    content: of the file `name`. say: told what was done to make them fit. warn: as of `checkpoint_tensors`.
    """
    first, second = (_unfilled(built, classes).state_dict() for classes in (GUESS, GUESS + 1))
    tensors = checkpoint_tensors(content, first, name, table=table, say=say, warn=warn)
    model = built.build(_classes(_shapes(first), _shapes(second), _shapes(tensors), name))
    fill(model, tensors, name, say)
    return model


def _unfilled(built: Architecture, classes: int) -> nn.Module:
    """The model for its names and shapes alone: without memory for its tensors, where it can be built so."""
    try:
        with torch.device("meta"):
            return built.build(classes)
    except DataError:  # it asks for the values of tensors while it is built
        return built.build(classes)


def fill(model: nn.Module, tensors: Mapping[str, Tensor], name: str, say: Callable[[str], None]) -> None:
    """Put the tensors of a file into a model, in place, in the model's own types. Raises DataError.

    The counts of batches that batch norms have seen may be missing: they decide no answer.
    """
    own = model.state_dict()
    check_fit(_shapes(own), _shapes(tensors), name)
    odd = [key for key, tensor in tensors.items() if own[key].is_floating_point() and not tensor.is_floating_point()]
    if odd:
        raise DataError(
            f"{name}: {odd[0]} is {tensors[odd[0]].dtype}, as quantised weights are: a factory makes such networks "
            "(FILE=FACTORY.py:FUNCTION)"
        )
    kinds = {(tensor.dtype, own[key].dtype) for key, tensor in tensors.items() if own[key].is_floating_point()}
    for given, kept in sorted(kinds, key=str):
        if given != kept:
            say(f"{name}: its {_word(given)} weights are turned into {_word(kept)}, in which it computes")
    load_state(model, tensors)


def check_fit(own: Shapes, given: Shapes, name: str) -> None:
    """Raises DataError where tensors are missing, not the model's, or of another shape, naming the first of them."""
    needed = [key for key in own if not key.endswith(".num_batches_tracked")]
    slim = [f"{key} {given[key]}, not {own[key]}" for key in own if key in given and given[key] != own[key]]
    faults = {
        "missing": [key for key in needed if key not in given],
        "not the model's": [key for key in given if key not in own],
        "of another shape": slim,
    }
    told = [
        f"{what}: {', '.join(found[:SHOWN])}{f' and {len(found) - SHOWN} more' if len(found) > SHOWN else ''}"
        for what, found in faults.items()
        if found
    ]
    if told:
        raise DataError(f"the tensors of {name} are not the model's; {'; '.join(told)}{_remedy(own, given)}")


def _remedy(own: Shapes, given: Shapes) -> str:
    """The likely reasons, the commonest first."""
    other = [(own[key], given[key]) for key in own if key in given and given[key] != own[key]]
    for one, two in other:
        channels = one[1:2], two[1:2]
        if len(one) > 2 and set(channels) == {(1,), (3,)} and one[2:] == two[2:]:
            return f"; {GREY if channels[0] == (1,) else COLOUR}"
    size = ", or are its images of another size (--size)" if other else ""
    slimmed = " A slimmed network is made by a factory (FILE=FACTORY.py:FUNCTION)" if other else ""
    return f"; is --model another network{size}?{slimmed}"


def _shapes(tensors: Mapping[str, Tensor]) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _classes(first: Shapes, second: Shapes, given: Shapes, name: str) -> int:
    """The number of classes that the file's head has: of tensors whose shape depends on it. Raises DataError."""
    found: dict[int, str] = {}
    for key, shape in first.items():
        if key not in given or second.get(key) == shape or len(given[key]) != len(shape):
            continue
        for side, (one, two) in enumerate(zip(shape, second[key], strict=True)):
            if one != two:
                found.setdefault(GUESS + (given[key][side] - one) // (two - one), key)
    if len(found) > 1:
        told = ", ".join(f"{key} for {classes}" for classes, key in found.items())
        raise DataError(f"{name}: its heads are for different numbers of classes: {told}")
    classes = next(iter(found), GUESS)
    if classes < 1:
        raise DataError(f"{name}: its head {found[classes]} is for {classes} classes")
    return classes


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
