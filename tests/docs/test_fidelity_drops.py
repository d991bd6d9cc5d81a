"""The rule of docs/fidelity.md for drops, failed runs, sizes and other data, against planted truth and oracles."""

from __future__ import annotations

import re
import sys
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from benchbias.board.row_trials import trials_of
from benchbias.errors import UsageError
from benchbias.statistics.estimates import estimate
from support import ROOT
from support.made_records import record

sys.path.insert(0, str(ROOT / "benchmarks"))
try:
    import fidelity
    import fidelity_cells
    import fidelity_numbers
    import fidelity_records
    import fidelity_rule
    import fidelity_statements
    import fidelity_tables
finally:
    sys.path.remove(str(ROOT / "benchmarks"))

LARGE = {"suite": "ucla-large", "task": "spuco-mnist-large"}


def printed(value: float, decimals: int = 2) -> fidelity_rule.Printed:
    return fidelity_rule.Printed.of(f"{value:.{decimals}f}", "x")


# Drops, simulated


def networks(rng, size, drop=-20.0):
    """Levels before and after pruning: networks differ much, their drops little."""
    before = rng.normal(70, 8, size)
    return before, before + rng.normal(drop, 3, size)


def verdicts_of_drops(n: int, shift: float = 0.0, repetitions: int = 3000, decimals: int = 2) -> Counter[str]:
    rng = np.random.default_rng([n, decimals])
    before, after = networks(rng, (repetitions, n))
    theirs = networks(rng, repetitions, -20.0 + shift)
    found: Counter[str] = Counter()
    for ours, *levels in zip(after - before, *theirs, strict=True):
        start, level = (printed(value, decimals) for value in levels)
        bounds = fidelity_rule.bounds_of_drop(start, 100.0)
        found[fidelity_rule.verdict_of_number(level.less(start), list(ours), 1, fidelity_rule.WIDEST, bounds)] += 1
    return found


@pytest.mark.parametrize("n", [3, 5, 9])
def test_a_twentieth_of_equal_networks_fails_by_its_drop(n: int):
    assert 0.038 <= verdicts_of_drops(n)["not reproduced"] / 3000 <= 0.062  # three standard errors


def test_whole_printed_points_fail_less_often():
    assert verdicts_of_drops(9, decimals=0)["not reproduced"] < verdicts_of_drops(9)["not reproduced"]


def test_a_drop_is_found_that_levels_cannot_tell():
    assert verdicts_of_drops(9, shift=-20.0, repetitions=300)["not reproduced"] > 290
    rng = np.random.default_rng(1)
    before, after = networks(rng, 9)
    start, level = printed(70.0), printed(70.0 - 32.0)
    assert fidelity_rule.verdict_of_number(level, list(after), 1, fidelity_rule.WIDEST) != "not reproduced"
    assert fidelity_rule.verdict_of_number(level.less(start), list(after - before), 1) == "not reproduced"


@pytest.mark.parametrize(("level", "start", "off"), [("50", "60", 1.0), ("50.0", "60", 0.55), ("50.63", "61.50", 0.01)])
def test_a_drop_may_be_off_by_what_both_printed_levels_may_be_off(level, start, off):
    one, other = (fidelity_rule.Printed.of(text, "x") for text in (level, start))
    drop = one.less(other)
    assert drop.rounding == pytest.approx(off)
    assert drop.value == pytest.approx(float(level) - float(start))
    same = [drop.value + 0.99 * off] * 4
    assert fidelity_rule.verdict_of_number(drop, same, 1) == "reproduced"
    assert fidelity_rule.verdict_of_number(drop, [value + 0.02 * off for value in same], 1) == "not reproduced"


