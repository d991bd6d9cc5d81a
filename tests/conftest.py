"""Shared by all tests: one smoke run of the session, and the command line."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import warm
from support.running import benchbias

os.environ["OMP_NUM_THREADS"] = "1"  # as in a worker: more threads only wait for each other on data this small

collect_ignore = ["support"]  # third_party has an environment of its own: distributions/test_third_party.py


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this session, the same for all processes of pytest-xdist."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session", autouse=True)
def plugin_cache(session_folder: Path) -> Path:
    """Descriptions of plugins go to a folder of this session, never to the user's cache."""
    folder = session_folder / "cache"
    os.environ["BENCHBIAS_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def server(plugin_cache: Path) -> Iterator[warm.Server]:
    """Forks processes of benchbias, also those that runs inside of tests start."""
    with warm.Server() as found, warm.forking(found.fork):
        yield found


@pytest.fixture(scope="session")
def smoke(session_folder: Path, plugin_cache: Path) -> Path:
    """The results folder of an undisturbed smoke run with one job, in interpreters of its own. Never write to it."""
    out = session_folder / "smoke" / "results"
    out.parent.mkdir(exist_ok=True)
    with (session_folder / "smoke.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.exists():
            made = out.with_name("made")
            done = benchbias("run", "-s", "smoke", "-o", str(made), "-j", "1", "-q", cwd=out.parent)
            assert done.returncode == 0, done.stderr
            made.rename(out)
    return out


@pytest.fixture
def fast() -> Iterator[Path]:
    """A folder in memory where there is one: thousands of fsyncs of a disk would take minutes."""
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def cli(server: warm.Server) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line, as a function: cli("ls", "suites", cwd=...). Where env is given, it is forked from nothing."""

    def call(*arguments: str, env: dict[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
        return benchbias(*arguments, env=env, **options) if env else server.call(*arguments, **options)

    return call


LONG_CHECKS = re.compile(
    r"test_what_benchbias_comes_with_keeps_its_contract\[(pruner-mrm|model-(resnet|vit|wide))(?!20)"
)
"""Checks of components that take a fifth of all that time; resnet20 stands for its kind in the quick tier."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the long checks slow: their parameters are made by benchbias.testing, where no mark can stand."""
    for item in items:
        if LONG_CHECKS.search(item.name):
            item.add_marker(pytest.mark.slow)
