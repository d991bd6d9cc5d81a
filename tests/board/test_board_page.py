"""The page to read of a board: its shape, what it says in short, links, hostile names."""

from __future__ import annotations

import re
from pathlib import Path

import cmarkgfm
import pytest

from benchbias.board.markdown.in_short import in_short
from benchbias.board.markdown.page import Around, board_page
from benchbias.board.markdown.sentences import sentences
from benchbias.board.markdown.surroundings import Surroundings, surroundings
from benchbias.board.scored import Scored
from benchbias.board.words import in_words, times
from benchbias.errors import UsageError
from support import ROOT
from support.made_records import LAYOUTS, counted, failure, four_methods, record, wobble
from support.markdown import MARKDOWN

BOARDS = sorted((ROOT / "leaderboard").glob("*.md"))
PUBLISHED = [path for path in BOARDS if (ROOT / "leaderboard/records" / path.stem).is_dir()]


def page(records, layouts=LAYOUTS, **around):
    return board_page(Scored.of(records, layouts), "benchbias run", Around(**around))


def html_tables(text: str) -> list[list[int]]:
    """The number of cells in each line of each table, as cmark-gfm renders it."""
    shown = cmarkgfm.github_flavored_markdown_to_html(text, cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE)
    tables = re.findall(r"<table>.*?</table>", shown, re.DOTALL)
    lines = [re.findall(r"<tr>.*?</tr>", one, re.DOTALL) for one in tables]
    return [[len(re.findall(r"<t[hd][ >]", line)) for line in one] for one in lines]


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_a_published_board_renders_to_tables_of_at_most_seven_columns(path: Path):
    text = path.read_text()
    tables = html_tables(text)
    assert tables
    assert all(len(set(cells)) == 1 and cells[0] in (6, 7) and len(cells) >= 2 for cells in tables)
    assert len(tables) == text.count("| rank ")
    folded = text.split("<details>")[0]
    assert "| rank " in folded, "a table is in sight before anything is folded"
    assert text.count("<details>") == text.count("</details>")


@pytest.mark.parametrize("path", [*PUBLISHED, ROOT / "leaderboard/index.md"], ids=lambda path: path.stem)
def test_its_links_and_pictures_are_there(path: Path):
    found = re.findall(r"\]\(([^)]+)\)", path.read_text())
    assert found
    assert [link for link in found if not (path.parent / link.partition("#")[0]).exists()] == []


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_every_symbol_is_explained_below_the_table_that_it_stands_in(path: Path):
    for part in re.split(r"\n(?=### |<details>|## )", path.read_text()):
        lines = part.splitlines()
        shown = {c for line in lines if line.startswith("|") for c in line if c in "‡§◊¶△≠†"}
        told = {line[2] for line in lines if re.match(r"- [‡§◊¶△≠†]: ", line)}
        assert shown == told, part[:80]


def test_the_same_records_give_the_same_bytes_in_any_order():
    made = four_methods()
    assert page(made) == page(made[::-1])


def test_sections_stand_in_the_order_none_validation_training_and_controls_are_folded():
    made = [
        counted(name, seed, (0.9, 0.7), track=track)
        for name, track in (("c", "train"), ("b", "val-fit"), ("a", "labels-none"))
        for seed in range(3)
    ]
    made += [counted("top", seed, (0.97, 0.96), ranked=False) for seed in range(3)]
    heads = re.findall(r"^(?:### (.*)|<details><summary>(.*)</summary>)", page(made), re.MULTILINE)
    assert [one or other for one, other in heads] == [
        "No group labels used",
        "Group labels used: validation, to fit",
        "Group labels used: training",
        "Controls and ceilings, not ranked (1)",
        "What the columns mean",
    ]


def test_failures_are_told_on_the_page():
    text = page([*four_methods(), failure("broken", 1, "no such luck")])
    assert "## Not scored" in text
    assert "toy: broken: failed in 1 trials: no such luck" in text


