"""Tables of answers: the same cells give the same answers in every format and type, and each fault has one message."""

from __future__ import annotations

import csv
import datetime
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.auditing.tables.columns import coded_array
from benchbias.auditing.tables.reading import read_answers, read_columns
from benchbias.auditing.values import DENSE, Answers
from benchbias.errors import BenchbiasError
from support.answer_tables import FORMATS, write_table

PLAIN = {
    "id": ["a", "b", "c", "d"],
    "y": [0, 1, 2, 1],
    "dense": [0, 1, 2, 0],
    "int8": [0, 2, 2, 1],
    "sex": ["f", "m", None, "f"],
    "patient": [7, 7, 8, 9],
}


def read(path: Path, **changes: Any) -> Answers:
    options = {"label": "y", "dense": "dense", "compressed": ["int8"], "attributes": ["sex"]} | changes
    return read_answers(path, **options)


def told(answers: Answers) -> dict[str, Any]:
    """The answers as plain texts, whatever their codes are."""

    def texts(codes: Any, names: tuple[str, ...]) -> list[str]:
        return ["" if code < 0 else names[code] for code in codes]

    return {
        "label": texts(answers.label, answers.classes),
        DENSE: texts(answers.dense, answers.classes),
        **{name: texts(codes, answers.classes) for name, codes in answers.compressed.items()},
        **{f"attribute {name}": texts(c.codes, c.names) for name, c in answers.attributes.items()},
    }


# the same in every format and type


@pytest.mark.parametrize("form", FORMATS)
def test_a_table_is_read_alike_from_every_format(form: str, tmp_path: Path):
    found = read(write_table(tmp_path, form, PLAIN), cluster="patient", identity="id", image="id")
    assert told(found) == {
        "label": ["0", "1", "2", "1"],
        DENSE: ["0", "1", "2", "0"],
        "int8": ["0", "2", "2", "1"],
        "attribute sex": ["f", "m", "", "f"],
    }
    assert found.ids == found.images == ("a", "b", "c", "d")
    assert found.cluster is not None
    assert found.cluster.tolist() == [0, 0, 1, 2]
    assert (found.classes, found.dense_name, found.notes, found.scores) == (("0", "1", "2"), "dense", (), {})


