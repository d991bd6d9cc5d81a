"""The images of a task, built if need be: a sheet of training samples, and the test split for figures."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from benchbias.errors import DataError, UsageError, unknown
from benchbias.figures import Pictures
from benchbias.figures.sample_sheet import BY, Samples, draw_sheet
from benchbias.plan.trials import Selection
from benchbias.report.gathering.task_data import task_product
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Product, Store
from benchbias.util import canonical


def write_sheet(
    workspace: Workspace, task: str, path: Path, out: Path, by: str = "group", width: int | None = None
) -> list[str]:
    """Build the task's data (seed 0) if need be, draw training images by group; a line for each row is returned.

    by, width: see `draw_sheet`. Raises BenchbiasError.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"--image {path}: the file's name must end in .png")
    if by not in BY:
        raise UsageError(unknown("kind of row", by, BY, "--by"))
    suites = [name for name, suite in workspace.catalogue.suites.items() if task in suite.tasks]
    if not suites:
        raise UsageError(f"--image: no suite has the task {task!r}")
    store = Store(out).create()
    samples = _samples(store, task_product(workspace, suites[0], _first(task), store, "--image"))
    return draw_sheet(samples, path, by, width)


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


def _samples(store: Store, product: Product) -> Samples:
    import numpy as np

    train = store.load_blob(product.blobs["train"])
    attributes, names = product.body["num_attributes"], tuple(product.body["group_names"])
    aligned = np.zeros(len(names), dtype=bool)
    groups = {}
    for split in ("train", "val", "test"):  # a group without a training image may have one elsewhere
        labels = store.load_blob(product.blobs[f"{split}-groups"])
        groups[split] = (labels["labels"] * attributes + labels["attributes"]).numpy()
        aligned[groups[split][labels["aligned"].bool().numpy()]] = True
    return Samples(train["images"].numpy(), groups["train"], aligned, names, attributes)
