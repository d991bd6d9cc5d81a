"""The images, labels and groups of a task, built from its data set if need be: nothing is trained."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchbias.errors import DataError, UsageError
from benchbias.plan.trials import Selection
from benchbias.runner.launch import RunOptions, launch
from benchbias.runner.reporter import Silent
from benchbias.store.store import Store
from benchbias.util import canonical

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchbias.runner.workspace import Workspace
    from benchbias.store.store import Product

SPLITS = ("train", "test", "train-all")


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """A split: images, uint8 (N, C, H, W); labels, groups and cluster, integers (N,); aligned, bool (N,)."""

    images: NDArray[Any]
    labels: NDArray[Any]
    groups: NDArray[Any]
    cluster: NDArray[Any]
    aligned: NDArray[Any]


@dataclass(frozen=True, eq=False)
class TaskData:
    """The data of a task at one seed. layout: the digest of its test cells. splits: by name, the test split among them.

    body: the product's own words: sources, licence, counts by split and group.
    """

    layout: str
    body: Mapping[str, Any]
    splits: Mapping[str, LabelledImages]
    seed: int = 0


def task_product(workspace: Workspace, suite: str, selection: Selection, store: Store, where: str) -> Product:
    """The data of the first trial of a selection: built in a worker unless it is there. Raises BenchbiasError."""
    plan = workspace.ready(suite, selection, Silent().note)
    data = {key: stage for key, stage in plan.stages.items() if stage.kind == "data"}
    if not data:
        reasons = (trial.blocked for trial in plan.trials if trial.blocked)
        raise UsageError(f"{where}: {next(reasons, 'no trial of the task can run here')}")
    wanted = next(iter(data))  # the task's own data stage is planned before any method's
    small = type(plan)(plan.suite, plan.table, plan.methods, (), {wanted: data[wanted]}, None, "cpu", plan.plugins)
    computed = launch(workspace, small, RunOptions(out=store.root, jobs=1), Silent())
    product = store.get(wanted)
    if product is None:
        raise UsageError(f"{where}: {computed.failures[wanted].reason}")
    return product


def task_data(
    workspace: Workspace, suite: str, task: str, out: Path, seed: int = 0, limit: int | None = None
) -> TaskData:
    """Read the data of a task at a seed, built from raw files that are here; nothing is fetched.

    out: the results folder; where there is none a temporary one is used. limit: of the examples of each split. Raises
    BenchbiasError where the data cannot be had.
    """
    where = f"the images of {task!r} cannot be had"
    selection = Selection(tasks=[task], seeds=[seed], limit=limit)
    missing = workspace.plan(suite, selection).missing
    if missing:
        names = ", ".join(name for _, name in missing)
        raise DataError(f"{where}: {names} is not in the data folder: `benchbias prepare -t {task}` fetches it")
    with contextlib.ExitStack() as stack:
        there = (out / "objects").is_dir()
        folder = out if there else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        store = Store(folder).create()
        product = task_product(workspace, suite, selection, store, where)
        splits = {name: _split(store, product, name) for name in SPLITS if name in product.blobs}
    return TaskData(canonical.digest(product.body["layout"]), product.body, splits, seed)


def _split(store: Store, product: Product, name: str) -> LabelledImages:
    images = store.load_blob(product.blobs[name])["images"].numpy()
    told = {key: value.numpy() for key, value in store.load_blob(product.blobs[f"{name}-groups"]).items()}
    groups = told["labels"] * product.body["num_attributes"] + told["attributes"]
    return LabelledImages(images, told["labels"], groups, told["cluster"], told["aligned"].astype(bool))
