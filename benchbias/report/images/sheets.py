"""Sample sheets: a few training and test images of every group, with the group's name as the label of its row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchbias.report.images.album import Album

if TYPE_CHECKING:
    from benchbias.report.gathering.task_data import TaskData

MOST_TILES = 160  # images of one split's sheet
FEWEST, MOST = 2, 8  # images of one group


def sheet_of(data: TaskData, album: Album) -> list[dict[str, Any]]:
    """The first images of every group of the training and of the test split, the group's number of examples beside."""
    return [_split(data, name, album) for name in ("train", "test") if name in data.splits]


def _split(data: TaskData, name: str, album: Album) -> dict[str, Any]:
    import numpy as np

    split, names = data.splits[name], data.body["group_names"]
    each = min(MOST, max(FEWEST, MOST_TILES // max(1, len(names))))
    rows = []
    for group, label in enumerate(names):
        members = np.flatnonzero(split.groups == group)
        aligned = bool(split.aligned[members[0]]) if len(members) else None
        found = [[int(at), album.add(split.images[at])] for at in members[:each]]
        tiles = [tile for tile in found if tile[1] is not None]
        rows.append({"group": label, "count": len(members), "aligned": aligned, "tiles": tiles})
    return {"split": name, "total": len(split.labels), "rows": rows}
