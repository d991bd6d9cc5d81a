"""The text of an audit: the verdict first, whatever the width; numbers that agree with it; names that do no harm."""

from __future__ import annotations

import dataclasses
import re

import pytest
from rich.cells import cell_len

from benchbias.auditing.pages import pareto, wording
from benchbias.auditing.pages.choosing import chosen, ordered
from benchbias.auditing.pages.text import text
from benchbias.auditing.values import Facts, Latency, Options, Uneven
from support import sample_audits as samples

AUDITS = (samples.audit, samples.two_models, samples.passing, samples.nasty, samples.discovered)


@pytest.mark.parametrize("make", AUDITS)
@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
@pytest.mark.parametrize("all_groups", [False, True])
def test_no_line_is_wider_than_the_terminal_and_the_verdict_comes_first(make, width: int, all_groups: bool):
    audit = make()
    shown = text(audit, width=width, all_groups=all_groups)
    words = {len(word) for line in shown.splitlines() for word in line.split()}
    assert all(len(line) <= max(width, 4 + max(words)) for line in shown.splitlines())
    assert shown.startswith(audit.verdict.upper())
    assert f"exit {3 if audit.verdict == 'harmed' else 0}" in " ".join(shown.split("\n\n")[0].split())


@pytest.mark.parametrize("width", [60, 120])
def test_own_words_are_ascii_and_names_are_printable(width: int):
    assert text(samples.two_models(), width=width).isascii()
    shown = text(samples.nasty(), width=width)
    assert all(line.isprintable() for line in shown.splitlines())


def test_the_table_says_the_numbers_of_the_groups():
    shown = text(samples.audit(), width=120)
    row = next(line for line in shown.splitlines() if line.startswith("male & blond"))
    assert row.split()[3:10] == ["507", "88.0", "77.1", "64", "9", "x1.9", "10.8"]
    assert row.endswith("harmed beyond margin")
    for sentence in (
        "errors 12.0 -> 22.9 %, x1.9",
        'Without "male & blond" no group is harmed: look there first (a description, not a test).',
        'Harm not excluded anywhere: 13.5 points ("male & blond", 507 examples).',
        "One pair of models: this says nothing about other training runs.",
        '"sex" loses unevenly (p = .012): "male" loses more than the rest.',
        '320 examples lack "sex". Whether none or all of them have the value "male", its harm is below 13.7 points.',
        'No examples, so nothing is said of: "d & grey", "(missing) & grey".',
        "246 answers changed (4.1 %): 59 lost, 20 gained, 167 wrong both times.",
        "warning: 12 groups have fewer than 99 examples.",
    ):
        assert sentence in shown
    assert "camera" not in shown, "an attribute that is not shown to lose unevenly is not told of"


@pytest.mark.parametrize("make", AUDITS)
def test_every_group_is_shown_or_counted(make):
    for model in make().models:
        short, whole = chosen(model), chosen(model, everything=True)
        assert len(short.shown) + len(short.hidden) == len(model.lines) - 1 == len(whole.shown)
        assert whole.left_out() is None
        told = short.left_out()
        assert (told is None) == (not short.hidden)
        if told:
            assert sum(map(int, re.findall(r"(\d+) (?:harmed|undecided|too small|safe)", told))) == len(short.hidden)


def test_harmed_groups_come_first_and_safe_ones_last():
    found = [line.verdict for line in ordered(samples.audit().models[0])]
    assert found == sorted(
        found, key=lambda verdict: ("harmed", "undecided", "safe").index(verdict.replace("too small", "undecided"))
    )
    shown = text(samples.audit(), width=120, all_groups=True)
    assert all(line.group.name in shown for line in samples.audit().models[0].lines)


def test_a_gated_group_that_stands_in_the_way_of_a_pass_is_shown_before_crossings():
    extra = tuple(samples.line(f"x{i} & y", 60, 4, 2, gated=False) for i in range(20))
    gate = samples.line("sex=other", 400, 14, 4, parts=(("sex", "other"),))
    model = samples.model("int8", (8, 4), extra=(*extra, gate))
    assert gate.verdict == "undecided"
    assert "sex=other" in [line.group.name for line in chosen(model).shown]


def test_singular_and_plural():
    audit = samples.passing()
    one = dataclasses.replace(audit, n=1, units=1, groups=1, pairs=3, empty=())
    assert "1 example, margin 3 points, 1 group " in text(one, width=120)
    assert "3 pairs of models" in text(one, width=120)
    assert wording.counted(2, "crossing") == "2 crossings"
    clusters = dataclasses.replace(audit, units=1200)
    assert "4000 examples in 1200 clusters" in text(clusters, width=120)


