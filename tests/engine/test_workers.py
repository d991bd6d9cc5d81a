"""The stages of one call in one process: what they share, what ends them, and what becomes of the rest; slots of cards.

Workers are forked from a fork of the test, as they are from an engine, with stages that only pretend.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchbias.engine import session
from benchbias.engine import workers as engine_workers
from benchbias.engine.base import BUSY, FAILED, GIB
from benchbias.engine.workers import Limits, Slots, Workers
from benchbias.keys.stamps import Kept
from benchbias.store.store import Store
from benchbias.util.processes import held_bytes
from support.faulty import in_child

Stage = Callable[[str], int]
END_SECONDS = 60.0
M_TRIM_THRESHOLD = -1


def key(number: int) -> str:
    return f"{number:064x}"


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def fine(key: str) -> int:
    say(f"{key[-2:]} in {os.getpid()} on {os.environ.get('CUDA_VISIBLE_DEVICES')}")
    return 0


@dataclass
class Pretended:
    """A session whose stages are functions."""

    stages: dict[str, Stage]
    spoilt: Sequence[str] = ()
    noted: Sequence[str] = ()
    last: str = ""

    def run(self, key: str, note: Callable[[str], None], *, more: bool) -> int:
        self.last = key
        note(f"stage {key[-2:]}")
        return self.stages.get(key, fine)(key)

    def stays(self, key: str, code: int) -> bool:
        return code == 0 or key in self.noted

    def ready_for_more(self) -> bool:
        return self.last not in self.spoilt


@dataclass
class Engine:
    """The engine's side, driven by a test: what it is told, in order."""

    workers: Workers
    file: Any
    told: list[dict[str, Any]] = field(default_factory=list)
    most: int = 0

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + END_SECONDS
        while not condition():
            assert time.monotonic() < end, self.told
            self.workers.drain()
            self.workers.reap()
            self.most = max(self.most, len(self.workers.processes))
            self.file.seek(0)
            self.told = [json.loads(line) for line in self.file.read().splitlines()]
            time.sleep(0.002)

    def ended(self, count: int) -> list[dict[str, Any]]:
        """The first `count` stages to end, once they have."""
        self.until(lambda: len(self.told) >= count)
        return self.told


def driven(
    root: Path,
    drive: Callable[[Engine], Any],
    stages: dict[int, Stage] | None = None,
    *,
    spoilt: Sequence[int] = (),
    noted: Sequence[int] = (),
    size: Callable[[str], int] = lambda key: 1,
    alone: Sequence[int] = (),
    seconds: float = 50.0,
    memory: float = 0.0,
    cards: tuple[Sequence[str], int] | None = None,
) -> Any:
    """Drive workers in a fork; what `drive` returns, as JSON."""
    store = Store(root).create()

    def session() -> Pretended:
        found = {key(number): stage for number, stage in (stages or {}).items()}
        return Pretended(found, [key(n) for n in spoilt], [key(n) for n in noted])

    def work(tell: Callable[[str], None]) -> int:
        with tempfile.TemporaryFile("w+") as file:
            workers = Workers(
                store,
                session,
                Limits(seconds, memory),
                file,
                alone=lambda one: one in [key(number) for number in alone],
                slots=None if cards is None else Slots(*cards),
                size=size,
            )
            answer = drive(Engine(workers, file))
            workers.close()
            tell(json.dumps(answer))
        return 0

    code, lines = in_child(work)
    assert (code, len(lines)) == (0, 1), lines
    return json.loads(lines[0])


def log(root: Path, number: int) -> list[str]:
    return Store(root).log(key(number))


def process_of(root: Path, number: int) -> str:
    return log(root, number)[0].split(" in ")[1].split()[0]


def test_stages_of_one_call_run_in_one_process_with_a_log_each(tmp_path: Path):
    def drive(engine: Engine) -> Any:
        engine.workers.submit([key(1), key(2), key(3)])
        told = engine.ended(3)
        engine.until(lambda: not engine.workers.processes)
        return told

    told = driven(tmp_path / "results", drive)
    assert [one["key"] for one in told] == [key(1), key(2), key(3)]
    assert [(one["exit_code"], one["said"], one["returned"], one["doing"]) for one in told] == [
        (0, True, "", f"stage 0{number}") for number in (1, 2, 3)
    ]
    assert len({process_of(tmp_path / "results", number) for number in (1, 2, 3)}) == 1
    assert [len(log(tmp_path / "results", number)) for number in (1, 2, 3)] == [1, 1, 1]


