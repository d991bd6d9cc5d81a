"""Simulate recall balance: the slopes where the truth is known.

Prints markdown tables, the same bytes for the same arguments and versions; docs/analyses/recall-balance.md has those
of the defaults. The slopes are computed by the functions that the analysis itself calls. Six minutes on one core.

    python benchmarks/recall_balance_simulation.py [--repetitions 400] [--seed 0]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import stats
from scipy.special import ndtri

from benchbias_plugins.analyses.recall_balance.cells import Cells, random_halves
from benchbias_plugins.analyses.recall_balance.slopes import RightCounts, accuracies, products, slope, uniform
from benchbias_plugins.analyses.recall_balance.weighing import Weights

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from benchbias_plugins.analyses.recall_balance.ratio import Ratio

    Values = NDArray[np.float64]

LEVEL = 0.99
SPLITS = 20
PUBLISHED, HALVES, SINGLE, POOLED, SHARED = "same images", "halves", "single models", "alpha", "alpha shared"


@dataclass(frozen=True)
class Scenario:
    """A class's true balance before is spread * (profile + training * model's own), after it is alpha times that.

    The profile is evenly spaced over classes, of mean 0 and variance 1, as is a model's own part. kept: correlation of
    a model's own part before and after. An image is answered rightly where a normal value exceeds the quantile of its
    class's recall; `difficulty` is the share of the value's variance that all models share, and `same` the
    correlation of the rest before and after.
    """

    name: str
    alpha: float = 1.0
    models: int = 30
    images: int = 36  # of a class
    classes: int = 10
    accuracy: float = 0.85
    accuracy_after: float = 0.85
    spread: float = 0.06
    training: float = 0.5
    kept: float = 1.0
    difficulty: float = 0.5
    same: float = 0.5


DIGITS = Scenario("36 images a class, alpha 1")
LARGER = replace(DIGITS, name="150 images a class, alpha 1", images=150)
SCENARIOS = (
    DIGITS,
    replace(DIGITS, name="36 images a class, alpha 1.5", alpha=1.5, accuracy_after=0.8),
    replace(DIGITS, name="36 images a class, alpha 0.7", alpha=0.7),
    LARGER,
    replace(LARGER, name="150 images a class, alpha 1.5", alpha=1.5, accuracy_after=0.8),
    replace(LARGER, name="150 images a class, alpha 0.7", alpha=0.7),
    replace(LARGER, name="alpha 1.5, 5 models", alpha=1.5, accuracy_after=0.8, models=5),
    replace(LARGER, name="alpha 1.5, images mostly hard for all", alpha=1.5, accuracy_after=0.8, difficulty=0.8),
    replace(LARGER, name="alpha 1, a model's own part half lost", kept=0.5),
    replace(LARGER, name="all errors grow by 4/3", alpha=4 / 3 * 0.85 / 0.8, accuracy_after=0.8),
)
NULLS = (
    replace(DIGITS, name="36 images a class, all models alike", training=0.0),
    replace(LARGER, name="150 images a class, all models alike", training=0.0),
    replace(LARGER, name="150 images a class, models differ", training=0.5),
)


@dataclass
class Found:
    """Results of all repetitions: points by estimator, whether an interval held the truth by interval, and marks."""

    points: dict[str, list[float]] = field(default_factory=dict)
    held: dict[str, list[bool]] = field(default_factory=dict)
    marks: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, ratio: Ratio, truth: float) -> None:
        """Add an estimator's value, Fieller's and the linearised interval, and its mark."""
        self.points.setdefault(name, []).append(ratio.numerator.value / ratio.denominator.value)
        self.marks.setdefault(name, []).append(ratio.side(LEVEL))
        self.held.setdefault(f"{name}, bounded", []).append(ratio.told(LEVEL))
        gap = ratio.numerator.minus(ratio.denominator, truth).estimate().interval(LEVEL)
        self.hold(name, gap, 0.0)  # Fieller's interval holds a where the test of numerator - a denominator passes
        self.hold(f"{name}, linearised", ratio.linearised().estimate().interval(LEVEL), truth)

    def hold(self, name: str, interval: tuple[float, float], truth: float) -> None:
        """Note whether an interval holds the truth."""
        self.held.setdefault(name, []).append(interval[0] <= truth <= interval[1])

    def share(self, name: str, mark: str) -> float:
        """The share of repetitions with this mark."""
        return self.marks[name].count(mark) / len(self.marks[name])


def draw(scenario: Scenario, numbers: Generator) -> RightCounts:
    """Answers of one repetition: each image a cluster and a cell of its own."""
    s, shape = scenario, (scenario.models, scenario.classes)
    profile = _standard(np.arange(s.classes, dtype=float)[None])
    before = _standard(numbers.uniform(-1, 1, shape))
    after = s.kept * before + np.sqrt(1 - s.kept**2) * _standard(numbers.uniform(-1, 1, shape))
    recall = s.accuracy * (1 + s.spread * (profile + s.training * before))
    recall_after = s.accuracy_after * (1 + s.alpha * s.spread * (profile + s.training * after))
    label = np.repeat(np.arange(s.classes), s.images)
    hard = np.sqrt(s.difficulty) * numbers.standard_normal(len(label))
    one, other = numbers.standard_normal((2, s.models, len(label)))
    noise = (one, np.sqrt(s.same) * one + np.sqrt(1 - s.same) * other)
    right = [
        torch.from_numpy(hard + np.sqrt(1 - s.difficulty) * own < ndtri(wanted)[:, label]).double()
        for wanted, own in zip((recall, recall_after), noise, strict=True)
    ]
    image = torch.arange(len(label))
    names = tuple(map(str, range(s.classes)))
    cells = Cells(names, torch.from_numpy(label), image, torch.ones(len(label), dtype=torch.float64), image)
    return RightCounts(cells, *right)


def _standard(values: Values) -> Values:
    """Rows of mean 0 and variance 1."""
    centred = values - values.mean(axis=1, keepdims=True)
    scaled: Values = centred / centred.std(axis=1, keepdims=True)
    return scaled


def simulate(scenario: Scenario, repetitions: int, numbers: Generator) -> Found:
    """All estimators of the slope against the truth: of models' own balances, and of the shared profile's."""
    found = Found()
    own = scenario.alpha * (1 + scenario.kept * scenario.training**2) / (1 + scenario.training**2)
    for repetition in range(repetitions):
        answers = draw(scenario, numbers)
        weights = Weights.ones(scenario.models, answers.cells.clusters)
        equal = torch.ones(scenario.classes, dtype=torch.float64)
        halves = random_halves(answers.cells, SPLITS, repetition)
        apart = products(answers, weights, halves, equal, fit_intercept=False)
        together = products(answers, weights, None, equal, fit_intercept=False)
        alpha = slope(apart.cross, apart.reliable, weights)
        shared = slope(apart.other_cross, apart.other_reliable, weights)
        alone = weights.influence(uniform(*accuracies(answers, weights), weights, "pooled"))
        assert alpha is not None
        assert shared is not None
        assert alone is not None
        found.add(POOLED, alpha, own)
        found.add(SHARED, shared, scenario.alpha)
        found.hold("over uniform", alpha.linearised().minus(alone).estimate().interval(LEVEL), 0.0)
        models = _values(apart.cross) - found.points[POOLED][-1] * _values(apart.reliable)
        found.hold("models only", _t_interval(found.points[POOLED][-1] + models / _values(apart.reliable).mean()), own)
        found.points.setdefault(HALVES, []).append(float((apart.cross.mean() / apart.square.mean()).detach()))
        found.points.setdefault(PUBLISHED, []).append(float((together.cross / together.square).mean().detach()))
        single = _values(apart.cross / apart.reliable)[_values(apart.reliable) > 0]
        found.points.setdefault(SINGLE, []).append(float(single.mean()))
    return found


def simulate_null(scenario: Scenario, repetitions: int, numbers: Generator) -> Found:
    """A baseline's models against its other seeds."""
    found = Found()
    for repetition in range(repetitions):
        answers = draw(scenario, numbers)
        weights = Weights.ones(scenario.models, answers.cells.clusters)
        halves = random_halves(answers.cells, SPLITS, repetition)
        sums = products(answers, weights, halves, torch.ones(scenario.classes).double(), fit_intercept=False)
        ratio = slope(sums.other_reliable, sums.reliable, weights)
        assert ratio is not None
        found.add(POOLED, ratio, 1 / (1 + scenario.training**2))
    return found


