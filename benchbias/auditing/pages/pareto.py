"""The choice between compressed models: harm beside sizes and times, and who is beaten in everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchbias.auditing.pages.wording import bound
from benchbias.auditing.values import Audit, Compared, Facts, Latency

UNKNOWN = "-"
WORDS = ("model", "verdict", "dominated by")
"""The heads of columns that are no numbers."""


@dataclass(frozen=True)
class Offer:
    """One model of the table. harm: the largest that is not excluded, a share; None for the dense model.

    dominated: the name of a model that is nowhere worse and somewhere better, None where there is none.
    """

    name: str
    verdict: str
    harm: float | None
    facts: Facts
    dominated: str | None = None

    def latency(self, batch: int) -> Latency | None:
        """The time of a batch of this size, None where it was not measured."""
        return next((found for found in self.facts.latency if found.batch == batch), None)


def offers(audit: Audit) -> list[Offer]:
    """The dense model and the compressed ones, in the order of the audit."""
    dense = [Offer(audit.dense, "", None, audit.dense_facts)] if audit.dense_facts else []
    return [*dense, *(_offer(model, audit.models) for model in audit.models)]


def worth_telling(audit: Audit) -> bool:
    """Whether there is a choice, or anything known about size or speed."""
    return len(audit.models) > 1 or any(model.facts for model in audit.models)


def _offer(model: Compared, models: Sequence[Compared]) -> Offer:
    better = next((other.name for other in models if other is not model and _dominates(other, model)), None)
    return Offer(model.name, model.verdict, model.not_excluded, model.facts or Facts(), better)


def _dominates(one: Compared, other: Compared) -> bool:
    """Whether `one` is nowhere worse than `other` and somewhere better, in all that is known of both."""
    pairs = list(zip(_costs(one), _costs(other), strict=True))
    batches = {found.batch for found in _facts(one).latency} & {found.batch for found in _facts(other).latency}
    pairs += [(_time(one, batch), _time(other, batch)) for batch in sorted(batches)]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    costs = known[1:]  # the harm is no saving: without any other measure nobody dominates by size or speed
    return bool(costs) and all(a <= b for a, b in known) and any(a < b for a, b in known)


def _costs(model: Compared) -> tuple[float | None, ...]:
    facts = _facts(model)
    return model.not_excluded, facts.bytes_on_disk, facts.nonzeros


def _facts(model: Compared) -> Facts:
    return model.facts or Facts()


def _time(model: Compared, batch: int) -> float:
    return next(found.median for found in _facts(model).latency if found.batch == batch)


def table(audit: Audit) -> tuple[list[str], list[list[str]]]:
    """The heads and the cells of the table, the model first; columns of which nothing is known are left out."""
    sizes = sorted({found.batch for offer in offers(audit) for found in offer.facts.latency})
    heads = ["model", "verdict", "harm not excluded", "on disk", "non-zeros", *(f"ms at batch {n}" for n in sizes)]
    rows = [_row(offer, sizes, audit.options.margin) for offer in offers(audit)]
    heads.append("dominated by")
    kept = [at for at in range(len(heads)) if any(row[at] not in ("", UNKNOWN) for row in rows)]
    return [heads[at] for at in kept], [[row[at] for at in kept] for row in rows]


def _row(offer: Offer, sizes: Sequence[int], margin: float) -> list[str]:
    """The cells of one model; a dash where a number is unknown."""
    harm = UNKNOWN if offer.harm is None else bound(offer.harm, margin)
    facts = offer.facts
    times = [_time_text(offer.latency(size)) for size in sizes]
    return [
        *(offer.name, offer.verdict or UNKNOWN, harm, bytes_text(facts.bytes_on_disk), number_text(facts.nonzeros)),
        *(*times, offer.dominated or ""),
    ]


def machines(audit: Audit) -> list[str]:
    """The machines that times were measured on, each once."""
    return list(dict.fromkeys(o.facts.machine for o in offers(audit) if o.facts.machine and o.facts.latency))


def _time_text(found: Latency | None) -> str:
    if found is None:
        return UNKNOWN
    return f"{_three(found.median)} ({_three(found.low)}..{_three(found.high)})"


def _three(value: float) -> str:
    """Three digits that count, or the whole number where it has more."""
    return f"{value:.0f}" if value >= 999.5 else f"{value:#.3g}".rstrip(".")


def bytes_text(size: int | None) -> str:
    """A size with its unit in powers of ten, e.g. `46.8 MB`."""
    return UNKNOWN if size is None else _scaled(size, ("B", "kB", "MB", "GB", "TB"))


def number_text(number: int | None) -> str:
    """A large number with its unit, e.g. `11.7 M`."""
    return UNKNOWN if number is None else _scaled(number, ("", "k", "M", "G", "T"))


def _scaled(value: float, units: Sequence[str]) -> str:
    step = 0
    while value >= 999.5 and step < len(units) - 1:
        value, step = value / 1000, step + 1
    return f"{_three(value) if step else value} {units[step]}".rstrip()
