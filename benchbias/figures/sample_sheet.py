"""A sheet of sample images with the names of its rows drawn on it: one row a group, or one row a class."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchbias.errors import plain
from benchbias.util.files import storage_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

COLUMNS = 12  # images of a row
PIXELS = 48  # of one image on a sheet without a width, at least
MARGIN = 4
LETTERS, LINE = 11, 14  # pixels, of the text and of one line of it
LONGEST = 220  # pixels of the names of rows: longer ones end in an ellipsis
PAPER, INK, PALE = (255, 255, 255), (20, 20, 20), (90, 90, 90)
CORNER, NOTHING = "class, images", "no training image"
UNKNOWN = "\U0010ffff"  # no font has it
BY = ("group", "class")
COLOURS = 128  # of a sheet with a width, which is for pages


@dataclass(frozen=True)
class Samples:
    """Training images by group.

    images: uint8 (N, C, H, W). groups: integers (N,), indices into names. aligned: bool (G,), whether a group is
    bias-aligned. names: one a group, label/attribute, `num_attributes` of them a class.
    """

    images: NDArray[Any]
    groups: NDArray[Any]
    aligned: NDArray[Any]
    names: tuple[str, ...]
    num_attributes: int


@dataclass(frozen=True)
class Row:
    """One row of a sheet: two lines of text, and blocks of images, each (M,) indices."""

    name: str
    note: str
    blocks: tuple[NDArray[Any], ...]


def draw_sheet(samples: Samples, path: Path, by: str = "group", width: int | None = None) -> list[str]:
    """Draw the first images of every group, or of every class, into a PNG; a line for each row is returned.

    by: `group`: a row a group. `class`: a row a class, bias-aligned images left and bias-conflicting ones right.
    width: pixels that the sheet may take; it is then in few colours. Raises StorageError.
    """
    rows, headings = _by_group(samples) if by == "group" else _by_class(samples)
    sheet = _Sheet.of(samples, rows, headings, width)
    with storage_errors(f"--image: cannot write {path}"):
        sheet.drawn(samples, rows, headings, few_colours=width is not None).save(path, format="PNG", optimize=True)
    return [_told(samples, number, row, by) for number, row in enumerate(rows, 1)]


def _by_group(samples: Samples) -> tuple[list[Row], tuple[str, ...]]:
    import numpy as np

    rows = []
    for group, name in enumerate(samples.names):
        members = np.flatnonzero(samples.groups == group)
        kind = "aligned" if samples.aligned[group] else "conflicting"
        rows.append(Row(name, f"{len(members)} {kind}", (members,)))
    return rows, ()


def _by_class(samples: Samples) -> tuple[list[Row], tuple[str, ...]]:
    import numpy as np

    rows = []
    for label in range(len(samples.names) // samples.num_attributes):
        groups = np.arange(label * samples.num_attributes, (label + 1) * samples.num_attributes)
        blocks = tuple(
            _in_turn(samples.groups, groups[samples.aligned[groups] == aligned]) for aligned in (True, False)
        )
        name = _class_name([samples.names[group] for group in groups], label)
        rows.append(Row(name, f"{len(blocks[0])} + {len(blocks[1])}", blocks))
    return rows, ("bias-aligned", "bias-conflicting")


def _in_turn(groups: NDArray[Any], wanted: NDArray[Any]) -> NDArray[Any]:
    """The examples of some groups: the first of each, then the second of each, and so on."""
    import numpy as np

    members = [np.flatnonzero(groups == group) for group in wanted]
    turns = sorted((turn, number) for number, found in enumerate(members) for turn in range(len(found)))
    return np.array([members[number][turn] for turn, number in turns], dtype=np.int64)


def _class_name(names: Sequence[str], label: int) -> str:
    """Parts that all groups of a class have before their attributes' slash, else its number."""
    parts = zip(*(name.split("/")[:-1] for name in names), strict=False)
    common = itertools.takewhile(lambda part: len(set(part)) == 1, parts)
    return "/".join(part[0] for part in common) or f"class {label}"


def _told(samples: Samples, number: int, row: Row, by: str) -> str:
    if by == "group":
        count, _, kind = row.note.partition(" ")
        return f"row {number}: group {row.name}, {count} of {len(samples.groups)} training images, {kind}"
    aligned, conflicting = (len(block) for block in row.blocks)
    of = f"of {len(samples.groups)} training images"
    return f"row {number}: class {row.name}, {aligned} aligned and {conflicting} conflicting {of}"


