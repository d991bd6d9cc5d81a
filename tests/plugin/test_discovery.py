"""Plugins are found beside distributions that others have packed badly: each of these costs itself only."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchbias.plugin.discovery import discover
from benchbias.plugin.registry import load_registry
from benchbias.util.packages import spare_broken_distributions, version_of
from support import afflicted
from support.running import benchbias

BROKEN = {
    "not-utf-8": "odd",
    "no-value": "odd:x",
    "no-name": "odd:",
    "no-equals": "odd:just a line",
    "three-words": "odd:x",
    "twice": "odd:x",
    "colons": "odd:x",
}
"""Entry points that concern benchbias, and the plugin that is told to be broken."""

UNREADABLE = {"utf-16"}
"""Those of which nobody can say whether they do."""


@pytest.mark.parametrize("name", afflicted.DISTRIBUTIONS)
def test_a_malformed_distribution_costs_itself_only(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(afflicted.distribution(tmp_path / "odd", "odd", afflicted.DISTRIBUTIONS[name]))
    monkeypatch.syspath_prepend(
        afflicted.distribution(tmp_path / "sound", "sound", b"[benchbias]\nfine = json.tool:main\n")
    )
    found = discover()
    names = {ref.name: ref for ref in found.refs}
    assert (names["sound:fine"].module, names["sound:fine"].attribute) == ("json.tool", "main")
    assert sum(ref.distribution == "benchbias" for ref in found.refs) > 40
    assert set(found.broken) == ({BROKEN[name]} if name in BROKEN else set())
    assert len(found.unreadable) == int(name in UNREADABLE)
    for reason in (*(broken.reason for broken in found.broken.values()), *found.unreadable.values()):
        assert reason.isprintable()
        assert "entry_points.txt" in reason or "two entry points" in reason


@pytest.mark.parametrize("metadata", [b"", b"\xff\xfe", b"Version: 2.0\n", b"Name: \n", b"Name: other\n"], ids=str)
def test_a_distribution_without_a_name_or_a_version_has_those_of_its_folder(
    metadata: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(afflicted.distribution(tmp_path, "odd", b"[benchbias]\nx = json\n", metadata))
    (ref,) = [ref for ref in discover().refs if ref.name in ("odd:x", "other:x")]
    assert ref.version in ("1.0", "2.0")
    assert isinstance(version_of(ref.distribution), str)


def test_a_good_line_beside_a_bad_one_is_a_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    entries = b"[benchbias]\nbad\n# a remark\ngood = json\n\xff\n[other]\nelse = json\n"
    monkeypatch.syspath_prepend(afflicted.distribution(tmp_path, "odd", entries))
    found = discover()
    assert {ref.name for ref in found.refs if ref.distribution == "odd"} == {"odd", "odd:bad", "odd:good", "odd:\ufffd"}
    assert set(found.broken) == {"odd", "odd:bad", "odd:\ufffd"}


class Finder:
    """A finder of modules, another's, that cannot stand a name."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name == "haunted":
            raise ValueError("no such ghost")


def test_a_finder_that_raises_breaks_one_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(afflicted.distribution(tmp_path, "odd", b"[benchbias]\nx = haunted\n"))
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    registry = load_registry(quiet=True)
    assert "no such ghost" in registry.broken["odd:x"].reason
    assert ("pruner", "magnitude") in registry.components


def test_other_packages_are_spared_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """torch, triton, pydantic and fsspec ask for all entry points while they are imported."""
    now = importlib.metadata.entry_points
    original = now.args[0] if isinstance(now, functools.partial) else now  # a command in this process may have spared
    monkeypatch.setattr(importlib.metadata, "entry_points", original)
    monkeypatch.syspath_prepend(afflicted.distribution(tmp_path, "odd", afflicted.DISTRIBUTIONS["not-utf-8"]))
    with pytest.raises(UnicodeDecodeError):
        original(group="console_scripts")
    spare_broken_distributions()
    spare_broken_distributions()
    names = {entry.name for entry in importlib.metadata.entry_points(group="console_scripts")}
    assert "pytest" in names
    assert not {entry.name for entry in importlib.metadata.entry_points(group="no such group")}


@pytest.mark.parametrize("file", ["METADATA", "entry_points.txt"])
def test_a_pipe_in_a_distribution_is_no_end_of_any_command(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """To read it would never end."""
    (tmp_path / "odd-1.0.dist-info").mkdir()
    os.mkfifo(tmp_path / "odd-1.0.dist-info" / file)
    monkeypatch.setattr(importlib.metadata, "entry_points", importlib.metadata.entry_points)
    monkeypatch.syspath_prepend(tmp_path)
    found = discover()
    assert found.unreadable == {str(tmp_path / "odd-1.0.dist-info"): f"its {file} is no plain file"}
    assert any(ref.name == "magnitude" or ref.module.endswith("magnitude") for ref in found.refs)
    spare_broken_distributions()
    assert "pytest" in {entry.name for entry in importlib.metadata.entry_points(group="console_scripts")}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["not-utf-8", "foreign-line"])
def test_a_run_trains_beside_it(name: str, tmp_path: Path):
    afflicted.distribution(tmp_path / "site", "odd", afflicted.DISTRIBUTIONS[name])
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}
    arguments = ("run", "-s", "smoke", "-m", "erm", "--seed", "0", "-j", "1", "--json")
    done: subprocess.CompletedProcess[str] = benchbias(*arguments, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert '"ok": 1' in done.stdout
