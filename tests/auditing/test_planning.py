"""A plan tells the power that a simulated audit has, for the groups that a table has."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from scipy import stats

from benchbias.auditing.before.planning import Sized, plan, plan_json, plan_text, sizes
from benchbias.auditing.statistics.bounds import safe_p
from benchbias.auditing.values import Column
from benchbias.errors import BenchbiasError

SEX = Column(np.array([0, 0, 0, 1, 1, 1, 1, -1]), ("f", "m"))
HAIR = Column(np.array([0, 1, 2, 0, 1, 2, 0, 1]), ("a", "b", "c"))


def test_the_groups_are_all_examples_each_value_and_crossings_that_have_examples():
    found = {group.name: (group.n, group.gated) for group in sizes({"sex": SEX, "hair": HAIR}, depth=2, gate=["sex"])}
    assert found == {
        "all": (8, True),
        "sex=f": (3, True),
        "sex=m": (4, True),
        "hair=a": (3, False),
        "hair=b": (3, False),
        "hair=c": (2, False),
        "hair=a & sex=f": (1, False),
        "hair=a & sex=m": (2, False),
        "hair=b & sex=f": (1, False),
        "hair=b & sex=m": (1, False),
        "hair=c & sex=f": (1, False),
        "hair=c & sex=m": (1, False),
    }
    assert len(sizes({"sex": SEX, "hair": HAIR})) == 6


def test_clusters_cost_the_size_of_the_cluster_that_an_example_is_in():
    groups = {g.name: g.design for g in sizes({"sex": SEX}, cluster=np.array([1, 1, 2, 3, 3, 3, 3, 4]))}
    assert groups == {"all": (4 + 1 + 16 + 1) / 8, "sex=f": 5 / 3, "sex=m": 4.0}
    alone, four = (plan([Sized("all", 1000, design)], 0.05).groups[0] for design in (1.0, 4.0))
    assert four.needs == pytest.approx(4 * (alone.needs or 0), abs=4)
    assert four.chance == plan([Sized("all", 250)], 0.05).groups[0].chance


@pytest.mark.parametrize("n", [99, 150, 231, 400])
def test_the_chance_is_that_of_audits_without_harm(n: int):
    """The binomials of lost and gained examples, summed: not the frontier that the plan is made with."""
    discordance, margin = 0.04, 0.03
    lost, gained = np.meshgrid(np.arange(40), np.arange(40), indexing="ij")
    chance = stats.multinomial.pmf(
        np.stack([lost, gained, n - lost - gained], -1), n, [discordance / 2, discordance / 2, 1 - discordance]
    )
    safe = safe_p(lost, gained, np.full_like(lost, n), margin) <= 0.05
    assert plan([Sized("all", n)], discordance, margin).groups[0].chance == pytest.approx(chance[safe].sum(), abs=2e-3)


def test_what_is_needed_reaches_the_power_and_fewer_than_the_fewest_are_too_small():
    found = plan([Sized("all", 5000), Sized("a", 98), Sized("b", 99)], 0.02, 0.03)
    needs = found.groups[0].needs
    assert needs is not None
    assert (
        plan([Sized("all", needs)], 0.02, 0.03).groups[0].chance
        >= 0.8
        > plan([Sized("all", needs - 60)], 0.02).groups[0].chance
    )
    assert {group.name: group.too_small for group in found.groups} == {"all": False, "a": True, "b": False}
    assert found.fewest == 99
    assert [group.name for group in found.groups] == ["all", "a", "b"]


def test_the_harm_that_is_found_grows_with_the_number_of_groups_and_falls_with_their_size():
    def finds(n: int, others: int) -> float:
        found = plan([Sized("all", n), *(Sized(str(k), 50) for k in range(others))], 0.02).groups[0].finds
        assert found is not None
        return found

    assert finds(2000, 0) < finds(2000, 30) < finds(500, 30)
    assert plan([Sized("all", 3)], 0.02).groups[0].finds is None


def test_the_chances_of_a_pass_hold_what_one_group_and_all_groups_allow():
    groups = [Sized("all", 2000), Sized("a", 300), Sized("b", 250), Sized("c & d", 10, gated=False)]
    found = plan(groups, 0.02)
    gated = [group.chance for group in found.groups if group.gated]
    assert found.pass_at_most == min(gated)
    assert found.pass_at_least == pytest.approx(1 - sum(1 - chance for chance in gated))


def test_the_text_and_the_json_tell_the_plan_in_any_order_of_groups():
    groups = sizes({"sex": SEX, "hair": HAIR}, depth=2, cluster=np.arange(8) // 2)
    found = plan(groups, 0.02)
    assert plan(groups[::-1], 0.02) == found
    text = plan_text(found)
    assert all(group.name in text for group in groups)
    assert "6 groups that a pass needs are too small" in text
    assert "Examples of one cluster are taken to change together" in text
    told: dict[str, Any] = json.loads(plan_json(found))
    assert told["groups"] == [dataclasses.asdict(group) for group in found.groups]
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_clusters_of_different_sizes_make_a_plan_approximate_and_it_says_so():
    equal, unequal = (sizes({"sex": SEX}, cluster=np.array(of)) for of in ([0, 0, 1, 2, 2, 3, 3, 1], [0] * 5 + [1] * 3))
    assert "approximate" in plan_text(plan(unequal[:1], 0.02))
    assert "approximate" not in plan_text(plan(equal[:1], 0.02))
    assert json.loads(plan_json(plan(unequal, 0.02)))["unequal"] is True


def test_a_text_of_many_groups_shows_those_with_the_least_chance():
    found = plan([Sized(f"g{n}", n) for n in range(1, 101)], 0.02)
    text = plan_text(found)
    assert "40 groups with a larger chance are not shown; the JSON has each." in text
    assert "g1 " in text
    assert "g100 " not in text
    assert len(json.loads(plan_json(found))["groups"]) == 100


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "discordance": ({"discordance": 2.0}, "discordance is 2: a share above 0 and below 1 is meant, such as 0.02"),
    "no discordance": ({"discordance": 0.0}, "discordance is 0: a share above 0 and below 1"),
    "discordance of all": ({"discordance": 1.0}, "discordance is 1: a share above 0 and below 1"),
    "discordance that is no number": ({"discordance": float("nan")}, "discordance is nan: a share above 0"),
    "margin": ({"margin": 0.0}, "margin is 0: a share"),
    "level": ({"level": 1.0}, "level is 1: a share"),
    "power": ({"power": -1.0}, "power is -1: a share"),
    "groups": ({"groups": []}, "there are none"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_one_message(fault: str):
    changes, message = FAULTS[fault]
    with pytest.raises(BenchbiasError, match=message):
        plan(**({"groups": [Sized("all", 10)], "discordance": 0.1} | changes))


def test_columns_that_are_not_there_have_one_message():
    with pytest.raises(BenchbiasError, match=r"gate: 'age' is none of the columns \(sex\)"):
        sizes({"sex": SEX}, gate=["age"])
    with pytest.raises(BenchbiasError, match="no cluster in 1 rows of 8"):
        sizes({"sex": SEX}, cluster=np.arange(8) - 1)
    with pytest.raises(BenchbiasError, match="column 'age' has 501 values, each a group"):
        sizes({"age": Column(np.arange(501), tuple(map(str, range(501))))})
    with pytest.raises(BenchbiasError, match="name a column"):
        sizes({})
