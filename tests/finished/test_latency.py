"""Milliseconds and bytes measured: of the networks that were scored, outside of records, refused on a used folder."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import benchbias
from benchbias.errors import NewerRecordError, UsageError
from benchbias.finished import latency as measuring_in_child
from benchbias.finished.asking import request_of
from benchbias.finished.latency import BATCHES, latency
from benchbias.finished.measuring import measure
from benchbias.finished.timing import Timed
from benchbias.plan.finding import row_trial
from benchbias.plan.trials import Plan, Selection
from benchbias.records.latency import Latency, latency_file, read_latency
from benchbias.runner.publishing import all_boards, board
from benchbias.runner.workspace import Workspace
from benchbias.store.in_use import in_use
from benchbias.store.store import Store
from support.running import tree

HALF = "magnitude[sparsity=0.5]"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Workspace.open(quiet=True).plan("smoke", Selection(["erm", "magnitude"]))


@pytest.fixture
def copied(smoke: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(smoke, tmp_path / "results"))


@pytest.fixture
def untimed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Timing that calls each network once and says 1 ms; the numbers of networks that were timed together."""
    seen: list[int] = []

    def once(calls: list[Callable[[], object]], rounds: int, clock: object) -> Timed:
        seen.append(len(calls))
        for call in calls:
            call()
        return Timed(tuple((0.001,) * rounds for _ in calls), 1.0, 0.5)

    monkeypatch.setattr(measuring_in_child, "interleaved", once)
    return seen


def asked(plan: Plan, out: Path, *rows: str) -> dict[str, Any]:
    trials = [row_trial(plan, row, 0, None, "test") for row in rows]
    return request_of("measure", plan, trials, out, {"repeats": 8})


def test_every_row_is_timed_beside_its_dense_network(plan: Plan, smoke: Path, untimed: list[int]):
    found = latency(asked(plan, smoke, "erm", HALF))
    assert untimed == [4, 4], "dense twice and two rows, all together, for each size of a batch"
    (architecture,) = found["architectures"]
    assert architecture["dense"]["parameters"] == architecture["dense"]["nonzero"] == 2797
    erm, half = found["rows"]
    assert erm["finished"]["nonzero"] == 2797
    assert half["finished"]["nonzero"] < 2000
    assert half["finished"]["bytes"] == erm["finished"]["bytes"] > 4 * 2797, "zeros take bytes"
    assert [timing["batch"] for timing in erm["finished"]["timings"]] == list(BATCHES)
    assert not any(timing["gain"] for row in found["rows"] for timing in row["finished"]["timings"])
    assert found["own_time"] == 0.5
    assert found["left_out"] == []


def test_a_network_that_gives_other_answers_is_not_timed(
    plan: Plan, smoke: Path, untimed: list[int], monkeypatch: pytest.MonkeyPatch
):
    from benchbias.finished.rebuilt import Finished

    real = Finished.network

    def other(self: Finished) -> nn.Module:
        model = real(self)
        if self.trial["method"] == "magnitude":
            with torch.no_grad():
                model.fc3.bias[0] += 0.01  # type: ignore[index, operator]
        return model

    monkeypatch.setattr(Finished, "network", other)
    found = latency(asked(plan, smoke, "erm", HALF))
    assert [row["row"] for row in found["rows"]] == ["erm"]
    assert "other answers than the stored ones" in found["left_out"][0]["reason"]


def test_without_torch_pruning_rows_of_units_say_so_and_others_are_as_they_are(
    plan: Plan, smoke: Path, untimed: list[int], monkeypatch: pytest.MonkeyPatch
):
    def absent(*given: object) -> None:
        raise UsageError("slimming needs torch-pruning")

    monkeypatch.setattr(measuring_in_child, "slimmed", absent)
    (half,) = latency(asked(plan, smoke, HALF))["rows"]
    assert (half["slimmed"], half["note"]) == (None, None)
    monkeypatch.setattr("benchbias.stages.job.Job.mask", units_of(plan))
    (half,) = latency(asked(plan, smoke, HALF))["rows"]
    assert half["note"] == "slimming needs torch-pruning"


def units_of(plan: Plan) -> Callable[..., Any]:
    """The mask of a job, as if it removed whole units."""
    from dataclasses import replace

    from benchbias.stages.job import Job

    real = Job.mask

    def mask(self: Job, role: str) -> Any:
        found = real(self, role)
        return None if found is None else replace(found, units=True)

    return mask


