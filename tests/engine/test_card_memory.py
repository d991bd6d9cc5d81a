"""A worker of a card takes no more than its part of the card's memory; the card is made up."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from benchbias.engine.worker import _prepare_torch, set_torch
from benchbias.keys.cards import CONTEXT_BYTES, SHARE


@pytest.mark.parametrize("workers", [None, 1, 4])
def test_the_share_that_the_engine_says_is_the_fraction_that_torch_may_allocate(
    monkeypatch: pytest.MonkeyPatch, workers: int | None
):
    total, asked = 40 << 30, list[float]()
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=total))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", asked.append)
    if workers is None:
        monkeypatch.delenv(SHARE, raising=False)
    else:
        monkeypatch.setenv(SHARE, str(workers))
    try:
        assert _prepare_torch("cuda", strict=True) == torch.device("cuda")
        assert asked == [pytest.approx(1 / (workers or 1) - CONTEXT_BYTES / total)]
        assert _prepare_torch("cpu", strict=False) == torch.device("cpu")
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert len(asked) == 1, "the CPU has no share of a card"
    finally:
        set_torch()
        torch.use_deterministic_algorithms(False)
