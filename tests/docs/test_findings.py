"""docs/findings.md says what the ledger of claims says, and its other tables hold what the published records hold.

The page has parts under headings. A part whose heading says "not adjusted" describes. In any other part a sentence that
concludes something names its claims, `**supported** ([r1-digits])`, and says no more than the ledger does.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchbias.board.text import number_text
from benchbias.figures import Material, write_figure
from benchbias.records.analysis import read_analyses
from benchbias.records.table import Table
from benchbias.runner.publishing import published_records
from support import ROOT
from support.markdown import cells_of

PAGE = (ROOT / "docs/findings.md").read_text()
PAGES = {
    "equal-fit-dominoes": (ROOT / "docs/suites/equal-fit-dominoes.md").read_text()
}  # of suites whose table stands there
MATCHED = ("steps", "training FLOPs", "weights", "accuracy", "fit of conflicting")
COUNTS = (
    *(("all models", "PIE share"), ("halves", "PIE share"), ("A/A halves", "PIE share"), ("beyond A/A", "PIE share")),
    *(("all models", "significant classes"), ("A/A halves", "significant classes"), ("all models", "p of classes")),
)
ALPHA = ("compression", "alpha", "mark", "accuracy change", "alpha if uniform")
TABLES = [
    *(
        (
            suite,
            "equal_fit",
            f"row | {' | '.join((*MATCHED[:-1], last))} |",
            [({"matched in": m}, "harm") for m in MATCHED],
        )
        for suite, last in (
            ("equal-fit", "fit of conflicting"),
            ("equal-fit-mnist", "fit of conflicting images"),
            ("equal-fit-dominoes", "fit of conflicting"),
        )
    ),
    ("recall-distortion", "recall_balance_as_published", "row | compression | alpha |", [({}, one) for one in ALPHA]),
    ("selective-damage", "pie_counts", "row | PIEs | halves", [({"compared": one}, value) for one, value in COUNTS]),
    (
        "pruning-mnist",
        "recall_balance",
        "row | compression | alpha on MNIST",
        [({}, one) for one in (*ALPHA, "alpha over uniform")],
    ),
    (
        "selective-damage",
        "pie_subsets",
        "row | random | entropy-matched",
        [
            *(({"subset": one}, "PIE harder, dense") for one in ("random", "entropy-matched", "accuracy-matched")),
            ({"subset": "entropy-matched"}, "PIE harder, pruned"),
        ],
    ),
    (
        "selective-damage",
        "pie_corrupted",
        "row | gaussian noise | shot noise",
        [
            ({"split": f"test-{one}-3"}, "relative change beyond clean")
            for one in ("gaussian-noise", "shot-noise", "impulse-noise", "contrast")
        ],
    ),
    ("pruning-mnist", "pie_counts", "row | PIEs on MNIST", [({"compared": one}, value) for one, value in COUNTS]),
    (
        "memorization",
        "memorization",
        "row | aligned | conflicting",
        [({"group": group}, "memorisation") for group in ("aligned", "conflicting")],
    ),
]
"""Suite, analysis, how the header of its table begins, and of every column the row's other texts and the value."""


def text_of(table: Table, texts: dict[str, str], value: str) -> str:
    """A cell as the page writes it; `–` where there is no such row or value."""
    columns = table.columns
    lines = range(len(columns["row"][2]))
    found = [line for line in lines if all(columns[name][2][line] == text for name, text in texts.items())]
    cell = columns[value][2][found[0]] if found else None
    if cell is None:
        return "–"
    kind = columns[value][0]
    return number_text(cell) if kind == "estimate" else cell if kind == "text" else f"{cell:.4g}"


@pytest.mark.parametrize(("suite", "analysis", "header", "columns"), TABLES, ids=lambda value: str(value)[:20])
def test_a_table_of_the_findings_is_the_published_one(suite, analysis, header, columns):
    page = PAGES.get(suite, PAGE)
    (body,) = re.findall(rf"^\| {re.escape(header)}.*\n\|[-|]+\|\n((?:\|.*\n)+)", page, re.MULTILINE)
    (record,) = [one for one in read_analyses(ROOT / "leaderboard/records" / suite) if one.name == analysis]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()]
    assert len(lines) >= 3
    for row, *cells in lines:
        texts = {"row": row.strip("`")}
        assert texts["row"] in record.table.columns["row"][2]
        assert cells == [text_of(record.table, texts | more, value) for more, value in columns], row


