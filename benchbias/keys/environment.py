"""The part of a machine and its packages that decides a result's bytes; read without importing torch."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import platform
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from benchbias.errors import UsageError
from benchbias.keys.cards import chosen_cards
from benchbias.util.packages import version_of
from benchbias.util.streams import UTF8

THREADS = 1  # in every stage, whatever --jobs is: other thread counts give other bytes

PACKAGES = ("torchvision", "timm", "numpy", "scipy", "scikit-learn", "safetensors")
"""Besides torch: the packages whose versions stand in every key. safetensors writes the files of every product."""

WORKER_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "OMP_NUM_THREADS": str(THREADS),
        "MKL_NUM_THREADS": str(THREADS),
        "OPENBLAS_NUM_THREADS": str(THREADS),
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "PYTHONHASHSEED": "0",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow, which pandas imports: no thread before a fork
        **UTF8,
    }
)

MEMORY_SETTINGS: Mapping[str, str] = MappingProxyType(
    {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 31)}
)
"""How glibc keeps what a training step frees for the next one, instead of asking the kernel again: no byte changes."""

_DECIDES_BYTES = re.compile(r"^(MKL|ONEDNN|DNNL|OMP|KMP|ATEN|TORCH|CUBLAS|OPENBLAS|GOTO|NPY|PYTORCH)_")


def worker_environment(base: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of workers: those that change the bytes removed, our own set.

    Settings of the user's own for memory stay (`MALLOC_...`, `GLIBC_TUNABLES`).
    """
    kept = {name: value for name, value in base.items() if not _DECIDES_BYTES.match(name)}
    own = "glibc.malloc" in base.get("GLIBC_TUNABLES", "")
    return ({} if own else dict(MEMORY_SETTINGS)) | kept | dict(WORKER_SETTINGS)


@functools.cache
def describe_environment(device: str) -> Mapping[str, object]:
    """The environment field of every stage key. Raises UsageError where the device is not there."""
    return MappingProxyType(
        {
            "torch": torch_version(),
            "packages": {name: version_of(name) for name in PACKAGES},
            "device": device_name(device),
            "cpu": cpu(),
            "threads": THREADS,
            "deterministic": True,
        }
    )


def provenance() -> dict[str, object]:
    """The benchbias that ran: its version and, from a checkout, the commit and whether it was changed since."""
    found: dict[str, object] = {"benchbias": version_of("benchbias")}
    package = Path(__file__).parent.parent
    ours = [".", *(f"../{name}" for name in ("plugins", "benchmarks.toml") if (package.parent / name).exists())]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        commit = _git(package, "rev-parse", "HEAD")
        if commit and _git(package, "ls-files", "__init__.py"):
            found |= {"commit": commit, "dirty": bool(_git(package, "status", "--porcelain", "--", *ours))}
    return found


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, timeout=10, check=False)
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""


def torch_version() -> str:
    """torch's version with its build, e.g. 2.15.0+cu132, from its version file. Raises UsageError if absent."""
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        raise UsageError("torch is not installed in this environment (pip install torch)")
    try:
        text = Path(spec.submodule_search_locations[0], "version.py").read_text(encoding="utf-8")
    except OSError:
        raise UsageError("torch is broken in this environment: it has no version.py (pip install torch)") from None
    found = re.search(r"__version__ = '([^']+)'", text)
    return found.group(1) if found else version_of("torch")


@functools.cache
def cpu() -> str:
    """The CPU's model and a digest of its feature flags, from the system."""
    model, flags = platform.processor() or platform.machine(), ""
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            name, _, value = (part.strip() for part in line.partition(":"))
            if name == "model name":
                model = value
            if name in ("flags", "Features"):
                flags = " ".join(sorted(value.split()))
                break
    except OSError:  # no Linux: the platform's name must do
        pass
    return f"{platform.machine()} {model} {hashlib.sha256(flags.encode()).hexdigest()[:12]}"


def device_name(device: str) -> str:
    """`cpu`, or `cuda` with the model of the cards that the device names. Raises UsageError."""
    cards = chosen_cards(device)
    return f"cuda {cards[0].model}" if cards else "cpu"
