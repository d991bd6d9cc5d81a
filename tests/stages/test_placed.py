"""Images go to a card where they fit into this process's part of it, whatever is free at the moment."""

from __future__ import annotations

import pytest
import torch

from benchbias.stages.job import placed


class Images:
    """Images of a size in bytes, that note where they were sent."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes, self.sent = nbytes, False

    def to(self, device: torch.device) -> Images:
        self.sent = True
        return self


@pytest.mark.parametrize(("part", "nbytes", "sent"), [(1.0, 500, True), (1.0, 501, False), (0.25, 125, True)])
@pytest.mark.parametrize("free", [0, 1000])
def test_the_part_of_the_whole_memory_decides(
    monkeypatch: pytest.MonkeyPatch, part: float, nbytes: int, sent: bool, free: int
):
    """What is free does not: two workers that look at the same time would both count on it."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 1000))
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda device: part)
    images = Images(nbytes)
    placed(images, torch.device("cuda"))  # type: ignore[arg-type]
    assert images.sent is sent
    assert not placed(Images(126), torch.device("cuda")).sent or part == 1.0  # type: ignore[arg-type, attr-defined]