DAY, MOMENT = datetime.date(2026, 3, 1), datetime.datetime(2026, 3, 1, 12, 30)
KINDS: dict[str, tuple[list[Any], list[str]]] = {
    "texts": (["x", " y ", "z"], ["x", "y", "z"]),
    "unicode": (["e\u0301", "\u00e9", "ß"], ["é", "é", "ß"]),
    "integers": ([3, -1, 20], ["3", "-1", "20"]),
    "whole floats": ([3.0, -1.0, 0.0], ["3", "-1", "0"]),
    "fractions": ([0.5, 0.1, 1e-7], ["0.5", "0.1", "1e-07"]),
    "truths": ([True, False, True], ["True", "False", "True"]),
    "days": ([DAY, DAY, DAY], ["2026-03-01"] * 3),
    "moments": ([MOMENT, MOMENT, MOMENT], ["2026-03-01T12:30:00"] * 3),
    "holes": (["x", None, "nan"], ["x", "", ""]),
    "numbers with holes": ([1.0, None, 2.0], ["1", "", "2"]),
    "whole numbers of numpy.savetxt": (["1.000000000000000000e+00", "-0.0e+00", "1e5"], ["1", "0", "1e5"]),
    "zeros in front": (["007", "7", "7.10"], ["007", "7", "7.10"]),
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_gives_one_text_in_every_format(form: str, kind: str, tmp_path: Path):
    values, expected = KINDS[kind]
    column = read_columns(write_table(tmp_path, form, {"a": values, "other": [1, 2, 3]}), ["a"])["a"]
    assert ["" if code < 0 else column.names[code] for code in column.codes] == expected
    assert list(column.names) == sorted(set(expected) - {""})


@pytest.mark.parametrize("dtype", ["int8", "uint64", "float16", "float32", "float64", "str", "object", "bool"])
def test_every_type_of_numpy_gives_the_same_texts(dtype: str):
    column = coded_array(np.array([1, 0, 1]).astype(dtype), "here", "a")
    assert [column.names[code] for code in column.codes] == (
        ["True", "False", "True"] if dtype == "bool" else ["1", "0", "1"]
    )
    assert coded_array(np.array([0.1, np.nan]).astype("float32"), "here", "a").names == ("0.1",)


@pytest.mark.parametrize("kind", ["float16", "float32", "dictionary", "large", "binary", "decimal", "moment"])
def test_every_type_of_arrow_gives_the_same_texts(kind: str, tmp_path: Path):
    made = {
        "float16": pyarrow.array(np.array([0.1, 1], np.float16)),
        "float32": pyarrow.array([0.1, 1.0], pyarrow.float32()),
        "dictionary": pyarrow.array(["0.1", "1"]).dictionary_encode(),
        "large": pyarrow.array(["0.1", "1"], pyarrow.large_string()),
        "binary": pyarrow.array([b"0.1", b"1"]),
        "decimal": pyarrow.array(["0.1", "1"]).cast(pyarrow.decimal128(9, 1)),
        "moment": pyarrow.array([datetime.datetime(2026, 3, 1)] * 2, pyarrow.timestamp("ns")),
    }
    pyarrow.parquet.write_table(pyarrow.table({"a": made[kind]}), tmp_path / "a.parquet")
    column = read_columns(tmp_path / "a.parquet", ["a"])["a"]
    expected = ["2026-03-01"] * 2 if kind == "moment" else ["0.1", "1"]
    assert [column.names[code] for code in column.codes] == expected


@given(st.lists(st.one_of(st.none(), st.integers(-9, 9), st.booleans(), st.text(max_size=3)), min_size=1, max_size=9))
@settings(max_examples=40, deadline=None)
def test_any_column_is_the_same_in_json_and_in_arrays_in_any_order(tmp_path_factory: Any, values: list[Any]):
    path = tmp_path_factory.mktemp("any") / "a.jsonl"
    orders = [values, values[::-1]]
    read_texts = []
    for order in orders:
        path.write_text("".join(json.dumps({"a": value, "b": 1}) + "\n" for value in order))
        column = read_columns(path, ["a"])["a"]
        array = np.empty(len(order), object)
        array[:] = order
        same = coded_array(array, "here", "a")
        assert (column.codes == same.codes).all()
        assert column.names == same.names == tuple(sorted(set(column.names)))
        read_texts.append([column.names[code] if code >= 0 else "" for code in column.codes])
    assert read_texts[0] == read_texts[1][::-1]


UNQUOTED = st.characters(exclude_categories=["Cs"], exclude_characters="\r")  # csv.writer forgets to quote this one


@given(
    st.lists(st.text(UNQUOTED, max_size=5), min_size=1, max_size=9),
    st.sampled_from(",;|\t"),
    st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=60, deadline=None)
def test_any_text_is_the_same_in_csv_and_in_arrays(tmp_path_factory: Any, values: list[str], sign: str, end: str):
    path = tmp_path_factory.mktemp("any") / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=sign, lineterminator=end)
        writer.writerows([("a", "b"), *((value, 1) for value in values)])
    try:
        expected = coded_array(np.array(values, object), "here", "a")
    except BenchbiasError:
        with pytest.raises(BenchbiasError):
            read_columns(path, ["a"])
        return
    column = read_columns(path, ["a"])["a"]
    assert (column.codes == expected.codes).all()
    assert column.names == expected.names