@pytest.mark.parametrize(
    ("suite", "figure"),
    [
        ("equal-fit", "equal-fit"),
        pytest.param("pruning-mnist", "recall-balance", marks=pytest.mark.slow),
    ],
)
def test_a_figure_of_a_page_is_drawn_from_the_published_records(suite: str, figure: str, tmp_path: Path):
    analyses = read_analyses(ROOT / "leaderboard/records" / suite)
    material = Material.of(*published_records(suite, ROOT / "leaderboard"), analyses)
    lines = write_figure(suite, material, tmp_path / "a.svg", figure)
    assert lines
    made, kept = (path.read_text() for path in (tmp_path / "a.svg", ROOT / f"docs/suites/{suite}.svg"))
    texts = [re.findall(r"<text[^>]*>([^<]*)</text>", picture) for picture in (made, kept)]
    assert len(texts[0]) > 20
    assert texts[0] == texts[1]
    versions = [re.search(r"Matplotlib v[0-9.]+", picture) for picture in (made, kept)]
    if versions[0] and versions[1] and versions[0][0] == versions[1][0]:
        assert made == kept


LEDGER_HEAD = ["claim", "what it says", "verdict", "difference", "marks of its rows"]
VERDICT = re.compile(r"\b(supported|refuted|equivalent|unresolved)\b")
NAMED = re.compile(r"\[([a-z0-9-]+)\](?!\()")
VALUE = re.compile(r"[-+]?[0-9.]+ ± [0-9]+(?:\.[0-9]+)?")
CONCLUDING = re.compile(
    r"\b(harm\w*|help\w*|los[est]\w*|gain\w*|hurts?|costs?|harder|easier|better|worse|best|holds?|stable|within"
    r"|at most|at least|nothing|none|remain\w*|mend\w*|rescu\w*|show\w*|prov\w*|told|unchanged|no more|no less"
    r"|no difference|differs?|narrows?|widens?|settled|true|false)\b"
)
"""Words of a sentence that concludes something about methods or claims."""


def ledger() -> dict[str, dict[str, str]]:
    """The published claims by name: column -> cell, and `file`."""
    found: dict[str, dict[str, str]] = {}
    for file in ("claims.md", "claims-before.md"):
        lines = (ROOT / "leaderboard" / file).read_text().splitlines()
        head, _, *rows = [cells_of(line) for line in lines if line.startswith("|")]
        found |= {cells[0]: {**dict(zip(head, cells, strict=True)), "file": file} for cells in rows}
    return found


LEDGER = ledger()


def parts(page: str) -> Iterator[tuple[str, str]]:
    """(heading, text) of every heading of a page, without the definitions of links."""
    page = re.sub(r"^\[[^\]]+\]: .*\n", "", page, flags=re.MULTILINE)
    for part in re.split(r"^(?=#)", page, flags=re.MULTILINE):
        if part.strip():
            heading, _, text = part.partition("\n")
            yield heading, text


def tables_of(text: str) -> list[list[list[str]]]:
    found = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    return [[cells_of(line) for line in table.strip().splitlines()] for table in found]


def passages(text: str) -> list[str]:
    """Paragraphs and items of lists, without tables; links that are no claims are their texts."""
    prose = re.sub(r"^\|.*$", "", text, flags=re.MULTILINE)
    prose = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", prose)
    return [" ".join(one.split()) for one in re.split(r"\n\s*\n|\n(?=- )", prose) if one.strip()]


def sentences(passage: str) -> list[str]:
    return [one for one in re.split(r"(?<=[.?])\s+(?=[^a-z])", passage.removeprefix("- ")) if one]


PARTS = list(parts(PAGE))
DESCRIBING = [(heading, text) for heading, text in PARTS if "not adjusted" in heading]
CONCLUDED = [(heading, text) for heading, text in PARTS if "not adjusted" not in heading]


def faults_of(passage: str) -> list[str]:
    """What a passage outside of the parts that describe says beyond the ledger; nothing for one that keeps to it."""
    found = []
    for sentence in sentences(passage):
        names = NAMED.findall(sentence)
        if unknown := set(names) - LEDGER.keys():
            found.append(f"no such claim: {unknown}")
            continue
        if not names and (VERDICT.search(sentence) or CONCLUDING.search(sentence)):
            found.append(f"no claim is named: {sentence}")
        verdicts = re.split(r"\*\*(supported|refuted|equivalent|unresolved)\*\*", sentence)
        if NAMED.search(verdicts[0]) or any(VERDICT.search(text) for text in verdicts[::2]):
            found.append(f"the claims do not follow their verdict: {sentence}")
        for verdict, text in zip(verdicts[1::2], verdicts[2::2], strict=True):
            of = NAMED.findall(text)
            if not of or any(LEDGER[name]["verdict"] != f"**{verdict}**" for name in of):
                found.append(f"not the ledger's verdict: {verdict} {of}")
        values = {LEDGER[name]["difference"].split(" (")[0] for name in names}
        if beyond := set(VALUE.findall(sentence)) - values:
            found.append(f"not the ledger's difference: {beyond}")
    settled = [name for name in NAMED.findall(passage) if LEDGER.get(name, {}).get("verdict") != "**unresolved**"]
    for name in settled:
        marks = LEDGER.get(name, {}).get("marks", "")
        found += [
            f"{name} is marked: {mark}" for mark in ("floor", "collapsed") if mark in marks and mark not in passage
        ]
    return found


