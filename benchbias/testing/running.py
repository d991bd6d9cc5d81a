"""Run checks on a component, each in the surroundings of a worker, and put everything back."""

from __future__ import annotations

import contextlib
import shlex
import time
import warnings
from collections.abc import Collection, Iterator, Mapping

from benchbias.errors import BenchbiasError, plain
from benchbias.testing.calling.subject import Subject
from benchbias.testing.calling.surroundings import Surroundings, as_a_worker_has_it
from benchbias.testing.calling.verdicts import Check, Crashed, NotApplicable, Refused, Result, Status, Unmet
from benchbias.testing.checks.catalogue import checks_for
from benchbias.testing.waivers import waiver_of


def run_checks(
    subject: Subject, waivers: Mapping[str, str] | None = None, only: Collection[str] = ()
) -> Iterator[Result]:
    """Run all checks of a component's kind, or those in `only` and the gates before them.

    All of them are skipped where a package is absent that the component says it uses.
    """
    closed = lacks(subject) or ""
    for check in checks_for(subject.kind):
        if only and check.name not in only and not check.gate:
            continue
        result = _skipped(subject, check, closed) if closed else run_check(subject, check, waivers or {})
        if check.gate and result.found and result.status != "ok" and not closed:
            closed = f"it does not pass {check.name!r}: {result.found}"
        if not only or check.name in only or result.status == "failed":
            yield result


def lacks(subject: Subject) -> str | None:
    """Say which package is absent that a component uses; None where all are there, and where it has no description."""
    with contextlib.suppress(Exception):  # whatever describing it raises: a check tells it
        return subject.described.lacks
    return None


def run_check(subject: Subject, check: Check, waivers: Mapping[str, str]) -> Result:
    """Run one check. A waived check that passes has failed: the waiver says something untrue."""
    started = time.perf_counter()
    status, found = _verdict(subject, check)
    reason = waiver_of(waivers, subject.name, check.name)
    if reason is not None and status == "failed":
        status, found = "waived", f"{reason} ({found})"
    elif reason is not None and status == "ok":
        status, found = "failed", f"it is waived ({reason}) but passes: remove the waiver"
    return _result(subject, check, status, found, time.perf_counter() - started)


def _verdict(subject: Subject, check: Check) -> tuple[Status, str]:
    before = Surroundings.now()
    try:
        as_a_worker_has_it()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return "ok", check.function(subject) or ""
    except NotApplicable as reason:
        return "skipped", str(reason)
    except Refused as error:
        return ("skipped", f"it skips: {error}") if error.skip else ("failed", f"it refused: {error}")
    except (Unmet, BenchbiasError) as error:
        return "failed", str(error)
    except Crashed as error:
        return "failed", f"it raised {error}"
    except Exception as error:  # the core fell over what the component has made
        return "failed", f"after its call the core raised {type(error).__name__}: {str(error).splitlines()[:1]}"
    finally:
        before.restore()


def _skipped(subject: Subject, check: Check, reason: str) -> Result:
    return _result(subject, check, "skipped", reason, 0.0)


def _result(subject: Subject, check: Check, status: Status, found: str, seconds: float) -> Result:
    again = f"benchbias check {shlex.quote(subject.source)} --only {check.name}"
    return Result(
        *(subject.kind, subject.name, subject.plugin, check.name, status),
        *(check.expected, plain(found), again, round(seconds, 3)),
    )
