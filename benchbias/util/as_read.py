"""Modules that run as they were read: from their sources, never from a form of them that was compiled before.

Python takes a compiled form (`__pycache__`) for that of a source which has its size and its time of change to the
second. A source that was edited within the second, or that was given an old time, would run as it was before. So what
stands in keys is compiled anew in each process. What was read is noted, to be compared with what lies there later.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NoReturn


class SourceLoader(SourceFileLoader):
    """Compiles a module from its source. read: takes the sha256 of that source, by its path."""

    def __init__(self, name: str, path: str, read: dict[str, str]) -> None:
        super().__init__(name, path)
        self._read = read

    def path_stats(self, path: object) -> NoReturn:
        """Tell nothing of the source, by which a compiled form could be taken for its own, or be written."""
        raise OSError("no compiled form is used")

    def source_to_code(self, data: Any, path: Any, **options: Any) -> CodeType:  # type: ignore[override]
        """Compile a source, and note what it is."""
        code: CodeType = super().source_to_code(data, path, **options)
        if isinstance(data, bytes):
            self._read[str(path)] = hashlib.sha256(data).hexdigest()
        return code


class AsRead:
    """A finder that stands before all others: what these find, of the modules that it covers, runs as it is read.

    Modules are covered by their name, or with all of their top package.
    """

    def __init__(self) -> None:
        self.modules: set[str] = set()
        self.packages: set[str] = set()
        self.read: dict[str, str] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module as the other finders do. One with a source is loaded by a SourceLoader."""
        if name not in self.modules and name.partition(".")[0] not in self.packages:
            return None
        for finder in [finder for finder in sys.meta_path if finder is not self]:
            if (spec := finder.find_spec(name, path, target)) is not None:
                if type(spec.loader) is SourceFileLoader:
                    spec.loader = self.loader(name, spec.loader.path)
                return spec
        return None

    def loader(self, name: str, path: str) -> SourceLoader:
        """Make the loader of one module."""
        return SourceLoader(name, path, self.read)

    def changed(self) -> str | None:
        """The first file that is no longer what was run of it; None where all are."""
        return next((path for path, digest in self.read.items() if _digest(path) != digest), None)


def run_as_read(modules: Iterable[str] = (), packages: Iterable[str] = ()) -> AsRead:
    """Let modules, and all modules of top packages, run as they are read, where this process has not imported them."""
    found = next((finder for finder in sys.meta_path if isinstance(finder, AsRead)), None)
    if found is None:
        found = AsRead()
        sys.meta_path.insert(0, found)
    found.modules.update(modules)
    found.packages.update(packages)
    return found


def _digest(path: str) -> str | None:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return None
