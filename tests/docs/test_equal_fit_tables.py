"""The published tables of equal_fit are what the analysis makes of the published records today."""

from __future__ import annotations

import sys

from support import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
try:
    import equal_fit_tables
finally:
    sys.path.remove(str(ROOT / "benchmarks"))


def test_every_published_table_of_equal_fit_is_made_of_the_records_byte_for_byte():
    found = list(equal_fit_tables.anew(ROOT / "leaderboard"))
    assert {path.parts[-3] for path, _ in found} >= {"equal-fit", "equal-fit-mnist", "equal-fit-dominoes"}
    for path, made in found:
        assert path.read_text() == made.to_text(), path.name
