"""Milliseconds and bytes of finished networks as markdown: measured once, on one machine, and no part of a rank."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from benchbias.board.text import escaped, table_lines
from benchbias.records.latency import Architecture, Latency, LatencyRow, Network, Timing

NO_GAIN = "no gain"
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
    machine = found.machine
    thread = "one thread" if machine.threads == 1 else f"{machine.threads} threads"
    place = escaped(machine.cpu if machine.device == "cpu" else machine.device)
    lines = [
        f"Measured on {machine.date} on {place}, {thread}, {escaped(machine.system)}, torch {escaped(machine.torch)}. "
        "Nothing of it reaches a rank or a verdict.",
    ]
    if found.busy is not None:
        lines += ["", f"**The machine was busy**: {escaped(found.busy)}. These times are too long."]
    for number, architecture in enumerate(found.architectures):
        members = [row for row in rows if row.architecture == number]
        if members:
            lines += ["", f"### {escaped(architecture.task)}: {escaped(architecture.network)}", ""]
            lines += table_lines(list(_cells(architecture, members)), _header(architecture.dense))
    return [*lines, "", *_legend(found), *_left(found, rows)]


def _header(dense: Network) -> list[str]:
    sizes = [f"{timing.batch} {'image' if timing.batch == 1 else 'images'}" for timing in dense.timings]
    times = [f"milliseconds, {size}" for size in sizes]
    return [
        *("method", "network", "parameters", "non-zero", "bytes"),
        *times,
        *(f"time over dense, {size}" for size in sizes),
    ]


def _cells(architecture: Architecture, rows: Iterable[LatencyRow]) -> Iterable[list[str]]:
    yield _line("_the dense network_", architecture.dense, first=True)
    for row in rows:
        label = escaped(row.row) + (f", seed {row.seed}" if row.seed else "")
        yield _line(label, row.finished)
        if row.slimmed is not None:
            yield _line(label, row.slimmed)


def _line(label: str, network: Network, *, first: bool = False) -> list[str]:
    return [
        label,
        FORMS[network.what],
        f"{network.parameters:,}",
        f"{network.nonzero:,}",
        f"{network.bytes:,}",
        *(_milliseconds(timing) for timing in network.timings),
        *("–" if first else _over_dense(timing) for timing in network.timings),
    ]


def _milliseconds(timing: Timing) -> str:
    spread = timing.milliseconds
    return f"{spread.median:.3g} ({spread.lower:.3g}–{spread.upper:.3g})"


def _over_dense(timing: Timing) -> str:
    ratio = timing.ratio
    told = f"{ratio.median:.2f} ({ratio.lower:.2f}–{ratio.upper:.2f})"
    return f"**{told}**" if timing.gain else f"{NO_GAIN}: {told}"


def _legend(found: Latency) -> list[str]:
    return [
        f"- **milliseconds**: of a forward pass, median of {found.repeats} rounds with quartiles. All networks of a "
        "table take turns in each round.",
        "- **time over dense**: of the same round, median with its 95 % interval. Bold: a gain. The interval lies "
        "below one by more than 2 %, and by more than two copies of the dense network differ. Else *no gain*.",
        "- **bytes**: of a safetensors file of all tensors. **non-zero**: parameters that are not zero; zeros take "
        "bytes and time as others do, until units are cut out.",
        "- **slimmed**: removed units are cut out, and the logits stay the same.",
    ]


def _left(found: Latency, rows: Sequence[LatencyRow]) -> list[str]:
    """Lines on what was not cut and on rows that are not here."""
    lines = []
    for row in rows:
        if row.left:
            count = f"{len(row.left)} {'layer keeps' if len(row.left) == 1 else 'layers keep'}"
            lines.append(f"- {escaped(row.row)}: {count} removed units as zeros, e.g. {escaped(row.left[0])}.")
        if row.note:
            lines.append(f"- {escaped(row.row)} is not slimmed: {escaped(row.note)}.")
    lines += [
        f"- {escaped(one.task)}, {escaped(one.row)}: no network: {escaped(one.reason)}." for one in found.left_out
    ]
    return ["", *lines] if lines else []
