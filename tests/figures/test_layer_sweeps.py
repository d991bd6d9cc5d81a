"""Layer sweeps: any layers, amounts from nothing to all, by fraction and by number; and the figures drawn of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias import Skip
from benchbias.board.row_trials import trials_of
from benchbias.board.sweeps import at_equal_accuracy, average_accuracy, layer_sweeps
from benchbias.errors import UsageError
from benchbias.figures import Material, write_figure
from benchbias.runner.workspace import Workspace
from benchbias.sparse.cutting import removed_count
from benchbias.stages.make_mask import fraction_of
from benchbias.testing.toys.trial import ToyTrial
from support import ROOT
from support.made_records import record

quick = settings(max_examples=200, deadline=None, derandomize=True)


def magnitude(model, data, context):
    return {name: weight.abs() for name, weight in context.prunable(model).items()}


# --- cutting by number


@quick
@given(st.integers(1, 10**8), st.data())
def test_a_number_of_weights_is_cut_exactly(total, data):
    removed = data.draw(st.one_of(st.sampled_from([0, 1, total - 1, total]), st.integers(0, total)))
    amount = fraction_of({"removed": removed}, {"w": torch.empty(total, device="meta")})
    assert removed_count(total, **amount) == removed


def test_more_weights_than_there_are_is_skipped_and_says_how_many_there_are():
    with pytest.raises(Skip, match=r"removed = 1,200, but the stage's `layers` admit only 1,000 weights"):
        fraction_of({"removed": 1200}, {"w": torch.empty(1000)})
    assert fraction_of({"sparsity": 0.5}, {}) == {"sparsity": 0.5}


def pruned(layers=(), **amount):
    trial = ToyTrial()
    parents = {"data": trial.data, "init": trial.init, "model": trial.init}
    recipe = trial.inputs[trial.train(lambda model, data, context: None)]["recipe"]
    cut = {"layers": list(layers), "budget": "global", **amount}
    key = trial.run("prune", "pruner", magnitude, parents=parents, cut=cut, recipe=recipe)
    return trial, trial.mask_of(key)


@pytest.mark.parametrize(
    ("layers", "names"), [(("0",), {"0.weight"}), (("head",), {"5.weight"}), (("!head",), {"0.weight", "3.weight"})]
)
def test_the_chosen_layers_lose_that_many_of_their_smallest_weights_together(layers, names):
    trial, mask = pruned(layers, removed=13)
    weights = dict(trial.network().named_parameters())
    assert set(mask.tensors) == names, "no other layer is touched"
    kept = torch.cat([weights[name].abs()[mask.tensors[name]] for name in names])
    gone = torch.cat([weights[name].abs()[~mask.tensors[name]] for name in names])
    assert len(gone) == 13
    assert gone.max() <= kept.min()


@pytest.mark.parametrize(
    ("amount", "kept"), [({"sparsity": 0.0}, 1.0), ({"removed": 0}, 1.0), ({"sparsity": 1.0}, 0.0)]
)
def test_amounts_go_from_nothing_to_all(amount, kept):
    _, mask = pruned(("*",), **amount)
    assert len(mask.tensors) == 3
    assert mask.density == kept


# --- what the file says

TOML = """
schema = 1
[suites.mine]
title = "Layers"
version = "1"
tasks = ["colored-digits-tiny"]
methods = ["layers"]
seeds = 1
metrics = ["accuracy"]
rank_by = "accuracy"
[methods.layers]
stages = [{{ train = "erm" }}, {{ prune = "magnitude", layers = "$layers", {stage} }}]
sweep = {{ layers = ["conv1", ["conv1", "fc*"], "!head", "head"], {sweep} }}
"""


def planned(path: Path, stage: str, sweep: str):
    path.write_text(TOML.format(stage=stage, sweep=sweep))
    return Workspace.open(path, quiet=True).plan("mine")


def test_layers_are_swept_like_any_value_and_rows_name_them(tmp_path: Path):
    plan = planned(tmp_path / "b.toml", 'removed = "$removed"', "removed = [10, 20]")
    assert {trial.row for trial in plan.trials} == {
        f"layers[layers={layers}, removed={removed}]"
        for layers in ("conv1", "conv1+fc*", "!head", "head")
        for removed in (10, 20)
    }
    cuts = [stage.inputs["cut"] for stage in plan.stages.values() if stage.kind == "prune"]
    assert {"removed": 20, "layers": ["conv1", "fc*"], "budget": "global"} in cuts
    assert len(cuts) == 8


@pytest.mark.parametrize(
    ("stage", "sweep", "told"),
    [
        ('removed = "$n"', "n = [1.5]", "removed is a number of weights, a whole number from 0, got 1.5"),
        ('removed = "$n"', "n = [-1]", "a whole number from 0, got -1"),
        ('removed = "$n"', "n = [true]", "a whole number from 0, got True"),
        ('removed = "$n", sparsity = 0.5', "n = [1]", "one of sparsity, density and removed, not sparsity and removed"),
        ('removed = "$n", budget = "erk"', "n = [1]", 'removed goes with budget = "global"'),
    ],
)
def test_a_mistake_in_an_amount_is_one_line(tmp_path: Path, stage: str, sweep: str, told: str):
    with pytest.raises(UsageError, match=re.escape(told)):
        planned(tmp_path / "b.toml", stage, sweep)


# --- sweeps in records

METRICS = {"suite": {"metrics": ["worst_group_accuracy"]}}
TOTAL = [1000, 1000]


def swept(
    method="sweep", layers="a", amount=None, average=(0.9, 0.5), seed=0, worst=0.5, amounts="sparsity", task="toy"
):
    """A record whose two groups, 9 to 1 in training, have the accuracies `average`."""
    correct = [round(1000 * value) for value in average]
    chosen = {} if amount is None else {"layers": layers, amounts: amount}
    return record(
        method,
        seed,
        metrics={"worst_group_accuracy": worst},
        swept=chosen,
        baseline=None if amount is None else "whole",
        task=task,
        group_correct=correct,
        group_total=TOTAL,
        train_group_total=[900, 100],
        **METRICS,
    )


def a_sweep(seeds=(0, 1, 2), shift=0.01):
    """A step costs .1 of average accuracy; in layer a it costs the worst group .2, in the layers b and c nothing."""
    found = []
    for seed in seeds:
        more = shift * seed
        found.append(swept("whole", average=(0.9, 0.9), worst=0.8 + more, seed=seed))
        for step, amount in enumerate((0.3, 0.6), 1):
            level = 0.9 - 0.1 * step
            found.append(
                swept(layers="a", amount=amount, average=(level, level), worst=0.8 + more - 0.2 * step, seed=seed)
            )
            found.append(swept(layers=["b", "c"], amount=amount, average=(level, level), worst=0.8 + more, seed=seed))
    return found


def test_a_sweep_has_its_layers_amounts_rows_and_baseline():
    (sweep,) = layer_sweeps(trials_of(a_sweep(), {}))
    assert (sweep.amount, sweep.layers, sweep.amounts) == ("sparsity", ("a", "b+c"), (0.3, 0.6))
    assert [amount for amount, _ in sweep.curve("a")] == [0.0, 0.3, 0.6]
    assert sweep.change("a", 0.6, "worst_group_accuracy").mean == pytest.approx(-0.4)
    assert sweep.change("a", 0.4, "worst_group_accuracy") is None


def test_the_average_weighs_groups_as_training_does():
    body = swept(average=(0.9, 0.4)).body
    assert average_accuracy(body) == pytest.approx(0.9 * 0.9 + 0.1 * 0.4)
    assert average_accuracy({**body, "group_total": [1000, 0]}) is None


def test_at_equal_accuracy_the_metric_is_interpolated_seed_by_seed():
    (sweep,) = layer_sweeps(trials_of(a_sweep(), {}))
    half = at_equal_accuracy(sweep, "a", "worst_group_accuracy", 0.05)
    assert half.mean == pytest.approx(-0.1)
    assert half.sd == pytest.approx(0.0, abs=1e-9), "each seed against its own baseline"
    assert at_equal_accuracy(sweep, "a", "worst_group_accuracy", 0.15).mean == pytest.approx(-0.3)
    assert at_equal_accuracy(sweep, "b+c", "worst_group_accuracy", 0.15).mean == pytest.approx(0.0)
    assert at_equal_accuracy(sweep, "a", "worst_group_accuracy", 0.25) is None, "it never loses so much"


def test_a_curve_that_comes_back_counts_where_it_first_crosses():
    records = [swept("whole", average=(0.9, 0.9), worst=0.8)]
    for amount, level, worst in ((0.3, 0.7, 0.4), (0.6, 0.9, 0.8), (0.9, 0.5, 0.0)):
        records.append(swept(amount=amount, average=(level, level), worst=worst))
    (sweep,) = layer_sweeps(trials_of(records, {}))
    assert at_equal_accuracy(sweep, "a", "worst_group_accuracy", 0.1).mean == pytest.approx(-0.2)


# --- figures


def drawn(path: Path, records, name=None):
    lines = write_figure("probe", Material.of(records, {}), path, name)
    return path.read_bytes(), lines


@pytest.mark.parametrize("suffix", [".svg", ".pdf", ".png"])
@pytest.mark.parametrize("name", ["layer-sweep", "equal-accuracy"])
def test_a_figure_is_the_same_bytes_whatever_the_order_of_records(tmp_path: Path, suffix: str, name: str):
    records = a_sweep()
    one, lines = drawn(tmp_path / f"one{suffix}", records, name)
    other, again = drawn(tmp_path / f"other{suffix}", records[::-1], name)
    assert one == other
    assert lines == again
    assert len(one) > 1000


def test_the_heat_map_shows_the_differences_and_the_lines_their_intervals(tmp_path: Path):
    picture, lines = drawn(tmp_path / "sweep.svg", a_sweep())
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", picture.decode())
    for shown in ("-20", "-40", "b+c", "0.3", "sparsity of the pruned layers"):
        assert shown in texts
    assert "Date" not in picture.decode()
    assert "  a, sparsity 0.3: -20.0" in lines
    assert "  b+c, sparsity 0.6: +0.0" in lines


def test_equal_accuracy_prints_what_it_draws(tmp_path: Path):
    _, lines = drawn(tmp_path / "equal.svg", a_sweep(), "equal-accuracy")
    assert "  a, at 0.5: -1.0; at 1: -2.0; at 2: -4.0; at 5: -10.0" in lines


def test_what_cannot_be_drawn_is_one_line(tmp_path: Path):
    plain = [record(seed=seed) for seed in (0, 1)]
    for records, path, name, told in (
        (plain, "a.svg", None, "the records of suite 'probe' hold nothing to draw: layer-sweep needs a method with"),
        (a_sweep(), "a.gif", None, "the file's name must end in .svg, .pdf, .png"),
        (a_sweep(), "a.svg", "bars", "unknown figure 'bars' (known: class-impact, equal-accuracy, "),
        (a_sweep(), "none/a.svg", None, "cannot write"),
    ):
        with pytest.raises((UsageError, Exception), match=re.escape(told)):
            write_figure("probe", Material.of(records, {}), tmp_path / path, name)
    without = [r for r in a_sweep() if r.body["method"] != "whole"]
    with pytest.raises(UsageError, match="and a `baseline`"):
        write_figure("probe", Material.of(without, {}), tmp_path / "a.svg")


def test_the_command_says_what_is_missing_and_how_to_make_it(tmp_path: Path, cli):
    (tmp_path / "leaderboard").symlink_to(ROOT / "leaderboard")
    for arguments, told in (
        (
            ("smoke", "--plot", "a.svg"),
            "has no current records of suite 'smoke': `benchbias run --suite smoke` makes them",
        ),
        (("nosuch", "--plot", "a.svg"), "unknown suite 'nosuch'"),
        (("smoke", "--figure", "layer-sweep"), "--figure and --records go with --plot FILE"),
        (("critical-finetuning", "--plot", "a.svg"), "hold nothing to draw: layer-sweep needs"),
    ):
        done = cli("show", *arguments, cwd=tmp_path)
        assert done.returncode == 2, done.stdout + done.stderr
        assert told in done.stderr
        assert "Traceback" not in done.stderr
