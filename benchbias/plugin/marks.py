"""Declarations of a component beyond its signature: raw files and packages that it uses, and options it had."""

from __future__ import annotations

import functools
import string
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from benchbias.errors import UsageError

P = ParamSpec("P")
T = TypeVar("T")


def reads(*, hub: str | None = None, folder: str | None = None) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a data set with what it reads below `root`: its files are fetched beforehand and stand in its key.

    hub: a repository of the hub, as `hub_images` finds it. folder: a folder relative to `root`. `{option}` stands for
    the value of one of the data set's options of type str. May be repeated.
    """

    def mark(component: Callable[P, T]) -> Callable[P, T]:
        named = [f"{kind}:{name}" for kind, name in (("hub", hub), ("folder", folder)) if name is not None]
        component.benchbias_reads = [*named, *getattr(component, "benchbias_reads", [])]  # type: ignore[attr-defined]
        return component

    return mark


def uses(package: str, *, install: str | None = None) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a component with a package that decides what it computes: its version stands in the keys of its stages.

    package: the name of a distribution, e.g. `fairlearn`. install: what `pip install` takes for it (default: the same
    name). Where the package is absent, trials that need the component are not run; their records say what to install.
    May be repeated.
    """

    def mark(component: Callable[P, T]) -> Callable[P, T]:
        known = getattr(component, "benchbias_uses", {})
        component.benchbias_uses = {package: install or package, **known}  # type: ignore[attr-defined]
        return component

    return mark


def formerly(**options: Any) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a component with options that it no longer has, and the values with which its trials were published.

    The ids of trials hold them still, so that published records stay those of today's trials.
    """

    def mark(component: Callable[P, T]) -> Callable[P, T]:
        component.benchbias_former = options  # type: ignore[attr-defined]
        return component

    return mark


def marks_of(component: Callable[..., Any], kind: str, options: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Everything that a component is decorated with, as JSON. Raises UsageError for what does not fit."""
    bare = unwrapped(component)
    former: dict[str, Any] = getattr(bare, "benchbias_former", {})
    for name in former:
        if name in options:
            raise UsageError(f"{where}: `formerly` names {name!r}, which is an option today")
    read = _reads(bare, kind, options, where)
    return {"reads": read, "uses": dict(getattr(bare, "benchbias_uses", {})), "former": former}


def _reads(bare: Any, kind: str, options: Mapping[str, Any], where: str) -> list[str]:
    named: list[str] = getattr(bare, "benchbias_reads", [])
    if named and kind != "dataset":
        raise UsageError(f"{where}: `reads` goes with a data set")
    for text in named:
        for _, option, _, _ in string.Formatter().parse(text):
            if option is not None and options.get(option, {}).get("type") != "str":
                raise UsageError(f"{where}: `reads` names {{{option}}}, which is no option of type str")
    return named


def unwrapped(component: Callable[..., Any]) -> Any:
    """The component inside presets and wrappers, in whatever order they are put around each other."""
    while True:
        if isinstance(component, functools.partial):
            component = component.func
        elif not hasattr(component, "__wrapped__"):
            return component
        else:
            component = component.__wrapped__
