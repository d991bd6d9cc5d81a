"""A board in files: every column equal to the entries, read back by other programs, whatever names hold."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import math
import re
from dataclasses import replace

import pytest

from benchbias.board.entries import Entry, entries_of
from benchbias.board.exports.columns import columns_of
from benchbias.board.exports.files import SUFFIXES, board_text, check_suffix, reader_table
from benchbias.board.exports.latex import latex_text
from benchbias.board.standings import board_of
from benchbias.errors import UsageError, plain
from benchbias.records.trial import sorted_records
from support.made_records import LAYOUTS, four_methods, record
from support.markdown import tables

HOSTILE = (
    *("<script>alert(1)</script>", "a|b", "=1+1", "[x](javascript:x)", "two\nlines\r\there", "q\"u'o`t", "\u202eabc"),
    *(
        "\u05d0\u05d1\u05d2",
        "x" * 200,
        "100 % & _#$^~{}\\",
        "[0]",
        "*x",
        "--x---",
        "@SUM(A1)",
        "caf\u00e9 \u00df \u4f60",
    ),
)


def made(records) -> tuple[tuple[Entry, ...], dict]:
    ordered = sorted_records(records)
    return entries_of(board_of(ordered, LAYOUTS)), ordered[0].body["suite"]


@pytest.fixture(scope="module")
def usual():
    return made(four_methods(baseline="plain"))


def hostile(text: str):
    """A board whose names, values, title and metric are a text."""
    suite = {"title": text, "version": text, "metrics": ["worst_group_accuracy", text]}
    return made(
        record(text, seed, 0.5 + seed / 100, swept={"mode": text}, suite=suite, task=text,
               metrics={"worst_group_accuracy": 0.5 + seed / 100, text: 0.1})
        for seed in range(3)
    )  # fmt: skip


def test_every_column_is_the_value_of_the_entry(usual):
    entries, suite = usual
    table = columns_of(entries, suite)
    assert len(table.rows) == len(entries) > 4
    assert list(table.rows[0]) == list(table.names)
    assert len(set(table.names)) == len(table.names)
    for entry, row in zip(entries, table.rows, strict=True):
        assert (row["label"], row["words"], row["verdict"]) == (entry.row.label, entry.words, entry.verdict)
        assert (row["rank_low"], row["rank_high"]) == (entry.rank or (None, None))
        gap = entry.row.to_baseline
        assert (row["gap"], row["gap_n"]) == ((None, None) if gap is None else (gap.mean, gap.n))
        assert (row["gap_lower"], row["gap_upper"]) == ((None, None) if gap is None else (gap.lower, gap.upper))
        for name, value in entry.row.metrics.items():
            assert (row[name], row[f"{name}_lower"], row[f"{name}_upper"]) == (value.mean, value.lower, value.upper)
            assert row[f"{name}_n"] == len(entry.row.seeds) == row["n"]
        assert row["marks"] == entry.row.marks.words()
        assert row["relative_cost"] == entry.relative_cost
    assert {row["verdict"] for row in table.rows} >= {"helps", "harms"}


def test_csv_and_json_hold_the_same_and_numbers_to_the_last_bit(usual):
    entries, suite = usual
    table = columns_of(entries, suite)
    from_json = json.loads(board_text(".json", entries, suite, None, ""))
    from_csv = list(csv.DictReader(io.StringIO(board_text(".CSV", entries, suite, None, ""))))
    assert from_json == [dict(row) for row in table.rows]
    assert len(from_csv) == len(from_json)
    for one, other in zip(from_csv, from_json, strict=True):
        assert list(one) == list(other)
        for name, value in other.items():
            if isinstance(value, float | int) and not isinstance(value, bool):
                assert float(one[name]) == value, name
            if value is None:
                assert one[name] == ""


def test_a_frame_reads_the_csv(usual):
    pandas = pytest.importorskip("pandas")
    entries, suite = usual
    frame = pandas.read_csv(io.StringIO(board_text(".csv", entries, suite, None, "")))
    assert frame.ranked.dtype == bool
    assert frame.gap.dtype == float
    assert len(frame) == len(entries)


def test_what_is_not_finite_is_unknown():
    (entry,), suite = made(record("plain", seed, 0.5, training_flops=None) for seed in range(3))
    entries = [replace(entry, row=replace(entry.row, reach=math.nan, relative_cost=math.inf))]
    document = board_text(".json", entries, suite, None, "")
    assert "NaN" not in document
    assert "Infinity" not in document
    (row,) = json.loads(document)
    assert [row[name] for name in ("training_flops", "reach", "relative_cost")] == [None] * 3


def test_columns_are_chosen_in_their_order_and_an_unknown_one_is_told_with_the_known_ones(usual):
    entries, suite = usual
    names = ["verdict", "label", "verdict"]
    assert list(json.loads(board_text(".json", entries, suite, names, ""))[0]) == ["verdict", "label"]
    assert board_text(".csv", entries, suite, names, "").startswith("verdict,label\n")
    assert tables(board_text(".md", entries, suite, names, ""))[0] == ["verdict", "label"]
    for suffix in SUFFIXES:
        with pytest.raises(UsageError, match=r"unknown column 'gapp'; did you mean 'gap'\? \(known: accuracy, "):
            board_text(suffix, entries, suite, ["gapp"], "")


def test_markdown_without_columns_is_the_board(usual):
    assert board_text(".md", *usual, None, "# The board\n") == "# The board\n"


@pytest.mark.parametrize("name", ["gap", "gap_lower", "seeds", "swept.x", "metric.gap", "n"])
def test_a_metric_that_is_called_like_a_column_gets_another_name(name: str):
    suite = {"metrics": ["worst_group_accuracy", name]}
    metrics = {"worst_group_accuracy": 0.5, name: 0.25}
    entries, head = made(record("plain", seed, suite=suite, metrics=metrics, swept={"x": 7}) for seed in range(3))
    table = columns_of(entries, head)
    assert len(set(table.names)) == len(table.names)
    assert table.rows[0][f"metric.{name}"] == 0.25
    assert (table.rows[0]["swept.x"], table.rows[0]["n"], table.rows[0]["gap"]) == (7, 3, None)


@pytest.mark.parametrize("path", ["a", "a.pdf", "a.csv.gz", ".csv"])
def test_a_file_without_a_known_suffix_is_refused(tmp_path, path: str):
    with pytest.raises(UsageError, match=r"must end in \.md, \.csv, \.json, \.tex, \.html"):
        check_suffix(tmp_path / path)


# names that would be markup


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_is_a_formula_or_breaks_a_line_of_csv(text: str):
    entries, suite = hostile(text)
    rows = list(csv.reader(io.StringIO(board_text(".csv", entries, suite, None, ""))))
    assert len({len(row) for row in rows}) == 1
    assert len(rows) == 2
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if len(cell) > 1 and cell[0] in "=+-@" and not _is_number(cell)]
    assert all(cell.isprintable() for cell in cells)
    method = rows[1][rows[0].index("method")]
    assert method.removeprefix("'") == plain(text)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


@pytest.mark.parametrize("text", HOSTILE)
def test_json_keeps_a_name_as_it_is(text: str):
    (row,) = json.loads(board_text(".json", *hostile(text), None, ""))
    assert (row["method"], row["task"], row["swept.mode"], row["suite_version"]) == (text,) * 4


class Page(html.parser.HTMLParser):
    """A page's elements with their attributes, and the text of the cells of its table."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[str] = []
        self.rows: list[list[str]] = []
        self.inside = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("th", "td")

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


