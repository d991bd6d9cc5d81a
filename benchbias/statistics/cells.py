"""Counts of a record: how many examples of each test cell (example cluster, group) a trial got right. No torch."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchbias.errors import StorageError, UsageError
from benchbias.util import canonical
from benchbias.util.canonical import DIGEST_LENGTH
from benchbias.util.files import listed, read_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS = ("cluster", "group", "total")
PACKED = ("cells", "bits", "counts", "layout")
MAX_LAYOUT_BYTES = 32 << 20
MOST_CELLS = 1 << 20  # of a test split, some ten times the largest that is in use
MOST_CELLS_OF_A_FOLDER = 1 << 22  # of all its test splits
MOST_COUNTS = 1 << 26  # cells of all records of a suite together
LARGEST = 2**31 - 1  # of a cluster, a group or a total


@dataclass(frozen=True, eq=False)
class CellLayout:
    """The cells of a test split: int64 (M,) each, in the order of cluster, then group; no cell stands twice.

    cluster: the source example whose copies are tested; total: how many examples the cell holds, at least 1.
    """

    cluster: NDArray[Any]
    group: NDArray[Any]
    total: NDArray[Any]
    digest: str


@dataclass(frozen=True, eq=False)
class Cells:
    """A trial's correct predictions, counted in the cells of its test split.

    cluster, group, total: int64 (M,), as in CellLayout. correct: (M,), or (..., M) for many trials on one split.
    layout: the digest of the layout; equal for trials that can be paired example by example.
    """

    cluster: NDArray[Any]
    group: NDArray[Any]
    total: NDArray[Any]
    correct: NDArray[Any]
    layout: str


def stacked(cells: Sequence[Cells]) -> Cells:
    """Trials on one test split as one value: `correct` is (S, M)."""
    import numpy as np

    return replace(cells[0], correct=np.stack([one.correct for one in cells]))


def read_layout(document: object) -> CellLayout:
    """The layout that `network.cost.ExampleCells.to_json` has written. Raises UsageError."""
    import numpy as np

    columns = _table(document, COLUMNS, "a layout of test cells")
    most = max(len(values) if isinstance(values, list) else 0 for values in columns.values())
    if most > MOST_CELLS:
        raise UsageError(f"a layout of test cells: {most:,} cells; the limit is {MOST_CELLS:,}")
    for name, values in columns.items():
        if not isinstance(values, list) or not all(type(value) is int and 0 <= value <= LARGEST for value in values):
            raise UsageError(f"a layout of test cells: {name} must be a list of whole numbers from 0 to {LARGEST}")
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1 or 0 in lengths:
        raise UsageError(f"a layout of test cells: columns of one length, at least 1, not of {sorted(lengths)}")
    if 0 in columns["total"]:
        raise UsageError("a layout of test cells: a cell without an example")
    cluster, group, total = (np.array(columns[name], dtype=np.int64) for name in COLUMNS)
    steps = (np.diff(cluster), np.diff(group))
    if not ((steps[0] > 0) | ((steps[0] == 0) & (steps[1] > 0))).all():
        raise UsageError("a layout of test cells: cells must be in the order of cluster, then group, each once")
    return CellLayout(cluster, group, total, canonical.digest(columns))


def unpack_counts(packed: object, layout: CellLayout) -> Cells:
    """A record's `correct`, as `network.cost.pack_counts` has packed it. Raises UsageError where it does not fit."""
    (correct,) = _unpacked([_content(packed, layout)], len(layout.total), _bits(layout))
    if (correct > layout.total).any():
        raise UsageError("packed counts: more correct predictions than examples in a cell")
    return Cells(layout.cluster, layout.group, layout.total, correct, layout.digest)


def unpack_all(packed: Sequence[object], layout: CellLayout) -> Cells:
    """The counts of many records of one test split: `correct` is (S, M). Raises UsageError where one does not fit."""
    correct = _unpacked([_content(one, layout) for one in packed], len(layout.total), _bits(layout))
    if (correct > layout.total).any():
        raise UsageError("packed counts: more correct predictions than examples in a cell")
    return Cells(layout.cluster, layout.group, layout.total, correct, layout.digest)


def _bits(layout: CellLayout) -> int:
    """The number of bits of one packed count."""
    return max(int(layout.total.max()).bit_length(), 1)


def _content(packed: object, layout: CellLayout) -> bytes:
    """The bytes of one record's packed counts, as many as its test split takes."""
    fields, cells, bits = _table(packed, PACKED, "packed counts"), len(layout.total), _bits(layout)
    if fields["layout"] != layout.digest:
        raise UsageError(f"packed counts: of another test split than {layout.digest[: DIGEST_LENGTH // 8]}")
    for name, expected in (("cells", cells), ("bits", bits)):
        if type(fields[name]) is not int or fields[name] != expected:
            raise UsageError(f"packed counts: {name} must be {expected}, not {fields[name]!r}")
    text = fields["counts"]
    try:
        content = base64.b64decode(text if isinstance(text, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        raise UsageError("packed counts: counts is not base64") from None
    if len(content) != -(-cells * bits // 8):
        raise UsageError(f"packed counts: {len(content)} bytes for {cells} cells of {bits} bits")
    return content


def _unpacked(contents: Sequence[bytes], cells: int, bits: int) -> NDArray[Any]:
    """int32 (S, cells): `bits` bits a cell, the lowest first, padded with zeros to whole bytes."""
    import numpy as np

    planes = np.unpackbits(np.frombuffer(b"".join(contents), dtype=np.uint8).reshape(len(contents), -1), axis=1)
    if planes[:, cells * bits :].any():
        raise UsageError("packed counts: the bits after the last cell are not zero")
    found = np.zeros((len(contents), cells), dtype=np.int32)  # LARGEST fits
    for bit in range(bits):  # all at once would take 4 bytes a bit
        found += planes[:, bit : cells * bits : bits].astype(np.int32) << bit
    return found


def _table(document: object, keys: tuple[str, ...], what: str) -> dict[str, Any]:
    if not isinstance(document, Mapping) or set(document) != set(keys):
        raise UsageError(f"{what}: a table of {', '.join(keys)} is expected")
    return {key: document[key] for key in keys}


def read_layouts(folder: Path) -> dict[str, CellLayout]:
    """The layouts of test splits beside a folder's records, `test/*.json`, by digest.

    Raises UsageError, and StorageError where the disk refuses.
    """
    found: dict[str, CellLayout] = {}
    for path in listed(folder / "test", ".json"):
        try:
            layout = read_layout(canonical.loads(read_regular(path, MAX_LAYOUT_BYTES)))
        except OSError as error:
            raise StorageError(f"{path}: cannot be read: {error.strerror}") from None
        except (UsageError, StorageError) as error:
            raise UsageError(f"{path}: {error}") from None
        if layout.digest != path.stem:
            raise UsageError(f"{path}: its content is that of {layout.digest[:12]}, not of its name")
        found[layout.digest] = layout
        number = sum(len(one.total) for one in found.values())
        if number > MOST_CELLS_OF_A_FOLDER:
            raise UsageError(
                f"{path.parent}: {number:,} cells of test splits or more; the limit is {MOST_CELLS_OF_A_FOLDER:,}"
            )
    return found


def check_counts(numbers: Iterable[int], where: str) -> None:
    """Refuse records that are small on disk and would be large in memory, by their cells. Raises UsageError."""
    total = sum(numbers)
    if total > MOST_COUNTS:
        raise UsageError(f"{where}: counts of {total:,} cells together; the limit is {MOST_COUNTS:,}")
