"""Verbs that show results: leaderboards in every form, two rows compared, claims of the literature."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    SuiteName,
    open_workspace,
    selected,
)
from benchbias.errors import UsageError, plain, printable

if TYPE_CHECKING:
    from benchbias.records.trial import TrialRecord
    from benchbias.runner.results import Results
    from benchbias.statistics.cells import CellLayout


@dataclass(frozen=True)
class _Shown:
    """A board: its markdown, what it is made of, its file, and the options by which a report finds the same records."""

    markdown: str
    records: Sequence[TrialRecord]
    layouts: Mapping[str, CellLayout]
    file: Path
    source: str

    @property
    def suite(self) -> Mapping[str, Any]:
        """The head of the suite in its records."""
        head: Mapping[str, Any] = self.records[0].body["suite"]
        return head

    def text(self, suffix: str, columns: Sequence[str] | None) -> str:
        """The board in a format, see `board.exports.files.board_text`."""
        from benchbias.board.exports.files import board_text

        if suffix == ".md" and columns is None:
            return self.markdown
        return board_text(suffix, self._entries, self.suite, columns, self.markdown)

    def terminal(self, columns: Sequence[str] | None) -> str:
        """The board as a table that fits the terminal, then where the whole of it is."""
        from benchbias.board.exports.terminal import chosen_text, terminal_text

        width = shutil.get_terminal_size().columns
        if columns is None:
            table = terminal_text(self._entries, self.suite, width)
        else:
            from benchbias.board.exports.columns import columns_of
            from benchbias.board.exports.files import texts_of

            table = chosen_text(*texts_of(columns_of(self._entries, self.suite).chosen(columns)), width)
        name = self.suite["name"]
        unscored = sum(record.body["status"] != "ok" for record in self.records)
        lines = [f"{unscored} trials have no score; the full board says why."] if unscored else []
        lines += [f"The full board: {self.file}", f"With charts: `benchbias report {name} -o report.html{self.source}`"]
        return printable("\n".join([table, "", *lines]))

    @property
    def _entries(self) -> Sequence[Any]:
        from benchbias.board.entries import entries_of
        from benchbias.board.standings import board_of
        from benchbias.records.trial import sorted_records

        return entries_of(board_of(sorted_records(self.records), self.layouts))


def leaderboard(
    suite: Annotated[str, typer.Argument(help="The suite.")],
    out: Out = Path("results"),
    records: Annotated[
        Path | None, typer.Option(help="A published folder: rebuild its board from its records alone.")
    ] = None,
    publish: Annotated[
        Path | None, typer.Option(help="Add the records to this folder, and make the board of all that it has.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="With --publish: remove the suite's other records, and say which.")
    ] = False,
    to: Annotated[
        str | None, typer.Option(help="Write it to FILE.md, .csv, .json, .tex or .html; - prints markdown.")
    ] = None,
    columns: Annotated[str | None, typer.Option(help="Only these columns, e.g. label,gap,verdict.")] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print markdown on a terminal too, as a pipe gets it.")
    ] = False,
    method: Annotated[
        list[str] | None, typer.Option("-m", "--method", help="Rows besides the suite's own: as `run` was told.")
    ] = None,
    set_: Sets = None,
    limit: Limit = None,
    config: Config = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
    device: AnyDevice = None,
    all_: All = False,
) -> None:
    """Write a suite's leaderboard from its records and show it: a table on a terminal, markdown in a pipe.

    Without options that choose trials it is of what the folder's last run was of. --publish is of the whole suite.
    """
    if replace and publish is None:
        raise UsageError("--replace goes with --publish FOLDER")
    if markdown and to not in (None, "-"):
        raise UsageError(f"--markdown --to {to}: give one of them; FILE.md is markdown in a file")
    names = _columns(columns)
    path = None if to in (None, "-") else Path(str(to))
    if path is not None:
        from benchbias.board.exports.files import check_suffix

        check_suffix(path)
    asked = Asked(methods=method, sets=set_, limit=limit, device=device)
    if records is not None:
        shown = _published(suite, records)
    else:
        shown = _of_results(suite, out, asked, config, plugin, data_dir, publish, replace=replace, everything=all_)
    if path is not None:
        from benchbias.board.exports.files import write_board

        write_board(path, shown.text(path.suffix, names))
        print(plain(f"{path}: the board of {suite}"), file=sys.stderr)
    elif markdown or to == "-" or not sys.stdout.isatty():
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


def _published(suite: str, folder: Path) -> _Shown:
    from benchbias.runner import publishing

    source = f" --records {shlex.quote(str(folder))}"
    found = publishing.published_records(suite, folder)
    return _Shown(publishing.rebuild(suite, folder), *found, folder / f"{suite}.md", source)


def _of_results(
    suite: str,
    out: Path,
    asked: Asked,
    config: Path | None,
    plugins: list[Path] | None,
    data_dir: Path | None,
    publish: Path | None,
    *,
    replace: bool,
    everything: bool,
) -> _Shown:
    """The board of a results folder, or of the folder that it is published to."""
    from benchbias.runner import publishing

    if asked.methods:  # these rows stand beside the suite's own
        own = open_workspace(config, plugins, data_dir).catalogue.suite(suite).methods
        asked = Asked([*own, *asked.methods], sets=asked.sets, limit=asked.limit, device=asked.device)
    whole = everything or (publish is not None and not asked.given)
    plan, _ = asked.plan(suite, out, config, plugins, data_dir, everything=whole, others=publish is None)

    def tell(line: str) -> None:
        print(plain(line), file=sys.stderr)

    text = publishing.board(plan, out, publish, replace=replace, tell=tell)
    if publish is not None:
        return _published(suite, publish)
    return _Shown(text, *publishing.records_of(plan, out), publishing.board_file(plan, out), _source(out))


def _source(out: Path) -> str:
    return "" if out == Path("results") else f" --out {shlex.quote(str(out))}"


def run_text(results: Results) -> str:
    """The board of a run: a table on a terminal, markdown in a pipe."""
    if not sys.stdout.isatty() or not results.shown:
        return results.leaderboard()
    shown = _Shown(results.leaderboard(), results.shown, results.layouts, results.board, _source(results.store.root))
    return shown.terminal(None)


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
