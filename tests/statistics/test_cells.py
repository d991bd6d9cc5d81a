"""Packed counts: what a stage packs is read back; what does not fit its test split is refused in one message."""

from __future__ import annotations

import base64
import json
import tracemalloc

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.board.row_trials import trials_of
from benchbias.errors import UsageError
from benchbias.network.cost import ExampleCells, pack_counts
from benchbias.statistics import cells
from benchbias.statistics.cells import check_counts, read_layout, read_layouts, unpack_counts
from benchbias.util import canonical
from support import ROOT
from support.made_records import record

quick = settings(max_examples=80, deadline=None, derandomize=True)
RECORDS = ROOT / "leaderboard/records/spurious-small"

examples = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(1, 40), st.integers(0, 40)), min_size=1, max_size=30
)


def packed(rows):
    """ExampleCells and packed counts of rows (cluster, group, copies, correct copies), as a stage makes them."""
    cluster, group, right = [], [], []
    for c, g, copies, correct in rows:
        cluster += [c] * copies
        group += [g] * copies
        right += [copy < correct for copy in range(copies)]
    layout = ExampleCells.of(torch.tensor(cluster), torch.tensor(group))
    document = json.loads(canonical.dumps(layout.to_json()))
    return document, pack_counts(torch.tensor(right), layout), (cluster, group, right)


@quick
@given(examples)
def test_counts_are_read_back_as_they_were_packed(rows):
    document, counts, (cluster, group, right) = packed(rows)
    layout = read_layout(document)
    cells = unpack_counts(counts, layout)
    keys = sorted(set(zip(cluster, group, strict=True)))
    assert list(zip(cells.cluster.tolist(), cells.group.tolist(), strict=True)) == keys
    for key, total, correct in zip(keys, cells.total.tolist(), cells.correct.tolist(), strict=True):
        members = [r for c, g, r in zip(cluster, group, right, strict=True) if (c, g) == key]
        assert (total, correct) == (len(members), sum(members))
    assert cells.layout == layout.digest == counts["layout"]


def test_the_counts_of_published_records_add_up_to_their_groups():
    for path in sorted(RECORDS.glob("*.json"))[:5]:
        body = json.loads(path.read_text())["body"]
        layout = read_layout(json.loads((RECORDS / "test" / f"{body['correct']['layout']}.json").read_text()))
        cells = unpack_counts(body["correct"], layout)
        for group, (correct, total) in enumerate(zip(body["group_correct"], body["group_total"], strict=True)):
            assert cells.correct[cells.group == group].sum() == correct
            assert cells.total[cells.group == group].sum() == total


LAYOUT = {"cluster": [0, 0, 4], "group": [0, 1, 1], "total": [3, 2, 3]}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"cluster": [0, 0]}, id="another length"),
        pytest.param({"cluster": [], "group": [], "total": []}, id="no cell"),
        pytest.param({"cluster": [0, 0.0, 4]}, id="a fraction"),
        pytest.param({"total": [3, True, 3]}, id="a truth value"),
        pytest.param({"total": [3, 0, 3]}, id="an empty cell"),
        pytest.param({"group": [0, -1, 1]}, id="a negative group"),
        pytest.param({"cluster": [0, 0, 2**70]}, id="a huge cluster"),
        pytest.param({"group": [1, 1, 1]}, id="a cell twice"),
        pytest.param({"group": [1, 0, 1]}, id="another order"),
        pytest.param({"total": "333"}, id="a text"),
        pytest.param({"extra": [1, 2, 3]}, id="another key"),
    ],
)
def test_a_bad_layout_is_refused(change):
    assert len(read_layout(LAYOUT).total) == 3
    with pytest.raises(UsageError, match="a layout of test cells"):
        read_layout(LAYOUT | change)


@pytest.mark.parametrize("document", [None, [1], "x", {"cluster": [1], "group": [1]}], ids=str)
def test_what_is_no_layout_is_refused(document):
    with pytest.raises(UsageError, match="cluster, group, total"):
        read_layout(document)


