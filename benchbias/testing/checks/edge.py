"""Checks of pruners and trainers at the edges of what data and networks may be: it works, or it says why not."""

from __future__ import annotations

from benchbias.data.values import BiasedDataset
from benchbias.errors import ComponentError
from benchbias.testing.calling.calls import pruned, refused, toy_trial, trained
from benchbias.testing.calling.subject import Subject
from benchbias.testing.calling.verdicts import NotApplicable, Refused
from benchbias.testing.calling.watching import Watch
from benchbias.testing.checks.pruner import check_counts
from benchbias.testing.toys import toy


def one_class(subject: Subject) -> str | None:
    """Where training has one class it works, or refuses with a BenchbiasError or Skip that says why."""
    return _edge(subject, data=toy.toy_dataset(classes=(0,)))


def one_group(subject: Subject) -> str | None:
    """Where training has one group it works, or refuses with a BenchbiasError or Skip that says why."""
    if not subject.groups:
        raise NotApplicable("it uses no group labels")
    return _edge(subject, data=toy.toy_dataset(classes=(1,), attributes=(0,)))


def equal_weights(subject: Subject) -> str | None:
    """Where all weights are equal, so that scores tie, the sparsity is still exact."""
    return _edge(subject, toy.of_equal_weights)


def zero_gradients(subject: Subject) -> str | None:
    """Where every gradient is zero its scores or weights are finite and its sparsity exact, or it refuses."""
    return _edge(subject, toy.of_zero_gradients)


def nan_gradients(subject: Subject) -> str | None:
    """Where gradients are NaN the answer is finite or refused with a message, by the pruner or by the core."""
    try:
        return _edge(subject, toy.of_nan_gradients)
    except ComponentError as error:
        return f"the core refuses: {error}"


def one_weight(subject: Subject) -> str | None:
    """A layer of a single weight is pruned or trained like any other."""
    return _edge(subject, toy.with_a_layer_of_one_weight)


def one_pixel(subject: Subject) -> str | None:
    """Images of 1x1 pixel work, or are refused with a BenchbiasError or Skip that says why."""
    return _edge(subject, data=toy.toy_dataset(size=1))


def batch_norm(subject: Subject) -> str | None:
    """In a network with batch norm only weights of layers are pruned, and its statistics stay finite."""
    return _edge(subject, toy.with_batch_norm, toy.toy_dataset(train=33))  # 33: the last batch has one example


def _edge(subject: Subject, model: toy.ModelFactory = toy.toy_model, data: BiasedDataset | None = None) -> str | None:
    """Call the component in its stage on these data and this network; a refusal is a note."""
    watch, trial = Watch(), toy_trial(subject, data, model)
    try:
        if subject.kind == "trainer":
            trained(subject, trial, watch)  # the stage refuses weights that are not finite
            return None
        key = pruned(subject, trial, watch)
    except Refused as error:
        return refused(error)
    check_counts(subject, watch.answers[-1], trial.mask_of(key), 0.5, "global")
    return None
