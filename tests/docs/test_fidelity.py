"""docs/fidelity.md is what records say; its rule errs as rarely as it says; mistakes are one line."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from benchbias.board.row_trials import trials_of
from benchbias.errors import UsageError
from benchbias.records.row_name import as_row_name
from benchbias.runner.workspace import Workspace
from benchbias.statistics.estimates import Estimate, estimate
from benchbias.suite.catalogue import shipped_file
from support import ROOT
from support.made_records import record

BENCHMARKS = ROOT / "benchmarks"
TOML = tomllib.loads((ROOT / "fidelity.toml").read_text())
NUMBERS, STATEMENTS = TOML["numbers"], TOML["statements"]
LARGE = {"suite": "ucla-large", "task": "spuco-mnist-large"}

sys.path.insert(0, str(BENCHMARKS))
try:
    import fidelity
    import fidelity_cells
    import fidelity_numbers
    import fidelity_records
    import fidelity_rule
    import fidelity_statements
    import fidelity_tables
finally:
    sys.path.remove(str(BENCHMARKS))


# The page


@pytest.mark.slow
def test_the_page_is_what_the_script_prints_from_the_committed_records():
    command = [sys.executable, "benchmarks/fidelity.py", "leaderboard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (ROOT / "docs/fidelity.md").read_text(), "made anew by the command in CONTRIBUTING.md?"


def test_without_records_the_page_holds_no_number_but_the_published_ones(tmp_path: Path):
    (tmp_path / "records").mkdir()
    text = fidelity.page(fidelity_tables.load_fidelity(ROOT / "fidelity.toml"), tmp_path)
    assert " ± " not in text.split("## All tables")[1].replace("(± ", "")
    assert "expected" not in text.split("## All tables")[1]
    total = next(line for line in text.splitlines() if line.startswith("| **all**"))
    counts = [int(number) for number in re.findall(r"\*\*(\d+)\*\*", total)]
    numbers, facts, *verdicts = counts
    found = dict(zip(fidelity_rule.VERDICTS, verdicts, strict=True))
    assert {name for name, count in found.items() if count} == {"not attempted", "impossible"}
    assert facts < numbers == sum(verdicts)
    printed = sum(bool(value) for table in NUMBERS.values() for row in table["rows"] for value in row["values"])
    said = sum(len(one.get("claims", "1")) for one in STATEMENTS.values())
    assert numbers == printed + said


GROUPS = {
    "group_aligned": [True, False],
    "group_total": [100, 100],
    "group_correct": [100, 0],
    "num_classes": 5,
    "train_group_total": [900, 291],
    "train_conflicting_accuracy": 0.0,
}


def published(tmp_path: Path, records) -> fidelity_records.Published:
    """As if these were the records of ucla-large. That records are read, the page and the next test show."""
    return fidelity_records.Published(tmp_path, ROOT, {"ucla-large": trials_of(records, {})})


def test_a_metric_that_records_do_not_name_is_counted_from_their_cells():
    row = fidelity_records.Published(ROOT / "leaderboard", ROOT).row("prune-layers-spuco", None, "jtt-ucla", "here")
    found = fidelity_records.values_of(row, "mean_group_accuracy", "here")
    assert len(found) == 10
    for seed, value in found.items():
        body = row.records[seed].body
        assert "mean_group_accuracy" not in body["metrics"]
        shares = np.array(body["group_correct"]) / body["group_total"]
        assert float(value.value) == pytest.approx(shares.mean())


def large(method, values, **more):
    body = {"task": LARGE["task"], "suite": {"name": LARGE["suite"]}} | GROUPS | more
    return [record(method, seed, value, **body) for seed, value in enumerate(values)]


def table(values, *columns, **changed):
    columns = columns or ({"name": "accuracy", "as_published": "erm"},)
    rows = [{"name": "one", "values": values}]
    head = {"paper": "p", "title": "t", "place": "x", "source": "paper", "data": "d", "metric": "accuracy", "runs": 1}
    return fidelity_tables.NumbersTable.model_validate(
        head | LARGE | {"columns": list(columns), "rows": rows} | changed
    )


def shown(made) -> list[list[str]]:
    lines, counted = made
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| one")]
    assert sum(counted.values()) == len(rows)
    return rows


SEEDS = [0.50, 0.52, 0.54, 0.51, 0.53]  # mean 52, s 1.58, expected 52 ± 2.776 x 1.58 x sqrt(1.2) = ± 4.81
OURS = "52.0 (50.0–54.0)"  # Wilson's bounds; the error is 1.58 / sqrt(5) = 0.71, so nearly ± 2.776 x 0.71 = ± 1.96


@pytest.mark.parametrize(
    ("text", "verdict"),
    [("52.0", "reproduced"), ("56.8", "reproduced"), ("56.9", "not reproduced"), ("47.1", "not reproduced")],
)
def test_a_number_stands_beside_the_mean_the_seeds_and_the_interval_of_its_records(tmp_path: Path, text, verdict):
    found = published(tmp_path, large("erm", SEEDS))
    (cells,) = shown(fidelity_numbers.numbers("x", table([text]), found, set()))
    assert shown(fidelity_numbers.numbers("x", table([text], slack=2.0), found, set()))[0][-1] == "**reproduced**"
    assert cells == ["one", "accuracy", text, OURS, "5", "47.2 to 56.8", "–", f"**{verdict}**"]


@pytest.mark.parametrize(("runs", "expected"), [(3, "48.8 to 55.2"), (1, "47.2 to 56.8"), (None, "47.2 to 56.8")])
def test_a_mean_of_several_runs_is_expected_nearer_and_one_of_unknown_runs_counts_as_one(
    tmp_path: Path, runs, expected
):
    found = published(tmp_path, large("erm", SEEDS))
    assert shown(fidelity_numbers.numbers("x", table(["52.0"], runs=runs), found, set()))[0][5] == expected


def test_a_repaired_row_may_be_of_another_metric(tmp_path: Path):
    metrics = {"accuracy": 0.5, "worst_group_accuracy": 0.2}
    found = published(tmp_path, large("erm", SEEDS, metrics=metrics))
    column = {"name": "a", "as_published": "erm", "repaired": "erm", "repaired_metric": "worst_group_accuracy"}
    (cells,) = shown(fidelity_numbers.numbers("x", table(["50.0"], column), found, set()))
    assert (cells[3], cells[6]) == ("50.0", "20.0"), "what does not vary over seeds, of unknown examples: no interval"


def test_fractions_counts_and_repaired_rows_are_read_in_their_own_unit(tmp_path: Path):
    found = published(tmp_path, large("erm", SEEDS) + large("fixed", [0.9, 0.9, 0.9]))
    column = {"name": "a", "as_published": "erm", "repaired": "fixed"}
    (cells,) = shown(fidelity_numbers.numbers("x", table(["0.52"], column, unit="fraction"), found, set()))
    assert cells[3:] == ["0.52 (0.50–0.54)", "5", "0.47 to 0.57", "0.900", "**reproduced**"]
    counts = table(["291"], {"name": "a", "as_published": "erm"}, unit="count", metric="conflicting_training_errors")
    (cells,) = shown(fidelity_numbers.numbers("x", counts, found, set()))
    assert cells[3:] == ["291.0", "5", "291.0 to 291.0", "–", "**reproduced**"]


def test_a_row_is_found_as_the_board_and_as_a_plan_write_it(tmp_path: Path):
    swept = {"layers": "fc2", "sparsity": 0.9}
    found = published(tmp_path, [record("sweep", 0, 0.5, swept=swept, task="t", suite={"name": "ucla-large"})])
    rows = [found.row("ucla-large", None, f"sweep[layers=fc2,{gap}sparsity=0.9]", "here") for gap in ("", " ")]
    assert rows[0] is rows[1] is not None


def test_too_few_seeds_a_row_that_was_not_run_and_a_fixed_verdict(tmp_path: Path):
    found = published(tmp_path, large("erm", SEEDS[:2]))
    assert shown(fidelity_numbers.numbers("x", table(["52.0"]), found, set()))[0][-1] == "**too few seeds**"
    assert (
        shown(fidelity_numbers.numbers("x", table(["52.0"], {"name": "a"}), found, set()))[0][-1] == "**not attempted**"
    )
    fixed = table(["52.0"], verdict="impossible", why="the probe is never trained")
    assert shown(fidelity_numbers.numbers("x", fixed, found, set()))[0][-1] == "**impossible**"


def test_a_suite_without_records_says_what_makes_them_or_that_there_is_none(tmp_path: Path):
    found = fidelity_records.Published(tmp_path, ROOT)
    lines, counted = fidelity_numbers.numbers("x", table(["52.0"]), found, {"ucla-large"})
    assert "`benchbias run --suite ucla-large`" in lines[-2]
    assert counted == {"not attempted": 1}
    assert "no suite `ucla-large`" in fidelity_numbers.numbers("x", table(["52.0"]), found, set())[0][-2]


@pytest.mark.parametrize(
    ("expects", "verdict"), [("higher", "reproduced"), ("lower", "not reproduced"), ("higher", "unresolved")]
)
def test_an_ordering_is_held_against_the_paired_difference(tmp_path: Path, expects, verdict):
    gaps = np.array([0.1, 0.12, 0.11, 0.09, 0.1]) if verdict != "unresolved" else np.array([1, -1, 1, -1, 1]) / 10
    found = published(tmp_path, large("one", np.array(SEEDS) + gaps) + large("other", SEEDS))
    pair = {"row": "one", "other": "other", "metric": "accuracy", "expects": expects}
    one = fidelity_tables.StatementTable.model_validate({"paper": "p", "says": "s", "place": "x"} | LARGE | pair)
    (found_answer,) = fidelity_statements.said(one, found, {}, "here")
    assert found_answer.verdict == verdict
    assert f"{100 * gaps.mean():+.1f} ± " in found_answer.evidence
    assert "n = 5" in found_answer.evidence


def test_a_claim_is_told_in_the_words_of_the_page():
    assert set(fidelity_statements.FROM_CLAIMS) == {"supported", "refuted", "equivalent", "unresolved", "not run"}
    assert fidelity_statements.FROM_CLAIMS["equivalent"] == "not reproduced", "an ordering is said, and there is none"
    committed = (ROOT / "leaderboard/claims.md").read_text()
    page = (ROOT / "docs/fidelity.md").read_text()
    for name in ("r1-digits", "r3-digits-20", "u1-all-70"):
        (verdict,) = re.findall(rf"^\| {name} +\| \*\*([a-z ]+)\*\*", committed, re.MULTILINE)
        (line,) = [line for line in page.splitlines() if f"claim `{name}`" in line]
        assert f": {verdict} (" in line
        said = fidelity_rule.elsewhere(fidelity_statements.FROM_CLAIMS[verdict])
        assert line.split("|")[-2].strip() == f"**{said}**"


# The rule


def false_alarms(n: int, runs: int, shift: float = 0.0, repetitions: int = 3000) -> float:
    numbers = np.random.default_rng([n, runs])
    ours = numbers.normal(60, 3, (repetitions, n))
    theirs = numbers.normal(60 + shift, 3, (repetitions, runs)).mean(axis=1)
    verdicts = [
        fidelity_rule.verdict_of_number(fidelity_rule.Printed.of(f"{printed:.2f}", "x"), list(values), runs)
        for printed, values in zip(theirs, ours, strict=True)
    ]
    return sum(verdict == "not reproduced" for verdict in verdicts) / repetitions


@pytest.mark.parametrize(("n", "runs"), [(3, 3), (5, 1), (10, 1), (10, 3)])
def test_the_rule_fails_a_twentieth_of_equal_experiments(n: int, runs: int):
    assert 0.038 <= false_alarms(n, runs) <= 0.062  # three standard errors of 3,000 repetitions


def test_the_rule_finds_a_number_that_is_far_off():
    assert false_alarms(10, 3, shift=15.0, repetitions=300) > 0.95


def test_for_one_run_the_rule_is_the_t_test_of_one_against_many():
    numbers = np.random.default_rng(3)
    for _ in range(50):
        values = numbers.normal(60, 3, 6)
        low, high = vars(fidelity_rule.prediction(list(values), 1)).values()
        for bound in (low, high):
            assert scipy.stats.ttest_ind([bound], values).pvalue == pytest.approx(0.05)


def test_rounding_is_forgiven_and_no_more():
    printed = fidelity_rule.Printed.of
    same = [61.54] * 4
    assert fidelity_rule.verdict_of_number(printed("61.5", "x"), same, 1) == "reproduced"
    assert fidelity_rule.verdict_of_number(printed("61.50", "x"), same, 1) == "not reproduced"
    assert fidelity_rule.verdict_of_number(printed("61.6", "x"), same, 1) == "not reproduced"
    assert fidelity_rule.verdict_of_number(printed("62", "x"), same, 1) == "reproduced"
    assert fidelity_rule.verdict_of_number(printed("63", "x"), same, 1) == "not reproduced"
    assert fidelity_rule.verdict_of_number(printed("63", "x", 2.0), same, 1) == "reproduced"
    assert fidelity_rule.verdict_of_number(printed("64", "x", 2.0), same, 1) == "not reproduced"


@pytest.mark.parametrize(("spread", "verdict"), [(2.0, "reproduced"), (8.0, "unresolved")])
def test_an_interval_that_would_hold_almost_any_number_tells_nothing(tmp_path: Path, spread, verdict):
    values = [0.6 + spread * step / 100 for step in (-1, 0, 1, -1, 0, 1)]
    half = fidelity_rule.prediction([100 * value for value in values], 1)
    assert (half.high - half.low > 2 * fidelity_rule.WIDEST) == (verdict == "unresolved")
    found = published(tmp_path, large("erm", values))
    assert shown(fidelity_numbers.numbers("x", table(["60.0"]), found, set()))[0][-1] == f"**{verdict}**"
    assert shown(fidelity_numbers.numbers("x", table(["5.0"]), found, set()))[0][-1] == "**not reproduced**"


def test_an_ordering_takes_three_seeds():
    assert fidelity_rule.verdict_of_order(estimate([0.1, 0.1001]), "higher") == "too few seeds"
    assert fidelity_rule.verdict_of_order(None, "higher") == "too few seeds"
    assert fidelity_rule.verdict_of_order(gap_of(0.1, 0.11), "higher") == "unresolved", "not told at 5 %"
    assert fidelity_rule.verdict_of_order(gap_of(0.1, 0.09), "higher") == "reproduced"


def gap_of(mean: float, half: float) -> Estimate:
    """A difference over five seeds whose 95 % interval is mean ± half."""
    return Estimate.of(mean, half / float(scipy.stats.t.ppf(0.975, 4)), 4.0, 5)


@pytest.mark.parametrize(("n", "verdict"), [(2, "too few seeds"), (5, "unresolved"), (6, "reproduced")])
def test_a_difference_that_never_varies_has_the_p_value_of_the_sign_test(n: int, verdict: str):
    """2^(1 - n): 0.0625 of five seeds, 0.031 of six."""
    gap = estimate([0.25] * n)
    assert gap is not None
    assert gap.half_width is None
    assert fidelity_rule.verdict_of_order(gap, "higher") == verdict
    assert fidelity_rule.verdict_of_order(gap, "lower") == verdict.replace("reproduced", "not reproduced")


# What is published


def column(name: str, *columns: int) -> list[list[float]]:
    return [[float(row["values"][at]) for at in columns] for row in NUMBERS[name]["rows"]]


def test_the_contradictions_that_the_page_tells_are_in_the_printed_numbers():
    rows = column("rest-table-2", 0, 1, 2, 3) + column("rest-table-2-bffhq", 0, 1, 2, 3)
    assert [round(rows[at][3] - rows[at][0], 1) for at in (0, 4, 8)] == [2.6, 0.8, 21.7]
    assert sum(disent < erm for erm, _, disent, _ in rows) == 7
    assert sum(mrm < erm for erm, mrm, _, _ in rows) == 4
    assert "2.6, 0.8 and 21.7" in NUMBERS["rest-introduction"]["why"]
    best = [value for row in NUMBERS["ucla-contrastive"]["rows"] for value in row["values"]]
    assert max(map(float, best)) < 1 - 1135 / 10_000 == 0.8865  # MNIST's test split has 1,135 ones
    assert "88.65 %" in NUMBERS["ucla-contrastive"]["why"]
    assert float(NUMBERS["ucla-erm"]["rows"][0]["values"][3]) == round(100 * (1 - 291 / 48_004), 5)
    (baseline,) = column("silent-readme", 0, 1, 2, 3)
    assert baseline == [1.0, *(round(k / n, 4) for k, n in ((182, 184), (50, 56), (1042, 1057)))]


def test_every_number_that_is_held_against_records_is_a_plain_one_and_is_on_the_page():
    page = (ROOT / "docs/fidelity.md").read_text()
    for name, one in fidelity_tables.load_fidelity(ROOT / "fidelity.toml").numbers.items():
        section = page.split(f"### {one.place}: {one.title}\n")[1].split("\n#")[0]
        for cell in fidelity_cells.cells(one):
            assert re.search(rf"\| {re.escape(cell.text)} +\|", section), (name, cell)
            if one.suite is not None:
                fidelity_rule.Printed.of(cell.text, name)


def test_the_rows_that_answer_are_those_of_the_shipped_suites():
    """A misspelt row of a suite without records would stand as not attempted for ever."""
    workspace = Workspace.open(shipped_file(), quiet=True)
    plans: dict[str, set[tuple[str, str]]] = {}

    def check(name: str, task: str | None, row: str) -> None:
        if row and name in workspace.catalogue.suites:
            if name not in plans:
                plans[name] = {(trial.task, trial.row) for trial in workspace.plan(name).trials}
            tasks = {task} if task else {one for one, _ in plans[name]}
            assert len(tasks) == 1, f"{name}: of several tasks one is named"
            assert (*tasks, as_row_name(row)) in plans[name], f"suite {name} has no row {row!r} of {tasks}"

    known = fidelity_tables.load_fidelity(ROOT / "fidelity.toml")
    for one in known.numbers.values():
        for cell in fidelity_cells.cells(one) if one.suite else ():
            other = one.repaired
            beside = (other.suite if other else str(one.suite), (other and other.task) or cell.task)
            check(str(one.suite), cell.task, cell.as_published)
            check(*beside, cell.repaired)
            if one.pruned:
                check(str(one.suite), cell.task, one.pruned.row)
                check(*beside, one.pruned.repaired)
    for said in known.statements.values():
        for row in (said.row, said.other, said.before):
            check(str(said.suite), said.task, row or "")
    assert {"contrastive", "prune-layers-spuco"} <= set(plans)


# Faults


GOOD = """schema = 1
[papers.p]
title = "P"
short = "P"
read = "its text"
[numbers.n]
paper = "p"
title = "t"
place = "Table 1"
source = "paper"
data = "MNIST"
metric = "accuracy"
suite = "smoke"
columns = [{ name = "ERM", as_published = "erm" }]
rows = [{ name = "a", values = ["45.7"] }]
[statements.s]
paper = "p"
says = "it helps"
place = "Section 1"
verdict = "not attempted"
why = "no data"
"""


def load(tmp_path: Path, text: str):
    (tmp_path / "fidelity.toml").write_text(text)
    return fidelity_tables.load_fidelity(tmp_path / "fidelity.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema = 1", "schema = 2", "the first line must be"),
        ("[papers.p]", "[paper.p]", "unknown section 'paper'"),
        ('paper = "p"\ntitle', 'paper = "q"\ntitle', "numbers.n: unknown paper 'q'"),
        ('source = "paper"', 'source = "memory"', "numbers.n.source"),
        ('["45.7"]', '["45.7", "1"]', "row 'a' has 2 values for 1 columns"),
        ('"45.7"', "45.7", "values"),
        ('as_published = "erm"', 'as_published = "rest[density={density}]"', "it fills: nothing"),
        ('as_published = "erm"', 'as_publisht = "erm"', "did you mean 'as_published'"),
        ('suite = "smoke"\n', "", "lacks a suite"),
        ('metric = "accuracy"\n', "", "lacks a metric"),
        ('metric = "accuracy"\n', 'metric = "accuracy"\nverdict = "impossible"\n', "lacks `why`"),
        ('metric = "accuracy"\n', 'metric = "accuracy"\nunit = "as printed"\n', "held against nothing"),
        ('why = "no data"\n', "", "lacks `why`"),
        ('why = "no data"\n', 'why = "no data"\nclaims = ["claims.toml: r1"]\n', "it takes one answer"),
        ('verdict = "not attempted"', 'suite = "smoke"', "it takes one answer"),
        ('verdict = "not attempted"', 'verdict = "reproduced"', "statements.s.verdict"),
        ('why = "no data"\n', 'why = "no data"\nsize = { low = 1.0, high = 2.0 }\n', "is of two rows"),
        ('why = "no data"\n', 'why = "no data"\nsize = { low = 2.0, high = 1.0 }\n', "is above high"),
        (
            'suite = "smoke"\n',
            'suite = "smoke"\npruned = { row = "erm", levels = {} }\n',
            "lacks the level of accuracy",
        ),
        ('suite = "smoke"\n', 'suite = "smoke"\nfacts = "some"\n', "numbers.n.facts"),
    ],
)
def test_a_fault_of_the_file_is_one_message_that_names_the_place(tmp_path: Path, old, new, message):
    assert load(tmp_path, GOOD).numbers["n"].rows[0].values == ["45.7"]
    assert old in GOOD
    with pytest.raises(UsageError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert str(caught.value).startswith("fidelity.toml")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"columns": [{"name": "a", "as_published": "emr"}]}, "suite 'ucla-large', task .*unknown row 'emr'"),
        ({"columns": [{"name": "a", "as_published": "erm", "metric": "acc"}]}, "unknown metric 'acc'"),
        ({"task": "mnist"}, "unknown task 'mnist'"),
    ],
)
def test_a_row_a_metric_or_a_task_that_there_is_not_is_one_message(tmp_path: Path, changed, message):
    found = published(tmp_path, large("erm", SEEDS))
    with pytest.raises(UsageError, match=message):
        fidelity_numbers.numbers("x", table(["52.0"], **changed), found, set())


def test_a_number_that_is_none_and_a_claim_that_there_is_not_are_named(tmp_path: Path):
    found = published(tmp_path, large("erm", SEEDS))
    with pytest.raises(UsageError, match=r"numbers\.x: one, accuracy: expected a number as printed"):
        fidelity_numbers.numbers("x", table(["4.41e16"]), found, set())
    claim = {"paper": "p", "says": "s", "place": "x", "claims": ["claims.toml: r9"]}
    with pytest.raises(UsageError, match=r"unknown claim 'claims\.toml: r9'"):
        fidelity_statements.said(
            fidelity_tables.StatementTable.model_validate(claim), found, {"claims.toml: r1": None}, "here"
        )


def test_the_command_says_how_it_is_called_and_what_is_no_published_folder(tmp_path: Path):
    for arguments, message in (([], "usage: "), ([str(tmp_path)], "is no published folder")):
        command = [sys.executable, "benchmarks/fidelity.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 2
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1
