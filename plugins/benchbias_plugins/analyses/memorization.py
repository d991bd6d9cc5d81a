"""Memorisation of training examples (Feldman, 2020; Feldman and Zhang, 2020), and which groups it is of.

The memorisation of an example is how much more often models that were trained on it are right about it than models
that were not: mem_i = P[h(x_i) = y_i | i in the subset] - P[h(x_i) = y_i | i not in it], h trained on a random subset
of the training set. It is the value at the size of the subset, not that of leaving one example out of the whole set.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from scipy.special import softmax

from benchbias import BenchbiasError, Estimate, Range, Skip, Table, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from benchbias import Member, Population, Predictions

    Array = NDArray[np.float64]
    Mask = NDArray[np.bool_]

SPLIT = "train-all"
LEAST = 3  # models: the spread of those in and of those out needs two of one of them


@hookimpl
def benchbias_analyses() -> dict[str, Callable[..., Table]]:
    return {"memorization": memorization, "memorized_items": memorized_items}


@dataclass(frozen=True, eq=False)
class Trials:
    """A row's T models, each trained on some of n examples: inside (T, n); score (T, n), 1 where it is right.

    With confidence, the score is the predicted probability of the true class.
    """

    inside: Mask
    score: Array

    @functools.cached_property
    def counts(self) -> tuple[Array, Array]:
        """How many models were trained on each example, and how many were not: (n,) each."""
        trained = self.inside.sum(axis=0).astype(float)
        return trained, len(self.inside) - trained

    @functools.cached_property
    def means(self) -> tuple[Array, Array]:
        """The score of the models trained on each example, and of the others, (n,) each; NaN where there is none."""
        trained, others = self.counts
        with np.errstate(invalid="ignore"):
            within = np.where(self.inside, self.score, 0).sum(axis=0) / trained
            return within, np.where(self.inside, 0, self.score).sum(axis=0) / others

    @functools.cached_property
    def memorization(self) -> Array:
        """(n,), from -1 to 1; NaN for an example that no model or every model was trained on."""
        within, without = self.means
        return within - without

    @functools.cached_property
    def deviations(self) -> Array:
        """The fall of each example's memorisation without each model, (T, n), as the jackknife needs it.

        0 for the only model that was trained on an example, or was not.
        """
        trained, others = self.counts
        within, without = self.means
        with np.errstate(invalid="ignore", divide="ignore"):
            here = (self.score - within) / np.where(trained > 1, trained - 1, np.inf)
            there = (self.score - without) / np.where(others > 1, others - 1, np.inf)
        return np.where(self.inside, here, -there)


def memorization(
    population: Population,
    *,
    confidence: bool = False,
    threshold: Annotated[float, Range(0, 1)] = 0.25,
) -> Table:
    """The memorisation of each group's training examples, estimated from models trained on random parts of them.

    Needs the task's `train_fraction` and predictions of `train-all`. Examples that a row's models were all trained on,
    or none, have no value and are left out (`one-armed`). confidence: the predicted probability of the true class in
    place of right and wrong, which is another quantity with less noise. threshold: of the share of examples that count
    as memorised; noise of single examples (`item noise`, the root mean square of their standard errors) raises it.
    Intervals are over models for these training examples, by the jackknife over models.
    """
    lines = [
        {"row": row, **line}
        for row, members in _rows(population).items()
        for line in _lines(members, trials_of(members, confidence), threshold)
    ]
    kinds = {
        "row": ("text", ""),
        "group": ("text", ""),
        "models": ("count", ""),
        "items": ("count", ""),
        "one-armed": ("count", ""),
        "trained on": ("fraction", ""),
        "accuracy in": ("fraction", ""),
        "accuracy out": ("fraction", ""),
        "memorisation": ("estimate", "points"),
        "share memorised": ("fraction", ""),
        "item noise": ("number", "points"),
    }
    columns = {name: (*kind, tuple(line[name] for line in lines)) for name, kind in kinds.items()}
    what = "mean probability of the true class" if confidence else "accuracy"
    return Table(
        columns,
        f"Memorisation: {what} of the models trained on an example minus that of the others, in mean over the examples "
        f"of a group. Share memorised: of examples with {threshold:g} or more. Intervals are over models, for these "
        "training examples.",
    )


def memorized_items(
    population: Population, *, row: str = "", top: Annotated[int, Range(1, 1000)] = 50, confidence: bool = False
) -> Table:
    """The most memorised training examples of one row, an image a line.

    row: as on the board; empty for the first. The largest of many noisy values are too large: read them as a list of
    examples to look at, not as measurements.
    """
    rows = _rows(population)
    if row and row not in rows:
        raise BenchbiasError(f"no row {row!r:.80}; rows: {', '.join(rows)}")
    name = row or next(iter(rows))
    members = rows[name]
    trials, found = trials_of(members, confidence), members[0].predictions[SPLIT]
    value, (within, without), (trained, others) = trials.memorization, trials.means, trials.counts
    known = np.flatnonzero(~np.isnan(value))
    shown = known[np.argsort(-value[known], kind="stable")][:top]
    names = members[0].record.body["group_names"]
    columns = {
        "row": ("text", "", (name,) * len(shown)),
        "image": ("image", "", tuple(shown.tolist())),
        "label": ("text", "", tuple(str(label) for label in found.labels[shown].tolist())),
        "group": ("text", "", tuple(names[group] for group in found.groups[shown].tolist())),
        "memorisation": ("number", "points", tuple((100 * value[shown]).tolist())),
        "accuracy in": ("fraction", "", tuple(within[shown].clip(0, 1).tolist())),
        "accuracy out": ("fraction", "", tuple(without[shown].clip(0, 1).tolist())),
        "models in": ("count", "", tuple(trained[shown].astype(int).tolist())),
        "models out": ("count", "", tuple(others[shown].astype(int).tolist())),
    }
    return Table(columns, f"The most memorised of {len(known)} examples; image: its place in the split {SPLIT}.")


def trials_of(members: Sequence[Member], confidence: bool = False) -> Trials:
    """Raises BenchbiasError where what a model was trained on does not fit its predictions."""
    inside, score = [], []
    for member in members:
        found = member.predictions[SPLIT]
        if member.trained_on is None or member.trained_on.shape != found.labels.shape:
            raise BenchbiasError(
                f"{member.row}, seed {member.seed}: trained_on is not of the {len(found.labels)} items"
            )
        inside.append(member.trained_on.numpy().astype(bool))
        score.append(_score(found, confidence))
    return Trials(np.stack(inside), np.stack(score))


def _score(found: Predictions, confidence: bool) -> Array:
    if not confidence:
        return found.correct.numpy().astype(float)
    probability: Array = softmax(found.logits.double().numpy(), axis=1)
    chosen: Array = probability[np.arange(len(probability)), found.labels.numpy()]
    return chosen


def _rows(population: Population) -> dict[str, tuple[Member, ...]]:
    if any(member.trained_on is None for member in population.members) or not population.members:
        raise Skip("every model was trained on the whole training set: set the task's `train_fraction` below 1")
    population.require_same_examples(SPLIT)
    rows = population.rows()
    for row, members in rows.items():
        if len(members) < LEAST:
            raise Skip(f"{row} has {len(members)} seeds: memorisation needs {LEAST} or more, better 50")
    return rows


def _lines(members: Sequence[Member], trials: Trials, threshold: float) -> list[dict[str, Any]]:
    found = members[0].predictions[SPLIT]
    aligned, groups = found.aligned.numpy(), found.groups.numpy()
    parts = {"all": np.ones(len(groups), dtype=bool), "aligned": aligned, "conflicting": ~aligned}
    names = members[0].record.body["group_names"]
    parts |= {name: groups == number for number, name in enumerate(names)}
    lines = [{"group": name, **summary(trials, part, threshold)} for name, part in parts.items()]
    known = ~np.isnan(trials.memorization)
    apart = over_models(trials, (~aligned & known, 1.0), (aligned & known, -1.0))
    empty = dict.fromkeys(lines[0]) | {"models": len(members), "items": int(known.sum()), "one-armed": 0}
    return [*lines, empty | {"group": "conflicting - aligned", "memorisation": apart}]


def summary(trials: Trials, part: Mask, threshold: float) -> dict[str, Any]:
    """One line: of the examples of a part, (n,), those that have a value."""
    value = trials.memorization
    known = part & ~np.isnan(value)
    within, without = trials.means
    noise = np.square(trials.deviations[:, known]).sum(axis=0)
    told = int(known.sum())
    return {
        "models": len(trials.inside),
        "items": told,
        "one-armed": int(part.sum()) - told,
        "trained on": float(trials.inside[:, known].mean()) if told else None,
        "accuracy in": float(within[known].mean().clip(0, 1)) if told else None,
        "accuracy out": float(without[known].mean().clip(0, 1)) if told else None,
        "memorisation": over_models(trials, (known, 1.0)),
        "share memorised": float((value[known] >= threshold).mean()) if told else None,
        "item noise": 100 * float(np.sqrt(noise.mean())) if told else None,
    }


def over_models(trials: Trials, *parts: tuple[Mask, float]) -> Estimate | None:
    """The weighted sum of the mean memorisation of parts, in points; None if one is empty.

    The examples share their models, so a model, not an example, is what is drawn: the jackknife over models. Its
    deviations are the sums over examples of what each falls by when the model is left out.
    """
    if any(not part.any() for part, _ in parts):
        return None
    mean = sum(weight * float(trials.memorization[part].mean()) for part, weight in parts)
    weights = sum(weight * part / part.sum() for part, weight in parts)  # (n,)
    known = weights != 0
    by_model = trials.deviations[:, known] @ np.asarray(weights)[known]  # (T,)
    number = len(by_model)
    return Estimate.of(100 * mean, 100 * float(np.sqrt(np.square(by_model).sum())), number - 1, number)
