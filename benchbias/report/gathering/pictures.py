"""The images of a task: a sheet of samples, one row a group, and the test split for figures."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchbias.errors import DataError, UsageError
from benchbias.figures import Pictures
from benchbias.plan.trials import Selection
from benchbias.report.gathering.task_data import task_product
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Product, Store
from benchbias.util import canonical
from benchbias.util.files import storage_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS = 12
PIXELS = 48  # of one image on the sheet, at least
MARGIN = 4


def write_sheet(workspace: Workspace, task: str, path: Path, out: Path) -> list[str]:
    """Build the task's data (seed 0) if need be, draw training images by group; a line for each row is returned."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"--image {path}: the file's name must end in .png")
    suites = [name for name, suite in workspace.catalogue.suites.items() if task in suite.tasks]
    if not suites:
        raise UsageError(f"--image: no suite has the task {task!r}")
    store = Store(out).create()
    return _draw(store, task_product(workspace, suites[0], _first(task), store, "--image"), path)


def pictures_of(workspace: Workspace, suite: str, task: str, out: Path, layouts: Collection[str]) -> Pictures:
    """Build the task's data (seed 0) if need be: its test split.

    layouts: the digests of the test cells of the suite's records. Raises BenchbiasError where the data cannot be had,
    and where their test cells are none of these.
    """
    where = f"the images of {task!r} cannot be had"
    store = Store(out).create()
    try:
        product = task_product(workspace, suite, _first(task), store, where)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    if canonical.digest(product.body["layout"]) not in layouts:
        raise UsageError(f"{where}: the data set's test split is no longer that of the records: run the suite again")
    test = store.load_blob(product.blobs["test"])
    return Pictures(test["images"].numpy(), test["labels"].numpy())


def _first(task: str) -> Selection:
    return Selection(tasks=[task], seeds=[0])


def _draw(store: Store, product: Product, path: Path) -> list[str]:
    train = store.load_blob(product.blobs["train"])
    labels = store.load_blob(product.blobs["train-groups"])
    groups = labels["labels"] * product.body["num_attributes"] + labels["attributes"]
    return draw_sheet(
        train["images"].numpy(), groups.numpy(), labels["aligned"].numpy(), product.body["group_names"], path
    )


def draw_sheet(
    images: NDArray[Any], groups: NDArray[Any], aligned: NDArray[Any], names: Sequence[str], path: Path
) -> list[str]:
    """Draw the first images (N, C, H, W) of every group into a PNG; a line for each row is returned.

    groups (N,): indices into names. aligned (N,): whether an image is bias-aligned.
    """
    import numpy as np
    from PIL import Image

    scale = max(1, PIXELS // images.shape[2])
    height, width = images.shape[2] * scale + MARGIN, images.shape[3] * scale + MARGIN
    sheet = np.full((height * len(names) + MARGIN, width * COLUMNS + MARGIN, 3), 255, dtype=np.uint8)
    lines = []
    for row, name in enumerate(names):
        members = np.flatnonzero(groups == row)
        kind = "aligned" if len(members) and aligned[members[0]] else "conflicting"
        lines.append(f"row {row + 1}: group {name}, {len(members)} of {len(groups)} training images, {kind}")
        for column, index in enumerate(members[:COLUMNS]):
            tile = np.kron(images[index], np.ones((1, scale, scale), dtype=np.uint8)).transpose(1, 2, 0)
            tile = np.repeat(tile, 3, axis=2) if tile.shape[2] == 1 else tile[:, :, :3]
            top, left = row * height + MARGIN, column * width + MARGIN
            sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    with storage_errors(f"--image: cannot write {path}"):
        Image.fromarray(sheet).save(path)
    return lines
