"""Cards that are not there: the driver's files, written by a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchbias.keys import cards

A, B = "NVIDIA A100-SXM4-40GB", "NVIDIA H200"


def uuid_of(number: int) -> str:
    """The UUID of a fake card."""
    return f"GPU-{number:08x}-0000-0000-0000-000000000000"


def put_cards(monkeypatch: pytest.MonkeyPatch, folder: Path, *models: str, visible: str | None = None) -> None:
    """Let the driver's files show cards of these models, and CUDA_VISIBLE_DEVICES be this (None: not set)."""
    for number, model in enumerate(models):
        file = folder / f"0000:{number:02x}:00.0" / "information"
        file.parent.mkdir(parents=True)
        file.write_text(
            f"Model: \t\t {model}\nIRQ:   \t\t 27\nGPU UUID: \t {uuid_of(number)}\nDevice Minor: \t {number}\n"
        )
    monkeypatch.setattr(cards, "DRIVER", folder)
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