def measured(plan: Plan, out: Path, monkeypatch: pytest.MonkeyPatch, *, own_time: float = 1.0, **more: Any) -> Latency:
    """Measure with the child in this process, and its share of the time planted."""

    def ask(verb: str, plan: Plan, trials: Any, out: Path, settings: Any, given: Any) -> dict[str, Any]:
        return latency(request_of(verb, plan, trials, out, given)) | {"own_time": own_time}

    monkeypatch.setattr("benchbias.finished.measuring.ask", ask)
    options = {"repeats": 8, "every_seed": False, "busy": False} | more
    return measure(plan, out, {}, **options)


def test_it_is_written_beside_the_records_and_changes_none(
    plan: Plan, copied: Path, untimed: list[int], monkeypatch: pytest.MonkeyPatch
):
    before = tree(copied)
    found = measured(plan, copied, monkeypatch)
    assert tree(copied) == before
    assert read_latency(copied, "smoke") == found
    assert [row.seed for row in found.rows] == [0, 0, 0], "the first seed of each row"
    every = measured(plan, copied, monkeypatch, every_seed=True)
    assert [row.seed for row in every.rows] == [0, 1, 0, 1, 0, 1]


def test_a_folder_that_a_run_uses_is_refused_or_marked(
    plan: Plan, copied: Path, untimed: list[int], monkeypatch: pytest.MonkeyPatch
):
    assert measured(plan, copied, monkeypatch).busy is None
    before = latency_file(copied, "smoke").read_bytes()
    with in_use(Store(copied)):
        with pytest.raises(UsageError, match=r"a run uses .*--busy measures and says so"):
            measured(plan, copied, monkeypatch)
        assert latency_file(copied, "smoke").read_bytes() == before
        assert measured(plan, copied, monkeypatch, busy=True).busy == "a run used the results folder"


def test_a_loaded_machine_is_told(plan: Plan, copied: Path, untimed: list[int], monkeypatch: pytest.MonkeyPatch):
    assert measured(plan, copied, monkeypatch, own_time=0.951).busy is None
    said = measured(plan, copied, monkeypatch, own_time=0.6).busy
    assert said == "the process was at work in 60 % of the time that passed"


def test_what_was_not_run_is_left_out_with_a_reason(copied: Path, untimed: list[int], monkeypatch: pytest.MonkeyPatch):
    whole = Workspace.open(quiet=True).plan("smoke", Selection(["erm", "disent"]))
    found = measured(whole, copied, monkeypatch)
    assert [(one.row, one.reason) for one in found.left_out] == [("disent", "no seed of it was done")]
    nothing = Workspace.open(quiet=True).plan("smoke", Selection(["disent"]))
    with pytest.raises(UsageError, match="has no finished network of suite 'smoke'"):
        measured(nothing, copied, monkeypatch)
    with pytest.raises(UsageError, match="--repeats 7: an interval takes 8 rounds"):
        measured(whole, copied, monkeypatch, repeats=7)


def test_a_published_folder_has_the_file_and_its_board_is_rebuilt_with_it(
    plan: Plan, copied: Path, tmp_path: Path, untimed: list[int], monkeypatch: pytest.MonkeyPatch
):
    public = tmp_path / "public"
    plain = board(plan, copied, public)
    assert "illiseconds" not in plain["details/smoke.md"]
    assert not (public / "latency").exists()
    found = measured(plan, copied, monkeypatch)
    texts = board(plan, copied, public)
    assert read_latency(public, "smoke") == found
    assert "## Milliseconds and bytes" in texts["details/smoke.md"]
    assert {name for name in texts if texts[name] != plain[name]} == {"details/smoke.md"}
    rebuilt = all_boards(public)
    assert all(rebuilt[name] == text == (public / name).read_text() for name, text in texts.items())
    latency_file(copied, "smoke").unlink()
    assert board(plan, copied, public) == texts, "what was measured stays until somebody measures anew"


def test_a_damaged_or_newer_file_ends_no_run_and_no_board_and_is_named(plan: Plan, copied: Path, tmp_path: Path):
    wanted = board(plan, copied)
    path, public = latency_file(copied, "smoke"), tmp_path / "public"
    path.parent.mkdir()
    for content in ("{", '{"schema": 2}'):
        path.write_text(content)
        said: list[str] = []
        assert board(plan, copied, tell=said.append) == wanted
        assert len(said) == 1
        assert str(path) in said[0]
        assert "erm" in benchbias.load_results("smoke", out=copied).text
    board(plan, copied, public)
    broken = latency_file(public, "smoke")
    broken.parent.mkdir()
    broken.write_text('{"schema": 2}')
    said = []
    assert "illiseconds" not in all_boards(public, tell=said.append)["details/smoke.md"]
    assert str(broken) in said[0]


