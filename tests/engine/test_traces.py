"""Whatever of the list a stage leaves behind in its process is found, and what it puts back is not."""

from __future__ import annotations

import contextlib
import decimal
import gc
import locale
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import optimizer

from benchbias.engine.traces import Streams, left_behind, traces
from support.faulty import in_child


def stays(context: Any) -> Callable[[], Any]:
    """A change that a context manager makes, and does not undo, as long as somebody has it."""
    kept = []

    def enter() -> None:
        kept.append(context())
        kept[0].__enter__()

    return enter


class Mode(torch.overrides.TorchFunctionMode):
    pass


CHANGES: dict[str, Callable[[], Any]] = {
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "default device": lambda: torch.set_default_device("meta"),
    "gradients": lambda: torch.set_grad_enabled(False),
    "inference": stays(torch.inference_mode),
    "anomalies": lambda: torch.autograd.set_detect_anomaly(True),
    "autocast": stays(lambda: torch.autocast("cpu", torch.bfloat16)),
    "threads of torch": lambda: torch.set_num_threads(2),
    "precision": lambda: torch.set_float32_matmul_precision("medium"),
    "mkldnn": lambda: setattr(torch.backends.mkldnn, "enabled", False),
    "cudnn": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "denormals": lambda: torch.set_flush_denormal(True),
    "function mode": stays(Mode),
    "module hook": lambda: torch.nn.modules.module.register_module_forward_hook(lambda *_: None),
    "optimizer hook": lambda: optimizer.register_optimizer_step_post_hook(lambda *_: None),
    "printing": lambda: torch.set_printoptions(precision=2),
    "environment": lambda: os.environ.update(ANOTHER="1"),
    "environment less": os.environ.clear,
    "folder": lambda: os.chdir("/"),
    "umask": lambda: os.umask(0o777),
    "path": lambda: sys.path.insert(0, "/nowhere"),
    "handler": lambda: signal.signal(signal.SIGUSR1, lambda *_: None),
    "ignored signal": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "blocked signal": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1}),
    "timer": lambda: signal.setitimer(signal.ITIMER_VIRTUAL, 1000.0),
    "warnings": lambda: warnings.simplefilter("error"),
    "thread": lambda: threading.Thread(target=time.sleep, args=(60,), daemon=True).start(),
    "child": lambda: os.fork() or time.sleep(0.5) or os._exit(0),
    "open file": lambda: os.open(os.devnull, os.O_RDONLY),
    "another file": lambda: os.dup2(os.open(os.devnull, os.O_RDONLY), 0),
    "trace": lambda: sys.setprofile(lambda *_: None),
    "exceptions": lambda: setattr(sys, "excepthook", lambda *_: None),
    "stream": lambda: setattr(sys, "stdout", sys.stderr),
    "builtin": lambda: setattr(__import__("builtins"), "sum", max),
    "recursion": lambda: sys.setrecursionlimit(5000),
    "garbage": gc.disable,
    "decimal": lambda: setattr(decimal.getcontext(), "prec", 3),
    "logging": lambda: logging.getLogger().setLevel(logging.DEBUG),
    "log handler": lambda: logging.getLogger().addHandler(logging.NullHandler()),
    "numpy errors": lambda: np.seterr(all="raise"),
    "priority": lambda: os.nice(1),
    "group": lambda: os.setpgid(0, 0),
}


def found(change: Callable[[], Any]) -> list[str]:
    """What is left behind by a change, in a fork; the names, or nothing."""

    def work(tell: Callable[[str], None]) -> int:
        torch.set_num_threads(1)
        before = traces()
        if left_behind(before):
            return 1
        change()
        names = left_behind(before)
        sys.setprofile(None)
        for name in names:
            tell(name)
        return 0

    code, names = in_child(work)
    assert code == 0
    return names


@pytest.mark.slow
@pytest.mark.parametrize("warn", [False, True])
def test_deterministic_algorithms_that_are_left_off_or_only_warned_of_are_found(warn: bool):
    torch.use_deterministic_algorithms(True)  # imports what takes seconds
    try:
        assert found(lambda: torch.use_deterministic_algorithms(warn, warn_only=warn)) == ["deterministic algorithms"]
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_left_behind_is_found(name: str):
    assert found(CHANGES[name])


def test_a_locale_that_is_left_behind_is_found():
    other = next((one for one in ("C", "POSIX", "C.UTF-8") if locale.setlocale(locale.LC_ALL) != one), None)
    assert other is not None
    if other == "POSIX":
        pytest.skip("no other locale is installed")
    assert found(lambda: locale.setlocale(locale.LC_ALL, other)) == ["locale"]


def ordinary() -> None:
    """The work of a stage that puts back what it changes."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.nn.Linear(3, 2)(torch.ones(1, 3))
    model = torch.nn.Linear(3, 2)
    model(torch.ones(1, 3)).sum().backward()
    with tempfile.TemporaryFile() as file:
        file.write(b"text")
    thread = threading.Thread(target=random.random)
    thread.start()
    thread.join()
    with contextlib.suppress(ChildProcessError):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)


def test_ordinary_work_leaves_nothing():
    assert found(ordinary) == []


def test_random_streams_are_those_of_a_new_process():
    """Whatever the stage before has drawn: torch's and numpy's are as they were."""

    def work(tell: Callable[[str], None]) -> int:
        streams = Streams()
        first = (torch.rand(3).tolist(), np.random.rand(3).tolist())
        torch.manual_seed(7), np.random.seed(7)
        streams.put_back()
        tell(str(first == (torch.rand(3).tolist(), np.random.rand(3).tolist())))
        return 0

    assert in_child(work) == (0, ["True"])
