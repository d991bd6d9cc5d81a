"""The file of milliseconds and bytes: a closed schema, read strictly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchbias.errors import NewerRecordError, UsageError
from benchbias.records.latency import Latency, latency_file, read_latency, readable_latency
from support.made_latency import document, latency, network, row
from support.made_records import record

RECORDS = [record("plain"), record("masked")]


def written(root: Path, content: str, label: str = "probe") -> Path:
    path = latency_file(root, label)
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return path


def test_what_is_written_is_read(tmp_path: Path):
    slim = row(RECORDS[0], slimmed=network("slimmed", 0.5, gain=True), left=["conv1: 1 removed unit stays"], note="x")
    made = latency(
        RECORDS, [slim, row(RECORDS[1])], busy="a run", left_out=[{"task": "toy", "row": "a", "reason": "b"}]
    )
    written(tmp_path, made.to_text())
    assert read_latency(tmp_path, "probe") == made
    assert read_latency(tmp_path, "another") is None
    assert read_latency(tmp_path / "nowhere", "probe") is None


def without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.pop(key)


def setting(*path: Any) -> Callable[[dict[str, Any]], None]:
    *way, last, value = path

    def change(document: Any) -> None:
        for part in way:
            document = document[part]
        document[last] = value

    return change


TIMED = ("rows", 0, "finished", "timings", 0)

FAULTS = {
    "a key that is missing": (without("machine"), "machine: Field required"),
    "a key that nobody knows": (setting("speed", 1), "speed: Extra inputs"),
    "a time of nothing": (
        setting(*TIMED, "milliseconds", "median", 0.0),
        "greater than 0",
    ),
    "a median beside its bounds": (setting(*TIMED, "ratio", "median", 9.0), "between its"),
    "a row of no network": (setting("rows", 0, "architecture", 3), "a dense network that is not there"),
    "a timing that a row lacks": (lambda found: found["rows"][0]["finished"]["timings"].pop(), "times of batches of"),
    "another batch": (setting(*TIMED, "batch", 32), r"the row 'plain' has times of batches of \[32, 64\]"),
    "a batch twice": (setting(*TIMED, "batch", 64), "two times of one size"),
    "another batch of a copy": (setting("architectures", 0, "again", "timings", 0, "batch", 2), "second copy"),
    "a slimmed network that is said to be finished": (
        setting("rows", 0, "slimmed", network("finished")),
        "slimmed, is said to be finished, not slimmed",
    ),
    "a dense network that is none": (setting("architectures", 0, "dense", "what", "slimmed"), "not dense"),
    "another task": (setting("rows", 0, "task", "another"), "a dense network of another task"),
    "a schema that is true": (setting("schema", True), "schema: Input should be"),
    "no times": (setting("architectures", 0, "dense", "timings", []), "at least 1 item"),
    "a text for a number": (setting("repeats", "30"), "repeats: Input should be a valid integer"),
    "no day": (setting("machine", "date", "today"), "machine.date"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_anything_else_is_refused_with_its_file_and_place(fault: str, tmp_path: Path):
    change, said = FAULTS[fault]
    found = json.loads(latency(RECORDS).to_text())
    change(found)
    path = written(tmp_path, json.dumps(found))
    with pytest.raises(UsageError, match=said) as caught:
        read_latency(tmp_path, "probe")
    assert str(path) in str(caught.value)
    assert "Value error" not in str(caught.value)


def test_a_board_does_without_a_file_that_cannot_be_read_and_says_it(tmp_path: Path):
    for content in ("{", json.dumps(document(RECORDS, schema=2)), json.dumps({"schema": 1})):
        path, said = written(tmp_path, content), list[str]()
        assert readable_latency(tmp_path, "probe", said.append) is None
        assert len(said) == 1
        assert str(path) in said[0]


def test_a_file_of_a_newer_benchbias_or_another_suite_is_refused(tmp_path: Path):
    written(tmp_path, json.dumps(document(RECORDS, schema=2)))
    with pytest.raises(NewerRecordError, match=r"its schema is 2, not 1.*newer benchbias"):
        read_latency(tmp_path, "probe")
    written(tmp_path, latency(RECORDS).to_text(), "smoke")
    with pytest.raises(UsageError, match="it is of the suite 'probe', not of 'smoke'"):
        read_latency(tmp_path, "smoke")
    written(tmp_path, latency(RECORDS, limit=40).to_text(), "probe.limit-40")
    found = read_latency(tmp_path, "probe.limit-40")
    assert isinstance(found, Latency)
    written(tmp_path, "{", "probe")
    with pytest.raises(UsageError, match=r"latency/probe\.json"):
        read_latency(tmp_path, "probe")
