"""Claims of the literature held against records and analyses: a verdict for each, adjusted for all. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from benchbias.board.claim_tables import ClaimTable
from benchbias.board.claim_tables import load_claims as load_claims
from benchbias.board.evidence import Evidence
from benchbias.board.marks import FLOOR_ROOM, LEAST_FIT, Marks
from benchbias.board.text import escaped, gap_text, number_text, table_lines, title
from benchbias.statistics.estimates import LEVEL, Estimate, equivalence_p_value, p_value

Verdict = Literal["supported", "refuted", "equivalent", "unresolved", "not run"]


@dataclass(frozen=True)
class Answer:
    """The answer of the records to one claim: a verdict and its numbers.

    gap: row - other as a fraction, or value - against; None where there is none. different, alike: p-values adjusted
    over the file. marks: of the rows that it is about, by their names. power: the probability of the verdict
    `supported` at the file's first step. It is for a true difference of the margin in the expected direction (for
    `equivalent`: of zero).
    """

    name: str
    claim: ClaimTable
    verdict: Verdict
    gap: Estimate | None
    different: float
    alike: float
    power: float | None
    marks: Mapping[str, Marks]

    @property
    def shows_no_merit(self) -> bool:
        """Whether a claim about merit is left unresolved, since a row has not learnt what it is judged by."""
        return self.claim.about == "merit" and any(one.shows_no_merit for one in self.marks.values())


def answer_claims(claims: Mapping[str, ClaimTable], evidence_of: Callable[[str], Evidence | None]) -> list[Answer]:
    """Every claim's verdict, adjusted for all of them. evidence_of: a suite's, or None where nothing was run.

    Raises UsageError for a row, task, metric, analysis or cell that there is not.
    """
    known = {suite: evidence_of(suite) for suite in dict.fromkeys(claim.suite for claim in claims.values())}
    run = {name: one for name, c in claims.items() if (one := known[c.suite]) is not None and one.answers(c)}
    gaps = {name: run[name].gap(name, claim) if name in run else None for name, claim in claims.items()}
    adjusted = adjust([_p_values(gaps[name], claim) for name, claim in claims.items()])
    found_answers = []
    for (name, claim), (different, alike) in zip(claims.items(), adjusted, strict=True):
        gap = gaps[name]
        marks = run[name].marks(claim) if name in run else {}
        verdict = _verdict(claim, gap, different, alike) if name in run else "not run"
        answer = Answer(name, claim, verdict, gap, different, alike, _power(claim, gap, len(claims)), marks)
        found_answers.append(replace(answer, verdict="unresolved") if answer.shows_no_merit and gap else answer)
    return found_answers


def _p_values(gap: Estimate | None, claim: ClaimTable) -> tuple[float, float]:
    """P-values (different, alike) of a claim's two null hypotheses: that its sides are alike, that they differ.

    At most one hypothesis is true. Where a claim says `equivalent`, to differ is to differ by more than the margin.
    """
    margin = claim.bound
    different = p_value(gap) if claim.expects != "equivalent" else _beyond(gap, margin)
    return different, equivalence_p_value(gap, margin)


def _beyond(gap: Estimate | None, margin: float) -> float:
    """The p-value of a mean within [-margin, margin]: twice the one-sided test's at the bound that `gap` is beyond."""
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
    if different > 1 - LEVEL:
        return "unresolved"
    return "supported" if claim.expects == ("higher" if gap.mean > 0 else "lower") else "refuted"


def _power(claim: ClaimTable, gap: Estimate | None, claims: int) -> float | None:
    """The power at 5 % over the number of claims, with the standard error that there is; None without one."""
    if gap is None or gap.half_width is None or not gap.over_seeds:
        return None
    level = (1 - LEVEL) / claims
    if claim.expects == "equivalent":
        return max(0.0, 1 - 2 * gap.beyond(claim.bound - gap.critical(1 - level) * gap.error))
    return gap.beyond(gap.critical(1 - level / 2) * gap.error - claim.bound)


