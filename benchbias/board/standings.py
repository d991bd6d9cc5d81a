"""Scores -> ranks: who is better than whom on one task and track, and what the comparison could tell. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchbias.board.row_trials import Rows, Trials, trials_of
from benchbias.board.rows import Row, rank_metric, rows_of, sort_key
from benchbias.board.verdicts import Verdict, verdicts
from benchbias.records.schema import TRACKS
from benchbias.records.trial import TrialRecord
from benchbias.statistics.cells import CellLayout
from benchbias.statistics.family import Gaps
from benchbias.statistics.ranking import Resolution, ranks, resolution, resolved_pairs, tiers
from benchbias.statistics.seeds import SeedsNeeded, seeds_needed


@dataclass(frozen=True)
class Standing:
    """The ranked rows of one task and track.

    rows: the best first. ranks: of each row, by a Holm-adjusted paired test, 1 + the number of rows that are better,
    and the number of rows less those that are worse. None for a collapsed row, which stands last and is compared with
    none, and where no two rows have three common seeds. tiers: the largest set of rows that are pairwise resolved,
    the best first. adjacent: the pairs of neighbours that are ranked, and separable: those of them that are resolved.
    """

    task: str
    track: str
    rows: tuple[Row, ...]
    ranks: tuple[tuple[int, int] | None, ...]
    tiers: tuple[str, ...]
    resolution: Resolution | None
    adjacent: int
    separable: int


@dataclass(frozen=True)
class Board:
    """All rows of a suite: ranked ones by task and track, the others by task, the best first.

    rank_by: the suite's, empty without rows. verdicts: on the gap of a row to its control, by (task, label), adjusted
    over all such gaps of the task; `no difference` is none where a side stands at the floor or is not fitted.
    baseline_resolution: what these comparisons resolve, by task.
    """

    rank_by: str
    standings: tuple[Standing, ...]
    unranked: Mapping[str, tuple[Row, ...]]
    verdicts: Mapping[tuple[str, str], Verdict]
    baseline_resolution: Mapping[str, Resolution | None]

    def resolved(self, row: Row) -> bool:
        """Whether the gap of a row to its control differs from zero at 5 %, adjusted."""
        return self.verdicts.get((row.task, row.label)) in ("helps", "harms")


def board_of(records: Iterable[TrialRecord], layouts: Mapping[str, CellLayout]) -> Board:
    """Everything that a leaderboard says, from records alone. Raises UsageError where records contradict themselves."""
    return board_from(trials_of(records, layouts))


def board_from(trials: Rows) -> Board:
    """Everything that a leaderboard says of these rows."""
    rank_by = rank_metric(trials)
    rows = rows_of(trials, trials)
    pairs = sorted(zip(rows, trials, strict=True), key=lambda pair: sort_key(pair[0], rank_by))
    tasks = list(dict.fromkeys(row.task for row, _ in pairs))
    standings, unranked = [], {}
    for task in tasks:
        here = [(row, one) for row, one in pairs if row.task == task]
        by_track = [[pair for pair in here if pair[0].ranked and pair[0].track == track] for track in TRACKS]
        standings += [_standing(ranked, rank_by) for ranked in by_track if ranked]
        unranked[task] = tuple(row for row, _ in here if not row.ranked)
    gaps = {task: [row for row in rows if row.task == task and row.to_baseline is not None] for task in tasks}
    return Board(
        rank_by,
        tuple(standings),
        unranked,
        {key: found for family in gaps.values() for key, found in _verdicts(family, rank_by).items()},
        {
            task: resolution(Gaps.of({(at, -1): row.to_baseline for at, row in enumerate(family)}))
            for task, family in gaps.items()
        },
    )


def needed_seeds(records: Iterable[TrialRecord], layouts: Mapping[str, CellLayout]) -> dict[str, SeedsNeeded]:
    """The seeds that a difference of five points takes on each task, by pairs of ranked rows of one track.

    Raises UsageError where records contradict themselves.
    """
    rows: dict[tuple[str, str], list[Trials]] = {}
    for row in trials_of([_ranking_alone(record) for record in records], layouts):
        if row.first["ranked"]:
            rows.setdefault((row.first["task"], row.first["track"]), []).append(row)
    found: dict[str, list[Gaps]] = {}
    for (task, _), members in rows.items():
        metric = str(members[0].first["suite"]["rank_by"]).removeprefix("-")
        found.setdefault(task, []).append(Gaps.between([row.values.get(metric, {}) for row in members]))
    needed = {task: seeds_needed(gaps) for task, gaps in found.items()}
    return {task: one for task, one in needed.items() if one is not None}


def _ranking_alone(record: TrialRecord) -> TrialRecord:
    """A record with the metric that ranks alone: the others need not be measured."""
    if record.body["status"] != "ok":
        return record
    metric = str(record.body["suite"]["rank_by"]).removeprefix("-")
    return TrialRecord({**record.body, "metrics": {metric: record.body["metrics"][metric]}}, record.measured)


def _verdicts(family: Sequence[Row], rank_by: str) -> dict[tuple[str, str], Verdict]:
    """The verdicts on a family of comparisons with a control; none where test examples alone speak."""
    found = verdicts([row.to_baseline for row in family if row.to_baseline is not None], _sign(rank_by))
    return {
        (row.task, row.label): "undecided" if verdict == "no difference" and _untaught(row) else verdict
        for row, verdict in zip(family, found, strict=True)
        if row.to_baseline is not None and row.to_baseline.over_seeds
    }


def _untaught(row: Row) -> bool:
    """Whether a row or its control has not learnt what it is judged by: that they are alike says nothing then."""
    of = row.baseline_marks
    return row.marks.shows_no_merit or (of is not None and of.shows_no_merit)


def _sign(rank_by: str) -> int:
    """1 where a higher value is better, -1 where a lower one is."""
    return -1 if rank_by.startswith("-") else 1


def _standing(pairs: Sequence[tuple[Row, Trials]], rank_by: str) -> Standing:
    """pairs: ranked rows of one task and track, the best first."""
    metric, sign = rank_by.removeprefix("-"), _sign(rank_by)
    fair = [pair for pair in pairs if not pair[0].collapsed and pair[0].metrics.get(metric) is not None]
    rest = [pair for pair in pairs if pair[0].collapsed or pair[0].metrics.get(metric) is None]
    gaps = Gaps.between([one.values.get(metric, {}) for _, one in fair])
    higher = resolved_pairs(gaps)
    better = higher if sign > 0 else {(lower, upper) for upper, lower in higher}
    means = [sign * value.mean for row, _ in fair if (value := row.metrics[metric]) is not None]
    found = resolution(gaps)
    own = ranks(len(fair), better) if found is not None else [None for _ in fair]
    return Standing(
        pairs[0][0].task,
        pairs[0][0].track,
        tuple(row for row, _ in (*fair, *rest)),
        (*own, *(None for _ in rest)),
        tuple(fair[at][0].label for at in tiers(means, better)),
        found,
        len(fair) - 1 if found is not None else 0,
        sum((at, at + 1) in better for at in range(len(fair) - 1)),
    )
