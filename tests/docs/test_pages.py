"""Pages can be found, their links and anchors lead somewhere, their sentences are short, their words are explained."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from benchbias.auditing.values import Judgement
from benchbias.auditing.values import Verdict as AuditVerdict
from benchbias.board.claims import Verdict as ClaimVerdict
from benchbias.board.markdown.main_table import MARKS, main_table
from benchbias.board.marks import Marks
from benchbias.board.text import EXAMPLES_ALONE
from benchbias.board.verdicts import Verdict
from benchbias.board.words import LABELS
from support import ROOT
from support.markdown import MARKDOWN, cells_of, plain
from support.sentences import sentences_of, words_of

WRITTEN = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "benchmarks/README.md"]
BOARDS = sorted((ROOT / "leaderboard").rglob("*.md"))
LINK = re.compile(r"\]\(([^)\s]+)\)")


def links_of(page: Path) -> Iterator[tuple[Path, str]]:
    """(file, anchor) of every link of a page into the repository, pictures too."""
    for target in LINK.findall(page.read_text()) + re.findall(r"^\[[^\]]+\]: (\S+)", page.read_text(), re.MULTILINE):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield (page.parent / path).resolve() if path else page, anchor


def anchors_of(page: Path) -> set[str]:
    """The anchors that a host makes of a page's headings: words in small letters, joined by dashes."""
    found: list[str] = []
    tokens = MARKDOWN.parse(page.read_text())
    for token, following in itertools.pairwise(tokens):
        if token.type == "heading_open":
            name = re.sub(r"[^\w\- ]", "", plain(following).lower()).replace(" ", "-")
            found.append(name if name not in found else f"{name}-{found.count(name)}")
    return {*found, ""}


def test_no_page_is_an_orphan():
    reached, following = set(), [ROOT / "README.md"]
    while following:
        page = following.pop()
        reached.add(page)
        following += {file for file, _ in links_of(page) if file.suffix == ".md"} - reached - set(following)
    assert {page for page in [*WRITTEN, *BOARDS] if page not in reached} == set()


def test_the_table_of_contents_has_every_page_of_its_folder():
    listed = {file for file, _ in links_of(ROOT / "docs/README.md")}
    assert {*(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("*/README.md")} - listed <= {ROOT / "docs/README.md"}


@pytest.mark.parametrize("page", [*WRITTEN, *BOARDS], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path):
    for file, anchor in links_of(page):
        assert file.exists(), file
        if anchor and file.suffix == ".md":
            assert anchor in anchors_of(file), f"{file.relative_to(ROOT)}#{anchor}"


def test_an_anchor_is_what_hosts_make_of_a_heading(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("# The change of a part: `twin_changes`\n\n## Limits\n\n## Limits\n\n## A/A, or not?\n")
    assert anchors_of(page) == {"", "the-change-of-a-part-twin_changes", "limits", "limits-1", "aa-or-not"}


# Sentences

LONGEST = 30  # words; 25 as a rule
LONG_BY_NATURE = {
    ROOT / "CHANGELOG.md": "its entries are lists of what changed",
    ROOT / "docs/reference.md": "it is made from docstrings: lists of parameters",
}
"""Pages on which longer sentences stand, and why."""
READ = [page for page in WRITTEN if page not in LONG_BY_NATURE]


@pytest.mark.parametrize("page", READ, ids=lambda page: str(page.relative_to(ROOT)))
def test_sentences_are_short(page: Path):
    found = [(len(words_of(one)), one) for one in sentences_of(page.read_text())]
    assert [one for one in found if one[0] > LONGEST] == []


def test_hardly_a_sentence_is_longer_than_the_rule():
    lengths = [len(words_of(one)) for page in READ for one in sentences_of(page.read_text())]
    assert sum(length > 25 for length in lengths) <= 0.01 * len(lengths)


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("One two three. Four five.", [3, 2]),
        ("Of `a = b` words, a code is one. `x` begins one.", [7, 3]),
        ("A [link of words](to/a.page) counts its text, e.g. this. (A bracket too.)", [9, 3]),
        ("- an item\n- another item that\n  goes on\n", [2, 5]),
        ("> said by others\n\n| a | b |\n|---|---|\n| c | d |\n\n```sh\nrun it\n```\n", []),
        ("It costs 3.5 points, 0.2 - 0.1 more.", [7]),
    ],
)
def test_a_sentence_is_counted_as_a_reader_counts(text: str, lengths: list[int]):
    assert [len(words_of(one)) for one in sentences_of(text)] == lengths