def test_the_drops_of_the_committed_records_are_judged_as_by_hand():
    """The formula written anew, for every number of both spreadsheets, over the nine runs that did not fail."""
    published = fidelity_records.Published(ROOT / "leaderboard", ROOT)
    start = published.row(LARGE["suite"], None, "jtt-published", "x").records
    tables = tomllib.loads((ROOT / "fidelity.toml").read_text())["numbers"]
    for key, before in (("ucla-large-worst", 61.50), ("ucla-large-average", 94.09)):
        metric, expected = tables[key]["metric"], []
        for line in tables[key]["rows"]:
            for column, text in zip(tables[key]["columns"], line["values"], strict=True):
                row = published.row(LARGE["suite"], None, column["as_published"].format(**line["fill"]), "x")
                levels = [
                    [one[seed].body["metrics"][metric] for seed in start if seed != 3] for one in (row.records, start)
                ]
                drops = 100 * np.subtract(*levels)
                half = scipy.stats.t.ppf(0.975, 8) * drops.std(ddof=1) * np.sqrt(1 / 9 + 1)
                low, high = max(-before, drops.mean() - half), min(100 - before, drops.mean() + half)
                inside = low - 0.01 <= float(text) - before <= high + 0.01
                expected.append(("reproduced" if high - low <= 20 else "unresolved") if inside else "not reproduced")
        table = fidelity_tables.load_fidelity(ROOT / "fidelity.toml").numbers[key]
        lines, counted = fidelity_numbers.numbers(key, table, published, set())
        assert [line.split("**")[1] for line in lines if line.startswith("| sparsity")] == expected
        assert counted == Counter(expected)


# Clipping


def test_clipping_keeps_what_can_be_and_changes_no_answer_on_it():
    rng = np.random.default_rng(2)
    for low, width, at in zip(
        rng.uniform(-150, 150, 300), rng.uniform(0, 120, 300), rng.uniform(0, 100, 300), strict=True
    ):
        whole = fidelity_rule.Interval(low, low + width)
        part = whole.clipped(0.0, 100.0)
        assert 0 <= part.low <= part.high <= 100
        assert part.width <= whole.width
        if whole.high >= 0 and whole.low <= 100:
            assert part.holds(printed(at)) == whole.holds(printed(at))
        else:
            assert part.width == 0, "the nearer bound alone"
            assert part.holds(printed(100.0 if low > 0 else 0.0))


def test_the_clipped_interval_is_the_one_that_is_too_wide_or_not():
    near_zero = [0.0, 0.0, 0.0, 12.0, 0.0, 9.0, 0.0, 0.0, 11.0]
    whole = fidelity_rule.prediction(near_zero, 1)
    assert whole.width > 20 > whole.clipped(0, 100).width
    number = printed(1.0)
    assert fidelity_rule.verdict_of_number(number, near_zero, 1, 10.0) == "unresolved"
    assert fidelity_rule.verdict_of_number(number, near_zero, 1, 10.0, (0.0, 100.0)) == "reproduced"


def test_a_drop_cannot_be_larger_than_the_level_before():
    assert fidelity_rule.bounds_of_drop(printed(61.5), 100.0) == (-61.5, 38.5)
    drops = [-58.0, -64.0, -61.0, -70.0]
    assert fidelity_rule.prediction(drops, 1).clipped(-61.5, 38.5).low == -61.5


def test_no_expected_interval_on_the_page_is_impossible():
    known = fidelity_tables.load_fidelity(ROOT / "fidelity.toml").numbers.values()
    page = (ROOT / "docs/fidelity.md").read_text()
    seen = 0
    for one in known:
        text = page.split(f"### {one.place}: {one.title}\n")[1].split("\n#")[0]
        for low, high in re.findall(r"\| ([-+]?[0-9.]+) to ([-+]?[0-9.]+) +\|", text):
            top = {"percent": 100, "fraction": 1, "count": np.inf}[one.unit]
            start = max(map(float, one.pruned.levels.values())) if one.pruned else 0
            assert -start <= float(low) <= float(high) <= top, (one.title, low, high)
            seen += 1
    assert seen >= 106


# Failed runs

RUNS = [0.52, 0.50, 0.54, 0.51, 0.53, 0.49]


def run(method, seed, value, aligned=0.95, **more):
    counts = {"group_aligned": [True, False], "group_total": [1000, 1000], "num_classes": 5}
    counts |= {"group_correct": [round(1000 * aligned), 500], "train_group_total": [900, 90]}
    return record(method, seed, value, task=LARGE["task"], suite={"name": LARGE["suite"]}, **(counts | more))


def rows(method, values, failed=(), drop=0.0, **more):
    return [
        run(method, seed, 0.0 if seed in failed else value + drop, 0.21 if seed in failed else 0.95, **more)
        for seed, value in enumerate(values)
    ]


