"""A gallery of the examples that a model lost, by group: small pictures inside of the page, or ids."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchbias.auditing.pages.choosing import ordered
from benchbias.auditing.pages.flips import change, class_name, identities, membership
from benchbias.auditing.values import ALL, Answers, Audit, Compared

SIDE = 112  # pixels of a picture's longer side
MOST_PICTURES = 120
MOST_BYTES = 3_000_000  # of all pictures, as they stand in the page
MOST_GROUPS = 8  # of each model
MOST_OF_GROUP = 24
MOST_PIXELS = 100_000_000  # of a picture that is opened


@dataclass(frozen=True)
class Lost:
    """An example that the dense model has right and the compressed one wrong. picture: a data URI, None where none."""

    id: str
    label: str
    answer: str
    picture: str | None


@dataclass(frozen=True)
class Album:
    """The lost examples of a group under a model. number: of all that were lost there, also those shown elsewhere."""

    model: str
    group: str
    lost: tuple[Lost, ...]
    number: int


@dataclass
class _Space:
    """The pictures and bytes that a page may still hold."""

    pictures: int = MOST_PICTURES
    size: int = MOST_BYTES


def gathered(answers: Answers, audit: Audit) -> tuple[Album, ...]:
    """The albums of the harmed groups of each model, the most harmed first; of all examples where none is harmed.

    An example stands in the first of its groups alone. A picture that cannot be read is shown by its id.
    """
    inside, space, ids = membership(answers, audit), _Space(), identities(answers)
    found: list[Album] = []
    for model in audit.models:
        rows = [int(at) for at in _lost(answers, model.name)]
        if answers.ids is not None:
            rows.sort(key=lambda at: ids[at])
        groups_of = {at: {ALL, *inside.of(at)} for at in rows}
        used: set[int] = set()
        for group in _groups(model):
            here = [at for at in rows if group in groups_of[at]]
            new = [at for at in here if at not in used][:MOST_OF_GROUP]
            used.update(new)
            shown = tuple(_example(answers, model.name, at, ids[at], space) for at in new)
            if shown:
                found.append(Album(model.name, group, shown, len(here)))
    return tuple(found)


def _lost(answers: Answers, model: str) -> Iterator[int]:
    candidates = (answers.compressed[model] != answers.dense).nonzero()[0]
    return (at for at in candidates if change(answers, model, at) == "lost")


def _groups(model: Compared) -> list[str]:
    harmed = [line.group.name for line in ordered(model) if line.verdict == "harmed"][:MOST_GROUPS]
    return harmed or [ALL]


def _example(answers: Answers, model: str, at: int, name: str, space: _Space) -> Lost:
    picture = None
    if answers.images is not None and space.pictures > 0:
        picture = thumbnail(Path(answers.images[at]))
        if picture is not None and len(picture) > space.size:
            picture = None
        if picture is not None:
            space.pictures -= 1
            space.size -= len(picture)
    return Lost(
        name, class_name(answers, answers.label[at]), class_name(answers, answers.compressed[model][at]), picture
    )


def thumbnail(path: Path, side: int = SIDE) -> str | None:
    """A file's picture as a small JPEG in a data URI; None where it is no picture that can be read."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                return None
            opened.draft("RGB", (2 * side, 2 * side))
            small = ImageOps.exif_transpose(opened).convert("RGBA")
            small.thumbnail((side, side))
            if (factor := side // max(small.size)) > 1:  # the pixels of tiny pictures are to be seen
                small = small.resize((factor * small.width, factor * small.height), Image.Resampling.NEAREST)
    except Exception:  # whatever a decoder raises for a file that is no picture: the example is shown by its id
        return None
    paper = Image.new("RGB", small.size, "white")
    paper.paste(small, mask=small.getchannel("A"))
    out = io.BytesIO()
    paper.save(out, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
