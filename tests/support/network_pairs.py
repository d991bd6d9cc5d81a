"""A network of torchvision for two classes, its pruned copy, and a folder of small photographs with a table."""

from __future__ import annotations

import copy
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils import prune
from torchvision.transforms import v2

MEAN, STD, RESIZE, SIZE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 40, 32


@dataclass(frozen=True)
class Pair:
    """The networks, with the files that hold them, and the images in the order of the table, with their labels."""

    folder: Path
    dense: nn.Module
    pruned: nn.Module
    images: list[Path]
    labels: list[int]

    def oracle(self, network: nn.Module) -> Tensor:
        """The logits (N, 2) of plain code of torchvision, one image at a time."""
        steps = v2.Compose(
            [v2.Resize(RESIZE), v2.CenterCrop(SIZE), v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]
        )
        found = []
        with torch.no_grad():
            for path in self.images:
                with Image.open(path) as file:
                    image = v2.functional.normalize(steps(file.convert("RGB")), MEAN, STD)
                found.append(network(image[None]))
        return torch.cat(found)


def make_pair(folder: Path, name: str, count: int = 40) -> Pair:
    """Write `photos/`, `labels.csv`, `dense.safetensors` and `pruned.pth`, whose masks are not folded."""
    from safetensors.torch import save_file

    random = np.random.default_rng(0)
    (folder / "photos").mkdir(parents=True)
    images, labels = [], []
    for number in range(count):
        path = folder / "photos" / f"{number}.{('jpg', 'png')[number % 2]}"
        width, height = (int(side) for side in random.integers(45, 90, 2))
        Image.fromarray(random.integers(0, 256, (6, 7, 3)).astype("uint8")).resize((width, height), 3).save(path)
        images.append(path)
        labels.append(int(random.integers(0, 2)))
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "label", "sex"])
        pairs = enumerate(zip(images, labels, strict=True))
        rows.writerows((path.name, label, "fm"[number % 2]) for number, (path, label) in pairs)
    dense = network_on(name, Pair(folder, nn.Identity(), nn.Identity(), images, labels))
    pruned = copy.deepcopy(dense)
    weights = [(part, "weight") for part in pruned.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    prune.global_unstructured(weights, prune.L1Unstructured, amount=0.6)
    save_file(dense.state_dict(), folder / "dense.safetensors")
    torch.save(pruned.state_dict(), folder / "pruned.pth")
    return Pair(folder, dense, pruned, images, labels)


def network_on(name: str, pair: Pair) -> nn.Module:
    """A network whose batch norms have seen the images, and that answers both classes."""
    torch.manual_seed(0)
    dense = torchvision.models.get_model(name, num_classes=2)
    shown: list[Tensor] = []
    handle = dense.register_forward_pre_hook(lambda _, args: shown.append(args[0]))
    Pair(pair.folder, dense.eval(), dense, pair.images, pair.labels).oracle(dense)
    handle.remove()
    with torch.no_grad():
        for part in dense.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = 1.0  # the statistics of these images
        dense.train()(torch.cat(shown))
        dense.eval()
        logits = dense(torch.cat(shown))
        ordered = (logits[:, 0] - logits[:, 1]).sort().values[len(shown) // 4 : -len(shown) // 4]
        widest = int(ordered.diff().argmax())  # no image lies near the border
        dense.fc.bias[0] -= (ordered[widest] + ordered[widest + 1]) / 2
    return dense
