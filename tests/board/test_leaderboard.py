"""Leaderboard: the numbers of the records, the same bytes in any order, and no text that turns into markup."""

from __future__ import annotations

import random
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from scipy import stats

from benchbias.board.text import escaped
from benchbias.statistics.bounds import score_interval
from support.made_records import board, failure, record
from support.markdown import MARKDOWN, plain, structure, tables

try:
    import cmarkgfm
except ImportError:
    cmarkgfm = None

quick = settings(max_examples=80, deadline=None, derandomize=True)


def rows(text):
    """As `tables`, without the column of ranks."""
    return [cells[1:] for cells in tables(text)]


def items(text):
    """The list items below `Not scored`, as plain text."""
    tokens = MARKDOWN.parse(text[text.index("## Not scored") :])
    return [plain(token) for token, before in zip(tokens[2:], tokens, strict=False) if before.type == "list_item_open"]


# --- what it says

VALUES = {"plain": [0.4, 0.5, 0.45], "cut": [0.6, 0.7, 0.5], "fine": [0.1, 0.2, 0.4]}


def three_methods(suite=None, **body):
    suite = {"reference": "plain"} | (suite or {})
    return [
        record(method, seed, value, suite=suite, baseline=None if method == "plain" else "plain", **body)
        for method, values in VALUES.items()
        for seed, value in enumerate(values)
    ]


def test_every_method_is_a_row_and_the_best_stands_first():
    assert [cells[0] for cells in rows(board(three_methods()))] == ["method", "cut", "plain", "fine"]


def test_rank_by_with_a_minus_puts_the_lowest_first():
    text = board(three_methods({"rank_by": "-accuracy"}))
    assert [cells[0] for cells in rows(text)] == ["method", "fine", "plain", "cut"]


def test_a_cell_is_the_mean_in_percent_with_bounds_inside_0_and_100():
    head, *body = rows(board(three_methods()))
    for cells in body:
        values = np.array(VALUES[cells[0]])
        critical = float(stats.t.ppf(0.975, 2))
        low, high = score_interval(values.mean(), stats.sem(values), critical, np.inf, np.inf)
        assert cells[head.index("accuracy")] == f"{100 * values.mean():.1f} ({100 * low:.1f}–{100 * high:.1f})"
        assert 0 < low < high < 1


def test_a_gap_is_the_paired_difference_in_percent_with_its_sign():
    head, *body = rows(board(three_methods()))
    for cells in body:
        if cells[0] == "plain":
            assert cells[head.index("gap to plain")] == "–"
            continue
        test = stats.ttest_rel(VALUES[cells[0]], VALUES["plain"])
        low, high = test.confidence_interval(0.95)
        expected = f"{50 * (high + low):+.1f} ± {50 * (high - low):.1f}"
        assert cells[head.index("gap to plain")] == expected
        assert cells[head.index("gap to baseline")] == f"{expected} (to plain)"


def test_the_metric_that_ranks_is_the_first_of_the_metrics():
    head = rows(board(three_methods({"rank_by": "worst_group_accuracy"})))[0]
    assert head.index("worst group accuracy") < head.index("accuracy")
    head = rows(board(three_methods({"rank_by": "accuracy"})))[0]
    assert head.index("accuracy") < head.index("worst group accuracy")


def test_an_undefined_metric_is_said_to_be_undefined():
    head, cells = rows(board([record(metrics={"accuracy": 0.5, "worst_group_accuracy": None})]))
    assert cells[head.index("worst group accuracy")] == "undefined"
    assert cells[head.index("accuracy")] == "50.0"


def test_every_task_has_a_table_of_its_own():
    text = board([record(task=task) for task in ("b-task", "a-task")])
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## a-task", "## b-task"]
    assert len(rows(text)) == 4


def test_controls_are_set_in_italics():
    found = [t for t in MARKDOWN.parse(board([record("control", ranked=False)])) if t.content.strip("_") == "control"]
    assert len(found) == 4, "among the results, the costs, the settings and the seeds"
    for token in found:
        assert [child.type for child in token.children] == ["em_open", "text", "em_close"]