def published(tmp_path: Path, records) -> fidelity_records.Published:
    return fidelity_records.Published(tmp_path, ROOT, {"ucla-large": trials_of(records, {})})


def section(tmp_path: Path, records, text="52.0", **changed):
    head = {"paper": "p", "title": "t", "place": "x", "source": "paper", "data": "d", "metric": "accuracy", "runs": 1}
    columns = [{"name": "accuracy", "as_published": changed.pop("row", "erm")}]
    whole = head | LARGE | {"columns": columns, "rows": [{"name": "one", "values": [text]}]} | changed
    table = fidelity_tables.NumbersTable.model_validate(whole)
    lines, counted = fidelity_numbers.numbers("x", table, published(tmp_path, records), set())
    (line,) = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| one")]
    return line, lines, counted


def level_text(values) -> str:
    """The mean in points with Wilson's bounds: of the binomial share that has the standard error of the seeds."""
    n, share = len(values), np.mean(values) / 100
    error = np.std(values, ddof=1) / 100 / np.sqrt(n)
    critical = scipy.stats.t.ppf(0.975, n - 1)
    trials = share * (1 - share) / error**2
    middle = (share + critical**2 / (2 * trials)) / (1 + critical**2 / trials)
    half = critical * np.sqrt(share * (1 - share) / trials + critical**2 / (4 * trials**2)) / (1 + critical**2 / trials)
    return f"{100 * share:.1f} ({100 * (middle - half):.1f}–{100 * (middle + half):.1f})"


def test_a_failed_run_is_left_out_told_and_shown_beside(tmp_path: Path):
    line, lines, _ = section(tmp_path, rows("erm", [*RUNS, 0.5], failed=[2]))
    whole, _, _ = section(tmp_path, rows("erm", [*RUNS, 0.5]))
    kept = [100 * value for seed, value in enumerate([*RUNS, 0.5]) if seed != 2]
    every = [100 * value for value in [*RUNS[:2], 0.0, *RUNS[3:], 0.5]]
    assert line[3] == level_text(every), "all runs"
    assert line[4] == level_text(kept)
    assert line[5] == "6"
    assert line[-1] == "**reproduced**"
    (told,) = [line for line in lines if "Failed runs" in line]
    assert "`erm` 1 of 7 (0.4 to 57.9 %), seed 2." in told
    assert "With them: 1 unresolved of 1." in told
    assert len(whole) == len(line) - 1, "no column for all runs where none failed"


def test_it_is_failed_by_the_definition_of_the_board(tmp_path: Path):
    """Five classes, no ceiling: half of the way from 0.2 to 1."""
    for aligned, n in ((0.599, "6"), (0.601, "7")):
        records = [*rows("erm", RUNS), run("erm", 6, 0.5, aligned)]
        assert section(tmp_path, records)[0][4 if aligned > 0.6 else 5] == n


def test_what_pruning_breaks_is_no_failed_run(tmp_path: Path):
    pruned = {"row": "before", "levels": {"accuracy": "60.0"}}
    broken = [run("after", seed, 0.2 + 0.01 * (seed % 3), 0.21) for seed in range(6)]
    line, _, _ = section(tmp_path, rows("before", RUNS) + broken, "30.0", row="after", pruned=pruned)
    assert line[3] == "-30.0"
    assert line[5] == "6"
    line, lines, _ = section(tmp_path, rows("before", RUNS, failed=[4]) + broken, "30.0", row="after", pruned=pruned)
    assert line[6] == "5"
    assert any("`before` 1 of 6" in line and "seed 4" in line for line in lines)


def test_a_published_run_that_failed_is_held_against_nothing(tmp_path: Path):
    for fit, verdict in (("94.1", "reproduced"), ("41.0", "unresolved")):
        line, lines, _ = section(tmp_path, rows("erm", RUNS), fit=fit)
        assert line[-1] == f"**{verdict}**"
        assert any(f"(average {fit})" in line for line in lines)