SHUNNED = re.compile(r"\btold (apart|from)\b|\bquestions put to\b", re.IGNORECASE)


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_has_words_that_the_field_has_not(page: Path):
    assert SHUNNED.findall(page.read_text()) == []


# The glossary

GLOSSARY = (ROOT / "docs/glossary.md").read_text()
TERMS = {term.lower() for term in re.findall(r"\*\*([^*]+)\*\*|\(\*([^*]+)\*\)", GLOSSARY) for term in term if term}
TERMS |= {
    term.lower()
    for also in re.findall(r"\((?:also|column) ([^)]*)\)", GLOSSARY)
    for term in re.findall(r"\*([^*]+)\*", also)
}
TERMS |= {
    name
    for line in GLOSSARY.split("## Columns of probes and analyses")[1].splitlines()
    if line.startswith("| ")
    for name in cells_of(line)[0].split("; ")
}


def is_explained(column: str) -> bool:
    name = re.sub(r" \((points|%|nats|points per unit of [a-z ]+)\)$", "", column.replace("\\", ""))
    name = re.sub(r"^gap to (?!baseline).*", "gap to erm", name)
    name = re.sub(r"^change of .*", "change of …", name)
    return bool({name, name.lower(), name.removesuffix(" as counted")} & TERMS)


def columns_of(page: Path) -> set[str]:
    """The heads of all tables of a page."""
    lines = page.read_text().splitlines()
    return {
        cell
        for line, rule in itertools.pairwise(lines)
        if line.startswith("|") and re.fullmatch(r"\|[-: |]+\|", rule)
        for cell in cells_of(line)
    }


@pytest.mark.parametrize("page", sorted((ROOT / "leaderboard").glob("*.md")), ids=lambda page: page.stem)
def test_every_column_of_a_board_is_in_the_glossary(page: Path):
    assert {column for column in columns_of(page) if not is_explained(column)} == set()


def test_a_column_that_nobody_explains_is_found():
    assert not is_explained("luck (points)")
    assert is_explained("PIE harder, dense (points)")


def test_every_mark_and_every_verdict_is_in_the_glossary():
    marks = Marks(
        collapsed=1, seeds=3, floor=True, ceiling=True, unfitted=0.5, biased=0.1, conflicts=2, lenient=True, stacked=8
    ).words()
    for mark in marks:
        words = re.sub(r"\d+ of \d+ seeds ", "", re.sub(r"\d+( %| seeds)?$", r"n\1", mark))
        assert words in TERMS, mark
    for verdict in (*get_args(Verdict), *get_args(AuditVerdict), *get_args(Judgement), *get_args(ClaimVerdict)):
        assert verdict in TERMS, verdict


def test_the_glossary_has_all_that_the_main_table_of_a_board_may_show():
    symbols = [symbol for symbol, _ in MARKS] + [EXAMPLES_ALONE]
    assert {symbol for symbol in symbols if f"({symbol})" not in GLOSSARY} == set()
    head = cells_of(main_table([], "worst_group_accuracy", {}, {})[0])
    assert 5 <= len(head) <= 7
    assert {column for column in head if not is_explained(column)} == set()
    assert {label for track in LABELS.items() for label in track if label.lower() not in GLOSSARY.lower()} == set()
