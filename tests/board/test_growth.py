"""What a board computes grows with its rows and its seeds, and not with their squares: calls are counted, not timed."""

from __future__ import annotations

from collections import Counter

import pytest

from benchbias.board import marks, row_trials
from benchbias.board.markdown.details import details_of
from benchbias.board.rows import row_of, rows_of, sort_key
from benchbias.board.scored import Scored
from benchbias.errors import UsageError
from benchbias.records import trial
from benchbias.records.trial import TrialRecord, read_records
from benchbias.statistics import behrens_fisher, estimates, least
from support.made_records import LAYOUTS, counted, four_methods


def many(rows, seeds):
    """Rows that differ in name alone, and the ceiling."""
    made = [(f"m{number}", seed) for number in range(rows) for seed in range(seeds)]
    plain = [counted(name, seed, (0.9, 0.5), baseline="plain") for name, seed in made]
    top = [counted("top", seed, (0.97, 0.96), ranked=False) for seed in range(seeds)]
    return [*plain, *[counted("plain", seed, (0.9, 0.5)) for seed in range(seeds)], *top]


def calls(monkeypatch, records):
    """How often a board of these records calls what takes long."""
    found = Counter()

    def watch(module, name, weigh=lambda *of: 1):
        whole = getattr(module, name)

        def watched(*of, **more):
            found[name] += weigh(*of)
            return whole(*of, **more)

        monkeypatch.setattr(module, name, watched)

    watch(marks, "aligned_accuracy")
    watch(row_trials, "_measured")
    watch(row_trials, "unpack_all", lambda packed, layout: len(packed))
    watch(row_trials, "unpack_counts")
    watch(estimates, "seed_means", len)
    watch(least, "_expected_least", lambda true, number: true[..., 0].size)
    watch(behrens_fisher, "tail")
    scored = Scored.of(records, LAYOUTS)
    details_of(scored, "benchbias run")
    monkeypatch.undo()
    assert found["unpack_counts"] == 0  # no record alone
    return found


@pytest.mark.parametrize("grown", [(12, 3), (6, 6)])
def test_twice_the_rows_or_seeds_make_about_twice_the_calls(monkeypatch, grown):
    once, twice = calls(monkeypatch, many(6, 3)), calls(monkeypatch, many(*grown))
    assert set(once) == set(twice)
    for name in once:
        if name != "tail":  # of pairs of rows, whose number is the square
            assert twice[name] <= 2.2 * once[name], name
    assert once["aligned_accuracy"] >= 8 * 3
    assert once["unpack_all"] == 8 * 3
    pairs = grown[0] * (grown[0] - 1) / 2 + 2 * grown[0]
    assert twice["tail"] < 30 * pairs + 20_000


def test_rows_of_a_board_are_those_made_one_by_one():
    rows = row_trials.trials_of([*four_methods(4, baseline="plain"), *many(3, 2)[:6]], LAYOUTS)
    made = rows_of(rows, rows)
    assert repr(made) == repr([row_of(row, rows) for row in rows])
    assert all(len(row.groups) == 4 for row in made)
    assert len({sort_key(row, "worst_group_accuracy") for row in made}) == len(made)


def test_a_record_that_does_not_fit_among_many_is_named():
    records = many(2, 3)
    body = dict(records[4].body)
    wrong = TrialRecord({**body, "group_correct": [body["group_correct"][0] - 1, *body["group_correct"][1:]]}, {})
    with pytest.raises(UsageError, match=f"record {wrong.id[:12]}: group_correct is not what its cells add up to"):
        Scored.of([*records[:4], wrong, *records[5:]], LAYOUTS)
    torn = TrialRecord({**body, "correct": {**body["correct"], "counts": "AAAA"}}, {})
    with pytest.raises(UsageError, match=f"record {torn.id[:12]}: packed counts: 3 bytes for 80 cells of 3 bits"):
        Scored.of([*records[:4], torn, *records[5:]], LAYOUTS)


def test_a_folder_is_parsed_once_and_equal_values_are_kept_once(tmp_path, monkeypatch):
    """1 and 1.0 are equal, and are not the same in a file."""
    folder, parsed = tmp_path / "probe", []
    folder.mkdir()
    records = [
        counted("plain", seed, (0.9, 0.5), settings={"decay": [1, 1.0, True][seed % 3]}, **WHOLE) for seed in range(6)
    ]
    for one in records:
        (folder / f"{one.id}.json").write_text(one.to_text())
    whole = trial.TrialRecord.from_text
    monkeypatch.setattr(trial.TrialRecord, "from_text", staticmethod(lambda text: parsed.append(1) or whole(text)))
    found = read_records(folder)
    assert len(parsed) == len(records)
    assert sorted(one.to_text() for one in found) == sorted(one.to_text() for one in records)
    assert len({id(one.body["suite"]) for one in found}) == 1
    assert len({id(one.body["group_names"]) for one in found}) == 1


WHOLE = {
    "nonzero_parameters": 1000,
    "weights": 800,
    "nonzero_weights": 800,
    "train_group_total": [5, 1, 1, 5],
    "training_steps": 7,
    "selected_epochs": [3],
}
