"""Shared by all tests: one smoke run of the session, and a command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

collect_ignore = ["third_party"]  # it has an environment of its own: test_third_party

SMOKE_TRIALS = 8 * 2  # rows (erm, erm-ft, magnitude twice, random, jtt, rigl, rest) x seeds


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


def benchbias(
    *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, away from the checkout's benchmarks.toml unless `cwd` says so."""
    return subprocess.run(
        [sys.executable, "-m", "benchbias", *arguments],
        cwd=cwd or "/",
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="session")
def cli(plugin_cache: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line, as a function: cli("ls", "suites", cwd=...)."""
    return benchbias


class Verdicts:
    """A pytest plugin that notes the outcome of every test: name -> passed, failed or skipped (xfailed too)."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.found[report.nodeid.split("::")[-1]] = report.outcome


def outcomes_of(*paths: Path) -> dict[str, str]:
    """Run pytest on files or folders in this process, where torch is there already; the outcome of every test."""
    verdicts = Verdicts()
    pytest.main(["-q", "-p", "no:cacheprovider", *map(str, paths)], plugins=[verdicts])
    return verdicts.found


def tree(results: Path) -> dict[str, bytes]:
    """Everything that must not differ between runs: objects, blobs, record bodies, leaderboards."""
    import json

    found = {}
    for folder in ("objects", "blobs", "records", "leaderboards"):
        for path in sorted((results / folder).rglob("*")):
            if path.is_file():
                content = path.read_bytes()
                if folder == "records" and path.parent.name != "test":
                    content = json.dumps(json.loads(content)["body"]).encode()
                found[str(path.relative_to(results))] = content
    return found
