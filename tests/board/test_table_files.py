"""A table in a file: no cell that a spreadsheet would compute, and the same text in every encoding of the machine."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchbias.board.markdown.analysis_tables import write_table
from benchbias.records.analysis import AnalysisRecord
from benchbias.records.table import Table

FORMULAS = ['=HYPERLINK("http://x","y")', "+1+1", "-2+3", "@SUM(A1)", "=1"]
TEXTS = ["-", "0/red", "erm", "a=b"]


def record_of(table: Table) -> AnalysisRecord:
    head = {"suite": {"name": "toy"}, "task": "toy", "analysis": "mine", "options": {}, "trials": 2, "status": "ok"}
    return AnalysisRecord(head | {"table": table.to_json()})


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_and_no_head_of_a_csv_is_a_formula(tmp_path: Path, formula: str):
    columns = {formula: ("text", "", (formula, *TEXTS)), "change": ("number", "points", (-1.5, 2.0, -3.0, 0.0, None))}
    table = Table(columns, "By hand.")
    write_table(record_of(table), table, tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == [f"'{formula}", "change"]
    assert [row[0] for row in rows[1:]] == [f"'{formula}", *TEXTS]
    assert [row[1] for row in rows[1:]] == ["-1.5", "2.0", "-3.0", "0.0", ""], "numbers stay numbers"


@pytest.mark.parametrize("suffix", [".md", ".json", ".csv"])
def test_a_table_file_is_utf_8(tmp_path: Path, suffix: str):
    table = Table({"row": ("text", "", ("caf\u00e9",))}, "By hand.")
    write_table(record_of(table), table, tmp_path / f"a{suffix}")
    assert "caf" in (tmp_path / f"a{suffix}").read_bytes().decode("utf-8")
