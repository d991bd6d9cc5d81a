"""Work on finished networks in a process of its own: plugins are imported there, in the environment of workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchbias import errors
from benchbias.errors import BenchbiasError
from benchbias.keys.environment import provenance, worker_environment
from benchbias.plan.trials import Plan, Trial


class ChildError(BenchbiasError):
    """The process that works on finished networks ended without an answer (exit code 1)."""

    exit_code = 1


def ask(
    verb: str, plan: Plan, trials: Iterable[Trial], out: Path, settings: Mapping[str, str], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The answer of a process that does `verb` on the networks of these trials.

    settings: environment variables of this workspace's workers. given: the arguments of the verb, as JSON. What
    plugins print goes to standard error. Raises BenchbiasError as the process did.
    """
    request = request_of(verb, plan, trials, out, given)
    child = subprocess.run(
        [sys.executable, "-P", "-m", "benchbias.finished.answering"],
        input=json.dumps(request).encode(),
        env=worker_environment(os.environ) | dict(settings),
        stdout=subprocess.PIPE,
        check=False,
    )
    try:
        found: dict[str, Any] = json.loads(child.stdout)
    except ValueError:
        raise ChildError(f"the process that was to {verb} ended with code {child.returncode}") from None
    if "error" in found:
        kind = getattr(errors, found["error"]["kind"], ChildError)
        raise kind(found["error"]["text"])
    return found


def request_of(verb: str, plan: Plan, trials: Iterable[Trial], out: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """The request that such a process reads, as JSON."""
    return {
        "verb": verb,
        "parent": os.getpid(),
        "out": str(out),
        "plan": plan.payload(),
        "suite": {"name": plan.suite, "version": plan.table.version, "limit": plan.limit},
        "provenance": provenance(),
        "trials": [asked(trial) for trial in trials],
        "given": dict(given),
    }


def asked(trial: Trial) -> dict[str, Any]:
    """A trial as that process needs it."""
    names = ("id", "task", "method", "row", "seed", "label")
    return {name: getattr(trial, name) for name in names} | {
        "swept": dict(trial.swept),
        "stages": list(trial.stages),
    }