def test_a_claim_is_held_while_its_stage_runs_and_no_longer(tmp_path: Path):
    store = Store(tmp_path / "results")

    def claims(_: str) -> int:
        say(" ".join(str(number) for number in (1, 2, 3) if store.claimed(key(number))))
        return 0

    def drive(engine: Engine) -> Any:
        engine.workers.submit([key(1), key(2), key(3)])
        engine.ended(3)
        return [store.claimed(key(number)) for number in (1, 2, 3)]

    assert driven(store.root, drive, dict.fromkeys((1, 2, 3), claims)) == [False] * 3
    assert [log(store.root, number) for number in (1, 2, 3)] == [["1"], ["2"], ["3"]]


def leave(code: int) -> Stage:
    return lambda key: os._exit(code)


def die(key: str) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


@pytest.mark.parametrize(
    ("stage", "exit_code", "number", "said"),
    [
        (lambda key: FAILED, FAILED, None, True),
        (leave(0), 0, None, False),  # the stage before it said 0, which is not believed of this one
        (leave(FAILED), FAILED, None, False),
        (die, None, signal.SIGKILL, False),
    ],
    ids=["fails", "leaves with 0", "leaves with a code of ours", "is killed"],
)
def test_what_ends_a_stage_ends_no_other(
    tmp_path: Path, stage: Stage, exit_code: int | None, number: int | None, said: bool
):
    def drive(engine: Engine) -> Any:
        engine.workers.submit([key(1), key(2), key(3), key(4)])
        engine.ended(4)
        engine.until(lambda: not engine.workers.processes)
        return engine.told

    first, second, *rest = driven(tmp_path / "results", drive, {2: stage})
    assert (first["key"], first["exit_code"], first["said"]) == (key(1), 0, True)
    assert (second["key"], second["exit_code"], second["signal"], second["said"]) == (
        *(key(2), exit_code, number, said),
    )
    assert second["doing"] == "stage 02"
    assert [(one["key"], one["returned"]) for one in rest] == [(key(3), "not begun"), (key(4), "not begun")]
    assert log(tmp_path / "results", 3) == []


def test_a_process_that_is_not_as_good_as_new_runs_no_further_stage(tmp_path: Path):
    def drive(engine: Engine) -> Any:
        engine.workers.submit([key(1), key(2), key(3)])
        engine.ended(3)
        engine.workers.submit([key(3)])
        return engine.ended(4)

    told = driven(tmp_path / "results", drive, spoilt=[2])
    assert [(one["key"], one["exit_code"], one["said"]) for one in told[:2]] == [(key(1), 0, True), (key(2), 0, True)]
    assert (told[2]["key"], told[2]["returned"]) == (key(3), "not begun")
    assert (told[3]["key"], told[3]["exit_code"], told[3]["returned"]) == (key(3), 0, "")
    pids = [process_of(tmp_path / "results", number) for number in (1, 2, 3)]
    assert pids[0] == pids[1] != pids[2]


@pytest.mark.parametrize("place", [1, 2])
def test_a_stage_that_another_run_has_claimed_is_busy_and_the_rest_is_handed_back(tmp_path: Path, place: int):
    store = Store(tmp_path / "results").create()

    def drive(engine: Engine) -> Any:
        engine.workers.submit([key(1), key(2), key(3)])
        engine.ended(3)
        engine.until(lambda: not engine.workers.processes)
        engine.workers.submit([key(place)], claim=False)
        return engine.ended(4)

    with store.claim(key(place)) as mine:
        assert mine
        told = driven(store.root, drive)
    assert [one["exit_code"] for one in told[:place]] == [0] * (place - 1) + [BUSY]
    assert [one["returned"] for one in told[place:3]] == ["not begun"] * (3 - place)
    assert (told[3]["key"], told[3]["exit_code"]) == (key(place), 0)


@pytest.mark.parametrize(
    ("alone", "begun"), [([1], [1]), ([2], [1]), ([3], [1, 2]), ([1, 2, 3], [1])], ids=["1", "2", "3", "all"]
)
def test_a_stage_that_needs_a_process_of_its_own_shares_none(tmp_path: Path, alone: list[int], begun: list[int]):
    def drive(engine: Engine) -> Any:
        engine.workers.submit([key(1), key(2), key(3)])
        engine.ended(3)
        engine.until(lambda: not engine.workers.processes)
        return engine.told

    told = driven(tmp_path / "results", drive, alone=alone)
    assert {one["key"] for one in told if one["exit_code"] == 0} == {key(number) for number in begun}
    assert {one["key"] for one in told if one["returned"]} == {key(n) for n in (1, 2, 3) if n not in begun}


