"""Short forms of benchmarks/audit_errors.py: an audit errs no more often than it says, in worlds of known truth."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest

from benchbias.auditing.statistics.bounds import no_harm_p
from benchbias.auditing.statistics.uneven import uneven_p
from support import BENCHMARKS
from support.tiers import tiered

LEVEL = 0.05


@pytest.fixture(scope="module")
def scripts():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        found = {name: import_module(f"audit_{name}") for name in ("worlds", "errors")}
    finally:
        sys.path.remove(str(BENCHMARKS))
    return SimpleNamespace(**found)


def most(draws, level=LEVEL, errors=3.0):
    """The largest share of errors that chance alone gives a test at its level."""
    return level + errors * np.sqrt(level * (1 - level) / draws)


@pytest.mark.parametrize("level", [0.05, 0.01, 0.0025])
@pytest.mark.parametrize("n", tiered(range(1, 101), quick=(1, 2, 3, 7, 12, 21, 30)))
def test_no_truth_is_missed_more_often_than_the_level(scripts, n, level):
    assert 0.9 * level <= scripts.errors.worst_miss(n, level) <= level + 1e-5


def test_a_bound_that_misses_would_be_found(scripts, monkeypatch):
    """Bounds at twice the level, and bounds a hair too narrow."""
    true = scripts.errors.harm_bounds
    monkeypatch.setattr(scripts.errors, "harm_bounds", lambda b, c, n, level: true(b, c, n, 2 * level))
    assert scripts.errors.worst_miss(21, 0.05) > 0.09
    monkeypatch.setattr(scripts.errors, "harm_bounds", lambda b, c, n, level: [x - 0.001 for x in true(b, c, n, level)])
    assert scripts.errors.worst_miss(21, 0.05) > 0.0501


def test_groups_of_the_worlds_are_29_and_86_and_overlap(scripts):
    worlds = scripts.worlds
    assert [len(worlds.groups(values)) for values in (worlds.FEW, worlds.MANY)] == [29, 86]
    drawn = worlds.draw(replace(worlds.NO_HARM[0], n=500), np.random.default_rng(0))
    inside = [worlds.members(drawn, name) for name in worlds.groups(worlds.FEW)]
    assert sum(one.sum() for one in inside) == 500 * (1 + 3 + 3)


def test_worlds_have_the_harm_and_the_flips_that_they_name(scripts):
    for world in scripts.worlds.AT_THE_MARGIN[:4]:
        big = replace(world, n=60_000)
        drawn = scripts.worlds.draw(big, np.random.default_rng(1))
        last = drawn.codes[:, 0] == 1
        assert drawn.change[last].mean() == pytest.approx(0.03, abs=0.012)
        assert abs(drawn.change[~last]).mean() == pytest.approx(world.flips[0], abs=0.012)
        if world.cluster > 1:
            assert np.bincount(drawn.cluster).mean() == pytest.approx(world.cluster, rel=0.05)


@pytest.mark.parametrize("at", tiered(range(32), quick=(0, 3, 5, 17)))
def test_any_group_is_falsely_found_to_lose_no_more_often_than_the_level(scripts, at):
    world, draws = scripts.worlds.NO_HARM[at], 100
    names, numbers, found = scripts.worlds.groups(world.values), np.random.default_rng(at), 0
    for _ in range(draws):
        drawn = scripts.worlds.draw(world, numbers)
        insides = [scripts.worlds.members(drawn, name) for name in names]
        found += (scripts.errors.adjusted_p(drawn, insides) <= LEVEL).any()
    assert found / draws <= most(draws)


def test_without_the_adjustment_a_group_would_often_be_found(scripts):
    world, numbers, found = scripts.worlds.NO_HARM[8], np.random.default_rng(0), 0
    for _ in range(60):
        drawn = scripts.worlds.draw(world, numbers)
        insides = [scripts.worlds.members(drawn, name) for name in scripts.worlds.groups(world.values)]
        counts = [[(drawn.change[inside] == sign).sum() for inside in insides] for sign in (1, -1)]
        found += (no_harm_p(*np.array(counts)) <= LEVEL).any()
    assert found / 60 > 0.3


def test_copies_taken_for_independent_examples_would_be_found_to_lose(scripts):
    """The same world, told as if each example were a cluster of its own."""
    world, numbers, found = scripts.worlds.NO_HARM[3], np.random.default_rng(0), 0
    for _ in range(60):
        drawn = scripts.worlds.draw(replace(world, same=1.0, within=False, n=1000), numbers)
        blind = replace(drawn, cluster=None)
        insides = [scripts.worlds.members(drawn, name) for name in scripts.worlds.groups(world.values)]
        found += (scripts.errors.adjusted_p(blind, insides) <= LEVEL).any()
    assert found / 60 > 0.2


@pytest.mark.parametrize("at", tiered(range(16), quick=(0, 1, 4)))
def test_a_harm_of_the_margin_passes_no_more_often_than_the_level(scripts, at):
    world, draws = scripts.worlds.AT_THE_MARGIN[at], 100
    names = [name for name in scripts.worlds.groups(world.values) if len(name) < 2]
    numbers, passed = np.random.default_rng(at), 0
    for _ in range(draws):
        drawn = scripts.worlds.draw(world, numbers)
        insides = [scripts.worlds.members(drawn, name) for name in names]
        passed += (scripts.errors.safety_p(drawn, insides) <= LEVEL).all()
    assert passed / draws <= most(draws)


@pytest.mark.parametrize("at", tiered(range(10), quick=(1, 3, 6, 8)))
def test_no_value_of_an_even_world_is_called_uneven_more_often_than_the_level(scripts, at):
    world, draws = scripts.worlds.EVEN[at], 60
    numbers = np.random.default_rng(at)
    tests = [scripts.worlds.draw(world, numbers) for _ in range(draws)]
    p = [uneven_p(one.change, one.codes[:, 0], world.values[0], one.cluster)[0] for one in tests]
    assert np.mean(np.array(p) <= LEVEL) <= most(draws)


@pytest.mark.parametrize("table", ["bounds", "agreement", "harmed", "pass", "uneven", "power"])
def test_the_script_prints_each_of_its_tables_the_same_twice(scripts, table, capsys, monkeypatch):
    errors = scripts.errors
    for name in ("NO_HARM", "AT_THE_MARGIN", "EVEN"):
        monkeypatch.setattr(errors, name, tuple(replace(one, n=60) for one in getattr(errors, name)[::7]))
    monkeypatch.setattr(errors, "SIZES", (3,))
    monkeypatch.setattr(errors, "AGREEMENT", (8,))
    monkeypatch.setattr(errors, "DISCORDANCE", (0.02,))
    printed = []
    for _ in range(2):
        errors.main(["--draws", "2", "--tables", table])
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert f"--draws 2 --seed 0 --tables {table}`" in printed[0]
    rows = [line for line in printed[0].splitlines() if line.startswith("|")]
    assert len(rows) > 2
    assert len({row.count("|") for row in rows}) == 1
