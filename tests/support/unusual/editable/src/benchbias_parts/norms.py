"""What a weight's size is."""

from torch import Tensor


def size(weight: Tensor, norm: str) -> Tensor:
    """|w|, or its square."""
    return weight.detach().abs() if norm == "l1" else weight.detach().square()