def test_counts_over_several_runs_make_shares_of_one():
    """n is of one run, right answers, lost and gained are of all runs together."""
    audit = samples.passing()
    lines = tuple(
        dataclasses.replace(
            line,
            dense_right=3 * line.dense_right,
            compressed_right=3 * line.compressed_right,
            lost=3 * line.lost,
            gained=3 * line.gained,
        )
        for line in audit.models[0].lines
    )
    runs = dataclasses.replace(audit, models=(dataclasses.replace(audit.models[0], lines=lines),), pairs=3)
    for line, other in zip(audit.models[0].lines, lines, strict=True):
        assert wording.right(other, 3) == pytest.approx(wording.right(line))
        assert wording.errors(other, 3) == wording.errors(line)
    assert "Overall 88.0 -> 88.0 % right: lost 36, gained 33 in all pairs." in " ".join(text(runs).split())


def test_numbers_never_mislead():
    assert wording.points(-0.0001) == "0.0"
    assert wording.bound(0.0298, 0.03) == "2.98", "a bound below the margin is not shown as the margin"
    assert wording.bound(0.03, 0.03) == "3.0"
    assert wording.bound(0.0312, 0.03) == "3.1"
    assert wording.bound(0.029998, 0.03) == "2.9998"
    assert wording.bound(0.1 * 0.3, 0.03) == "3.0", "numbers that differ by their rounding alone are equal"
    assert wording.bound(0.00002, 0.03) == "0.002", "a loss is not shown as none"
    assert wording.bound(-0.0004, 0.03) == "-0.04"
    assert wording.bound(1e-9, 0.03) == "0.000000"
    assert [wording.bound(share, 0.0001) for share in (0.0, 0.0001, 0.00011)] == ["0.00", "0.01", "0.011"]
    assert wording.margin_text(0.025) == "2.5"
    assert (wording.p_text(0.012), wording.p_text(0.0001), wording.p_text(1.0)) == (".012", "< .001", "1")
    line = samples.line("x", 10, 3, 0, wrong=0.0)
    assert wording.errors(line) == "errors 0.0 -> 30.0 %", "no ratio where the dense model makes no error"
    assert [wording.uneven(Uneven("sex", p, "male"), 0.05) is None for p in (0.05, 0.051)] == [False, True]


def with_line(**changed):
    """A passing audit whose group of all examples is another one."""
    audit = samples.passing()
    first, *rest = audit.models[0].lines
    first = dataclasses.replace(first, **changed)
    model = dataclasses.replace(audit.models[0], lines=(first, *rest), not_excluded=first.upper)
    return dataclasses.replace(audit, models=(model,))


def test_shares_near_the_margin_are_told_from_it_everywhere():
    audit = with_line(harm=0.02999, upper=0.0300001)
    shown = " ".join(text(audit, all_groups=True).split())
    assert "Overall harm 2.999 [" in shown
    assert "3.00001]" in shown
    assert "Harm not excluded anywhere: 3.00001 points" in shown


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"verdict": "undecided", "lower": 0.01}, "undecided, suspect"),
        ({"verdict": "undecided", "lower": 0.0}, "undecided"),
        ({"verdict": "undecided", "lower": 0.01, "needs": 449}, "undecided, suspect, needs about 449"),
        ({"verdict": "too small", "lower": 0.01}, "too small, suspect"),
        ({"verdict": "harmed", "lower": 0.04}, "harmed, suspect beyond"),
        ({"verdict": "harmed", "lower": 0.02}, "harmed"),
        ({"verdict": "harmed", "lower": 0.04, "beyond_margin": True}, "harmed beyond margin"),
        ({"verdict": "safe", "lower": 0.01}, "safe"),
        ({"verdict": "safe", "lower": 0.01, "small_loss": True}, "safe, some loss"),
    ],
)
def test_a_verdict_that_is_weaker_than_the_bounds_of_its_group_is_marked_and_explained(changed, told: str):
    audit = with_line(**{"needs": None, "beyond_margin": False, "small_loss": False, **changed})
    assert wording.judged(audit.models[0].lines[0], 0.03) == told
    shown = text(audit, all_groups=True, width=120)
    assert any(line.startswith("all ") and line.endswith(f"  {told}") for line in shown.splitlines())
    assert ("suspect: a loss (or one beyond the margin) on its own" in shown) == ("suspect" in told)
    assert ("needs: with about so many" in shown) == ("needs" in told)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"verdict": "safe", "small_loss": True}, "a loss, within the margin"),
        ({"verdict": "safe"}, "within the margin"),
        ({"verdict": "harmed", "lower": 0.01}, "harmed, perhaps within the margin"),
        ({"verdict": "harmed", "lower": 0.05}, "harmed, suspect beyond the margin"),
        ({"verdict": "harmed", "lower": 0.05, "beyond_margin": True}, "harmed, beyond the margin"),
        ({"verdict": "undecided", "lower": 0.05, "needs": None}, "undecided, suspect"),
    ],
)
def test_the_overall_word_says_no_more_and_no_less_than_the_bounds(changed, told: str):
    audit = with_line(**{"beyond_margin": False, "small_loss": False, **changed})
    assert "".join(wording.overall(audit.models[0], audit)).endswith(f"]: {told}.")


