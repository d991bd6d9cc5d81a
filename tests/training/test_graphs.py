"""A CUDA graph is recorded on a stream of its own, which waits for the main one and is waited for: with a fake card."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
import torch

from benchbias.training.graphs import CudaGraph, graph_maker


class FakeStream:
    def __init__(self, name: str, said: list[str]) -> None:
        self.name, self.said = name, said

    def wait_stream(self, other: FakeStream) -> None:
        self.said.append(f"{self.name} waits for {other.name}")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Everything that is asked of torch.cuda, in order."""
    told: list[str] = []
    main = FakeStream("main", told)

    class FakeGraph:
        def replay(self) -> None:
            told.append("replayed")

    @contextlib.contextmanager
    def on(stream: FakeStream) -> Iterator[None]:
        told.append(f"on {stream.name}")
        yield
        told.append(f"off {stream.name}")

    @contextlib.contextmanager
    def recording(graph: FakeGraph, stream: FakeStream, capture_error_mode: str) -> Iterator[None]:
        told.append(f"records on {stream.name}, {capture_error_mode}")
        yield
        told.append("recorded")

    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: FakeStream(f"side of {device}", told))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: main)
    monkeypatch.setattr(torch.cuda, "stream", on)
    monkeypatch.setattr(torch.cuda, "graph", recording)
    return told


def test_steps_are_recorded_once_on_the_stream_on_which_they_were_warmed_up(said: list[str]):
    make = graph_maker(torch.device("cuda", 1))
    assert make is not None
    graph = make()
    assert isinstance(graph, CudaGraph)
    with graph.beside():
        said.append("step")
    graph.capture(lambda: said.append("step"))
    graph.replay()
    graph.replay()
    assert said == [
        *("side of cuda:1 waits for main", "on side of cuda:1", "step", "off side of cuda:1"),
        *("main waits for side of cuda:1", "records on side of cuda:1, thread_local", "step", "recorded"),
        *("replayed", "replayed"),
    ]