def test_boolean_labels_and_answers_of_0_and_1_are_one_scale(tmp_path: Path):
    columns = PLAIN | {"y": [True, False, True, False], "dense": [1, 0, 0, 0], "int8": [1, 0, 1, 1]}
    found = read(write_table(tmp_path, "parquet", columns))
    assert found.classes == ("False", "True")
    assert (found.dense == found.label).tolist() == [True, True, False, True]
    logits = columns | {"dense": [[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]}
    again = read(write_table(tmp_path, "parquet", logits))
    assert (again.dense == found.dense).all()
    mixed = logits | {"y": [1, 0, 1, 0], "int8": [True, False, True, True]}
    assert told(read(write_table(tmp_path, "jsonl", mixed))) == told(again)


def test_the_order_of_rows_columns_and_options_changes_no_answer(tmp_path: Path):
    columns = PLAIN | {"int4": [1, 1, 2, 1], "hair": ["x", "y", "x", None], "dense": SHARP}
    options = {"cluster": "patient", "identity": "id"}
    path = write_table(tmp_path, "parquet", columns)
    one = read(path, compressed=["int8", "int4"], attributes=["sex", "hair"], **options)
    order = [2, 0, 3, 1]
    moved = {name: [columns[name][at] for at in order] for name in reversed(list(columns))}
    other = read(
        write_table(tmp_path, "jsonl", moved), compressed=["int4", "int8"], attributes=["hair", "sex"], **options
    )
    assert list(one.compressed) == list(other.compressed) == ["int4", "int8"]
    assert list(one.attributes) == list(other.attributes) == ["hair", "sex"]
    assert (one.classes, one.notes) == (other.classes, other.notes)
    assert one.cluster is not None
    assert other.cluster is not None
    assert one.ids is not None
    assert (one.cluster[order] == other.cluster).all()
    assert tuple(one.ids[at] for at in order) == other.ids
    for name, codes in one.compressed.items():
        assert (codes[order] == other.compressed[name]).all()
    for name, column in one.attributes.items():
        assert (column.codes[order] == other.attributes[name].codes).all()
        assert column.names == other.attributes[name].names
    assert (one.scores[DENSE].of_label[order] == other.scores[DENSE].of_label).all()


def test_a_file_without_a_known_suffix_is_known_by_its_content(tmp_path: Path):
    for form in FORMATS:
        path = write_table(tmp_path, form, PLAIN)
        assert told(read(path.rename(tmp_path / f"{form}_answers"))) == told(read(write_table(tmp_path, form, PLAIN)))


def test_csv_with_other_delimiters_a_mark_in_front_blank_rows_and_quotes(tmp_path: Path):
    path = tmp_path / "a.csv"
    rows = 'y;dense;int8;sex\n0;0;0;"f;\nm"\n;;;\n\n1;1;0;x\n'
    path.write_bytes(b"\xef\xbb\xbf" + rows.replace("\n", "\r\n").encode())
    found = told(read(path))
    assert found["label"] == ["0", "1"]
    assert found["attribute sex"] == ["f;\r\nm", "x"]
    path.write_text("sep=;\n" + rows)
    assert told(read(path))["label"] == ["0", "1"]
    path.write_text(rows + "\n;0;0;x\n")
    with pytest.raises(BenchbiasError, match=r"no label in 1 row of 3 .*a\.csv, row 7"):
        read(path)
    path.write_text(rows + "1;1;1\n")
    with pytest.raises(BenchbiasError, match=r"a\.csv, row 6: 3 cells, but the header has 4"):
        read(path)


def test_a_json_list_of_objects_is_read_too(tmp_path: Path):
    path = write_table(tmp_path, "jsonl", PLAIN)
    whole = tmp_path / "a.json"
    whole.write_text(json.dumps([json.loads(line) for line in path.read_text().splitlines()], indent=1))
    assert told(read(whole)) == told(read(path))


def test_a_table_is_read_without_torch_and_pandas(tmp_path: Path):
    for form in FORMATS:
        write_table(tmp_path, form, PLAIN)
    code = "import sys, pathlib\nfrom benchbias.auditing.tables.reading import read_answers\n"
    code += "for f in sorted(pathlib.Path(sys.argv[1]).iterdir()): read_answers(f, 'y', 'dense', ['int8'], ['sex'])\n"
    code += "print([m for m in ('torch', 'sklearn', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# logits

LOGITS = [[2.0, 1.0, 0.5], [0.0, 3.0, 1.0], [0.0, 0.5, 4.0], [1.5, 1.0, 0.0]]
SHARP = [[20.0, 1.0, 0.5], [0.0, 1.0, 3.0], [0.0, 0.5, 4.0], [1.0, 1.5, 0.0]]


@pytest.mark.parametrize("form", FORMATS)
def test_logits_give_answers_and_probabilities_in_every_format(form: str, tmp_path: Path):
    path = write_table(tmp_path, form, PLAIN | {"dense": LOGITS, "int8": SHARP})
    found = read(path)
    assert told(found)[DENSE] == ["0", "1", "2", "0"]
    assert told(found)["int8"] == ["0", "2", "2", "1"]
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    other = np.exp(SHARP) / np.exp(SHARP).sum(1, keepdims=True)
    assert np.allclose(found.scores[DENSE].confidence, shares.max(1))
    assert np.allclose(found.scores[DENSE].of_label, shares[range(4), PLAIN["y"]])
    assert np.allclose(found.scores["int8"].of_label, other[range(4), PLAIN["y"]])
    assert found.scores[DENSE].divergence is None
    assert found.scores["int8"].divergence is not None
    assert np.allclose(found.scores["int8"].divergence, (shares * np.log(shares / other)).sum(1))
    probabilities = read(write_table(tmp_path, form, PLAIN | {"dense": shares.tolist(), "int8": other.tolist()}))
    for name in (DENSE, "int8"):
        assert np.allclose(probabilities.scores[name].of_label, found.scores[name].of_label)
    assert np.allclose(probabilities.scores["int8"].divergence, found.scores["int8"].divergence)


@pytest.mark.parametrize("form", FORMATS)
def test_rounded_probabilities_are_probabilities_and_shares_of_another_sum_are_none(form: str, tmp_path: Path):
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    rounded = read(write_table(tmp_path, form, PLAIN | {"dense": shares.round(2).tolist()}))
    assert np.allclose(rounded.scores[DENSE].of_label, shares[range(4), PLAIN["y"]], atol=0.01)
    single = (1 / (1 + np.exp(-np.array(LOGITS)))).tolist()  # sigmoids of each class alone
    found = read(write_table(tmp_path, form, PLAIN | {"dense": single}))
    assert found.scores == {}
    assert found.dense.tolist() == rounded.dense.tolist()
    assert "do not add up to 1" in found.notes[0]


def test_numbered_columns_go_by_their_numbers_and_not_by_their_order(tmp_path: Path):
    logits = np.eye(12)[[11, 2]]
    columns = {f"dense_{at}": logits[:, at].tolist() for at in (11, 2, 10, 0, 1, 3, 9, 8, 4, 5, 6, 7)}
    found = read(write_table(tmp_path, "csv", {"y": [11, 2], "int8": [1, 2], "sex": ["m", "f"]} | columns))
    assert told(found)[DENSE] == ["11", "2"]


def test_names_of_classes_in_the_order_of_the_logits(tmp_path: Path):
    columns = PLAIN | {"y": ["zebra", "cat", "dog", "cat"], "dense": LOGITS, "int8": [0, 2, 2, 1]}
    path = write_table(tmp_path, "jsonl", columns)
    (tmp_path / "classes.txt").write_text("zebra\ncat\ndog\n")
    (tmp_path / "classes.json").write_text('{"0": "zebra", "2": "dog", "1": "cat"}')
    for classes in (["zebra", "cat", "dog"], tmp_path / "classes.txt", tmp_path / "classes.json"):
        found = read(path, classes=classes)
        assert found.classes == ("cat", "dog", "zebra")
        assert told(found)[DENSE] == ["zebra", "cat", "dog", "zebra"]
        assert told(found)["int8"] == ["zebra", "dog", "dog", "cat"]
        assert found.scores[DENSE].of_label[0] == pytest.approx(np.exp(2) / np.exp(LOGITS[0]).sum())
    named = {f"dense_{name}": [row[at] for row in LOGITS] for at, name in enumerate(["zebra", "cat", "dog"])}
    flat = {key: values for key, values in columns.items() if key != "dense"} | named
    again = read(write_table(tmp_path, "csv", flat), classes=["zebra", "cat", "dog"])
    assert told(again) == told(found)
    with pytest.raises(BenchbiasError, match="class order unknown: labels are names"):
        read(path)
    with pytest.raises(
        BenchbiasError, match=r"3 begin so .dense_cat, dense_dog, dense_zebra.: if these are its logits"
    ):
        read(tmp_path / "table.csv")


def test_ties_of_whole_logits_go_to_the_first_class_are_counted_and_give_no_probabilities(tmp_path: Path):
    tied = [[5, 5, 1], [0, 9, 9], [0, 1, 9], [0, 3, 1]]
    found = read(write_table(tmp_path, "parquet", PLAIN | {"int8": tied}))
    assert told(found)["int8"] == ["0", "1", "2", "1"]
    assert found.scores == {}
    assert found.notes[0].startswith("2 rows of int8 with a tie of the largest value: the first")
    assert "whole numbers of unknown scale" in found.notes[1]


# several files

LABELS = {"id": ["a", "b", "c", "d"], "y": [0, 1, 2, 1], "sex": ["f", "m", None, "f"]}
DENSE_FILE = {"id": ["d", "c", "b", "a"], "pred": [0, 2, 1, 0]}
INT8_FILE = {"id": ["b", "a", "d", "c"], "pred": [2, 0, 1, 2]}


def write_three(folder: Path, **changes: dict[str, Any]) -> list[Path]:
    tables = {"labels": LABELS, "dense": DENSE_FILE, "int8": INT8_FILE} | changes
    forms = ("csv", "parquet", "jsonl")
    return [write_table(folder, form, tables[name], name) for form, name in zip(forms, tables, strict=True)]


def test_files_join_by_an_id_whatever_their_order(tmp_path: Path):
    one = read(write_table(tmp_path, "csv", PLAIN), identity="id")
    labels, dense, int8 = write_three(tmp_path)
    for names in (
        ("dense:pred", "int8:pred"),
        ("dense.parquet:pred", f"{int8}:pred"),
        ("big=dense:pred", "a=int8:pred"),
    ):
        found = read(labels, dense=names[0], compressed=[names[1]], identity="id", join=[dense, int8])
        assert found.ids == one.ids
        assert list(told(found).values()) == list(told(one).values())
    assert (found.dense_name, list(found.compressed)) == ("big", ["a"])


JOIN_FAULTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no id column": ({}, {"identity": None}, "joined by a column of ids: say which one it is"),
    "more ids": (
        {"dense": {"id": ["d", "c", "b", "a", "e"], "pred": [0, 2, 1, 0, 1]}},
        {},
        r"do not join one to one: 1 id only in .*dense\.parquet \(e\)",
    ),
    "other ids": (
        {"dense": {"id": ["d", "c", "b", "1"], "pred": [0, 2, 1, 0]}},
        {},
        r"1 id only in .*labels\.csv \(a\) and 1 id only in .*dense\.parquet \(1\)",
    ),
    "an id twice": ({"dense": {"id": ["d", "c", "b", "b"], "pred": [0, 2, 1, 0]}}, {}, "row 3 and .*row 4: the id 'b'"),
    "an empty id": ({"dense": {"id": ["d", None, "b", "a"], "pred": [0, 2, 1, 0]}}, {}, "row 2: column 'id' .* empty"),
    "no id there": ({"dense": {"key": ["d"], "pred": [0]}}, {}, r"dense\.parquet: unknown column \(ids\) 'id'"),
    "one name in two files": ({}, {"dense": "pred"}, "column 'pred' is in .* write it as FILE:pred"),
    "a file that is not there": ({}, {"dense": "big:pred"}, r"unknown column \(answers\) 'big:pred'"),
}