def _values(tensor: torch.Tensor) -> Values:
    values: Values = tensor.detach().numpy()
    return values


def _t_interval(values: Values) -> tuple[float, float]:
    """The t interval over models alone."""
    half = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def slopes_tables(repetitions: int, numbers: Generator) -> list[str]:
    """Markdown of the scenarios of a row and its baseline."""
    names = (PUBLISHED, HALVES, SINGLE, POOLED, SHARED)
    points = [_head("scenario", "true alpha", "true shared", *names)]
    marks = [
        _head("scenario", "Fieller", "linearised", "models only", "bounded", "<", "?", ">", "shared", "shared <, >")
    ]
    apart = [_head("scenario", "alpha", "zero rejected")]
    for scenario in SCENARIOS:
        found = simulate(scenario, repetitions, numbers)
        own = scenario.alpha * (1 + scenario.kept * scenario.training**2) / (1 + scenario.training**2)
        truths = (f"{own:.2f}", f"{scenario.alpha:.2f}")
        points.append(_line(scenario.name, *truths, *(_spread(found.points[name]) for name in names)))
        held = [POOLED, f"{POOLED}, linearised", "models only", f"{POOLED}, bounded"]
        told = [found.share(POOLED, mark) for mark in ("<", "?", ">")]
        shared = " ".join(_percent(found.share(SHARED, mark)) for mark in ("<", ">"))
        cells = [_percent(np.mean(found.held[name])) for name in held] + [_percent(share) for share in told]
        marks.append(_line(scenario.name, *cells, _percent(np.mean(found.held[SHARED])), shared))
        rejected = 1 - np.mean(found.held["over uniform"])
        apart.append(_line(scenario.name, f"{scenario.alpha:.2f}", _percent(rejected)))
    return [
        "## Slopes",
        "",
        "Median over repetitions (half the interquartile range).",
        "",
        *points,
        "",
        "## Intervals and marks at 99 %",
        "",
        "Percent of repetitions.",
        "",
        *marks,
        "",
        "## alpha over uniform",
        "",
        "Percent of repetitions in which zero is rejected at 99 %.",
        "",
        *apart,
    ]


