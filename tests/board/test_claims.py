"""claims: wrong verdicts are as rare as promised, planted effects are found, and mistakes are one line."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from benchbias.board.claim_tables import ClaimTable
from benchbias.board.claims import (
    _p_values,
    _power,
    _verdict,
    adjust,
    answer_claims,
    claims_data,
    claims_text,
    load_claims,
)
from benchbias.board.evidence import Evidence
from benchbias.errors import BenchbiasError, UsageError
from benchbias.records.analysis import AnalysisRecord, read_analyses
from benchbias.records.table import Table
from benchbias.records.trial import record_folder
from benchbias.runner.publishing import published_records
from benchbias.statistics.estimates import LEVEL, estimate, p_value
from benchbias.statistics.ranking import holm
from support import LEADERBOARD, ROOT
from support.made_records import LAYOUTS, counted, record

SEEDS = 10


def claim(expects="higher", **changed):
    table = {"says": "good beats plain", "suite": "probe", "row": "good", "other": "plain", "metric": "accuracy"}
    table |= {"expects": expects, "written": "before its seeds"}
    return ClaimTable.model_validate(table | changed)


def answers(good, plain, *, expects="higher", others=0, fit=1.0, **changed):
    records = [record("good", seed, value, train_conflicting_accuracy=fit) for seed, value in enumerate(good)]
    records += [record("plain", seed, value, train_conflicting_accuracy=1.0) for seed, value in enumerate(plain)]
    claims = {"c": claim(expects, **changed)} | {f"more-{n}": claim("equivalent") for n in range(others)}
    return answer_claims(claims, lambda suite: Evidence.of(records, {}))


NOISE = np.random.default_rng(0).normal(0, 0.005, (2, SEEDS))


@pytest.mark.parametrize(
    ("effect", "expects", "verdict"),
    [
        *((0.2, "higher", "supported"), (0.2, "lower", "refuted"), (0.2, "equivalent", "refuted")),
        *((-0.2, "higher", "refuted"), (-0.2, "lower", "supported"), (-0.2, "equivalent", "refuted")),
        *((0.0, "higher", "equivalent"), (0.0, "lower", "equivalent"), (0.0, "equivalent", "supported")),
    ],
)
def test_a_planted_effect_is_found(effect, expects, verdict):
    (found,) = answers(0.5 + effect + NOISE[0], 0.5 + NOISE[1], expects=expects)
    assert found.verdict == verdict


def test_noise_and_a_single_seed_leave_a_claim_unresolved():
    rng = np.random.default_rng(1)
    (noisy,) = answers(rng.normal(0.5, 0.1, SEEDS), rng.normal(0.5, 0.1, SEEDS))
    assert noisy.verdict == "unresolved"
    (single,) = answers([0.9], [0.1])
    assert single.verdict == "unresolved"
    assert single.power is None


def test_the_margin_is_in_points_and_the_claims_own():
    steady = np.linspace(-0.005, 0.005, SEEDS)
    for margin, verdict in ((1.0, "supported"), (3.0, "equivalent")):
        (found,) = answers(0.515 + steady, 0.5 + 0 * steady, margin=margin)
        assert found.verdict == verdict, margin


@pytest.mark.parametrize(
    ("good", "fit", "words"),
    [(0.02, 1.0, "at the floor"), (0.7, 0.5, "fits 50 %"), (0.02, 0.03, "at the floor, fits 3 %")],
)
def test_a_claim_of_merit_is_unresolved_where_a_row_has_not_learnt(good, fit, words):
    """However sure the difference: it says what networks learn, and not what a method is worth."""
    made = (good + NOISE[0] / 10, 0.5 + NOISE[1])
    (merit,) = answers(*made, fit=fit, metric="worst_group_accuracy")
    assert merit.verdict == "unresolved"
    assert merit.different < 0.001
    assert words in claims_text([merit], "0")
    assert claims_data([merit], "0")["claims"][0]["marks"] == {"good": words.split(", "), "plain": []}
    (learning,) = answers(*made, fit=fit, about="fit", metric="worst_group_accuracy")
    assert learning.verdict in ("supported", "refuted")


def test_a_claim_about_a_cell_looks_at_the_row_that_the_cell_is_about():
    columns = {"row": ("text", "", ("good",)), "alpha": ("estimate", "", (estimate([1.5, 1.6, 1.55, 1.52]),))}
    analysis = AnalysisRecord(
        {"analysis": "slope", "task": "toy", "status": "ok", "table": Table(columns, "").to_json()}
    )
    for fit, verdict in ((1.0, "supported"), (0.3, "unresolved")):
        rows = [record("good", seed, 0.6, train_conflicting_accuracy=fit) for seed in range(3)]
        evidence = Evidence.of(rows, {}, [analysis])
        (found,) = answer_claims({"c": cell_claim()}, lambda suite, known=evidence: known)
        assert found.verdict == verdict


def test_seeds_that_collapsed_stand_beside_the_claim():
    made = [counted("low", seed, (0.4 if seed < 2 else 0.95, 0.6), train_conflicting_accuracy=1.0) for seed in range(5)]
    made += [counted("plain", seed, (0.95, 0.5), train_conflicting_accuracy=1.0) for seed in range(5)]
    table = claim(row="low")
    (found,) = answer_claims({"c": table}, lambda suite: Evidence.of(made, LAYOUTS))
    assert found.marks["low"].collapsed == 2
    assert "low: 2 of 5 seeds collapsed" in claims_text([found], "0")


def test_more_claims_make_each_harder():
    rng = np.random.default_rng(2)
    good, plain = rng.normal(0.53, 0.03, SEEDS), rng.normal(0.5, 0.03, SEEDS)
    alone, among = answers(good, plain)[0], answers(good, plain, others=40)[0]
    assert alone.different < among.different
    assert alone.power > among.power


PAIRS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8)


@given(PAIRS)
def test_the_adjustment_lies_between_bonferroni_of_the_claims_and_holm_of_all_tests(pairs):
    flat = [p for pair in adjust(pairs) for p in pair]
    raw = [p for pair in pairs for p in pair]
    for mine, whole, p in zip(flat, holm(raw), raw, strict=True):
        assert p <= mine <= whole + 1e-12
    assert min(flat) == pytest.approx(min(1.0, len(pairs) * min(raw)))
    order = sorted(range(len(raw)), key=lambda at: raw[at])
    assert [flat[at] for at in order] == sorted(flat), "a smaller p stays the smaller"


@pytest.mark.parametrize("true", [0.0, 0.03, -0.03], ids=["no difference", "margin", "minus the margin"])
@pytest.mark.parametrize("expects", ["higher", "equivalent"])
def test_a_file_holds_a_wrong_verdict_in_one_of_twenty_at_most(true, expects):
    """All claims lie on the border of a hypothesis; at the margin, a hair to either side, other verdicts are wrong."""
    table, rng = claim(expects), np.random.default_rng(3)
    against = "refuted" if true > 0 else "supported"
    wrong = {  # each set: what no file of such claims may say
        ("higher", True): [{"supported", "refuted"}],
        ("higher", False): [{"equivalent", against}],
        ("equivalent", True): [{"refuted"}],
        ("equivalent", False): [{"supported"}, {"refuted"}],
    }[expects, true == 0]
    files, count = 600, 4
    bad = np.zeros(len(wrong))
    for _ in range(files):
        gaps = [estimate(list(rng.normal(true, 0.03, SEEDS))) for _ in range(count)]
        found = adjust([_p_values(gap, table) for gap in gaps])
        said = {_verdict(table, gap, *p) for gap, p in zip(gaps, found, strict=True)}
        bad += [bool(said & one) for one in wrong]
    assert max(bad) / files <= 0.05 + 3 * (0.05 * 0.95 / files) ** 0.5


@pytest.mark.parametrize(("expects", "true"), [("higher", 0.03), ("lower", -0.03), ("equivalent", 0.0)])
@pytest.mark.parametrize("sd", [0.01, 0.02, 0.03])
def test_the_power_is_how_often_such_claims_are_supported(expects, true, sd):
    """Of one claim alone, whose power is averaged over the standard errors that occur."""
    table, rng = claim(expects), np.random.default_rng(4)
    powers, supported, files = [], 0, 800
    for _ in range(files):
        gap = estimate(list(rng.normal(true, sd, SEEDS)))
        powers.append(_power(table, gap, 1))
        different, alike = adjust([_p_values(gap, table)])[0]
        direction = different <= 1 - LEVEL and (gap.mean > 0) == (expects == "higher")
        supported += alike <= 1 - LEVEL if expects == "equivalent" else direction
    assert np.mean(powers) == pytest.approx(supported / files, abs=0.1)


def test_a_suite_without_records_is_not_run_and_does_not_hide_the_others():
    records = [
        record(name, seed, 0.5 + 0.2 * (name == "good") + 0.01 * (seed % 2 - seed), train_conflicting_accuracy=1.0)
        for name in ("good", "plain")
        for seed in range(6)
    ]
    claims = {"here": claim(), "elsewhere": claim(suite="other")}
    here, elsewhere = answer_claims(claims, lambda suite: Evidence.of(records, {}) if suite == "probe" else None)
    assert (here.verdict, elsewhere.verdict, elsewhere.gap) == ("supported", "not run", None)
    assert "not run" in claims_text([here, elsewhere], "0")
    assert json.loads(json.dumps(claims_data([here, elsewhere], "0")))["claims"][1]["verdict"] == "not run"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"row": "god"}, ["claims.c", "row", "god", "good"]),
        ({"metric": "acuracy"}, ["claims.c", "metric", "accuracy"]),
        ({"task": "toys"}, ["claims.c", "task", "toy"]),
    ],
)
def test_what_the_records_do_not_have_is_named(changed, words):
    with pytest.raises(UsageError) as error:
        answers([0.5, 0.6], [0.5, 0.6], **changed)
    assert all(word in str(error.value) for word in words)


def cell_claim(**changed):
    table = {"says": "alpha is above 1", "suite": "probe", "analysis": "slope", "at": {"row": "good"}, "value": "alpha"}
    table |= {"against": 1.0, "margin": 0.1, "expects": "higher", "written": "before its seeds"}
    return ClaimTable.model_validate(table | changed)


def analysed(values, **changed):
    """The verdict on a claim about a cell that holds the mean of values, beside a cell of nothing."""
    columns = {
        "row": ("text", "", ("good", "plain", "plain")),
        "class": ("text", "", ("0", "0", "1")),
        "alpha": ("estimate", "", (estimate(values), None, None)),
        "count": ("count", "", (1, 2, 3)),
    }
    body = {"analysis": "slope", "task": "toy", "status": "ok", "table": Table(columns, "").to_json()}
    evidence = Evidence((), [AnalysisRecord(body)])
    return answer_claims({"c": cell_claim(**changed)}, lambda suite: evidence)[0]


@pytest.mark.parametrize(
    ("mean", "expects", "verdict"),
    [
        *((1.5, "higher", "supported"), (1.5, "lower", "refuted"), (1.5, "equivalent", "refuted")),
        *((0.5, "higher", "refuted"), (0.5, "lower", "supported"), (1.01, "equivalent", "supported")),
        (1.01, "higher", "equivalent"),
    ],
)
def test_a_claim_about_a_cell_of_an_analysis_is_held_against_its_estimate(mean, expects, verdict):
    found = analysed(mean + 0.05 * NOISE[0] / NOISE[0].std(), expects=expects)
    assert found.verdict == verdict
    assert found.gap.mean == pytest.approx(mean - 1 + 0.05 * NOISE[0].mean() / NOISE[0].std())
    text = claims_text([found], "0")
    assert "good" in text
    assert "slope: alpha" in text
    assert claims_data([found], "0")["claims"][0]["difference"] == found.gap.mean


def test_a_cell_of_nothing_is_unresolved_and_an_analysis_that_was_not_made_is_not_run():
    assert analysed([1.0, 2.0], at={"row": "plain", "class": "1"}).verdict == "unresolved"
    assert analysed([1.0, 2.0], analysis="other").verdict == "not run"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"at": {"row": "god"}}, ["claims.c.at", "row", "god", "good"]),
        ({"at": {"rows": "good"}}, ["claims.c.at", "rows", "did you mean 'row'"]),
        ({"at": {"row": "plain"}}, ["2 rows of 'slope'", "row, class"]),
        ({"value": "count"}, ["estimate", "alpha"]),
        ({"task": "toys"}, ["task", "toy"]),
    ],
)
def test_a_cell_that_is_not_there_is_named(changed, words):
    with pytest.raises(UsageError) as error:
        analysed([1.0, 2.0], **changed)
    assert all(word in str(error.value) for word in ("claims.c", *words))


def test_a_claim_is_of_one_kind():
    for make, changed, words in (
        (cell_claim, {"row": "a"}, "a claim about a cell of an analysis has no row"),
        (cell_claim, {"metric": "accuracy"}, "has no metric"),
        (claim, {"against": 1.0}, "a claim about two rows has no against"),
        (cell_claim, {"probe": "p"}, "has no probe"),
    ):
        with pytest.raises(ValueError, match=words):
            make(**changed)
    with pytest.raises(ValueError, match="lacks margin"):
        ClaimTable.model_validate(cell_claim().model_dump(exclude_unset=True, exclude={"margin"}))


def test_the_difference_of_two_cells_is_as_of_two_samples():
    rng = np.random.default_rng(2)
    ones, others = rng.normal(1.3, 0.1, 12), rng.normal(1.0, 0.3, 7)
    columns = {
        "row": ("text", "", ("one", "other")),
        "alpha": ("estimate", "", (estimate(ones), estimate(others))),
    }
    body = {"analysis": "slope", "task": "toy", "status": "ok", "table": Table(columns, "").to_json()}
    evidence = Evidence((), [AnalysisRecord(body)])
    table = cell_claim(at={"row": "one"}, less={"row": "other"}, against=0.1)
    gap = evidence.gap("c", table)
    oracle = scipy.stats.ttest_ind(ones - 0.1, others, equal_var=False)
    assert gap.mean == pytest.approx(ones.mean() - others.mean() - 0.1)
    assert gap.freedom == pytest.approx(oracle.df)
    assert oracle.pvalue <= p_value(gap) < 3 * oracle.pvalue, "Welch's tail is the shorter one"
    assert "one > other + 0.1" in claims_text(answer_claims({"c": table}, lambda suite: evidence), "0")


def test_a_claim_about_a_cell_of_a_probe_is_over_seeds():
    def probed(seed, value):
        columns = {
            "group": ("text", "", ("a", "b")),
            "change": ("number", "points", (value, None if seed == 9 else 1.0)),
        }
        return record("good", seed, 0.5, train_conflicting_accuracy=1.0, probes={"hurt": Table(columns, "").to_json()})

    values = [-2.0, -3.0, -2.5, -2.2]
    evidence = Evidence.of([probed(seed, value) for seed, value in enumerate(values)], {})
    table = {"says": "hurts", "suite": "probe", "probe": "hurt", "row": "good", "at": {"group": "a"}, "value": "change"}
    table |= {"margin": 0.5, "expects": "lower", "written": "after its seeds"}
    found = answer_claims({"c": ClaimTable.model_validate(table)}, lambda suite: evidence)[0]
    assert found.gap == estimate(values)
    assert found.verdict == "supported"
    both = ClaimTable.model_validate(table | {"less": {"group": "b"}})
    assert evidence.gap("c", both) == estimate([value - 1 for value in values])
    assert Evidence.of([probed(9, -2.0), probed(8, -2.0)], {}).gap("c", both) is None
    assert not evidence.answers(ClaimTable.model_validate(table | {"probe": "other"}))
    with pytest.raises(UsageError, match="unknown row 'god'; did you mean 'good'"):
        evidence.gap("c", ClaimTable.model_validate(table | {"row": "god"}))


WHOLE = """says = "a"
suite = "s"
row = "a"
other = "b"
metric = "accuracy"
expects = "higher"
written = "after its seeds"
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["schema = 1"]),
        ("schema = 1\n", ["no claim"]),
        ("schema = 1\n[claim.a]\n", ["section", "claims"]),
        (f"schema = 1\n[claims.a]\n{WHOLE}margn = 2\n", ["claims.a", "margn", "margin"]),
        (f"schema = 1\n[claims.a]\n{WHOLE}margin = 0\n", ["claims.a.margin"]),
        (f"schema = 1\n[claims.a]\n{WHOLE}margin = 0.05\n", ["claims.a: margin", "at least 0.1"]),
        (f"schema = 1\n[claims.a]\n{WHOLE.replace('higher', 'better')}", ["claims.a.expects", "higher"]),
        (
            "schema = 1\n[claims.a]\n" + WHOLE.replace('row = "a"\n', ""),
            ["claims.a:", "a claim about two rows lacks row", "a cell of an analysis"],
        ),
        (f"schema = 1\n[claims.A]\n{WHOLE}", ["a name is"]),
        ("schema = 1\n[claims\n", ["not valid TOML"]),
    ],
)
def test_a_mistake_in_the_file_is_one_line_with_its_place(text, words, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        load_claims(path)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in ("mine.toml", *words))
    with pytest.raises(BenchbiasError, match="cannot be read"):
        load_claims(tmp_path / "none.toml")


@functools.cache
def found(suite):
    """The evidence of a published suite; both files of claims ask for it."""
    here = record_folder(LEADERBOARD, suite)
    return Evidence.of(*published_records(suite, LEADERBOARD), read_analyses(here)) if here.is_dir() else None


@pytest.mark.parametrize("file", ["claims", pytest.param("claims-before", marks=pytest.mark.slow)])
def test_the_published_verdicts_are_those_of_the_published_records(file):
    claims, digest = load_claims(ROOT / f"{file}.toml")
    before = {name for name, claim in claims.items() if claim.written == "before its seeds"}
    assert before == (set(claims) if file == "claims-before" else {"r3-digits-20", "r3-digits-50"})
    assert all(found(suite) for suite in {claim.suite for claim in claims.values()})
    assert claims_text(answer_claims(claims, found), digest) == (LEADERBOARD / f"{file}.md").read_text()
