"""Imports that workers need, made once in the engine's process before it forks: 0.05 s a stage, not 4 s.

All of the core that stands in a key is among them, so that no worker imports sources that were edited since. So are
our own plugins of the plan, and the packages that they import when they are called.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterable

from benchbias.keys.sources import module_names
from benchbias.plugin.loading import PluginRef, components_of

MODULES = (
    "torch",
    "torch._dynamo",  # the first optimizer step imports it
    "torch._inductor.config",  # switching on deterministic algorithms imports it
    "safetensors.torch",
    "pydantic",
    "pluggy",
    "benchbias.plugin.loading",
    "benchbias.engine.session",
)

NEEDED = "IMPORTED_WHEN_CALLED"
"""The name in a plugin's module under which it says what its functions import: names of modules."""


def preload() -> None:
    """Import what all workers need. Nothing here may start a thread or touch a device: workers are forked after it."""
    for name in (*MODULES, *module_names()):
        importlib.import_module(name)


def preload_plugins(refs: Iterable[PluginRef]) -> None:
    """Import plugins of ours, and what they say that they import when they are called.

    What cannot be imported is left to the stage that needs it: that stage says so.
    """
    for ref in refs:
        with contextlib.suppress(Exception):
            components_of(ref)
            for name in getattr(sys.modules[ref.module], NEEDED, ()):
                importlib.import_module(name)