def test_a_newer_file_is_never_replaced(
    plan: Plan, copied: Path, tmp_path: Path, untimed: list[int], monkeypatch: pytest.MonkeyPatch
):
    measured(plan, copied, monkeypatch)
    public = tmp_path / "public"
    board(plan, copied, public)
    for path in (latency_file(public, "smoke"), latency_file(copied, "smoke")):
        path.write_text('{"schema": 2}')
    with pytest.raises(NewerRecordError, match="newer benchbias"):
        measured(plan, copied, monkeypatch)
    assert latency_file(copied, "smoke").read_text() == '{"schema": 2}'
    latency_file(copied, "smoke").unlink()
    measured(plan, copied, monkeypatch)
    with pytest.raises(NewerRecordError, match="newer benchbias"):
        board(plan, copied, public)


def part(*methods: str) -> Plan:
    return Workspace.open(quiet=True).plan("smoke", Selection(methods), others=True)


def test_rows_that_were_not_asked_for_stay_while_they_are_current(
    plan: Plan, copied: Path, untimed: list[int], monkeypatch: pytest.MonkeyPatch
):
    first = measured(plan, copied, monkeypatch, own_time=0.5)
    said: list[str] = []
    found = measured(part("erm"), copied, monkeypatch, tell=said.append)
    assert said == ["2 rows that were measured earlier, and were not asked for now, stay in the file"]
    assert [(row.row, row.architecture) for row in found.rows] == [
        ("erm", 0),
        *((row.row, 1) for row in first.rows if row.method == "magnitude"),
    ]
    earlier = found.architectures[1].earlier
    assert found.architectures[0].earlier is None
    assert earlier is not None
    assert (earlier.busy, found.busy) == (first.busy, None)
    assert read_latency(copied, "smoke") == found
    again = measured(part("erm"), copied, monkeypatch)
    assert again.architectures[1].earlier == earlier
    assert len(again.architectures) == 2
    whole = measured(part("erm", "magnitude"), copied, monkeypatch)
    assert [one.earlier for one in whole.architectures] == [None]


def test_rows_that_are_not_current_go_and_it_is_said(
    plan: Plan, copied: Path, untimed: list[int], monkeypatch: pytest.MonkeyPatch
):
    measured(plan, copied, monkeypatch)
    path = latency_file(copied, "smoke")
    document = json.loads(path.read_text())
    document["rows"][1]["product"] = "0" * 64
    path.write_text(json.dumps(document))
    said: list[str] = []
    found = measured(part("erm"), copied, monkeypatch, tell=said.append)
    assert len(found.rows) == 2
    assert said[1] == "1 rows that were measured earlier go: other seeds, or no longer current"


def test_where_nothing_can_be_timed_the_file_stays_as_it_is(
    plan: Plan, copied: Path, untimed: list[int], monkeypatch: pytest.MonkeyPatch
):
    measured(plan, copied, monkeypatch)
    before = latency_file(copied, "smoke").read_bytes()
    monkeypatch.setattr(measuring_in_child, "same_as_stored", lambda found: 1e9)
    with pytest.raises(UsageError, match=r"nothing could be timed, and nothing is written: erm: .*other answers"):
        measured(plan, copied, monkeypatch)
    assert latency_file(copied, "smoke").read_bytes() == before


Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
def test_the_verb_measures_shows_and_writes(copied: Path, cli: Cli, tmp_path: Path):
    options = ("-s", "smoke", "-o", str(copied), "-m", "erm", "-m", "magnitude", "--repeats", "8")
    done = cli("latency", *options, "--to", str(tmp_path / "table.md"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "table.md").read_text() == done.stdout
    assert "### colored-digits-tiny: lenet\\_small" in done.stdout
    found = read_latency(copied, "smoke")
    assert found is not None
    assert {row.row for row in found.rows} == {"erm", HALF, "magnitude[sparsity=0.9]"}
    assert all(0 < timing.milliseconds.median < 1000 for row in found.rows for timing in row.finished.timings)
    done = cli("latency", *options, "--to", str(tmp_path / "table.json"))
    assert json.loads((tmp_path / "table.json").read_text())["repeats"] == 8
    assert "## Milliseconds and bytes" in cli("leaderboard", "smoke", "-o", str(copied), "--details").stdout
    assert cli("latency", *options, "--to", "table.csv").stderr.count("\n") == 1
    assert cli("clean", "--all", "-o", str(copied)).returncode == 0
    assert not (copied / "latency").exists()