@pytest.mark.slow
def test_the_clock_starts_again_with_each_stage(tmp_path: Path):
    def slowly(key: str) -> int:
        time.sleep(1.0)
        return 0

    def drive(engine: Engine) -> Any:
        engine.workers.submit([key(number) for number in range(1, 5)])
        return engine.ended(4)

    stages: dict[int, Stage] = {1: slowly, 2: slowly, 3: slowly, 4: lambda key: time.sleep(600) or 0}
    told = driven(tmp_path / "results", drive, stages, seconds=2.5)
    assert [(one["exit_code"], one["timed_out"]) for one in told] == [(0, False)] * 3 + [(None, True)]
    assert all(0.9 < one["seconds"] < 2.5 for one in told[:3])


@pytest.mark.slow
def test_memory_counts_for_the_stage_that_holds_it(tmp_path: Path):
    """What a stage has freed is none of the next one's; what it takes is."""
    import torch

    from benchbias.engine.traces import tidy

    class Tidied(Pretended):
        def ready_for_more(self) -> bool:
            tidy()
            return True

    def large(gib: float) -> Stage:
        def run(key: str) -> int:
            parts = [torch.ones(1 << 14) for _ in range(int(gib * (1 << 14)))]  # small ones, which no mapping holds
            time.sleep(0.5)
            return 0 * len(parts)

        return run

    def mapped(key: str) -> int:
        with mmap.mmap(-1, int(0.4 * (1 << 30))) as held:
            for place in range(0, len(held), mmap.PAGESIZE):
                held[place] = 1
            time.sleep(0.5)
        return 0

    ours = held_bytes([os.getpid()]) / GIB  # the part of a worker of what it shares with these tests is at most this
    stages = {key(1): large(0.4), key(2): mapped, key(3): large(0.4), key(4): large(2.0 + ours)}

    def drive(engine: Engine) -> Any:
        ctypes.CDLL(None).mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)  # as workers have it
        engine.workers.session = lambda: Tidied(stages)
        engine.workers.submit(list(stages))
        return engine.ended(4)

    told = driven(tmp_path / "results", drive, memory=0.6 + ours)
    assert [one["exit_code"] for one in told] == [0, 0, 0, None]
    assert [one["memory"] is None for one in told] == [True, True, True, False]