def test_the_numbers_of_several_runs_are_explained():
    two, three = (dataclasses.replace(samples.audit(), pairs=pairs) for pairs in (2, 3))
    one, *shown = (" ".join(text(audit, width=140).split()) for audit in (samples.audit(), two, three))
    assert "sums over all runs" not in one
    assert all("n: examples of one run. lost and gained are sums over all runs" in each for each in shown)
    assert all("4.1 % of all answers changed: 59 lost, 20 gained in all pairs, the others wrong" in x for x in shown)
    assert ["The bounds are of the test examples alone." in each for each in (one, *shown)] == [False, True, False]


def test_what_the_p_of_an_uneven_attribute_is_of_is_told_where_one_is():
    told = "p is for the values of one attribute together"
    assert [told in text(audit, width=140) for audit in (samples.audit(), samples.passing())] == [True, False]


def test_other_margins_and_levels_are_told():
    audit = dataclasses.replace(samples.audit(), options=Options(margin=0.025, level=0.01))
    shown = text(audit, width=140)
    assert "margin 2.5 points" in shown
    assert "99 % bounds" in shown
    assert "is at most 1 %" in shown


def test_columns_stay_in_line_beside_wide_characters():
    wide = samples.line("\N{CJK UNIFIED IDEOGRAPH-4E2D}" * 6, 500, 60, 2)
    shown = text(samples.audit(samples.model("int8", extra=(wide,))), width=140).splitlines()
    rows = [line for line in shown if line.endswith("harmed beyond margin")]
    assert len(rows) == 3
    assert len({cell_len(row) for row in rows}) == 1


def test_the_exit_code_and_the_file_of_flips_are_those_given():
    shown = text(samples.audit(), width=140, code=5, flips="out/flips.csv")
    assert "exit 5" in shown.splitlines()[0]
    assert 'Listed in "out/flips.csv".' in shown


def test_a_model_is_dominated_by_one_that_is_nowhere_worse_and_somewhere_better():
    def offered(*facts):
        models = [
            dataclasses.replace(samples.passing().models[0], name=name, not_excluded=harm, facts=found)
            for name, harm, found in facts
        ]
        return [offer.dominated for offer in pareto.offers(samples.audit(*models, dense_facts=None))]

    small, large = Facts(bytes_on_disk=10), Facts(bytes_on_disk=20)
    assert offered(("a", 0.02, small), ("b", 0.03, large)) == [None, "a"]
    assert offered(("a", 0.03, small), ("b", 0.02, large)) == [None, None]
    assert offered(("a", 0.02, small), ("b", 0.02, small)) == [None, None], "equal ones do not beat each other"
    assert offered(("a", 0.02, None), ("b", 0.03, large)) == [None, None], "unknown is no worse"
    slow = Facts(bytes_on_disk=5, latency=(Latency(1, 9.0, 9.0, 9.0, 3),))
    fast = Facts(bytes_on_disk=9, latency=(Latency(1, 1.0, 1.0, 1.0, 3),))
    assert offered(("a", 0.02, slow), ("b", 0.03, fast)) == [None, None]


def test_sizes_have_units():
    found = [pareto.bytes_text(size) for size in (0, 999, 1000, 46_800_000, 999_900_000, None)]
    assert found == ["0 B", "999 B", "1.00 kB", "46.8 MB", "1.00 GB", "-"]
    assert [pareto.number_text(value) for value in (12, 11_689_512, None)] == ["12", "11.7 M", "-"]


def test_the_table_of_several_models_names_machine_and_times():
    shown = text(samples.two_models(), width=120)
    assert "ms at batch 64" in shown
    assert "on x86-64, 1 thread" in shown
    assert "40 groups of 2 models together" in " ".join(shown.split())
