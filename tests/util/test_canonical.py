"""Canonical JSON: equal values have equal bytes, unequal ones do not, and nothing but strict JSON is read."""

from __future__ import annotations

import json
import math
import random
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.errors import StorageError
from benchbias.util import canonical

quick = settings(max_examples=80, deadline=None, derandomize=True)

text = st.text(max_size=8).map(lambda value: unicodedata.normalize("NFC", value))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)


def typed(value):
    """A value in which 1, 1.0 and True differ, and so do 0.0 and -0.0."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return (type(value).__name__, repr(value))


def shuffled(value, order):
    """The same value with every table filled in another order."""
    if isinstance(value, dict):
        keys = list(value)
        order.shuffle(keys)
        return {key: shuffled(value[key], order) for key in keys}
    return [shuffled(item, order) for item in value] if isinstance(value, list) else value


@quick
@given(values)
def test_what_is_written_is_read_back_with_its_types(value):
    assert typed(canonical.loads(canonical.dumps(value))) == typed(value)


@quick
@given(values)
def test_any_json_parser_reads_the_same(value):
    assert typed(json.loads(canonical.dumps(value))) == typed(value)


@quick
@given(values, st.integers(0, 9))
def test_the_order_in_which_a_table_was_filled_changes_no_byte(value, seed):
    other = shuffled(value, random.Random(seed))
    assert canonical.dumps(other) == canonical.dumps(value)
    assert canonical.digest(other) == canonical.digest(value)


@quick
@given(values, values)
def test_only_equal_values_have_equal_bytes(one, other):
    assert (canonical.dumps(one) == canonical.dumps(other)) == (typed(one) == typed(other))


@quick
@given(values)
def test_the_short_way_to_a_digest_agrees_with_the_long_one(value):
    parsed = canonical.loads(canonical.dumps(value))
    assert canonical.digest_of_parsed(parsed) == canonical.digest(value)
    assert canonical.is_digest(canonical.digest(value))


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_text_that_looks_the_same_is_the_same_in_keys_and_in_values(form):
    word = unicodedata.normalize(form, "Müller")
    assert canonical.dumps({word: [word]}) == canonical.dumps({"Müller": ["Müller"]})


def test_two_keys_that_normalise_to_one_are_refused():
    one, other = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    with pytest.raises(ValueError):
        canonical.dumps({one: 1, other: 2})


def test_a_tuple_is_written_as_a_list():
    assert canonical.dumps({"a": (1, (2,))}) == canonical.dumps({"a": [1, [2]]})


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [x], lambda x: {"a": {"b": x}}])
def test_a_number_that_json_does_not_have_is_not_written(number, wrap):
    with pytest.raises(ValueError):
        canonical.dumps(wrap(number))


@pytest.mark.parametrize("value", [{1: "a"}, {None: 1}, {1, 2}, b"bytes", object(), [1j]])
def test_a_value_that_json_cannot_hold_is_not_written(value):
    with pytest.raises(TypeError):
        canonical.dumps(value)


def nested(depth, opening, closing):
    return opening * depth + "1" + closing * depth


@pytest.mark.parametrize(
    "document",
    [
        pytest.param('{"a":1,"a":2}', id="a key twice"),
        pytest.param('[{"b":{"a":1,"a":1}}]', id="a key twice deep inside"),
        pytest.param("NaN", id="NaN"),
        pytest.param('{"a":[Infinity]}', id="infinity"),
        pytest.param("-Infinity", id="minus infinity"),
        pytest.param("1e999", id="a float too large"),
        pytest.param('{"a":[-1e999]}', id="a float too small"),
        pytest.param(nested(60, "[", "]"), id="deep lists"),
        pytest.param(nested(60, '{"a":', "}"), id="deep tables"),
        pytest.param(nested(100_000, "[", "]"), id="lists deeper than the stack"),
        pytest.param("1" * 5000, id="a whole number too long"),
        pytest.param("", id="nothing"),
        pytest.param("{'a': 1}", id="not JSON"),
        pytest.param("1 2", id="two values"),
        pytest.param(b"\xff\xfe\xff", id="no text"),
        pytest.param(b'"\x80"', id="not UTF-8"),
        pytest.param(b'"\xed\xa0\x80"', id="half of a surrogate pair as bytes"),
        pytest.param('"\\ud800"', id="half of a surrogate pair"),
        pytest.param('{"a":["\\udc00"]}', id="the other half deep inside"),
        pytest.param('{"\\ud800":1}', id="half of a surrogate pair as a key"),
        pytest.param('"\ud800"', id="half of a surrogate pair as text"),
    ],
)
def test_what_is_no_strict_json_is_refused(document):
    with pytest.raises(StorageError):
        canonical.loads(document)


def test_a_whole_surrogate_pair_is_a_character():
    assert canonical.loads('"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_document_may_be_nested_as_deeply_as_the_limit(opening, closing):
    canonical.loads(nested(canonical.MAX_DEPTH, opening, closing))
    with pytest.raises(StorageError):
        canonical.loads(nested(canonical.MAX_DEPTH + 1, opening, closing))


@pytest.mark.parametrize("name", ["", "a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 63 + "\n", None, 7])
def test_what_is_no_sha256_is_no_digest(name):
    assert not canonical.is_digest(name)
