"""The default engine: a child process of our own that forks a worker for the stages of each call, on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchbias.engine.base import Ended
from benchbias.errors import BenchbiasError, ChangedError
from benchbias.keys.environment import worker_environment

START_SECONDS = 300  # importing torch from a cold disk
STALL_SECONDS = 60  # beyond its time-out: what has not ended a stage by then was stopped, or hangs
CLOSE_SECONDS = 10


class EngineError(BenchbiasError):
    """The engine's own process has ended: a broken installation of torch, most often."""

    exit_code = 1


class LocalEngine:
    """Runs stages in processes of this machine. A child does the forking, so that no user's script is imported.

    timeout: seconds that a stage may take. memory: GiB that its processes may hold together; None: no limit.
    settings: environment variables of the workers, such as where the data folder is. cards: the numbers of the cards to
    use, as CUDA_VISIBLE_DEVICES has them; each worker sees one. per_card: workers on a card at once; a worker there is
    kept for further stages. most: stages that are computed at once in a stack, at most: they have their time together.
    """

    def __init__(
        self,
        results: Path,
        plan: Path,
        *,
        timeout: float,
        memory: float | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
        cards: Sequence[str] = (),
        per_card: int = 1,
        most: int = 1,
    ) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the engine)
        self._child = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "benchbias.engine.supervisor", str(os.getpid())),
                *(str(results), str(plan), str(timeout), str(memory or 0.0)),
                *(",".join(cards), str(per_card)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=worker_environment(os.environ) | dict(settings),
            start_new_session=True,
        )
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self._timeout = timeout * most
        self._open: set[str] = set()  # stages that have not ended
        self._heard = time.monotonic()  # when a stage has ended last, or begun where there was none
        self._slack: float = START_SECONDS

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self._events.put(json.loads(line))
        self._events.put(None)

    def submit(self, keys: Sequence[str], *, claim: bool = True) -> None:
        """Start one process for these stages, in this order."""
        if not self._open:
            self._heard = time.monotonic()
        self._open |= set(keys)
        self._send({"submit": list(keys), "claim": claim})

    def poll(self, seconds: float) -> list[Ended]:
        """Stages that have ended since the last call. Raises EngineError, ChangedError."""
        deadline = time.monotonic() + seconds
        ended: list[Ended] = []
        while True:
            try:
                event = self._events.get(timeout=0 if ended else max(deadline - time.monotonic(), 0.001))
            except queue.Empty:
                self._check_time()
                return ended
            if event is None:
                raise EngineError(self._last_words())
            if "changed" in event:
                raise ChangedError(event["changed"])
            self._heard = time.monotonic()
            if "key" in event:
                ended.append(Ended(**event))
                self._open.discard(event["key"])
            else:  # it is ready
                self._slack = STALL_SECONDS

    def _check_time(self) -> None:
        """End an engine that no longer ends stages: stopped by a signal, say. Raises EngineError.

        As long as it has any, it ends one within the time-out of a stage.
        """
        if self._open and time.monotonic() > self._heard + self._timeout + self._slack:
            self._child.kill()
            raise EngineError(
                f"the engine's process {self._child.pid} was still at a stage {self._slack:.0f} s after its time-out: "
                "it was stopped, or hangs; what is finished is safe"
            )

    def cancel(self) -> None:
        """End all running stages."""
        self._send({"cancel": True})

    def close(self) -> None:
        """End the engine's process and all of its workers."""
        assert self._child.stdin is not None
        with contextlib.suppress(OSError):
            self._child.stdin.close()
        try:
            self._child.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._errors.close()

    def _send(self, command: dict[str, Any]) -> None:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(command).encode() + b"\n")
            self._child.stdin.flush()
        except OSError:
            raise EngineError(self._last_words()) from None

    def _last_words(self) -> str:
        self._child.wait(CLOSE_SECONDS)
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        why = lines[-1] if lines else f"exit code {self._child.returncode}"
        return f"the engine's process has ended: {why}"
