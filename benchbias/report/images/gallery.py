"""The gallery: PIEs with their images, and sample sheets of every group; each image stands in the page once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchbias.errors import BenchbiasError, UsageError
from benchbias.report.gathering.source import Source
from benchbias.report.images.album import Album
from benchbias.report.images.counted_pies import counted_pies
from benchbias.report.images.found_pies import LEAST_MODELS, found_pies, pairs_of
from benchbias.report.images.pies import Pie, Pies
from benchbias.report.images.sheets import sheet_of
from benchbias.runner.publishing import command_for

if TYPE_CHECKING:
    from benchbias.board.row_trials import Trials
    from benchbias.report.gathering.task_data import TaskData

MOST_IMAGES = 120  # of a suite's galleries


def gather_gallery(source: Source) -> dict[str, Any]:
    """Galleries and sample sheets by task, the pictures by name, and a sentence for a task without images."""
    album, left = Album(), MOST_IMAGES
    tasks = []
    for task in dict.fromkeys(row.first["task"] for row in source.rows):
        made = _task(source, task, album, left)
        left -= len({item["image"] for gallery in made["galleries"] for item in gallery["items"]})
        tasks.append(made)
    return {"tasks": tasks, "pictures": album.pictures, "leftOut": album.left_out}


def _task(source: Source, task: str, album: Album, most: int) -> dict[str, Any]:
    data, said, found = None, None, list[Pies]()
    try:
        data = _data(source, task)
    except BenchbiasError as error:
        said = f"There are no images: {error}."
    try:
        found = found_pies(source, task, data)
    except UsageError as error:
        said = f"There are no PIEs: {error}."
    if not found and said is None:
        said = _why_none(source, task)
    chosen, counted = first_of_each(found, most), counted_pies(source, task)
    return {
        "task": task,
        "galleries": [
            _gallery(one, items, data, album) | {"counted": counted.get((one.row, one.control))}
            for one, items in zip(found, chosen, strict=True)
            if items
        ],
        "said": said,
        "sheet": [] if data is None else sheet_of(data, album),
        "groups": [] if data is None else list(data.body["group_names"]),
        "facts": None if data is None else _facts(data),
    }


def _data(source: Source, task: str) -> TaskData:
    """The data of a task. Raises BenchbiasError where it cannot be had, and where it is not that of the records."""
    data = source.data(task)
    if source.layouts and data.layout not in source.layouts:
        raise UsageError(
            f"the test split of {task!r} is no longer that of the records: `{command_for(source.suite)}` makes new ones"
        )
    return data


def _why_none(source: Source, task: str) -> str:
    """One sentence on a task of which no PIE is known, with the command that makes them where one does."""
    pairs = pairs_of(source.rows, task)
    if not pairs:
        return "No row of this task has a control, so there is nothing to compare image by image."
    if all(min(len(row.records), len(control.records)) < LEAST_MODELS for row, control in pairs):
        return "A row of this task, or its control, has one model alone, so there is no modal label to compare."
    if not any(_shared_tests(row) and _shared_tests(control) for row, control in pairs):
        return "Each seed of this task tests images of its own, so no two models of a row can disagree about one image."
    command = f"`{command_for(source.suite)}`, then `benchbias report {source.suite}`"
    if source.published:
        return f"These records do not say which label each model gave to an image: {command} shows the PIEs."
    return f"No image is known on which the modal labels differ: {command} shows them once all models are there."


def _shared_tests(row: Trials) -> bool:
    """Whether two seeds of a row answer the same test images, as far as records say."""
    layouts = [cells.layout for cells in row.cells.values() if cells is not None]
    return len(row.records) > 1 and (len(layouts) < len(row.records) or len(set(layouts)) < len(layouts))


def _facts(data: TaskData) -> dict[str, Any]:
    """Words of the data set about itself."""
    body = data.body
    return {
        "seed": data.seed,
        "source": body["source"],
        "licence": body["licence"],
        "notes": list(body.get("notes", ())),
        "shape": list(body["input_shape"]),
        "splits": {name: sum(counts) for name, counts in body["counts"].items()},
    }


def first_of_each(found: Sequence[Pies], most: int) -> list[list[Pie]]:
    """The PIEs that are shown of each row: in turn its next one, while all together have at most so many images."""
    images, chosen = set[int](), [list[Pie]() for _ in found]
    for place in range(max((len(one.found) for one in found), default=0)):
        for pies, own in zip(found, chosen, strict=True):
            if place < len(pies.found):
                pie = pies.found[place]
                if pie.image in images or len(images) < most:
                    images.add(pie.image)
                    own.append(pie)
    return chosen


def _gallery(pies: Pies, items: Sequence[Pie], data: TaskData | None, album: Album) -> dict[str, Any]:
    return {
        "row": pies.row,
        "control": pies.control,
        "models": list(pies.models),
        "total": len(pies.found),
        "by": pies.by,
        "modal": pies.modal,
        "items": [_item(pie, data, album) for pie in items],
    }


def _item(pie: Pie, data: TaskData | None, album: Album) -> dict[str, Any]:
    test = None if data is None else data.splits["test"]
    return {
        "image": pie.image,
        "picture": None if test is None else album.add(test.images[pie.image]),
        "label": pie.label if test is None else int(test.labels[pie.image]),
        "group": None if test is None else int(test.groups[pie.image]),
        "dense": pie.dense,
        "pruned": pie.pruned,
        "right": list(pie.right),
        "exact": list(pie.exact),
        "margin": round(pie.margin, 4),
    }
