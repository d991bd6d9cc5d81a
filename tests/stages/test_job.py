"""What a stage reads of its parents: once a process, whole, and again where a file was written to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from benchbias.errors import DamagedError
from benchbias.stages.job import Job
from benchbias.store.store import Product, Store
from benchbias.util import canonical

INPUTS = {"kind": "data"}
KEY = canonical.digest(INPUTS)


class Counted(Store):
    """A store that counts what is read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.counts: Counter[str] = Counter()

    def get(self, key: str) -> Product | None:
        self.counts["products"] += 1
        return super().get(key)

    def blob_is_whole(self, sha256: str) -> bool:
        self.counts["sums"] += 1
        return super().blob_is_whole(sha256)


@pytest.fixture
def store(tmp_path: Path) -> Counted:
    store = Counted(tmp_path / "results")
    store.create()
    blobs = {"train": store.put_blob({"images": torch.arange(12.0), "labels": torch.zeros(3)})}
    store.put(KEY, INPUTS, {"num_classes": 3, "layout": {"cells": [1, 2]}}, blobs)
    store.counts.clear()
    return store


def job(store: Store, shared: dict[str, Any] | None = None) -> Job:
    inputs = {"kind": "train", "seed": 0, "parents": {"data": KEY, "test": KEY}}
    return Job(store, inputs, {}, {}, torch.device("cpu"), Path(), *([] if shared is None else [shared]))


def test_a_product_is_read_once_by_the_stages_of_a_process(store: Counted):
    shared: dict[str, Any] = {}
    for _ in range(3):
        one = job(store, shared)
        assert [one.product(role).body["num_classes"] for role in ("data", "test", "data")] == [3] * 3
    assert store.counts == {"products": 1}
    job(store).product("data")
    assert store.counts == {"products": 2}, "another process has read nothing"


def test_the_sum_of_a_file_is_checked_once_and_its_tensors_are_loaded_each_time(store: Counted):
    one = job(store, {})
    first = one.blob("data", "train")
    first["images"].zero_()
    assert one.blob("test", "train", ("images",))["images"].tolist() == list(range(12)), "it was handed on"
    assert store.counts == {"products": 1, "sums": 1}


def test_a_file_that_was_written_to_meanwhile_is_not_served(store: Counted):
    one = job(store, {})
    one.blob("data", "train")
    path = store.blob_path(one.product("data").blobs["train"])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedError):
        one.blob("data", "train")
    with pytest.raises(DamagedError):  # it is in quarantine
        one.blob("data", "train")
    assert not path.exists()


def test_the_groups_of_test_examples_are_not_held(store: Counted):
    shared: dict[str, Any] = {}
    assert job(store, shared).product("data").body == {"num_classes": 3}
    assert "layout" in Store(store.root).get(KEY).body, "they are in the product"


def test_a_product_that_is_gone_is_damaged(store: Counted):
    store.object_path(KEY).unlink()
    shared: dict[str, Any] = {}
    for _ in range(2):
        with pytest.raises(DamagedError, match="product of the data stage is gone"):
            job(store, shared).product("data")
    assert shared == {}
