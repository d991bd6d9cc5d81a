"""benchbias: which pruning and debiasing methods can be trusted when training data is biased?

These are the public names: all that a plugin may use. They are imported when first used, so that
`import benchbias` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchbias.api import load_results as load_results
    from benchbias.api import run as run
    from benchbias.changes import Answers as Answers
    from benchbias.changes import Change as Change
    from benchbias.changes import Compared as Compared
    from benchbias.changes import change_table as change_table
    from benchbias.components import Range as Range
    from benchbias.components import reads as reads
    from benchbias.context import PruneContext as PruneContext
    from benchbias.context import TrainContext as TrainContext
    from benchbias.cutting import Scores as Scores
    from benchbias.cutting import removed_count as removed_count
    from benchbias.data import Batch as Batch
    from benchbias.data import BiasedDataset as BiasedDataset
    from benchbias.data import GroupLabels as GroupLabels
    from benchbias.data import LabelledSplit as LabelledSplit
    from benchbias.data import Predictions as Predictions
    from benchbias.data import Split as Split
    from benchbias.data import TrainingData as TrainingData
    from benchbias.decoded import rows_of as rows_of
    from benchbias.errors import BenchbiasError as BenchbiasError
    from benchbias.errors import DataError as DataError
    from benchbias.errors import Skip as Skip
    from benchbias.estimates import Estimate as Estimate
    from benchbias.estimates import equivalence_p_value as equivalence_p_value
    from benchbias.estimates import estimate as estimate
    from benchbias.estimates import p_value as p_value
    from benchbias.examples import Examples as Examples
    from benchbias.examples import carved as carved
    from benchbias.examples import dataset_of as dataset_of
    from benchbias.folder import Row as Row
    from benchbias.folder import folder_images as folder_images
    from benchbias.folder import table_rows as table_rows
    from benchbias.hookspecs import hookimpl as hookimpl
    from benchbias.hub import HubImages as HubImages
    from benchbias.hub import hub_images as hub_images
    from benchbias.images import channel_statistics as channel_statistics
    from benchbias.influence import Influence as Influence
    from benchbias.influence import Measured as Measured
    from benchbias.losses import LossAverages as LossAverages
    from benchbias.losses import generalised_cross_entropy as generalised_cross_entropy
    from benchbias.losses import nt_xent as nt_xent
    from benchbias.losses import weighted_cross_entropy as weighted_cross_entropy
    from benchbias.masks import Mask as Mask
    from benchbias.masks import drop_and_grow as drop_and_grow
    from benchbias.masks import independent_mask as independent_mask
    from benchbias.masks import random_mask as random_mask
    from benchbias.modes import head_name as head_name
    from benchbias.outcome import Results as Results
    from benchbias.parts import part_accuracies as part_accuracies
    from benchbias.probing import ProbeContext as ProbeContext
    from benchbias.ranking import holm as holm
    from benchbias.results import Member as Member
    from benchbias.results import Population as Population
    from benchbias.results import Table as Table
    from benchbias.results import TrialRecord as TrialRecord
    from benchbias.straight_through import logits_under as logits_under
    from benchbias.straight_through import sample_mask as sample_mask
    from benchbias.training import loss_gradients as loss_gradients
    from benchbias.training import predicted_classes as predicted_classes
    from benchbias.training import step_count as step_count

_HOME = {
    "api": ("load_results", "run"),
    "changes": ("Answers", "Change", "Compared", "change_table"),
    "components": ("Range", "reads"),
    "context": ("PruneContext", "TrainContext"),
    "cutting": ("Scores", "removed_count"),
    "data": ("Batch", "BiasedDataset", "GroupLabels", "LabelledSplit", "Predictions", "Split", "TrainingData"),
    "decoded": ("rows_of",),
    "errors": ("BenchbiasError", "DataError", "Skip"),
    "estimates": ("Estimate", "equivalence_p_value", "estimate", "p_value"),
    "examples": ("Examples", "carved", "dataset_of"),
    "folder": ("Row", "folder_images", "table_rows"),
    "hookspecs": ("hookimpl",),
    "hub": ("HubImages", "hub_images"),
    "images": ("channel_statistics",),
    "influence": ("Influence", "Measured"),
    "losses": ("LossAverages", "generalised_cross_entropy", "nt_xent", "weighted_cross_entropy"),
    "masks": ("Mask", "drop_and_grow", "independent_mask", "random_mask"),
    "modes": ("head_name",),
    "outcome": ("Results",),
    "parts": ("part_accuracies",),
    "probing": ("ProbeContext",),
    "ranking": ("holm",),
    "results": ("Member", "Population", "Table", "TrialRecord"),
    "straight_through": ("logits_under", "sample_mask"),
    "training": ("loss_gradients", "predicted_classes", "step_count"),
}

__all__ = [  # a test holds it equal to the names above
    "Answers", "Batch", "BenchbiasError", "BiasedDataset", "Change", "Compared", "DataError", "Estimate", "Examples",
    "GroupLabels", "HubImages", "Influence", "LabelledSplit", "LossAverages", "Mask", "Measured", "Member",
    "Population", "Predictions", "ProbeContext", "PruneContext", "Range", "Results", "Row", "Scores", "Skip", "Split",
    "Table", "TrainContext", "TrainingData", "TrialRecord", "carved", "change_table", "channel_statistics",
    "dataset_of", "drop_and_grow", "equivalence_p_value", "estimate", "folder_images", "generalised_cross_entropy",
    "head_name", "holm", "hookimpl", "hub_images", "independent_mask", "load_results", "logits_under",
    "loss_gradients", "nt_xent", "p_value", "part_accuracies", "predicted_classes", "random_mask", "reads",
    "removed_count", "rows_of", "run", "sample_mask", "step_count", "table_rows", "weighted_cross_entropy",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(importlib.import_module(f"benchbias.{module}"), name)
    from benchbias.deprecation import deprecated_name

    return deprecated_name(name)


def __dir__() -> list[str]:
    return __all__
