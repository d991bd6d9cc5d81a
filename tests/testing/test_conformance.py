"""Everything that benchbias comes with passes the checks that it sets for others; what it waives, it ships."""

from __future__ import annotations

import re

import pytest

from benchbias.testing import parametrize_with_checks

LONG = re.compile(r"dataset-(cifar10|corrupted_cifar10)-(?!seeds)")
"""Every check builds these data sets anew, 60,000 images: `benchbias check cifar10` has them all, in minutes."""


@parametrize_with_checks("benchbias")
def test_what_benchbias_comes_with_keeps_its_contract(check, request):
    if LONG.search(request.node.name):
        pytest.skip("it takes minutes; `benchbias check cifar10` does it")
    check()
