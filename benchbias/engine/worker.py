"""One stage in one process: claim it, run it, commit its product or note its failure."""

from __future__ import annotations

import importlib
import os
import platform
import resource
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchbias.engine.base import BUSY, DAMAGED, FAILED, STORAGE
from benchbias.engine.blame import Blame
from benchbias.engine.guard import process_kept
from benchbias.environment import THREADS
from benchbias.errors import BenchbiasError, ComponentError, DamagedError, Skip, StorageError
from benchbias.loading import PluginRef, components_of
from benchbias.plugins import source_digest
from benchbias.stages.common import Job, Made
from benchbias.store import Store


def run_stage(store: Store, plan: Mapping[str, Any], key: str, note: Callable[[str], None]) -> int:
    """Run one stage of a plan; the exit code of its process is returned. `note` is told which component is called."""
    try:
        with store.claim(key) as mine:
            return _run_claimed(store, plan, key, Blame(note)) if mine else BUSY
    except StorageError as error:
        return _storage(error)


def _run_claimed(store: Store, plan: Mapping[str, Any], key: str, blame: Blame) -> int:
    if not plan["recompute"] and store.has(key):
        return 0
    started, cpu = time.monotonic(), time.process_time()
    try:
        with process_kept():
            made = _make(store, plan, key, blame)
        blobs = {name: store.put_blob(tensors) for name, tensors in made.blobs.items()}
        store.put(key, plan["stages"][key]["inputs"], made.body, blobs)
        measured = _measured(time.monotonic() - started, time.process_time() - cpu)
        store.put_measured(key, measured | plan["provenance"])
    except DamagedError:
        return DAMAGED
    except StorageError as error:
        return _storage(error)
    except BaseException as error:
        return _note_failure(store, plan["stages"][key], key, error, blame)
    return 0


def _storage(error: StorageError) -> int:
    """The one line that the runner shows is the last of the stage's log, whatever became of sys.stdout."""
    os.write(1, f"{error}\n".encode(errors="replace"))
    return STORAGE


def _make(store: Store, plan: Mapping[str, Any], key: str, blame: Blame) -> Made:
    data_root = Path(os.environ.get("BENCHBIAS_DATA", "data")).absolute()
    stage = plan["stages"][key]
    device = _prepare_torch(plan["device"])
    components: dict[tuple[str, str], Callable[..., Any]] = {}
    for name in _needed_plugins(plan, key):
        plugin = plan["plugins"][name]
        ref = PluginRef(**plugin["ref"])
        if source_digest(ref) != plugin["digest"]:
            raise ComponentError(f"plugin {name!r} was changed while this run was going on; run again")
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
    )
    function = importlib.import_module(f"benchbias.stages.{stage['inputs']['kind']}").run
    made: Made = function(job)
    return made


def _needed_plugins(plan: Mapping[str, Any], key: str) -> list[str]:
    """The stage's own plugins, and those of the model that it rebuilds."""
    stages = plan["stages"]
    init = stages[key]["inputs"]["parents"].get("init")
    return sorted({*stages[key]["plugins"], *(stages[init]["plugins"] if init else ())})


def _prepare_torch(device: str) -> Any:
    import torch

    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    if device == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]
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
    """Write the failure down: the next run knows it, `logs` shows it."""
    skipped = isinstance(error, Skip)
    memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    text = str(error).split("\n")[0]
    told = text if isinstance(error, BenchbiasError | Skip) else f"{type(error).__name__}: {text}".rstrip(": ")
    where = blame.of(error)
    attempt = {
        "status": "skipped" if skipped else "failed",
        "kind": "skip" if skipped else "memory" if memory else "exception",
        "stage": stage["label"],
        "plugins": list(stage["plugins"]),
        "reason": f"{told} ({where})" if where else told,
        "traceback": "".join(traceback.format_exception(error)),
    }
    try:
        store.put_attempt(key, attempt)
    except StorageError as full:
        return _storage(full)
    return FAILED
