"""Effective weights of conflicting examples where a batch's loss is divided by the batch's weights, as in REST."""

from __future__ import annotations

from math import comb

from benchbias.board.text import table_lines
from benchbias_plugins.methods.rest import BETAS, RATIOS

BATCH = 256
ABOUT = """## What a weight comes to

`rest-paper`, `rest-repaired` and their dense controls weigh the loss as Eq. 6 does, divided by the sum of the batch's
weights. A batch with several conflicting examples counts each of them less. The effective weight is a ratio: the
expected share of a conflicting example in its batch's loss, over that of an aligned one. The other examples of the
batch are drawn with the share of conflicting examples in training; batches of {batch}.

The smaller the batch, the less is left: a weight of 80 at 5 % comes to {at_5:.0f} in batches of 64, at 0.5 % to
{at_half:.0f}. A sampler's weight (`rest-code`) is what it says: it decides how often an example is drawn."""


def effective_weight(beta: float, share: float, batch_size: int) -> float:
    """The weight of a conflicting example in an epoch over that of an aligned one, where each batch is normalised.

    share: of conflicting examples in training. An example's weight in its batch is its own over the sum of the batch's.
    Expected over the other examples of the batch, of which a binomial number conflicts.
    """
    others = batch_size - 1
    conflicting = aligned = 0.0
    for count in range(others + 1):
        chance = comb(others, count) * share**count * (1 - share) ** (others - count)
        conflicting += chance / (beta * (count + 1) + others - count)
        aligned += chance / (beta * count + others - count + 1)
    return beta * conflicting / aligned


def weight_lines() -> list[str]:
    """The section of the page: effective weights of the rows that weigh the loss."""
    cells = [
        [name, f"{100 * share:g} %", f"{beta:g}", f"{effective_weight(beta, share, BATCH):.0f}"]
        for name, betas in BETAS.items()
        if name != "code80"  # the released sampler's: drawn, not normalised
        for share, beta in zip(RATIOS, betas, strict=True)
        if name != "paper_bffhq" or share == RATIOS[0]
    ]
    return [
        *ABOUT.format(
            batch=BATCH, at_5=effective_weight(80, 0.05, 64), at_half=effective_weight(80, 0.005, 64)
        ).splitlines(),
        "",
        *table_lines(cells, ["weights", "conflicting in training", "weight", "effective weight"]),
        "",
    ]
