"""Classes, attributes and alignment are decided on all of training: no seed changes them, or refuses a table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.data.reading.examples import carved, dataset_of
from benchbias.data.reading.grouping import Examples
from benchbias.errors import DataError


def made(pairs, first: int = 0, kinds: list[int] | None = None) -> Examples:
    """Examples of these (label, attribute) pairs, each its own image, or those of its kind."""
    numbers = torch.tensor(kinds if kinds is not None else range(len(pairs))) + first
    images = torch.stack([numbers % 256, numbers // 256], 1).to(torch.uint8).reshape(-1, 1, 1, 2)
    where = [f"t.csv, row {n + 2}" for n in range(len(pairs))]
    return Examples(images, where, [p[0] for p in pairs], [p[1] for p in pairs])


def everything(labels, attributes, first: int = 10_000) -> Examples:
    return made([(label, attribute) for label in sorted(labels) for attribute in sorted(attributes)], first)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.integers(0, 40)), min_size=2, max_size=60),
    st.floats(0.01, 0.9),
)
def test_no_seed_decides_whether_a_table_is_good_or_what_its_groups_are(tmp_path_factory, rows, fraction: float):
    root = tmp_path_factory.mktemp("rows")
    train = made([row[:2] for row in rows], kinds=[row[2] for row in rows])
    test = everything({row[0] for row in rows}, {row[1] for row in rows})
    seen = set()
    for seed in range(4):
        try:
            parts = carved(root, train, fraction, seed)
            data = dataset_of({**parts, "test": test}, (), "count", "made", "none")
        except DataError as error:
            seen.add(str(error))
            continue
        counts = {name: Counter(zip(part.labels, part.attributes, strict=True)) for name, part in parts.items()}
        assert counts["train"] + counts["val"] == Counter(zip(train.labels, train.attributes, strict=True))
        assert set(counts["train"]) >= set(counts["val"]), "one of each group stays in training"
        images = [{bytes(image.numpy().tobytes()) for image in part.images} for part in parts.values()]
        assert not images[0] & images[1], "copies stay together"
        item = data.splits["test"].groups
        kinds = (
            Counter(len(part.labels) for part in parts.values()) if len({row[2] for row in rows}) == len(rows) else ()
        )
        seen.add((item.group_names, tuple(item.aligned.tolist()), tuple(sorted(kinds))))
    assert len(seen) == 1


def test_a_nearly_balanced_attribute_is_aligned_alike_by_every_seed(tmp_path: Path):
    """22 red squares and 20 red discs: after a draw the discs may be more, and the alignment was another."""
    pairs = [("square", "red")] * 22 + [("disc", "red")] * 20 + [("disc", "green")] * 20 + [("square", "green")] * 18
    test = everything(("square", "disc"), ("red", "green"))
    for seed in range(12):
        data = dataset_of({**carved(tmp_path, made(pairs), 0.2, seed), "test": test}, (), "refuse", "made", "none")
        assert data.splits["test"].groups.aligned.tolist() == [True, False, False, True]


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.3, 0.9])
def test_a_class_of_one_image_stays_in_training(tmp_path: Path, fraction: float):
    pairs = [("square", "red"), ("disc", "green")] * 20 + [("ring", "red")]
    for seed in range(20):
        parts = carved(tmp_path, made(pairs), fraction, seed)
        assert "ring" in parts["train"].labels
        assert len(parts["val"].labels) == min(round(fraction * 41), 38)
        shares = Counter(parts["val"].labels)
        assert abs(shares["square"] - shares["disc"]) <= 1, "of every group alike"


def test_a_table_of_which_nothing_can_be_drawn_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"t\.csv, row 2: val_fraction = 0\.5 leaves no example"):
        carved(tmp_path, made([("a", "x"), ("b", "y")]), 0.5, 0)


def test_texts_of_a_plugin_are_normalised_too_and_near_ones_are_told():
    pairs = [("caf\u00e9", "x"), ("cafe\u0301 ", "x"), ("tea", "y"), ("tea", "y"), ("Tea", "y")]
    train, test = made(pairs), everything(("caf\u00e9", "tea", "Tea"), ("x", "y"))
    data = dataset_of({"train": train, "val": made(pairs, 100), "test": test}, (), "refuse", "made", "none")
    assert data.num_classes == 3
    assert data.splits["train"].split.labels.tolist() == [1, 1, 2, 2, 0], "one word, however it is spelt"
    assert data.notes == ("the labels 'Tea', 'tea' differ in writing alone: are they one? each counts as its own",)


def test_words_for_an_empty_cell_are_told():
    pairs = [("a", "nan"), ("b", "y")]
    parts = {"train": made(pairs), "val": made(pairs, 100), "test": everything("ab", ("nan", "y"))}
    data = dataset_of(parts, ("a:nan", "b:y"), "refuse", "made", "none")
    assert data.notes == ("the attribute 'nan' may stand for an empty cell: it counts as a group of its own",)


def test_a_name_that_mixes_scripts_is_told():
    mixed = "\u0430b"  # its first letter is Cyrillic
    parts = {"train": made([(mixed, "x"), ("c", "y")]), "val": made([(mixed, "x"), ("c", "y")], 100)}
    data = dataset_of(parts | {"test": everything((mixed, "c"), "xy")}, (), "refuse", "made", "none")
    assert data.notes == (f"the label {mixed!r} mixes letters of CYRILLIC and LATIN, which may look alike",)
