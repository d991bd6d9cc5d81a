"""An environment without our extras: what `pip install .` alone gives, made of links to the packages of this one."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterable
from pathlib import Path

from benchbias.util.packages import EXTRAS
from support import ROOT

Run = Callable[..., subprocess.CompletedProcess[str]]


def entries_of(package: str) -> set[str]:
    """The names at the top of site-packages that a distribution put there, its metadata too."""
    files = importlib.metadata.files(package) or []
    return {file.parts[0] for file in files if file.parts[0] not in ("..", "__pycache__")}


def bare_environment(folder: Path, without: Iterable[str] = tuple(EXTRAS.values())) -> Path:
    """The Python of a virtual environment in which these distributions are absent: no modules and no metadata."""
    venv.create(folder, symlinks=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    left_out = {name for package in without for name in entries_of(package)}
    for there in [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]:
        for entry in Path(there).iterdir():
            if entry.name not in left_out and entry.suffix != ".pth" and not (site / entry.name).exists():
                (site / entry.name).symlink_to(entry)
    (site / "checkout_of_the_tests.pth").write_text(f"{ROOT}\n{ROOT / 'plugins'}\n")
    return folder / "bin" / "python"


def runner(python: Path, cache: Path) -> Run:
    """Run `benchbias` in an environment: run("ls", "suites", cwd=...)."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    env["BENCHBIAS_CACHE"] = str(cache)

    def run(*arguments: str, cwd: Path | str = "/", module: str = "benchbias") -> subprocess.CompletedProcess[str]:
        command = [str(python), "-m", module, *arguments] if module else [str(python), *arguments]
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=300)

    return run