NASTY = [
    "[x](javascript:alert(1))",
    "<script>alert(1)</script>",
    "a|b|c",
    "\u202eevil",
    "x" * 200,
    "`code` **bold** _it_",
    "![](http://evil.example/x.png)",
    "a\nb",
    "</summary></details><h1>",
    "$x$ @someone #1 :smile:",
]


@pytest.mark.parametrize("text", NASTY)
def test_hostile_names_are_text(text):
    plain = "plainname"

    def made(name):
        rows = [counted(f"m{name}", seed, (0.9, 0.7), baseline=f"c{name}", task=f"t{name}") for seed in range(3)]
        rows += [counted(f"c{name}", seed, (0.9, 0.5), task=f"t{name}", ranked=False) for seed in range(3)]
        return page(rows)

    def kinds(name):
        return [
            (token.type, [child.type for child in token.children or () if child.type != "text"])
            for token in MARKDOWN.parse(made(name))
        ]

    def without_comments(found):
        return [
            (kind, [child for child in children if child not in ("html_inline", "softbreak")])
            for kind, children in found
        ]

    assert without_comments(kinds(text)) == without_comments(kinds(plain))
    assert "<script" not in made(text).replace("\\<", "")
    assert "\u202e" not in made(text)


def made_of(name, value, **body):
    steps = {"training_steps": 100, "train_conflicting_accuracy": 0.99} | body
    suite = {"reference": "erm", "ceiling": "top"}
    return [record(name, seed, value + wobble(name, seed), suite=suite, **steps) for seed in range(6)]


def short(*rows):
    records = [one for row in rows for one in row]
    scored = Scored.of(records, {})
    return sentences(in_short(scored.entries, scored.rows, "toy"), scored.board.rank_by)


def test_the_best_row_is_held_against_a_plain_control_of_its_own_cost():
    erm = made_of("erm", 0.6)
    trick = made_of("trick", 0.8, baseline="erm", training_flops=9000)
    longer = made_of("erm-x2", 0.8, ranked=False, training_flops=10000)
    shorter = made_of("erm-x1", 0.7, ranked=False, training_flops=6000)
    wide = made_of("wide", 0.9, ranked=False, training_flops=10000, parameters=5000)
    (told,) = short(erm, trick, longer, shorter, wide)
    assert told.startswith("trick has the highest mean worst group accuracy of the ranked rows without group labels: ")
    assert re.search(r"Against its control erm that is \+(19\.[5-9]|20\.[0-5]) ± \d\.\d points, so it helps\.", told)
    assert "A control has a better mean: wide, " in told
    assert "It costs 1.8 times the training of erm. Against erm-x2, a control at 2.0 times, the difference" in told
    assert told.endswith(" points, not resolved.")
    (cheap,) = short(erm, made_of("trick", 0.8, baseline="erm", training_flops=5000), longer)
    assert "a control at" not in cheap, "its own control cost as much"
    tricky = made_of("trick-x2", 0.8, baseline="trick", ranked=False, training_flops=9500)
    assert "trick-x2" not in short(erm, trick, tricky)[0].partition("It costs")[2], "it is no plain training"


def test_pruning_harms_from_the_sparsity_on_where_all_further_rows_harm():
    dense = made_of("erm", 0.9)

    def cut(values):
        return [made_of("cut", value, baseline="erm", swept={"sparsity": amount}) for amount, value in values.items()]

    told = short(dense, *cut({0.5: 0.9, 0.8: 0.7, 0.9: 0.5}))[1]
    assert told.startswith("Pruning (cut) harms from 80 % sparsity on, against erm: -20.")
    assert "Below that: " in told
    assert "at 50 % (no difference)" in told
    assert "shows no steady loss up to 80 % sparsity" in short(dense, *cut({0.5: 0.5, 0.8: 0.9}))[1]


