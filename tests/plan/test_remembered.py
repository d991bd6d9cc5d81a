"""The selection of a run is read back as it was, and a file that is damaged or hostile is refused in one line."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.cli.options import parse_seeds
from benchbias.errors import UsageError
from benchbias.plan.remembered import Remembered, last_run, recall, remember, remembered_file
from benchbias.plan.trials import Selection
from benchbias.store.store import Store
from benchbias.util import canonical

TEXTS = st.lists(st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), min_size=1, max_size=9), max_size=3)
SEEDS = st.none() | st.integers(1, 9) | st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True)


@st.composite
def selections(draw: st.DrawFn) -> Selection:
    maybe = st.none() | TEXTS
    limit = draw(st.none() | st.integers(2, 999))
    return Selection(draw(maybe), draw(maybe), draw(SEEDS), draw(TEXTS), limit, draw(st.sampled_from(["cpu", "cuda"])))


@settings(max_examples=60, deadline=None)
@given(selections())
def test_a_selection_comes_back_and_its_options_say_it(tmp_path_factory: pytest.TempPathFactory, chosen: Selection):
    path = remembered_file(tmp_path_factory.mktemp("out"), "smoke")
    path.parent.mkdir()
    path.write_text(canonical.dumps(Remembered.of(chosen, None, (), None).model_dump(by_alias=True)))
    found = recall(path.parents[1], "smoke")
    assert found is not None
    assert found.selection == chosen
    words = shlex.split(found.options())
    pairs = list(zip(words[::2], words[1::2], strict=True))
    assert [value for option, value in pairs if option == "-m"] == list(chosen.methods or ())
    assert [value for option, value in pairs if option == "-t"] == list(chosen.tasks or ())
    assert [value for option, value in pairs if option == "--set"] == list(chosen.assignments)
    seeds = next((value for option, value in pairs if option == "--seeds"), None)
    one = next((int(value) for option, value in pairs if option == "--seed"), None)
    assert ([one] if one is not None else parse_seeds(seeds)) == chosen.seeds


def test_a_run_writes_what_is_read(tmp_path: Path):
    store, asked = Store(tmp_path / "out").create(), Remembered(methods=["erm"], seeds=[3, 4], limit=40)
    remember(store, "smoke", Remembered())
    remember(store, "smoke", asked)
    remember(store, "other", Remembered())
    assert recall(store.root, "smoke") == asked
    assert recall(store.root, "other") == Remembered()


def test_a_range_is_a_list_and_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    made = Remembered.of(Selection(seeds=range(2, 5)), Path("a.toml"), [Path("p.py")], Path("data"))
    assert made.seeds == [2, 3, 4]
    assert (made.config, made.plugins, made.data_dir) == (
        str(tmp_path / "a.toml"),
        [str(tmp_path / "p.py")],
        str(tmp_path / "data"),
    )
    assert not made.is_whole
    assert Remembered(plugins=["/p.py"]).is_whole
    assert Remembered().options() == ""


def test_nothing_there_is_nothing_remembered(tmp_path: Path):
    assert recall(tmp_path / "not there", "smoke") is None
    (tmp_path / "file").write_text("x")
    assert recall(tmp_path / "file", "smoke") is None


@pytest.mark.parametrize("suite", ["../up", "a/b", "", "A", ".hidden", "x" * 65])
def test_only_the_name_of_a_suite_leads_to_a_file(tmp_path: Path, suite: str):
    assert recall(tmp_path, suite) is None
    with pytest.raises(UsageError, match="no name of a suite"):
        remembered_file(tmp_path, suite)


WHOLE = {"schema": 1, "methods": ["erm"], "seeds": 2}
DAMAGED = {
    "empty": "",
    "half": json.dumps(WHOLE)[:-5],
    "no object": "[1]",
    "twice": '{"schema": 1, "schema": 1}',
    "an unknown key": json.dumps(WHOLE | {"command": "rm"}),
    "a wrong type": json.dumps(WHOLE | {"methods": "erm"}),
    "a truth for a number": json.dumps(WHOLE | {"seeds": True}),
    "no seeds": json.dumps(WHOLE | {"seeds": []}),
    "too many seeds": json.dumps(WHOLE | {"seeds": 10**9}),
    "a long text": json.dumps(WHOLE | {"device": "x" * 5000}),
    "newer": json.dumps({"schema": 2}),
    "deep": "[" * 5000,
    "NaN": '{"schema": 1, "limit": NaN}',
    "large": json.dumps(WHOLE | {"methods": ["x" * 4000] * 400}),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_what_is_damaged_or_newer_is_refused_in_one_line(tmp_path: Path, kind: str):
    path = remembered_file(tmp_path, "smoke")
    path.parent.mkdir()
    path.write_text(DAMAGED[kind])
    with pytest.raises(UsageError) as told:
        recall(tmp_path, "smoke")
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 700


def test_a_link_or_a_pipe_is_never_opened(tmp_path: Path):
    import os

    path = remembered_file(tmp_path, "smoke")
    path.parent.mkdir()
    os.mkfifo(path)
    with pytest.raises(UsageError, match="not a plain file"):
        recall(tmp_path, "smoke")
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(UsageError, match="a link"):
        recall(tmp_path, "smoke")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path):
    path = remembered_file(tmp_path, "smoke")
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe{}\x00")
    with pytest.raises(UsageError):
        recall(tmp_path, "smoke")


def test_a_selection_that_is_too_long_is_not_remembered():
    with pytest.raises(UsageError):
        Remembered.of(Selection(seeds=range(20_000)), None, (), None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "last-run.smoke.json: a JSON object is expected"),
        ('{"seeds": 0}', "last-run.smoke.json: seeds: Input"),
        ('{"seeds": [1, -1]}', "last-run.smoke.json: seeds: Input"),
        ('{"methods": ["a", 3]}', "last-run.smoke.json: methods.1: Input"),
        ('{"schema": "1"}', "last-run.smoke.json: schema: "),
    ],
)
def test_a_mistake_is_told_by_the_key_that_the_file_has(tmp_path: Path, text: str, said: str):
    path = remembered_file(tmp_path, "smoke")
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(UsageError, match=re.escape(said)):
        recall(tmp_path, "smoke")
    assert last_run(tmp_path, "smoke") == ""


def test_what_the_last_run_was_of_is_said_where_it_was_a_part(tmp_path: Path):
    store = Store(tmp_path / "out").create()
    assert last_run(store.root, "smoke") == ""
    remember(store, "smoke", Remembered())
    assert last_run(store.root, "smoke") == ""
    remember(store, "smoke", Remembered(limit=40))
    assert last_run(store.root, "smoke") == "; the last run there was of --limit 40"
