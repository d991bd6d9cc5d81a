"""Imports that every worker needs, made once in the engine's process before it forks: 0.05 s a stage, not 4 s.

All of the core that stands in a key is among them, so that no worker imports sources that were edited since.
"""

from __future__ import annotations

import importlib

from benchbias.keys.sources import module_names

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


def preload() -> None:
    """Import what workers need. Nothing here may start a thread or touch a device: workers are forked after it."""
    for name in (*MODULES, *module_names()):
        importlib.import_module(name)
