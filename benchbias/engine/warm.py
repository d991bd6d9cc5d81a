"""Imports that every worker needs, made once in the engine's process before it forks: 0.05 s a stage, not 4 s."""

from __future__ import annotations

import importlib

MODULES = (
    "torch",
    "torch._dynamo",  # the first optimizer step imports it
    "torch._inductor.config",  # switching on deterministic algorithms imports it
    "safetensors.torch",
    "pydantic",
    "pluggy",
    "benchbias.plugin.loading",
    "benchbias.engine.worker",
    "benchbias.stages.data",
    "benchbias.stages.init",
    "benchbias.stages.train",
    "benchbias.stages.prune",
    "benchbias.stages.predict",
    "benchbias.stages.score",
    "benchbias.stages.probe",
)


def preload() -> None:
    """Import what workers need. Nothing here may start a thread or touch a device: workers are forked after it."""
    for name in MODULES:
        importlib.import_module(name)
