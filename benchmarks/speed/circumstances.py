"""The machine, the packages and the commit of a measurement, and how busy the machine was."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import re
from collections.abc import Mapping

from benchbias.keys.environment import cpu, provenance, torch_version

PEERS = ("spuco", "torch-pruning", "torchvision")


def circumstances() -> dict[str, str]:
    """Machine, torch, peers, date, commit and load, as the page shows them."""
    known = provenance()
    commit = str(known.get("commit", ""))[:10] or f"benchbias {known['benchbias']}"
    return {
        "machine": f"{re.sub(r' [0-9a-f]{12}$', '', cpu())}, {os.cpu_count()} CPUs",
        "torch": torch_version(),
        "peers": ", ".join(f"{name} {version(name)}" for name in PEERS),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit + (" with changes" if known.get("dirty") else ""),
        "load": busy(os.getloadavg()[0], os.cpu_count() or 1),
    }


def busy(load: float, cpus: int) -> str:
    """The load before the measurement, and whether it leaves less than one CPU idle."""
    return f"{load:.1f}" + (" (busy)" if load > cpus - 1 else "")


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def same(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two parts were measured on one machine with the same packages."""
    return all(one[name] == other[name] for name in ("machine", "torch"))
