"""The engine's own process: imports torch once, then forks one worker for each stage it is told to run.

It reads one JSON line a command from standard input ({"submit": [key, ...]} or {"cancel": true}) and writes one JSON
line for each stage that has ended. It ends with its parent, however that dies: on end of input, or when the kernel
says so, it ends its workers and all that they have started. Killed itself, it takes its workers with it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from pathlib import Path

from benchbias.engine.supervisor import Limits, Supervisor
from benchbias.store.store import Store
from benchbias.util.processes import adopt_orphans, die_with_parent

POLL_SECONDS = 0.005
IDLE_SECONDS = 1.0


def serve(supervisor: Supervisor) -> None:
    """Obey commands until the input ends."""
    waiting = b""
    while True:
        seconds = POLL_SECONDS if supervisor.running else IDLE_SECONDS
        readable, _, _ = select.select([0, *supervisor.readers()], [], [], seconds)
        if 0 in readable:
            chunk = os.read(0, 65536)
            if not chunk:
                return
            *lines, waiting = (waiting + chunk).split(b"\n")
            for line in lines:
                command = json.loads(line)
                for key in command.get("submit", ()):
                    supervisor.start(key)
                if command.get("cancel"):
                    supervisor.kill_all()
        if readable:
            supervisor.drain()
        supervisor.reap()


def main() -> None:
    """parent results plan timeout memory: the process to end with, two paths, seconds and GiB a stage may take."""
    parent = int(sys.argv[1])
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    results, plan_file = (Path(path).absolute() for path in sys.argv[2:4])  # a component may leave this folder
    store, limits = Store(results), Limits(float(sys.argv[4]), float(sys.argv[5]))
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    plan = json.loads(plan_file.read_bytes())
    from benchbias.engine.warm import preload

    preload()
    from benchbias.engine.worker import run_stage

    adopt_orphans()
    signal.signal(signal.SIGTERM, _leave)
    die_with_parent(parent, signal.SIGTERM)  # from here on there may be processes to end first
    print(json.dumps({"ready": True}), file=out, flush=True)
    supervisor = Supervisor(store, lambda key, slip: run_stage(store, plan, key, slip.write), limits, out)
    try:
        serve(supervisor)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        supervisor.close()


def _leave(number: int, frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
