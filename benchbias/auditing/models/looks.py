"""How an image becomes what a network is given: torchvision's own steps, on PIL images, in torchvision's order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from benchbias.auditing.models.specs import IMAGENET, LookSpec
from benchbias.data.reading.decoding import INTERPOLATIONS
from benchbias.errors import UsageError, unknown

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

TIMM = "timm:"
GREY = "one number in --mean reads images as grey, and this network takes 3 channels: e.g. --mean 0.5,0.5,0.5"
COLOUR = "three numbers in --mean read images as colour, and this network takes 1 channel: e.g. --mean 0.5 --std 0.5"


@dataclass(frozen=True)
class Look:
    """The steps: RGB (or grey, where there is one mean), scaling, cutting, 0 to 1, normalising.

    resize: of the shorter side, or (height, width) of both; size: (height, width) of the middle that is cut out.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int | tuple[int, int] | None
    size: tuple[int, int] | None
    interpolation: str
    channel_order: str
    upright: bool

    def prepared(self, image: Image) -> Tensor:
        """One image as a network is given it, float32 (C, H, W): what torchvision's transforms make of it, to the bit.

        An image smaller than `size` is padded with black, as CenterCrop does.
        """
        import torch
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms import functional as steps

        image = image.convert("L" if len(self.mean) == 1 else "RGB")
        if self.resize is not None:
            sides = list(self.resize) if isinstance(self.resize, tuple) else [self.resize]
            image = steps.resize(image, sides, InterpolationMode(self.interpolation), antialias=True)
        if self.size is not None:
            image = steps.center_crop(image, list(self.size))
        pixels = steps.convert_image_dtype(steps.pil_to_tensor(image), torch.float)
        if self.channel_order == "bgr":
            pixels = pixels.flip(0)
        made: Tensor = steps.normalize(pixels, list(self.mean), list(self.std))
        return made

    def text(self) -> str:
        """The steps in torchvision's words, for the reader."""
        scaling = ", antialias=True" if self.interpolation in ("bilinear", "bicubic") else ""
        steps = ["convert('L')" if len(self.mean) == 1 else "convert('RGB')"]
        steps += [f"Resize({self.resize}, {self.interpolation}{scaling})"] if self.resize is not None else []
        steps += [f"CenterCrop({self.size})"] if self.size is not None else []
        steps += ["scaled to 0..1"] + (["channels reversed to BGR"] if self.channel_order == "bgr" else [])
        values = (f"({', '.join(f'{value:g}' for value in values)})" for values in (self.mean, self.std))
        return "; ".join([*steps, "Normalize({}, {})".format(*values)])


def look_of(
    spec: LookSpec,
    model: str | None,
    data: LookSpec | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    warn: Callable[[str], None] | None = None,
) -> tuple[Look, list[str]]:
    """The steps that all networks share, and notes on where they are from: the user, timm's weights, the data set.

    What a user says goes before the others, value by value where they are timm's. options: of the model, of which
    timm's `img_size` says a size. warn: told in a sentence what is taken from timm's weights (None: a note). Raises
    UsageError where the normalisation is said by nobody.
    """
    carried = spec
    notes: list[str] = []
    if model is not None and model.startswith(TIMM):
        carried, taken = _timm_look(model.removeprefix(TIMM), spec, (options or {}).get("img_size"))
        if taken:
            (warn or notes.append)(
                f"{', '.join(taken)}: from timm's published weights of {model.removeprefix(TIMM)}. If yours were "
                f"trained otherwise, say so: {', '.join(f'--{name}' for name in taken)}"
            )
    elif data is not None and spec.mean is None and spec.resize is None and spec.size is None and spec.crop is None:
        carried = LookSpec(data.mean, data.std, channel_order=spec.channel_order, upright=spec.upright)
        notes.append("the normalisation is that of the data set")
    if carried.mean is None or carried.std is None:
        raise UsageError(
            "say how the networks' images were prepared in training: --mean and --std, and --resize, --size, "
            f"--interpolation and --crop where they were scaled or cut; for ImageNet's usual way paste: {IMAGENET}"
        )
    interpolation = carried.interpolation or "bilinear"
    if interpolation not in INTERPOLATIONS:
        raise UsageError(unknown("interpolation", interpolation, INTERPOLATIONS))
    resize, size = _sides(carried)
    order, upright = carried.channel_order, carried.upright
    look = Look(tuple(carried.mean), tuple(carried.std), resize, size, interpolation, order, upright)
    return look, [*notes, f"each image: {look.text()}"]


def _sides(spec: LookSpec) -> tuple[int | tuple[int, int] | None, tuple[int, int] | None]:
    """The scaling of the shorter side (or of both), and what is cut out. Raises UsageError."""
    size = (spec.size, spec.size) if isinstance(spec.size, int) else spec.size
    if spec.crop == "cut":
        return None, size
    if spec.crop == "squash":
        if spec.resize is None and size is None:
            raise UsageError("--crop squash scales both sides: say to what by --size")
        whole = (spec.resize, spec.resize) if spec.resize is not None else size
        both = whole
    else:
        both = None
    shorter = spec.resize if spec.resize is not None else (max(size) if size is not None else None)
    if size is not None and max(size) > (max(both) if both is not None else shorter or 0):
        raise UsageError(f"--size {max(size)} is larger than what is left after scaling: the rest would be black")
    return (both, None if both == size else size) if both is not None else (shorter, size)


def _timm_look(name: str, spec: LookSpec, side: Any) -> tuple[LookSpec, list[str]]:
    """The preprocessing where what is not said is that of timm's weights of a name, and the names of these values.

    side: the size that the network is built for, where an option says it. Raises UsageError for what cannot be done.
    """
    import timm.data

    found = timm.get_pretrained_cfg(name, allow_unregistered=True)
    if found is None:
        return spec, []
    cfg: Any = found
    resolve: Any = vars(timm.data)["resolve_data_config"]
    config: Mapping[str, Any] = resolve({}, pretrained_cfg=cfg.to_dict())
    height, width = config["input_size"][1:]
    if spec.crop is None and (config["crop_mode"] not in ("center", "squash") or height != width):
        raise UsageError(f"timm's weights of {name} cut images in a way ({config['crop_mode']}) that is not done here")
    built = tuple(side) if isinstance(side, list) else side
    size = spec.size or built or height
    scaled = math.floor((max(size) if isinstance(size, tuple) else size) / config["crop_pct"])
    theirs: dict[str, Any] = {"mean": tuple(config["mean"]), "std": tuple(config["std"]), "size": size}
    theirs |= {"resize": scaled, "crop": config["crop_mode"], "interpolation": config["interpolation"]}
    if spec.crop == "cut":
        del theirs["resize"], theirs["interpolation"]
    taken = {key: value for key, value in theirs.items() if getattr(spec, key) is None}
    usual = {"crop"} if config["crop_mode"] == "center" else set()
    told = [key for key in taken if key not in usual and not (key == "size" and built)]
    return replace(spec, **taken), told
