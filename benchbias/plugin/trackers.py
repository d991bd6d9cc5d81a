"""Trackers: plugins that are told of finished trials, in the run's own process; what they do harms nothing of it."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any

import pluggy

from benchbias.errors import first_line, plain
from benchbias.plugin.loading import PluginRef, registered

LONGEST_REASON = 200  # characters of what a plugin has raised
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


class Trackers:
    """The trackers of a run. They are imported when the first trial has ended, so that other runs pay nothing.

    tell: is given one line for each plugin and reason of a failure.
    """

    def __init__(self, refs: Iterable[PluginRef], tell: Callable[[str], None]) -> None:
        self._refs, self._tell = tuple(refs), tell
        self._managers: dict[str, pluggy.PluginManager | None] = {}
        self._told: set[tuple[str, str]] = set()

    def hear(self, trial: str, make: Callable[[], object]) -> None:
        """Tell every tracker of a finished trial. trial: its label. make: gives a copy of its record.

        Raises only what a signal to this process raises, such as the KeyboardInterrupt of a user.
        """
        for ref in self._refs:
            manager = self._manager(ref)
            if manager is not None:
                reason = _attempt(functools.partial(manager.hook.benchbias_record, record=make()))
                self._fault(ref, reason, f"benchbias_record failed for {trial}")

    def _manager(self, ref: PluginRef) -> pluggy.PluginManager | None:
        """A plugin's hooks; None where it cannot be imported here."""
        if ref.name not in self._managers:
            found: list[pluggy.PluginManager] = []
            reason = _attempt(lambda: found.append(registered(ref)))
            self._managers[ref.name] = found[0] if reason is None else None
            self._fault(ref, reason, "it cannot be imported where the run is, and is told of no trial")
        return self._managers[ref.name]

    def _fault(self, ref: PluginRef, reason: str | None, what: str) -> None:
        if reason is not None and (ref.name, reason) not in self._told:
            self._told.add((ref.name, reason))
            self._tell(f"plugin {ref.name!r}: {what}: {reason} (the run goes on)")


def _attempt(work: Callable[[], object]) -> str | None:
    """Call a plugin's code; what it has raised in one line, SystemExit and KeyboardInterrupt too; None if nothing.

    What the handler of a signal raises meanwhile is no plugin's: it is raised again, whatever the plugin made of it.
    """
    reason, own = None, os.getpid()
    with _signals_noted() as raised, _output_on_stderr(), _same_folder(), _same_umask(), _same_timer():
        try:
            work()
        except BaseException as error:
            reason = _reason(error)
        finally:
            if os.getpid() != own:  # a process that the plugin has forked: it would go on as a second run
                os._exit(0 if reason is None else 1)
    if raised:
        raise raised[0]
    return reason


def _reason(error: BaseException) -> str:
    name = type(error).__name__
    try:
        text = first_line(error)
    except BaseException:  # its text, too, is a plugin's code
        text = ""
    return plain(f"{name}: {text}" if text else name)[:LONGEST_REASON]


@contextlib.contextmanager
def _signals_noted() -> Iterator[list[BaseException]]:
    """Note what handlers of signals raise meanwhile. The handlers are the same afterwards, whatever a plugin sets."""
    raised: list[BaseException] = []
    if threading.current_thread() is not threading.main_thread():  # signals never interrupt another thread
        yield raised
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, _noting(handler, raised))
    try:
        yield raised
    finally:
        for number, handler in before.items():
            if handler is not None:  # else one of another language's
                signal.signal(number, handler)


def _noting(handler: Callable[[int, FrameType | None], Any], raised: list[BaseException]) -> Callable[..., Any]:
    def note(number: int, frame: FrameType | None) -> None:
        try:
            handler(number, frame)
        except BaseException as error:
            raised.append(error)
            raise

    return note


@contextlib.contextmanager
def _output_on_stderr() -> Iterator[None]:
    """Send to standard error what is printed meanwhile, by child processes too: standard output is the run's own."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    try:
        kept = os.dup(1)
        os.dup2(2, 1)
    except OSError:  # a host without the usual descriptors
        kept = None
    try:
        with contextlib.redirect_stderr(sys.stderr), contextlib.redirect_stdout(sys.stderr):  # both are put back
            yield
    finally:
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)


@contextlib.contextmanager
def _same_folder() -> Iterator[None]:
    """Go back to the working folder, on which the paths of a run may rest, where a plugin has left it."""
    folder = os.open(".", os.O_PATH | os.O_DIRECTORY)
    try:
        yield
    finally:
        os.fchdir(folder)
        os.close(folder)


@contextlib.contextmanager
def _same_umask() -> Iterator[None]:
    """Put back the mask of new files."""
    mask = os.umask(0o077)
    os.umask(mask)
    try:
        yield
    finally:
        os.umask(mask)


@contextlib.contextmanager
def _same_timer() -> Iterator[None]:
    """Put back the timer of SIGALRM, which ends a process that has no handler; a timer of the host goes on."""
    left, interval = signal.getitimer(signal.ITIMER_REAL)
    start = time.monotonic()
    try:
        yield
    finally:
        rest = left - (time.monotonic() - start)
        if left and rest <= 0:  # it has rung meanwhile
            rest = interval - -rest % interval if interval else 0.0
        signal.setitimer(signal.ITIMER_REAL, rest if left else 0.0, interval if left else 0.0)
