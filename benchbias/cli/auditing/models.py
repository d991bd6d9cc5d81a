"""`benchbias audit --model NAME`: networks that are run on images."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchbias.auditing.assembling import audit_answers
from benchbias.cli.auditing.discovery import with_slices
from benchbias.cli.auditing.options import LABEL, Asked
from benchbias.cli.auditing.outputs import tell
from benchbias.cli.auditing.settings import checked, options_of
from benchbias.errors import UsageError

KEPT = "audit-cache"  # the folder of kept answers, below the results folder


def audit_models(asked: Asked) -> int:
    """Run a dense network and compressed ones on images, and audit their answers; the exit code."""
    if asked.data is None:
        raise UsageError("--data is missing: the folder of images, or dataset:NAME")
    assert asked.dense is not None
    if len(asked.dense) > 1:
        raise UsageError("models are audited against one --dense; several training runs are audited from a table")
    from benchbias.auditing.models.collect import answers_of_models
    from benchbias.auditing.models.specs import ImageSpec, RunSpec, model_spec

    models = model_spec(
        asked.dense[0],
        asked.compressed or [],
        model=asked.model,
        options=_settings(asked.model_option or []),
        table=asked.weights_table,
        trust=asked.trust,
        plugins=asked.plugin or (),
    )
    images = ImageSpec(
        asked.data,
        asked.table,
        asked.image or "image",
        asked.label or LABEL,
        tuple(asked.attribute or ()),
        asked.cluster,
        asked.classes,
        asked.split,
        root=asked.data_dir,
    )
    run = RunSpec(asked.device, asked.batch, _cache(asked), asked.latency)
    answers, facts = answers_of_models(models, images, _look(asked), run)
    answers = replace(answers, label_name=asked.label or LABEL)
    warnings = checked(asked, [answers])
    found = audit_answers(answers, options_of(asked), warnings=warnings, facts=facts)
    return tell(asked, with_slices(asked, found, [answers], asked.table), [answers])


def _cache(asked: Asked) -> Path | None:
    return asked.out / KEPT if asked.cache else None


def _look(asked: Asked) -> Any:
    from benchbias.auditing.models.specs import LookSpec, numbers

    return LookSpec(
        None if asked.mean is None else numbers(asked.mean, "--mean"),
        None if asked.std is None else numbers(asked.std, "--std"),
        asked.resize,
        _size(asked.size),
        asked.crop,
        asked.interpolation,
        asked.channel_order,
        asked.upright,
    )


def _size(text: str | None) -> int | tuple[int, int] | None:
    if text is None:
        return None
    try:
        sides = [int(part) for part in text.lower().split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2):
        raise UsageError(f"--size {text:.80}: 224, or 224x160 (height, width)")
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def _settings(texts: list[str]) -> dict[str, Any]:
    """The options of a network, `name=value` in TOML syntax; what is no TOML is text. Raises UsageError."""
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name.strip() and equals):
            raise UsageError(f"--model-option {text!r:.80}: write name=value, e.g. width=0.5")
        try:
            found[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[name.strip()] = value.strip()
    return found
