"""On a terminal `run` and `leaderboard` show a table that fits it; a pipe gets markdown."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

pytestmark = pytest.mark.slow


def on_a_terminal(*arguments: str, columns: int) -> tuple[list[str], str, int]:
    """The lines that a command writes to a terminal of so many columns, its standard error, and its exit code."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "benchbias", *arguments]
    env = {**os.environ, "COLUMNS": str(columns), "LINES": "40"}
    child = subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=env, cwd="/")
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while piece := os.read(ours, 1 << 16):
            written += piece
    assert child.stderr is not None
    errors = child.stderr.read().decode()
    os.close(ours)
    return written.decode().replace("\r\n", "\n").rstrip("\n").split("\n"), errors, child.wait()


@pytest.mark.parametrize("columns", [60, 100])
def test_a_terminal_gets_a_table_that_fits_and_the_place_of_the_whole_board(smoke: Path, columns: int):
    lines, _, code = on_a_terminal("leaderboard", "smoke", "-o", str(smoke), columns=columns)
    assert code == 0
    table = lines[: next(at for at, line in enumerate(lines) if line.startswith("The full board:"))]
    assert max(map(cell_len, table)) <= columns
    assert "| " not in "\n".join(lines), "no markdown"
    assert any(line.split()[0] == "magnitude," for line in table if line)
    assert lines[-2] == f"The full board: {smoke}/leaderboards/smoke.md"
    assert lines[-1] == f"With charts: `benchbias report smoke -o report.html --out {smoke}`"


@pytest.mark.parametrize("option", [("--markdown",), ("--to", "-")])
def test_markdown_may_be_asked_for_on_a_terminal(smoke: Path, option: tuple[str, ...]):
    lines, _, _ = on_a_terminal("leaderboard", "smoke", "-o", str(smoke), *option, columns=60)
    assert "\n".join(lines) + "\n" == (smoke / "leaderboards/smoke.md").read_text()


def test_chosen_columns_on_a_terminal(smoke: Path):
    arguments = ("leaderboard", "smoke", "-o", str(smoke), "--columns", "label,gap,n")
    lines, _, _ = on_a_terminal(*arguments, columns=80)
    assert lines[0].split() == ["label", "gap", "n"]
    assert [line.split()[0] for line in lines[1:3]]


def test_a_run_ends_with_the_same_table(smoke: Path, tmp_path: Path):
    out = str(shutil.copytree(smoke, tmp_path / "out"))
    ran, errors, code = on_a_terminal("run", "-s", "smoke", "-o", out, columns=80)
    read, _, _ = on_a_terminal("leaderboard", "smoke", "-o", out, columns=80)
    assert code == 0
    assert ran == read
    assert "leaderboard: " in errors
