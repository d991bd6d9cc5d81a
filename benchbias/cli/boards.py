"""Verbs that show results: leaderboards in every form, two rows compared, claims of the literature."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchbias.cli.folders.shown import Shown, source_of
from benchbias.cli.options import (
    All,
    AnyDevice,
    Asked,
    Config,
    DataDir,
    Device,
    Json,
    Limit,
    Out,
    Plugins,
    Sets,
    Stack,
    SuiteName,
    open_workspace,
    selected,
)
from benchbias.errors import UsageError, plain, printable

if TYPE_CHECKING:
    from benchbias.plan.trials import Plan


PublishedFolder = Annotated[
    Path | None, typer.Option(help="A published folder: rebuild its board from its records alone.")
]
Write = Annotated[
    bool, typer.Option("--write", help="With --records: write all its boards and index.md into that folder.")
]
Publish = Annotated[
    Path | None, typer.Option(help="Add the records to this folder, and make the board of all that it has.")
]
Details = Annotated[bool, typer.Option("--details", help="Print the page of details: every column.")]
Replace = Annotated[
    bool, typer.Option("--replace", help="With --publish: remove the suite's other records, and say which.")
]
To = Annotated[str | None, typer.Option(help="Write it to FILE.md, .csv, .json, .tex or .html; - prints markdown.")]
ChosenColumns = Annotated[str | None, typer.Option(help="Only these columns, e.g. label,gap,verdict.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print markdown on a terminal too, as a pipe gets it.")]
MoreMethods = Annotated[
    list[str] | None, typer.Option("-m", "--method", help="Rows besides the suite's own: as `run` was told.")
]


def leaderboard(
    suite: Annotated[str | None, typer.Argument(help="The suite; none with --write.")] = None,
    out: Out = Path("results"),
    records: PublishedFolder = None,
    write: Write = False,
    publish: Publish = None,
    details: Details = False,
    replace: Replace = False,
    to: To = None,
    columns: ChosenColumns = None,
    markdown: Markdown = False,
    method: MoreMethods = None,
    set_: Sets = None,
    limit: Limit = None,
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    device: AnyDevice = None,
    stack: Stack = None,
    all_: All = False,
) -> None:
    """Write a suite's leaderboard from its records and show it: a table on a terminal, markdown in a pipe.

    Without options that choose trials it is of what the folder's last run was of. --publish is of the whole suite.
    """
    if replace and publish is None:
        raise UsageError("--replace goes with --publish FOLDER")
    if write:
        _write(suite, records)
        return
    if suite is None:
        raise UsageError("name a suite: `benchbias ls suites` lists them")
    if markdown and to not in (None, "-"):
        raise UsageError(f"--markdown --to {to}: give one of them; FILE.md is markdown in a file")
    names = _columns(columns)
    path = None if to in (None, "-") else Path(str(to))
    if path is not None:
        from benchbias.board.exports.files import check_suffix

        check_suffix(path)
    asked = Asked(methods=method, sets=set_, limit=limit, device=device, stack=stack)
    if records is not None:
        shown = _published(suite, records, details=details)
    else:
        chosen = _Chosen(suite, out, asked, config, plugin, data_dir, all_)
        shown = _of_results(chosen, publish, replace=replace, details=details)
    if path is not None:
        from benchbias.board.exports.files import write_board

        write_board(path, shown.text(path.suffix, names))
        print(plain(f"{path}: the board of {suite}"), file=sys.stderr)
    elif markdown or to == "-" or details or not sys.stdout.isatty():
        print(shown.text(".md", names), end="")
    else:
        print(shown.terminal(names))


def _columns(text: str | None) -> list[str] | None:
    """The names that `--columns` gives. Raises UsageError where it gives none."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("--columns: name some, separated by commas, such as label,gap,verdict")
    return names


def _write(suite: str | None, records: Path | None) -> None:
    """Write all boards of a published folder. Raises UsageError."""
    from benchbias.runner import publishing

    if records is None or suite is not None:
        raise UsageError("--write goes with --records FOLDER, and writes the boards of all its suites")
    for name in publishing.write_boards(records, tell=_tell):
        print(printable(str(records / name)))


def _page(name: str, *, details: bool) -> str:
    """The file of a board, or of its details, below the folder of boards."""
    return f"details/{name}.md" if details else f"{name}.md"


def _published(suite: str, folder: Path, *, details: bool) -> Shown:
    from benchbias.runner import publishing

    page = _page(suite, details=details)
    scored = publishing.published_scores(suite, folder)
    source = f" --records {shlex.quote(str(folder))}"
    return Shown(publishing.rebuild(suite, folder, scored, tell=_tell)[page], lambda: scored, folder / page, source)


