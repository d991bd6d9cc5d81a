"""benchbias: which pruning and debiasing methods can be trusted when training data is biased?

These are the public names: all that a plugin may use. They are imported when first used, so that
`import benchbias` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchbias.auditing.entry.api import audit as audit
    from benchbias.auditing.entry.pytest_plugin import assert_no_subgroup_harm as assert_no_subgroup_harm
    from benchbias.auditing.entry.report import AuditReport as AuditReport
    from benchbias.data.augment import channel_statistics as channel_statistics
    from benchbias.data.reading.cells import cell_text as cell_text
    from benchbias.data.reading.examples import carved as carved
    from benchbias.data.reading.examples import dataset_of as dataset_of
    from benchbias.data.reading.folder import folder_images as folder_images
    from benchbias.data.reading.grouping import Examples as Examples
    from benchbias.data.reading.hub import HubImages as HubImages
    from benchbias.data.reading.hub import hub_images as hub_images
    from benchbias.data.reading.pixel_cache import rows_of as rows_of
    from benchbias.data.reading.tables import Row as Row
    from benchbias.data.reading.tables import table_rows as table_rows
    from benchbias.data.values import Batch as Batch
    from benchbias.data.values import BiasedDataset as BiasedDataset
    from benchbias.data.values import GroupLabels as GroupLabels
    from benchbias.data.values import LabelledSplit as LabelledSplit
    from benchbias.data.values import Predictions as Predictions
    from benchbias.data.values import Split as Split
    from benchbias.data.values import TrainingData as TrainingData
    from benchbias.errors import BenchbiasError as BenchbiasError
    from benchbias.errors import DataError as DataError
    from benchbias.errors import Skip as Skip
    from benchbias.finished.api import Exported as Exported
    from benchbias.finished.api import export as export
    from benchbias.finished.api import load_network as load_network
    from benchbias.network.checkpoints import checkpoint_tensors as checkpoint_tensors
    from benchbias.network.inspect import head_name as head_name
    from benchbias.plugin.components import Range as Range
    from benchbias.plugin.hookspecs import hookimpl as hookimpl
    from benchbias.plugin.marks import formerly as formerly
    from benchbias.plugin.marks import reads as reads
    from benchbias.plugin.marks import uses as uses
    from benchbias.records.part_accuracies import part_accuracies as part_accuracies
    from benchbias.records.population import Member as Member
    from benchbias.records.population import Population as Population
    from benchbias.records.table import Table as Table
    from benchbias.records.trial import TrialRecord as TrialRecord
    from benchbias.runner.api import load_results as load_results
    from benchbias.runner.api import run as run
    from benchbias.runner.results import Results as Results
    from benchbias.sparse.cutting import Scores as Scores
    from benchbias.sparse.cutting import removed_count as removed_count
    from benchbias.sparse.masks import Mask as Mask
    from benchbias.sparse.masks import drop_and_grow as drop_and_grow
    from benchbias.sparse.masks import independent_mask as independent_mask
    from benchbias.sparse.masks import random_mask as random_mask
    from benchbias.sparse.ranking import highest as highest
    from benchbias.sparse.straight_through import logits_under as logits_under
    from benchbias.sparse.straight_through import sample_mask as sample_mask
    from benchbias.statistics.estimates import Estimate as Estimate
    from benchbias.statistics.estimates import equivalence_p_value as equivalence_p_value
    from benchbias.statistics.estimates import estimate as estimate
    from benchbias.statistics.estimates import p_value as p_value
    from benchbias.statistics.influence import Influence as Influence
    from benchbias.statistics.influence import Measured as Measured
    from benchbias.statistics.ranking import holm as holm
    from benchbias.training.changes import Answers as Answers
    from benchbias.training.changes import Change as Change
    from benchbias.training.changes import Compared as Compared
    from benchbias.training.changes import change_table as change_table
    from benchbias.training.context import PruneContext as PruneContext
    from benchbias.training.context import TrainContext as TrainContext
    from benchbias.training.fit import loss_gradients as loss_gradients
    from benchbias.training.fit import predicted_classes as predicted_classes
    from benchbias.training.fit import step_count as step_count
    from benchbias.training.losses import LossAverages as LossAverages
    from benchbias.training.losses import generalised_cross_entropy as generalised_cross_entropy
    from benchbias.training.losses import nt_xent as nt_xent
    from benchbias.training.losses import weighted_cross_entropy as weighted_cross_entropy
    from benchbias.training.probe_context import ProbeContext as ProbeContext
    from benchbias.training.stepping import capturable as capturable

_HOME = {
    "auditing.entry.api": ("audit",),
    "auditing.entry.pytest_plugin": ("assert_no_subgroup_harm",),
    "auditing.entry.report": ("AuditReport",),
    "data.augment": ("channel_statistics",),
    "data.reading.cells": ("cell_text",),
    "data.reading.examples": ("carved", "dataset_of"),
    "data.reading.folder": ("folder_images",),
    "data.reading.grouping": ("Examples",),
    "data.reading.hub": ("HubImages", "hub_images"),
    "data.reading.pixel_cache": ("rows_of",),
    "data.reading.tables": ("Row", "table_rows"),
    "data.values": ("Batch", "BiasedDataset", "GroupLabels", "LabelledSplit", "Predictions", "Split", "TrainingData"),
    "errors": ("BenchbiasError", "DataError", "Skip"),
    "finished.api": ("Exported", "export", "load_network"),
    "network.checkpoints": ("checkpoint_tensors",),
    "network.inspect": ("head_name",),
    "plugin.components": ("Range",),
    "plugin.hookspecs": ("hookimpl",),
    "plugin.marks": ("formerly", "reads", "uses"),
    "records.part_accuracies": ("part_accuracies",),
    "records.population": ("Member", "Population"),
    "records.table": ("Table",),
    "records.trial": ("TrialRecord",),
    "runner.api": ("load_results", "run"),
    "runner.results": ("Results",),
    "sparse.cutting": ("Scores", "removed_count"),
    "sparse.masks": ("Mask", "drop_and_grow", "independent_mask", "random_mask"),
    "sparse.ranking": ("highest",),
    "sparse.straight_through": ("logits_under", "sample_mask"),
    "statistics.estimates": ("Estimate", "equivalence_p_value", "estimate", "p_value"),
    "statistics.influence": ("Influence", "Measured"),
    "statistics.ranking": ("holm",),
    "training.changes": ("Answers", "Change", "Compared", "change_table"),
    "training.context": ("PruneContext", "TrainContext"),
    "training.fit": ("loss_gradients", "predicted_classes", "step_count"),
    "training.losses": ("LossAverages", "generalised_cross_entropy", "nt_xent", "weighted_cross_entropy"),
    "training.probe_context": ("ProbeContext",),
    "training.stepping": ("capturable",),
}

__all__ = [  # a test holds it equal to the names above
    "Answers", "AuditReport", "Batch", "BenchbiasError", "BiasedDataset", "Change", "Compared", "DataError", "Estimate",
    "Examples", "Exported", "GroupLabels", "HubImages", "Influence", "LabelledSplit", "LossAverages", "Mask",
    "Measured", "Member", "Population", "Predictions", "ProbeContext", "PruneContext", "Range", "Results", "Row",
    "Scores", "Skip", "Split", "Table", "TrainContext", "TrainingData", "TrialRecord", "assert_no_subgroup_harm",
    "audit", "capturable", "carved", "cell_text", "change_table", "channel_statistics", "checkpoint_tensors",
    "dataset_of", "drop_and_grow", "equivalence_p_value", "estimate", "export", "folder_images", "formerly",
    "generalised_cross_entropy", "head_name", "highest", "holm", "hookimpl", "hub_images", "independent_mask",
    "load_network", "load_results", "logits_under", "loss_gradients", "nt_xent", "p_value", "part_accuracies",
    "predicted_classes", "random_mask", "reads", "removed_count", "rows_of", "run", "sample_mask", "step_count",
    "table_rows", "uses", "weighted_cross_entropy",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(importlib.import_module(f"benchbias.{module}"), name)
    from benchbias.plugin.deprecation import deprecated_name

    return deprecated_name(name)


def __dir__() -> list[str]:
    return __all__
