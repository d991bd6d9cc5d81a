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
from typing import TYPE_CHECKING, Any

from benchbias.data.reading.raw_files import data_folder
from benchbias.engine.base import CHANGED, DAMAGED, FAILED, STORAGE
from benchbias.engine.blame import Blame
from benchbias.engine.planned import lenient, needed_plugins, stack_of
from benchbias.engine.stacks import Clock, ended, made_together
from benchbias.engine.traces import Streams, left_behind, process_kept, tidy, traces
from benchbias.errors import (
    LONGEST,
    BenchbiasError,
    ChangedError,
    DamagedError,
    Skip,
    StorageError,
    UsageError,
    first_line,
    plain,
)
from benchbias.keys.cards import memory_fraction
from benchbias.keys.environment import THREADS
from benchbias.keys.unchanged import refusal
from benchbias.plugin.loading import PluginRef, components_of
from benchbias.plugin.registry import source_digest
from benchbias.stages.job import Job, Made
from benchbias.store.store import Store

if TYPE_CHECKING:
    from benchbias.training.baton import Together

Note = Callable[[str], None]
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class PluginChangedError(BenchbiasError):
    """A plugin was edited while its stage ran: the stage fails now, and a later run tries it again."""


METHOD_KINDS = ("train", "prune")
"""The kinds of stages that run a method: nothing in their process is of the test split, or of groups it may not see."""


class Stages:
    """The stages that one process runs, one after another. What they share is kept as long as they may see it."""

    def __init__(self, store: Store, plan: Mapping[str, Any]) -> None:
        self._store, self._plan = store, plan
        self._shared: dict[str, Any] = {}
        self._before: dict[str, Any] | None = None
        self._streams: Streams | None = None
        self._measured = False  # the last stage saw what a method must not see

    def run(self, key: str, note: Callable[[str], None], *, more: bool) -> int:
        """Run a stage; its exit code is returned. `note` is told which component is called.

        more: whether another one may follow, for which the state of the process is noted.
        """
        if self._streams is not None:
            self._streams.put_back()
        elif more:
            _set_torch()
            _begin_driver(self._plan["device"])
            self._before, self._streams = traces(), Streams()
        if self._plan["stages"][key]["inputs"]["kind"] in METHOD_KINDS and self._measured:
            self._shared.clear()
        self._measured = self._plan["stages"][key]["inputs"]["kind"] not in METHOD_KINDS
        return run_stage(self._store, self._plan, key, note, self._shared)

    def stays(self, key: str, code: int) -> bool:
        """Whether the process may go on: after what is done, and after a failure among the stages of a stack."""
        return code == 0 or (code == FAILED and ended(key) in self._shared)

    def ready_for_more(self) -> bool:
        """Whether the next stage would find the process as a new one finds it, but for what stages share."""
        tidy()
        return self._before is not None and not left_behind(self._before)


def run_stage(
    store: Store,
    plan: Mapping[str, Any],
    key: str,
    note: Note = lambda doing: None,
    shared: dict[str, Any] | None = None,
) -> int:
    """Run one stage of a plan; the exit code that says how it ended is returned.

    note: is told which component is called. shared: what the stages of this process hand on (`Job.shared`). No fault
    of the disk is a stage's failure.
    """
    try:
        if not plan["recompute"] and store.has(key):
            return 0
        kept = {} if shared is None else shared
        if not stack_of(plan, key):
            blame = Blame(note)
            return _settle(store, plan, key, blame, lambda: _kept(store, plan, key, blame, kept), Clock())
        if ended(key) not in kept:
            _compute_stack(store, plan, key, note, kept)
        return int(kept[ended(key)])
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


def _compute_stack(store: Store, plan: Mapping[str, Any], key: str, note: Note, shared: dict[str, Any]) -> None:
    """Compute a stage's stack, and store what is missing of it; how each has ended is kept for its own turn.

    Raises DamagedError where a parent is gone, and what `_settle` raises.
    """
    blames = {mate: Blame(note) for mate in stack_of(plan, key)}

    def make(mate: str, together: Together) -> Made:
        return _make(store, plan, mate, blames[mate], shared, together)

    def settle(mate: str, take: Callable[[], Made], clock: Clock) -> int:
        if not plan["recompute"] and store.has(mate):
            return 0
        return _settle(store, plan, mate, blames[mate], take, clock)

    _refuse_change(plan["stages"][key]["inputs"])
    clock = Clock()
    with process_kept():
        taken = made_together(store, plan, key, make)
    _set_torch()
    clock.stop(len(taken))
    shared |= {ended(mate): settle(mate, take, clock) for mate, take in taken.items()}


