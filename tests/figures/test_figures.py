"""Figures of analyses and sweeps: drawn of tables made by hand, the same bytes twice, and their numbers in words."""

from __future__ import annotations

import importlib
import itertools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from benchbias import estimate
from benchbias.board.marks import marks_of
from benchbias.board.words import in_words
from benchbias.cli.reading import FIGURE_HELP
from benchbias.errors import DataError, UsageError
from benchbias.figures import FIGURES, Material, Pictures, fitting, write_figure
from benchbias.figures.class_impact import panels_of
from benchbias.records.analysis import AnalysisRecord
from benchbias.records.table import Table
from benchbias.report.gathering.pictures import pictures_of
from benchbias.runner.publishing import published_records
from benchbias.runner.workspace import Workspace
from benchbias.statistics.estimates import Estimate
from support import ROOT
from support.made_records import record
from support.populations import answers, member, population, predictions
from support.tiers import tiered


def analysis(name, columns, task="toy"):
    """A record of an analysis, as a file holds it. columns: name -> (kind, values)."""
    table = Table({key: (kind, "", tuple(values)) for key, (kind, values) in columns.items()}, "By hand.")
    return AnalysisRecord({"task": task, "analysis": name, "status": "ok", "table": table.to_json()})


def about(mean, half=0.5):
    """An estimate whose 95 % interval reaches `half` to both sides."""
    unit = Estimate.of(mean, 1.0, 4.0, 5)
    return Estimate.of(mean, half / unit.half_width, 4.0, 5)


def alphas(**changed):
    columns = {
        "row": ("text", ["magnitude[sparsity=0.5]", "magnitude[sparsity=0.9]", "random[sparsity=0.9]", "erm-ft"]),
        "control": ("text", ["erm-ft", "erm-ft", "magnitude[sparsity=0.9]", "erm-ft, another seed"]),
        "compression": ("number", [2.0, 10.0, 10.0, 1.0]),
        "alpha": ("estimate", [about(1.25), about(2.5), None, about(0.875)]),
        "mark": ("text", [">", ">", "?", "?"]),
        "alpha lower": ("number", [1.125, 2.0, None, None]),
        "alpha upper": ("number", [1.5, 4.0, None, None]),
        "alpha if uniform": ("estimate", [about(1.1), about(1.6), about(3.0), None]),
    }
    return analysis("recall_balance", columns | changed)


def balances(unit="class"):
    columns = {
        "row": ("text", ["magnitude[sparsity=0.5]"] * 3 + ["magnitude[sparsity=0.9]"] * 3),
        "control": ("text", ["erm-ft"] * 6),
        unit: ("text", ["0", "1", "2"] * 2),
        "balance before": ("number", [0.125, 0.0, -0.125] * 2),
        "balance after": ("number", [0.25, 0.0, -0.25, 0.375, None, -0.5]),
        "recall change": ("estimate", [about(-1.0), about(0.25), about(2.0), about(-3.0), None, about(-9.0)]),
    }
    return analysis("intensification", columns)


def pie_classes():
    columns = {
        "row": ("text", ["magnitude[sparsity=0.5]"] * 3),
        "class": ("text", ["0", "1", "2"]),
        "recall change": ("estimate", [about(7.0)] * 3),
        "normalised change": ("estimate", [about(-4.0), about(4.25, 0.1), about(1.0)]),
        "verdict holm": ("text", ["loss", "-", "gain"]),
    }
    return analysis("pie_classes", columns)


def twin_changes():
    columns = {
        "row": ("text", ["magnitude[sparsity=0.5]", "magnitude[sparsity=0.5]", "random[sparsity=0.9]"]),
        "part": ("text", ["worst group", "0/red", "0/red"]),
        "change": ("estimate", [about(-12.0), about(0.0), None]),
        "verdict": ("text", ["lower", "equivalent", "no examples"]),
    }
    return analysis("twin_changes", columns)


def gallery(labels=("3", "1", "0")):
    columns = {
        "row": ("text", ["magnitude[sparsity=0.9]"] * 3),
        "image": ("image", [4, 0, 2]),
        "label": ("text", labels),
        "dense mode": ("text", ["3", "1", "0"]),
        "pruned mode": ("text", ["8", "7", "6"]),
    }
    return analysis("pie_gallery", columns)


def fits_of():
    columns = {
        "row": ("text", ["magnitude[sparsity=0.9]"] * 2 + ["static[density=0.1]"]),
        "matched in": ("text", ["steps", "accuracy", "steps"]),
        "harm": ("estimate", [about(-6.0), about(-2.0), None]),
        "outside": ("count", [0, 3, None]),
    }
    return analysis("equal_fit", columns)


