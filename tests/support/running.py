"""The command line in a process of its own, what a run leaves, and pytest inside a test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SMOKE_TRIALS = 8 * 2  # rows (erm, erm-ft, magnitude twice, random, jtt, rigl, rest) x seeds


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
                if folder == "records" and path.parent.name != "test" and path.suffix == ".json":
                    content = json.dumps(json.loads(content)["body"]).encode()
                found[str(path.relative_to(results))] = content
    return found


def on_a_terminal(*arguments: str, cwd: Path, columns: int = 100) -> str:
    """What the command line shows on a terminal of that width; its standard error goes elsewhere."""
    import pty

    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "LINES": "40"}
    command = [sys.executable, "-m", "benchbias", *arguments]
    with subprocess.Popen(command, cwd=cwd, env=environment, stdout=theirs, stderr=subprocess.DEVNULL) as process:
        os.close(theirs)
        found = bytearray()
        try:
            while part := os.read(ours, 65536):
                found += part
        except OSError:  # Linux: the other end is closed
            pass
    os.close(ours)
    assert process.returncode == 0, found
    return found.decode().replace("\r\n", "\n")
