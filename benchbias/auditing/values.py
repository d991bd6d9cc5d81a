"""The values that an audit works on, and those that it finds: plain frozen tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALL = "all"
"""The name of the group of all examples."""

DENSE = "dense"
"""The key of the dense model, where tables are keyed by model."""

Judgement = Literal["safe", "harmed", "too small", "undecided"]
Verdict = Literal["pass", "harmed", "undecided"]

NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Column:
    """One attribute of all examples. codes: int (N,), -1 where it is missing; names: the value of each code, sorted."""

    codes: NDArray[Any]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Scores:
    """The probabilities that one model gave, where they are known, each float (N,) from 0 to 1, NaN where unknown.

    confidence: of the class that it answered; of_label: of the label; divergence: the Kullback-Leibler divergence of
    the compressed model's distribution from the dense one's in nats, None for the dense model and where unknown.
    """

    confidence: NDArray[Any]
    of_label: NDArray[Any]
    divergence: NDArray[Any] | None = None


@dataclass(frozen=True)
class Warning:
    """A sentence for the reader, which decides nothing. kind: a word that programs may ask for."""

    kind: str
    text: str


@dataclass(frozen=True)
class Answers:
    """The examples of an audit with the answers of a dense model and of compressed ones: one row an example.

    classes: the names of the classes, sorted. label, dense: int (N,), codes of classes. compressed: name of the model
    -> int (N,). attributes: name -> column. cluster: int (N,), equal for examples that are no independent draws
    (copies of one image, frames of one video), None where all are. ids: a text for each row, for lists of flips.
    images: the file of each row, for galleries. scores: model -> its probabilities, the dense one's under DENSE.
    dense_name, label_name: the user's names of the dense model, and of the label. notes: sentences for the reader about
    how the examples were read; warnings: those of them that a reader may not miss, or that stop an audit. A label of -1
    is not known; it may be so only where all models give the same answer.
    """

    classes: tuple[str, ...]
    label: NDArray[Any]
    dense: NDArray[Any]
    compressed: Mapping[str, NDArray[Any]]
    attributes: Mapping[str, Column] = field(default_factory=dict)
    cluster: NDArray[Any] | None = None
    ids: tuple[str, ...] | None = None
    images: tuple[str, ...] | None = None
    scores: Mapping[str, Scores] = field(default_factory=dict)
    dense_name: str = DENSE
    notes: tuple[str, ...] = ()
    label_name: str = "label"
    warnings: tuple[Warning, ...] = ()


@dataclass(frozen=True)
class Options:
    """The settings of an audit, all of which its JSON has.

    margin: the harm that matters, a share from 0 to 1. level: of each bound and of all "harmed" together. depth: how
    many attributes are crossed. gate: the attributes whose values must all be safe, None for all of them and the label.
    by_label: whether each label is a group. pool: values with fewer examples are one group "(other)".
    """

    margin: float = 0.03
    level: float = 0.05
    depth: int = 2
    gate: tuple[str, ...] | None = None
    by_label: bool = True
    pool: int = 0


@dataclass(frozen=True)
class Group:
    """A group of examples. parts: (attribute, value) pairs, none for all examples; the label is an attribute here.

    n: its examples; units: its independent clusters, n where each example is one. gated: whether a pass needs it safe.
    alias: names of groups that have the same examples.
    """

    name: str
    parts: tuple[tuple[str, str], ...]
    n: int
    units: int
    gated: bool
    alias: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """The fate of one group under one compressed model.

    dense_right, compressed_right: its examples that each has right, None where only changed answers have a label.
    lost: examples that the dense model has right and the compressed one wrong; gained: the reverse. harm, lower, upper:
    (lost - gained) / n and its one-sided bounds, shares from -1 to 1, unadjusted. p: of no harm; adjusted: p for all
    groups and models together; p_safe: of harm >= margin; beyond: p of harm <= margin for all together. small_loss:
    the group is safe and yet was shown to lose. needs: examples that would show the group safe with 80 % power if the
    models disagree as often as here without harm, None where no number does or there are as many. detectable: the
    least true harm that n examples find with 80 % power, None where none. error_ratio: the share of errors after, over
    that before; None where the dense model has none.
    churn: the share of examples whose answer changed. confidence: the mean fall of the label's probability, from -1 to
    1; calibration: expected calibration error of the dense and of the compressed model; divergence: its mean, in nats.
    dense_right, compressed_right: None where not all labels are known.
    """

    group: Group
    dense_right: int | None
    compressed_right: int | None
    lost: int
    gained: int
    harm: float
    lower: float
    upper: float
    p: float
    adjusted: float
    p_safe: float
    beyond: float
    verdict: Judgement
    small_loss: bool
    beyond_margin: bool
    needs: int | None
    detectable: float | None
    error_ratio: float | None
    churn: float
    confidence: float | None = None
    calibration: tuple[float, float] | None = None
    divergence: float | None = None


@dataclass(frozen=True)
class Uneven:
    """Whether one value of an attribute loses more than the rest. p: for all its values together; value: the worst."""

    attribute: str
    p: float
    value: str


@dataclass(frozen=True)
class Missing:
    """Examples without an attribute. upper: the bound of the worst value, if none or all of them have it."""

    attribute: str
    n: int
    value: str
    upper: float


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one batch: the median of the repeats, and the middle half of them."""

    batch: int
    median: float
    low: float
    high: float
    repeats: int