def swept(method, seed, value, reached, **swept_values):
    more = {"sparsity": reached, "baseline": "whole" if swept_values else None}
    metrics = {"accuracy": value + 0.1, "conflicting_accuracy": value, "worst_group_accuracy": value - 0.1}
    suite = {"metrics": list(metrics)}
    return record(method, seed, metrics=metrics, suite=suite, swept=swept_values, **more)


def a_sweep():
    records = [swept("whole", seed, 0.8 + 0.01 * seed, 0.0) for seed in (0, 1, 2)]
    for seed in (0, 1, 2):
        records += [
            swept("magnitude", seed, 0.7, 0.48, sparsity=0.5),
            swept("magnitude", seed, 0.4, 0.89, sparsity=0.9),
        ]
        records += [swept("rigl", seed, 0.6, 0.8, density=0.2)]
    return records


def probe(change, control):
    columns = {
        "ranking": ("text", "", ("size", "size", "slope", "slope")),
        "in": ("text", "", ("net",) * 4),
        "group": ("text", "", ("0/red", "1/red") * 2),
        "change": ("number", "points", change),
        "control": ("number", "points", control),
        "difference": ("number", "points", tuple(a - b for a, b in zip(change, control, strict=True))),
    }
    return Table(columns, "By hand.").to_json()


def probed():
    return [
        record(seed=seed, probes={"critical": probe((-8.0 - seed, 1.0, -2.0, 0.5), (-1.0, 0.5, 0.25, 0.0))})
        for seed in (0, 1, 2)
    ]


def pictures(task):
    assert task == "toy"
    images = np.arange(6 * 1 * 4 * 4, dtype=np.uint8).reshape(6, 1, 4, 4)
    return Pictures(images, np.array([1, 0, 0, 2, 3, 2]))


def material(name):
    """What one figure needs, and nothing else."""
    records = {"sparsity-curves": a_sweep, "probe-chart": probed}.get(name, list)()
    analyses = {
        "recall-balance": [alphas(), balances()],
        "class-impact": [balances(), pie_classes(), twin_changes()],
        "pie-sheet": [gallery()],
        "equal-fit": [fits_of()],
    }.get(name, [])
    return Material.of(records, {}, analyses, pictures)


NAMES = [name for name in FIGURES if name not in ("layer-sweep", "equal-accuracy")]  # test_layer_sweeps


PAYLOADS = ["x$\\frac{$^", "$$", "<script>&amp;", "\x01\x1b[31m\ud800", "%s {0} \\n", "x" * 5000, "\u202e_y"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda text: ascii(text)[:20])
def test_any_text_is_drawn_as_it_is(tmp_path: Path, name: str, payload: str):
    """No formula, no markup, no broken file, whatever stands in a table or is a task's name."""
    plain = material(name)
    analyses = [payloaded(one, payload) for one in plain.analyses]
    write_figure("mine", Material(plain.rows, analyses, lambda task: pictures("toy")), tmp_path / "a.svg", name)
    texts = "".join(ElementTree.parse(tmp_path / "a.svg").getroot().itertext())
    assert "mathdefault" not in texts
    if plain.analyses and payload.isprintable() and len(payload) < 20:
        assert payload in texts


def payloaded(one, payload):
    """The record of an analysis with a text in its task and, where a table may hold it, before texts of its table."""
    body = json.loads(json.dumps(one.body))
    body["task"] = payload
    for column in body["table"]["columns"] if payload.isprintable() and len(payload) < 20 else ():
        if column["kind"] == "text" and column["name"] in ("class", "group", "part", "dense mode", "pruned mode"):
            column["values"] = [f"{payload}{value}" for value in column["values"]]
    return AnalysisRecord(body)


def drawn(tmp_path: Path, name: str, of=None) -> tuple[list[str], list[str]]:
    """The texts in the picture, and the lines."""
    path = tmp_path / "a.svg"
    lines = write_figure("mine", of or material(name), path, name)
    return re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text()), lines


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("suffix", tiered([".svg", ".pdf", ".png"], slow=[".pdf", ".png"]))
def test_a_figure_is_drawn_and_the_same_bytes_twice(tmp_path: Path, name: str, suffix: str):
    one, other = (tmp_path / f"{which}{suffix}" for which in ("one", "other"))
    lines = write_figure("mine", material(name), one, name)
    assert write_figure("mine", material(name), other, name) == lines
    assert one.read_bytes() == other.read_bytes()
    assert len(one.read_bytes()) > 1000