ELEMENTS = {"html", "head", "meta", "title", "style", "body", "table", "caption", "thead", "tbody", "tr", "th", "td"}


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("columns", [None, ["label", "swept.mode", "gap", "ranked"]])
def test_html_is_one_table_of_text_and_asks_for_nothing(text: str, columns):
    entries, suite = hostile(text)
    page = Page(board_text(".html", entries, suite, columns, ""))
    assert set(page.elements) <= ELEMENTS | {"p", "bdi", "div"}
    assert page.elements.count("table") == 1
    assert set(page.attributes) <= {
        "lang",
        "charset",
        "name",
        "content",
        "scope",
        "class",
        "role",
        "aria-label",
        "tabindex",
    }
    assert len({len(row) for row in page.rows}) == 1
    if columns is None:
        assert page.rows == [list(map(str, row)) for row in _with_head(reader_table(entries, suite))]
    else:
        assert page.rows[0] == columns
        assert page.rows[1][1:] == [plain(text), "", "true"]


def _with_head(table):
    return [table[0], *table[1]]


READ = {
    r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^", r"\textless{}": "<",
    r"\textgreater{}": ">", r"\textbar{}": "|", r"{\ttfamily\char34}": '"', r"\textasciigrave{}": "`",
    r"\textquotesingle{}": "'", "{[}": "[", "{]}": "]", "{*}": "*", r"$\pm$": "\u00b1", r"$\times$": "\u00d7",
    r"$\dagger$": "\u2020", r"\textendash{}": "\u2013", r"\ss{}": "\u00df", r"\'{e}": "\u00e9", "$-$": "-", "-{}": "-",
    r"\&": "&", r"\%": "%", r"\$": "$", r"\#": "#", r"\_": "_", r"\{": "{", r"\}": "}",
}  # fmt: skip


