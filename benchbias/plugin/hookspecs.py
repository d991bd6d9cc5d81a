"""Every hook of benchbias. A plugin is a module that implements some of them with `@benchbias.hookimpl`.

All hooks but the last are collections. Each implementation returns `{name: component}`, and the names of all plugins
are put together; a name that two plugins use is an error that names both. These hooks are called once when a plugin
is described (in a child process, whose result is cached). They are called once more in each worker process that needs
one of the plugin's components, and never in the command line's own process. They take no arguments and should do
nothing but return the table: no work, no printing, no random numbers. The last, `benchbias_record`, gets the finished
trials.

The parameters before `*` in a component's signature come from the core, recognised by their names. The parameters
after it are options, which benchmarks.toml may set: typed, with defaults. Types are bool, int, float, str, Literal,
tuple[T, ...], Mapping[str, T] and T | None, each perhaps Annotated with `benchbias.Range`. A component that declares
`train_groups` or `val_groups` is given group labels, and the leaderboard says so.

Any component may raise `benchbias.Skip("why")`: its trials are shown as skipped, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchbias import TrialRecord

hookspec = pluggy.HookspecMarker("benchbias")
hookimpl = pluggy.HookimplMarker("benchbias")


@hookspec
def benchbias_datasets() -> dict[str, Callable[..., Any]]:  # type: ignore[empty-body]
    """Data sets: `{name: (root: Path, seed: int, *, <options>) -> BiasedDataset}`.

    Called in a `data` stage. `root` is the folder of data files that the user named. `seed` decides the split,
    the conflicts and the noise: equal seed and options must give equal bytes. The result is hashed and stored.
    """


@hookspec
def benchbias_models() -> dict[str, Callable[..., Any]]:  # type: ignore[empty-body]
    """Models: `{name: (input_shape: (C, H, W), num_classes: int, *, <options>) -> nn.Module}`.

    Called in an `init` stage, whose initial weights are stored, and again wherever those weights are needed.
    torch is seeded before each call. A factory with a parameter `backbone` is given the task's own model
    builder, `backbone(**changes) -> nn.Module`: changes are options in place of the task's. One with a parameter
    `root` is given the folder of data files, where weights may lie; its options must say which bytes are there.
    """


@hookspec
def benchbias_trainers() -> dict[str, Callable[..., Any]]:  # type: ignore[empty-body]
    """Trainers: `{name: (model, data: TrainingData, context: TrainContext, *, <options>) -> None}`.

    Called in a `train` stage; changes the model's weights in place, usually through `context.fit`, the recipe's
    training loop. A mask in force holds whatever the trainer does. Declare `train_groups: GroupLabels` or
    `val_groups: GroupLabels` before `*` to be given group labels.
    """


@hookspec
def benchbias_pruners() -> dict[str, Callable[..., Any]]:  # type: ignore[empty-body]
    """Pruners: `{name: (model, data: TrainingData, context: PruneContext, *, <options>) -> Scores | Mask}`.

    Called in a `prune` stage, on a copy of the model: only the return value counts. Scores (higher = kept
    longer) are cut by the core to the stage's sparsity or density, exactly, over its layers and budget. A pruner
    whose counts are its own returns a Mask.
    """


@hookspec
def benchbias_metrics() -> dict[str, Callable[..., Any]]:  # type: ignore[empty-body]
    """Metrics: `{name: (predictions: Predictions, *, <options>) -> float}`.

    Called in a `score` stage, on the test split. NaN means undefined (a group without an example) and is shown
    as such.
    """


@hookspec
def benchbias_probes() -> dict[str, Callable[..., Any]]:  # type: ignore[empty-body]
    """Probes: `{name: (model, data: BiasedDataset, context: ProbeContext, *, <options>) -> Table}`.

    A probe is a measurement of one trained model. Called in a `probe` stage, once for every trial of a suite that
    names it; the model is in eval mode and under its mask. A probe may see test data and groups. Its table goes into
    the trial's record, and nothing of it flows back into training. A probe that fails costs the trial no score.
    Text columns name a row: over seeds a board averages the rows of equal texts.
    """


@hookspec
def benchbias_analyses() -> dict[str, Callable[..., Any]]:  # type: ignore[empty-body]
    """Analyses: `{name: (population: Population, *, <options>) -> Table}`.

    An analysis is a comparison over all trials of a task. Called in an `analyse` stage, once for every task of a
    suite that names it, when all of the task's trials are done: with their records and their predictions. Its table
    goes on the board, beside the records, and into claims; nothing of it reaches a trial.
    """


@hookspec
def benchbias_record(record: TrialRecord) -> None:
    """Receive the record of a trial that a run has finished: done (`ok`), failed or skipped.

    Called by `benchbias run` and `benchbias.run`, in their own process and never in a worker, as soon as all stages of
    the trial have ended. So the records come in the order in which the trials end. Each trial comes once a run. A
    trial of which this run has computed nothing is not told: all was in the results folder, or had failed before. With
    `--rerun all` every trial comes again.

    `record.body` and `record.measured` are what the trial's file holds; `body["status"]` says how it ended. Every
    plugin is given a copy of its own. What the function returns is not looked at. What it raises is told in one line
    on standard error, once for each plugin and reason, and changes nothing of the run: no exit code, no record, no
    board. What it prints goes to standard error. The run waits until it returns. docs/trackers.md has examples.
    """


GIVEN_MEANING: Mapping[str, str] = MappingProxyType(
    {
        "root": "`Path`: the folder of data files that the user named (`BENCHBIAS_DATA`, else `./data`)",
        "seed": "`int`: the data's seed; equal seeds and options must give equal bytes",
        "input_shape": "`tuple[int, int, int]`: (C, H, W) of an image",
        "num_classes": "`int`: the number of classes K",
        "backbone": "`Callable[..., nn.Module]`: the task's own model builder, for a model that wraps it; takes "
        "options by name in place of the task's",
        "model": "`nn.Module`: the network; a trainer changes it in place, a pruner and a probe have a copy",
        "data": "`TrainingData`: training and validation, without test and groups; of a probe `BiasedDataset`: all",
        "context": "`TrainContext`, `PruneContext` or `ProbeContext`: see Contexts",
        "train_groups": "`GroupLabels` of the training split: declaring it puts a method on the track `train`",
        "val_groups": "`GroupLabels` of the validation split: declaring it puts a method on the track `val-fit`",
        "predictions": "`Predictions` on the split that is scored, with all labels",
        "population": "`Population`: all trials of one task",
    }
)
"""Meanings of the parameters that the core gives, recognised by their names."""

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "benchbias_datasets": "dataset",
        "benchbias_models": "model",
        "benchbias_trainers": "trainer",
        "benchbias_pruners": "pruner",
        "benchbias_metrics": "metric",
        "benchbias_probes": "probe",
        "benchbias_analyses": "analysis",
    }
)
"""The kind of component that each hook returns."""

RECORD = "benchbias_record"
"""The hook that is told of finished trials."""

HOOKS = (*KINDS, RECORD)
"""The names of all hooks."""
