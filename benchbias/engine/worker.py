"""The stages of one process: run one, commit its product or note its failure. The engine holds its claim."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import platform
import resource
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchbias.data.reading.raw_files import data_folder
from benchbias.engine.base import CHANGED, DAMAGED, FAILED, STORAGE
from benchbias.engine.blame import OURS, Blame
from benchbias.engine.guard import process_kept
from benchbias.errors import (
    LONGEST,
    BenchbiasError,
    ChangedError,
    DamagedError,
    Skip,
    StorageError,
    first_line,
    plain,
)
from benchbias.keys.cards import memory_fraction
from benchbias.keys.environment import THREADS
from benchbias.keys.stamps import Kept
from benchbias.keys.unchanged import plugin_changed, plugin_now, refusal
from benchbias.plugin.loading import PluginRef, components_of
from benchbias.stages.job import Job, Made
from benchbias.store.store import Store

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class PluginChangedError(BenchbiasError):
    """A plugin was edited while its stage ran: the stage fails now, and a later run tries it again."""


def run_stage(
    store: Store,
    plan: Mapping[str, Any],
    key: str,
    note: Callable[[str], None] = lambda doing: None,
    shared: dict[str, Any] | None = None,
    kept: Kept | None = None,
) -> int:
    """Run one stage of a plan; the exit code that says how it ended is returned.

    note: is told which component is called. shared: what the stages of this process hand on (`Job.shared`). kept: what
    was read of sources and packages. No fault of the disk is a stage's failure.
    """
    work = _Work(store, plan, key, Blame(note), {} if shared is None else shared, Kept() if kept is None else kept)
    try:
        if not plan["recompute"] and store.has(key):
            return 0
        return _compute(work)
    except DamagedError:
        return DAMAGED
    except StorageError as error:
        return _last_word(error, STORAGE)
    except ChangedError as error:
        return _last_word(error, CHANGED)


def _last_word(error: BenchbiasError, code: int) -> int:
    """The one line that the runner shows is the last of the stage's log, whatever became of sys.stdout."""
    with contextlib.suppress(OSError):  # the log may lie on the same full disk
        os.write(1, f"{error}\n".encode(errors="replace"))
    return code


@dataclass(frozen=True)
class _Work:
    """A stage to run, and all that running it takes."""

    store: Store
    plan: Mapping[str, Any]
    key: str
    blame: Blame
    shared: dict[str, Any]
    kept: Kept


def _compute(work: _Work) -> int:
    """Compute a stage and commit it, or note its failure. Raises StorageError, and ChangedError with nothing stored."""
    store, plan, key, kept = work.store, work.plan, work.key, work.kept
    started, cpu = time.monotonic(), time.process_time()
    inputs = plan["stages"][key]["inputs"]
    try:
        _refuse_change(inputs, kept)
        with process_kept():
            made = _make(work)
        _refuse_change(inputs, kept)
        _refuse_changed_plugins(plan, key, kept)
        blobs = {name: store.put_blob(tensors) for name, tensors in made.blobs.items()}
        store.put(key, inputs, made.body, blobs)
        measured = _measured(time.monotonic() - started, time.process_time() - cpu)
        store.put_measured(key, measured | plan["provenance"])
    except (StorageError, ChangedError):
        raise
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:  # wherever the stage writes: its log, a cache
            label = plan["stages"][key]["label"]
            raise StorageError(f"{label}: {error}; what is finished is safe") from error
        _refuse_change(inputs, kept)  # what is half upgraded fails in any way
        return _note_failure(store, plan["stages"][key], key, error, work.blame)
    return 0


