"""Canary components search everything that their worker holds: no test split, no groups that they did not declare.

`test_permutation.py` shows that no published method reads them; this, that they are not there to be read. A plugin
runs with the user's rights and can open any file, the results folder too: what it is handed is what is shown.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchbias.store.store import Store
from support import spy
from support.running import benchbias
from support.spy import columns, digest, secret

TOML = """
schema = 1
[suites.spied]
title = "Canaries"
version = "1"
tasks = ["secret"]
methods = ["declared", "pruned", "inside"]
seeds = 1
metrics = ["accuracy"]
probes = ["spy_probe"]
rank_by = "accuracy"
[tasks.secret]
dataset = { use = "secret" }
model = { use = "spied_net" }
recipe = { epochs = 2, batch_size = 64, select = "val_worst_class" }
[methods.declared]
stages = [{ train = "spy_with_groups" }]
[methods.pruned]
stages = [{ train = "erm" }, { prune = "spy_pruner", sparsity = 0.5 }, { train = "spy" }]
[methods.inside]
stages = [{ train = "spy", prune = { use = "spy_pruner", sparsity = 0.5, every = 1000 } }]
"""
GIVEN = {"train images", "train labels", "val images", "val labels"}
DECLARED = {"train attributes", "train groups", "train aligned"}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, plugin_cache: Path) -> dict[str, list[tuple[str, set[str]]]]:
    """By the label of the stage: where each canary searched, and what it found. In real workers."""
    folder = tmp_path_factory.mktemp("spied")
    known = {digest(tensor.numpy().tobytes()): name for name, tensor in columns(secret(folder, 0)).items()}
    assert len(known) == 6 * len(spy.SIZES)
    source = Path(spy.__file__).read_text()
    assert source.count("FORBIDDEN = {}") == 1
    (folder / "canaries.py").write_text(source.replace("FORBIDDEN = {}", f"FORBIDDEN = {known!r}"))
    (folder / "own.toml").write_text(TOML)
    options = ["--config", "own.toml", "--plugin", "canaries.py", "-o", "results", "-j", "1", "-q"]
    done = benchbias("run", "-s", "spied", *options, cwd=folder)  # its own: fewer objects to search
    assert done.returncode == 0, done.stderr
    found: dict[str, list[tuple[str, set[str]]]] = {}
    for path in sorted((folder / "results" / "attempts").glob("*.log")):
        for line in path.read_text().splitlines():
            if line.startswith("SPY "):
                where, names = json.loads(line.removeprefix("SPY "))
                found.setdefault(where, []).append((path.stem, set(names)))
    assert Store(folder / "results").keys()
    return found


PLACES = {"trainer, before": 2, "trainer, after an epoch": 2}


def test_the_canaries_searched_in_every_kind_of_stage(told):
    assert {where: len(found) for where, found in told.items() if where in PLACES} == PLACES
    assert len({key for key, _ in told["pruner"]}) == 2, "in a prune stage and in a train stage"
    assert len(told["trainer with groups"]) == 1


def test_the_canaries_find_what_is_there(told):
    """Training and validation are found wherever they are given; declared labels where they are declared."""
    assert all(found >= GIVEN for calls in told.values() for _, found in calls)
    assert all(found >= DECLARED for _, found in told["trainer with groups"])


def test_no_canary_finds_the_test_split_or_group_labels_that_it_did_not_declare(told):
    for where, calls in told.items():
        for _, found in calls if where != "probe" else ():
            assert found <= (GIVEN | DECLARED if where == "trainer with groups" else GIVEN), where


def test_a_probe_is_given_the_test_split_and_all_groups(told):
    """Else what the canaries do not find elsewhere would say little of suites with probes."""
    assert len(told["probe"]) == 3
    everything = {
        f"{split} {what}" for split in ("train", "val", "test") for what in ("images", "labels", "attributes")
    }
    assert all(found >= everything | {"test groups", "test aligned"} for _, found in told["probe"])


def test_what_splits_share_is_counted_by_the_data_stage():
    from benchbias.data.values import GroupLabels, LabelledSplit, Split
    from benchbias.stages.data import _shared

    def split(pixels: list[int], sources: list[int]) -> LabelledSplit:
        images = torch.tensor(pixels, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)
        labels = torch.zeros(len(pixels), dtype=torch.int64)
        groups = GroupLabels.of(labels, labels, labels == 0, 2, ("red", "green"))
        return LabelledSplit(Split(images, labels, 2, "split"), groups, torch.tensor(sources))

    splits = {"train": split([1, 2, 2, 3], [10, 11, 12, 13]), "val": split([4, 5], [13, 14])}
    splits |= {"test": split([2, 3, 6], [20, 20, 14]), "val_balanced": split([1], [10])}
    assert _shared(splits) == {
        "train, val": {"images": 0, "sources": 1},
        "train, test": {"images": 2, "sources": 0},
        "val, test": {"images": 0, "sources": 1},
    }


def test_the_shipped_data_share_nothing_between_splits():
    from benchbias.stages.data import _shared
    from benchbias_plugins.datasets.colored_digits import colored_digits

    for seed in range(5):
        found = _shared(colored_digits(Path(), seed, draws=1).splits)
        assert all(count == 0 for pair in found.values() for count in pair.values())
