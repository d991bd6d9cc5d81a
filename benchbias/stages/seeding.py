"""Seeds by role: a random stream depends on (trial seed, role) and on nothing else."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Role = Literal["data", "init", "order", "augment", "torch", "method"]


def seed_for(seed: int, role: Role) -> int:
    """The 63-bit seed of one role: never of worker, order, component or place in the chain of stages.

    So a method in its degenerate setting draws the very numbers that plain ERM draws.
    """
    return int.from_bytes(hashlib.sha256(f"benchbias|{seed}|{role}".encode()).digest()[:8], "big") >> 1


def generator(seed: int, role: Role) -> torch.Generator:
    """A CPU generator for one role."""
    import torch

    return torch.Generator().manual_seed(seed_for(seed, role))


def seed_everything(seed: int, role: Role = "torch") -> None:
    """Seed the global streams of python, numpy and torch: for code that does not take a generator."""
    import numpy as np
    import torch

    value = seed_for(seed, role)
    random.seed(value)
    np.random.seed(value % 2**32)
    torch.default_generator.manual_seed(value)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch.manual_seed costs 0.07 s a process where it is not
        torch.cuda.manual_seed_all(value)
