"""The state of a process that one stage could hand on to the next, as a value to compare; and what is put back of it.

A worker that has changed in any of it after a stage ends with that stage. It is a check of our own components, which
change nothing on purpose: what a stranger's code may do, patch a function say, nobody can list. So that code has a
process of its own (`planned.stands_alone`).
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import decimal
import fcntl
import gc
import locale
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.nn.modules import module
from torch.optim import optimizer

STANDARD = (0, 1, 2)
ABOVE = 64  # where the spare descriptors lie
TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


def traces() -> dict[str, Any]:
    """The state of this process, by name.

    The driver of a card opens devices and starts threads when it likes: where one is used, files alone are looked at.
    """
    cuda = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return {**_of_python(), **_of_the_system(driver=cuda), **_of_torch(), "card": _card() if cuda else None}


def left_behind(before: Mapping[str, Any]) -> list[str]:
    """The names of what is not as it was; where not even that can be told, a word for it."""
    try:
        now = traces()
    except Exception as error:  # a mode of torch that lets no operation through, say
        return [f"{type(error).__name__} where the process is asked"]
    return [name for name, was in before.items() if now[name] != was]


def _of_python() -> dict[str, Any]:
    numpy = sys.modules.get("numpy")
    return {
        "environment variables": dict(os.environ),
        "search paths of modules": (list(sys.path), list(sys.meta_path), list(sys.path_hooks)),
        "warnings": (list(warnings.filters), id(warnings.showwarning)),
        "signal handlers": [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        "timers": [signal.getitimer(timer)[1] or signal.getitimer(timer)[0] > 0 for timer in TIMERS],
        "blocked signals": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "threads": {thread.ident for thread in threading.enumerate() if not isinstance(thread, threading._DummyThread)},
        "hooks": (sys.gettrace(), sys.getprofile(), sys.excepthook, sys.unraisablehook, sys.displayhook),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "builtins": {name: id(value) for name, value in vars(builtins).items()},
        "limits of Python": (sys.getrecursionlimit(), sys.getswitchinterval(), sys.get_int_max_str_digits()),
        "garbage collection": (gc.isenabled(), gc.get_threshold(), len(gc.callbacks)),
        "locale": locale.setlocale(locale.LC_ALL),
        "decimal": repr(decimal.getcontext()),
        "logging": (logging.root.level, list(logging.root.handlers), logging.root.manager.disable),
        "numpy": None if numpy is None else (numpy.geterr(), numpy.geterrcall(), str(numpy.get_printoptions())),
    }


def _of_the_system(*, driver: bool) -> dict[str, Any]:
    umask = os.umask(0)
    os.umask(umask)
    task = Path("/proc/self/task")
    return {
        "working directory": _told(Path.cwd),
        "umask": umask,
        "open files": _told(lambda: sorted(_open_files(driver=driver))),
        "children": _told(lambda: [(one / "children").read_text() for one in task.iterdir()]),
        "threads of the system": None if driver else _told(lambda: len(list(task.iterdir()))),
        "CPUs": _told(lambda: os.sched_getaffinity(0)),
        "priority": _told(lambda: os.getpriority(os.PRIO_PROCESS, 0)),
        "group": os.getpgid(0),
    }


def _open_files(*, driver: bool) -> Iterator[tuple[str, str]]:
    """(descriptor, what it is of) of all that is open; the listing's own is gone by then.

    driver: leave out devices, pipes and sockets but those of the standard streams.
    """
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  (names)
        with contextlib.suppress(FileNotFoundError):
            target = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115  (a text, not a path)
            if not driver or int(name) <= 2 or (target.startswith("/") and not target.startswith(("/dev/", "/proc/"))):
                yield name, target


def _card() -> int:
    return torch.cuda.current_device()


def _told(ask: Callable[[], Any]) -> Any:
    """The answer of the system; None where it has none."""
    try:
        return ask()
    except (OSError, AttributeError):
        return None


def _of_torch() -> dict[str, Any]:
    return {
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled()),
        "autocast": [(torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in ("cpu", "cuda")],
        "deterministic algorithms": (
            torch.get_deterministic_debug_mode(),
            torch._C._get_deterministic_fill_uninitialized_memory(),
        ),
        "threads of torch": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "precision": (torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.allow_tf32),
        "backends": (
            *(torch.backends.mkldnn.enabled, torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark),
            *(torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32),
        ),
        "small numbers": float(torch.tensor(1e-310, dtype=torch.float64, device="cpu") / 4) > 0,
        "modes": (torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack()),
        "hooks of modules": {name: list(hooks) for name, hooks in vars(module).items() if _is_hooks(name, hooks)},
        "hooks of optimizers": {name: list(hooks) for name, hooks in vars(optimizer).items() if _is_hooks(name, hooks)},
        "printing": str(torch._tensor_str.PRINT_OPTS),
    }


def _is_hooks(name: str, value: object) -> bool:
    return name.startswith("_global_") and isinstance(value, Mapping)


def tidy() -> None:
    """Give back what a stage has freed: memory counts against the limit of the stage that runs."""
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError):  # the largest memory is measured from here on
        Path("/proc/self/clear_refs").write_text("5")


class Streams:
    """The states of the global streams of random numbers, as they were when it was made."""

    def __init__(self) -> None:
        import numpy as np

        self._torch = torch.default_generator.get_state()
        self._numpy = np.random.get_state()

    def put_back(self) -> None:
        """Give a stage the streams that a new process would give it. Python's own is another in every process."""
        import random

        import numpy as np

        torch.default_generator.set_state(self._torch)
        np.random.set_state(self._numpy)
        random.seed()


@contextlib.contextmanager
def process_kept() -> Iterator[None]:
    """Put back the working directory, the umask, where packages are found, and the standard descriptors.

    A file that is opened would take the number of a descriptor that is closed.
    """
    places = list(sys.path), list(sys.meta_path)
    folder = os.open(".", os.O_RDONLY | os.O_CLOEXEC)
    umask = os.umask(0)
    os.umask(umask)
    spare = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, ABOVE) for number in STANDARD]
    try:
        yield
    finally:
        os.umask(umask)
        sys.path[:], sys.meta_path[:] = places
        for kept, number in zip(spare, STANDARD, strict=True):
            with contextlib.suppress(OSError):  # where the spare ones are closed too, there is no log
                os.dup2(kept, number)
        _fill()
        with contextlib.suppress(OSError):
            os.fchdir(folder)
        for kept in (folder, *spare):
            with contextlib.suppress(OSError):
                os.close(kept)


def _fill() -> None:
    """Take every standard number that is still closed."""
    while (taken := os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)) in STANDARD:
        pass
    os.close(taken)
