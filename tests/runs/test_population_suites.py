"""The suites of populations run with all their analyses: on few images and seeds, where no data are needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchbias import run
from benchbias.board.claims import load_claims
from benchbias.board.evidence import Evidence
from support import ROOT
from support.tiers import tiered

LIMITS = {"recall-distortion": 64, "selective-damage": 64, "memorization": 64, "equal-fit": 64}


@pytest.mark.parametrize("suite", tiered(LIMITS, quick=("memorization",)))
def test_every_analysis_of_the_suite_gives_a_table_that_has_the_cells_of_its_claims(suite: str, tmp_path: Path):
    seeds = 12 if suite == "selective-damage" else 3
    results = run(suite, seeds=seeds, limit=LIMITS[suite], out=tmp_path)
    assert results.exit_code == 0, results.text
    assert all(record.table is not None for record in results.analyses)
    assert len(results.analyses) == len(results.plan.table.analyses)
    claims, _ = load_claims(ROOT / "claims-before.toml")
    evidence = Evidence((), results.analyses)
    mine = {name: claim for name, claim in claims.items() if claim.suite == suite}
    assert mine
    for name, claim in mine.items():
        evidence.gap(name, claim)  # raises where there is no such cell
