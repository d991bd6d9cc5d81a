"""One line on what a pydantic model finds wrong with a document. No pydantic is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

LONGEST = 300  # characters


def validation_text(error: ValidationError) -> str:
    """The place and the first thing that is wrong, e.g. `rows.0.seed: Field required`."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    said = first["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return f"{place + ': ' if place else ''}{said}"[:LONGEST]
