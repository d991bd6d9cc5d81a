"""A network with weights from a file: does it fit the images as they are normalised?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchbias.data.augment import channel_statistics
from benchbias.data.values import Split
from benchbias.stages.loaded import loaded_notes


class Bright(nn.Module):
    """Tells images of more than a brightness, as it is normalised, from others."""

    def __init__(self, threshold: float, head: float | None) -> None:
        super().__init__()
        self.head = nn.Linear(1, 2)
        if head is not None:
            with torch.no_grad():
                self.head.weight.copy_(torch.tensor([[0.0], [head]]))
                self.head.bias.copy_(torch.tensor([0.0, -head * threshold]))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images.mean((1, 2, 3))[:, None])


def split(number: int, name: str) -> Split:
    """Dark images of class 0 and bright ones of class 1."""
    labels = torch.arange(number) % 2
    levels = (60 + 120 * labels)[:, None, None, None] + torch.arange(4).reshape(1, 1, 2, 2)
    return Split(levels.to(torch.uint8), labels, 2, name)


TRAIN, VAL = split(40, "train"), split(60, "val")
OWN = channel_statistics(TRAIN.images)


def test_a_network_that_was_trained_as_the_images_are_normalised_needs_no_note():
    assert loaded_notes(lambda seed: Bright(0.0, 5.0), TRAIN, VAL, *OWN) == []


def test_one_at_chance_is_told_with_the_normalisation_that_stands():
    (note,) = loaded_notes(lambda seed: Bright(0.0, 5.0), TRAIN, VAL, (-3.0,), (0.25,))
    assert note.startswith(
        "the network with weights from a file answers 50 % of 60 validation images rightly, chance is 50 %: "
        "was it trained on images normalised like these (mean -3; std 0.25)"
    )


def test_a_new_head_cannot_be_asked_so_the_normalisation_is():
    def fresh(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return Bright(0.0, None)

    (note,) = loaded_notes(fresh, TRAIN, VAL, *OWN)
    assert "weights from a file and a new head, and the images their own normalisation" in note
    assert loaded_notes(fresh, TRAIN, VAL, (0.5,), (0.5,)) == [], "a normalisation that the task names"


def test_a_head_of_zeros_is_a_new_one():
    (note,) = loaded_notes(lambda seed: Bright(0.0, 0.0), TRAIN, VAL, *OWN)
    assert "a new head" in note
