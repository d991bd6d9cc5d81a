"""Places on cards: as many processes on each card as fit there, and no more."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence


class Slots:
    """Slots of cards, `per_card` on each; a process has one as long as it lives."""

    def __init__(self, cards: Sequence[str], per_card: int) -> None:
        self._free = deque(card for _ in range(per_card) for card in cards)  # the first ones on different cards

    @property
    def free(self) -> bool:
        """Whether a slot is free."""
        return bool(self._free)

    def take(self) -> str:
        """The card of a free slot, which is taken by it."""
        return self._free.popleft()

    def give_back(self, card: str) -> None:
        """Free the slot of a process that is dead."""
        self._free.append(card)
