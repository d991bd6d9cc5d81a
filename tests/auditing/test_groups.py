"""Groups of an audit: each is what its name says, each set of examples is one, and no order changes them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.auditing.digests import digest_of
from benchbias.auditing.groups import MISSING, OTHER, Grouping, grouping_of
from benchbias.auditing.values import ALL, Answers, Column, Options
from benchbias.errors import UsageError


def column(*values: str | None) -> Column:
    names = sorted({value for value in values if value is not None})
    return Column(np.array([-1 if value is None else names.index(value) for value in values]), tuple(names))


def answers(labels: list[str], cluster: list[int] | None = None, **attributes: list[str | None]) -> Answers:
    label = column(*labels)
    same = label.codes
    return Answers(
        label.names,
        label.codes,
        same,
        {"small": same},
        {name: column(*values) for name, values in attributes.items()},
        None if cluster is None else np.array(cluster),
    )


def by_name(grouping: Grouping) -> dict[str, list[int]]:
    return {
        name: np.flatnonzero(grouping.members(at)).tolist()
        for at, group in enumerate(grouping.groups)
        for name in (group.name, *group.alias)
    }


PEOPLE = answers(
    ["a", "b", "a", "b", "a"], sex=["f", "f", "m", "m", None], hair=["x", "y", "x", "y", "x"], cluster=[0, 0, 1, 1, 2]
)


def test_values_and_crossings_have_the_examples_that_their_names_say():
    found = by_name(grouping_of(PEOPLE, Options()))
    assert found[ALL] == [0, 1, 2, 3, 4]
    assert found["label=a"] == [0, 2, 4]
    assert found["sex=f"] == [0, 1]
    assert found[f"sex={MISSING}"] == [4]
    assert found["label=b & sex=m"] == [3]
    assert found["hair=x & sex=m"] == [2]


def test_groups_with_the_same_examples_are_one_under_its_shortest_name():
    groups = {group.name: group for group in grouping_of(PEOPLE, Options()).groups}
    assert "hair=x" in groups["label=a"].alias  # hair follows the label here
    assert "hair=x" not in groups
    assert groups["label=a"].gated


def test_crossings_without_examples_are_named():
    found = grouping_of(PEOPLE, Options())
    assert f"hair=y & sex={MISSING}" in found.empty
    assert not any(group.n == 0 for group in found.groups)


def test_units_are_the_clusters_of_the_group():
    groups = {group.name: group.units for group in grouping_of(PEOPLE, Options()).groups}
    assert (groups[ALL], groups["sex=f"], groups["label=a"]) == (3, 1, 3)


def test_a_pass_needs_single_values_and_all_of_the_gate_alone():
    gated = {group.name for group in grouping_of(PEOPLE, Options(gate=("sex",))).groups if group.gated}
    assert gated == {ALL, "sex=f", "sex=m", f"sex={MISSING}"}
    everything = {group.name for group in grouping_of(PEOPLE, Options()).groups if group.gated}
    assert everything == gated | {"label=a", "label=b"}


def test_rare_values_are_one_group_by_their_number_alone():
    found = by_name(grouping_of(answers(list("ab") * 3, hair=list("xxxyzx")), Options(pool=2)))
    assert found[f"hair={OTHER}"] == [3, 4]
    assert "hair=y" not in found


@pytest.mark.parametrize(
    ("attributes", "options", "message"),
    [
        ({"sex": ["f", "m"]}, Options(gate=("sexx",)), "unknown attribute 'sexx'; did you mean 'sex'"),
        ({"sex": ["f", "m"]}, Options(depth=0), "depth 0: at least 1"),
        ({"sex": [MISSING, None]}, Options(), "the audit's own name of a group"),
        ({"sex": [OTHER, "m"]}, Options(pool=1), "the audit's own name of a group"),
    ],
)
def test_what_cannot_be_grouped_is_one_message(attributes: dict[str, list[str | None]], options: Options, message: str):
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        grouping_of(answers(["a", "b"], **attributes), options)


def test_a_name_of_each_example_is_no_attribute():
    made = replace(PEOPLE, attributes={"id": Column(np.arange(6000), tuple(f"{n:05}" for n in range(6000)))})
    many = replace(made, label=np.zeros(6000, int), dense=np.zeros(6000, int), compressed={}, cluster=None)
    with pytest.raises(UsageError, match="'id' has 6000 values"):
        grouping_of(many, Options())


def test_more_groups_than_can_be_read_are_refused():
    codes = np.arange(4000)
    columns = {name: Column(codes, tuple(f"{n:04}" for n in range(4000))) for name in "ab"}
    many = Answers(("0",), np.zeros(4000, int), np.zeros(4000, int), {}, columns)
    with pytest.raises(UsageError, match="makes more than 50000 groups"):
        grouping_of(many, Options())


rows = st.lists(
    st.tuples(*(st.sampled_from(["p", "q", None]) for _ in range(3)), st.sampled_from("ab"), st.integers(0, 5)),
    min_size=1,
    max_size=25,
)


def made(table: list[tuple[Any, ...]]) -> Answers:
    columns = list(zip(*table, strict=True))
    return answers(
        list(columns[3]), list(columns[4]), **{name: list(columns[at]) for at, name in enumerate(("one", "two", "six"))}
    )


@settings(max_examples=60, deadline=None)
@given(rows, st.randoms(use_true_random=False), st.integers(1, 3))
def test_groups_are_the_same_in_whatever_order_rows_and_columns_stand(
    table: list[tuple[Any, ...]], random: Any, depth: int
):
    shuffled = random.sample(table, len(table))
    one, other = made(table), made(shuffled)
    other = replace(other, attributes=dict(reversed(other.attributes.items())))
    first, second = (grouping_of(each, Options(depth=depth)) for each in (one, other))
    assert (first.groups, first.empty) == (second.groups, second.empty)
    assert digest_of(one) == digest_of(other)


@settings(max_examples=60, deadline=None)
@given(rows)
def test_every_group_is_the_examples_of_its_parts_and_no_two_are_equal(table: list[tuple[Any, ...]]):
    answered = made(table)
    grouping = grouping_of(answered, Options(depth=3))
    texts = {
        "label": [row[3] for row in table],
        **{name: [row[at] or MISSING for row in table] for at, name in enumerate(("one", "two", "six"))},
    }
    sets = set()
    for at, group in enumerate(grouping.groups):
        wanted = [n for n in range(len(table)) if all(texts[name][n] == value for name, value in group.parts)]
        assert np.flatnonzero(grouping.members(at)).tolist() == wanted
        assert (group.n, group.units) == (len(wanted), len({table[n][4] for n in wanted}))
        sets.add(tuple(wanted))
    assert len(sets) == len(grouping.groups)
    names = {name: {*values} for name, values in texts.items()}
    crossed = sum(
        int(np.prod([len(names[name]) for name in chosen]))
        for depth in range(1, 4)
        for chosen in itertools.combinations(names, depth)
    )
    told = sum(1 + len(group.alias) for group in grouping.groups)
    assert told + len(grouping.empty) == crossed + 1


def test_another_label_attribute_or_cluster_is_another_test_set():
    other = replace(PEOPLE, cluster=np.array([0, 1, 2, 3, 4]))
    third = replace(PEOPLE, attributes={**PEOPLE.attributes, "hair": column("x", "x", "x", "y", "x")})
    fourth = replace(PEOPLE, label=PEOPLE.label[::-1] * 0)
    assert len({digest_of(each) for each in (PEOPLE, other, third, fourth)}) == 4


def test_the_answers_of_models_are_no_part_of_the_test_set():
    assert digest_of(replace(PEOPLE, dense=PEOPLE.dense * 0)) == digest_of(PEOPLE)


def test_a_new_answer_or_clusters_of_one_are_the_same_test_set():
    other = replace(PEOPLE, classes=("a", "aa", "b"), label=np.where(PEOPLE.label == 1, 2, 0))
    assert digest_of(other) == digest_of(PEOPLE)
    single = replace(PEOPLE, cluster=np.arange(5))
    assert digest_of(single) == digest_of(replace(PEOPLE, cluster=None))
