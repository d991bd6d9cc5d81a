"""CUDA graphs as captured steps use them: a step recorded once, and all of its launches made again by one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch


class Graph(Protocol):
    """Records a step that reads and writes the same tensors each time, and makes it again."""

    def beside(self) -> AbstractContextManager[None]:
        """Run a block as the recorded step will run: for the steps before it is recorded."""
        ...

    def capture(self, step: Callable[[], None]) -> None:
        """Record a step, without making it."""
        ...

    def replay(self) -> None:
        """Make the recorded step."""
        ...


class CudaGraph:
    """A torch.cuda.CUDAGraph. Tensors that the step makes lie in its own memory, at the same place each time."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.graph = torch.cuda.CUDAGraph()
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Run a block on a stream of its own, as torch asks of the steps before a capture."""
        self.stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self.stream):
            yield
        torch.cuda.current_stream(self.device).wait_stream(self.stream)

    def capture(self, step: Callable[[], None]) -> None:
        with torch.cuda.graph(self.graph, stream=self.stream, capture_error_mode="thread_local"):
            step()

    def replay(self) -> None:
        self.graph.replay()


def graph_maker(device: torch.device) -> Callable[[], Graph] | None:
    """Choose how steps are captured on a device; None on a CPU, where launches cost nothing."""
    if device.type != "cuda":
        return None
    return lambda: CudaGraph(device)
