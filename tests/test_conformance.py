"""Everything that benchbias comes with passes the checks that it sets for others."""

from __future__ import annotations

from benchbias.testing import parametrize_with_checks


@parametrize_with_checks("benchbias")
def test_what_benchbias_comes_with_keeps_its_contract(check):
    check()
