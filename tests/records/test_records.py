"""Records from anywhere: accepted, or refused by one line that names the file; nothing else ever comes out."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchbias.board.comparing import compare
from benchbias.errors import UsageError
from benchbias.records.trial import RECORD_SCHEMA, TrialRecord
from benchbias.runner.publishing import published_records, rebuild
from benchbias.util import canonical
from support import ROOT
from support.mutated import spoilt

SUITE = "spurious-small"
PUBLISHED = ROOT / "leaderboard" / "records" / SUITE
ROWS = ("erm", "reweighted", "erm-ft", "magnitude")
FAILED = (
    "metrics",
    "group_",
    "train_",
    "correct",
    "para",
    "nonz",
    "weights",
    "flops",
    "sparse",
    "sparsity",
    "training_",
)


def _some() -> dict[str, dict]:
    """Three seeds of four methods, by file name, and one trial that failed."""
    found = {}
    for path in sorted(PUBLISHED.glob("*.json")):
        document = json.loads(path.read_text())
        if document["body"]["method"] in ROWS and document["body"]["seed"] < 3:
            found[path.name] = document
    failed = json.loads(json.dumps(next(iter(found.values()))))
    body = {k: v for k, v in failed["body"].items() if not k.startswith((*FAILED, "selected", "num_classes"))}
    body |= {"status": "failed", "stage": "train erm, seed 0", "reason": "it broke", "trial": "0" * 64}
    return {**found, f"{'0' * 64}.json": {**failed, "body": body, "measured": {}}}


RECORDS = _some()
NAMES = sorted(RECORDS)
LAYOUTS = {
    f"test/{document['body']['correct']['layout']}.json" for name, document in RECORDS.items() if name[:9] != "0" * 9
}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small published folder: read it, never write to it."""
    root = tmp_path_factory.mktemp("published")
    folder = root / "records" / SUITE
    (folder / "test").mkdir(parents=True)
    for name, document in RECORDS.items():
        (folder / name).write_text(json.dumps(document))
    for name in LAYOUTS:
        shutil.copy(PUBLISHED / name, folder / name)
    return root


