"""The state of a process besides its data: random numbers, torch's flags, variables, folder, threads, open files."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim import optimizer as optimizers


@dataclass(frozen=True)
class Surroundings:
    """A snapshot. values: what -> its state, comparable with ==."""

    values: dict[str, Any]
    restorable: tuple[Any, ...]

    @staticmethod
    def now() -> Surroundings:
        numpy_state, torch_state = np.random.get_state(), torch.random.get_rng_state()
        flags = _flags()
        values = {
            "python's random numbers": random.getstate(),
            "numpy's random numbers": [part.tobytes() if hasattr(part, "tobytes") else part for part in numpy_state],
            "torch's random numbers": torch_state.numpy().tobytes(),
            "the environment variables": dict(os.environ),
            "the working directory": str(Path.cwd()),
            "threads": sorted(thread.name for thread in threading.enumerate()),
            "open files": _open_files(),
            "torch's optimizer hooks": (
                len(optimizers._global_optimizer_pre_hooks),
                len(optimizers._global_optimizer_post_hooks),
            ),
            **{f"torch's {name}": value for name, value in flags.items()},
        }
        return Surroundings(values, (random.getstate(), numpy_state, torch_state, flags))

    def changed(self, later: Surroundings) -> list[str]:
        """Names of what is not as it was."""
        return [name for name, value in self.values.items() if later.values[name] != value]

    def restore(self) -> None:
        """Put back what can be put back; threads and open files cannot."""
        python_state, numpy_state, torch_state, flags = self.restorable
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.random.set_rng_state(torch_state)
        os.environ.clear()
        os.environ.update(self.values["the environment variables"])
        os.chdir(self.values["the working directory"])
        if _flags() != flags:
            _set_flags(flags)


def disturb_random_numbers() -> None:
    """Move the global random streams to a place that no seed of the core leads to."""
    random.seed(987_654_321)
    np.random.seed(987_654_321)
    torch.default_generator.manual_seed(987_654_321)


def as_a_worker_has_it() -> None:
    """The settings under which every stage runs: one thread, deterministic algorithms."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def _flags() -> dict[str, Any]:
    return {
        "number of threads": torch.get_num_threads(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "gradient mode": torch.is_grad_enabled(),
        "anomaly detection": torch.is_anomaly_enabled(),
        "cudnn benchmark": torch.backends.cudnn.benchmark,
        "tf32 in matmul": torch.backends.cuda.matmul.allow_tf32,
        "tf32 in cudnn": torch.backends.cudnn.allow_tf32,
    }


def _set_flags(flags: dict[str, Any]) -> None:
    torch.set_num_threads(flags["number of threads"])
    torch.use_deterministic_algorithms(flags["deterministic algorithms"])
    torch.set_default_dtype(flags["default dtype"])
    if torch.get_default_device() != flags["default device"]:
        torch.set_default_device(flags["default device"])
    torch.set_grad_enabled(flags["gradient mode"])
    torch.autograd.set_detect_anomaly(flags["anomaly detection"])
    torch.backends.cudnn.benchmark = flags["cudnn benchmark"]
    torch.backends.cuda.matmul.allow_tf32 = flags["tf32 in matmul"]
    torch.backends.cudnn.allow_tf32 = flags["tf32 in cudnn"]


def _open_files() -> Counter[str]:
    """The targets of this process's descriptors; empty where the system does not tell."""
    found: Counter[str] = Counter()
    folder = Path("/proc/self/fd")
    for link in folder.iterdir() if folder.is_dir() else ():
        try:
            found[str(link.readlink())] += 1
        except OSError:  # the descriptor of this listing itself
            continue
    return found