def null_table(repetitions: int, numbers: Generator) -> list[str]:
    """Markdown of baselines against their other seeds."""
    lines = [_head("scenario", "true alpha", "alpha", "Fieller", "<", "?", ">")]
    for scenario in NULLS:
        found = simulate_null(scenario, repetitions, numbers)
        told = [_percent(found.share(POOLED, mark)) for mark in ("<", "?", ">")]
        held, true = _percent(np.mean(found.held[POOLED])), f"{1 / (1 + scenario.training**2):.2f}"
        lines.append(_line(scenario.name, true, _spread(found.points[POOLED]), held, *told))
    return ["## A baseline against its other seeds", "", "Medians, and percent of repetitions at 99 %.", "", *lines]


def _spread(values: Sequence[float]) -> str:
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return f"{middle:.2f} ({(high - low) / 2:.2f})"


def _percent(share: float | np.floating) -> str:
    return f"{100 * share:.1f}"


def _head(*names: str) -> str:
    return _line(*names) + "\n|:---|" + "---:|" * (len(names) - 1)


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Simulated slopes of recall balance, as markdown.")
    parser.add_argument("--repetitions", type=int, default=400, help="simulated populations a scenario")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    numbers = np.random.default_rng(given.seed)
    command = f"--repetitions {given.repetitions} --seed {given.seed}"
    print(f"Made by `python benchmarks/recall_balance_simulation.py {command}` with numpy {np.__version__}.\n")
    print("\n".join(slopes_tables(given.repetitions, numbers)) + "\n")
    print("\n".join(null_table(given.repetitions, numbers)))


if __name__ == "__main__":
    main()