def test_a_layout_of_too_many_cells_is_refused_before_any_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "MOST_CELLS", 3)
    assert len(read_layout(LAYOUT).total) == 3
    many = {"cluster": list(range(4)), "group": [0] * 4, "total": [1] * 4}
    with pytest.raises(UsageError, match="4 cells; the limit is 3"):
        read_layout(many)
    monkeypatch.setattr(cells, "MOST_CELLS_OF_A_FOLDER", 5)
    (tmp_path / "test").mkdir()
    for shift in (0, 1):
        document = LAYOUT | {"cluster": [cluster + shift for cluster in LAYOUT["cluster"]]}
        digest = read_layout(document).digest
        (tmp_path / "test" / f"{digest}.json").write_text(json.dumps(document))
        if shift == 0:
            assert len(read_layouts(tmp_path)) == 1
    with pytest.raises(UsageError, match="6 cells of test splits or more; the limit is 5"):
        read_layouts(tmp_path)


def test_counts_of_all_records_are_bounded_together(monkeypatch):
    check_counts([cells.MOST_COUNTS - 1, 1], "here")
    with pytest.raises(UsageError, match="here: counts of"):
        check_counts([cells.MOST_COUNTS, 1], "here")
    records, layouts = counted_records()
    assert trials_of(records, layouts)
    monkeypatch.setattr(cells, "MOST_COUNTS", 1)
    with pytest.raises(UsageError, match="these records: counts of"):
        trials_of(records, layouts)


def counted_records():
    """Records of two seeds in three cells, and their layout."""
    layout = read_layout({"cluster": [0, 1, 2], "group": [0, 0, 0], "total": [1, 1, 1]})
    packed = {"cells": 3, "bits": 1, "counts": bytes_of(0b101_00000), "layout": layout.digest}
    groups = {"group_names": ["g"], "group_correct": [2], "group_total": [3], "group_aligned": [True]}
    made = [record(seed=seed, value=2 / 3, correct=packed, **groups) for seed in (0, 1)]
    return made, {layout.digest: layout}


def test_counts_are_unpacked_in_a_few_bytes_a_cell():
    """Not in eight a bit: a small file must not fill the memory."""
    number, bits = 200_000, 20
    layout = read_layout({"cluster": list(range(number)), "group": [0] * number, "total": [(1 << bits) - 1] * number})
    content = base64.b64encode(b"\xaa" * (number * bits // 8)).decode()
    tracemalloc.start()
    correct = unpack_counts({"cells": number, "bits": bits, "counts": content, "layout": layout.digest}, layout).correct
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < number * (bits + 32)
    assert set(correct.tolist()) == {int("01" * (bits // 2), 2)}


def bytes_of(*values):
    return base64.b64encode(bytes(values)).decode()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layout": "0" * 64}, "another test split"),
        ({"layout": None}, "another test split"),
        ({"cells": 4}, "cells must be 3"),
        ({"cells": 3.0}, "cells must be 3"),
        ({"bits": 3}, "bits must be 2"),
        ({"bits": True}, "bits must be 2"),
        ({"counts": "?"}, "not base64"),
        ({"counts": "AAA"}, "not base64"),
        ({"counts": "\u00e9"}, "not base64"),
        ({"counts": 7}, "not base64"),
        ({"counts": ""}, "0 bytes"),
        ({"counts": bytes_of(0, 0)}, "2 bytes"),
        ({"counts": bytes_of(0b11_11_11_00)}, "more correct"),
        ({"counts": bytes_of(0b11_01_11_01)}, "after the last cell"),
        ({"more": 1}, "cells, bits, counts, layout"),
    ],
)
def test_bad_counts_are_refused(change, message):
    layout = read_layout(LAYOUT)
    good = {"cells": 3, "bits": 2, "counts": bytes_of(0b11_01_11_00), "layout": layout.digest}
    assert unpack_counts(good, layout).correct.tolist() == [3, 2, 3]
    with pytest.raises(UsageError, match=message):
        unpack_counts(good | change, layout)
