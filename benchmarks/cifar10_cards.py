"""The numbers and the sample sheet of docs/data/corrupted-cifar10.md.

    python benchmarks/cifar10_cards.py FOLDER

FOLDER gets the sheet. CIFAR-10 is read from BENCHBIAS_DATA (default: ./data).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mnist_cards import counts, sheet

from benchbias_plugins.datasets.cifar10 import corrupted_cifar10

COLOURS = 96


def main() -> None:
    folder, root = Path(sys.argv[1]), Path(os.environ.get("BENCHBIAS_DATA", "data"))
    for ratio in (0.005, 0.01, 0.02, 0.05):
        dataset = corrupted_cifar10(root, 0, conflict_ratio=ratio)
        counts(f"corrupted-cifar10, conflict ratio {ratio}", dataset)
    path = folder / "corrupted-cifar10.png"
    sheet(dataset, path)
    smaller(path)


def smaller(path: Path) -> None:
    """The same sheet in few colours: a quarter of the file."""
    from PIL import Image

    Image.open(path).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