@pytest.mark.parametrize("fault", JOIN_FAULTS)
def test_files_that_do_not_join_stop(fault: str, tmp_path: Path):
    changes, options, message = JOIN_FAULTS[fault]
    labels, dense, int8 = write_three(tmp_path, **changes)
    given_options = {"dense": "dense:pred", "compressed": ["int8:pred"], "identity": "id", "join": [dense, int8]}
    with pytest.raises(BenchbiasError, match=message) as caught:
        read(labels, **(given_options | options))
    assert "\n" not in str(caught.value)


# faults


def changed(**columns: Any) -> dict[str, Any]:
    return {key: values for key, values in (PLAIN | columns).items() if values is not None}


FAULTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "unknown label": ({}, {"label": "yy"}, r"unknown column \(label\) 'yy'; did you mean 'y'"),
    "unknown attribute": ({}, {"attributes": ["sx"]}, r"unknown column \(attribute\) 'sx'; did you mean 'sex'"),
    "unknown model": ({}, {"compressed": ["int4"]}, r"unknown column \(answers\) 'int4'; did you mean 'int8'"),
    "no compressed model": ({}, {"compressed": []}, "no compressed model is named"),
    "label and answers": ({}, {"dense": "y"}, "column 'y' is named twice: as label and as answers of y"),
    "one answer twice": ({}, {"compressed": ["dense"]}, "column 'dense' is named twice"),
    "one model twice": ({}, {"compressed": ["int8", "int8"]}, "column 'int8' is named twice"),
    "one attribute twice": ({}, {"attributes": ["sex", "sex"]}, "two attributes are called 'sex': name each .* once"),
    "label as attribute": ({}, {"attributes": ["y"]}, "column 'y' is named twice"),
    "label as cluster": ({}, {"cluster": "y"}, "column 'y' is named twice: as label and as cluster"),
    "an attribute called label": (
        changed(label=[1, 2, 3, 4]),
        {"attributes": ["label"]},
        "an attribute is called 'label'",
    ),
    "a compressed model called dense": ({}, {"dense": "int8", "compressed": ["dense"]}, "model is called 'dense'"),
    "no label": (changed(y=[0, None, 2, None]), {}, r"no label in 2 rows of 4 \(.*row.*; .*row.*\): fill"),
    "no answer": (changed(int8=[0, None, 2, 1]), {}, r"no answer of int8 in 1 row of 4"),
    "no cluster": (changed(patient=[0, None, 2, 1]), {"cluster": "patient"}, "no cluster in 1 row of 4"),
    "an infinite label": (changed(y=[0.0, float("inf"), 2.0, 1.0]), {}, "row 2: column 'y' holds an infinite number"),
    "an infinite logit": (
        changed(y=[0, 1, 1, 1], dense=[[0.0, 1], [1, 2], [3, float("inf")], [1, 2]]),
        {},
        "class 1 is infinite",
    ),
    "a logit that is no number": (
        changed(y=[0, 1, 1, 1], dense=[[0.0, 1], [1, 2], [3, float("nan")], [1, 2]]),
        {},
        "1 is no number",
    ),
    "scores as answers": (changed(dense=[0.1, 0.9, 0.8, 0.7]), {}, "answers of dense: 0.1 is a score and no class"),
    "other numbers of classes": (
        changed(dense=LOGITS, int8=[[1.0, 0.0]] * 4),
        {},
        "different numbers of classes: dense 3, int8 2",
    ),
    "too few class names": (changed(dense=LOGITS), {"classes": ["a", "b"]}, "2 classes are named, but .* 3 columns"),
    "a label beyond the logits": (changed(y=[0, 1, 3, 1], dense=LOGITS), {}, "label 3 has no column among 3 logits"),
    "an unknown class": ({}, {"classes": ["a", "b"]}, "label: '0' is none of the 2 classes|'2' is none of the 2"),
    "two equal class names": ({}, {"classes": ["a", "a"]}, "classes 0 and 1 .counted from 0. are both called 'a'"),
    "an id twice": (changed(id=["a", "b", "a", "c"]), {"identity": "id"}, "row 1 .*row 3: the id 'a' stands twice"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_one_message_in_every_format(fault: str, tmp_path: Path):
    columns, options, message = FAULTS[fault]
    for form in FORMATS:
        path = write_table(tmp_path, form, columns or PLAIN)
        in_csv = message.replace("row 2", "row 3").replace("row 1 .*row 3", "row 2 .*row 4")
        with pytest.raises(BenchbiasError, match=in_csv if form in ("csv", "tsv") else message) as caught:
            read(path, **options)
        assert "\n" not in str(caught.value), form


BROKEN: dict[str, tuple[str, bytes, str]] = {
    "empty": ("a.csv", b"", "the file is empty"),
    "blank": ("a.csv", b" \n\n", "the file is empty"),
    "no rows": ("a.csv", b"y,dense,int8,sex\n", "no rows below the header"),
    "ragged": ("a.csv", b"y,dense,int8,sex\n1,1,1,m\n1,1,1\n", "row 3: 3 cells, but the header has 4"),
    "twice": ("a.csv", b"y,dense,int8,sex,y\n1,1,1,m,1\n", "two columns are called 'y'"),
    "latin": ("a.csv", b"y,dense,int8,sex\n1,1,1,\xe9\n", "not UTF-8 .* save it as CSV in UTF-8"),
    "utf-16": ("a.csv", "y,dense\n1,1\n".encode("utf-16"), "not UTF-8"),
    "open quote": ("a.csv", b'y,dense,int8,sex\n1,1,1,"m\n', "row 2: not a CSV file"),
    "gap": ("a.csv", b"y,dense_0,dense_2,int8,sex\n1,1,1,1,m\n", "2 columns dense_N, up to 2, but none is number 1"),
    "one logit": ("a.csv", b"y,dense_0,int8,sex\n1,1,1,m\n", "one column of numbers is no answer"),
    "two of a number": (
        "a.csv",
        b"y,dense_0,dense_00,int8,sex\n1,1,1,1,m\n",
        "'dense_0' and 'dense_00' have one number",
    ),
    "text as logit": ("a.csv", b"y,dense_0,dense_1,int8,sex\n1,1,x,1,m\n", "row 2: column 'dense_1' holds 'x'"),
    "hole in logits": ("a.csv", b"y,dense_0,dense_1,int8,sex\n1,1,,1,m\n", "row 2: dense: .* class 1 is no number"),
    "bad parquet": ("a.parquet", b"PAR1 nothing PAR1", "not a parquet file, or a damaged one"),
    "bad npz": ("a.npz", b"PK\x03\x04nothing", "not a npz file, or a damaged one"),
    "bad json": ("a.jsonl", b'{"y": 1}\n{"y": \n', "line 2: not JSON"),
    "json of lists": ("a.jsonl", b"1\n2\n", "line 1: one JSON object a line is read"),
    "key twice": ("a.jsonl", b'{"y": 1, "y": 2}\n', "line 1: the key 'y' stands twice"),
    "object as cell": ("a.jsonl", b'{"y": {}, "dense": 1, "int8": 1, "sex": 1}\n', "row 1: column 'y' holds .* dict"),
    "list as label": ("a.jsonl", b'{"y": [1], "dense": 1, "int8": 1, "sex": 1}\n', "column 'y' .label. holds lists"),
    "ragged lists": (
        "a.jsonl",
        b'{"y": 1, "dense": [1, 2], "int8": 1, "sex": 1}\n{"y": 1, "dense": [1], "int8": 1, "sex": 1}\n',
        "row 2: column 'dense' holds a list of 1 numbers; the first row has 2",
    ),
    "text in lists": (
        "a.jsonl",
        b'{"y": 1, "dense": [1, "2"], "int8": 1, "sex": 1}\n',
        "holds '2', which is no number",
    ),
    "half a character": ("a.jsonl", b'{"y": "\\ud800", "dense": 1, "int8": 1, "sex": 1}', "holds half a character"),
    "a huge logit": (
        "a.jsonl",
        b'{"y": 1, "dense": [1' + b"0" * 400 + b', 2], "int8": 1, "sex": 1}',
        "row 1: column 'dense' holds a number beyond",
    ),
    "pickle": ("a", b"\x80\x04K\x01.", "a pickle, which is never opened"),
    "gzip": ("a", b"\x1f\x8b\x08", "compressed by gzip: unpack it first"),
    "npy": ("a.npy", b"\x93NUMPY\x01", "save all columns by numpy.savez"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_file_has_one_message(fault: str, tmp_path: Path):
    name, content, message = BROKEN[fault]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BenchbiasError, match=message) as caught:
        read(tmp_path / name)
    assert name in str(caught.value) or fault in ("one logit",)
    assert "\n" not in str(caught.value)


def test_no_file_and_a_folder_have_one_message(tmp_path: Path):
    for path, message in ((tmp_path / "none.csv", "no such file"), (tmp_path, "a folder")):
        with pytest.raises(BenchbiasError, match=f"{message} .*CSV, parquet, JSON lines and npz are read"):
            read(path)


def test_a_pickle_inside_of_a_npz_file_is_never_opened(tmp_path: Path):
    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "opened",))

    trap = np.empty(4, object)
    trap[:] = [Trap() for _ in range(4)]
    np.savez(tmp_path / "a.npz", **{key: np.array(values) for key, values in PLAIN.items() if key != "sex"}, sex=trap)
    with pytest.raises(BenchbiasError, match=r"array 'sex' holds Python objects \(a pickle\), which are never opened"):
        read(tmp_path / "a.npz")
    assert not (tmp_path / "opened").exists()
    assert read(tmp_path / "a.npz", attributes=["patient"]).attributes["patient"].names == ("7", "8", "9")


