"""A sheet of sample images of a task, one row a group: what a biased data set looks like."""

from __future__ import annotations

from pathlib import Path

from benchbias.api import TIMEOUT_SECONDS, Silent, Workspace, write_payload
from benchbias.engine.local import LocalEngine
from benchbias.errors import UsageError
from benchbias.files import storage_errors
from benchbias.runner import execute
from benchbias.store import Product, Store
from benchbias.trials import Selection

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
    plan = workspace.ready(suites[0], Selection(tasks=[task], seeds=[0]), Silent().note)
    data = {key: stage for key, stage in plan.stages.items() if stage.kind == "data"}
    wanted = next(iter(data))  # the task's own data stage is planned before any method's
    small = type(plan)(plan.suite, plan.table, plan.methods, (), {wanted: data[wanted]}, None, "cpu", plan.plugins)
    store = Store(out).create()
    payload = write_payload(small, store, recompute=False)
    start = lambda: LocalEngine(out, payload, timeout=TIMEOUT_SECONDS, settings=workspace.worker_settings)  # noqa: E731
    report = execute(small, store, start, Silent(), jobs=1)
    product = store.get(wanted)
    if product is None:
        raise UsageError(f"--image: {report.failures[wanted].reason}")
    return _draw(store, product, path)


def _draw(store: Store, product: Product, path: Path) -> list[str]:
    import numpy as np
    from PIL import Image

    train = store.load_blob(product.blobs["train"])
    labels = store.load_blob(product.blobs["train-groups"])
    images = train["images"].numpy()  # (N, C, H, W)
    groups = (labels["labels"] * product.body["num_attributes"] + labels["attributes"]).numpy()
    names = product.body["group_names"]
    scale = max(1, PIXELS // images.shape[2])
    height, width = images.shape[2] * scale + MARGIN, images.shape[3] * scale + MARGIN
    sheet = np.full((height * len(names) + MARGIN, width * COLUMNS + MARGIN, 3), 255, dtype=np.uint8)
    lines = []
    for row, name in enumerate(names):
        members = np.flatnonzero(groups == row)
        aligned = bool(labels["aligned"][members[0]]) if len(members) else False
        kind = "aligned" if aligned else "conflicting"
        lines.append(f"row {row + 1}: group {name}, {len(members)} of {len(groups)} training images, {kind}")
        for column, index in enumerate(members[:COLUMNS]):
            tile = np.kron(images[index], np.ones((1, scale, scale), dtype=np.uint8)).transpose(1, 2, 0)
            tile = np.repeat(tile, 3, axis=2) if tile.shape[2] == 1 else tile[:, :, :3]
            top, left = row * height + MARGIN, column * width + MARGIN
            sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    with storage_errors(f"--image: cannot write {path}"):
        Image.fromarray(sheet).save(path)
    return lines
