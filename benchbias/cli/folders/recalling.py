"""Plans of what the last run in a results folder was of, for verbs that are not told what to look at."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchbias.errors import UsageError, plain
from benchbias.plan.remembered import Remembered, recall
from benchbias.plan.trials import Plan, Selection
from benchbias.runner.workspace import Workspace

Open = Callable[[Path | None, Path | None], Workspace]
"""A function that opens a workspace with a config and a data folder."""


def recalled_plan(
    suite: str,
    out: Path,
    open_workspace: Open,
    *,
    config: Path | None = None,
    plugins: Sequence[Path] = (),
    data_dir: Path | None = None,
    others: bool = False,
) -> tuple[Plan, Remembered | None]:
    """The plan of a folder's last run of a suite, and what it was asked for; of the whole suite where that is unknown.

    config, plugins, data_dir: those that the user names now, which count instead. What is taken is told in one line on
    standard error; so is what cannot be used, which is then ignored. No plugin is loaded that is not named now.
    """
    last = _recall(out, suite)
    if last is not None:
        _tell_plugins(last, plugins, out)
        here = {"config": None} if config is not None else {}
        here |= {"data_dir": None} if data_dir is not None else {}
        taken = last.model_copy(update=here)
        try:
            _check_config(taken.config)
            workspace = open_workspace(config or _path(last.config), data_dir or _path(last.data_dir))
            plan = workspace.plan(suite, last.selection, others=others)
        except UsageError as error:
            _tell(f"what the last run in {out} was of cannot be used here: {error}; this is the whole suite")
        else:
            if not taken.is_whole:
                _tell(f"as the last run in {out}: {taken.options()} (--all: the whole suite)")
            return plan, taken
    return open_workspace(config, data_dir).plan(suite, Selection(), others=others), None


def _recall(out: Path, suite: str) -> Remembered | None:
    try:
        return recall(out, suite)
    except UsageError as error:
        _tell(f"what the last run in {out} was of is not known: {error}; this is the whole suite")
        return None


def _tell_plugins(last: Remembered, plugins: Sequence[Path], out: Path) -> None:
    named = {str(path.absolute()) for path in plugins}
    absent = [path for path in last.plugins if path not in named]
    if absent:
        options = " ".join(f"--plugin {path}" for path in absent)
        _tell(f"the last run in {out} took {options}: a plugin is code, and is loaded only if you name it")


def _check_config(remembered: str | None) -> None:
    """Raises UsageError for tables that are no plain file: a pipe that nobody writes to would be waited for."""
    config = _path(remembered)
    if config is not None and config.exists() and not config.is_file():
        raise UsageError(f"--config {config}: is not a plain file")


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _tell(text: str) -> None:
    print(plain(text), file=sys.stderr)
