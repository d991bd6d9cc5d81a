"""The stages that one process runs in a row: what they hand on, and whether the next finds what the first one did."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from benchbias.engine.base import FAILED
from benchbias.engine.stacks import ended
from benchbias.engine.traces import Streams, left_behind, tidy, traces
from benchbias.engine.worker import run_stage, set_torch
from benchbias.keys.stamps import Kept
from benchbias.store.store import Store

METHOD_KINDS = ("train", "prune")
"""The kinds of stages that run a method: nothing in their process is of the test split, or of groups it may not see."""


SMALL = ("product:", "whole:")
"""How the names begin of what was read of products, which any stage that measures may have."""


class Stages:
    """The stages that one process runs, one after another. What they share is kept as long as they may see it."""

    def __init__(self, store: Store, plan: Mapping[str, Any], kept: Kept) -> None:
        self._store, self._plan, self._kept = store, plan, kept
        self._shared: dict[str, Any] = {}
        self._before: dict[str, Any] | None = None
        self._streams: Streams | None = None
        self._measured = False  # the last stage saw what a method must not see

    def run(self, key: str, note: Callable[[str], None], *, more: bool) -> int:
        """Run a stage; its exit code is returned. `note` is told which component is called.

        more: whether another one may follow, for which the state of the process is noted.
        """
        if self._streams is not None:
            self._streams.put_back()
        elif more:
            set_torch()
            _begin_driver(self._plan["device"])
            self._before, self._streams = traces(), Streams()
        self._hand_on(self._plan["stages"][key]["inputs"]["kind"])
        return run_stage(self._store, self._plan, key, note, self._shared, self._kept)

    def _hand_on(self, kind: str) -> None:
        """Drop what the next stage must not see, and what a method keeps for its next stage where none follows."""
        measures = kind not in METHOD_KINDS
        if measures != self._measured:
            kept = SMALL if measures else ()
            for name in [name for name in self._shared if not name.startswith(kept)]:
                del self._shared[name]
        self._measured = measures

    def stays(self, key: str, code: int) -> bool:
        """Whether the process may go on: after what is done, and after a failure among the stages of a stack."""
        return code == 0 or (code == FAILED and ended(key) in self._shared)

    def ready_for_more(self) -> bool:
        """Whether the next stage would find the process as a new one finds it, but for what stages share."""
        tidy()
        return self._before is not None and not left_behind(self._before)


def _begin_driver(device: str) -> None:
    """Let the driver of a card begin what it keeps for the process; where it cannot, the stage itself says so."""
    import torch

    with contextlib.suppress(Exception):
        if device != "cpu":
            torch.cuda.init()  # type: ignore[no-untyped-call]
