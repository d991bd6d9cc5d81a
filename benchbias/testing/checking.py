"""Check plugins in a child process: one that kills the child is blamed, the other components go on. No torch."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from benchbias.errors import ComponentError, UsageError, unknown
from benchbias.keys.environment import worker_environment
from benchbias.testing.calling.verdicts import Result
from benchbias.testing.finding import Target
from benchbias.testing.waivers import shipped_waivers

SECONDS = 60.0
START_SECONDS = 300.0  # for importing torch
SURVIVES = "Its calls return: none ends the process or goes on for ever."


def check(
    targets: Sequence[Target], waivers: Mapping[str, str], only: Sequence[str], seconds: float = SECONDS
) -> list[Result]:
    """Run the checks, with the waivers given and those that the plugins ship.

    seconds: that one check may take. Raises UsageError for checks that there are not.
    """
    shipped = shipped_waivers(target.ref for target in targets)
    results: list[Result] = []
    done: list[list[str]] = []
    while True:
        job = {
            "targets": [target.to_json() for target in targets],
            "waivers": dict(waivers),
            "shipped": shipped,
            "only": list(only),
            "done": done,
        }
        under_way, end = _run_child(job, results, seconds)
        if under_way is None:
            _check_waived(waivers, results)
            return results
        kind, name, plugin, source = under_way
        if not name:
            raise ComponentError(f"the checking process did not start: {end}")
        again = f"benchbias check {shlex.quote(source)}"
        results.append(Result(kind, name, plugin, "survives", "failed", SURVIVES, end, again))
        done = [[result.kind, result.component] for result in results]


def _check_waived(waivers: Mapping[str, str], results: Sequence[Result]) -> None:
    """Refuse a waiver of a component that is not there. Raises UsageError."""
    known = {result.component for result in results}
    for name in waivers:
        component = name.rpartition(":")[0]
        if component and component not in known:
            raise UsageError(unknown("component", component, known, f"--waive {name}"))


def _run_child(job: Mapping[str, Any], results: list[Result], seconds: float) -> tuple[list[str] | None, str]:
    """Add a child's results; the component that it died of, and how. None: it has done all."""
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "benchbias.testing.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=worker_environment(os.environ),
        start_new_session=True,
        text=True,
    )
    assert child.stdin is not None
    lines: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_read, args=(child, lines), daemon=True)
    reader.start()
    under_way = ["plugin", "", "", ""]
    last = "its import"
    try:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(json.dumps(job))
            child.stdin.close()
        while True:
            try:
                text = lines.get(timeout=seconds if under_way[1] else START_SECONDS)
            except queue.Empty:
                return under_way, f"after {last} nothing came for {seconds:g} s"
            if text is None:
                return under_way, f"after {last} the process ended (exit code {child.wait()})"
            line = json.loads(text)
            if "end" in line:
                return None, ""
            if "usage" in line:
                raise UsageError(line["usage"])
            if "begin" in line:
                under_way, last = line["begin"], "the beginning"
            else:
                results.append(Result.from_json(line["result"]))
                last = f"{results[-1].check!r}"
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _read(child: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        lines.put(line)
    lines.put(None)
