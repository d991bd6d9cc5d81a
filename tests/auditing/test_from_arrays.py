"""Arrays of a program give the same answers as a table does, whatever they are made by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas
import pyarrow
import pytest
import torch

from benchbias.auditing.tables.from_arrays import from_arrays
from benchbias.auditing.values import DENSE
from benchbias.errors import BenchbiasError

LABEL, DENSE_ANSWERS, INT8 = [0, 1, 2, 1], [0, 1, 2, 0], [0, 2, 2, 1]
LOGITS = np.array([[2.0, 1.0, 0.5], [0.0, 3.0, 1.0], [0.0, 0.5, 4.0], [1.5, 1.0, 0.0]])
SEX = ["f", "m", None, "f"]

MAKERS: dict[str, Callable[[list[int]], Any]] = {
    "list": list,
    "tuple": tuple,
    "texts": lambda values: [str(value) for value in values],
    "int8": lambda values: np.array(values, np.int8),
    "float32": lambda values: np.array(values, np.float32),
    "column": lambda values: np.array(values)[:, None],
    "masked": lambda values: np.ma.masked_array(values, mask=[False] * len(values)),
    "series": lambda values: pandas.Series(values, index=[7, 5, 6, 5]),
    "categorical": lambda values: pandas.Categorical(values),
    "nullable": lambda values: pandas.array(values, dtype="Int64"),
    "tensor": torch.tensor,
    "arrow": pyarrow.array,
}


@pytest.mark.parametrize("maker", MAKERS)
def test_every_kind_of_array_gives_the_same_answers(maker: str):
    make = MAKERS[maker]
    found = from_arrays(make(LABEL), make(DENSE_ANSWERS), make(INT8), {"sex": SEX}, cluster=make([5, 5, 6, 7]))
    assert found.classes == ("0", "1", "2")
    assert found.label.tolist() == LABEL
    assert found.dense.tolist() == DENSE_ANSWERS
    assert {name: codes.tolist() for name, codes in found.compressed.items()} == {"compressed": INT8}
    assert found.attributes["sex"].codes.tolist() == [0, 1, -1, 0]
    assert found.cluster is not None
    assert found.cluster.tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("make", [list, np.asarray, torch.tensor, lambda v: torch.tensor(v, requires_grad=True)])
def test_two_dimensions_are_logits(make: Callable[[Any], Any]):
    found = from_arrays(torch.tensor(LABEL), make(LOGITS.tolist()), {"int8": INT8, "int4": INT8}, None)
    assert found.dense.tolist() == DENSE_ANSWERS
    assert list(found.compressed) == ["int4", "int8"]
    assert np.allclose(found.scores[DENSE].confidence, (np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)).max(1))


def test_bfloat16_has_no_type_in_numpy_and_is_read_still():
    found = from_arrays(LABEL, torch.tensor(LOGITS).to(torch.bfloat16), INT8)
    assert found.dense.tolist() == DENSE_ANSWERS


def test_a_table_of_pandas_is_the_attributes():
    frame = pandas.DataFrame(
        {"sex": SEX, "age": pandas.cut([3, 40, 80, 30], [0, 20, 60, 99]), "ok": [True, None, False, True]}
    )
    found = from_arrays(LABEL, DENSE_ANSWERS, INT8, frame)
    assert list(found.attributes) == ["age", "ok", "sex"]
    assert found.attributes["ok"].names == ("False", "True")
    assert from_arrays(LABEL, DENSE_ANSWERS, INT8, frame["sex"]).attributes["sex"].codes.tolist() == [0, 1, -1, 0]


def test_missing_cells_of_numpy_pandas_and_masks_are_missing():
    for values in (
        np.array([1.0, np.nan, 2.0, 1.0]),
        np.ma.masked_array([1, 9, 2, 1], mask=[False, True, False, False]),
        pandas.array([1, None, 2, 1], dtype="Int64"),
        [1, None, 2, 1],
        ["1", "", "2", "1"],
    ):
        assert from_arrays(LABEL, DENSE_ANSWERS, INT8, {"a": values}).attributes["a"].codes.tolist() == [0, -1, 1, 0]


def frame(columns: list[Any]) -> pandas.DataFrame:
    return pandas.DataFrame(LOGITS, columns=columns)


def test_a_table_of_pandas_as_a_model_is_its_logits():
    for columns in ([0, 1, 2], ["0", "1", "2"]):
        found = from_arrays(LABEL, LOGITS, frame(columns))
        assert {name: codes.tolist() for name, codes in found.compressed.items()} == {"compressed": DENSE_ANSWERS}
        both = from_arrays(LABEL, frame(columns), {"b": frame(columns), "a": LOGITS}, classes=["0", "1", "2"])
        assert list(both.compressed) == ["a", "b"]
    assert from_arrays(LABEL, frame([0, 1, 2]), frame(["x", "y", "z"])).dense.tolist() == DENSE_ANSWERS


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "lengths": ({"dense": [0, 1]}, "different numbers of rows: label 4, answers of dense 2"),
    "no rows": ({"label": [], "dense": [], "compressed": [], "attributes": None}, "no rows"),
    "a label of two dimensions": ({"label": LOGITS}, r"label: column 'label' has the shape \(4, 3\)"),
    "three dimensions": ({"dense": LOGITS[None]}, "answers of dense: an array of one dimension .* not 3"),
    "one number": ({"dense": 3}, "answers of dense: an array of one dimension .* not 0"),
    "ragged": ({"dense": [[1, 2], [1]]}, "answers of dense: no array"),
    "objects": ({"attributes": {"a": [{}, {}, {}, {}]}}, "column 'attribute a' holds a value of type dict"),
    "complex": ({"label": np.array(LABEL) + 1j}, "has the type complex128"),
    "no names": ({"attributes": [SEX]}, "attributes: a mapping of names and arrays"),
    "a model called dense": ({"compressed": {"dense": INT8}}, "a compressed model is called 'dense'"),
    "two models of one name": ({"dense_name": "compressed"}, "two models are called 'compressed'"),
    "no model": ({"compressed": {}}, "no compressed model is named"),
    "an id twice": ({"identity": [1, 1, 2, 3]}, "identity: an id is empty or stands twice"),
    "not a number": ({"dense": np.where(LOGITS == 4, np.nan, LOGITS)}, r"row 2 \(counted from 0\): dense: .*class 2"),
    "a missing label": ({"label": [0, None, 2, 1]}, "no label in 1 row of 4"),
    "an attribute label": ({"attributes": {"label": SEX}}, "an attribute is called 'label'"),
    "complex logits": (
        {"dense": LOGITS + 1j},
        "column 'answers of dense' is an array of type complex128 with 2 dimensions: numbers are needed",
    ),
    "names that are one text": ({"attributes": {1: SEX, "1": SEX}}, "two columns are called '1'"),
    "frames of other columns": (
        {"dense": pandas.DataFrame(LOGITS, columns=["0", "1", "2"]), "compressed": frame(["0", "2", "1"])},
        r"answers of dense and answers of compressed: their columns differ, number 1 .* is '1' and '2'",
    ),
    "a frame of another order": (
        {"dense": frame([0, 1, 2]), "compressed": {"int8": frame([1, 0, 2])}},
        "answers of dense and answers of int8: their columns differ",
    ),
    "a frame in another order than the classes": (
        {"dense": frame(["b", "a", "c"]), "compressed": LOGITS, "classes": ["a", "b", "c"]},
        "classes and answers of dense: their columns differ, number 0",
    ),
    "another index than the label's": (
        {"label": pandas.Series(LABEL), "compressed": pandas.Series(INT8, index=[0, 1, 3, 2])},
        r"label and answers of compressed: their indices differ, row 2 .* is '2' and '3': align them",
    ),
    "another index of an attribute": (
        {"dense": pandas.Series(DENSE_ANSWERS), "attributes": pandas.DataFrame({"sex": SEX}, index=[1, 0, 2, 3])},
        "answers of dense and attribute sex: their indices differ",
    ),
    "names without order": ({"label": ["a", "b", "c", "b"], "dense": LOGITS}, "class order unknown"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_one_message(fault: str):
    changes, message = FAULTS[fault]
    given = {"label": LABEL, "dense": DENSE_ANSWERS, "compressed": INT8, "attributes": {"sex": SEX}} | changes
    with pytest.raises(BenchbiasError, match=message) as caught:
        from_arrays(**given)
    assert "\n" not in str(caught.value)
