"""Claims of the literature as contrasts of two rows, and what records say of each. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from benchbias.cells import CellLayout
from benchbias.comparing import row_of_task, tasks_of
from benchbias.errors import UsageError, unknown
from benchbias.estimates import LEVEL, MARGIN, Estimate, difference, equivalence_p_value, p_value, student_t
from benchbias.markdown import escaped, gap_text, table_lines, title
from benchbias.ranking import SMALLEST_GAP
from benchbias.results import TrialRecord
from benchbias.rows import Trials, trials_of
from benchbias.suite import check_name, read_document, shipped_file
from benchbias.tables import Table, checked

Found = tuple[Sequence[TrialRecord], Mapping[str, CellLayout]]
Verdict = Literal["supported", "refuted", "equivalent", "unresolved", "not run"]


class ClaimTable(Table):
    """`[claims.NAME]`: that `row` is higher or lower than `other` in a metric, or within `margin` points of it."""

    says: Annotated[str, Field(min_length=1, max_length=300)]
    suite: str
    row: str
    other: str
    metric: str
    expects: Literal["higher", "lower", "equivalent"]
    margin: Annotated[float, Field(ge=0.1, le=100)] = 100 * MARGIN
    task: str | None = None
    written: Literal["before its seeds", "after its seeds"]


@dataclass(frozen=True)
class Answer:
    """What records say of one claim.

    gap: row - other, as a fraction; None where there are no records. different, alike: p-values adjusted over the
    file. power: the probability, at the file's first step, of the verdict `supported` if the rows differed by the
    margin as expected (for `equivalent`: not at all).
    """

    name: str
    claim: ClaimTable
    verdict: Verdict
    gap: Estimate | None
    different: float
    alike: float
    power: float | None


def load_claims(path: Path | None = None) -> tuple[dict[str, ClaimTable], str]:
    """The claims of a file (default: the shipped claims.toml) and the file's sha256. Raises UsageError."""
    chosen = path or shipped_file("claims.toml")
    label = str(path) if path else "claims.toml (shipped)"
    document = read_document(chosen, label)
    for section in document:
        if section not in ("schema", "claims"):
            raise UsageError(unknown("section", section, ("schema", "claims"), label))
    entries = document.get("claims")
    if not isinstance(entries, dict) or not entries:
        raise UsageError(f"{label}: there is no claim: [claims.NAME]")
    claims = {}
    for name, entry in entries.items():
        where = f"{label}: claims.{name!s:.80}"
        check_name(name, where)
        claims[name] = checked(ClaimTable, entry, where)
    return claims, hashlib.sha256(chosen.read_bytes()).hexdigest()


def answer_claims(claims: Mapping[str, ClaimTable], records_of: Callable[[str], Found | None]) -> list[Answer]:
    """Every claim's verdict, adjusted for all of them. records_of: suite -> its records, or None where none are.

    Raises UsageError for a row, task or metric that the records do not have.
    """
    rows: dict[str, Sequence[Trials] | None] = {}
    for claim in claims.values():
        if claim.suite not in rows:
            found = records_of(claim.suite)
            rows[claim.suite] = None if found is None else trials_of(*found)
    gaps = {name: _gap(name, claim, rows[claim.suite]) for name, claim in claims.items()}
    adjusted = adjust([_p_values(gaps[name], claim) for name, claim in claims.items()])
    found_answers = []
    for (name, claim), (different, alike) in zip(claims.items(), adjusted, strict=True):
        gap = gaps[name]
        verdict = "not run" if rows[claim.suite] is None else _verdict(claim, gap, different, alike)
        found_answers.append(Answer(name, claim, verdict, gap, different, alike, _power(claim, gap, len(claims))))
    return found_answers


def _gap(name: str, claim: ClaimTable, rows: Sequence[Trials] | None) -> Estimate | None:
    if rows is None:
        return None
    where = f"claims.{name}"
    tasks = tasks_of(rows)
    if claim.task is None and len(tasks) > 1:
        raise UsageError(f"{where}: suite {claim.suite!r} has several tasks ({', '.join(tasks)}): name one, task = ...")
    task = claim.task or tasks[0]
    if task not in tasks:
        raise UsageError(unknown("task", task, tasks, where))
    sides = []
    for row in (claim.row, claim.other):
        trials = row_of_task(rows, task, row)
        if trials is None:
            raise UsageError(unknown("row", row, [one.label for one in rows if one.first["task"] == task], where))
        if claim.metric not in trials.values:
            raise UsageError(unknown("metric", claim.metric, trials.values, where))
        sides.append(trials)
    seeds = sorted(sides[0].records.keys() & sides[1].records.keys())
    one, other = (side.measured(claim.metric, seeds) for side in sides)
    return difference(one, other) if one and other else None


def _p_values(gap: Estimate | None, claim: ClaimTable) -> tuple[float, float]:
    """Of the two null hypotheses of a claim, of which at most one is true: that they are alike, that they differ.

    Where a claim says `equivalent`, to differ is to differ by more than the margin.
    """
    margin = claim.margin / 100
    different = p_value(gap) if claim.expects != "equivalent" else _beyond(gap, margin)
    return different, equivalence_p_value(gap, margin)


