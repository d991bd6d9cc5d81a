"""Packages that may be absent: their versions, our extras, and the one message that says what to install."""

from __future__ import annotations

import contextlib
import email
import functools
import importlib
import importlib.metadata
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchbias.errors import UsageError

EXTRAS: Mapping[str, str] = MappingProxyType(
    {
        "figures": "matplotlib",
        "frames": "pandas",
        "pruning": "torch-pruning",
        "fairness": "fairlearn",
        "pages": "mkdocs-material",
    }
)
"""Extra -> the package that it brings, as pyproject.toml has them."""


UNREADABLE = "unreadable"


def version_of(package: str) -> str:
    """The version of an installed package; `absent`, or `unreadable` where its metadata does not tell."""
    try:
        return _installed(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
    except Exception:  # whatever reading a malformed file raises
        return UNREADABLE


@functools.cache
def _installed(package: str) -> str:
    """Look once: planning asks for every stage. An error is not kept, so a package that is installed later is seen."""
    return importlib.metadata.version(package) or UNREADABLE


def distributions() -> Iterator[importlib.metadata.Distribution]:
    """All installed distributions: a fault in finding them ends the search and nothing else."""
    with contextlib.suppress(Exception):
        yield from importlib.metadata.distributions()


def special_file(distribution: importlib.metadata.Distribution) -> str | None:
    """The name of a metadata file that is a pipe, a device or a socket, whose reading might never end; None if none."""
    folder = getattr(distribution, "_path", None)
    if not isinstance(folder, Path):
        return None
    for name in ("METADATA", "PKG-INFO", "entry_points.txt"):
        with contextlib.suppress(OSError):
            mode = (folder / name).stat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                return name
    return None


def spare_broken_distributions() -> None:
    """Let `entry_points()` leave out what cannot be read, in this process.

    torch, triton, pydantic and fsspec ask for the entry points of all distributions while they are imported: one
    malformed file of any distribution would end that.
    """
    original = importlib.metadata.entry_points
    if getattr(original, "func", None) is not _readable_entry_points:
        importlib.metadata.entry_points = functools.partial(_readable_entry_points, original)


def _readable_entry_points(original: Callable[..., Any], **parameters: Any) -> Any:
    there = list(distributions())
    plain = [distribution for distribution in there if special_file(distribution) is None]
    if len(plain) == len(there):
        with contextlib.suppress(Exception):
            return original(**parameters)
    found: dict[str, list[importlib.metadata.EntryPoint]] = {}
    for distribution in plain:
        with contextlib.suppress(Exception):
            found.setdefault(distribution.name, list(distribution.entry_points))
    entries = importlib.metadata.EntryPoints(entry for entries in found.values() for entry in entries)
    return entries.select(**parameters)


def version_now(package: str) -> str:
    """The same as `version_of`, looked up again: a package may have been upgraded since. Its text is parsed once."""
    try:
        text = importlib.metadata.distribution(package).read_text("METADATA")
        return _version_in(text or "") or version_of(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
    except (OSError, ValueError):  # a text that is none: as it was at first
        return version_of(package)


def places_of(packages: Iterable[str]) -> list[Path]:
    """The files that tell the versions of packages, and the folders in which others could appear."""
    found = [Path(place or ".") for place in sys.path]
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError, OSError, ValueError):
            folder = getattr(importlib.metadata.distribution(package), "_path", None)
            found += [folder, folder / "METADATA"] if isinstance(folder, Path) else []
    return found


@functools.lru_cache(maxsize=64)
def _version_in(text: str) -> str | None:
    return email.message_from_string(text)["Version"]


def needs(what: str, package: str, install: str) -> str:
    """Say that something needs a package that is absent. install: what `pip install` takes for it."""
    return f"{what} needs {package}, which is not here: pip install '{install}'"


def require(module: str, *, extra: str, what: str) -> None:
    """Import the module of an extra. what: is made with it, for the message. Raises UsageError where it cannot be."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        package, install = EXTRAS[extra], f"benchbias[{extra}]"
        if version_of(package) == "absent":
            raise UsageError(needs(what, package, install)) from None
        raise UsageError(f"{what} needs {package}, which is broken here ({error}): pip install '{install}'") from None
