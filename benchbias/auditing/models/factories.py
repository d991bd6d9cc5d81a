"""A user's own function that makes a network: `FILE.py:FUNCTION`. It is run because the user names it."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import inspect
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from benchbias.errors import BenchbiasError, DataError, UsageError, first_line
from benchbias.network.refusals import UNSUPPORTED
from benchbias.util import canonical

NAME = "benchbias_audit_factory"
LINES, LINE = 3, 160  # of an error's text: lines, and letters of each
INSTALLED = {"site-packages", "dist-packages"}
"""Folders of installed packages."""


@dataclass(frozen=True)
class MadeByFactory:
    """The value that a factory returned. whole: it took the file itself, or needs none. sources: a digest of code."""

    value: Any
    whole: bool
    sources: str


def made_by(text: str, file: Path | None) -> MadeByFactory:
    """Call a factory: one that takes an argument is given the file of weights, one without makes the network alone.

    Raises UsageError where there is no such function, and DataError where it fails, naming the line.
    """
    place, _, name = text.rpartition(":")
    script = Path(place)
    with _folder_on_path(script.absolute().parent):
        function = getattr(_module(script), name, None)
        if not callable(function):
            raise UsageError(f"{script} has no function {name!r}")
        takes = _takes_file(function, text)
        if takes and file is None:
            raise UsageError(f"{text} takes the file of weights: name it (FILE={text})")
        value = _called(script, lambda: function(file) if takes else function())
        return MadeByFactory(value, takes or file is None, _sources_digest())


def _module(script: Path) -> ModuleType:
    if not script.is_file():
        raise UsageError(f"{script}: no such Python file (a factory is FILE.py:FUNCTION)")
    spec = importlib.util.spec_from_file_location(NAME, script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    loader = spec.loader
    _called(script, lambda: loader.exec_module(module))
    return module


def _takes_file(function: Callable[..., Any], text: str) -> bool:
    """Whether a factory takes one argument. Raises UsageError where it needs more."""
    empty = inspect.Parameter.empty
    parameters = inspect.signature(function).parameters.values()
    needed = [
        one.name for one in parameters if one.default is empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    if len(needed) > 1 or any(one.kind is one.KEYWORD_ONLY for one in parameters if one.name in needed):
        raise UsageError(f"{text} needs {', '.join(needed)}: a factory takes the file of weights, or nothing")
    return bool(needed)


def _called(script: Path, call: Callable[[], Any]) -> Any:
    """Call a user's code; what it raises becomes one line with the place in the user's file."""
    try:
        return call()
    except BenchbiasError:
        raise
    except SyntaxError as error:
        raise DataError(f"{script}, line {error.lineno}: {error.msg}") from None
    except (Exception, SystemExit) as error:
        frames = [
            frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == script.name
        ]
        line = f", line {frames[-1].lineno}" if frames else ""
        raise DataError(f"{script}{line}: {type(error).__name__}: {_cause(error)}") from None


def _cause(error: BaseException) -> str:
    """The first line of an error, and those that follow it where it only announces them, as torch's does."""
    first = first_line(error)
    if "Weights only load failed" in first:  # torch's advice is to run the file's code
        named = UNSUPPORTED.search(str(error))
        return f"the file holds more than tensors ({named[1]})" if named else "the file is none of tensors alone"
    if not first.rstrip().endswith(":"):
        return first
    lines = [" ".join(line.split()).rstrip(".") for line in str(error).splitlines()[1:]]
    told = [line if len(line) <= LINE else f"{line[:LINE]}..." for line in lines if line]
    more = f"; and {len(told) - LINES} more lines" if len(told) > LINES else ""
    return f"{first} {'; '.join(told[:LINES])}{more}"


@contextlib.contextmanager
def _folder_on_path(folder: Path) -> Iterator[None]:
    """Let a script import the files beside it, as if Python ran it; afterwards their names are free for another's."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if name not in before and isinstance(file, str) and Path(file).is_relative_to(folder):
                del sys.modules[name]
        sys.modules.pop(NAME, None)


def _sources_digest() -> str:
    """The sha256 of all Python files that this process has imported, but for the standard library.

    Of an installed package it is when its first file was written, which an upgrade changes. So an edit of a factory, or
    of what it imports, makes another network.
    """
    standard = f"{sysconfig.get_paths()['stdlib']}{os.sep}"
    found: dict[str, str] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str):
            continue
        path = Path(file)
        with contextlib.suppress(OSError):
            if INSTALLED & set(path.parts):
                if "." not in name:
                    found[file] = str(path.stat().st_mtime_ns)
            elif path.suffix == ".py" and not file.startswith(standard):
                found[file] = hashlib.sha256(path.read_bytes()).hexdigest()
    return canonical.digest(found)