def test_sparse_training_is_told_at_equal_steps_and_nearly_equal_flops():
    erm, thin = made_of("erm", 0.9), {"swept": {"density": 0.2}, "sparsity": 0.8}
    sparse = made_of("thin", 0.6, training_flops=1000, **thin)
    longer = made_of("thin-x4", 0.85, training_flops=4000, training_steps=400, ranked=False, **thin)
    dense = made_of("erm-x4", 0.95, training_flops=20000, training_steps=400, ranked=False)
    told = short(erm, sparse, longer, dense)[-1]
    start = "Sparse training (thin, density 20 %) for the steps of erm takes 0.20 times its FLOPs"
    assert re.match(rf"{re.escape(start)}: -(29\.[5-9]|30\.[0-5]) ± ", told)
    assert "For 4 times the steps (thin-x4, density 20 %) it takes 0.80 times the FLOPs of erm: -" in told
    assert re.search(r"Against erm-x4, dense for as many steps: -(9\.[5-9]|10\.[0-5]) ± ", told)
    assert told.endswith("These pairs are not adjusted.")


def test_a_limited_run_and_a_board_at_the_floor_claim_nothing():
    head = {"reference": "erm", "limit": 20}
    scored = Scored.of([record("erm", seed, 0.9, suite=head, ranked=False) for seed in range(3)], {})
    assert sentences(in_short(scored.entries, scored.rows, "toy"), "accuracy") == []
    (told,) = short(made_of("erm", 0.01), made_of("other", 0.02, baseline="erm"))
    assert told.startswith("No ranked row without group labels leaves the floor")


def test_pruning_below_a_control_at_the_floor_is_not_said_to_cost_nothing():
    dense = made_of("erm", 0.01)
    cut = made_of("cut", 0.01, baseline="erm", swept={"sparsity": 0.9})
    assert not [told for told in short(dense, cut) if told.startswith("Pruning")]


def test_rows_that_are_not_resolved_have_no_rank_in_the_sentence():
    rows = [made_of(name, 0.5, training_flops=cost) for name, cost in (("erm", 5000), ("other", 4000))]
    (told,) = short(*rows)
    assert told.startswith("No two of the 2 ranked rows without group labels are resolved.")
    assert "rank" not in told.replace("ranked", "")


@pytest.mark.parametrize(
    ("swept", "words"),
    [
        ({}, "m"),
        ({"sparsity": 0.8}, "m, 80 %"),
        ({"density": 0.05}, "m, density 5 %"),
        ({"layers": ["a", "b"], "sparsity": 0.985}, "m, layers a+b, 98.5 %"),
        ({"epochs": 75}, "m, epochs 75"),
        ({"sparsity": True}, "m, sparsity True"),
    ],
)
def test_rows_in_words(swept, words):
    assert in_words("m", swept) == words


def test_costs_in_words():
    assert [times(value) for value in (None, 0.154, 1.0, 1.68, 0.998, 12.34, 250.0)] == [
        "–",
        "0.15×",
        "1.0×",
        "1.7×",
        "1.0×",
        "12.3×",
        "250×",
    ]


def test_pages_toml_is_read_and_its_mistakes_are_told(tmp_path: Path):
    assert surroundings(tmp_path) == Surroundings()
    (tmp_path / "m.md").write_text("| method |\n|---|\n| [erm](erm.md) | x |\n| [jtt](deep/jtt.md) | x |\n")
    (tmp_path / "pages.toml").write_text('schema = 1\n[links]\nmethods = "m.md"\n[tasks.toy]\nabout = "A toy."\n')
    found = surroundings(tmp_path)
    assert found.methods == {"erm": "erm.md", "jtt": "deep/jtt.md"}
    assert "A toy." in page(four_methods(), pages=found)
    for bad, told in (
        ("schema = 1\n[link]\n", "unknown section 'link'"),
        ('schema = 1\n[links]\nmethods = "javascript:x"\n', "links.methods"),
        ('schema = 1\n[links]\nmethods = "no.md"\n', "there is no file no.md"),
        ('schema = 1\n[tasks.toy]\nabuot = "x"\n', "abuot"),
        ("schema = 1\ntasks = 3\n", "must hold tables"),
    ):
        (tmp_path / "pages.toml").write_text(bad)
        with pytest.raises(UsageError, match=re.escape(told)):
            surroundings(tmp_path)
