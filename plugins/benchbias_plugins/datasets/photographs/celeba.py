"""CelebA (Liu et al., 2015): faces with forty attributes, of which one is the class and one is spurious."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch

from benchbias import BiasedDataset, DataError, HubImages, Range, Row, folder_images, hub_images, reads, table_rows

from .published import (
    Kind,
    Photos,
    check_counts,
    check_once,
    dataset,
    group_counts,
    hub_binary,
    meaning,
    named_counts,
    require,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

REPOSITORY = "flwrlabs/celeba"
IMAGES, LABELS, PARTITION = "img_align_celeba", "list_attr_celeba", "list_eval_partition"
BITS = {"-1": 0, "1": 1, "0": 0}  # absent is -1 in the files of its authors
TRUTH = {"False": 0, "True": 1, **BITS}
SPLITS = {"0": "train", "1": "val", "2": "test"}
HUB_SPLITS = {"train": ("train",), "val": ("valid", "validation"), "test": ("test",)}
"""Names of each split: a copy without the repository's README has another one for its files `valid-*`."""
TOTALS = {"train": 162_770, "val": 19_867, "test": 19_962}
BLOND_MALE = {  # by group, for the target Blond_Hair and the attribute Male
    "train": (71_629, 66_874, 22_880, 1_387),
    "val": (8_535, 8_276, 2_874, 182),
    "test": (9_767, 7_535, 2_480, 180),
}


@reads(folder="{folder}")
def celeba(
    root: Path,
    seed: int,
    *,
    folder: str = "celeba",
    target: str = "Blond_Hair",
    attribute: str = "Male",
    size: Annotated[int, Range(8, 512)] = 224,
    partial: bool = False,
) -> BiasedDataset:
    """Faces with or without a target attribute, blond hair, and a spurious one, male, from CelebA's own files.

    folder: below the data folder, with img_align_celeba, list_attr_celeba and list_eval_partition, as .txt (its
    authors, torchvision) or .csv (Kaggle, group DRO: "celebA/data", WILDS: "celebA_v1.0"). target, attribute: two of
    the forty. size: the middle square of 178 pixels is scaled to it, as in group DRO's code. The splits are those of
    the partition. partial: take other counts than the published ones.
    """
    kind = kind_of(target, attribute)
    where = str(root / folder)
    table = _table(root, folder, LABELS, ("image_id", target, attribute))
    check_once([row.values["image_id"] for row in table], [row.where for row in table])
    split_of = _partition(root, folder)
    numbered: dict[str, list[tuple[int, Row]]] = {name: [] for name in SPLITS.values()}
    for number, row in enumerate(sorted(table, key=lambda row: row.values["image_id"])):
        name = row.values["image_id"]
        if name not in split_of:
            raise DataError(f"{row.where}: {name!r:.80} stands in no row of {PARTITION}")
        numbered[split_of[name]].append((number, row))
    labels = {name: (_column(part, target), _column(part, attribute)) for name, part in numbered.items()}
    found = {name: group_counts(kind, name, 2 * label + value) for name, (label, value) in labels.items()}
    _check(kind, where, found, partial=partial)
    faces = _faces(root, folder)
    parts = {}
    for name, part in numbered.items():
        if part:
            files = [(row.where, f"{faces}/{row.values['image_id']}") for _, row in part]
            images = folder_images(root, folder, files, size=size, channels=3)
            parts[name] = Photos(images, *labels[name], torch.tensor([number for number, _ in part]))
    return _built(kind, parts, where)


@reads(hub="{repository}")
def celeba_hub(
    root: Path,
    seed: int,
    *,
    repository: str = REPOSITORY,
    target: str = "Blond_Hair",
    attribute: str = "Male",
    size: Annotated[int, Range(8, 512)] = 224,
    partial: bool = False,
) -> BiasedDataset:
    """Faces with or without a target attribute, blond hair, and a spurious one, male, from a copy on the hub.

    repository: owner/name, with the splits train, valid (or validation) and test, a column image and one for every
    attribute; target, attribute, size, partial: as for `celeba`.
    """
    kind = kind_of(target, attribute)
    parts: dict[str, Photos] = {}
    start = 0
    for name, names in HUB_SPLITS.items():
        own, got = _of_hub(root, repository, names, (target, attribute), size)
        label, value = (
            hub_binary(got.columns[column], got.names.get(column), TRUTH, column, f"{repository}, split {own}")
            for column in (target, attribute)
        )
        parts[name] = Photos(got.images, label, value, torch.arange(start, start + len(label)))
        start += len(label)
    found = {name: group_counts(kind, name, part.groups) for name, part in parts.items()}
    _check(kind, repository, found, partial=partial)
    return _built(kind, parts, repository)


