"""benchbias: which pruning and debiasing methods can be trusted when training data is biased?

These are the public names: all that a plugin may use. They are imported when first used, so that
`import benchbias` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchbias.api import Results as Results
    from benchbias.api import run as run
    from benchbias.components import Range as Range
    from benchbias.context import PruneContext as PruneContext
    from benchbias.context import TrainContext as TrainContext
    from benchbias.data import Batch as Batch
    from benchbias.data import BiasedDataset as BiasedDataset
    from benchbias.data import GroupLabels as GroupLabels
    from benchbias.data import LabelledSplit as LabelledSplit
    from benchbias.data import Predictions as Predictions
    from benchbias.data import Split as Split
    from benchbias.data import TrainingData as TrainingData
    from benchbias.errors import BenchbiasError as BenchbiasError
    from benchbias.errors import Skip as Skip
    from benchbias.hookspecs import hookimpl as hookimpl
    from benchbias.masks import Mask as Mask
    from benchbias.masks import Scores as Scores
    from benchbias.results import Population as Population
    from benchbias.results import Table as Table
    from benchbias.results import TrialRecord as TrialRecord

_HOME = {
    "api": ("Results", "run"),
    "components": ("Range",),
    "context": ("PruneContext", "TrainContext"),
    "data": ("Batch", "BiasedDataset", "GroupLabels", "LabelledSplit", "Predictions", "Split", "TrainingData"),
    "errors": ("BenchbiasError", "Skip"),
    "hookspecs": ("hookimpl",),
    "masks": ("Mask", "Scores"),
    "results": ("Population", "Table", "TrialRecord"),
}

__all__ = [
    "Batch", "BenchbiasError", "BiasedDataset", "GroupLabels", "LabelledSplit", "Mask", "Population", "Predictions",
    "PruneContext", "Range", "Results", "Scores", "Skip", "Split", "Table", "TrainContext", "TrainingData",
    "TrialRecord", "hookimpl", "run",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(importlib.import_module(f"benchbias.{module}"), name)
    raise AttributeError(f"module 'benchbias' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
