"""The tables of docs/findings.md that come from analyses hold what the published records of these hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchbias.board.probe_tables import number_text
from benchbias.figures import Material, write_figure
from benchbias.records.analysis import read_analyses
from benchbias.records.table import Table
from benchbias.runner.publishing import published_records
from support import ROOT

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
