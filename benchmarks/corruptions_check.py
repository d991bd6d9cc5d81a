"""The table of docs/data/cifar10.md: our corruptions beside those of imagecorruptions, and ImageMagick's blur.

    pip install imagecorruptions opencv-python-headless scikit-image numba wand
    python benchmarks/corruptions_check.py

imagecorruptions has ImageNet-C's constants, which CIFAR-10-C shares at some severities only: those are compared, and
the parts that take constants as arguments. Both sides draw the same numbers. CIFAR-10 is read from BENCHBIAS_DATA
(default: ./data). `wand` and ImageMagick's library may be absent: those rows are left out.
"""

from __future__ import annotations

import ctypes
import importlib
import io
import os
import sys
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchbias import hub_images
from benchbias_plugins.datasets.cifar10.blurs import DEFOCUS, MOTION, disk
from benchbias_plugins.datasets.cifar10.corruptions import by_name
from benchbias_plugins.datasets.cifar10.frost_textures import drawn
from benchbias_plugins.datasets.cifar10.motion import along_a_line
from benchbias_plugins.datasets.cifar10.weather import FOG, clouds

Images = NDArray[np.uint8]
COUNT = 500
SAME = {  # corruption: (our severity, imagecorruptions' severity) of equal constants
    "gaussian-noise": ((3, 1),),
    "gaussian-blur": ((5, 1),),
    "zoom-blur": ((2, 1), (3, 2)),
    "brightness": ((2, 1), (4, 2), (5, 3)),
    "contrast": ((3, 1), (4, 2)),
    "saturate": ((1, 1), (2, 2)),
}


def main() -> None:
    root = Path(os.environ.get("BENCHBIAS_DATA", "data"))
    images = hub_images(root, "uoft-cs/cifar10", "test", image="img").images[:COUNT].numpy().copy()
    theirs = imagecorruptions()
    print("| what | equal values | largest difference |\n|---|---|---|")
    for name, pairs in SAME.items():
        for our, their in pairs:
            found = by_name(drawn())[name](images, our, np.random.default_rng(0))
            with_draws(theirs, np.random.default_rng(0))
            function = getattr(theirs, name.replace("-", "_"))
            wanted = each(images, partial(function, severity=their), flat=name.endswith("noise"))
            row(f"`{name}`, severity {our} (theirs: {their})", found, np.uint8(np.floor(wanted + 1e-4)))
    motion(theirs, images)
    height_maps(theirs)
    disks(theirs)
    magick(images)


def imagecorruptions() -> Any:
    """The package's module, with stand-ins for what newer libraries have under other names or no longer."""
    import scipy.ndimage
    import skimage.filters

    np.float_ = np.float64  # type: ignore[attr-defined]
    sys.modules["scipy.ndimage.interpolation"] = scipy.ndimage
    sys.modules["pkg_resources"] = types.SimpleNamespace(resource_filename=None)  # type: ignore[assignment]
    package = types.ModuleType("imagecorruptions")  # the package itself asks for the version of pkg_resources
    package.__path__ = [str(Path(place) / "imagecorruptions") for place in sys.path]  # type: ignore[attr-defined]
    sys.modules["imagecorruptions"] = package
    module = importlib.import_module("imagecorruptions.corruptions")

    def gaussian(image: Any, sigma: float, multichannel: bool = False) -> Any:
        return skimage.filters.gaussian(image, sigma, channel_axis=-1 if multichannel else None)

    module.gaussian = gaussian  # type: ignore[attr-defined]
    return module


def with_draws(theirs: Any, stream: np.random.Generator) -> None:
    """Let the module draw from this stream and not from numpy's global one."""
    numbers = types.ModuleType("numpy")
    vars(numbers).update(vars(np))
    vars(numbers)["random"] = stream
    theirs.np = numbers


def each(images: Images, function: Callable[[Any], Any], flat: bool) -> NDArray[np.float64]:
    """One by one, (32, 32, 3) each; noise as (3, 32, 32), in the order in which we draw it."""
    if flat:
        return np.array([function(image) for image in images])
    return np.array([function(image) for image in images.transpose(0, 2, 3, 1)]).transpose(0, 3, 1, 2)


def row(what: str, found: Images, wanted: Images) -> None:
    away = np.abs(found.astype(int) - wanted)
    print(f"| {what} | {100 * (away == 0).mean():.3f} % | {away.max()} |")


def motion(theirs: Any, images: Images) -> None:
    """Within the image: at the edge theirs repeats another pixel."""
    for severity, (radius, sigma) in enumerate(MOTION, 1):
        angles = np.random.default_rng(severity).uniform(-45, 45, len(images))
        pairs = zip(images.transpose(0, 2, 3, 1), angles, strict=True)
        wanted = np.array([theirs._motion_blur(image, radius, sigma, angle) for image, angle in pairs])
        inner = np.s_[:, :, 10:22, 10:22]  # no step of the two larger radii leaves it by more than weighs
        found = along_a_line(images, radius, sigma, angles)
        row(f"`motion-blur`, severity {severity}, inner 12 x 12", found[inner],
            np.uint8(np.floor(wanted.transpose(0, 3, 1, 2) + 1e-4))[inner])  # fmt: skip


def height_maps(theirs: Any) -> None:
    for severity, (_, decay) in enumerate(FOG, 1):
        found, wanted = [], []
        for seed in range(50):
            found.append(clouds(1, decay, np.random.default_rng(seed))[0])
            with_draws(theirs, np.random.default_rng(seed))
            wanted.append(theirs.plasma_fractal(mapsize=32, wibbledecay=decay))
        away = np.abs(np.array(found) - wanted).max()
        print(f"| clouds of `fog`, severity {severity}, from 0 to 1 | – | {away:.1e} |")


def disks(theirs: Any) -> None:
    for severity, (radius, edge) in enumerate(DEFOCUS, 1):
        wanted = theirs.disk(radius, alias_blur=edge)
        away = np.abs(np.pad(disk(radius, edge), 6) - wanted).max()
        print(f"| weights of `defocus-blur`, severity {severity} | – | {away:.1e} |")


def magick(images: Images) -> None:
    """ImageMagick's own blur along a line, which the published code calls."""
    try:
        from wand.api import library
        from wand.image import Image
    except ImportError as error:
        print(f"ImageMagick is not compared: {str(error).splitlines()[0]}", file=sys.stderr)
        return
    from PIL import Image as pillow

    blur = library.MagickMotionBlurImage
    blur.argtypes = (ctypes.c_void_p, ctypes.c_double, ctypes.c_double, ctypes.c_double)

    def blurred(image: Images, radius: float, sigma: float, angle: float) -> Images:
        file = io.BytesIO()
        pillow.fromarray(image).save(file, "PNG")
        whole = Image(blob=file.getvalue())
        blur(whole.wand, radius, sigma, angle)
        return np.asarray(pillow.open(io.BytesIO(whole.make_blob())).convert("RGB"))  # a grey image comes back as one

    for severity, (radius, sigma) in enumerate(MOTION, 1):
        angles = np.random.default_rng(severity).uniform(-45, 45, len(images))
        pairs = zip(images.transpose(0, 2, 3, 1), angles, strict=True)
        wanted = np.array([blurred(image, radius, sigma, angle) for image, angle in pairs]).transpose(0, 3, 1, 2)
        row(f"`motion-blur`, severity {severity}, by ImageMagick", along_a_line(images, radius, sigma, angles), wanted)


if __name__ == "__main__":
    main()