def read_latex(text: str) -> str:
    """The text that LaTeX sets, by a reader of its own; anything that it does not know fails."""
    out, at = [], 0
    while at < len(text):
        known = next((macro for macro in sorted(READ, key=len, reverse=True) if text.startswith(macro, at)), None)
        if known is None:
            assert text[at].isascii(), text
            assert text[at] not in "\\{}$&%#_^~<>|\"`'[]*", text[at:]
            assert text[at : at + 2] != "--", "two hyphens are a dash"
        out.append(text[at] if known is None else READ[known])
        at += 1 if known is None else len(known)
    return "".join(out)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("columns", [None, ["swept.mode", "label", "gap"]])
def test_latex_is_a_table_that_says_the_names(text: str, columns):
    entries, suite = hostile(text)
    written = board_text(".tex", entries, suite, columns, "")
    lines = [line for line in written.splitlines() if not line.startswith("%")]
    width = len(columns) if columns else len(reader_table(entries, suite)[0])
    assert lines[:2] == [rf"\begin{{tabular}}{{{'l' * width}}}", r"\toprule"]
    assert (lines[3], lines[-2:]) == (r"\midrule", [r"\bottomrule", r"\end{tabular}"])
    for line in (lines[2], *lines[4:-2]):
        assert line.endswith(r" \\")
        assert not re.match(r"\s*[\[*]", line), "it would belong to the end of the line before"
        assert len(re.findall(r"(?<!\\)&", line)) == width - 1
    if columns:
        told = read_latex(re.split(r"(?<!\\)&", lines[4])[0].strip())
        numbered = "".join(c if c.isascii() or c in "\u00e9\u00df" else f"[U+{ord(c):04X}]" for c in plain(text))
        assert told == " ".join(numbered.split())


def test_a_negative_number_has_a_minus_sign_and_a_name_its_hyphen():
    assert latex_text("-9.4 \u00b1 4.7") == r"$-$9.4 $\pm$ 4.7"
    assert latex_text("(-9.4 to +1.0)") == r"($-$9.4 to +1.0)"
    assert latex_text("erm-ft, top-5") == "erm-ft, top-5"


def test_the_table_of_a_reader_says_marks_and_seeds():
    collapsing = four_methods(baseline="plain")
    entries, suite = made(
        [*collapsing, *(record("few", seed, 0.5, suite=dict(collapsing[0].body["suite"])) for seed in (0, 1))]
    )
    header, rows = reader_table(entries, suite)
    notes = {row[header.index("method")]: row[header.index("notes")] for row in rows}
    assert notes["few"].endswith("2 seeds")
    assert "fits" in notes["bad"]
    assert "2 seeds" not in notes["good"]
