"""Gradients and weights that a pruner is given: copied when they are read, those of their step whenever that is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchbias.sparse import holding
from benchbias.sparse.copies import Copies, shapes
from benchbias.sparse.holding import Holder, Updates
from benchbias.sparse.masks import Mask


def test_a_tensor_is_copied_once_and_when_it_is_read() -> None:
    originals = {"a": torch.ones(2, 3), "b": torch.zeros(4)}
    made: list[Tensor] = []

    def copy(tensor: Tensor) -> Tensor:
        made.append(tensor)
        return tensor.clone()

    copies = Copies(originals, copy)
    assert (len(copies), list(copies), "a" in copies, "c" in copies) == (2, ["a", "b"], True, False)
    assert {name: tuple(shape.shape) for name, shape in shapes(copies).items()} == {"a": (2, 3), "b": (4,)}
    assert made == []
    copies["a"].zero_()
    assert bool(originals["a"].all())
    assert not bool(copies["a"].any()), "it stays what its reader made of it"
    copies.read_all()
    originals["b"].fill_(7)
    assert not bool(copies["b"].any())
    assert [id(tensor) for tensor in made] == [id(tensor) for tensor in originals.values()]
    with pytest.raises(KeyError):
        copies["c"]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def trained(change: Any, model: nn.Module, **updates: Any) -> list[dict[str, Tensor]]:
    """Train five steps, the mask changing at every one; the gradients of each, as they were before its step."""
    mask = Mask({name: torch.rand(p.shape) < 0.5 for name, p in model.named_parameters() if p.ndim == 2})
    holder = Holder(model, mask, Updates(every=1, until=1.0, **updates), lambda step, dense: change(dense) or mask)
    holder.begin(10)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    found = []
    with holding.holding(holder):
        for _ in range(5):
            optimizer.zero_grad()
            cross_entropy(model(torch.rand(4, 6)), torch.tensor([0, 1, 2, 0])).backward()
            found.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
            optimizer.step()
    return found


@pytest.mark.parametrize("updates", [{}, {"after_step": True}, {"mask_gradients": False}])
@pytest.mark.parametrize("read", [True, False])
def test_gradients_that_are_kept_are_those_of_their_step(updates: dict[str, Any], read: bool) -> None:
    kept: list[Any] = []

    def change(dense: Any) -> None:
        kept.append(dense)
        if read:
            assert bool(dense["0.weight"].any())

    steps = trained(change, network(), **updates)
    steps = steps[len(steps) - len(kept) :] if not updates.get("after_step") else steps[: len(kept)]
    for dense, expected in zip(kept, steps, strict=True):
        assert all(torch.equal(dense[name], gradient) for name, gradient in expected.items())


def test_only_gradients_that_are_read_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[int] = []
    plain = holding._gradient
    monkeypatch.setattr(holding, "_gradient", lambda parameter: copied.append(parameter.numel()) or plain(parameter))
    trained(lambda dense: None, network())
    assert copied == []
    trained(lambda dense: dense["2.weight"] is None, network())
    assert copied == [24] * 4


def test_a_pruner_that_writes_into_gradients_trains_the_same() -> None:
    def vandal(dense: Any) -> None:
        for gradient in dense.values():
            gradient.fill_(1000.0)

    spoilt, whole = network(), network()
    torch.manual_seed(1)
    trained(vandal, spoilt)
    torch.manual_seed(1)
    trained(lambda dense: None, whole)
    assert all(torch.equal(one, other) for one, other in zip(spoilt.parameters(), whole.parameters(), strict=True))


def test_factors_stay_the_same_tensors_while_the_same_parameters_are_held() -> None:
    model = network()
    mask = Mask({"0.weight": torch.rand(8, 6) < 0.5})
    holder = Holder(model, mask)
    before = [factor.data_ptr() for factor in holder.factors]
    changed = Mask({"0.weight": torch.rand(8, 6) < 0.5})
    holder.put(changed, 1)
    assert [factor.data_ptr() for factor in holder.factors] == before
    assert torch.equal(holder.factors[0].bool(), changed.tensors["0.weight"])
    holder.put(Mask({"2.weight": torch.ones(3, 8, dtype=torch.bool), "0.weight": mask.tensors["0.weight"]}), 2)
    assert [tuple(factor.shape) for factor in holder.factors] == [(3, 8), (8, 6)]
    assert torch.equal(holder.factors[1].bool(), mask.tensors["0.weight"])