@pytest.fixture
def folder(clean: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil: the folder of its records."""
    return Path(shutil.copytree(clean, tmp_path / "published")) / "records" / SUITE


def read(folder: Path) -> str:
    """What both readers say: the board and a comparison, or the one message."""
    root = folder.parent.parent
    message = ""
    try:
        text = "\n".join(rebuild(SUITE, root).values())
        compare(*published_records(SUITE, root), "reweighted", "erm")
    except UsageError as error:
        message = str(error)
    assert message.isprintable()
    assert len(message) < 2100
    return f"refused: {message}" if message else text


def test_the_folder_that_is_spoilt_below_is_read_before(folder: Path):
    text = read(folder)
    assert not text.startswith("refused")
    assert all(name in text for name in (*ROWS, "it broke"))


def test_the_schema_is_built_once_and_not_for_every_record(folder: Path):
    from benchbias.records import schema as bodies

    bodies._adapter.cache_clear()
    published_records(SUITE, folder.parent.parent)
    assert bodies._adapter.cache_info().misses == 1
    assert bodies._adapter.cache_info().hits == len(RECORDS) - 1


def _record(path: Path) -> tuple[TrialRecord | None, str]:
    try:
        return TrialRecord.from_file(path), ""
    except UsageError as error:
        return None, str(error)


@settings(max_examples=2000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(NAMES), st.integers(0, 2**64))
def test_a_spoilt_record_is_one_that_could_be_written_or_is_refused_by_its_name(tmp_path_factory, name, seed):
    changed = spoilt(RECORDS[name], random.Random(seed))
    path = tmp_path_factory.getbasetemp() / name
    path.write_text(json.dumps(changed, default=str))
    record, told = _record(path)
    if record is None:
        assert told.startswith(f"{path}: not a record: ")
        assert told.isprintable()
        return
    assert json.loads(record.to_text()) == json.loads(path.read_text())
    assert changed["body"].keys() <= {*RECORDS[NAMES[1]]["body"], "stage", "reason", "num_classes", "settings_from"}


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(NAMES), st.integers(0, 2**64))
def test_a_board_with_a_spoilt_record_is_built_or_refused(clean: Path, tmp_path_factory, name, seed):
    path = clean / "records" / SUITE / name
    was = path.read_text()
    try:
        changed = spoilt(RECORDS[name], random.Random(seed), only="body")
        path.write_text(json.dumps(changed, default=str))
        told = read(path.parent)
        same = canonical.digest(RECORDS[name]["body"]) == _digest(changed.get("body"))
        assert same or told.startswith("refused: ") or _harmless(RECORDS[name]["body"], changed["body"])
        assert not told.startswith("refused: ") or name[:12] in told or "row" in told or SUITE in told, told
    finally:
        path.write_text(was)


def _digest(body: object) -> str:
    try:
        return canonical.digest(body)
    except (TypeError, ValueError):
        return ""


CLAIMS = (
    "metrics",
    "group_names",
    "group_correct",
    "group_total",
    "group_aligned",
    "correct",
    "suite",
    "trial",
    "track",
)


def _harmless(body: dict, changed: dict) -> bool:
    """Nothing that a row claims of its accuracy was changed, but for metrics that no count determines."""
    free = ("spurious_attribute_accuracy",)
    plain = [
        {**one, "metrics": {k: v for k, v in one.get("metrics", {}).items() if k not in free}}
        for one in (body, changed)
    ]
    return all(plain[0].get(name) == plain[1].get(name) for name in CLAIMS)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**64))
def test_a_spoilt_layout_is_refused_by_its_name(clean: Path, seed):
    """A layout is named by its content: any other content is none, or is of another name."""
    path = clean / "records" / SUITE / sorted(LAYOUTS)[0]
    was = path.read_text()
    try:
        changed = spoilt(json.loads(was), random.Random(seed))
        path.write_text(json.dumps(changed, default=str))
        if path.read_text() != json.dumps(json.loads(was)):
            assert read(path.parent.parent).startswith(f"refused: {path}: ")
    finally:
        path.write_text(was)


# --- by hand: what is changed in one record's body, and what the message says


def body_with(**changes):
    return lambda document: document["body"].update(changes)


def inside(table, /, **changes):
    return lambda document: document["body"][table].update(changes)


LIES = {
    "an accuracy above 1": (inside("metrics", spurious_attribute_accuracy=1.5), "from 0 to 1, not 1.5"),
    "an accuracy that its counts deny": (inside("metrics", accuracy=0.999), "its own counts give"),
    "a metric too few": (lambda d: d["body"]["metrics"].popitem(), "metrics must be those of the suite"),
    "an empty table of metrics": (body_with(metrics={}), "metrics must be those of the suite"),
    "more than there are": (lambda d: d["body"]["group_correct"].__setitem__(0, 10**6), "larger than its whole"),
    "fewer correct than counted": (lambda d: d["body"]["group_correct"].__setitem__(0, 1), "group_correct is not what"),
    "other totals": (lambda d: d["body"]["group_total"].__setitem__(0, 10**6), "group_total is not what"),
    "a group too few": (lambda d: d["body"]["group_names"].pop(), "as long as group_names"),
    "more weights than weights": (body_with(nonzero_weights=10**12), "larger than its whole"),
    "fewer matrix weights than weights": (body_with(matrix_weights=1), "at least as many as weights"),
    "an unknown cost as text": (body_with(training_flops="unknown"), "body.training_flops"),
    "a false sparsity": (body_with(sparsity=0.99), "its own counts give"),
    "an unknown track": (body_with(track="magic"), "body.track"),
    "a track that other seeds do not have": (body_with(track="val-fit"), "differ in track"),
    "an unknown status": (body_with(status="great"), "status"),
    "an unknown key": (body_with(bypass=True), "unknown key 'bypass'"),
    "an unknown key of the suite": (inside("suite", skip_checks=True), "unknown key 'skip_checks'"),
    "an unknown key beside the body": (lambda d: d.update(checks=False), "unknown key 'checks'"),
    "another title than the others": (inside("suite", title="Mine"), "describes the suite otherwise"),
    "another suite": (inside("suite", name="other"), "of the suite 'other', not of 'spurious-small'"),
    "a limited run among whole ones": (inside("suite", limit=20), "spurious-small.limit-20"),
    "ranked by no metric": (inside("suite", rank_by="beauty"), "rank_by one of them"),
    "a path for a task": (body_with(task="../../etc"), "body.task"),
    "markup for a method": (body_with(method="<script>"), "body.method"),
    "a seed that is no number": (body_with(seed="0"), "body.seed"),
    "a seed that is a truth value": (body_with(seed=True), "body.seed"),
    "a seed of another trial": (body_with(seed=1), "two records of one seed"),
    "an enormous number": (body_with(flops=10**30), "body.flops"),
    "a fraction for a count": (body_with(parameters=1.0), "body.parameters"),
    "nested values": (body_with(swept={"k": {"x": 1}}), "body.swept.k"),
    "the trial of another file": (body_with(trial="f" * 64), "not of its name"),
    "a layout that is not there": (inside("correct", layout="f" * 64), "layout of its test split is not among"),
    "text for counts": (inside("correct", counts="<b>"), "counts is not base64"),
    "more cells than there are": (inside("correct", cells=10**9), "cells must be"),
    "measured text": (lambda d: d["measured"].update(seconds="fast"), "measured.seconds"),
    "another schema": (lambda d: d.update(schema=2), f"not {RECORD_SCHEMA}"),
    "a schema that is a truth value": (lambda d: d.update(schema=True), "schema"),
}  # fmt: skip


def first_erm() -> str:
    return next(n for n, d in RECORDS.items() if d["body"]["method"] == "magnitude" and d["body"]["seed"] == 0)


@pytest.mark.parametrize(("lie", "message"), LIES.values(), ids=LIES)
def test_a_lie_is_refused_by_one_line(folder: Path, lie, message: str):
    path = folder / first_erm()
    document = json.loads(path.read_text())
    lie(document)
    path.write_text(json.dumps(document))
    told = read(folder)
    assert told.startswith("refused: ")
    assert message in told
    assert path.stem[:12] in told or "spurious-small" in told or "row" in told


TEXTS = {
    "a key twice": '{"schema": 1, "schema": 1, "body": {}, "measured": {}}',
    "not a number": '{"schema": 1, "body": {"seed": NaN}, "measured": {}}',
    "more than any float": '{"schema": 1, "body": {"seed": 1e999}, "measured": {}}',
    "5,000 digits": '{"schema": 1, "body": {"seed": ' + "9" * 5000 + '}, "measured": {}}',
    "depth": "[" * 100_000,
    "some depth": "[" * 60 + "]" * 60,
    "half a character": '{"schema": 1, "body": {"reason": "\\ud800"}, "measured": {}}',
    "a list": "[]",
    "a number": "1",
    "nothing": "",
    "a body that is a list": '{"schema": 1, "body": [], "measured": {}}',
    "no body": '{"schema": 1, "measured": {}}',
    "a pickle": "cos\nsystem\n(S'true'\ntR.",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("kind", ["record", "layout"])
def test_a_file_that_is_no_sensible_json_is_refused_by_its_name(folder: Path, text: str, kind: str):
    path = folder / (first_erm() if kind == "record" else sorted(LAYOUTS)[0])
    path.write_text(text)
    assert read(folder).startswith(f"refused: {path}: ")


def _link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _enormous(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 36)


@pytest.mark.parametrize("make", [_link, _device, os.mkfifo, Path.mkdir, _enormous])
@pytest.mark.parametrize("kind", ["record", "layout"])
def test_only_plain_files_of_a_sensible_size_are_opened(folder: Path, make, kind: str):
    """A pipe would hang, a device never end; what a link leads to is nobody's record."""
    path = folder / (first_erm() if kind == "record" else sorted(LAYOUTS)[0])
    path.unlink()
    make(path)
    told = read(folder)
    assert told.startswith(f"refused: {path}: cannot be read: ")
    assert "root:" not in told


def test_one_trial_in_two_files_is_refused(folder: Path):
    shutil.copy(folder / first_erm(), folder / f"{'e' * 64}.json")
    assert "not of its name" in read(folder)


@pytest.mark.parametrize("verb", [("leaderboard", SUITE), ("compare", "erm", "reweighted", "-s", SUITE)])
def test_the_command_line_says_it_in_one_line(folder: Path, tmp_path: Path, cli, verb):
    (folder / first_erm()).write_text('{"schema": 1, "body": {"status": "ok"}, "measured": {}}')
    done = cli(*verb, "--records", str(folder.parent.parent), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert first_erm() in done.stderr
