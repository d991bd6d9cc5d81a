"""Shared by all tests: one smoke run of the session, and a command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.running import benchbias

os.environ["OMP_NUM_THREADS"] = "1"  # as in a worker: more threads only wait for each other on data this small

collect_ignore = ["support"]  # third_party has an environment of its own: distributions/test_third_party.py


@pytest.fixture(scope="session", autouse=True)
def plugin_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Descriptions of plugins go to a folder of this session, never to the user's cache."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    os.environ["BENCHBIAS_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory, plugin_cache: Path) -> Path:
    """The results folder of an undisturbed smoke run with one job. Read it, never write to it."""
    out = tmp_path_factory.mktemp("smoke") / "results"
    done = benchbias("run", "-s", "smoke", "-o", str(out), "-j", "1", "-q", cwd=out.parent)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def fast() -> Iterator[Path]:
    """A folder in memory where there is one: thousands of fsyncs of a disk would take minutes."""
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def cli(plugin_cache: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line, as a function: cli("ls", "suites", cwd=...)."""
    return benchbias