@dataclass(frozen=True)
class _Sheet:
    """Sizes in pixels: of the names at the left, of one image, and how often its pixels are repeated; its columns."""

    font: FreeTypeFont | ImageFont
    names: int
    scale: int
    columns: int  # of one block
    tile: tuple[int, int]  # height and width, with the margin

    @staticmethod
    def of(samples: Samples, rows: Sequence[Row], headings: Sequence[str], width: int | None) -> _Sheet:
        font = _font()
        texts = [
            *(text for row in rows for text in (_shown(row.name, font), row.note)),
            *([CORNER] if headings else []),
        ]
        longest = LONGEST if width is None else min(LONGEST, width // 3)
        names = min(longest, max(round(font.getlength(text)) for text in texts)) + 3 * MARGIN
        height, across = samples.images.shape[2:]
        blocks = max(1, len(headings))
        room = None if width is None else width - names - MARGIN - MARGIN * (blocks - 1)
        scale = max(1, PIXELS // height if room is None else (room // COLUMNS - MARGIN) // across)
        fitting = COLUMNS if room is None else max(blocks, min(COLUMNS, room // (across * scale + MARGIN)))
        tile = (max(height * scale, 2 * LINE) + MARGIN, across * scale + MARGIN)
        return _Sheet(font, names, scale, fitting // blocks, tile)

    def drawn(self, samples: Samples, rows: Sequence[Row], headings: Sequence[str], *, few_colours: bool) -> Any:
        """The picture, of PIL."""
        from PIL import Image, ImageDraw

        top = LINE + MARGIN if headings else MARGIN
        blocks = max(1, len(headings))
        size = (self._left(blocks, 0), top + self.tile[0] * len(rows))
        sheet = Image.new("RGB", size, PAPER)
        pen = ImageDraw.Draw(sheet)
        pen.text((MARGIN, 2), CORNER if headings else "", fill=INK, font=self.font)
        for number, heading in enumerate(headings):
            pen.text((self._left(number, 0), 2), self._cut(heading, self._room()), fill=INK, font=self.font)
        for down, row in enumerate(rows):
            self._row(pen, sheet, samples, row, top + down * self.tile[0])
        return sheet.quantize(COLOURS, dither=Image.Dither.NONE) if few_colours else sheet

    def _left(self, block: int, column: int) -> int:
        return self.names + block * (self.columns * self.tile[1] + MARGIN) + column * self.tile[1]

    def _row(self, pen: ImageDraw, sheet: Any, samples: Samples, row: Row, top: int) -> None:
        room = self.names - 2 * MARGIN
        pen.text((MARGIN, top), self._cut(_shown(row.name, self.font), room), fill=INK, font=self.font)
        pen.text((MARGIN, top + LINE), self._cut(row.note, room), fill=PALE, font=self.font)
        for block, members in enumerate(row.blocks):
            for column, index in enumerate(members[: self.columns]):
                sheet.paste(_tile(samples.images[index], self.scale), (self._left(block, column), top))
            if not len(members):
                pen.text((self._left(block, 0), top), self._cut(NOTHING, self._room()), fill=PALE, font=self.font)

    def _room(self) -> int:
        """Pixels of one block."""
        return self.columns * self.tile[1] - MARGIN

    def _cut(self, text: str, room: int) -> str:
        """The text, or as much of it as fits before an ellipsis."""
        kept = text
        while kept and self.font.getlength(kept if kept == text else f"{kept}...") > room:
            kept = kept[:-1]
        return kept if kept == text else f"{kept}..."


def _tile(image: NDArray[Any], scale: int) -> Any:
    """An image (C, H, W) as a picture of PIL, every pixel repeated `scale` times both ways."""
    import numpy as np
    from PIL import Image

    tile = np.kron(image, np.ones((1, scale, scale), dtype=np.uint8)).transpose(1, 2, 0)
    return Image.fromarray(np.repeat(tile, 3, axis=2) if tile.shape[2] == 1 else tile[:, :, :3])


def _font() -> FreeTypeFont | ImageFont:
    """The font that matplotlib brings where it is installed, else Pillow's own, which has Latin letters only."""
    from PIL import ImageFont

    found = importlib.util.find_spec("matplotlib")
    file = Path(found.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf" if found and found.origin else None
    return ImageFont.truetype(str(file), LETTERS) if file and file.is_file() else ImageFont.load_default(LETTERS)


def _shown(text: str, font: FreeTypeFont | ImageFont) -> str:
    """A name of at most 300 characters without control characters; one that the font lacks becomes its number."""
    blank = bytes(font.getmask(UNKNOWN))
    return "".join(c if bytes(font.getmask(c)) != blank else ascii(c)[1:-1] for c in plain(text)[:300])
