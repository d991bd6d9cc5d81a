"""A commit of this repository, checked out aside and run as if it were installed; its board and its records."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .rows import Absent

ROOT = Path(__file__).parent.parent.parent


@contextlib.contextmanager
def worktree(commit: str) -> Iterator[Path]:
    """The files of a commit in a folder for the time of the block. Raises Absent for an unknown commit."""
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder) / "checkout"
        done = git("worktree", "add", "--detach", str(there), commit)
        if done.returncode:
            raise Absent(f"git has no commit {commit!r}: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
        try:
            yield there
        finally:
            git("worktree", "remove", "--force", str(there))


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def installed(checkout: Path, scratch: Path) -> dict[str, str]:
    """The environment in which `python -m benchbias` is this checkout, with the plugins that its pyproject.toml names.

    scratch: an empty folder, for the metadata that an installation would write.
    """
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    metadata = scratch / f"benchbias-{project['version']}.dist-info"
    metadata.mkdir(parents=True)
    head = f"Metadata-Version: 2.1\nName: benchbias\nVersion: {project['version']}\n"
    (metadata / "METADATA").write_text(head, encoding="utf-8")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(groups), encoding="utf-8")
    path = os.pathsep.join(map(str, (scratch, checkout, checkout / "plugins")))
    return os.environ | {"PYTHONPATH": path}


def board(results: Path, suite: str) -> str:
    """The board of a results folder, without the commit that made it."""
    text = (results / "leaderboards" / f"{suite}.md").read_text(encoding="utf-8")
    return re.sub(r", commit [0-9a-f]+(, dirty)?", "", text)


def bodies(results: Path, suite: str) -> Mapping[str, Any]:
    """Everything that the records say, by trial, but the keys of stages: those name the sources that computed them."""
    files = [file for file in (results / "records" / suite).glob("*.json") if len(file.stem) == 64]
    found = {file.stem: json.loads(file.read_text(encoding="utf-8"))["body"] for file in files}
    return {trial: {name: value for name, value in body.items() if name != "stages"} for trial, body in found.items()}
