"""The engine's own process: imports torch once, then forks a worker for the stages of each command.

It reads one JSON line a command from standard input ({"submit": [key, ...], "claim": true} or {"cancel": true}) and
writes one JSON line for each stage that has ended. The stages of a command run in one worker, one after another, as
long as each leaves its process as it found it; the rest is handed back. On cards a worker has a slot and takes further
commands. The engine holds the claims of stages itself: no component has them, nor what a component leaves behind. It
reaps workers, ends one that takes too much time or memory, and all it leaves behind. It ends with its parent, however
that dies: on end of input, or when the kernel says so, it ends its workers and all that they have started. Killed
itself, it takes its workers with it.
"""

from __future__ import annotations

import gc
import json
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from benchbias.engine.planned import size_of, stands_alone
from benchbias.engine.workers import Limits, Slots, Workers
from benchbias.keys.sources import module_names
from benchbias.keys.stamps import SETTLED_SECONDS, Kept
from benchbias.keys.unchanged import another_was_run, first_refusal, plugin_changed, plugin_now
from benchbias.plugin.foreign import OURS
from benchbias.plugin.loading import PluginRef, run_plugins_as_read
from benchbias.store.store import Store
from benchbias.util.as_read import run_as_read
from benchbias.util.packages import spare_broken_distributions
from benchbias.util.processes import adopt_orphans, die_with_parent

POLL_SECONDS = 0.005
IDLE_SECONDS = 1.0


def _serve(workers: Workers, settle: Callable[[], object]) -> None:
    """Obey commands until the input ends. settle: is called once, when sources have lain there for some seconds."""
    waiting, due = b"", time.monotonic() + SETTLED_SECONDS
    while True:
        seconds = POLL_SECONDS if workers.processes else IDLE_SECONDS
        readable, _, _ = select.select([0, *workers.readers()], [], [], seconds)
        if 0 in readable:
            chunk = os.read(0, 65536)
            if not chunk:
                return
            *lines, waiting = (waiting + chunk).split(b"\n")
            for line in lines:
                command = json.loads(line)
                if command.get("submit"):
                    workers.submit(command["submit"], claim=command.get("claim", True))
                if command.get("cancel"):
                    workers.cancel()
        if readable:
            workers.drain()
        workers.reap()
        if time.monotonic() > due and workers.processes:
            due = math.inf
            settle()


def main() -> None:
    """Be the engine's process.

    Arguments: the process to end with, results, plan, seconds and GiB a stage may take, cards, processes on each.
    """
    parent = int(sys.argv[1])
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    results, plan_file = (Path(path).absolute() for path in sys.argv[2:4])  # a component may leave this folder
    store, limits = Store(results), Limits(float(sys.argv[4]), float(sys.argv[5]))
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    plan = json.loads(plan_file.read_bytes())
    spare_broken_distributions()
    kept = Kept()
    run_as_read(module_names())
    run_plugins_as_read(PluginRef(**plugin["ref"]) for plugin in plan["plugins"].values())
    _import_what_keys_name(plan, store, out, kept)
    from benchbias.engine.session import Stages

    gc.collect()
    gc.freeze()  # what is imported is never garbage: no worker looks through it, nor copies its pages
    _settle(plan, kept)
    adopt_orphans()
    signal.signal(signal.SIGTERM, _leave)
    die_with_parent(parent, signal.SIGTERM)  # from here on there may be processes to end first
    print(json.dumps({"ready": True}), file=out, flush=True)
    cards = [card for card in sys.argv[6].split(",") if card]
    workers = Workers(
        store,
        lambda: Stages(store, plan, kept),
        limits,
        out,
        alone=lambda key: stands_alone(plan, key),
        slots=Slots(cards, int(sys.argv[7])) if cards else None,
        size=lambda key: size_of(plan, key),
    )
    try:
        _serve(workers, lambda: _settle(plan, kept))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        workers.close()


def _import_what_keys_name(plan: Mapping[str, Any], store: Store, out: TextIO, kept: Kept) -> None:
    """Import what workers need, once; end this process where it is not what the plan's keys name.

    Before and after: sources that are as the keys say both times, and are what was run of them, have been imported as
    the keys say. A plugin that is another one already is not imported: its stages say so.
    """
    from benchbias.engine.warm import preload, preload_plugins

    inputs = [stage["inputs"] for stage in plan["stages"].values()]
    told = first_refusal(inputs, kept)
    if told is None:
        preload()
        plugins = [name for name in _own_plugins(plan, store) if _as_planned(plan, name, kept)]
        preload_plugins(PluginRef(**plan["plugins"][name]["ref"]) for name in plugins)
        changed = next((name for name in plugins if not _as_planned(plan, name, kept)), None)
        told = first_refusal(inputs, kept) or (plugin_changed(changed) if changed is not None else another_was_run())
    if told is not None:
        print(json.dumps({"changed": told}), file=out, flush=True)
        sys.exit(1)
    run_as_read().read.clear()  # it was what the keys name: workers look only at what they import themselves


def _own_plugins(plan: Mapping[str, Any], store: Store) -> list[str]:
    """The plugins of ours that stages need which have no product yet, or are computed anew."""
    stages = plan["stages"].items()
    due = [stage for key, stage in stages if plan["recompute"] or not store.object_path(key).exists()]
    return sorted({name for stage in due for name in stage["plugins"] if name.startswith(OURS)})


def _as_planned(plan: Mapping[str, Any], name: str, kept: Kept) -> bool:
    digest: str = plan["plugins"][name]["digest"]
    return plugin_now(plan, name, kept) == digest


def _settle(plan: Mapping[str, Any], kept: Kept) -> None:
    """Read sources and versions, for the workers that are forked from now on; what has changed they find themselves.

    Twice, some seconds apart: then it is known that nothing was edited while it was read.
    """
    first_refusal([stage["inputs"] for stage in plan["stages"].values()], kept)
    for name in plan["plugins"]:
        plugin_now(plan, name, kept)


def _leave(number: int, frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
