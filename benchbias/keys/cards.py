"""The NVIDIA cards of this machine, from the driver's files: which of them a run may use, and how many stages at once.

No torch: a plan names the model of a card in its keys, and is made before anything is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchbias.errors import UsageError

DRIVER = Path("/proc/driver/nvidia/gpus")
ALL = "all"  # in a device's text: every card that is visible
SHARE = "BENCHBIAS_CARD_SHARE"
"""The environment variable of a worker that says how many workers share its card."""
CONTEXT_BYTES = 512 << 20  # of a card's memory, which CUDA itself takes for each process


@dataclass(frozen=True)
class Card:
    """A card. number: in the order of the bus, as `nvidia-smi` counts. uuid: empty where the driver does not tell."""

    number: int
    uuid: str
    model: str

    @property
    def name(self) -> str:
        """The card's name in CUDA_VISIBLE_DEVICES: by UUID where there is one, which no order of cards can change."""
        return self.uuid or str(self.number)


@dataclass(frozen=True)
class Slots:
    """The places in which stages run at once. cards: names for CUDA_VISIBLE_DEVICES; none on the CPU."""

    cards: tuple[str, ...]
    per_card: int
    jobs: int

    @property
    def settings(self) -> dict[str, str]:
        """Environment variables of all workers: the order that numbers of cards count in, how many share a card."""
        return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", SHARE: str(self.per_card)} if self.cards else {}


def cards_here() -> list[Card]:
    """All cards that the driver knows, in the order of the bus."""
    found = []
    for number, file in enumerate(sorted(DRIVER.glob("*/information"))):
        try:
            text = file.read_text(errors="replace")
        except OSError:  # it has fallen off the bus
            text = ""
        fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
        uuid = fields.get("GPU UUID", "")
        found.append(Card(number, "" if "?" in uuid else uuid, fields.get("Model") or "unknown model"))
    return found


def visible_cards() -> list[Card]:
    """The cards that CUDA_VISIBLE_DEVICES shows, in its order; all without it.

    As CUDA reads it: numbers, or UUIDs that may be cut short; what follows an entry that fits no card is not shown.
    """
    here = cards_here()
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if shown is None:
        return here
    found: list[Card] = []
    for entry in shown.split(","):
        card = _shown(here, entry.strip())
        if card is None or card in found:
            break
        found.append(card)
    return found


def _shown(here: Sequence[Card], entry: str) -> Card | None:
    """The card that an entry of CUDA_VISIBLE_DEVICES names; None where it names none, or several."""
    if entry.startswith("MIG-"):  # a part of a card: the driver's files do not say of which, nor how large
        models = ", ".join(sorted({card.model for card in here}))
        return Card(-1, entry, f"{models} {entry}") if here else None
    if entry.isdecimal():
        return here[int(entry)] if int(entry) < len(here) else None
    named = [card for card in here if len(entry) > len("GPU-") and card.uuid.startswith(entry)]
    return named[0] if len(named) == 1 else None


def chosen_cards(device: str) -> list[Card]:
    """The cards that a device names; none for `cpu`.

    device: `cpu`, `cuda` (the first card that is visible), `cuda:1`, `cuda:0,1`, `cuda:all`; numbers are those of
    visible cards, as torch counts them, and a UUID may stand for one. Raises UsageError where a card is not there, is
    named twice, or where two cards are of different models: keys name the model, and other models give other bytes.
    """
    kind, separator, text = device.partition(":")
    if device == "cpu":
        return []
    if kind != "cuda" or (separator and not text):
        raise UsageError(f"unknown device {device!r:.80} (known: cpu, cuda, cuda:0, cuda:0,1, cuda:all)")
    visible = visible_cards()
    if not visible:
        raise UsageError(f"--device {device:.80}: this machine shows no NVIDIA GPU (known here: cpu)")
    chosen = visible if text == ALL else list(_named(visible, text or "0"))
    if len({card.model for card in chosen}) > 1:
        models = "; ".join(f"{visible.index(card)} {card.model}" for card in chosen)
        raise UsageError(f"--device {device:.80}: cards of one run are of one model, which keys name; here: {models}")
    return chosen


def _named(visible: Sequence[Card], text: str) -> Iterator[Card]:
    known = ", ".join(f"{number} {card.model}" for number, card in enumerate(visible))
    seen: set[Card] = set()
    for entry in text.split(","):
        by_number = visible[int(entry)] if entry.isdecimal() and int(entry) < len(visible) else None
        card = by_number or (None if entry.isdecimal() else _shown(visible, entry))
        if card is None:
            raise UsageError(f"no card {entry!r:.60} here (known: {known})")
        if card in seen:
            raise UsageError(f"card {entry!r:.60} is named twice; --per-gpu puts more stages on a card")
        seen.add(card)
        yield card


def device_of(device: str | None, gpus: str | None) -> str:
    """The device that `--device` and `--gpus` name together; `cpu` where neither is given. Raises UsageError."""
    if gpus is None:
        return device or "cpu"
    if device is not None and device != "cuda":
        raise UsageError(f"--device {device:.80} --gpus {gpus:.80}: give one of them; --gpus names cards of cuda")
    if not gpus.strip():
        raise UsageError("--gpus: name cards, such as 0,1, or all")
    return f"cuda:{gpus.replace(' ', '')}"


def slots_of(device: str, jobs: int | None, per_card: int, cpus: int) -> Slots:
    """How many stages run at once, and on which cards. Raises UsageError where more are asked for than there are slots.

    jobs: as asked for; None: one for each CPU, on cards one for each slot.
    """
    if per_card < 1:
        raise UsageError(f"--per-gpu {per_card}: at least one stage at once on a card")
    cards = tuple(card.name for card in chosen_cards(device))
    if not cards:
        if per_card != 1:
            raise UsageError(f"--per-gpu {per_card}: it is of cards; --device {device} has none")
        return Slots((), 1, cpus if jobs is None else jobs)
    slots = len(cards) * per_card
    if jobs is not None and jobs > slots:
        told = f"{len(cards)} card{'' if len(cards) == 1 else 's'} with {per_card} each"
        raise UsageError(f"--jobs {jobs}: there are {slots} slots ({told}); name more --gpus, or raise --per-gpu")
    return Slots(cards, per_card, slots if jobs is None else jobs)


def memory_fraction(environment: Mapping[str, str], total: int) -> float:
    """The fraction of its card's `total` bytes that a worker may allocate: its part, less what CUDA itself takes.

    At least half of its part. environment: of the worker; without SHARE it has the card to itself.
    """
    part = 1 / int(environment.get(SHARE, "1"))
    return max(part - CONTEXT_BYTES / total, part / 2)
