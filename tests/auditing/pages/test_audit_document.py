"""The JSON of an audit: read back whole, the same bytes each time, of the published schema, and refused where wrong."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from benchbias.auditing.pages import document
from benchbias.auditing.pages.changes import changes
from benchbias.auditing.values import Options
from benchbias.errors import DataError
from support import sample_audits as samples

AUDITS = (samples.audit, samples.two_models, samples.passing, samples.nasty, samples.discovered)
COMMAND = "python -c 'from benchbias.auditing.pages import document as d; print(d.written_schema(), end=\"\")'"


def fails(value, schema, top):
    """The places where a value is not of a schema: a word of JSON schema that ours does not use is an error."""
    schema = dict(schema)
    if (ref := schema.pop("$ref", None)) is not None:
        return fails(value, top["$defs"][ref.removeprefix("#/$defs/")], top)
    for key in ("title", "description", "$defs", "$schema"):
        schema.pop(key, None)
    if "anyOf" in schema:
        options = schema.pop("anyOf")
        assert not schema
        return [] if any(not fails(value, option, top) for option in options) else ["anyOf"]
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict}
    kinds["null"] = type(None)
    found = []
    kind = schema.pop("type", None)
    if kind and (not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind != "boolean")):
        return [f"{value!r} is no {kind}"]
    if "enum" in schema and value not in schema.pop("enum"):
        found.append("enum")
    if "const" in schema and value != schema.pop("const"):
        found.append("const")
    if isinstance(value, dict):
        known = schema.pop("properties")
        assert schema.pop("additionalProperties") is False
        found += [f"{key} is lacking" for key in schema.pop("required") if key not in value]
        for key, item in value.items():
            found += [f"{key}: {fault}" for fault in fails(item, known[key], top)] if key in known else [f"{key}?"]
    if isinstance(value, list):
        prefix, items = schema.pop("prefixItems", []), schema.pop("items", None)
        assert schema.pop("minItems", 0) <= len(value) <= schema.pop("maxItems", len(value))
        for at, item in enumerate(value):
            found += fails(item, prefix[at] if at < len(prefix) else items, top)
    schema.pop("enum", None), schema.pop("const", None)
    assert not schema, f"a word of JSON schema that this test does not know: {schema}"
    return found


@pytest.mark.parametrize("make", AUDITS)
def test_an_audit_is_read_back_whole(make):
    audit = make()
    text = document.dumps(audit)
    again = document.loads(text)
    assert document.dumps(again) == text
    if "detectable" in text and not any(line.detectable != line.detectable for m in audit.models for line in m.lines):
        assert again == audit


@pytest.mark.parametrize("make", AUDITS)
def test_a_document_is_of_the_published_schema(make):
    schema = json.loads(document.schema_text())
    written = json.loads(document.dumps(make()))
    assert fails(written, schema, schema) == []
    assert fails(written | {"more": 1}, schema, schema) == ["more?"]
    assert fails(written | {"verdict": "fine"}, schema, schema) == ["verdict: enum"]
    assert fails(written | {"schema": 2}, schema, schema) == ["schema: const"]
    assert fails({key: value for key, value in written.items() if key != "n"}, schema, schema) == ["n is lacking"]


def test_the_published_schema_is_current():
    assert document.schema_text() == document.written_schema(), f"write it anew: {COMMAND}"


def test_no_number_that_json_lacks():
    line = dataclasses.replace(samples.line("x", 500, 3, 2), detectable=math.nan, error_ratio=math.inf)
    model = samples.passing().models[0]
    audit = samples.audit(dataclasses.replace(model, lines=(model.lines[0], line)))
    text = document.dumps(audit)
    assert "NaN" not in text
    assert "Infinity" not in text
    again = document.loads(text).models[0].lines[1]
    assert (again.detectable, again.error_ratio) == (None, None)
    broken = dataclasses.replace(model, not_excluded=math.nan)
    with pytest.raises(ValueError, match="not_excluded"):
        document.dumps(samples.audit(broken))


def test_numbers_of_numpy_are_written_as_numbers():
    line = samples.line("x", 500, 3, 2)
    other = dataclasses.replace(line, lost=np.int64(3), harm=np.float64(line.harm), small_loss=np.bool_(False))
    model = samples.passing().models[0]
    texts = [document.dumps(samples.audit(dataclasses.replace(model, lines=(x,)))) for x in (line, other)]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a valid JSON document"),
        ("[]", "should be an object"),
        ("{}", "Field required"),
        ('{"schema": 7}', "newer benchbias"),
        ('{"schema": 1, "schema": 1}', "stands twice"),
        ('{"schema": NaN}', "not allowed"),
        ("[" * 9000, "not a valid JSON document"),
        (b"\xff\xfe\x00", "not a valid JSON document"),
    ],
)
def test_another_file_is_refused_in_one_line(text, message: str):
    with pytest.raises(DataError, match=message) as caught:
        document.loads(text, "before.json")
    assert str(caught.value).startswith("before.json")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("value", ["0.1", True, None, [], "x"])
def test_a_value_of_another_type_is_refused_and_not_converted(value):
    found = json.loads(document.dumps(samples.audit()))
    found["models"][0]["lines"][0]["harm"] = value
    with pytest.raises(DataError, match=r"models\.0\.lines\.0\.harm"):
        document.loads(json.dumps(found))


def test_an_audit_that_stayed_has_no_changes():
    assert changes(samples.two_models(), samples.two_models()) == []


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"options": Options(margin=0.05)}, "The margin was raised from 3 to 5 points."),
        ({"options": Options(margin=0.01)}, "The margin was lowered from 3 to 1 points."),
        ({"options": Options(level=0.1)}, "The level was 0.05 and is now 0.1."),
        ({"options": Options(depth=1)}, "Up to 2 attributes were crossed, now up to 1."),
        ({"options": Options(gate=("sex",))}, 'A pass needed every attribute safe, and now needs "sex" safe.'),
        ({"options": Options(gate=())}, "A pass needed every attribute safe, and now needs no attribute safe."),
        ({"options": Options(by_label=False)}, "Labels are no longer groups of their own."),
        (
            {"options": Options(pool=9)},
            'Values with fewer than 0 examples were "(other)", now those with fewer than 9.',
        ),
        ({"test_set": "cd" * 32, "n": 5999}, "The test set is another one: 6000 examples before, 5999 now."),
        ({"dense": "v2"}, 'The dense model was called "dense" and is now "v2".'),
        ({"pairs": 4}, "1 pair of models before, 4 now."),
    ],
)
def test_every_setting_that_changed_is_told(changed, sentence: str):
    assert changes(samples.audit(), dataclasses.replace(samples.audit(), **changed)) == [sentence]


def test_every_option_is_told_when_it_changes():
    """A new field of Options that `changes` does not know fails here."""
    audit = samples.audit()
    other = {"margin": 0.5, "level": 0.5, "depth": 3, "gate": ("x",), "by_label": False, "pool": 7}
    for item in dataclasses.fields(Options):
        changed = dataclasses.replace(
            audit, options=dataclasses.replace(audit.options, **{item.name: other[item.name]})
        )
        assert len(changes(audit, changed)) == 1, item.name


def test_groups_models_and_verdicts_that_changed_are_told():
    before, now = samples.audit(samples.model("int8", (8, 4))), samples.audit()
    found = " ".join(changes(before, now))
    assert '"int8" was pass and is now harmed.' in found
    assert 'Harmed by "int8" now, and not before: "hair=blond", "male & blond".' in found or (
        'Harmed by "int8" now, and not before: "male & blond", "hair=blond".' in found
    )
    assert 'No longer harmed by "int8": "hair=blond", "male & blond".' in " ".join(changes(now, before))
    assert 'Models that are new: "pruned-80".' in changes(samples.audit(), samples.two_models())
    extra = samples.line("sex=x", 500, 2, 2)
    assert changes(now, samples.audit(samples.model("int8", extra=(extra,)))) == ['Groups that are new: "sex=x".']
