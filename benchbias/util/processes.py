"""The processes that a process has started, wherever they went: found in /proc, measured, ended.

A process that daemonises leaves its group and its session, but not its ancestors: where one of them adopts orphans
(prctl(2), PR_SET_CHILD_SUBREAPER), it becomes that one's child. Linux; where there is no /proc, nothing is found.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Container, Iterable
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
END_SECONDS = 2.0
STEP_SECONDS = 0.002


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Ask the kernel for this signal when the parent dies (Linux; elsewhere end of input must do)."""
    _prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it died before the call
        os._exit(1)


def adopt_orphans() -> None:
    """Be the parent of every descendant whose own parent dies, instead of the system's first process."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def family(pid: int) -> list[int]:
    """A process and all that it has started, and those in turn, as they are at this moment."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found = [pid]
    for member in found:
        found += children.get(member, ())
    return found


def _parents() -> Iterable[tuple[int, int]]:
    """(process, parent) of every process that can be seen."""
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):  # noqa: PTH208  (fast: it runs several times a second)
            if name.isdigit():
                with contextlib.suppress(OSError, ValueError, IndexError):
                    state = Path("/proc", name, "stat").read_bytes().rpartition(b")")[2].split()
                    yield int(name), int(state[1])


def held_bytes(pids: Iterable[int]) -> int:
    """The memory that processes hold together: what they share counts once, where the kernel says so.

    Pages of files do not count: they are copies of what lies on the disk, and the kernel drops them when it needs
    the memory. A data set that is mapped from its file is none of a stage's memory.
    """
    return sum(_proportional(pid) or _resident(pid) for pid in pids)


def _proportional(pid: int) -> int:
    """A process's memory with its part of what it shares; 0 where the kernel does not say."""
    held = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_bytes().splitlines():
            if line.startswith((b"Pss_Anon:", b"Pss_Shmem:")):
                held += int(line.split()[1]) * 1024
    return held


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def kill(pid: int) -> None:
    """End a process, which may have left its group, by SIGKILL; one that is gone already is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def kill_group(pid: int) -> None:
    """End the processes of a group by SIGKILL."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def end_children(spare: Container[int] = (), seconds: float = END_SECONDS) -> bool:
    """End and reap every child of this process but those to spare, with their families; whether none is left.

    What is killed leaves its children to us, so it takes as many rounds as they are deep.
    """
    end = time.monotonic() + seconds
    while True:
        strays = [pid for pid, parent in _parents() if parent == os.getpid() and pid not in spare]
        if not strays or time.monotonic() > end:
            return not strays
        for pid in strays:
            for member in reversed(family(pid)):
                kill(member)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(STEP_SECONDS)
