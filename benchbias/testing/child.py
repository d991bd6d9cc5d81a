"""The checking child: reads what to check from standard input, writes a JSON line before and after each check.

Plugins are other people's code: they import torch, print, hang or exit. So they are called here, in the environment
of a worker, never in the command line's process; the answers leave by a private descriptor.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from typing import Any

from benchbias.errors import BenchbiasError, plain
from benchbias.plugin.components import TRACKER
from benchbias.plugin.loading import offered
from benchbias.testing.calling.verdicts import Result
from benchbias.testing.finding import Target
from benchbias.util.packages import spare_broken_distributions

LOADS = "It imports, and its hooks return components of known kinds."


def results(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """{"begin": [kind, name]} before each component, then a result for each of its checks.

    {"usage": reason} at the end where every component lacks a package: nothing was checked.
    """
    from benchbias.testing.calling.subject import subjects_of

    done = {tuple(item) for item in job["done"]}
    lacking: list[str | None] = []  # of every component: the package that it lacks
    for value in job["targets"]:
        target = Target.from_json(value)
        if ("plugin", target.ref.name) in done:
            continue
        yield {"begin": ["plugin", target.ref.name, target.ref.name, target.source]}
        try:
            subjects = subjects_of(target.reachable(), target.names, target.source)
        except (Exception, SystemExit) as error:
            text = str(error) if isinstance(error, BenchbiasError) else f"{type(error).__name__}: {error}"
            yield _not_loaded(target, text.split("\n")[0])
            lacking.append(None)
            continue
        from benchbias.testing.running import lacks, run_checks

        if not target.names and (told := _tracking(target)) is not None:
            yield {"result": told.to_json()}
            lacking.append(None)
        for subject in subjects:
            if (subject.kind, subject.name) in done:
                continue
            yield {"begin": [subject.kind, subject.name, subject.plugin, subject.source]}
            lacking.append(lacks(subject))
            for result in run_checks(subject, job["shipped"] | job["waivers"], job["only"]):
                yield {"result": result.to_json()}
    absent = [reason for reason in lacking if reason is not None]
    if absent and len(absent) == len(lacking) and not done:
        yield {"usage": "; ".join(absent)}


def _tracking(target: Target) -> Result | None:
    """The verdict on a plugin's `benchbias_record`, which is not called: it would write where its runs are kept."""
    tracking = offered(target.reachable())[1]
    if tracking is None:
        return None
    name, again = target.ref.name, f"benchbias check {shlex.quote(target.source)}"
    found = "benchbias_record is known by its signature; it is not called: it would write to the tracker"
    return Result(TRACKER, name, name, "signature", "ok", LOADS, found, again)


def _not_loaded(target: Target, text: str) -> dict[str, Any]:
    again = f"benchbias check {shlex.quote(target.source)}"
    name = target.ref.name
    result = Result("plugin", name, name, "loads", "failed", LOADS, plain(text), again)
    return {"result": result.to_json()}


def main() -> None:
    spare_broken_distributions()
    job = json.load(sys.stdin)
    with os.fdopen(os.dup(1), "w") as out:
        os.dup2(2, 1)
        for line in _checked(job):
            out.write(json.dumps(line) + "\n")
            out.flush()
    os._exit(0)


def _checked(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    try:
        _check_names(job)
    except BenchbiasError as error:
        yield {"usage": str(error)}
        return
    yield from results(job)
    yield {"end": True}  # a plugin may end the process with exit code 0


def _check_names(job: dict[str, Any]) -> None:
    if not job["only"] and not job["waivers"]:
        return  # the catalogue imports torch, which a plugin that does not load can do without
    from benchbias.testing.checks.catalogue import CHECKS
    from benchbias.testing.waivers import check_names

    known = [check.name for check in CHECKS]
    check_names(job["only"], known, "--only")
    check_names(job["waivers"], known, "--waive")


if __name__ == "__main__":
    main()
