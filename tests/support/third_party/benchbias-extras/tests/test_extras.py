"""The three components keep their contract, and compute what their papers say."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import benchbias_extras
import torch
from benchbias_extras import Ema, fresh, generalised_cross_entropy, snip
from torch import nn
from torch.nn.functional import cross_entropy

from benchbias import Split, TrainingData
from benchbias.testing import parametrize_with_checks


@parametrize_with_checks(benchbias_extras)
def test_it_keeps_its_contract(check: Callable[[], None]) -> None:
    check()


def test_snip_is_the_sensitivity_to_a_gate_on_every_connection():
    stream = torch.Generator().manual_seed(0)
    split = Split(
        torch.randint(0, 256, (20, 1, 2, 2), generator=stream, dtype=torch.uint8), torch.arange(20) % 2, 2, "train"
    )
    data = TrainingData(split, split, (0.5,), (0.5,), 8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    gates = torch.ones(2, 4, requires_grad=True)
    batch = data.batch(split, torch.arange(20))
    logits = batch.images.flatten(1) @ (gates * model[1].weight.detach()).T + model[1].bias.detach()
    cross_entropy(logits, batch.labels).backward()
    context = SimpleNamespace(prunable=lambda model: {"1.weight": model[1].weight}, generator=stream)
    torch.testing.assert_close(snip(model, data, context, batches=0)["1.weight"].detach(), gates.grad.abs())


def test_running_means_begin_with_the_first_loss_and_stand_over_the_largest_of_their_class():
    ema = Ema(torch.tensor([0, 0, 1, 1]), 0.7)
    first = ema.update(torch.tensor([0, 1, 2]), torch.tensor([1.0, 4.0, 2.0]))
    torch.testing.assert_close(first, torch.tensor([0.25, 1.0, 1.0]))
    second = ema.update(torch.tensor([0]), torch.tensor([2.0]))
    torch.testing.assert_close(ema.mean, torch.tensor([0.7 + 0.6, 4.0, 2.0, 0.0]))
    torch.testing.assert_close(second, torch.tensor([1.3 / 4]))


def test_the_biased_loss_follows_what_is_right_already():
    logits, labels = torch.tensor([[2.0, 0.0], [0.0, 2.0]], requires_grad=True), torch.tensor([0, 0])
    plain = torch.autograd.grad(cross_entropy(logits, labels, reduction="sum"), logits)[0]
    found = torch.autograd.grad(generalised_cross_entropy(logits, labels, 0.7).sum(), logits)[0]
    right = logits.detach().softmax(dim=1)[:, :1]
    torch.testing.assert_close(found, right**0.7 * plain)


def test_the_twin_has_weights_of_its_own_and_leaves_torchs_random_numbers_alone():
    model, state = nn.Sequential(nn.Linear(3, 2)).eval(), torch.random.get_rng_state()
    twin, again = (fresh(model, torch.Generator().manual_seed(1)) for _ in range(2))
    assert twin.training
    assert not torch.equal(twin[0].weight, model[0].weight)
    assert torch.equal(twin[0].weight, again[0].weight)
    assert torch.equal(state, torch.random.get_rng_state())