def test_a_method_is_handed_nothing_that_was_read_to_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nor does what a method keeps for its next stage stay in memory while its network is measured."""
    handed: list[set[str]] = []

    def run(store: Store, plan: Any, key: str, note: Any, shared: dict[str, Any], kept: Kept) -> int:
        handed.append(set(shared))
        shared |= {f"{what}:{key}": 1 for what in ("product", "whole", "answer")}
        return 0

    monkeypatch.setattr(session, "run_stage", run)
    kinds = {"a": "prune", "b": "prune", "c": "predict", "d": "score", "e": "train"}
    plan = {"device": "cpu", "stages": {key: {"inputs": {"kind": kind}} for key, kind in kinds.items()}}
    stages = session.Stages(Store(tmp_path), plan, Kept())
    for key in kinds:
        assert stages.run(key, print, more=False) == 0
    assert handed[:2] == [set(), {"product:a", "whole:a", "answer:a"}]
    assert handed[2] == {"product:a", "whole:a", "product:b", "whole:b"}
    assert handed[3] == handed[2] | {"product:c", "whole:c", "answer:c"}
    assert handed[4] == set()


# stacks


def test_a_failure_that_is_noted_with_its_mates_ends_no_process(tmp_path: Path):
    root = tmp_path / "results"

    def drive(engine: Engine) -> Any:
        engine.workers.submit([key(1), key(2), key(3), key(4)])
        return engine.ended(4)

    told = driven(root, drive, {1: lambda one: fine(one) + FAILED, 3: lambda one: fine(one) + FAILED}, noted=[1])
    assert [(one["exit_code"], one["said"], one["returned"]) for one in told] == [
        *((FAILED, True, ""), (0, True, ""), (FAILED, True, "")),
        (None, True, "not begun"),
    ]
    assert len({line.split()[2] for number in (1, 2, 3) for line in log(root, number)}) == 1


def test_stages_that_are_computed_at_once_have_their_time_together(tmp_path: Path):
    def slow(one: str) -> int:
        time.sleep(1.0)
        return 0

    def drive(engine: Engine) -> Any:
        engine.workers.submit([key(1)])
        engine.workers.submit([key(2)])
        return engine.ended(2)

    sizes = {key(1): 100}
    found = driven(tmp_path / "results", drive, {1: slow, 2: slow}, seconds=0.3, size=lambda one: sizes.get(one, 1))
    assert {one["key"]: one["timed_out"] for one in found} == {key(1): False, key(2): True}


# cards


def cards_of(root: Path, numbers: Sequence[int]) -> list[tuple[str, str]]:
    """(process, card) of stages, as they told it."""
    lines = [log(root, number)[0].split() for number in numbers]
    return [(words[2], words[4]) for words in lines]


def test_a_card_has_no_more_processes_than_its_slots_and_they_are_kept(tmp_path: Path):
    root = tmp_path / "results"
    here = tmp_path / "here"
    here.mkdir()

    def crowded(one: str) -> int:
        card = os.environ["CUDA_VISIBLE_DEVICES"]
        mark = here / f"{card}-{os.getpid()}"
        mark.touch()
        time.sleep(0.05)
        beside = len(list(here.glob(f"{card}-*")))
        mark.unlink()
        fine(one)
        say(str(beside))
        return 0

    numbers = list(range(1, 21))

    def drive(engine: Engine) -> Any:
        for number in numbers:
            engine.workers.submit([key(number)])
        engine.ended(len(numbers))
        return engine.most

    most = driven(root, drive, dict.fromkeys(numbers, crowded), cards=(("0", "GPU-7"), 2))
    assert most == 4
    found = cards_of(root, numbers)
    assert {card for _, card in found} == {"0", "GPU-7"}
    assert len(set(found)) == 4, "a process changed its card, or did not stay"
    assert max(int(log(root, number)[1]) for number in numbers) <= 2


def test_a_crash_on_a_card_takes_its_stage_alone_and_its_slot_is_used_again(tmp_path: Path):
    root = tmp_path / "results"

    def drive(engine: Engine) -> Any:
        for number in (1, 2, 3, 4):
            engine.workers.submit([key(number), key(10 + number)])
        engine.ended(8)
        engine.workers.submit([key(12)])
        return engine.ended(9)

    told = driven(root, drive, {2: die}, cards=(("5",), 1))
    assert [one["key"] for one in told if one["signal"]] == [key(2)]
    assert [one["key"] for one in told if one["returned"]] == [key(12)]
    pids = {number: process_of(root, number) for number in (1, 11, 3, 13, 4, 14, 12)}
    assert pids[1] == pids[11] != pids[3]
    assert pids[3] == pids[13] == pids[4] == pids[14] == pids[12]
    assert {card for _, card in cards_of(root, list(pids))} == {"5"}


def test_a_stage_of_a_stranger_on_a_card_has_a_new_process_and_leaves_none(tmp_path: Path):
    root = tmp_path / "results"

    def drive(engine: Engine) -> Any:
        for number in (1, 2, 3, 4):
            engine.workers.submit([key(number)])
        return engine.ended(4)

    told = driven(root, drive, alone=[2, 3], cards=(("0",), 1))
    assert [one["exit_code"] for one in told] == [0] * 4
    assert len({process_of(root, number) for number in (1, 2, 3, 4)}) == 4


def test_a_process_of_a_card_that_waits_in_vain_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def drive(engine: Engine) -> Any:
        engine.workers.submit([key(1)])
        engine.ended(1)
        assert engine.workers.processes, "it was not kept"
        monkeypatch.setattr(engine_workers, "IDLE_SECONDS", 0.0)
        engine.until(lambda: not engine.workers.processes)
        engine.workers.submit([key(2)])
        return engine.ended(2)

    told = driven(tmp_path / "results", drive, cards=(("0",), 1))
    assert [one["exit_code"] for one in told] == [0, 0]


def test_a_process_that_dies_between_two_stages_takes_none(tmp_path: Path):
    """The kernel may end it for lack of memory: the stage that it was just given was not begun."""

    def drive(engine: Engine) -> Any:
        engine.workers.submit([key(1)])
        engine.ended(1)
        (pid,) = engine.workers.processes
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        engine.workers.submit([key(2), key(3)])
        engine.ended(3)
        engine.workers.submit([key(2), key(3)])
        return engine.ended(5)

    told = driven(tmp_path / "results", drive, cards=(("0",), 1))
    assert [one["key"] for one in told] == [key(number) for number in (1, 2, 3, 2, 3)]
    assert [one["returned"] for one in told] == ["", "not begun", "not begun", "", ""]
    assert [one["exit_code"] for one in told] == [0, None, None, 0, 0]


def test_what_waits_for_a_card_is_handed_back_when_everything_is_cancelled(tmp_path: Path):
    def drive(engine: Engine) -> Any:
        for number in (1, 2, 3):
            engine.workers.submit([key(number)])
        engine.workers.cancel()
        return engine.ended(3)

    told = driven(tmp_path / "results", drive, {1: lambda key: time.sleep(600) or 0}, cards=(("0",), 1))
    assert sorted((one["key"], one["signal"], one["returned"]) for one in told) == [
        (key(1), signal.SIGKILL, ""),
        (key(2), None, "not begun"),
        (key(3), None, "not begun"),
    ]