@pytest.mark.parametrize("at", [0, 5000])
def test_a_hole_in_a_list_of_whole_logits_is_told_wherever_it_stands(at: int, tmp_path: Path):
    rows: list[list[int | None]] = [[1, 2] for _ in range(5001)]
    rows[at][1] = None
    columns = {"y": [0, *[1] * 5000], "dense": rows, "int8": [1] * 5001, "sex": ["f"] * 5001}
    for form in ("parquet", "jsonl"):
        with pytest.raises(
            BenchbiasError, match=rf"row {at + 1}: column 'dense' holds '(null|None)', which is no number"
        ):
            read(write_table(tmp_path, form, columns))
    columns["dense"] = [[1, 2, 3][: 3 if k == at else 2] for k in range(5001)]
    with pytest.raises(BenchbiasError, match="column 'dense' holds a list of"):
        read(write_table(tmp_path, "parquet", columns))


def test_a_list_that_is_null_or_empty_is_told_with_its_own_row(tmp_path: Path):
    for at, bad, message in ((0, None, "null instead of a list"), (2, None, "null instead"), (0, [], "an empty list")):
        lists: list[Any] = [[1.0, 2.0]] * 4
        lists[at] = bad
        with pytest.raises(BenchbiasError, match=rf"row {at + 1}: column 'dense' holds {message}"):
            read(write_table(tmp_path, "parquet", changed(y=[0, 1, 1, 1], dense=lists)))


