"""The conformance checks for plugin authors: `benchbias check PLUGIN`, and in pytest `parametrize_with_checks`.

A check calls a component as a suite does, with the core's own stages, on toy data in memory. Nothing is imported
before it is used; pytest only by `parametrize_with_checks`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchbias.testing.parametrizing import parametrize_with_checks as parametrize_with_checks
    from benchbias.testing.toys.toy import toy_dataset as toy_dataset
    from benchbias.testing.toys.toy import toy_model as toy_model
    from benchbias.testing.toys.trial import ToyTrial as ToyTrial

_HOME = {
    "parametrize_with_checks": "parametrizing",
    "toy_dataset": "toys.toy",
    "toy_model": "toys.toy",
    "ToyTrial": "toys.trial",
}

__all__ = ["ToyTrial", "parametrize_with_checks", "toy_dataset", "toy_model"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"benchbias.testing.{_HOME[name]}"), name)
    raise AttributeError(f"module 'benchbias.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