def _make(work: _Work) -> Made:
    plan, key = work.plan, work.key
    data_root = data_folder()
    _refuse_changed_plugins(plan, key, work.kept)
    stage = plan["stages"][key]
    strict = not lenient(plan["stages"], key, plan["device"])
    device = _prepare_torch(plan["device"], strict=strict)
    components: dict[tuple[str, str], Callable[..., Any]] = {}
    for name in _needed_plugins(plan, key):
        ref = PluginRef(**plan["plugins"][name]["ref"])
        components |= {
            (kind, called): work.blame.watched(kind, called, name, component)
            for (kind, called), component in components_of(ref).items()
        }
    job = Job(
        work.store,
        stage["inputs"],
        {other: value["inputs"] for other, value in plan["stages"].items()},
        components,
        device,
        data_root,
        work.shared,
    )
    function = importlib.import_module(f"benchbias.stages.{stage['inputs']['kind']}").run
    made: Made = function(job)
    if not strict:
        set_torch()  # the next stage of this process finds it as the first one did
    return made


def _refuse_change(inputs: Mapping[str, Any], kept: Kept) -> None:
    """Raises ChangedError where the core or a package is no longer what the stage's key names."""
    if (told := refusal(inputs, kept)) is not None:
        raise ChangedError(told)


def _refuse_changed_plugins(plan: Mapping[str, Any], key: str, kept: Kept) -> None:
    """Raises PluginChangedError where a plugin is no longer the one that the stage's key names."""
    for name in _needed_plugins(plan, key):
        if plugin_now(plan, name, kept) != plan["plugins"][name]["digest"]:
            raise PluginChangedError(plugin_changed(name))


def _needed_plugins(plan: Mapping[str, Any], key: str) -> list[str]:
    """The stage's own plugins, and those of the model that it rebuilds."""
    stages = plan["stages"]
    init = stages[key]["inputs"]["parents"].get("init")
    return sorted({*stages[key]["plugins"], *(stages[init]["plugins"] if init else ())})


def stands_alone(plan: Mapping[str, Any], key: str) -> bool:
    """Whether a stage must have a process of its own: it runs a component that is not ours, which may do anything."""
    return not all(name.startswith(OURS) for name in _needed_plugins(plan, key))


def lenient(stages: Mapping[str, Mapping[str, Any]], key: str, device: str) -> bool:
    """Whether a stage lets be what has no deterministic form: by its recipe, or by that of a stage that it rests on.

    On a card so does `init`, which all recipes share: it tries the network's forward pass, and stores no number of it.
    """
    waiting, seen = [key], set[str]()
    while waiting:
        inputs = stages[one := waiting.pop()]["inputs"]
        if not inputs.get("recipe", {}).get("deterministic", True):
            return True
        seen.add(one)
        waiting += [parent for parent in inputs["parents"].values() if parent not in seen and parent in stages]
    return device != "cpu" and stages[key]["inputs"]["kind"] == "init"


def set_torch(*, strict: bool = True) -> None:
    """Set torch as every stage has it. strict: what has no deterministic form is refused."""
    import torch

    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True, warn_only=not strict)
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def _prepare_torch(device: str, *, strict: bool) -> Any:
    import torch

    set_torch(strict=strict)
    if device == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(memory_fraction(os.environ, total))
    return torch.device(device)


def _measured(seconds: float, cpu_seconds: float) -> dict[str, Any]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": round(seconds, 4),
        "cpu_seconds": round(cpu_seconds, 4),
        "peak_memory_bytes": usage.ru_maxrss * 1024,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _note_failure(store: Store, stage: Mapping[str, Any], key: str, error: BaseException, blame: Blame) -> int:
    """Write the failure down: the next run knows it, `logs` shows it. Raises StorageError."""
    skipped = isinstance(error, Skip)
    changed = isinstance(error, PluginChangedError)
    memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    text = first_line(error)
    told = text if isinstance(error, BenchbiasError | Skip) else f"{type(error).__name__}: {text}".rstrip(": ")
    where = blame.of(error)
    attempt = {
        "status": "skipped" if skipped else "failed",
        "kind": "skip" if skipped else "memory" if memory else "changed" if changed else "exception",
        "stage": stage["label"],
        "plugins": list(stage["plugins"]),
        "reason": plain(f"{told} ({where})" if where else told)[:LONGEST],
        "traceback": "".join(traceback.format_exception(error)).encode(errors="replace").decode(),
    }
    store.put_attempt(key, attempt)
    return FAILED
