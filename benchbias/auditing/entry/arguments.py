"""The arguments of `benchbias.audit` that are no arrays: each of a wrong type has one message."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

from benchbias.errors import UsageError


def check_numbers(given: Mapping[str, Any], whole: Sequence[str] = ()) -> None:
    """Raise UsageError for an argument that is no number. whole: those that are whole numbers of 0 or more."""
    for name, value in given.items():
        kind: Any = numbers.Integral if name in whole else numbers.Real
        if not isinstance(value, kind) or isinstance(value, bool):
            what = "a whole number" if name in whole else "a number"
            raise UsageError(f"audit: {name} is {value!r:.80} (of type {type(value).__name__}): {what} is needed")
        if name in whole and value < 0:
            raise UsageError(f"audit: {name} is {value}: 0 or more is needed")


def names_of(what: str, given: Any) -> tuple[str, ...]:
    """The names of a list, or one name alone. Raises UsageError for what is neither."""
    if isinstance(given, str):
        return (given,)
    try:
        names = tuple(given)
    except TypeError:
        names = (None,)
    if not all(isinstance(name, str) for name in names):
        raise UsageError(f"audit: {what} is {given!r:.80}: a list of names, or one name, is needed")
    return names


def checked_pairs(pairs: Any) -> list[tuple[Any, Any]]:
    """The pairs of a dense and a compressed model. Raises UsageError where one is no pair, or there are none."""
    try:
        given = list(pairs)
    except TypeError:
        told = f"audit: pairs is of type {type(pairs).__name__}"
        raise UsageError(f"{told}: a list of (dense, compressed) is needed") from None
    if not given:
        raise UsageError("audit: pairs is empty")
    for number, pair in enumerate(given):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            size = f" with {len(pair)} parts" if isinstance(pair, list | tuple) else ""
            told = f"number {number} of pairs (counted from 0) is of type {type(pair).__name__}{size}"
            raise UsageError(f"audit: {told}: each is (dense, compressed) of one training run")
    return [(dense, compressed) for dense, compressed in given]
