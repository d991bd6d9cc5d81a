"""The name of a row: a method with its swept values. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def row_name(method: str, swept: Mapping[str, Any]) -> str:
    """E.g. `magnitude[sparsity=0.8]`, `erm[epochs=5, width=2]`; a list of layers is `conv1+conv2`."""
    values = ", ".join(f"{name}={value_text(value)}" for name, value in swept.items())
    return f"{method}[{values}]" if values else method


def as_row_name(text: str) -> str:
    """A name as a user writes it, as `row_name` writes it: from a markdown table, or without blanks after commas."""
    return re.sub(r",\s*", ", ", re.sub(r"\\|<!-- -->", "", text).strip())


def value_text(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)
