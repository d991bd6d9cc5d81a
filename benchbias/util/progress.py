"""How far a long loop is: a live bar on a terminal, else now and then a plain line. On standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

LINE_SECONDS = 5.0  # between plain lines


def progress(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Go through `items`, showing how many of `total` are done."""
    return _bar(items, total, what) if sys.stderr.isatty() else _lines(items, total, what)


def _bar(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        yield from shown.track(items, total=total, description=what)


def _lines(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    last = time.monotonic()
    for number, item in enumerate(items, 1):
        yield item
        if time.monotonic() - last > LINE_SECONDS:
            last = time.monotonic()
            print(f"{what}: {number} of {total}", file=sys.stderr, flush=True)
