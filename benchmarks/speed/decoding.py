"""5,000 JPEGs of 224 x 224: into our cache, and through torchvision's ImageFolder and a loader without workers.

Each in a process of its own: `python -m benchmarks.speed.decoding WAY FOLDER` prints the CPU seconds of one way.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .rows import Goal, Row, Setting
from .timing import cpu_seconds, ratios

ROOT = Path(__file__).parent.parent.parent
IMAGES, QUICK_IMAGES, SIDE = 5000, 60, 224


def make_images(folder: Path, count: int) -> None:
    """Smooth random images with a little noise, about as large as JPEGs of photographs."""
    import numpy as np
    from PIL import Image

    draw = np.random.default_rng(0)
    small = draw.integers(0, 256, (50, SIDE // 16, SIDE // 16, 3), dtype=np.uint8)
    smooth = [
        np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.int16) for one in small
    ]
    (folder / "photos/a").mkdir(parents=True)
    for number in range(count):
        noisy = smooth[number % len(smooth)] + draw.integers(-12, 12, (SIDE, SIDE, 1))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"photos/a/{number:05d}.jpg", quality=90)


def ours(folder: Path) -> None:
    """Fill the cache anew."""
    from benchbias.data.reading.folder import folder_images

    names = sorted(file.name for file in (folder / "photos/a").iterdir())
    with tempfile.TemporaryDirectory() as fresh:
        (Path(fresh) / "photos/a").mkdir(parents=True)
        for name in names:
            (Path(fresh) / "photos/a" / name).hardlink_to(folder / "photos/a" / name)
        folder_images(Path(fresh), "photos", [("row", f"a/{name}") for name in names], channels=3)


def torchvisions(folder: Path) -> None:
    import torchvision
    from torch.utils.data import DataLoader

    images = torchvision.datasets.ImageFolder(str(folder / "photos"), transform=torchvision.transforms.ToTensor())
    for _ in DataLoader(images, batch_size=64, num_workers=0):
        pass


WAYS = {"ours": ours, "torchvision": torchvisions}


def seconds(way: str, folder: Path) -> float:
    command = [sys.executable, "-m", f"{__package__}.decoding", way, str(folder)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-1])


def rows(setting: Setting) -> Iterator[Row]:
    count = QUICK_IMAGES if setting.quick else IMAGES
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        make_images(Path(folder), count)
        for number in range(setting.rounds):
            for way in WAYS if number % 2 == 0 else reversed(WAYS):
                found[way].append(seconds(way, Path(folder)))
    spread = ratios(found, "ours", "torchvision")
    yield Row(f"{count:,} JPEGs to the cache over torchvision's ImageFolder and loader", spread, Goal(1))


def main() -> None:
    way, folder = sys.argv[1:]
    before = cpu_seconds()
    WAYS[way](Path(folder))
    print(cpu_seconds() - before)


if __name__ == "__main__":
    main()
