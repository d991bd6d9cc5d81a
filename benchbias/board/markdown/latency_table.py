"""Milliseconds and bytes of finished networks as markdown: measured once, on one machine, and no part of a rank."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from benchbias.board.text import escaped, table_lines
from benchbias.records.latency import Architecture, Earlier, Latency, LatencyRow, Machine, Network, Spread
from benchbias.records.latency_claims import claim

MOST_NAMED = 6  # rows that share a line
TITLE = "Milliseconds and bytes"
FORMS = {"dense": "dense", "finished": "as finished", "slimmed": "slimmed"}


def latency_section(found: Latency | None, trials: Mapping[str, Collection[str]]) -> list[str]:
    """The section of a page of details; nothing where nobody has measured.

    trials: the keys of the stages of each trial that the page is of, by its id. Rows of others are left out, and of
    networks that were trained anew since.
    """
    if found is None:
        return []
    rows = [row for row in found.rows if row.product in trials.get(row.trial, ())]
    return ["", f"## {TITLE}", "", *_body(found, rows)] if rows else []


def latency_page(found: Latency) -> str:
    """All of it as a page of its own."""
    return "\n".join([f"# {TITLE}: {escaped(found.suite)}", "", *_body(found, found.rows)]) + "\n"


def _body(found: Latency, rows: Sequence[LatencyRow]) -> list[str]:
    lines = [f"Measured {_on(found.machine)}. Nothing of it reaches a rank or a verdict.", *_busy(found.busy)]
    for number, architecture in enumerate(found.architectures):
        members = [row for row in rows if row.architecture == number]
        if members:
            lines += ["", f"### {escaped(architecture.task)}: {escaped(architecture.network)}", ""]
            lines += _earlier(architecture.earlier)
            busy = found.busy if architecture.earlier is None else architecture.earlier.busy
            cells = _cells(architecture, members, busy=busy is not None)
            lines += table_lines(list(cells), _header(architecture.dense))
    return [*lines, "", *_legend(found), *_left(found, rows)]


def _on(machine: Machine) -> str:
    thread = "one thread" if machine.threads == 1 else f"{machine.threads} threads"
    place = escaped(machine.cpu if machine.device == "cpu" else machine.device)
    return f"on {machine.date} on {place}, {thread}, {escaped(machine.system)}, torch {escaped(machine.torch)}"


def _busy(reason: str | None) -> list[str]:
    if reason is None:
        return []
    told = f"**The machine was busy**: {escaped(reason)}. These times are too long, and no gain is claimed or denied."
    return ["", told]


def _earlier(earlier: Earlier | None) -> list[str]:
    if earlier is None:
        return []
    told = f"This table is older than others: measured {_on(earlier.machine)}, in {earlier.repeats} rounds."
    return [told, *_busy(earlier.busy), ""]


def _header(dense: Network) -> list[str]:
    sizes = [f"{timing.batch} {'image' if timing.batch == 1 else 'images'}" for timing in dense.timings]
    times = [f"milliseconds, {size}" for size in sizes]
    return [
        *("method", "network", "parameters", "non-zero", "bytes"),
        *times,
        *(f"time over dense, {size}" for size in sizes),
    ]


def _cells(architecture: Architecture, rows: Iterable[LatencyRow], *, busy: bool) -> Iterable[list[str]]:
    yield _line("_the dense network_", architecture.dense, architecture, None)
    for row in rows:
        label = escaped(row.row) + (f", seed {row.seed}" if row.seed else "")
        yield _line(label, row.finished, architecture, busy)
        if row.slimmed is not None:
            yield _line(label, row.slimmed, architecture, busy)


def _line(label: str, network: Network, architecture: Architecture, busy: bool | None) -> list[str]:
    """The cells of a network. busy: whether the machine was; None for the dense network itself."""
    batches = architecture.dense.batches
    return [
        label,
        FORMS[network.what],
        f"{network.parameters:,}",
        f"{network.nonzero:,}",
        f"{network.bytes:,}",
        *(_milliseconds(network.timing(batch).milliseconds) for batch in batches),
        *("–" if busy is None else _over_dense(network, architecture.again, batch, busy=busy) for batch in batches),
    ]


def _milliseconds(spread: Spread) -> str:
    return f"{spread.median:.3g} ({spread.lower:.3g}–{spread.upper:.3g})"


def _over_dense(network: Network, again: Network, batch: int, *, busy: bool) -> str:
    ratio = network.timing(batch).ratio
    told = f"{ratio.median:.2f} ({ratio.lower:.2f}–{ratio.upper:.2f})"
    shown = claim(ratio.interval, again.timing(batch).ratio.interval, busy=busy)
    return f"**{told}**" if shown == "gain" else f"{shown}: {told}"


def _legend(found: Latency) -> list[str]:
    return [
        f"- **milliseconds**: of a forward pass, median of {found.repeats} rounds with quartiles. All networks of a "
        "table take turns in each round.",
        "- **time over dense**: of the same round, median with its 95 % interval. Bold: a gain. The interval lies "
        "below one by more than 2 %, and by more than two copies of the dense network differ. *No gain*: the whole "
        "interval lies above 0.98. *Not shown*: neither can be said.",
        "- **bytes**: of a safetensors file of all tensors. **non-zero**: parameters that are not zero; zeros take "
        "bytes and time as others do, until units are cut out.",
        "- **slimmed**: removed units are cut out, and the logits stay the same.",
    ]


def _left(found: Latency, rows: Sequence[LatencyRow]) -> list[str]:
    """Lines on what was not cut, and on rows without a timed network; rows of one reason share a line."""
    told: dict[str, list[str]] = {}
    for row in rows:
        called = f"{escaped(row.task)}, {escaped(row.row)}"
        if row.left:
            count = f"{len(row.left)} {'layer keeps' if len(row.left) == 1 else 'layers keep'}"
            told.setdefault(f"{count} removed units as zeros, e.g. {escaped(row.left[0])}", []).append(called)
        if row.note:
            told.setdefault(f"not slimmed: {escaped(row.note)}", []).append(called)
    for one in found.left_out:
        reason = f"no network was timed on {found.machine.date}: {escaped(one.reason)}"
        told.setdefault(reason, []).append(f"{escaped(one.task)}, {escaped(one.row)}")
    lines = [f"- {_some(list(dict.fromkeys(called)))}: {reason}." for reason, called in told.items()]
    return ["", *lines] if lines else []


def _some(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return "; ".join(names[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