def test_without_the_failed_runs_equal_experiments_fail_in_a_twentieth():
    """A tenth of all runs fail on both sides; a published run that failed is held against nothing."""
    rng = np.random.default_rng(5)
    wrong = held = 0
    for _ in range(3000):
        fails = rng.random(11) < 0.1
        levels = rng.normal(60, 3, 11)
        kept = levels[:10][~fails[:10]]
        if not fails[10] and len(kept) >= fidelity_rule.FEWEST_SEEDS:
            held += 1
            wrong += fidelity_rule.verdict_of_number(printed(levels[10]), list(kept), 1) == "not reproduced"
    assert 0.037 <= wrong / held <= 0.063


@pytest.mark.parametrize(("failed", "runs"), [(0, 10), (1, 10), (5, 10), (10, 10), (0, 1), (3, 200)])
def test_the_interval_of_a_rate_is_clopper_and_pearsons(failed, runs):
    low, high = fidelity_rule.rate(failed, runs)
    beta = scipy.stats.beta.ppf
    assert low == pytest.approx(beta(0.025, failed, runs - failed + 1) if failed else 0.0)
    assert high == pytest.approx(beta(0.975, failed + 1, runs - failed) if failed < runs else 1.0)


def test_lines_of_a_table_of_drops_have_all_columns_where_there_is_nothing_of_ours(tmp_path: Path):
    columns = [{"name": "a", "as_published": "after"}, {"name": "b"}]
    pruned = {"row": "before", "levels": {"accuracy": "60.0"}}
    more = {"pruned": pruned, "columns": columns, "rows": [{"name": "two", "values": ["40.0", "39.0"]}]}
    head = {"paper": "p", "title": "t", "place": "x", "source": "paper", "data": "d", "metric": "accuracy", "runs": 1}
    for failed in ([], [1]):
        found = published(tmp_path, rows("before", RUNS, failed) + rows("after", RUNS, drop=-0.2))
        table = fidelity_tables.NumbersTable.model_validate(head | LARGE | more)
        lines, counted = fidelity_numbers.numbers("x", table, found, set())
        assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
        assert counted == {"reproduced": 1, "not attempted": 1}


def test_the_page_tells_the_rate_of_failed_runs_once():
    page = (ROOT / "docs/fidelity.md").read_text()
    (line,) = [line for line in page.splitlines() if line.startswith("| `jtt-published`")]
    assert "1 of 10" in line
    assert "0.3 to 44.5 %" in line


# Sizes

GAP = [-10.0, -12.0, -11.0, -9.0, -10.5, -11.5]


def verdict_of_size(low, high, differences=GAP, expects="lower", runs=None, widest=10.0):
    gap = estimate([value / 100 for value in differences])
    return fidelity_rule.verdict_of_size(differences, gap, fidelity_rule.Size(low, high, 0.0, runs), expects, widest)


@pytest.mark.parametrize("runs", [None, 1, 3])
def test_a_size_is_reproduced_up_to_the_border_of_the_interval(runs):
    gap = estimate([value / 100 for value in GAP])
    found = fidelity_rule.interval_of_size(GAP, gap, fidelity_rule.Size(0, 0, 0.0, runs))
    whole = fidelity_rule.prediction(GAP, runs) if runs else fidelity_rule.Interval(*(100 * b for b in gap.interval()))
    assert (found.low, found.high) == pytest.approx((whole.low, whole.high))
    for border, outwards in ((found.low, -1e-6), (found.high, 1e-6)):
        assert verdict_of_size(border, border, runs=runs) == "reproduced"
        assert verdict_of_size(border + outwards, border + outwards, runs=runs) == "not reproduced"
    assert verdict_of_size(found.high + 1, found.high + 5, runs=runs) == "not reproduced"
    assert verdict_of_size(found.high - 1e-6, found.high + 5, runs=runs) == "reproduced", "it meets the range"
    half = found.width / 2
    assert verdict_of_size(-11, -10, runs=runs, widest=half + 1e-6) == "reproduced"
    assert verdict_of_size(-11, -10, runs=runs, widest=half - 1e-6) == "unresolved"


def test_a_size_whose_direction_is_not_told_is_unresolved_and_the_other_direction_fails():
    wide = [-30.0, 25.0, -28.0, 27.0, -10.0, 9.0]
    assert verdict_of_size(-11, -11, wide) == "unresolved"
    assert verdict_of_size(-12, 12, GAP, "higher") == "not reproduced"
    assert verdict_of_size(20, 20, GAP, "higher") == "not reproduced"
    assert verdict_of_size(-11, -11, GAP[:2]) == "too few seeds"