def claims_text(answers: Sequence[Answer], digest: str) -> str:
    """Markdown: the verdicts, and how to read them."""
    header = ["claim", "verdict", "says", "suite", "contrast", "metric", "difference", "p", "power", "marks", "written"]
    cells = [_cells(answer) for answer in answers]
    return "\n".join(
        [
            "# Claims",
            "",
            *table_lines(cells, header),
            "",
            f"{len(answers)} claims of the file with sha256 `{digest}`. Differences of rows in points, paired by "
            f"seed and test example; of cells in their column's unit. ± half of the {100 * LEVEL:.0f} % interval.",
            "",
            "- **supported**, **refuted**: the difference is resolved from zero, in the direction that the claim says or "
            "in the other. **equivalent**: it is within the margin, by two one-sided tests. **unresolved**: neither.",
            "- A claim of equivalence is supported where that is shown. It is refuted where the difference is resolved "
            "to be beyond the margin.",
            "- **p**: the smaller of both tests', adjusted for all claims of the file (Holm, counted as Shaffer, 1986). "
            "A difference is resolved at 5 %.",
            "- **power**: the probability of `supported` in such runs, if the difference were the margin (for "
            "equivalence: nothing). It is that of the first step of the adjustment.",
            "- **marks**: of the rows. A claim about the merit of a method needs rows that have learnt the task. It is "
            f"unresolved where a row fits less than {100 * LEAST_FIT:.0f} % of the conflicting training examples, or "
            f"stands within {100 * FLOOR_ROOM:.0f} points of the floor. A claim about the fit itself is answered, and "
            "its file says so (`about`).",
            "- **written**: before the claim's seeds ran, or after they had been seen, which tests no prediction.",
            "",
        ]
    )


def _cells(answer: Answer) -> list[str]:
    claim = answer.claim
    expected = {"higher": ">", "lower": "<", "equivalent": "="}[claim.expects]
    p = min(answer.different, answer.alike)
    known = answer.gap is not None and answer.gap.over_seeds
    return [
        escaped(answer.name),
        f"**{answer.verdict}**",
        escaped(claim.says),
        escaped(claim.suite),
        f"{_contrast(claim, expected)} (margin {claim.margin:g})",
        title(str(claim.metric if claim.of_rows else f"{claim.analysis or claim.probe}: {claim.value}")),
        _gap_text(answer) + (f" (n = {answer.gap.n})" if answer.gap else ""),
        ("< 0.0001" if p < 1e-4 else f"{p:.4f}") if known else "–",
        "–" if answer.power is None else f"{answer.power:.2f}",
        _marks(answer),
        escaped(claim.written),
    ]


def _marks(answer: Answer) -> str:
    told = [f"{escaped(name)}: {', '.join(marks.words())}" for name, marks in answer.marks.items() if marks.words()]
    asked = ["asked of the fit"] if answer.claim.about == "fit" else []
    return "; ".join([*asked, *(["no merit shown"] if answer.shows_no_merit else []), *told]) or "–"


def _contrast(claim: ClaimTable, expected: str) -> str:
    if claim.of_rows:
        return f"{escaped(str(claim.row))} {expected} {escaped(str(claim.other))}"
    own = ([claim.row] if claim.row else []) + list(claim.at.values())
    other = escaped(", ".join(claim.less.values())) if claim.less else ""
    against = f"{claim.against:g}" if claim.against or not other else ""
    return f"{escaped(', '.join(own))} {expected} {' + '.join(part for part in (other, against) if part)}"


def _gap_text(answer: Answer) -> str:
    if answer.gap is None or answer.claim.of_rows:
        return gap_text(answer.gap)
    return number_text(answer.gap)


def claims_data(answers: Sequence[Answer], digest: str) -> dict[str, Any]:
    """The content of `claims_text` for JSON; differences as fractions, those of an analysis in its unit."""
    entries = [
        {
            "claim": answer.name,
            "verdict": answer.verdict,
            **answer.claim.model_dump(exclude_none=True),
            "difference": None if answer.gap is None else answer.gap.mean,
            "half_width": None if answer.gap is None else answer.gap.half_width,
            "seeds": None if answer.gap is None else answer.gap.n,
            "p_different": answer.different,
            "p_equivalent": answer.alike,
            "power": answer.power,
            "marks": {name: marks.words() for name, marks in answer.marks.items()},
        }
        for answer in answers
    ]
    return {"schema": 1, "sha256": digest, "claims": entries}
