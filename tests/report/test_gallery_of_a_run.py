"""The gallery of a real run: PIEs of stored predictions, the images of the data set, and what is told without them."""

from __future__ import annotations

import base64
import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchbias import Results, run
from benchbias.plan.trials import Selection
from benchbias.report.gathering.source import Source
from benchbias.report.images.gallery import gather_gallery
from benchbias.runner.publishing import records_of
from benchbias.runner.workspace import Workspace

pytestmark = pytest.mark.slow

TOML = """schema = 1
[suites.one-test-set]
title = "All seeds answer the same images"
version = "1"
tasks = ["ten"]
methods = ["erm-ft", "magnitude"]
seeds = 3
metrics = ["accuracy", "worst_group_accuracy"]
rank_by = "accuracy"
override.erm-ft = { parameters = { finetune_epochs = 1 } }
override.magnitude = { parameters = { finetune_epochs = 1 }, sweep = { sparsity = [0.9] } }
[tasks.ten]
dataset = { use = "colored_ten_digits", conflict_ratio = 0.1, draws = 1, seed = 0 }
model = { use = "lenet_small", width = 0.5 }
recipe = { epochs = 4, batch_size = 64, optimizer = "adamw", lr = 3e-3, schedule = "onecycle" }
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gallery") / "own.toml"
    path.write_text(TOML)
    return path


@pytest.fixture(scope="module")
def results(config: Path) -> Results:
    return run("one-test-set", config=config, out=config.parent / "out", jobs=1)


@pytest.fixture(scope="module")
def source(config: Path, results: Results) -> Source:
    workspace = Workspace.open(config, quiet=True)
    plan = workspace.plan("one-test-set", Selection())
    out = results.store.root
    return Source("one-test-set", *records_of(plan, out), (), out, False, out, workspace, plan)


def test_pies_are_those_of_an_independent_count_of_the_stored_predictions(source: Source, results: Results):
    (task,) = gather_gallery(source)["tasks"]
    (gallery,) = task["galleries"]
    assert (gallery["by"], gallery["models"], task["said"]) == ("predictions", [3, 3], None)
    sides = [[results.predictions(row, seed=seed) for seed in range(3)] for row in ("erm-ft", "magnitude")]
    votes = [[one.predicted.tolist() for one in side] for side in sides]
    labels, groups = sides[0][0].labels.tolist(), sides[0][0].groups.tolist()
    modes = [[Counter(answers).most_common() for answers in zip(*side, strict=True)] for side in votes]
    decided = [all(len(one) == 1 or one[0][1] > one[1][1] for one in pair) for pair in zip(*modes, strict=True)]
    differ = {at for at, (dense, pruned) in enumerate(zip(*modes, strict=True)) if dense[0][0] != pruned[0][0]}
    surely = {at for at in differ if decided[at]}
    tied = decided.count(False)
    assert len(surely) <= gallery["total"] <= len(surely) + tied
    for item in gallery["items"]:
        at = item["image"]
        assert (item["label"], item["group"]) == (labels[at], groups[at])
        assert item["right"] == [sum(one[at] == labels[at] for one in side) for side in votes]
        if decided[at]:
            assert at in surely
            assert [item["dense"], item["pruned"]] == [mode[at][0][0] for mode in modes]


def test_pictures_are_the_bytes_of_the_stored_test_split(source: Source, results: Results):
    gallery = gather_gallery(source)
    key, stage = next((k, s) for k, s in results.plan.stages.items() if s.kind == "data")
    assert stage.kind == "data"
    product = results.store.get(key)
    assert product is not None
    images = results.store.load_blob(product.blobs["test"])["images"].numpy()
    for item in gallery["tasks"][0]["galleries"][0]["items"]:
        content = base64.b64decode(gallery["pictures"][item["picture"]])
        assert (np.asarray(Image.open(io.BytesIO(content))) == images[item["image"]].transpose(1, 2, 0)).all()
    facts = gallery["tasks"][0]["facts"]
    assert facts["splits"]["test"] == len(images)


def test_records_alone_give_a_sentence_and_no_picture(source: Source):
    gallery = gather_gallery(replace(source, workspace=None, plan=None, published=True))
    (task,) = gallery["tasks"]
    assert task["galleries"] == task["sheet"] == []
    assert "benchmarks.toml" in task["said"]
    assert gallery["pictures"] == {}


def test_published_records_with_the_data_set_show_what_their_counts_tell(source: Source):
    """Every cell is one image here, so that counts say which images most dense models get right and most pruned not."""
    whole = gather_gallery(source)["tasks"][0]["galleries"][0]
    (task,) = gather_gallery(replace(source, plan=None, published=True))["tasks"]
    (gallery,) = task["galleries"]
    assert (gallery["by"], gallery["modal"], whole["modal"]) == ("counts", False, True)
    known = {item["image"]: item for item in whole["items"]}
    assert {item["image"] for item in gallery["items"]} & known.keys()
    for item in gallery["items"]:
        assert item["dense"] == item["label"]
        assert item["pruned"] is None
        if item["image"] in known:
            assert item["right"] == known[item["image"]]["right"]


def test_a_data_set_that_is_no_longer_that_of_the_records_names_no_image(source: Source, config: Path):
    """Another seed of the data: the labels that models were tested on are not those of the images."""
    other = config.with_name("other.toml")
    other.write_text(TOML.replace("seed = 0", "seed = 1"))
    moved = replace(source, workspace=Workspace.open(other, quiet=True), plan=None, published=True)
    (task,) = gather_gallery(moved)["tasks"]
    assert task["galleries"] == task["sheet"] == []
    assert "no longer that of the records" in task["said"]
    assert "benchbias run --suite one-test-set" in task["said"]
