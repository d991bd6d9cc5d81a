"""Cards by name: which ones a device means, in what a run may use them, and how many stages at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchbias.errors import UsageError
from benchbias.keys.cards import (
    CONTEXT_BYTES,
    SHARE,
    chosen_cards,
    device_of,
    memory_fraction,
    slots_of,
    visible_cards,
)
from benchbias.keys.environment import device_name
from support.cards import A, B, put_cards, uuid_of

HALF = "GPU-00000001"


@pytest.mark.parametrize(
    ("visible", "numbers"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("2,0", [2, 0]),
        (" 1 , 2", [1, 2]),
        ("0,7,1", [0]),  # CUDA shows what stands before the first name that fits none
        ("-1,0", []),
        ("0,0,1", [0]),
        (f"{uuid_of(2)},1", [2, 1]),
        (HALF, [1]),
        ("GPU-0000000", []),  # the beginning of three
        ("GPU-", []),
        ("one", []),
    ],
)
def test_the_environment_decides_which_cards_are_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, visible: str | None, numbers: list[int]
):
    put_cards(monkeypatch, tmp_path, A, A, A, visible=visible)
    assert [card.number for card in visible_cards()] == numbers


@pytest.mark.parametrize(
    ("device", "numbers"),
    [
        ("cuda", [2]),
        ("cuda:0", [2]),
        ("cuda:1", [0]),
        ("cuda:1,0", [0, 2]),
        ("cuda:all", [2, 0]),
        (f"cuda:{uuid_of(0)}", [0]),
        ("cpu", []),
    ],
)
def test_numbers_are_those_of_visible_cards(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: str, numbers: list[int]
):
    put_cards(monkeypatch, tmp_path, A, B, A, visible="2,0")
    assert [card.number for card in chosen_cards(device)] == numbers
    assert device_name(device) == (f"cuda {A}" if numbers else "cpu")


def test_a_key_names_the_model_of_the_card_that_is_used_and_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    put_cards(monkeypatch, tmp_path, A, B)
    assert device_name("cuda") == f"cuda {A}"
    assert device_name("cuda:1") == f"cuda {B}"


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("cuda:2", f"no card '2' here (known: 0 {A}, 1 {B})"),
        ("cuda:0,1", f"of one model, which keys name; here: 0 {A}; 1 {B}"),
        ("cuda:all", "of one model"),
        ("cuda:0,0", "named twice"),
        ("cuda:", "known: cpu, cuda"),
        ("cuda:0,", "no card ''"),
        ("cuda:-1", "no card '-1'"),
        (f"cuda:{uuid_of(5)}", "no card"),
        ("gpu", "unknown device 'gpu'"),
        ("cpu:0", "unknown device"),
        ("cuda:x\ny", "no card 'x\\ny'"),
    ],
)
def test_a_card_that_cannot_be_meant_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: str, words: str
):
    put_cards(monkeypatch, tmp_path, A, B)
    with pytest.raises(UsageError) as refused:
        chosen_cards(device)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_part_of_a_card_is_a_model_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    put_cards(monkeypatch, tmp_path, A, visible="MIG-1,MIG-2")
    assert device_name("cuda") != device_name("cuda:1")
    with pytest.raises(UsageError, match="of one model"):
        chosen_cards("cuda:all")


def test_a_card_without_a_uuid_goes_by_its_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    put_cards(monkeypatch, tmp_path, A)
    file = next(tmp_path.glob("*/information"))
    file.write_text(file.read_text().replace(uuid_of(0), "GPU-????????-????-????-????-????????????"))
    assert [card.name for card in chosen_cards("cuda")] == ["0"]


@pytest.mark.parametrize(
    ("device", "gpus", "meant"),
    [(None, None, "cpu"), ("cuda:1", None, "cuda:1"), (None, "0, 1", "cuda:0,1"), ("cuda", "all", "cuda:all")],
)
def test_two_options_name_one_device(device: str | None, gpus: str | None, meant: str):
    assert device_of(device, gpus) == meant


@pytest.mark.parametrize(("device", "gpus"), [("cpu", "0"), ("cuda:1", "0"), (None, ""), (None, " ")])
def test_two_options_that_disagree_are_refused(device: str | None, gpus: str):
    with pytest.raises(UsageError, match="--gpus"):
        device_of(device, gpus)


def test_stages_at_once_are_the_slots_of_the_cards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    put_cards(monkeypatch, tmp_path, A, A, A)
    slots = slots_of("cuda:2,0", None, 4, cpus=2)
    assert (slots.cards, slots.jobs) == ((uuid_of(2), uuid_of(0)), 8)
    assert slots.settings[SHARE] == "4"
    assert slots_of("cuda:2,0", 3, 4, cpus=2).jobs == 3
    assert slots_of("cpu", None, 1, cpus=2) == slots_of("cpu", 2, 1, cpus=9)
    assert slots_of("cpu", None, 1, cpus=2).settings == {}


@pytest.mark.parametrize(
    ("device", "jobs", "per_card", "words"),
    [
        ("cuda", 2, 1, "there are 1 slots (1 card with 1 each)"),
        ("cuda:0,1", 9, 4, "there are 8 slots (2 cards with 4 each)"),
        ("cpu", None, 2, "--per-gpu 2"),
        ("cuda", None, 0, "at least one"),
    ],
)
def test_more_jobs_than_slots_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: str, jobs: int | None, per_card: int, words: str
):
    put_cards(monkeypatch, tmp_path, A, A)
    with pytest.raises(UsageError) as refused:
        slots_of(device, jobs, per_card, cpus=2)
    assert words in str(refused.value)


@pytest.mark.parametrize("workers", [1, 2, 7, 64])
@pytest.mark.parametrize("total", [2 << 30, 139 << 30])
def test_workers_of_one_card_never_take_more_than_it_has(workers: int, total: int):
    fraction = memory_fraction({SHARE: str(workers)}, total)
    assert 0 < fraction * workers <= 1
    assert fraction * total + CONTEXT_BYTES <= total / workers or fraction == 1 / workers / 2
    assert memory_fraction({}, total) == memory_fraction({SHARE: "1"}, total)