def test_a_limited_run_says_so():
    assert "--limit 20" in board([record(suite={"limit": 20})])
    assert "--limit" not in board([record()])


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_trials_without_a_score_are_listed_with_their_reason(status):
    bad = [failure("broken", seed, "division by zero", status, swept={"k": 3}) for seed in range(4)]
    text = board([*three_methods(), *bad])
    assert items(text) == [f"toy: broken[k=3]: {status} in 4 trials: division by zero"]
    assert "broken" not in {cells[0] for cells in rows(text)}


def test_every_reason_is_listed():
    bad = [failure("broken", seed, f"reason {seed % 2}") for seed in range(4)]
    assert [item.rpartition(": ")[2] for item in items(board(bad))] == ["reason 0", "reason 1"]


def test_without_a_failure_nothing_is_said_of_failures():
    assert "Not scored" not in board(three_methods())


# --- the same bytes


@quick
@given(st.integers(0, 10**6))
def test_the_order_of_the_records_changes_no_byte(seed):
    records = [*three_methods(), *three_methods(task="other")]
    records += [failure("broken", s, f"reason {s}") for s in range(3)]
    shuffled = list(records)
    random.Random(seed).shuffle(shuffled)
    assert board(shuffled) == board(records)


def test_what_was_measured_changes_no_byte():
    measured = [type(r)(r.body, {"seconds": 3.0, "hosts": ["here"]}) for r in three_methods()]
    assert board(measured) == board(three_methods())


# --- text from outside stays text

NASTY = [
    *("a|b", "a\\|b", "a\\\\|b", "\\", "x\n| evil | 1 |", "| a | b |\n|---|---|", ":---:", "x\u2028y\x0b\x0cz\x85"),
    *("x\r\n\r\n# heading", "# heading", "x\n===", "- item", "1. item", "> quote", "`code`", "``", "```\ncode\n```"),
    *(
        "<b>bold</b>",
        "</td></tr>",
        "<!-- x",
        "<script>alert(1)</script>",
        "<https://evil.example>",
        "&lt;b&gt;",
        "&#124;",
    ),
    *("[link](https://evil.example)", "![image](evil.png)", "[x]: https://evil.example", "[x][y]", "[^1]"),
    *("**bold**", "__bold__", "*i*", "_i_", "~~gone~~", "\x1b[31mred\x1b[0m", "\x00\x07", "\N{COMBINING ACUTE ACCENT}"),
    *("\u202eevil\u202c", "\u2066x\u2069", "\u200b\u200d\ufeff", "x" * 500),
]


PLACES = {
    "title": lambda text: [record(suite={"title": text})],
    "version": lambda text: [record(suite={"version": text})],
    "method": lambda text: [record(text), record("other")],
    "control": lambda text: [record(text, ranked=False), record("other")],
    "swept value": lambda text: [record(swept={"k": text})],
    "swept name": lambda text: [record(swept={text: 1})],
    "baseline": lambda text: [record("cut", baseline=text), record(text)],
    "reference": lambda text: [record("cut", suite={"reference": text}), record(text, suite={"reference": text})],
    "metric": lambda text: [record(metrics={text: 0.5}, suite={"metrics": [text], "rank_by": text})],
    "task": lambda text: [record(task=text), failure(task=text)],
    "reason": lambda text: [record(), failure("broken", reason=text)],
    "failed method": lambda text: [record(), failure(text)],
}


def same_structure(place, text):
    return structure(board(PLACES[place](f"x{text}"))) == structure(board(PLACES[place]("xplain")))


@pytest.mark.parametrize("place", PLACES)
def test_no_text_adds_rows_or_markup(place):
    assert [text for text in NASTY if not same_structure(place, text)] == []


markup = st.text(st.sampled_from("ab 1|\\`*_{}[]()<>#+-!~&=:;.\"'/\n\r\t\u2028\u202e\x00"), max_size=25)


@quick
@given(markup, st.sampled_from([place for place in PLACES if place != "metric"]))
def test_no_mix_of_markup_characters_adds_rows_or_markup(text, place):
    assert same_structure(place, text)