@pytest.mark.parametrize(
    ("ours", "verdict"), [(-35.29, "reproduced"), (-35.31, "reproduced"), (-35.28, "not"), (-35.32, "not")]
)
def test_rounding_of_a_size_is_forgiven_on_both_sides_and_no_more(tmp_path: Path, ours, verdict):
    size = {"low": -35.3, "high": -35.3, "decimals": 2, "runs": 1}
    answer = statement(tmp_path, rows("before", [0.6] * 6) + rows("after", [0.6] * 6, drop=ours / 100), size=size)
    assert answer.verdict == verdict.replace("not", "not reproduced")


def test_a_difference_that_never_varies_is_held_against_a_size_of_runs_and_tells_no_size_in_general():
    still = [-10.0] * 6
    assert verdict_of_size(-10, -10, still, runs=1) == "reproduced"
    assert verdict_of_size(-11, -11, still, runs=1) == "not reproduced"
    assert verdict_of_size(-10, -10, still[:4], runs=1) == "unresolved", "four seeds tell no direction by a sign test"
    assert verdict_of_size(-10, -10, still) == "unresolved", "no interval of the mean"
    assert verdict_of_size(-10, -10, still[:2]) == "too few seeds"


def test_what_is_stable_lies_wholly_within_its_size():
    calm, torn = [-1.0, -1.2, -0.8, -1.1], [-5.0, 4.0, -4.0, 3.0]
    assert verdict_of_size(-3, 3, calm, "stable") == "reproduced"
    assert verdict_of_size(-3, 3, torn, "stable") == "unresolved"
    assert verdict_of_size(-3, 3, GAP, "stable") == "not reproduced"


@pytest.mark.parametrize("n", [3, 9])
def test_a_true_size_of_one_run_fails_in_a_twentieth(n):
    rng = np.random.default_rng(n)
    wrong = 0
    for *ours, theirs in rng.normal(-20, 2, (2000, n + 1)):
        wrong += verdict_of_size(theirs, theirs, ours, runs=1) == "not reproduced"
    assert 0.034 <= wrong / 2000 <= 0.066


def statement(tmp_path: Path, records, **changed):
    whole = {"paper": "p", "says": "s", "place": "x", "row": "after", "other": "before", "metric": "accuracy"}
    one = fidelity_tables.StatementTable.model_validate(whole | LARGE | {"expects": "lower"} | changed)
    (answer,) = fidelity_statements.said(one, published(tmp_path, records), {}, "here")
    return answer


def drop_of(points: float, failed=()):
    spread = [0.0, 0.01, -0.01, 0.005, -0.005, 0.0]
    after = [value + noise + points / 100 for value, noise in zip(RUNS, spread, strict=True)]
    return rows("before", RUNS, failed) + rows("after", after, failed)


def test_a_statement_is_held_against_its_size_over_the_runs_that_did_not_fail(tmp_path: Path):
    size = {"low": -20.0, "high": -20.0, "decimals": 2, "runs": 1}
    answer = statement(tmp_path, drop_of(-20, failed=[3]), size=size, before="before")
    assert answer.verdict == "reproduced"
    assert "n = 5; expected " in answer.evidence
    assert "published -20; with failed runs (seed 3) -16.8 ± " in answer.evidence
    assert "n = 6, unresolved" in answer.evidence
    assert statement(tmp_path, drop_of(-8), size=size).verdict == "not reproduced"
    assert statement(tmp_path, drop_of(-8)).verdict == "reproduced", "a direction alone"


def test_without_a_named_network_a_run_is_left_out_where_either_row_failed(tmp_path: Path):
    pair = rows("before", RUNS, failed=[1]) + rows("after", RUNS, failed=[4], drop=-0.1)
    answer = statement(tmp_path, pair)
    assert "n = 4; with failed runs (seeds 1, 4) " in answer.evidence
    assert "n = 6" in answer.evidence
    assert "n = 5; with failed runs (seed 1) " in statement(tmp_path, pair, before="before").evidence