def _of_hub(
    root: Path, repository: str, names: Sequence[str], columns: tuple[str, str], size: int
) -> tuple[str, HubImages]:
    """A split by the first of its names that can be read. Raises the first name's DataError where none can."""
    faults: list[DataError] = []
    for name in names:
        try:
            return name, hub_images(root, repository, name, columns=columns, size=size, channels=3)
        except DataError as error:
            faults.append(error)
    raise faults[0]


def kind_of(target: str, attribute: str) -> Kind:
    """The set with these two of CelebA's attributes. Raises DataError where they are one."""
    if target == attribute:
        raise DataError(f"celeba: target and attribute are both {target!r:.80}: a class cannot be spurious to itself")
    known = {"Blond_Hair": ("not-blond", "blond"), "Male": ("female", "male")}
    classes, values = (known.get(name, (f"not-{name}", name)) for name in (target, attribute))
    return Kind(
        "celeba",
        classes,
        values,
        "CelebA (Liu et al., 2015), aligned and cropped",
        "for non-commercial research only (the agreement of its authors)",
    )


def opposed(groups: Tensor) -> bool:
    """Whether, in training groups (N,), the class with the target is rarer where the attribute is than where not.

    Then the attribute is aligned with the class without the target: blond men conflict. Raises DataError where it is
    as frequent, so that nothing is aligned.
    """
    neither, value, label, both = torch.bincount(groups, minlength=4).tolist()  # neither, attribute, target, both
    with_it, without = both * (neither + label), label * (value + both)  # over one denominator
    if with_it == without:
        raise DataError("celeba: the target is as frequent with the attribute as without it: nothing is aligned")
    return bool(with_it < without)


def _table(root: Path, folder: str, name: str, columns: Sequence[str]) -> list[Row]:
    """The rows of a table of CelebA, as .txt or as .csv, whichever is there. Raises DataError."""
    home = root / folder
    if (home / f"{name}.txt").is_file():
        return list(_text_rows(home / f"{name}.txt", columns))
    if home.is_dir() and not (home / f"{name}.csv").is_file():
        raise DataError(f"{home}: neither {name}.txt nor {name}.csv is there")
    return table_rows(root, folder, f"{name}.csv", columns)


def _text_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a table with blanks between its cells; one of attributes has the count and the names above them."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    header, first = ["image_id", "partition"], 0
    if path.stem == LABELS:
        header, first = ["image_id", *(lines[1].split() if len(lines) > 1 else ())], 2
    for column in columns:
        if column not in header:
            raise DataError(f"{path}: unknown column {column!r:.80} (known: {', '.join(header[1:])})")
    places = [header.index(column) for column in columns]
    for number, line in enumerate(lines[first:], first + 1):
        cells = line.split()
        if not cells:
            continue
        where = f"{path}, row {number}"
        if len(cells) != len(header):
            raise DataError(f"{where}: {len(cells)} cells, but there are {len(header)} columns")
        yield Row(where, {column: cells[place] for column, place in zip(columns, places, strict=True)})


def _partition(root: Path, folder: str) -> dict[str, str]:
    """The split of every image: its file's name -> train, val or test."""
    rows = _table(root, folder, PARTITION, ("image_id", "partition"))
    check_once([row.values["image_id"] for row in rows], [row.where for row in rows])
    return {row.values["image_id"]: meaning(row.values["partition"], SPLITS, "partition", row.where) for row in rows}


def _faces(root: Path, folder: str) -> str:
    """The folder of the images below that of the tables; Kaggle's archive has it twice. Raises DataError."""
    home = root / folder
    for name in (f"{IMAGES}/{IMAGES}", IMAGES):
        if (home / name).is_dir():
            return name
    raise DataError(f"{home}: the folder {IMAGES} is not there")


def _column(rows: Sequence[tuple[int, Row]], column: str) -> Tensor:
    return torch.tensor([meaning(row.values[column], BITS, column, row.where) for _, row in rows], dtype=torch.int64)


def _check(kind: Kind, where: str, found: Mapping[str, Mapping[str, int]], *, partial: bool) -> None:
    """found: split -> name of a group -> count. The groups of other attributes are not known, the splits are."""
    for split, counts in BLOND_MALE.items():
        if kind == kind_of("Blond_Hair", "Male"):
            check_counts(where, found[split], named_counts(kind, split, counts), partial=partial)
        total = {split: sum(found[split].values())}
        check_counts(where, total, {split: TOTALS[split]}, partial=partial)


def _built(kind: Kind, parts: Mapping[str, Photos], where: str) -> BiasedDataset:
    require(kind, parts, tuple(SPLITS.values()), where)
    return dataset(kind, parts, opposed=opposed(parts["train"].groups))
