"""A model by its name, of torchvision, of timm, or of a plugin: for any number of classes, without weights."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchbias.auditing.models.looks import TIMM
from benchbias.data.reading.raw_files import data_folder
from benchbias.errors import BenchbiasError, DataError, UsageError, first_line
from benchbias.plugin.components import resolve_options
from benchbias.plugin.loading import components_of
from benchbias.plugin.registry import load_registry
from benchbias.stages.job import call_component
from benchbias.stages.seeding import seed_everything

TORCHVISION, PLUGIN = "torchvision:", "plugin:"
AUXILIARY = {"googlenet": "aux1.", "inception_v3": "AuxLogits."}  # with more heads, if the file has them
NEAREST = 5


@dataclass(frozen=True)
class Architecture:
    """A model without weights. build: makes it for so many classes. identity: changes where its sources do."""

    name: str
    build: Callable[[int], nn.Module]
    identity: str = ""


@dataclass(frozen=True)
class Fitting:
    """The things that a model is built for. shape: of an image (C, H, W); names: of the tensors that its file has."""

    shape: tuple[int, int, int]
    options: Mapping[str, Any]
    plugins: tuple[Path, ...] = ()
    names: Collection[str] = ()


def architecture(model: str, fitting: Fitting) -> Architecture:
    """The model of a name. Raises UsageError for one that nobody has, and for an option that it has not."""
    if model.startswith(TIMM):
        return Architecture(model, _built(model, _timm_builder(model.removeprefix(TIMM), fitting)))
    own = model.removeprefix(TORCHVISION)
    if not model.startswith(PLUGIN):
        import torchvision.models

        known = torchvision.models.list_models(module=torchvision.models)
        if own in known:
            return Architecture(model, _built(model, _torchvision_builder(own, fitting)))
        if model.startswith(TORCHVISION):
            raise UsageError(_unknown("torchvision", own, known))
    return _plugin_architecture(model.removeprefix(PLUGIN), fitting)


def is_plugin(model: str) -> bool:
    """Whether a name can only be that of a plugin's model."""
    import torchvision.models

    if model.startswith((TIMM, TORCHVISION)):
        return False
    return model.startswith(PLUGIN) or model not in torchvision.models.list_models(module=torchvision.models)


def _torchvision_builder(name: str, fitting: Fitting) -> Callable[[int], nn.Module]:
    from torchvision.models import get_model_builder, maxvit, vision_transformer

    builder = get_model_builder(name)
    options: dict[str, Any] = {"weights": None}
    if builder.__module__ == vision_transformer.__name__:
        options["image_size"] = fitting.shape[1]
    elif builder.__module__ == maxvit.__name__:
        options["input_size"] = fitting.shape[1:]
    elif name in AUXILIARY:
        heads = any(key.removeprefix("module.").startswith(AUXILIARY[name]) for key in fitting.names)
        options |= {"aux_logits": heads, "init_weights": False}
    options |= fitting.options
    return lambda classes: builder(num_classes=classes, **options)


def _timm_builder(name: str, fitting: Fitting) -> Callable[[int], nn.Module]:
    import timm

    if not timm.is_model(name.partition(".")[0]):
        raise UsageError(_unknown("timm", name, timm.list_models()))
    options: dict[str, Any] = {"pretrained": False, "in_chans": fitting.shape[0], **fitting.options}

    def build(classes: int) -> nn.Module:
        sized: dict[str, Any] = {"num_classes": classes, "img_size": fitting.shape[1:], **options}
        try:
            return timm.create_model(name, **sized)
        except TypeError as error:
            if "img_size" not in str(error) or "img_size" in options:
                raise
        return timm.create_model(name, num_classes=classes, **options)

    return build


def _plugin_architecture(name: str, fitting: Fitting) -> Architecture:
    registry = load_registry(fitting.plugins, quiet=True)
    component = registry.components.get(("model", name))
    if component is None:
        import timm
        import torchvision.models

        known = [*torchvision.models.list_models(module=torchvision.models), *registry.names("model")]
        hint = f" (timm has one: {TIMM}{name})" if timm.is_model(name) else ""
        raise UsageError(_unknown("torchvision or plugin", name, known) + hint)
    if component.lacks:
        raise UsageError(component.lacks)
    given: dict[str, Any] = {"input_shape": fitting.shape, "root": data_folder()}
    odd = [what for what in component.given if what not in (*given, "num_classes")]
    if odd:
        raise UsageError(f"model {name!r} is made of another one ({odd[0]}): write a factory (FILE.py:FUNCTION)")
    options = resolve_options(component, fitting.options, f"model {name!r}")
    ref = registry.plugins[component.plugin]
    factory = components_of(ref)["model", name]

    def build(classes: int) -> nn.Module:
        made = call_component(factory, {**given, "num_classes": classes}, options)
        if not isinstance(made, nn.Module):
            raise DataError(f"model {name!r} returned {type(made).__name__}, not an nn.Module")
        return made

    return Architecture(name, _built(name, build), registry.digests[component.plugin])


def _built(name: str, build: Callable[[int], nn.Module]) -> Callable[[int], nn.Module]:
    """The builder under a seed of its own, whose objections are one line."""

    def made(classes: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            seed_everything(0, "init")
            try:
                return build(classes)
            except BenchbiasError:
                raise
            except Exception as error:  # whatever a library objects to
                raise DataError(
                    f"model {name!r} cannot be built here: {type(error).__name__}: {first_line(error)}"
                ) from None

    return made


def _unknown(library: str, name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name[:80], sorted(set(known)), n=NEAREST, cutoff=0.5)
    hint = f"; the nearest known: {', '.join(near)}" if near else ""
    return f"no {library} model {name!r:.80}{hint}; others: timm:NAME, FILE.py:FUNCTION"