def test_the_sizes_of_the_file_are_the_differences_that_they_quote():
    statements = tomllib.loads((ROOT / "fidelity.toml").read_text())["statements"]
    for name, before, after in (("ucla-all-04", 61.50, 50.63), ("ucla-all-07", 61.50, 26.20)):
        assert statements[name]["size"]["low"] == statements[name]["size"]["high"] == round(after - before, 2)
        assert f"{before:.2f} to {after:.2f}" in statements[name]["says"]


# Other data


@pytest.mark.parametrize(("points", "verdict"), [(-8, "holds on other data"), (8, "fails on other data")])
def test_on_other_data_nothing_is_reproduced_and_nothing_fails_to_be(tmp_path: Path, points, verdict):
    answer = statement(tmp_path, drop_of(points), other_data={"ucla-large": "small digits"})
    assert answer.verdict == verdict
    assert "ours: small digits" in answer.evidence
    with pytest.raises(UsageError, match="other_data"):
        statement(tmp_path, drop_of(points), other_data={"spuco": "small digits"})


def test_what_is_not_known_here_is_not_known_on_other_data():
    others = set(fidelity_rule.VERDICTS) - {"reproduced", "not reproduced"}
    assert {fidelity_rule.elsewhere(one) for one in others} == others
    assert fidelity_rule.elsewhere("reproduced") == "holds on other data"
    assert fidelity_rule.elsewhere("not reproduced") == "fails on other data"


def test_a_number_on_other_data_holds_or_fails(tmp_path: Path):
    for text, verdict in (("52.0", "holds on other data"), ("90.0", "fails on other data")):
        assert section(tmp_path, rows("erm", RUNS), text, other_data="small digits")[0][-1] == f"**{verdict}**"


def test_every_claim_of_the_file_is_asked_on_data_that_are_not_the_papers():
    """No suite of claims has a paper's own data; a claim on them would take no `other_data`."""
    for name, one in fidelity_tables.load_fidelity(ROOT / "fidelity.toml").statements.items():
        assert bool(one.other_data) == bool(one.claims), name


# Facts


def facts(values, kind, **more):
    columns = [{"name": name, **more} for name in "ab"]
    whole = {"paper": "p", "title": "t", "place": "x", "source": "paper", "data": "d", "facts": kind}
    lines = [{"name": name, "values": values} for name in ("one", "other", "third")]
    whole |= {"verdict": "impossible", "why": "w", "columns": columns, "rows": lines}
    return fidelity_cells.facts_of_numbers("x", fidelity_tables.NumbersTable.model_validate(whole))


@pytest.mark.parametrize(("kind", "number"), [("cells", 6), ("rows", 3), ("table", 1)])
def test_facts_are_counted_by_what_one_network_gives(kind, number):
    assert len(facts(["1", "2"], kind)) == number
    assert len(facts(["1", ""], "cells")) == 3, "what is not printed is none"


def test_rows_of_one_network_are_one_fact():
    known = fidelity_tables.load_fidelity(ROOT / "fidelity.toml").numbers["ucla-contrastive"]
    assert fidelity_cells.facts_of_numbers("x", known) == {("x", "coloured"), ("x", "plain MNIST, whole")}


def test_a_fact_that_stands_further_up_is_not_counted_again():
    verdicts = Counter({"unresolved": 6})
    again = facts(["1", "2"], "cells", same_as="x")
    lines = fidelity.summary(
        [fidelity.Part("a", verdicts, facts(["1", "2"], "cells")), fidelity.Part("b", verdicts, again)]
    )
    counts = [[cell.strip(" *") for cell in line.strip("|").split("|")][:3] for line in lines if line.startswith("| ")]
    assert counts[1:] == [["a", "6", "6"], ["b", "6", "–"], ["all", "12", "6"]]


def test_a_statement_is_one_fact_in_each_suite_that_answers():
    one = fidelity_tables.StatementTable.model_validate(
        {"paper": "p", "says": "s", "place": "x", "claims": ["claims.toml: r1"], "fact": "shared"}
    )
    assert fidelity_cells.facts_of_statement("s", one, ["a", "b", "a"], []) == {("shared", "a"), ("shared", "b")}
    assert fidelity_cells.facts_of_statement("s", one, [], []) == {("shared",)}
    assert fidelity_cells.facts_of_statement("s", one, ["a"], ["shared"]) == {("shared",)}
