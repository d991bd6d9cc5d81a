"""Kept logits: a second audit computes nothing, and whatever decides an answer makes it anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchbias.auditing.models import answering, cache, digits_pair
from benchbias.auditing.models.cache import Cache
from benchbias.auditing.models.collect import answers_of_models
from benchbias.auditing.models.specs import ImageSpec, LookSpec, ModelSpec, RunSpec, model_spec
from benchbias.auditing.values import Answers

LOOK = LookSpec((0.5,), (0.5,))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example of digits, of which 60 images are left, with the table of these."""
    folder = tmp_path_factory.mktemp("kept") / "pair"
    digits_pair.make_digits_pair(folder)
    lines = (folder / "labels.csv").read_text().splitlines()
    (folder / "labels.csv").write_text("\n".join(lines[:61]) + "\n")
    named = {line.split(",")[0] for line in lines[:61]}
    for path in (folder / "images").iterdir():
        if path.name not in named:
            path.unlink()
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "pair")
    return tmp_path / "pair"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the networks that a batch went through, in order."""
    seen: list[str] = []
    original = answering._answered

    def watched(network: Any, *arguments: Any) -> Any:
        seen.append(network.source.name)
        return original(network, *arguments)

    monkeypatch.setattr(answering, "_answered", watched)
    return seen


def spec(folder: Path) -> ModelSpec:
    model = f"{folder}/network.py:network"
    return model_spec(str(folder / "dense.safetensors"), [str(folder / "pruned.safetensors")], model=model)


def run(folder: Path, look: LookSpec = LOOK, models: ModelSpec | None = None, **changes: Any) -> tuple[Answers, Any]:
    images = ImageSpec(str(folder / "images"), folder / "labels.csv", attributes=("ink",))
    options = RunSpec(batch=60, cache=folder / "cache", measure=False)
    return answers_of_models(models or spec(folder), images, look, replace(options, **changes), quiet=True)


def same(one: Answers, two: Answers) -> bool:
    equal = one.notes == two.notes and np.array_equal(one.dense, two.dense)
    return equal and all(
        np.array_equal(one.scores[name].confidence, two.scores[name].confidence) for name in ("dense", "pruned")
    )


def test_a_second_audit_calls_no_network_and_finds_the_same(folder, calls):
    first = run(folder, measure=True)
    assert calls == ["dense", "pruned"]
    second = run(folder, measure=True)
    assert calls == ["dense", "pruned"]
    assert same(first[0], second[0])
    assert first[1] == second[1]
    assert first[1]["dense"].latency


def test_another_order_of_rows_and_another_attribute_compute_nothing(folder, calls):
    run(folder)
    lines = (folder / "labels.csv").read_text().splitlines()
    (folder / "labels.csv").write_text("\n".join([lines[0] + ",x", *(f"{line},1" for line in reversed(lines[1:]))]))
    run(folder)
    assert len(calls) == 2


def edit_image(folder: Path) -> None:
    first, second = sorted((folder / "images").iterdir())[:2]
    first.write_bytes(second.read_bytes() + b" ")  # other bytes, the same pixels as another


def edit_table(folder: Path) -> None:
    lines = (folder / "labels.csv").read_text().splitlines()
    (folder / "labels.csv").write_text("\n".join(lines[:-1]))


def edit_factory(folder: Path) -> None:
    with (folder / "network.py").open("a") as file:
        file.write("# another\n")


def edit_dense(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "dense.safetensors")
    save_file({**tensors, "1.bias": tensors["1.bias"] + 1}, folder / "dense.safetensors")


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (edit_image, ["dense", "pruned"]),
        (edit_table, ["dense", "pruned"]),
        (edit_factory, ["dense", "pruned"]),
        (edit_dense, ["dense"]),
    ],
)
def test_what_decides_an_answer_makes_it_anew(folder, calls, change: Callable[[Path], None], again):
    run(folder)
    calls.clear()
    change(folder)
    found = run(folder)[0]
    assert calls == again
    assert same(found, run(folder, cache=None)[0])


def test_another_look_batch_or_version_computes_anew(folder, calls, monkeypatch):
    run(folder)
    for changes in ({"look": LookSpec((0.4,), (0.5,))}, {"batch": 61}):
        calls.clear()
        run(folder, **changes)
        assert calls == ["dense", "pruned"], changes
    calls.clear()
    monkeypatch.setattr(cache, "version_of", lambda _: "another")
    run(folder)
    assert calls == ["dense", "pruned"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "swapped", "head", "folder"])
def test_damaged_logits_are_told_and_made_again(folder, calls, damage):
    first = run(folder)[0]
    one, two = sorted((folder / "cache").glob("*.logits"))
    content = one.read_bytes()
    if damage == "folder":
        one.unlink()
        one.mkdir()
    else:
        flipped = content[:-1] + bytes([content[-1] ^ 1])
        damaged = {
            "cut": content[:-4],
            "flipped": flipped,
            "empty": b"",
            "swapped": two.read_bytes(),
            "head": b"[]\n" + content,
        }
        one.write_bytes(damaged[damage])
    calls.clear()
    second = run(folder)[0]
    assert len(calls) == 1
    assert any("are damaged: they are made again" in note for note in second.notes)
    assert np.array_equal(first.dense, second.dense)
    assert np.array_equal(first.compressed["pruned"], second.compressed["pruned"])
    if damage != "folder":
        assert same(first, run(folder)[0]), "it was not repaired"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"key": 1, "sum": 2, "about": {}}'])
def test_damaged_facts_are_told_and_made_again(folder, content):
    first = run(folder)
    (path,) = (folder / "cache").glob("*.json")
    path.write_bytes(content)
    second = run(folder)
    assert any("is damaged: it is made again" in note for note in second[0].notes)
    assert second[1] == first[1]
    assert same(first[0], run(folder)[0])


def test_a_folder_that_cannot_be_written_only_costs_time(folder):
    (folder / "cache").write_text("a file")
    found = run(folder)[0]
    assert any("cannot be kept" in note for note in found.notes)


def test_a_write_that_fails_leaves_nothing(folder, monkeypatch):
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    found = run(folder)[0]
    assert any("No space left" in note for note in found.notes)
    assert list((folder / "cache").iterdir()) == []


def test_what_was_written_is_read(tmp_path):
    notes: list[str] = []
    kept = Cache(tmp_path / "new" / "folder", notes.append)
    logits = np.random.default_rng(0).normal(size=(7, 3)).astype("float32")
    assert kept.logits("key") is None
    kept.keep("key", logits)
    assert np.array_equal(kept.logits("key"), logits)
    assert kept.logits("other") is None
    assert notes == []


def test_a_network_whose_answers_cannot_be_named_is_not_kept(folder, calls):
    code = "import torch\nfrom network import network\nmade = network()\ndef make():\n    return lambda x: made(x)\n"
    (folder / "own.py").write_text(code)
    models = model_spec(
        str(folder / "dense.safetensors"), [f"{folder}/own.py:make"], model=f"{folder}/network.py:network"
    )
    first = run(folder, models=models)[0]
    run(folder, models=models)
    assert calls.count("make") == 2
    assert any("are not kept" in note for note in first.notes)


def test_every_part_of_a_look_and_of_a_run_is_in_the_key():
    """A field that is added and forgotten would give wrong answers."""
    from benchbias.auditing.models.looks import look_of

    look, _ = look_of(replace(LOOK, size=8), None)
    keys = {cache.key_of(vars(look))}
    for name, value in {
        "mean": (0.1,),
        "std": (0.1,),
        "resize": 9,
        "size": (7, 7),
        "interpolation": "box",
        "channel_order": "bgr",
        "upright": True,
    }.items():
        keys.add(cache.key_of(vars(replace(look, **{name: value}))))
    assert len(keys) == 1 + len(vars(look))
