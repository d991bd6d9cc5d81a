"""Slices in plain words: conditions on features, as a shallow tree finds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbias.auditing.values import Column
from benchbias.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST = 20  # examples on which a leaf is found
LARGEST = 2**53  # whole numbers beyond are no longer exact


@dataclass(frozen=True)
class Feature:
    """A column that slices are made of. value: the category, None for numbers. data: float (N,), 0 or 1 if one.

    holes: whether numbers are missing somewhere: these are below all others.
    """

    name: str
    value: str | None
    data: NDArray[Any]
    holes: bool = False


@dataclass(frozen=True)
class Condition:
    """One side of a cut: feature <= threshold, or above it."""

    feature: int
    threshold: float
    above: bool


@dataclass(frozen=True)
class Found:
    """A slice that a tree found. text: its conditions in words; member: bool (N,) over all examples."""

    text: str
    member: NDArray[Any]


def features_of(columns: Mapping[str, Any], first: NDArray[Any]) -> list[Feature]:
    """The features of columns: numbers as they are, each category of texts, each number of an embedding (N, D).

    columns: name -> `Column` or array; first: bool (N,), the half on which slices are found; rarer categories than a
    leaf may be are none there. Raises DataError for other shapes, and for infinite numbers.
    """
    found: list[Feature] = []
    for name in sorted(columns):
        given = columns[name]
        if isinstance(given, Column):
            found += _of_column(name, given, first)
        else:
            codes = np.asarray(given)
            if codes.ndim not in (1, 2) or codes.dtype.kind not in "biuf":
                raise DataError(
                    f"feature {name!r:.80}: numbers (N,) or (N, D) are needed, not {codes.shape} {codes.dtype}"
                )
            wide = codes.reshape(len(codes), -1) if codes.size else codes.reshape(0, 1)
            names = [name] if codes.ndim == 1 else [f"{name}[{at}]" for at in range(wide.shape[1])]
            found += [_numeric(one, wide[:, at].astype(float)) for at, one in enumerate(names)]
    return found


def find_slices(features: list[Feature], harm: NDArray[Any], first: NDArray[Any], depth: int, most: int) -> list[Found]:
    """The slices of a tree of this depth with the most evidence of harm in the first half, the strongest first.

    harm: int (N,), 1 for a lost and -1 for a gained example. Each node but the root is one, where more are lost than
    gained, and more than among all examples: n times their harm H, if it is above 0. The evidence is
    (lost - gained - n H) / sqrt(lost + gained).
    """
    from sklearn.tree import DecisionTreeRegressor

    data = np.stack([feature.data for feature in features], axis=1)
    if first.sum() < 2 * FEWEST:
        return []
    tree = DecisionTreeRegressor(max_depth=depth, min_samples_leaf=FEWEST, random_state=0)
    tree.fit(data[first], harm[first].astype(float))
    overall = max(0.0, float(harm[first].mean()))
    found: dict[str, tuple[float, Found]] = {}
    for conditions in _nodes(tree.tree_, data):
        member = np.ones(len(harm), bool)
        for condition in conditions:
            member &= (data[:, condition.feature] > condition.threshold) == condition.above
        lost, gained = (int((harm[member & first] == sign).sum()) for sign in (1, -1))
        excess = lost - gained - overall * int((member & first).sum())
        if lost > gained and excess > 0:
            text = describe(features, conditions)
            found[text] = (excess / (lost + gained) ** 0.5, Found(text, member))
    ranked = sorted(found.items(), key=lambda item: (-item[1][0], item[0]))
    return [slice_ for _, (_, slice_) in ranked[:most]]


def describe(features: list[Feature], conditions: tuple[Condition, ...]) -> str:
    """The conditions in words, each feature once: `brightness <= 0.31 and hair is blond`."""
    words: list[str] = []
    for name in dict.fromkeys(features[condition.feature].name for condition in conditions):
        own = [condition for condition in conditions if features[condition.feature].name == name]
        words += (
            _of_category(features, own) if features[own[0].feature].value is not None else _of_numbers(features, own)
        )
    return " and ".join(words)


def _of_category(features: list[Feature], conditions: list[Condition]) -> list[str]:
    name = features[conditions[0].feature].name
    yes = [features[condition.feature].value for condition in conditions if condition.above]
    no = [features[condition.feature].value for condition in conditions if not condition.above]
    return [f"{name} is {value}" for value in yes] or [f"{name} is not {' or '.join(map(str, no))}"]


def _of_numbers(features: list[Feature], conditions: list[Condition]) -> list[str]:
    feature = features[conditions[0].feature]
    above = [condition.threshold for condition in conditions if condition.above]
    below = [condition.threshold for condition in conditions if not condition.above]
    words = [f"{feature.name} > {_number(max(above))}"] if above else []
    if below:
        missing = " or is missing" if feature.holes and not above else ""
        words.append(f"{feature.name} <= {_number(min(below))}{missing}")
    return words


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")


def _shortened(data: NDArray[Any], threshold: float) -> float:
    """The shortest number that cuts the data where the threshold does, so that words tell the slice itself."""
    below, above = data[data <= threshold], data[data > threshold]
    low, high = below.max(initial=-np.inf), above.min(initial=np.inf)
    shorter = (float(f"{threshold:.{digits}g}") for digits in range(1, 17))
    return next((value for value in shorter if low <= value < high), threshold)


def _nodes(tree: Any, data: NDArray[Any]) -> list[tuple[Condition, ...]]:
    """The conditions of each node of a tree of scikit-learn but its root. data: float (N, F), of all examples."""
    found: list[tuple[Condition, ...]] = []
    todo: list[tuple[int, tuple[Condition, ...]]] = [(0, ())]
    while todo:
        node, conditions = todo.pop()
        if conditions:
            found.append(conditions)
        if tree.children_left[node] < 0:
            continue
        column = int(tree.feature[node])
        threshold = _shortened(data[:, column], float(tree.threshold[node]))
        for child, above in ((tree.children_left[node], False), (tree.children_right[node], True)):
            cut = Condition(column, threshold, above)
            todo.append((int(child), (*conditions, cut)))
    return found


def _of_column(name: str, column: Column, first: NDArray[Any]) -> list[Feature]:
    numbers = _numbers(column.names)
    if numbers is not None and len(column.names) > 2:
        return [_numeric(name, np.append(numbers, np.nan)[column.codes])]
    return category_features(name, column, first)


def category_features(name: str, column: Column, first: NDArray[Any]) -> list[Feature]:
    """A feature of 0 and 1 for each value with enough examples in the first half, one for missing ones likewise."""
    counts = np.bincount(column.codes[first & (column.codes >= 0)], minlength=len(column.names))
    found = [
        Feature(name, value, (column.codes == code).astype(float))
        for code, value in enumerate(column.names)
        if counts[code] >= FEWEST
    ]
    if (column.codes[first] < 0).sum() >= FEWEST:
        found.append(Feature(name, "missing", (column.codes < 0).astype(float)))
    return found


def _numbers(names: tuple[str, ...]) -> NDArray[Any] | None:
    """The texts as numbers, None unless all are."""
    try:
        numbers = np.array([float(name) for name in names])
    except ValueError:
        return None
    return numbers if len(numbers) and np.isfinite(numbers).all() and (abs(numbers) < LARGEST).all() else None


def _numeric(name: str, data: NDArray[Any]) -> Feature:
    if np.isinf(data).any():
        raise DataError(f"feature {name!r:.80} holds an infinite number")
    holes = np.isnan(data)
    if not holes.any():
        return Feature(name, None, data)
    least = float(data[~holes].min()) if (~holes).any() else 0.0
    return Feature(name, None, np.where(holes, least - max(1.0, abs(least)), data), True)