@dataclass(frozen=True)
class _Chosen:
    """The part of a results folder that is shown: the arguments of `Asked.plan`."""

    suite: str
    out: Path
    asked: Asked
    config: Path | None
    plugins: list[Path] | None
    data_dir: Path | None
    everything: bool

    def plan(self, *, publishes: bool) -> tuple[Plan, str]:
        """The plan, and the options by which a report finds it. Raises UsageError.

        What is published is the whole suite, unless options say otherwise.
        """
        asked = self.asked
        if asked.methods:  # these rows stand beside the suite's own
            own = open_workspace(self.config, self.plugins, self.data_dir).catalogue.suite(self.suite).methods
            asked = replace(asked, methods=[*own, *asked.methods])
        whole = self.everything or (publishes and not asked.given)
        files = (self.config, self.plugins, self.data_dir)
        plan, last = asked.plan(self.suite, self.out, *files, everything=whole, others=not publishes)
        config = Path(last.config) if last is not None and last.config is not None else self.config
        data = Path(last.data_dir) if last is not None and last.data_dir is not None else self.data_dir
        return plan, source_of(self.out, config, self.plugins, data)


def _tell(line: str) -> None:
    print(plain(line), file=sys.stderr)


def _of_results(chosen: _Chosen, publish: Path | None, *, replace: bool, details: bool) -> Shown:
    """The board of a results folder, or of the folder that it is published to."""
    from benchbias.runner import publishing

    (plan, source), out = chosen.plan(publishes=publish is not None), chosen.out
    files = publishing.board(plan, out, publish, replace=replace, tell=_tell)
    if publish is not None:
        return _published(plan.suite, publish, details=details)
    page = _page(plan.label, details=details)
    from benchbias.board.scored import Scored

    def score() -> Scored:
        return Scored.of(*publishing.records_of(plan, out))

    return Shown(files[page], score, out / "leaderboards" / page, source)


def compare(
    one: Annotated[str, typer.Argument(help="A row: a method, or method[name=value].")],
    other: Annotated[str, typer.Argument(help="The row that it is compared with.")],
    suite: SuiteName,
    out: Out = Path("results"),
    records: Annotated[Path | None, typer.Option(help="A published folder, instead of results.")] = None,
    margin: Annotated[float, typer.Option(min=0.01, help="Points within which rows count as equivalent.")] = 3.0,
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    device: Device = "cpu",
) -> None:
    """Compare two rows of a suite, paired by seed and test example."""
    from benchbias.board.comparing import compare as compared
    from benchbias.runner import publishing

    if records is not None:
        found = publishing.published_records(suite, records)
    else:
        workspace = open_workspace(config, plugin, data_dir)
        plan = workspace.plan(suite, selected(None, None, device=device))
        names = [row.partition("[")[0] for row in (one, other)]
        more = [name for name in names if {("pruner", name), ("trainer", name)} & workspace.registry.components.keys()]
        if set(more) - set(
            plan.table.methods
        ):  # a component's own name, run with `--method`, is no method of the suite
            methods = list(dict.fromkeys((*plan.table.methods, *more)))
            plan = workspace.plan(suite, selected(methods, None, device=device))
        found = publishing.records_of(plan, out)
    print(compared(*found, one, other, margin / 100), end="")


def claims(
    file: Annotated[Path | None, typer.Argument(help="A claims.toml (default: the shipped one).")] = None,
    out: Out = Path("results"),
    records: Annotated[Path | None, typer.Option(help="A published folder, instead of results.")] = None,
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Say which claims of the literature the records support, refute, or leave open."""
    from benchbias.board.claims import answer_claims, claims_data, claims_text, load_claims
    from benchbias.board.evidence import Evidence
    from benchbias.records.trial import record_folder
    from benchbias.runner import publishing

    known, digest = load_claims(file)
    if records is not None:
        folder = records
        if not (folder / "records").is_dir():
            raise UsageError(f"{folder} is no published folder: it has no records")

        def found(suite: str) -> Evidence | None:
            if not record_folder(folder, suite).is_dir():
                return None
            made = publishing.published_analyses(suite, folder)
            return Evidence.of(*publishing.published_records(suite, folder), made)
    else:
        workspace = open_workspace(config, plugin, data_dir)

        def found(suite: str) -> Evidence | None:
            plan = workspace.plan(suite, selected(None, None, device=device))
            if not publishing.has_records(plan, out):
                return None
            return Evidence.of(*publishing.records_of(plan, out), publishing.analyses_of(plan, out))

    answers = answer_claims(known, found)
    print(json.dumps(claims_data(answers, digest)) if as_json else claims_text(answers, digest), end="")
