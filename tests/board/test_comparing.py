"""compare: two rows, paired; what it says follows from the differences, and mistakes are one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchbias.board.comparing import compare
from benchbias.errors import UsageError
from support import ROOT
from support.made_records import LAYOUTS, counted, four_methods, record, without_counts
from support.markdown import structure, tables


def cells_by_name(text: str) -> dict[str, list[str]]:
    return {cells[0]: cells[1:] for cells in tables(text)}


def test_without_counts_the_difference_and_its_p_are_scipys_paired_test():
    records = [without_counts(r) for r in four_methods()]
    one, other = (
        np.array([r.body["metrics"]["accuracy"] for r in records if r.body["method"] == name])
        for name in ("good", "plain")
    )
    test = stats.ttest_rel(one, other)
    low, high = test.confidence_interval(0.95)
    left, right, gap, p = cells_by_name(compare(records, {}, "good", "plain"))["accuracy"]
    assert left.startswith(f"{100 * one.mean():.1f} (")
    assert right.startswith(f"{100 * other.mean():.1f} (")
    assert gap == f"{50 * (high + low):+.1f} ± {50 * (high - low):.1f}"
    assert p == "< 0.0001"
    assert test.pvalue < 1e-4


def test_with_counts_every_group_is_compared_and_the_worst_is_among_them():
    found = cells_by_name(compare(four_methods(), LAYOUTS, "plain", "bad"))
    groups = {name: cells for name, cells in found.items() if name.startswith("group ")}
    assert list(groups) == ["group 0/a", "group 0/b", "group 1/a", "group 1/b"]
    gaps = {name: float(cells[2].split()[0]) for name, cells in groups.items()}
    assert all(gaps[f"group {name}"] > 15 for name in ("0/b", "1/a")), "the conflicting groups differ"
    assert all(abs(gaps[f"group {name}"]) < 5 for name in ("0/a", "1/b"))


def test_swapping_the_rows_swaps_every_sign():
    one = cells_by_name(compare(four_methods(), LAYOUTS, "good", "bad"))
    other = cells_by_name(compare(four_methods(), LAYOUTS, "bad", "good"))
    for name in list(one)[1:]:
        assert one[name][:2] == other[name][1::-1]
        assert float(one[name][2].split()[0]) == -float(other[name][2].split()[0])
        assert one[name][3] == other[name][3]


def verdict(text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith("**"))


def test_the_verdict_follows_the_difference():
    records = four_methods()
    assert verdict(compare(records, LAYOUTS, "bad", "good")).startswith("**good is better in worst group accuracy**")
    same = [*records, *(type(r)({**r.body, "method": "twin", "trial": f"t{n}"}, {}) for n, r in enumerate(records[:8]))]
    text = compare(same, LAYOUTS, "twin", "good")
    assert verdict(text).startswith("**Not resolved in worst group accuracy**, and not"), "40 images are too few"
    assert verdict(compare(same, LAYOUTS, "twin", "good", margin=0.3)).startswith("**Equivalent in worst group")
    assert "twin is ahead in 0 of 8 seeds, equal in 8." in text
    few = [r for r in records if r.body["seed"] < 2]
    assert verdict(compare(few, LAYOUTS, "good", "alike")).startswith(
        "**Not resolved in worst group accuracy**, by test examples alone"
    )
    single = [r for r in records if r.body["seed"] == 0]
    alone = verdict(compare(single, LAYOUTS, "bad", "good"))
    assert alone.startswith("**These networks of good are better in worst group accuracy**")
    assert "It says nothing of other seeds: that takes 3." in alone
    bare = [without_counts(r) for r in single]
    assert "it takes 3 seeds" in verdict(compare(bare, {}, "good", "bad"))


def test_what_a_row_cannot_show_stands_below_the_verdict():
    low = [counted("low", seed, (0.4 if seed < 2 else 0.9, 0.6)) for seed in range(8)]
    text = compare([*four_methods(), *low], LAYOUTS, "low", "good")
    assert "low: 2 of 8 seeds collapsed" in text
    fitted = four_methods(train_conflicting_accuracy=1.0)
    assert "collapsed" not in compare(fitted, LAYOUTS, "plain", "good")


def test_where_lower_is_better_the_lower_one_is():
    records = four_methods(suite={"rank_by": "-worst_group_accuracy"})
    text = compare(records, LAYOUTS, "bad", "good")
    assert verdict(text).startswith("**bad is better in worst group accuracy**")
    assert "bad is ahead in 8 of 8 seeds." in text


def test_only_common_seeds_are_compared():
    records = [r for r in four_methods() if r.body["method"] != "good" or r.body["seed"] in (1, 2, 3, 9)]
    assert "3 common seeds" in compare(records, LAYOUTS, "good", "plain")
    apart = [counted("good", 0, (0.9, 0.8)), counted("plain", 1, (0.9, 0.5))]
    with pytest.raises(UsageError, match="no task and seed in common"):
        compare(apart, LAYOUTS, "good", "plain")


def test_a_name_of_several_rows_and_an_unknown_one_are_refused():
    records = [record("cut", seed, 0.5, swept={"k": k}) for seed in range(2) for k in (1, 2)]
    with pytest.raises(UsageError, match=r"cut has several rows: cut\[k=1\], cut\[k=2\]"):
        compare(records, {}, "cut", "cut[k=1]")
    with pytest.raises(UsageError, match=r"unknown row 'cutt'"):
        compare(records, {}, "cutt", "cut[k=1]")
    assert "against" in compare(records, {}, "cut[k=1]", "cut[k=2]")


def test_names_stay_text():
    nasty = "<b>|x\n# y"
    made = [record(name, seed, 0.5) for name in (nasty, "plain") for seed in range(3)]
    plain = [record(name, seed, 0.5) for name in ("x", "plain") for seed in range(3)]
    assert structure(compare(made, {}, nasty, "plain")) == structure(compare(plain, {}, "x", "plain"))


def test_the_command_reads_results_and_published_records(smoke: Path, cli):
    done = cli("compare", "rest[density=0.2]", "erm", "-s", "smoke", "-o", str(smoke))
    assert done.returncode == 0, done.stderr
    assert "2 common seeds; labels used: train and labels-none" in done.stdout
    done = cli("compare", "jtt", "erm", "-s", "spurious-small", "--records", str(ROOT / "leaderboard"))
    assert done.returncode == 0, done.stderr
    assert "10 common seeds" in done.stdout
    done = cli("compare", "jtt", "er", "-s", "spurious-small", "--records", str(ROOT / "leaderboard"))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
