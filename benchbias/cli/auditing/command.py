"""A verb whose options are the fields of a dataclass."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, get_type_hints

Asked = TypeVar("Asked")


def as_command(asked: type[Asked], act: Callable[[Asked], None]) -> Callable[..., None]:
    """A function for typer with one parameter a field, which hands them on together.

    asked: a dataclass whose fields have `Annotated` types and defaults. The help is the docstring of `act`.
    """
    hints = get_type_hints(asked, include_extras=True)
    fields = dataclasses.fields(asked)  # type: ignore[arg-type]
    kind = inspect.Parameter.KEYWORD_ONLY

    def command(**given: Any) -> None:
        act(asked(**given))

    parameters = [inspect.Parameter(f.name, kind, default=f.default, annotation=hints[f.name]) for f in fields]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {f.name: hints[f.name] for f in fields}
    command.__doc__ = act.__doc__
    return command


def given_options(asked: object) -> set[str]:
    """The names of the fields that differ from their defaults."""
    fields = dataclasses.fields(asked)  # type: ignore[arg-type]
    return {f.name for f in fields if getattr(asked, f.name) != f.default}
