"""The table of one paper's statements: the records' answer to each, with its verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fidelity_numbers import link
from fidelity_records import Published, gaps_of, mean_of, points, values_of, without
from fidelity_rule import Size, Verdict, elsewhere, interval_of_size, verdict_of_order, verdict_of_size
from fidelity_tables import StatementTable

from benchbias.board.claims import Answer
from benchbias.board.row_trials import Trials
from benchbias.board.text import gap_text, table_lines, title
from benchbias.errors import UsageError, unknown
from benchbias.statistics.influence import Measured

FROM_CLAIMS: Mapping[str, Verdict] = {
    "supported": "reproduced",
    "refuted": "not reproduced",
    "equivalent": "not reproduced",
    "unresolved": "unresolved",
    "not run": "not attempted",
}
HEADER = ["what is published", "place", "ours, or why not", "verdict"]


@dataclass(frozen=True)
class Said:
    """The records' answer to a statement: evidence, verdict, and the suite whose runs answer."""

    evidence: str
    verdict: Verdict
    suite: str | None = None


def statements(
    tables: Mapping[str, StatementTable], published: Published, answers: Mapping[str, Answer]
) -> tuple[list[str], dict[str, list[Said]]]:
    """The table of one paper's statements, a line each (or a line a claim), and the answers by statement."""
    found = {
        key: list(said(one, published, answers, f"fidelity.toml: statements.{key}")) for key, one in tables.items()
    }
    lines = [
        [tables[key].says, tables[key].place, one.evidence, f"**{one.verdict}**"]
        for key, several in found.items()
        for one in several
    ]
    return ([*table_lines(lines, HEADER), ""] if lines else []), found


def said(one: StatementTable, published: Published, answers: Mapping[str, Answer], where: str) -> Sequence[Said]:
    """The records' answer to a statement, once for each claim that it is."""
    if one.verdict is not None:
        return [Said(one.why, one.verdict)]
    for name in one.claims:
        if name not in answers:
            raise UsageError(unknown("claim", name, answers, where))
    found = [by_claim(name, answers[name]) for name in one.claims] or [by_rows(one, published, where)]
    for answer in found if one.other_data else ():
        if answer.suite not in one.other_data:
            raise UsageError(unknown("suite", str(answer.suite), one.other_data, f"{where}: other_data"))
    return [on_other_data(answer, one.other_data[str(answer.suite)]) if one.other_data else answer for answer in found]


def on_other_data(answer: Said, data: str) -> Said:
    """The same answer where our data are not the paper's."""
    return Said(f"{answer.evidence}; ours: {data}", elsewhere(answer.verdict), answer.suite)


def by_claim(name: str, answer: Answer) -> Said:
    """One claim's verdict in the words of this page."""
    file = name.split(":")[0].removesuffix(".toml")
    text = f"claim `{answer.name}`, {link(answer.claim.suite)}: {answer.verdict} ([claims](../leaderboard/{file}.md))"
    return Said(text, FROM_CLAIMS[answer.verdict], answer.claim.suite)


def by_rows(one: StatementTable, published: Published, where: str) -> Said:
    """The answer by two rows of a suite: their difference over the runs that did not fail."""
    suite, metric = str(one.suite), str(one.metric)
    row, other = (published.row(suite, one.task, str(name), where) for name in (one.row, one.other))
    against = f"`{one.row}` against `{one.other}`, {title(metric)}"
    if row is None or other is None:
        return Said(f"{against}: suite `{suite}` has no records", "not attempted", suite)
    every = gaps_of(values_of(row, metric, where), values_of(other, metric, where))
    seeds = failed_seeds(one, published, (row, other), where)
    kept = without(every, seeds)
    verdict, interval = judged(one, kept)
    text = f"{against}: {gap_text(mean_of(kept))}, n = {len(kept)}{interval}"
    if seeds:
        named = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
        text += f"; with failed runs ({named}) {gap_text(mean_of(every))}"
        text += f", n = {len(every)}, {judged(one, every)[0]}"
    return Said(f"{text} ({link(suite)})", verdict, suite)


def failed_seeds(one: StatementTable, published: Published, pair: tuple[Trials, Trials], where: str) -> list[int]:
    """The seeds in which the network that both rows prune failed, or, where none is named, either row."""
    suite = str(one.suite)
    rows: tuple[Trials | None, ...] = (published.row(suite, one.task, one.before, where),) if one.before else pair
    return sorted({seed for row in rows if row is not None for seed in published.failed(suite, row).seeds})


def judged(one: StatementTable, gaps: Mapping[int, Measured]) -> tuple[Verdict, str]:
    """The verdict by direction, or by direction and size; and the interval that a size was held against."""
    gap = mean_of(gaps)
    assert one.expects is not None
    if one.size is None:
        return verdict_of_order(gap, one.expects), ""
    decimals = one.size.decimals
    rounding = 0.0 if decimals is None else 10.0**-decimals  # half a digit of both numbers
    size = Size(one.size.low, one.size.high, rounding, one.size.runs)
    interval = interval_of_size(points(gaps), gap, size)
    told = f"{size.low:+g}" if size.low == size.high else f"{size.low:+g} to {size.high:+g}"
    if interval is None or size.runs is None:
        text = f"; size {told}"
    else:
        text = f"; expected {interval.low:+.1f} to {interval.high:+.1f}, published {told}"
    return verdict_of_size(points(gaps), gap, size, one.expects), text


def counted(found: Mapping[str, list[Said]]) -> Counter[Verdict]:
    """How many lines have which verdict."""
    return Counter(one.verdict for several in found.values() for one in several)