def test_structs_and_maps_are_refused_in_plain_words(tmp_path: Path):
    maps = pyarrow.array([[("a", 1)]] * 4, pyarrow.map_(pyarrow.string(), pyarrow.int64()))
    for kind, values in (("structs", pyarrow.array([{"a": 1}] * 4)), ("maps", maps)):
        columns = {name: pyarrow.array(column) for name, column in PLAIN.items()} | {"sex": values}
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
        with pytest.raises(BenchbiasError, match=f"column 'sex' holds {kind}: one text, number, date .* is needed"):
            read(tmp_path / "a.parquet")


def test_lists_of_texts_are_told_by_their_type(tmp_path: Path):
    path = write_table(tmp_path, "parquet", changed(dense=[["a", "b"]] * 4))
    with pytest.raises(BenchbiasError, match="column 'dense' is of lists of type string: numbers are needed"):
        read(path)


def test_the_role_of_a_column_that_is_not_there_is_told(tmp_path: Path):
    path = write_table(tmp_path, "csv", PLAIN)
    with pytest.raises(BenchbiasError, match=r"unknown column \(feature\) 'sx'; did you mean 'sex'"):
        read_columns(path, ["sx"], roles={"sx": "feature"})
    with pytest.raises(BenchbiasError, match="unknown column 'sx'"):
        read_columns(path, ["sx"])
    with pytest.raises(BenchbiasError, match=r"unknown column \(image\) 'image' .*; --image NAME names the column"):
        read(path, image="image")


def test_arrays_of_different_lengths_stop(tmp_path: Path):
    np.savez(tmp_path / "a.npz", y=[0, 1], dense=[0, 1], int8=[0, 1], sex=["m"])
    with pytest.raises(BenchbiasError, match=r"different numbers of rows: .*sex 1"):
        read(tmp_path / "a.npz")


def test_labels_may_be_missing_where_only_flips_are_labelled(tmp_path: Path):
    for form in FORMATS:
        found = read(write_table(tmp_path, form, changed(y=[0, None, 2, None])), unlabelled=True)
        assert found.label.tolist() == [0, -1, 2, -1]