def _beyond(gap: Estimate | None, margin: float) -> float:
    """Of a mean within [-margin, margin]: twice the one-sided test's at the bound that the mean is beyond."""
    if gap is None or abs(gap.mean) <= margin:
        return 1.0
    return min(1.0, p_value(replace(gap, mean=abs(gap.mean) - margin)))


def adjust(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Holm's adjustment of two p-values a claim, counting as Shaffer (1986): at most one null of a claim is true.

    So the first factor is the number of claims, and a claim counts until both of its nulls are rejected.
    """
    order = sorted((p, claim, side) for claim, pair in enumerate(pairs) for side, p in enumerate(pair))
    adjusted = [[1.0, 1.0] for _ in pairs]
    rejected = [0] * len(pairs)
    largest = 0.0
    for p, claim, side in order:
        largest = max(largest, min(1.0, sum(count < 2 for count in rejected) * p))
        adjusted[claim][side] = largest
        rejected[claim] += 1
    return [(different, alike) for different, alike in adjusted]


def _verdict(claim: ClaimTable, gap: Estimate | None, different: float, alike: float) -> Verdict:
    if gap is None:
        return "unresolved"
    if alike <= 1 - LEVEL:
        return "supported" if claim.expects == "equivalent" else "equivalent"
    smallest = SMALLEST_GAP if claim.metric == "worst_group_accuracy" else 0.0
    if different > 1 - LEVEL or abs(gap.mean) < smallest:
        return "unresolved"
    return "supported" if claim.expects == ("higher" if gap.mean > 0 else "lower") else "refuted"


def _power(claim: ClaimTable, gap: Estimate | None, claims: int) -> float | None:
    """At a level of 5 % over the number of claims, with the standard error that there is; None without one."""
    from scipy.special import nctdtr, stdtr

    if gap is None or not gap.standard_error or gap.freedom is None:
        return None
    level = (1 - LEVEL) / claims
    size = claim.margin / 100 / gap.standard_error
    if claim.expects == "equivalent":
        room = size - float(student_t(gap.freedom, 1 - level))
        return max(0.0, 2 * float(stdtr(gap.freedom, room)) - 1)
    return 1 - float(nctdtr(gap.freedom, size, float(student_t(gap.freedom, 1 - level / 2))))


def claims_text(answers: Sequence[Answer], digest: str) -> str:
    """Markdown: the verdicts, and how to read them."""
    header = ["claim", "verdict", "says", "suite", "contrast", "metric", "difference", "p", "power", "written"]
    cells = [_cells(answer) for answer in answers]
    return "\n".join(
        [
            "# Claims",
            "",
            *table_lines(cells, header),
            "",
            f"{len(answers)} claims of the file with sha256 `{digest}`. Differences in points, ± half of the "
            f"{100 * LEVEL:.0f} % interval, paired by seed and test example.",
            "",
            "- **supported**, **refuted**: told from zero, in the direction that the claim says or in the other. "
            "**equivalent**: within the margin (two one-sided tests). **unresolved**: neither.",
            "- A claim of equivalence is supported if that is shown, and refuted if the difference is told to be "
            "beyond the margin.",
            "- **p**: the smaller of both tests', adjusted for all claims of the file (Holm, counted as Shaffer, "
            "1986); told at 5 %.",
            "- **power**: the probability of `supported` in such runs, at the first step of the adjustment, if the "
            "difference were the margin (for equivalence: nothing).",
            "- **written**: before the claim's seeds ran, or after they had been seen, which tests no prediction.",
            "",
        ]
    )


def _cells(answer: Answer) -> list[str]:
    claim = answer.claim
    expected = {"higher": ">", "lower": "<", "equivalent": "="}[claim.expects]
    p = min(answer.different, answer.alike)
    known = answer.gap is not None and answer.gap.half_width is not None
    return [
        escaped(answer.name),
        f"**{answer.verdict}**",
        escaped(claim.says),
        escaped(claim.suite),
        f"{escaped(claim.row)} {expected} {escaped(claim.other)} (margin {claim.margin:g})",
        title(claim.metric),
        gap_text(answer.gap) + (f" (n = {answer.gap.n})" if answer.gap else ""),
        ("< 0.0001" if p < 1e-4 else f"{p:.4f}") if known else "–",
        "–" if answer.power is None else f"{answer.power:.2f}",
        escaped(claim.written),
    ]


def claims_data(answers: Sequence[Answer], digest: str) -> dict[str, Any]:
    """For JSON: as `claims_text`; differences as fractions."""
    entries = [
        {
            "claim": answer.name,
            "verdict": answer.verdict,
            **answer.claim.model_dump(),
            "difference": None if answer.gap is None else answer.gap.mean,
            "half_width": None if answer.gap is None else answer.gap.half_width,
            "seeds": None if answer.gap is None else answer.gap.n,
            "p_different": answer.different,
            "p_equivalent": answer.alike,
            "power": answer.power,
        }
        for answer in answers
    ]
    return {"schema": 1, "sha256": digest, "claims": entries}