def _kept(store: Store, plan: Mapping[str, Any], key: str, blame: Blame, shared: dict[str, Any]) -> Made:
    with process_kept():
        return _make(store, plan, key, blame, shared)


def _settle(
    store: Store, plan: Mapping[str, Any], key: str, blame: Blame, take: Callable[[], Made], clock: Clock
) -> int:
    """Commit a stage's product, or note its failure. Raises StorageError, and ChangedError with nothing stored."""
    inputs = plan["stages"][key]["inputs"]
    try:
        _refuse_change(inputs)
        made = take()
        _refuse_change(inputs)
        _refuse_changed_plugins(plan, key)
        blobs = {name: store.put_blob(tensors) for name, tensors in made.blobs.items()}
        store.put(key, inputs, made.body, blobs)
        store.put_measured(key, _measured(*clock.read()) | plan["provenance"])
    except (StorageError, ChangedError):
        raise
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:  # wherever the stage writes: its log, a cache
            label = plan["stages"][key]["label"]
            raise StorageError(f"{label}: {error}; what is finished is safe") from error
        _refuse_change(inputs)  # what is half upgraded fails in any way
        return _note_failure(store, plan["stages"][key], key, error, blame)
    return 0


def _make(
    store: Store,
    plan: Mapping[str, Any],
    key: str,
    blame: Blame,
    shared: dict[str, Any],
    together: Together | None = None,
) -> Made:
    data_root = data_folder()
    _refuse_changed_plugins(plan, key)
    stage = plan["stages"][key]
    strict = not lenient(plan["stages"], key, plan["device"])
    device = _prepare_torch(plan["device"], strict=strict)
    components: dict[tuple[str, str], Callable[..., Any]] = {}
    for name in needed_plugins(plan, key):
        ref = PluginRef(**plan["plugins"][name]["ref"])
        components |= {
            (kind, called): blame.watched(kind, called, name, component)
            for (kind, called), component in components_of(ref).items()
        }
    job = Job(
        store,
        stage["inputs"],
        {other: value["inputs"] for other, value in plan["stages"].items()},
        components,
        device,
        data_root,
        shared,
        together,
    )
    function = importlib.import_module(f"benchbias.stages.{stage['inputs']['kind']}").run
    made: Made = function(job)
    if not strict and together is None:
        _set_torch()  # the next stage of this process finds it as the first one did
    return made


def _refuse_change(inputs: Mapping[str, Any]) -> None:
    """Raises ChangedError where the core or a package is no longer what the stage's key names."""
    if (told := refusal(inputs)) is not None:
        raise ChangedError(told)


def _refuse_changed_plugins(plan: Mapping[str, Any], key: str) -> None:
    """Raises PluginChangedError where a plugin is no longer the one that the stage's key names."""
    for name in needed_plugins(plan, key):
        plugin = plan["plugins"][name]
        try:
            now = source_digest(PluginRef(**plugin["ref"]))
        except UsageError:  # it is gone
            now = ""
        if now != plugin["digest"]:
            raise PluginChangedError(f"plugin {name!r} was changed while this run was going on; run again")


def _set_torch(*, strict: bool = True) -> None:
    """Set torch as every stage has it. strict: what has no deterministic form is refused."""
    import torch

    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True, warn_only=not strict)
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def _begin_driver(device: str) -> None:
    """Let the driver of a card begin what it keeps for the process; where it cannot, the stage itself says so."""
    import torch

    with contextlib.suppress(Exception):
        if device != "cpu":
            torch.cuda.init()  # type: ignore[no-untyped-call]


def _prepare_torch(device: str, *, strict: bool) -> Any:
    import torch

    _set_torch(strict=strict)
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
