"""Settings of papers and released code beside those that run: the page docs/published-settings.md.

    python benchmarks/published_settings.py > docs/published-settings.md

From published-settings.toml; a test holds every value there equal to what the planner resolves.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from effective_weights import weight_lines
from pydantic import BaseModel, ConfigDict, Field
from resolved_settings import Place, Settings, published

from benchbias.board.text import table_lines
from benchbias.errors import BenchbiasError, UsageError
from benchbias.runner.workspace import Workspace
from benchbias.suite.catalogue import shipped_file

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "published-settings.toml"
KINDS: Mapping[str, str] = {
    "paper": "printed in the paper",
    "code": "in the released code",
    "ours": "**ours**",
}
ABOUT = """# Published settings

Every row of a shipped suite that says `settings_from = "paper"`, with all that decides what it computes. Each value
says where it comes from: printed in the paper, read in the released code, or ours. Ours are values that neither prints,
or that we do otherwise, which is then said.

Made by `python benchmarks/published_settings.py` from [published-settings.toml](../published-settings.toml). A test
holds every value equal to what the planner resolves; a row or a setting that is missing fails it.

A name is that of a stage by its number, `1.recipe.lr`, or of `data`, `model` and `backbone`. `*` stands for every
stage, `mask` for the pruner inside a train stage. Of several lines that name one setting of a row the last one counts.
`swept`: one row a value.
"""


class Entry(BaseModel):
    """Some settings of some rows, with their source."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: list[str] = Field(min_length=1)
    tasks: list[str] = ["*"]
    suites: list[str] = ["*"]
    kind: Literal["paper", "code", "ours"]
    source: str = Field(min_length=1)
    values: dict[str, Any] = Field(min_length=1)

    def covers(self, place: Place) -> bool:
        """Whether it speaks of a row on a task of a suite."""
        patterns = ((place.method, self.rows), (place.task, self.tasks), (place.suite, self.suites))
        return all(any(fnmatchcase(name, pattern) for pattern in globs) for name, globs in patterns)


class Paper(BaseModel):
    """A paper and the entries about its rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    read: str
    settings: list[Entry]


def load_table(path: Path = TABLE) -> dict[str, Paper]:
    """The papers by name. Raises UsageError."""
    try:
        return {name: Paper.model_validate(value) for name, value in tomllib.loads(path.read_text()).items()}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from None


def differences(papers: Mapping[str, Paper], rows: Mapping[Place, Settings]) -> Iterator[str]:
    """One line for every setting that is missing in the table, or that is not what runs."""
    entries = [entry for paper in papers.values() for entry in paper.settings]
    used: set[tuple[int, str]] = set()
    for place, settings in rows.items():
        for name, value in settings.items():
            told = [
                (number, pattern)
                for number, entry in enumerate(entries)
                if entry.covers(place)
                for pattern in entry.values
                if fnmatchcase(name, pattern)
            ]
            if not told:
                yield f"{'/'.join(place)}: {name} = {json.dumps(value)} stands in no line of the table"
                continue
            number, pattern = told[-1]
            used.add((number, pattern))
            said = entries[number].values[pattern]
            if said != value:
                yield f"{'/'.join(place)}: {name} is {json.dumps(value)}, and {json.dumps(said)} in the table"
    for number, entry in enumerate(entries):
        for pattern in entry.values:
            if (number, pattern) not in used:
                yield f"rows {', '.join(entry.rows)}: {pattern} of {entry.source!r} is no setting of any row"


def page(papers: Mapping[str, Paper]) -> str:
    """The whole page."""
    lines = [ABOUT]
    for paper in papers.values():
        lines += [f"## {paper.title}", "", f"Read: {paper.read}", ""]
        cells = [
            [names(entry), settings_text(entry.values), KINDS[entry.kind], entry.source] for entry in paper.settings
        ]
        lines += [*table_lines(cells, ["rows", "settings", "from", "source"]), ""]
    lines += weight_lines()
    return "\n".join(lines).rstrip("\n") + "\n"


def names(entry: Entry) -> str:
    """The rows of an entry, and where."""
    rows = ", ".join(f"`{name}`" for name in entry.rows)
    tasks = ", ".join(f"`{name}`" for name in entry.tasks)
    suites = ", ".join(f"`{name}`" for name in entry.suites)
    return rows + (f" on {tasks}" if entry.tasks != ["*"] else "") + (f" in {suites}" if entry.suites != ["*"] else "")


def settings_text(values: Mapping[str, Any]) -> str:
    """Names and values of an entry in one cell."""
    return ", ".join(f"`{name}` {value_text(value)}" for name, value in values.items())


def value_text(value: Any) -> str:
    """A value as it stands on the page."""
    if isinstance(value, dict):
        return "swept: " + ", ".join(value_text(one) for one in value["swept"])
    if isinstance(value, list):
        return "[" + ", ".join(value_text(one) for one in value) + "]"
    return f"{value:g}" if isinstance(value, float) else json.dumps(value).strip('"')


def main() -> None:
    """Print the page, or what in the table is not what runs."""
    try:
        papers = load_table()
        workspace = Workspace.open(shipped_file(), quiet=True)
        found = list(differences(papers, dict(published(workspace))))
        if found:
            raise UsageError("\n".join(["the table is not what runs:", *found]))
        print(page(papers), end="")
    except BenchbiasError as error:
        print(f"published_settings: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
