"""The meaning of a leaderboard's columns. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchbias.board.marks import CEILING_ROOM, FLOOR_ROOM, LARGE_BIAS, LEAST_FIT
from benchbias.board.text import EXAMPLES_ALONE, escaped, title
from benchbias.statistics.estimates import FEWEST_SEEDS, LEVEL
from benchbias.statistics.influence import LEASTS


def legend(suite: Mapping[str, Any], command: str, notes: Sequence[str] = ()) -> list[str]:
    """The notes below a suite's tables; `command` is what makes them. notes: on what this board alone shows."""
    rank_by = title(suite["rank_by"].removeprefix("-"))
    return [
        f"Accuracies in percent: mean over seeds (bounds of the {100 * LEVEL:.0f} % interval). Differences in points: "
        "mean ± half of the interval. An interval adds the spread of the seeds and that of the test examples, which "
        "are drawn once for all seeds (Behrens-Fisher; score bounds inside 0 and 100). A metric that the test counts "
        "do not determine has an interval over seeds alone. Intervals are for these source images and this scheme of "
        "splits: training sets overlap, and new data of the kind would vary more. A number without an interval did "
        f"not vary, or is of fewer than {FEWEST_SEEDS} seeds. {EXAMPLES_ALONE}: fewer than {FEWEST_SEEDS} seeds, so "
        "the interval is of the test examples alone, for these networks.",
        "",
        f"- **rank**: within a table: 1 + the number of rows that are better in {rank_by} by a paired test, adjusted "
        "for all comparisons of the table (Holm), to the number of rows less those that are worse. Two rows whose "
        "ranges overlap may not be resolved.",
        *_of_a_least(suite),
        "- **worst group of the mean**: the group whose mean over seeds is the lowest, for absolute statements. The "
        "bias of a least is taken off.",
        f"- **marks**: collapsed: accuracy on aligned examples is below half of the way from chance to "
        f"{_ceiling(suite)}. A row with such a seed stands last and is not ranked. At the floor: at most "
        f"{100 * FLOOR_ROOM:.0f} points above what one constant answer or the shortcut alone reaches. At the ceiling: "
        f"at most {100 * CEILING_ROOM:.0f} point below the ceiling's mean. Fits: less than {100 * LEAST_FIT:.0f} % of "
        f"the conflicting training examples. Least raised by: a bias of {100 * LARGE_BIAS:.0f} points or more was "
        "taken off; of so few examples a group the interval may miss.",
        f"- **gap**: the mean of per-seed differences in {rank_by}. The baseline is the row named, on the same seeds "
        "and data. Bold: resolved from zero at 5 %, adjusted for all such gaps of the task (Holm). The gap to the "
        "reference is not adjusted.",
        "- **fit of conflicting training examples**: accuracy on the bias-conflicting examples of the training split.",
        "- **labels used**: whose group labels a method, its settings or its epoch selection had: none "
        "(`labels-none`), the validation split's to choose (`val-select`) or to fit (`val-fit`), the training "
        "split's (`train`). **settings from**: chosen by nobody (`default`), on validation data drawn as training is "
        "(`iid-val`), from a paper, or by validation groups (`val-groups`).",
        "- **sparsity**: zeros over all convolution and linear weights, head included, counted by the core. FLOPs: "
        "multiplications and additions of one forward pass; zeros in a dense tensor save no time.",
        *notes,
        "",
        f"Made by `{command}`.",
    ]


def _of_a_least(suite: Mapping[str, Any]) -> list[str]:
    """A note on the metrics that are a least, where the suite has one."""
    names = [title(name) for name in suite["metrics"] if name in LEASTS]
    if not names:
        return []
    return [
        f"- **{', '.join(names)}**: the mean over seeds of the seed's own least accuracy. The least of numbers "
        "counted on few examples is too low, so its bias is taken off, in gaps too. **As counted**: without that, as "
        "papers print it."
    ]


def _ceiling(suite: Mapping[str, Any]) -> str:
    return f"that of {escaped(suite['ceiling'])}" if suite.get("ceiling") else "1"
