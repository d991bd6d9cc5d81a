"""Call a component through the core and watch the call: what it changed, how it failed, how long it took."""

from __future__ import annotations

import functools
import hashlib
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from benchbias.errors import BenchbiasError, Skip, first_line
from benchbias.testing.calling.subject import Subject
from benchbias.testing.calling.surroundings import Surroundings, disturb_random_numbers
from benchbias.testing.calling.verdicts import Crashed, Refused

GIVEN = ("train", "val", "splits", "mask", "auxiliary_mask", "reference", "dense_gradients", "earlier", "members")
"""Fields of the data and of a context that a component must leave as they are."""


@dataclass
class Watch:
    """A watch around each call of a component: what to do there, and what was seen.

    disturb: move the global random streams first. surroundings: compare those before and after. models: a model is
    not to be changed either. answers: what the calls returned. given: names of arguments whose tensors a call
    changed. left: names of changed surroundings.
    """

    disturb: bool = False
    surroundings: bool = False
    models: bool = False
    answers: list[Any] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def on(self, subject: Subject) -> Callable[..., Any]:
        """The subject's component, watched; its signature is the same."""
        return self.around(subject.component)

    def around(self, component: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(component)
        def watched(*arguments: Any, **options: Any) -> Any:
            before = [(name, digest(value)) for name, value in _inputs(arguments, self.models)]
            if self.disturb:
                disturb_random_numbers()
            place = Surroundings.now() if self.surroundings else None
            started = time.perf_counter()
            try:
                answer = component(*arguments, **options)
            except (Skip, BenchbiasError) as error:
                raise Refused(f"{type(error).__name__}: {error}", isinstance(error, Skip)) from error
            except (Exception, SystemExit) as error:
                raise Crashed(told(error)) from error
            self.seconds.append(time.perf_counter() - started)
            if place is not None:
                self.left += [name for name in place.changed(Surroundings.now()) if name not in self.left]
            after = [digest(value) for _, value in _inputs(arguments, self.models)]
            changed = [name for (name, value), now in zip(before, after, strict=True) if now != value]
            self.given += [name for name in changed if name not in self.given]
            self.answers.append(answer)
            return answer

        return watched


def told(error: BaseException) -> str:
    """An exception in one line, with the place where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/benchbias/" not in frame.filename and "/torch/" not in frame.filename]
    frame = (own or frames)[-1]
    return f"{type(error).__name__}: {first_line(error)} ({Path(frame.filename).name}, line {frame.lineno})"


def _inputs(arguments: tuple[Any, ...], models: bool) -> Iterator[tuple[str, Any]]:
    """Inputs that a component must leave as they are: data, labels, the mask in force, the reference.

    Not the model, unless `models`: a trainer changes it by right, and a pruner is given a copy of its own.
    """
    for argument in arguments:
        if isinstance(argument, nn.Module):
            if models:
                yield "model", argument.state_dict()
                yield "the model's modes", [module.training for module in argument.modules()]
                yield "what of the model is trained", [p.requires_grad for p in argument.parameters()]
            continue
        if not is_dataclass(argument):
            yield type(argument).__name__, argument
            continue
        for item in fields(argument):
            value = getattr(argument, item.name)
            if isinstance(value, Tensor) or item.name in GIVEN:
                yield f"{type(argument).__name__}.{item.name}", value


def digest(value: Any) -> str:
    """A sha256 over the tensors, numbers and texts in a value."""
    total = hashlib.sha256()
    for part in _parts(value):
        total.update(part)
    return total.hexdigest()


def _parts(value: Any) -> Iterator[bytes]:
    if isinstance(value, Tensor):
        yield f"{value.dtype} {tuple(value.shape)}".encode()
        plain = value.detach().cpu().contiguous()
        yield (plain.double() if plain.is_floating_point() else plain).numpy().tobytes()  # numpy has no bfloat16
    elif isinstance(value, nn.Module):
        yield from _parts(value.state_dict())
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key).encode()
            yield from _parts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _parts(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for item in fields(value):
            yield from _parts(getattr(value, item.name))
    elif value is None or isinstance(value, bool | int | float | str):
        yield repr(value).encode()
