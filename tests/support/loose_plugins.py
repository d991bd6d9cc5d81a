"""Plugins that are loose files, and how they are described."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchbias.plugin import registry
from benchbias.plugin.loading import PluginRef
from benchbias.plugin.registry import BrokenPlugin

LARGEST = '''"""Magnitude pruning: keep the largest |w| (Han et al., 2015)."""
from benchbias import PruneContext, Scores, TrainingData, hookimpl
from torch import nn

def largest(model: nn.Module, data: TrainingData, context: PruneContext) -> Scores:
    """Score every prunable weight by its absolute value."""
    return {name: w.abs() for name, w in context.prunable(model).items()}

@hookimpl
def benchbias_pruners():
    return {"largest": largest}
'''


def hook(body: str, *, name: str = "benchbias_pruners", given: str = "", mark: str = "@benchbias.hookimpl") -> str:
    return f"import benchbias\n\n{mark}\ndef {name}({given}):\n    {body}\n"


def ref_of(path: Path) -> PluginRef:
    return PluginRef(path.name, f"loose_{path.stem}", "", "", str(path))


def describe(*paths: Path) -> dict[str, BrokenPlugin | list[dict[str, Any]]]:
    """As the plugins of one distribution are described: together."""
    return {ref.name: result for ref, result in registry._describe([ref_of(path) for path in paths])}
