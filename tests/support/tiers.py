"""The two tiers of tests: what takes long is marked slow, and left out unless it is asked for."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest


def tiered(values: Iterable[Any], *, slow: Container[Any] = (), quick: Container[Any] = ()) -> list[Any]:
    """The values of a parameter: those in `slow`, or those that are not in `quick`, are marked slow."""
    return [
        pytest.param(value, marks=pytest.mark.slow) if value in slow or (quick and value not in quick) else value
        for value in values
    ]