@quick
@given(markup | st.text(max_size=20))
def test_a_text_reads_as_it_was_written(text):
    """Up to white space, and characters that cannot be printed, the plain text of a cell is the text."""
    cell = rows(board([record(f"x{text}x")]))[1][0]
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(f"x{text}x".split()))
    assert cell == shown


@quick
@given(st.text() | st.sampled_from(NASTY))
def test_no_control_or_bidirectional_character_is_left(text):
    kinds = {unicodedata.category(character) for character in board([record(text), failure("m", reason=text)])}
    assert not kinds & {"Cf", "Co", "Cs", "Zl", "Zp"}
    assert "\n" not in escaped(text)
    assert all(character.isprintable() for character in escaped(text))


@pytest.mark.parametrize(
    ("text", "live"),
    [
        pytest.param("https://evil.example", r"https?://", id="link"),
        pytest.param("www.evil.example", r"www\.", id="link without a scheme"),
        pytest.param("$\\color{red}{99}$", r"(?<!\\)\$", id="formula"),
    ],
)
def test_what_only_github_turns_into_markup_is_escaped_too(text, live):
    assert not re.search(live, board([record(text, suite={"title": text}), failure(reason=text)]))


ADDRESSES = [
    *("a@b.com", "a.b+c@d.co.uk", "mailto:a@b.com", "xmpp:a@b.com/x", "ssh://a@b.com", "@a@b.org", "<a@b.com>"),
    *("www.evil.com", "http://evil.com", "HTTPS://EVIL.COM/x?y=z", "ftp://x.y", "//evil.com", "evil.com", "file.py"),
    *(
        "(www.evil.com)",
        "![i](http://x.com/y.png)",
        "[x](http://x.com)",
        "http://a@b.com",
        "пример.рф",
        "a_www.evil.com",
    ),
]
BLOCKS = [
    "- item",
    "+ item",
    "* item",
    "1. one",
    "1) one",
    "---",
    "===",
    "***",
    "# head",
    "> quote",
    "```",
    "~~~",
    "    code",
]


def links(html: str) -> list[str]:
    return re.findall(r"<(?:a|img|li|h[1-6]|hr|code|pre|blockquote)\b[^>]*>", html)


on_github = pytest.mark.skipif(cmarkgfm is None, reason="GitHub's renderer is not here: pip install cmarkgfm")


@on_github
@pytest.mark.parametrize("text", [*ADDRESSES, *BLOCKS, "&copy; &#64; <b>x</b> `x` **x** $x$ a|b ~~x~~"])
def test_no_renderer_makes_a_link_or_a_block_of_a_text(text):
    """GitHub's own renderer, and one that makes links of bare addresses: beside what they make of the bare text."""
    pytest.importorskip("linkify_it")
    page = f"x\n\n{escaped(text)}\n\n- {escaped(text)}\n\n| a |\n|---|\n| {escaped(text)} |\n"
    for render in (cmarkgfm.github_flavored_markdown_to_html, MarkdownIt("gfm-like").render):
        assert links(render(page)) == ["<li>"]


@on_github
@quick
@given(st.text(st.sampled_from("ab1.@:/w#-=+ \\<>`|"), max_size=20))
def test_no_mix_of_characters_of_addresses_is_a_link(text):
    pytest.importorskip("linkify_it")
    for render in (cmarkgfm.github_flavored_markdown_to_html, MarkdownIt("gfm-like").render):
        assert links(render(f"| a |\n|---|\n| x {escaped(text)} |\n")) == []


@on_github
@pytest.mark.parametrize("text", ["@user", "#12", "org/repo#12", ":tada:"])
def test_what_a_host_looks_up_is_broken_by_what_is_not_shown(text):
    """People, issues and pictures are looked up in the finished page: the word must not stand in it in one piece."""
    html = cmarkgfm.github_flavored_markdown_to_html(escaped(text))
    assert text not in html
    assert re.sub(r"<[^>]*>", "", html).strip() == text
