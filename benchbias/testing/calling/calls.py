"""One call of a component of each kind, in the stage that a suite calls it in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from benchbias.data.reading.raw_files import data_folder, locate
from benchbias.errors import ComponentError
from benchbias.records.table import Table
from benchbias.stages.job import Made, call_component
from benchbias.stages.score import checked_metric
from benchbias.stages.seeding import seed_everything
from benchbias.testing.calling.subject import Subject
from benchbias.testing.calling.surroundings import Surroundings
from benchbias.testing.calling.verdicts import NotApplicable, Refused
from benchbias.testing.calling.watching import Watch
from benchbias.testing.toys.population import toy_population
from benchbias.testing.toys.toy import ModelFactory, toy_dataset, toy_model
from benchbias.testing.toys.trial import ToyTrial, changing, toy_predictions

if TYPE_CHECKING:
    from benchbias.data.values import BiasedDataset, Predictions, TrainingData
    from benchbias.training.context import PruneContext, TrainContext

EPOCHS = 6  # of the model that a probe measures
SIZES = (8, 16, 32, 64, 128, 256)  # pixels a side


def plain(model: nn.Module, data: TrainingData, context: TrainContext) -> None:
    """Plain training, for the stages around the one that is checked."""
    context.fit(model, data)


def random_scores(model: nn.Module, data: TrainingData, context: PruneContext) -> dict[str, Tensor]:
    """Random scores, for a mask that is in force before the component is called."""
    return {name: torch.rand(w.shape, generator=context.generator) for name, w in context.prunable(model).items()}


def toy_trial(
    subject: Subject, data: BiasedDataset | None = None, model: ModelFactory = toy_model, **toy: Any
) -> ToyTrial:
    """A toy trial of a pruner or a trainer: of the subject's own network around the toy one, if it has one."""
    network = subject.network
    if network is None:
        return ToyTrial(data, model, **toy)

    def around(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        shape = {"input_shape": input_shape, "num_classes": num_classes}
        given = {**shape, "backbone": lambda: model(input_shape, num_classes)}
        found: nn.Module = call_component(network, given, {})
        return found

    return ToyTrial(data, around, **toy)


def pruned(subject: Subject, trial: ToyTrial, watch: Watch | None = None, **stage: Any) -> str:
    """A prune stage with this pruner; its key."""
    return trial.prune((watch or Watch()).on(subject), subject.options, subject.groups, **stage)


def half_removed(trial: ToyTrial, sparsity: float = 0.3) -> str:
    """A prune stage that leaves a random mask, to be in force; its key."""
    return trial.prune(random_scores, sparsity=sparsity)


def trained(subject: Subject, trial: ToyTrial, watch: Watch | None = None, **stage: Any) -> str:
    """A train stage with this trainer; its key.

    Before it stand a short plain one, whose model is the reference, and a prune stage whose mask is auxiliary.
    """
    before, auxiliary = trial.train(plain, epochs=1, lr=1e-4), half_removed(trial)
    call = (watch or Watch()).on(subject)
    return trial.train(call, subject.options, subject.groups, before=before, auxiliary=auxiliary, **stage)


def trained_under(subject: Subject, trial: ToyTrial, watch: Watch, sparsity: float, budget: str) -> str:
    """A train stage whose mask this pruner changes every third step; its key."""
    spec = changing(subject.options, subject.groups, sparsity, budget)
    return trial.train(plain, prune=spec, pruner=watch.on(subject))


def probed(subject: Subject, trial: ToyTrial, watch: Watch | None = None) -> str:
    """A probe stage with this probe, on a trained model all of whose epochs are kept, under a mask; its key."""
    mask = half_removed(trial)
    model = trial.train(plain, mask=mask, epochs=EPOCHS, keep_epochs=list(range(1, EPOCHS + 1)))
    return trial.probe((watch or Watch()).on(subject), subject.options, model=model, mask=mask)


def made(subject: Subject, trial: ToyTrial, watch: Watch | None = None) -> Made:
    """The product of the stage that a pruner, a trainer or a probe is mostly called in."""
    calls = {"pruner": pruned, "trainer": trained, "probe": probed}
    return trial.made[calls[subject.kind](subject, trial, watch)]


def dataset_stage(subject: Subject, seed: int = 0, watch: Watch | None = None) -> Made:
    """The product of a data stage with this data set."""
    _require_raw_files(subject)
    trial = ToyTrial(seed=seed)
    return trial.made[trial.dataset((watch or Watch()).on(subject), subject.options)]


def _require_raw_files(subject: Subject) -> None:
    """Raises NotApplicable where files that the data set says it reads are not in the data folder."""
    root = data_folder()
    for kind, name in subject.described.raw_files(subject.options):
        if locate(root, kind, name) is None:
            raise NotApplicable(f"it reads {name!r}, which is not below {root} (BENCHBIAS_DATA says where to look)")


def model_trial(subject: Subject, watch: Watch | None = None, **toy: Any) -> ToyTrial:
    """A trial on toy data, of images that it takes unless `data` is given, whose model is this one."""
    backbone = "backbone" in subject.described.given
    data = toy.pop("data", None) or toy_dataset(size=pixels(subject))
    return ToyTrial(data, (watch or Watch()).on(subject), options=subject.options, backbone=backbone, **toy)


def pixels(subject: Subject) -> int:
    """How many pixels a side the smallest toy images have that this model does not refuse; 8 if it refuses all."""
    before = Surroundings.now()
    for size in SIZES:
        try:
            model_trial(subject, data=toy_dataset(train=4, size=size))
        except (Refused, ComponentError):  # by the model itself, or by the core where no pass succeeds
            continue
        finally:
            before.restore()
        return size
    return SIZES[0]


def measured(subject: Subject, predictions: Predictions, watch: Watch | None = None) -> float | None:
    """A metric's value as the score stage takes it; None where it is undefined. Raises ComponentError."""
    seed_everything(0)
    value = (watch or Watch()).on(subject)(predictions, **subject.options)
    return checked_metric(subject.name, value)


def analysed(subject: Subject, watch: Watch | None = None) -> Table:
    """An analysis' table of a toy population, as the analyse stage takes it. Raises ComponentError."""
    seed_everything(0)
    given = {"population": toy_population()}
    table = call_component((watch or Watch()).on(subject), given, subject.options)
    if not isinstance(table, Table):
        raise ComponentError(f"analysis {subject.name!r} returned {type(table).__name__}, not a Table")
    return table


def refused(error: Refused) -> str:
    """The note on a component that says itself that a case does not fit."""
    return f"it refuses: {error}"


def worker_call(subject: Subject, watch: Watch) -> Any:
    """Call a component once on ordinary toy data; what its stage has made."""
    if subject.kind == "dataset":
        return dataset_stage(subject, watch=watch)
    if subject.kind == "model":
        return model_trial(subject, watch)
    if subject.kind == "metric":
        return measured(subject, toy_predictions(), watch)
    if subject.kind == "analysis":
        return analysed(subject, watch)
    return made(subject, toy_trial(subject), watch)