@pytest.mark.parametrize("name", NAMES)
def test_only_the_figure_whose_columns_are_there_fits(name: str):
    wanted = {"recall-balance": ["recall-balance", "class-impact"], "class-impact": ["recall-balance", "class-impact"]}
    assert fitting(material(name)) == wanted.get(name, [name])


def shipped(name: str, numbers: np.random.Generator) -> Table:
    """The table of a first-party analysis, of two rows of three seeds with random answers."""
    labels = torch.arange(200) % 2
    members = []
    for seed, method in itertools.product(range(3), ("erm", "magnitude", "dense")):
        right = torch.from_numpy(numbers.random(200)) < (0.7 if method == "magnitude" else 0.9)
        found = predictions(answers(torch.where(right, labels, 1 - labels), 2), labels, torch.arange(200) // 2 % 2)
        baseline, values = ("erm", {"sparsity": 0.9}) if method == "magnitude" else (None, {})
        more = {"train_conflicting_accuracy": 0.5, "training_steps": 9, "training_flops": 9, "sparsity": 0.0}
        scored = {
            "metrics": {"worst_group_accuracy": 0.5},
            "num_classes": 2,
            "group_aligned": [True, False, False, True],
        }
        members.append(member(method, seed, found, swept=values, baseline=baseline, **more, **scored))
    plugin, options = SHIPPED[name]
    made = importlib.import_module(f"benchbias_plugins.analyses.{plugin}").benchbias_analyses()[name]
    return made(population(members), **options)


SHIPPED = {
    "recall_balance": ("recall_balance", {}),
    "intensification": ("recall_balance", {}),
    "twin_changes": ("against_the_twin", {}),
    "pie_classes": ("pie", {}),
    "pie_gallery": ("pie", {}),
    "equal_fit": ("equal_fit", {"family": "dense"}),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_analyses_have_the_columns_that_are_drawn(name: str):
    made = shipped(name, np.random.default_rng(0))
    record = AnalysisRecord({"task": "toy", "analysis": name, "status": "ok", "table": made.to_json()})
    drawn_in = {
        "recall_balance": ["recall-balance"],
        "intensification": ["recall-balance", "class-impact"],
        "equal_fit": ["equal-fit"],
        "pie_gallery": ["pie-sheet"],
    }
    assert fitting(Material.of([], {}, [record])) == drawn_in.get(name, ["class-impact"])
    if name in ("twin_changes", "pie_classes", "intensification"):
        verdicts = {panel.source.verdict for panel in panels_of(Material.of([], {}, [record]))}
        assert verdicts == {{"twin_changes": "verdict", "pie_classes": "verdict holm"}.get(name)}


def test_the_published_probes_are_drawn():
    assert fitting(Material.of(*published_records("critical-neurons", ROOT / "leaderboard"))) == ["probe-chart"]


def test_curves_say_what_was_reached_and_the_baselines_value(tmp_path: Path):
    texts, lines = drawn(tmp_path, "sparsity-curves")
    assert "toy: worst group accuracy, %, at the sparsity reached" in lines
    assert "  magnitude[sparsity=0.9], 0.89: 30.0" in lines
    assert "  rigl[density=0.2], 0.8: 50.0 (fits 50 %)" in lines, "a method of one amount has its mark"
    (whole,) = [line for line in lines if line.startswith("  whole, baseline: 71.0 (")]
    low, high = (float(bound) for bound in whole.split("(")[1].rstrip(")").split("–"))
    assert high - low == pytest.approx(200 * estimate([0.7, 0.71, 0.72]).half_width, abs=0.2)
    assert {"magnitude", "rigl, density 20 %", "whole", "whole, dense baseline"} <= set(texts)
    assert {"sparsity", "worst group accuracy, %", "conflicting accuracy, %", "accuracy, %"} <= set(texts)
    with pytest.raises(UsageError, match="two amounts or more"):
        drawn(tmp_path, "sparsity-curves", Material.of([r for r in a_sweep() if r.body["method"] != "magnitude"], {}))


def test_every_row_of_a_board_is_in_the_curves_figure_named_and_with_its_number(tmp_path: Path):
    of = Material.of(*published_records("spurious-small", ROOT / "leaderboard"))
    texts, lines = drawn(tmp_path, "sparsity-curves", of)
    rows = {row.label: row for row in of.rows}
    assert len(rows) == 30
    per_metric = "\n".join(lines).split("at the sparsity reached")[1:]
    assert len(per_metric) == 3
    for part in per_metric:
        named = [line.strip().rpartition(": ")[0] for line in part.splitlines() if line.startswith("  ")]
        found = [label.removesuffix(", baseline").rpartition(", ")[0] or label.split(",")[0] for label in named]
        assert sorted(found) == sorted(rows), "each once"
    single = {in_words(r.first["method"], r.first["swept"]) for r in of.rows if r.first["method"] != "magnitude"}
    assert single <= set(texts), "each has its name below"
    assert [text for text in texts if text in single] == list(dict.fromkeys(t for t in texts if t in single))


def test_panels_of_a_line_share_one_scale_and_hollow_points_are_marked_rows(tmp_path: Path, monkeypatch):
    of = Material.of(*published_records("spurious-small", ROOT / "leaderboard"))
    calls = marks(tmp_path, monkeypatch, "sparsity-curves", of, "errorbar")
    hollow = sum(options["markerfacecolor"] == "white" for _, options in calls)
    marked = [row for row in of.rows if row.first["method"] != "magnitude" and row_marks(row, of.rows)]
    assert hollow == 3 * len(marked) > 0
    figure, _ = FIGURES["sparsity-curves"].draw(of)
    lines: dict[float, set] = {}
    for axes in figure.axes:
        lines.setdefault(round(axes.get_subplotspec().rowspan.start), set()).add(axes.get_ylim())
    assert [len(limits) for limits in lines.values()] == [1, 1, 1]
    assert all(left > right for axes in figure.axes[2::3] for left, right in [axes.get_xlim()]), "sparser to the right"


def row_marks(row, rows):
    return marks_of(row, "worst_group_accuracy", rows).words()


def test_a_curve_of_densities_goes_from_the_least_sparse_on(tmp_path: Path):
    reached = {0.1: 0.9, 0.5: 0.5, 0.9: 0.1}
    records = [swept("rigl", seed, 0.6, reached[at], density=at) for at in reached for seed in (0, 1)]
    _, lines = drawn(tmp_path, "sparsity-curves", Material.of(records, {}))
    assert [line.split(":")[0] for line in lines[1:4]] == [
        f"  rigl[density={at}], {reached[at]}" for at in (0.9, 0.5, 0.1)
    ]


def test_alpha_has_its_bounds_and_what_uniform_errors_would_give(tmp_path: Path):
    texts, lines = drawn(tmp_path, "recall-balance")
    assert (
        "  magnitude[sparsity=0.5] against erm-ft, compression 2: 1.25 ± 0.50 (1.12 to 1.5) >; if uniform 1.10 ± 0.50"
        in lines
    )
    assert (
        "  random[sparsity=0.9] against magnitude[sparsity=0.9], compression 10: – (– to –) ?; if uniform 3.00 ± 0.50"
        in (lines)
    )
    assert "  magnitude[sparsity=0.9] against erm-ft: 0 +0.125 to +0.375; 2 -0.125 to -0.500" in lines
    assert {"compression", "magnitude[sparsity=0.5]", "erm-ft"} <= set(texts)


def marks(tmp_path: Path, monkeypatch, name: str, of: Material, method: str):
    """The calls of a method of Axes while a figure is drawn."""
    from matplotlib.axes import Axes

    calls, real = [], getattr(Axes, method)

    def noted(self, *arguments, **options):
        calls.append((arguments, options))
        return real(self, *arguments, **options)

    monkeypatch.setattr(Axes, method, noted)
    write_figure("mine", of, tmp_path / "a.svg", name)
    return calls


def test_bounds_of_the_table_are_drawn_and_rows_are_told_apart(tmp_path: Path, monkeypatch):
    calls = marks(tmp_path, monkeypatch, "recall-balance", Material.of([], {}, [alphas()]), "errorbar")
    found = [(x[0], y[0], spread[0][0], spread[1][0], options["fmt"]) for (x, y, spread), options in calls]
    assert [(point[0], point[-1]) for point in found] == [(2.0, "o"), (10.0, "^"), (1.0, "s")]
    assert found[0][1:4] == pytest.approx((1.25, 0.125, 0.25))
    assert found[1][1:4] == pytest.approx((2.5, 0.5, 1.5)), "not even"
    assert found[2][1:4] == pytest.approx((0.875, 0.5, 0.5)), "without bounds: the 95 % interval"


def test_bars_are_filled_where_the_change_is_told_from_none(tmp_path: Path, monkeypatch):
    calls = marks(tmp_path, monkeypatch, "class-impact", material("class-impact"), "bar")
    filled = {(round(height[0], 2), options["color"] != "none") for (_, height), options in calls}
    assert {(-1.0, True), (0.25, False), (2.0, True)} <= filled, "by the interval"
    assert {(-4.0, True), (4.25, False), (1.0, True)} <= filled, "by the verdict, whatever the interval"
    assert {(-12.0, True), (0.0, False)} <= filled
    _, lines = drawn(tmp_path, "class-impact")
    assert "toy: magnitude[sparsity=0.5] (pie_classes): normalised change, points; *: differs from none" in lines
    assert "  2: 2.00 ± 0.50 *" in lines
    assert "  1: 4.25 ± 0.10" in lines
    assert "  0/red: –" in lines
    assert "  1: –" in lines


def test_every_analysis_of_changes_has_a_panel_a_row(tmp_path: Path):
    texts, _ = drawn(tmp_path, "class-impact")
    titles = [text.removesuffix("; filled: differs from none") for text in texts if re.search("toy: |; filled", text)]
    assert titles == [
        *("toy: magnitude[sparsity=0.5]", "intensification", "toy: magnitude[sparsity=0.5]", "pie_classes"),
        *("toy: magnitude[sparsity=0.5]", "twin_changes", "toy: magnitude[sparsity=0.9]", "intensification"),
        *("toy: random[sparsity=0.9]", "twin_changes"),
    ]


def test_groups_have_bars_and_points_as_classes_do(tmp_path: Path):
    of = Material.of([], {}, [balances("group")])
    assert "toy: balance of every group, before to after" in drawn(tmp_path, "recall-balance", of)[1]
    assert "  0: -1.00 ± 0.50 *" in drawn(tmp_path, "class-impact", of)[1]


def test_a_sheet_shows_the_images_of_the_table_with_label_and_modes(tmp_path: Path, monkeypatch):
    calls = marks(tmp_path, monkeypatch, "pie-sheet", material("pie-sheet"), "imshow")
    images = pictures("toy").images
    for ((shown,), _), at in zip(calls, (4, 0, 2), strict=True):
        assert np.array_equal(shown, images[at, [0, 0, 0]].transpose(1, 2, 0))
    texts, lines = drawn(tmp_path, "pie-sheet", material("pie-sheet"))
    assert lines[1:] == ["  4: 3, 3, 8", "  0: 1, 1, 7", "  2: 0, 0, 6"]
    assert {"label 3", "dense 3", "pruned 8"} <= set(texts)


def test_a_sheet_needs_the_images_and_they_are_those_of_the_table(tmp_path: Path):
    def absent(task):
        raise DataError(f"the images of {task!r} cannot be had: no such file")

    for of, told in (
        (Material.of([], {}, [gallery()]), "the images of 'toy' are not in the records"),
        (Material.of([], {}, [gallery()], absent), "the images of 'toy' cannot be had: no such file"),
        (
            Material.of([], {}, [gallery(("3", "1", "5"))], pictures),
            "test image 2 is not the one that the analysis saw",
        ),
    ):
        with pytest.raises(UsageError, match=re.escape(told)):
            drawn(tmp_path, "pie-sheet", of)


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A copy of published records, (folder, suite, task, layouts of its test splits), and a results folder."""
    folder, suite = tmp_path_factory.mktemp("board"), "contrastive"
    shutil.copytree(ROOT / "leaderboard/records" / suite, folder / "board/records" / suite)
    records, layouts = published_records(suite, folder / "board")
    return folder, suite, next(record.body for record in records if record.body["seed"] == 0), layouts


def test_the_test_split_of_records_is_built_where_it_is_not(board):
    folder, suite, body, layouts = board
    workspace = Workspace.open(quiet=True)
    found = pictures_of(workspace, suite, body["task"], folder / "results", layouts)
    assert found.images.dtype == np.uint8
    assert found.images.shape[0] == len(found.labels) == sum(body["group_total"])
    each = len(body["group_total"]) // body["num_classes"]
    in_class = np.reshape(body["group_total"], (-1, each)).sum(axis=1)
    assert np.bincount(found.labels).tolist() == in_class.tolist()
    with pytest.raises(UsageError, match="test split is no longer that of the records: run the suite again"):
        pictures_of(workspace, suite, body["task"], folder / "results", ["another"])


def test_the_command_draws_the_images_of_published_records(board, cli):
    folder, suite, body, layouts = board
    found = pictures_of(Workspace.open(quiet=True), suite, body["task"], folder / "results", layouts)
    shown = gallery([str(found.labels[at]) for at in (4, 0, 2)]).body
    head = {name: body[name] for name in ("suite", "task", "environment")}
    made = AnalysisRecord({**shown, **head, "options": {}, "trials": 95, "stage": None})
    (folder / "board/records" / suite / "analyses").mkdir(exist_ok=True)
    (folder / "board/records" / suite / "analyses" / made.file).write_text(made.to_text())
    options = ("--plot", "a.svg", "--figure", "pie-sheet", "--records", "board", "-o", "results")
    done = cli("show", suite, *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert f"  4: {found.labels[4]}, 3, 8" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1].endswith(
        "records of board; its figures: layer-sweep, equal-accuracy, pie-sheet"
    )
    assert b"<image" in (folder / "a.svg").read_bytes()


def test_probes_are_averaged_over_seeds_beside_their_controls(tmp_path: Path):
    texts, lines = drawn(tmp_path, "probe-chart")
    half = estimate([-8.0, -9.0, -10.0]).half_width
    assert lines[0] == "toy: plain, critical, in net: change of accuracy, points; of the control; difference"
    assert lines[1] == f"  ranking size, 0/red: -9.0 ± {half:.1f}; -1; -8.0 ± {half:.1f}"
    assert "  ranking slope, 1/red: 0.5; 0; 0.5" in lines
    assert {"ranking size", "ranking slope", "0/red", "1/red"} <= set(texts)


def test_a_probes_bars_are_the_change_and_open_beside_it_the_controls(tmp_path: Path, monkeypatch):
    calls = marks(tmp_path, monkeypatch, "probe-chart", material("probe-chart"), "bar")
    bars = [(height[0], options["color"] != "none") for (_, height), options in calls if "edgecolor" in options]
    changes, controls = (-9.0, 1.0, -2.0, 0.5), (-1.0, 0.5, 0.25, 0.0)
    assert [height for height, filled in bars if filled] == pytest.approx(changes)
    assert [height for height, filled in bars if not filled] == pytest.approx(controls)


def test_harms_beside_all_that_was_matched(tmp_path: Path, monkeypatch):
    calls = marks(tmp_path, monkeypatch, "equal-fit", material("equal-fit"), "errorbar")
    drawn_at = [(x[0], options["xerr"][0], options["markerfacecolor"] == "none") for (x, _), options in calls]
    assert drawn_at == [(-6.0, pytest.approx(0.5), False), (-2.0, pytest.approx(0.5), True)]
    _, lines = drawn(tmp_path, "equal-fit")
    assert lines[1:] == [
        "  magnitude[sparsity=0.9], steps: -6.00 ± 0.50",
        "  magnitude[sparsity=0.9], accuracy: -2.00 ± 0.50 (outside in 3)",
        "  static[density=0.1], steps: –",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_without_its_columns_a_figure_says_what_it_needs(tmp_path: Path, name: str):
    missing = analysis("recall_balance", {"row": ("text", ["a"]), "control": ("text", ["b"])})
    failed = AnalysisRecord({"task": "toy", "analysis": "equal_fit", "status": "failed", "reason": "no such luck"})
    told = f"the records of suite 'mine' hold nothing to draw: {name} needs {FIGURES[name].needs}"
    for analyses in ([], [missing], [failed], [alphas(alpha=("number", [1.0, 2.0, 3.0, 4.0]))]):
        with pytest.raises(UsageError, match=f"^{re.escape(told)}$"):
            write_figure("mine", Material.of([record()], {}, analyses), tmp_path / "a.svg", name)


def test_help_names_all_figures_and_so_does_the_page():
    page = (ROOT / "docs/analyses/README.md").read_text()
    for name in FIGURES:
        assert name in FIGURE_HELP
        assert f"| `{name}` |" in page


def test_drawing_imports_no_torch(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from benchbias.figures import Material, write_figure\n"
        "from benchbias.runner.publishing import published_records, published_analyses\n"
        "found = published_records('contrastive', Path('leaderboard'))\n"
        "material = Material.of(*found, published_analyses('contrastive', Path('leaderboard')))\n"
        f"write_figure('contrastive', material, Path({str(tmp_path / 'a.svg')!r}))\n"
        "assert 'matplotlib' in sys.modules; assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
