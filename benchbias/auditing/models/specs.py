"""The questions that an audit of networks answers, as plain values: the networks, the images, the way to run them.

Everything here is checked before a file is opened; `collect.answers_of_models` takes these values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchbias.auditing.values import DENSE
from benchbias.errors import UsageError, unknown

ONNX, EXPORTED = ".onnx", ".pt2"
WHOLE = (ONNX, EXPORTED)
CROPS = ("center", "squash", "cut")
CACHE = Path("results/audit-cache")
IMAGENET = "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --resize 256 --size 224"
"""The usual options of networks that were trained on ImageNet, as torchvision's own weights are."""

BATCH = {"cpu": 16, "cuda": 64}

LONGER = 3  # names that a network may have where its first is taken

FACTORY = re.compile(r".+\.py:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Source:
    """One network: a file of weights, a name for the report, and the model that they belong to.

    file: None where a factory needs none. model: a name of torchvision, `timm:NAME`, `plugin:NAME`, or
    `FILE.py:FUNCTION`; None for files that are whole networks (ONNX, exported programs). table: the inner table of a
    file of torch.save that is meant, where it has several.
    """

    file: Path | None
    name: str
    model: str | None = None
    table: str | None = None

    def __post_init__(self) -> None:
        if self.file is None and not (self.model and FACTORY.fullmatch(self.model)):
            raise UsageError(f"{self.name}: a file of weights is needed; only FILE.py:FUNCTION needs none")

    @property
    def is_whole(self) -> bool:
        """Whether the file is the network itself, or a user's function makes it: no name of a model is looked up."""
        made = self.model is not None and FACTORY.fullmatch(self.model) is not None
        return made or (self.file is not None and self.file.suffix.lower() in WHOLE)

    @property
    def what(self) -> str:
        """The name in messages."""
        return str(self.file) if self.file is not None else str(self.model)


@dataclass(frozen=True)
class ModelSpec:
    """The networks of an audit. options: of the model by name, e.g. `width`. trust: exported programs may be opened.

    plugins: loose plugin files in which models are looked for too.
    """

    dense: Source
    compressed: tuple[Source, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    trust: bool = False
    plugins: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if not self.compressed:
            raise UsageError("an audit compares: name at least one compressed model (--compressed FILE)")
        names = [source.name for source in self.compressed]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(f"two compressed models are called {twice[0]!r}: is one named twice?")
        if "num_classes" in self.options:
            raise UsageError("--model-option num_classes: the number of classes is read from the weights; leave it out")
        if self.options and all(source.is_whole for source in self.sources):
            raise UsageError("--model-option: no network here takes options; a factory sets its own")
        if DENSE in names:
            raise UsageError(f"a compressed model cannot be called {DENSE!r}")

    @property
    def sources(self) -> tuple[Source, ...]:
        """All networks, the dense one first."""
        return (self.dense, *self.compressed)


@dataclass(frozen=True)
class ImageSpec:
    """The examples. data: a folder of images, or `dataset:NAME` for a data set of a plugin.

    table: a CSV or parquet file with a row for each image, looked for beside the caller and in the folder; None where
    the folder has a sub-folder for each class. image, label, attributes, cluster: its columns. classes: a text file
    with the name of each class in a line, in the order of the network's outputs. split: of a data set of a plugin;
    options: those of that data set; root: the folder below which it finds its files, None for the usual one.
    """

    data: str
    table: Path | None = None
    image: str = "image"
    label: str = "label"
    attributes: tuple[str, ...] = ()
    cluster: str | None = None
    classes: Path | None = None
    split: str = "test"
    options: Mapping[str, Any] = field(default_factory=dict)
    root: Path | None = None


@dataclass(frozen=True)
class LookSpec:
    """How images are prepared, as far as a user says it; None: not said. The same for all networks.

    mean, std: for each channel, on the scale 0 to 1; one value for networks of grey images. resize: the shorter side
    is scaled to it. size: of the middle part that is cut out, (height, width) or one number. crop: `center` does so;
    `squash` scales both sides to `resize` (or `size`), whatever their ratio, and cuts out the middle; `cut` cuts
    without scaling. interpolation: of scaling. channel_order: rgb or bgr. upright: the camera's orientation (EXIF) is
    applied; torchvision's loader does not. Raises UsageError.
    """

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    resize: int | None = None
    size: int | tuple[int, int] | None = None
    crop: str | None = None
    interpolation: str | None = None
    channel_order: str = "rgb"
    upright: bool = False

    def __post_init__(self) -> None:
        if (self.mean is None) != (self.std is None):
            raise UsageError("--mean and --std go together: the network's images were normalised by both")
        if self.mean is not None and self.std is not None:
            if len(self.mean) != len(self.std) or len(self.mean) not in (1, 3):
                raise UsageError("--mean and --std have three values each, or one for networks of grey images")
            if not all(value > 0 for value in self.std):
                raise UsageError("--std: every value is above 0")
            if max(self.mean) > 1 or min(self.mean) < -1:
                raise UsageError("--mean is on the scale 0 to 1: divide values of 0 to 255 by 255")
        sides = (self.size,) if not isinstance(self.size, tuple) else self.size
        if any(value is not None and value < 1 for value in (self.resize, *sides)):
            raise UsageError("--resize and --size are at least 1 pixel")
        if self.crop is not None and self.crop not in CROPS:
            raise UsageError(unknown("crop", self.crop, CROPS))
        if self.crop == "cut" and (self.resize is not None or self.size is None):
            raise UsageError("--crop cut scales nothing: it goes with --size and without --resize")
        if self.channel_order not in ("rgb", "bgr"):
            raise UsageError(unknown("channel order", self.channel_order, ("rgb", "bgr")))


@dataclass(frozen=True)
class RunSpec:
    """How networks are run. device: cpu or cuda. cache: the folder that keeps logits, or None.

    batch: images at once, None for 16 on a CPU, where more are slower, and 64 on a GPU. measure: whether milliseconds
    are measured.
    """

    device: str = "cpu"
    batch: int | None = None
    cache: Path | None = CACHE
    measure: bool = True

    def __post_init__(self) -> None:
        if self.device not in ("cpu", "cuda"):
            raise UsageError(unknown("device", self.device, ("cpu", "cuda")))
        if self.batch is not None and self.batch < 1:
            raise UsageError("--batch is at least 1 image")

    @property
    def batch_size(self) -> int:
        """Images at once."""
        return self.batch or BATCH[self.device]


def source_of(text: str, model: str | None, table: str | None = None) -> Source:
    """The network that a user names: `FILE`, `FILE=MODEL` or `FACTORY.py:FUNCTION`. Raises UsageError.

    model: the one of all files that name none. The report calls it by the file's name without its ending; where it has
    a function of its own, `FILE=FACTORY.py:FUNCTION`, by that.
    """
    if FACTORY.fullmatch(text) and not Path(text).exists() and "=" not in text:
        return Source(None, text.rpartition(":")[2], text)
    file, own = (text, model) if Path(text).exists() or "=" not in text else text.rsplit("=", 1)
    if not (file and (own or own is model)):
        raise UsageError(f"{text!r:.200}: a network is FILE, FILE=MODEL or FACTORY.py:FUNCTION")
    function = own.rpartition(":")[2] if own and own is not model and FACTORY.fullmatch(own) else None
    return Source(Path(file), function or Path(file).stem, own, table)


def model_spec(
    dense: str,
    compressed: Sequence[str],
    *,
    model: str | None = None,
    options: Mapping[str, Any] | None = None,
    table: str | None = None,
    trust: bool = False,
    plugins: Sequence[Path] = (),
) -> ModelSpec:
    """The networks of a command line. Compressed models of one name are called by more: `file:function`, the path."""
    first = source_of(dense, model, table)
    if first.file is not None:
        first = replace(first, name=first.file.stem)
    sources = [source_of(text, model, table) for text in compressed]
    longer = [_longer_names(source, text) for source, text in zip(sources, compressed, strict=True)]
    for level in range(LONGER):
        names = [source.name for source in sources]
        for place, source in enumerate(sources):
            if names.count(source.name) > 1 or source.name in (DENSE, first.name):
                sources[place] = replace(source, name=longer[place][level])
    return ModelSpec(first, tuple(sources), dict(options or {}), trust, tuple(plugins))


def _longer_names(source: Source, text: str) -> tuple[str, ...]:
    """The names of a network where its shorter ones are taken, the last of them the user's own words."""
    if source.file is None or source.name == source.file.stem:
        return (source.what, text, text)
    script, _, function = str(source.model).rpartition(":")
    return (f"{source.file.stem}:{function}", f"{Path(script).stem}:{function}", text)


def numbers(text: str, option: str) -> tuple[float, ...]:
    """The numbers of `0.485,0.456,0.406`, with commas or blanks. Raises UsageError, which names the option."""
    try:
        return tuple(float(part) for part in re.split(r"[,\s]+", text.strip()) if part)
    except ValueError:
        raise UsageError(f"{option} {text!r:.80}: numbers with commas between them, e.g. 0.485,0.456,0.406") from None