@dataclass(frozen=True)
class Facts:
    """The size and the speed of one model. bytes_on_disk: of its file. parameters, nonzeros: numbers of values."""

    bytes_on_disk: int | None = None
    parameters: int | None = None
    nonzeros: int | None = None
    latency: tuple[Latency, ...] = ()
    machine: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Compared:
    """One compressed model against the dense one.

    lines: of the groups, all examples first, then by falling harm. worst: the name of the group with the largest harm.
    not_excluded: the largest harm that is excluded nowhere, a share. without: the group without which the fewest
    groups are harmed, and how many those are; None where none is harmed. churn: of all examples.
    """

    name: str
    verdict: Verdict
    beyond_margin: bool
    lines: tuple[Line, ...]
    worst: str
    not_excluded: float
    without: tuple[str, int] | None
    uneven: tuple[Uneven, ...]
    missing: tuple[Missing, ...]
    churn: float
    warnings: tuple[Warning, ...] = ()
    facts: Facts | None = None


@dataclass(frozen=True)
class Slice:
    """A slice that was found on the first half. All numbers but `found_harm` are of the second half alone.

    text: its conditions in words; found_n, found_harm: of the half on which it was found; n, units, lost, gained, harm,
    lower, upper: as of any group, shares, one-sided bounds, unadjusted; p: of no harm; adjusted: for all slices of all
    models together; harmed: adjusted <= level.
    """

    model: str
    text: str
    found_n: int
    found_harm: float
    n: int
    units: int
    lost: int
    gained: int
    harm: float
    lower: float
    upper: float
    p: float
    adjusted: float
    harmed: bool


@dataclass(frozen=True)
class Discovery:
    """The slices of all models, harmed ones first, then by p. explored, tested: examples of the two halves."""

    slices: tuple[Slice, ...]
    explored: int
    tested: int
    features: tuple[str, ...]
    level: float


@dataclass(frozen=True)
class Audit:
    """The findings of an audit. verdict: the worst of its models' (harmed, then undecided, then pass).

    pairs: of a dense and a compressed model: 1, or so many training runs. test_set: a digest of the examples' labels,
    attributes and clusters in any order. empty: crossings without examples. dense_facts: of the dense model.
    discovery: slices that were looked for, None where none were; they decide no verdict.
    """

    options: Options
    verdict: Verdict
    dense: str
    models: tuple[Compared, ...]
    n: int
    units: int
    groups: int
    empty: tuple[str, ...]
    test_set: str
    pairs: int = 1
    notes: tuple[str, ...] = ()
    warnings: tuple[Warning, ...] = ()
    dense_facts: Facts | None = None
    discovery: Discovery | None = None
