"""`benchbias clean`: what dead runs left goes; what a live run uses, and what is another program's, stays."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from benchbias.errors import StorageError, UsageError
from benchbias.records.latency import FOLDER as LATENCY
from benchbias.store.in_use import alone
from benchbias.store.store import FOLDERS
from benchbias.util.canonical import is_digest
from benchbias.util.files import listed, put_aside, told

PLAN = re.compile(r"[0-9a-f]{16}\.json")  # the name of what workers read of a plan


def clean_results(out: Path, *, everything: bool, quarantine: bool, failures: bool) -> str:
    """Remove temporary files of dead runs and old plans; more if asked.

    Raises UsageError where this is no results folder or a run uses what is to go, and StorageError for what cannot be
    removed, after all else is.
    """
    missing = [name for name in FOLDERS if not (out / name).is_dir()]
    if missing:
        raise UsageError(f"{out} is no results folder (it has no {', '.join(missing)})")
    asked = {"--all": everything, "--quarantine": quarantine, "--failures": failures}
    options = [option for option, given in asked.items() if given]
    with alone(out) as free:
        if options and not free:
            raise StorageError(f"clean {options[0]}: a run uses {out}; nothing was removed, wait for its end")
        if everything:
            later = [out / LATENCY] if (out / LATENCY).is_dir() else []  # made when somebody measures
            _removed(out, [*(out / name for name in FOLDERS), *later])
            return f"removed everything in {out}"
        paths = [path for path in listed(out / "tmp", ".tmp") if _is_plain(path)]
        paths += [path for path in listed(out / "plans") if PLAN.fullmatch(path.name)] if free else []
        paths += put_aside(out / "quarantine") if quarantine else []
        paths += [path for path in listed(out / "attempts") if is_digest(path.stem)] if failures else []
        number = _removed(out, paths)
    kept = "" if free else "; a run is alive: its plans stay"
    return f"removed {number} files from {out}; results are untouched{kept}"


def _is_plain(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return stat.S_ISREG(path.lstat().st_mode)
    return False


def _removed(out: Path, paths: Iterable[Path]) -> int:
    """Remove files and folders; how many is returned. Raises StorageError that names the first that stays."""
    number, faults = 0, []
    for path in paths:
        try:
            number += _remove(path)
        except OSError as error:
            faults.append(f"cannot remove {path.relative_to(out)}: {told(error)}")
    if faults:
        more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise StorageError(f"clean {out}: {faults[0]}{more}; {number} removed, results are untouched")
    return number


def _remove(path: Path) -> bool:
    """Remove a file or a folder; False for a file that a living process has locked: it writes it. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
        return True
    if not _is_plain(path):
        path.unlink(missing_ok=True)
        return True
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
