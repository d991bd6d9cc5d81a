"""Claims of the literature about a suite, each with its verdict: adjusted for all claims of the file."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from benchbias.board.claim_tables import ClaimTable
from benchbias.board.claims import Answer, answer_claims, load_claims
from benchbias.board.evidence import Evidence
from benchbias.board.row_trials import trials_of
from benchbias.errors import BenchbiasError, UsageError
from benchbias.plan.trials import Selection
from benchbias.records.analysis import AnalysisRecord
from benchbias.records.trial import TrialRecord, record_folder
from benchbias.report.gathering.numbers import estimate_json, rounded
from benchbias.report.gathering.source import Source
from benchbias.runner import publishing
from benchbias.statistics.cells import CellLayout


@dataclass(frozen=True)
class AnyEvidence(Evidence):
    """Evidence of a folder that may lack some of a suite's rows: a claim about these counts as not run."""

    def answers(self, claim: ClaimTable) -> bool:
        if not super().answers(claim):
            return False
        try:
            self.gap("", claim)
        except UsageError:
            return False
        return True


def gather_claims(sources: Sequence[Source]) -> list[dict[str, Any] | None]:
    """The shipped claims about each suite; None for a suite without any.

    The verdicts are those of `benchbias claims` for the same folder: p-values are adjusted for all claims of the file,
    so that the records of the other suites that it names are read too.
    """
    claims, digest = load_claims()
    wanted = {claim.suite for claim in claims.values()}
    answers: dict[tuple[bool, Path], list[Answer]] = {}
    for source in sources:
        place = (source.published, source.place)
        if source.suite in wanted and place not in answers:
            here = {one.suite: one for one in sources if (one.published, one.place) == place}
            answers[place] = answer_claims(claims, functools.partial(_evidence, source, here))
    return [_of_suite(source, answers.get((source.published, source.place), []), digest) for source in sources]


def _of_suite(source: Source, answers: Sequence[Answer], digest: str) -> dict[str, Any] | None:
    own = [answer for answer in answers if answer.claim.suite == source.suite]
    return {"sha256": digest, "of": len(answers), "claims": [_answer(answer) for answer in own]} if own else None


def _evidence(source: Source, here: Mapping[str, Source], suite: str) -> Evidence | None:
    """Evidence on a suite: of a source that is read already, else of the folder of `source`; None where it has none."""
    if suite in here:
        return AnyEvidence(here[suite].rows, here[suite].analyses)
    try:
        found = _published(source, suite) if source.published else _current(source, suite)
    except BenchbiasError:
        return None  # records that this report is not about and that cannot be read
    return None if found is None else AnyEvidence(trials_of(found[0], found[1]), found[2])


Found: TypeAlias = tuple[Sequence[TrialRecord], Mapping[str, CellLayout], Sequence[AnalysisRecord]]


def _published(source: Source, suite: str) -> Found | None:
    if not record_folder(source.place, suite).is_dir():
        return None
    return *publishing.published_records(suite, source.place), publishing.published_analyses(suite, source.place)


def _current(source: Source, suite: str) -> Found | None:
    workspace = source.workspace
    if workspace is None or suite not in workspace.catalogue.suites or not record_folder(source.place, suite).is_dir():
        return None
    plan = workspace.plan(suite, Selection())
    if not publishing.has_records(plan, source.place):
        return None
    return *publishing.records_of(plan, source.place), publishing.analyses_of(plan, source.place)


def _answer(answer: Answer) -> dict[str, Any]:
    claim, gap = answer.claim, answer.gap
    return {
        "name": answer.name,
        "says": claim.says,
        "verdict": answer.verdict,
        "sides": sides_of(claim),
        "expects": claim.expects,
        "margin": claim.margin,
        "ofRows": claim.of_rows,
        "metric": str(claim.metric) if claim.of_rows else f"{claim.analysis or claim.probe}: {claim.value}",
        "difference": estimate_json(gap),
        "p": rounded(min(answer.different, answer.alike)) if gap is not None and gap.over_seeds else None,
        "power": rounded(answer.power),
        "marks": {name: marks.words() for name, marks in answer.marks.items() if marks.words()},
        "noMerit": answer.shows_no_merit,
        "about": claim.about,
        "written": claim.written,
        "task": claim.task,
    }


def sides_of(claim: ClaimTable) -> list[str]:
    """The two sides of a claim in words: two rows, or a cell of a table and what it is held against."""
    if claim.of_rows:
        return [str(claim.row), str(claim.other)]
    own = ", ".join([*([claim.row] if claim.row else []), *claim.at.values()])
    other = ", ".join(claim.less.values())
    against = f"{claim.against:g}" if claim.against or not other else ""
    return [own, " + ".join(part for part in (other, against) if part)]
