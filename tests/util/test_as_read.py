"""What is covered runs as its source lies there, whatever was compiled of it before; and it is known what was run."""

from __future__ import annotations

import importlib
import importlib.util
import os
import py_compile
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path

import pytest

from benchbias.util.as_read import AsRead, run_as_read


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules, and a process in which nothing is covered."""
    monkeypatch.setattr(sys, "meta_path", [finder for finder in sys.meta_path if not isinstance(finder, AsRead)])
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def stale(path: Path, was: str = "VALUE = 1\n", now: str = "VALUE = 2\n", *, mode: str = "TIMESTAMP") -> Path:
    """A source that was compiled, and then edited to another of the same size and time."""
    assert len(was) == len(now)
    path.parent.mkdir(exist_ok=True)
    path.write_text(was)
    py_compile.compile(str(path), doraise=True, invalidation_mode=py_compile.PycInvalidationMode[mode])
    found = path.stat()
    path.write_text(now)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    importlib.invalidate_caches()
    return path


def value(name: str) -> int:
    found: int = importlib.import_module(name).VALUE
    return found


def test_without_it_an_edit_of_the_same_size_and_time_is_not_seen(folder: Path):
    stale(folder / "stale_module.py")
    assert value("stale_module") == 1


@pytest.mark.parametrize("mode", ["TIMESTAMP", "UNCHECKED_HASH"])
def test_a_module_runs_as_its_source_lies_there(folder: Path, mode: str):
    path = stale(folder / "stale_module.py", mode=mode)
    cached = Path(importlib.util.cache_from_source(str(path)))
    content = cached.read_bytes()
    run_as_read(["stale_module"])
    assert value("stale_module") == 2
    assert cached.read_bytes() == content, "what others compiled is theirs"


def test_only_the_modules_that_are_named_are_covered_and_all_of_a_top_package(folder: Path):
    for name in ("ours/__init__.py", "ours/named.py", "ours/other.py", "theirs/__init__.py", "theirs/deep.py"):
        stale(folder / name)
    (folder / "spaced").mkdir()
    stale(folder / "spaced" / "deep.py")  # a namespace package
    run_as_read(["ours.named"], ["theirs", "spaced"])
    values = {
        name: value(name) for name in ("ours", "ours.named", "ours.other", "theirs", "theirs.deep", "spaced.deep")
    }
    assert values == {"ours": 1, "ours.named": 2, "ours.other": 1, "theirs": 2, "theirs.deep": 2, "spaced.deep": 2}
    assert set(run_as_read().read) == {
        str(folder / name) for name in ("ours/named.py", "theirs/__init__.py", "theirs/deep.py", "spaced/deep.py")
    }


def test_one_process_has_one_such_finder_and_it_stands_first(folder: Path):
    assert run_as_read(["a"]) is run_as_read(packages=["b"]) is sys.meta_path[0]
    assert run_as_read().modules == {"a"}
    assert run_as_read().packages == {"b"}


class _Own(SourceFileLoader):
    """The loader of another, such as one that rewrites assertions."""


class _Finder:
    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        loader = _Own(name, self._path)
        return importlib.util.spec_from_loader(name, loader) if name == "rewritten" else None


def test_what_another_finder_loads_in_its_own_way_is_left_to_it(folder: Path):
    (folder / "rewritten.py").write_text("VALUE = 3\n")
    sys.meta_path.insert(0, _Finder(folder / "rewritten.py"))
    run_as_read(packages=["nowhere_at_all", "rewritten", "sys"])
    assert value("rewritten") == 3
    assert type(sys.modules["rewritten"].__loader__) is _Own
    assert importlib.util.find_spec("nowhere_at_all") is None
    assert run_as_read().read == {}


def test_it_is_seen_that_something_else_was_run_than_lies_there(folder: Path):
    (folder / "edited.py").write_text("VALUE = 1\n")
    found = run_as_read(["edited"])
    (folder / "edited.py").write_text("VALUE = 2\n")
    assert value("edited") == 2
    assert found.changed() is None
    (folder / "edited.py").write_text("VALUE = 1\n")
    assert found.changed() == str(folder / "edited.py")
    (folder / "edited.py").write_text("VALUE = 2\n")
    assert found.changed() is None
    (folder / "edited.py").unlink()
    assert found.changed() == str(folder / "edited.py")


def test_a_module_with_an_error_is_told_of_by_its_line(folder: Path):
    (folder / "wrong.py").write_text("VALUE = 1\nVALUE = = 2\n")
    run_as_read(["wrong"])
    with pytest.raises(SyntaxError) as caught:
        value("wrong")
    assert (caught.value.filename, caught.value.lineno) == (str(folder / "wrong.py"), 2)
