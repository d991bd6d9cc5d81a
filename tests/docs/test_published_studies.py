"""Published boards of studies, their pages and figures are those of the committed records."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchbias.figures import Material, write_figure
from benchbias.runner.publishing import published_records
from support import ROOT

BOARDS = ROOT / "leaderboard"
STUDIES = ("contrastive", "prune-layers", "rest-density-long")
PAGES = {name: (ROOT / f"docs/suites/{name}.md").read_text() for name in STUDIES}


@pytest.mark.parametrize("suite", STUDIES)
def test_the_pages_rows_are_the_boards(suite: str):
    """A line `| name | column: cell | ...` of a table whose header names columns of the board."""
    board = (BOARDS / f"details/{suite}.md").read_text()
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in board.splitlines() if line[:1] == "|"]
    rows, header = {}, []
    for cells in lines:
        header = cells if "method" in cells and "accuracy" in cells else header
        if len(cells) == len(header):
            rows[cells[header.index("method")].replace("\\", "").strip("_")] = dict(zip(header, cells, strict=True))
    tables = re.findall(r"^\| method \|(.*)\|\n\|[-|: ]+\|\n((?:\|.*\n)+)", PAGES[suite], re.MULTILINE)
    found = 0
    for columns, body in tables:
        names = [name.strip() for name in columns.split("|")]
        for line in body.strip().splitlines():
            method, *cells = [cell.strip() for cell in line.strip("|").split("|")]
            for name, cell in zip(names, cells, strict=True):
                assert rows[method.strip("`")][name] == cell, (method, name)
                found += 1
    assert found or suite == "prune-layers"


def drawn(tmp_path: Path, name: str | None = None) -> tuple[str, list[str]]:
    material = Material.of(*published_records("prune-layers", BOARDS))
    lines = write_figure("prune-layers", material, tmp_path / "a.svg", name)
    return (tmp_path / "a.svg").read_text(), lines


def test_the_committed_figure_is_drawn_from_the_committed_records(tmp_path: Path):
    made, _ = drawn(tmp_path)
    kept = (ROOT / "docs/suites/prune-layers.svg").read_text()
    texts = [re.findall(r"<text[^>]*>([^<]*)</text>", picture) for picture in (made, kept)]
    assert texts[0] == texts[1]
    assert len(texts[0]) > 100
    versions = [re.search(r"Matplotlib v[0-9.]+", picture) for picture in (made, kept)]
    if versions[0] and versions[1] and versions[0][0] == versions[1][0]:
        assert made == kept


def test_the_pages_table_at_equal_accuracy_is_the_figures(tmp_path: Path):
    _, lines = drawn(tmp_path, "equal-accuracy")
    start = next(at for at, line in enumerate(lines) if line.startswith("layers-magnitude (colored-digits-sweep)"))
    shown = re.findall(
        r"^\| `([^`]+)` \| ([-+][0-9.]+ ± [0-9.]+|–) \| ([-+][0-9.]+ ± [0-9.]+|–) \|", PAGES["prune-layers"], re.M
    )
    assert len(shown) >= 5
    told = {}
    for line in lines[start + 1 :]:
        if not line.startswith("  "):
            break
        layers, values = line.strip().split(", at ", 1)
        told[layers] = dict(part.split(": ") for part in values.removeprefix("at ").split("; at "))
    for layers, at_one, at_five in shown:
        assert (told[layers]["1"], told[layers]["5"]) == (at_one, at_five)