@pytest.mark.parametrize(("heading", "text"), CONCLUDED, ids=lambda value: value[:30])
def test_no_sentence_concludes_more_than_the_ledger(heading: str, text: str):
    assert not VERDICT.search(heading)
    assert "?" in heading or not CONCLUDING.search(heading)
    assert not [fault for passage in passages(text) for fault in faults_of(passage)]


@pytest.mark.parametrize(
    ("passage", "fault"),
    [
        ("REST's best density is **refuted** ([r3-digits-20]).", "not the ledger's verdict"),
        ("Weighting rescues sparse training: **supported** ([r1-mnist], +99.0 ± 9.6).", "not the ledger's difference"),
        ("Weighting rescues sparse training: supported ([r1-mnist]).", "the claims do not follow"),
        ("PIEs are no harder.", "no claim is named"),
        ("The mean is **supported**.", "no claim is named"),
        ("It is **supported** ([r9-digits]).", "no such claim"),
        ("Weighting rescues sparse training: **supported** ([r1-digits]).", "r1-digits is marked: floor"),
        ("U2 is **supported** ([u2-number]).", "u2-number is marked: collapsed"),
    ],
)
def test_a_sentence_that_says_more_is_found(passage: str, fault: str):
    assert any(one.startswith(fault) for one in faults_of(passage))
    assert not faults_of("Weighting rescues sparse training: **supported** ([r1-mnist], +36.7 ± 9.6).")


@pytest.mark.parametrize(("heading", "text"), DESCRIBING, ids=lambda value: value[:30])
def test_a_part_that_is_not_adjusted_describes(heading: str, text: str):
    assert tables_of(text)
    cells = {cell for table in tables_of(text) for line in table for cell in line}
    for sentence in [one for passage in passages(text) for one in sentences(passage)]:
        assert not VERDICT.search(sentence), sentence
        assert not CONCLUDING.search(sentence), sentence
        assert not NAMED.search(sentence), sentence
        values = set(VALUE.findall(sentence))
        assert {value for value in values if not {value, f"{value} ="} & cells} == set(), sentence


def test_every_claim_stands_on_the_page_once_as_the_ledger_has_it():
    tables = [table for _, text in CONCLUDED for table in tables_of(text)]
    assert all(table[0] == LEDGER_HEAD for table in tables), (
        "a table without adjustment, and its heading does not say so"
    )
    shown = [line for table in tables for line in table[2:]]
    assert sorted(line[0] for line in shown) == sorted(f"[{name}]" for name in LEDGER)
    for name, *cells in shown:
        one = LEDGER[name.strip("[]")]
        assert cells == [one["says"], one["verdict"], one["difference"], one["marks"]]
    links = dict(re.findall(r"^\[([^\]]+)\]: \.\./leaderboard/(.*)$", PAGE, re.MULTILINE))
    assert links == {name: one["file"] for name, one in LEDGER.items()}


def test_sentences_are_short():
    for heading, text in PARTS:
        for sentence in [one for passage in passages(text) for one in sentences(passage)]:
            words = re.sub(r"`[^`]*`|\(?(?:\[[a-z0-9-]+\](?:, )?)+\)?", "x", sentence).split()
            assert len(words) <= 25, f"{heading}: {len(words)} words: {sentence}"


def test_the_numbers_of_the_text_stand_in_tables():
    text = "\n".join(text for _, text in PARTS)
    known = set(re.findall(r"\d+\.\d+", "\n".join(re.findall(r"^\|.*$", text, re.MULTILINE)) + layer_claims()))
    for sentence in [one for passage in passages(text) for one in sentences(passage)]:
        assert set(re.findall(r"\d+\.\d+", sentence)) <= known, sentence


def layer_claims() -> str:
    """The output of benchmarks/layer_claims.py, with single blanks and rules."""
    command = [sys.executable, ROOT / "benchmarks/layer_claims.py", ROOT / "leaderboard"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return re.sub(r"(?<=\|):?-+:?(?=\|)", "---", re.sub(r" +", " ", done.stdout))


def test_the_tables_of_layers_are_those_of_their_script():
    printed = layer_claims()
    shown = [text for heading, text in DESCRIBING if "`conv1`" in text or "`fc1` at" in text]
    assert len(shown) == 4
    for text in shown:
        for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            assert table in printed


def test_the_variants_that_the_page_calls_resolved_are_the_boards():
    (sentence,) = re.findall(r"^The board resolves these variants from zero: (.*?)\. ", PAGE, re.MULTILINE)
    page = (ROOT / "docs/suites/named-variants.md").read_text()
    board = (ROOT / "leaderboard/details/named-variants.md").read_text().replace("\\", "")
    variants = re.findall(r"^\| `([^`]+)` \| `", page, re.MULTILINE)
    assert len(variants) == 20
    bold = [
        one
        for one in variants
        if re.search(rf"^\|[^|]*\| _?{re.escape(one)}_? .*\*\*[-+].* \(to ", board, re.MULTILINE)
    ]
    assert sorted(re.findall(r"`([^`]+)`", sentence)) == sorted(bold)
