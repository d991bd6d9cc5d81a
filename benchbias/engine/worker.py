"""The stages of one process: run one, commit its product or note its failure. The engine holds its claim."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import platform
import resource
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from benchbias.data.reading.raw_files import data_folder
from benchbias.engine.base import CHANGED, DAMAGED, FAILED, STORAGE
from benchbias.engine.blame import Blame
from benchbias.engine.planned import lenient, needed_plugins, stack_of
from benchbias.engine.stacks import Clock, ended, made_together
from benchbias.engine.traces import process_kept
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
from benchbias.keys.unchanged import another_was_run, plugin_changed, plugin_now, refusal
from benchbias.plugin.foreign import OURS
from benchbias.plugin.loading import PluginRef, components_of
from benchbias.stages.job import Job, Made
from benchbias.store.store import Store

if TYPE_CHECKING:
    from benchbias.training.baton import Together

Note = Callable[[str], None]
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class PluginChangedError(BenchbiasError):
    """A plugin was edited while its stage ran: the stage fails now, and a later run tries it again."""


def run_stage(
    store: Store,
    plan: Mapping[str, Any],
    key: str,
    note: Note = lambda doing: None,
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
        if not stack_of(plan, key):
            return _settle(work, lambda: _made_alone(work), Clock())
        if ended(key) not in work.shared:
            _compute_stack(work, note)
        return int(work.shared[ended(key)])
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
    together: Together | None = None


def _compute_stack(first: _Work, note: Note) -> None:
    """Compute a stage's stack, and store what is missing of it; how each has ended is kept for its own turn.

    Raises DamagedError where a parent is gone, and what `_settle` raises.
    """
    store, plan = first.store, first.plan
    works = {mate: replace(first, key=mate, blame=Blame(note)) for mate in stack_of(plan, first.key)}

    def make(mate: str, together: Together) -> Made:
        return _make(replace(works[mate], together=together))

    _refuse_change(plan["stages"][first.key]["inputs"], first.kept)
    clock = Clock()
    with process_kept():
        taken = made_together(store, plan, first.key, make)
    set_torch()
    clock.stop(len(taken))
    for mate, take in taken.items():
        there = not plan["recompute"] and store.has(mate)
        first.shared[ended(mate)] = 0 if there else _settle(works[mate], take, clock)


def _made_alone(work: _Work) -> Made:
    with process_kept():
        return _make(work)


def _settle(work: _Work, take: Callable[[], Made], clock: Clock) -> int:
    """Commit a stage's product, or note its failure. Raises StorageError, and ChangedError with nothing stored.

    take: returns the product, or raises what has ended the stage.
    """
    store, plan, key, kept = work.store, work.plan, work.key, work.kept
    inputs = plan["stages"][key]["inputs"]
    try:
        _refuse_change(inputs, kept)
        made = take()
        _refuse_change(inputs, kept)
        _refuse_changed_plugins(plan, key, kept)
        _refuse_another_run()
        blobs = {name: store.put_blob(tensors) for name, tensors in made.blobs.items()}
        store.put(key, inputs, made.body, blobs)
        store.put_measured(key, _measured(*clock.read()) | plan["provenance"])
    except (StorageError, ChangedError):
        raise
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:  # wherever the stage writes: its log, a cache
            label = plan["stages"][key]["label"]
            raise StorageError(f"{label}: {error}; what is finished is safe") from error
        _refuse_change(inputs, kept)  # what is half upgraded fails in any way
        return _note_failure(store, plan["stages"][key], key, _cause(work, error), work.blame)
    return 0


def _make(work: _Work) -> Made:
    plan, key = work.plan, work.key
    data_root = data_folder()
    _refuse_changed_plugins(plan, key, work.kept)
    stage = plan["stages"][key]
    strict = not lenient(plan["stages"], key, plan["device"])
    device = _prepare_torch(plan["device"], strict=strict)
    components: dict[tuple[str, str], Callable[..., Any]] = {}
    for name in needed_plugins(plan, key):
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
        work.together,
    )
    function = importlib.import_module(f"benchbias.stages.{stage['inputs']['kind']}").run
    made: Made = function(job)
    if not strict and work.together is None:
        set_torch()  # the next stage of this process finds it as the first one did
    return made


def _refuse_change(inputs: Mapping[str, Any], kept: Kept) -> None:
    """Raises ChangedError where the core or a package is no longer what the stage's key names."""
    if (told := refusal(inputs, kept)) is not None:
        raise ChangedError(told)


def _refuse_changed_plugins(plan: Mapping[str, Any], key: str, kept: Kept) -> None:
    """Raises PluginChangedError where a plugin is no longer the one that the stage's key names.

    Raises ChangedError for one of ours: as with the core, all stages that it has a part in would fail.
    """
    for name in needed_plugins(plan, key):
        if plugin_now(plan, name, kept) != plan["plugins"][name]["digest"]:
            raise (ChangedError if name.startswith(OURS) else PluginChangedError)(plugin_changed(name))


def _refuse_another_run() -> None:
    """Raises PluginChangedError where this process has run what no longer lies there, and a key cannot name."""
    if (told := another_was_run()) is not None:
        raise PluginChangedError(told)


def _cause(work: _Work, error: BaseException) -> BaseException:
    """The cause of a failure: that what was run is not what the key names, or else the error. Raises ChangedError."""
    try:
        _refuse_changed_plugins(work.plan, work.key, work.kept)
        _refuse_another_run()
    except PluginChangedError as changed:
        return changed
    return error


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
