"""The failure of plain training on a task, by its gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchbias import estimate

from .lines import Line, in_points, reference_row, row_of

if TYPE_CHECKING:
    from benchbias import Estimate, Population

QUESTION = "does plain training fail?"
WORST = "worst_group_accuracy"


def failure(population: Population, margin: float) -> list[Line]:
    """Gaps of plain training between parts of the test split; its worst group against chance and the ceiling."""
    plain = reference_row(population)
    body = plain[0].record.body
    gap = estimate([in_points(one, "aligned_accuracy") - in_points(one, "conflicting_accuracy") for one in plain])
    short = estimate([in_points(one, "accuracy") - in_points(one, WORST) for one in plain])
    worst = estimate([in_points(one, WORST) for one in plain])
    chance = 100 / body["num_classes"]
    over = None if worst is None else worst.less(chance)
    lines = [
        Line(QUESTION, "aligned less conflicting accuracy, points", gap, fails(gap, margin)),
        Line(QUESTION, "average less worst group accuracy, points", short, fails(short, margin)),
        Line(QUESTION, "worst group accuracy less chance, points", over, _against_chance(over)),
    ]
    ceiling = row_of(population, body["suite"].get("ceiling"))
    if ceiling is not None:
        by_seed = {one.seed: one for one in plain}
        room = estimate(
            [in_points(one, WORST) - in_points(by_seed[one.seed], WORST) for one in ceiling if one.seed in by_seed]
        )
        lines.append(Line(QUESTION, "ceiling's less its worst group accuracy, points", room, _room(room, margin)))
    return lines


def fails(gap: Estimate | None, margin: float) -> str:
    """Whether a gap is shown to be above the margin, or below it."""
    if gap is None or gap.half_width is None or not gap.over_seeds:
        return "not known"
    low, high = gap.interval()
    if low > margin:
        return "yes"
    return "no" if high < margin else "not settled"


def _against_chance(over: Estimate | None) -> str:
    if over is None or over.half_width is None or not over.over_seeds:
        return "not known"
    low, high = over.interval()
    if high < 0:
        return "yes: worse than guessing"
    return "better than guessing" if low > 0 else "not settled"


def _room(room: Estimate | None, margin: float) -> str:
    answer = fails(room, margin)
    return {"yes": "yes: there is room for methods", "no": "no room for methods"}.get(answer, answer)
