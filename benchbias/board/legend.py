"""The meaning of a leaderboard's columns. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchbias.board.text import escaped, title
from benchbias.statistics.estimates import LEVEL
from benchbias.statistics.ranking import SMALLEST_GAP


def legend(suite: Mapping[str, Any], command: str) -> list[str]:
    """The notes below a suite's tables; `command` is what makes them."""
    rank_by = title(suite["rank_by"].removeprefix("-"))
    return [
        f"Accuracies in percent: mean over seeds ± half of the {100 * LEVEL:.0f} % interval (Student's t on the spread "
        "of the seeds plus that of the test examples, drawn once for all seeds; Satterthwaite's degrees of freedom). A "
        "metric that the test counts do not determine has an interval over seeds alone. Intervals are for these "
        "source images and this scheme of splits: training sets overlap, and new data of the kind would vary more. "
        "0.0 means no spread among these seeds, not certainty.",
        "",
        f"- **rank**: within a table: 1 + the number of rows that are better in {rank_by} by a paired t test, adjusted "
        "for all comparisons of the table (Holm), to the number of rows less those that are worse. Rows whose ranges "
        f"overlap may not be told apart. In worst group accuracy no gap below {100 * SMALLEST_GAP:.0f} points counts.",
        "- **worst group, cross-fitted**: the group is chosen on the other seeds and the other half of the test "
        "examples, so it is not the worst by chance: for absolute statements; its interval covers whichever group is "
        "the worst. worst group accuracy, the mean of the seeds' own minima, is what papers print; it is biased low.",
        f"- **collapsed**: in that many seeds accuracy on aligned examples is below half of the way from chance to "
        f"{_ceiling(suite)}. Such rows stand last and are not ranked.",
        f"- **gap**: the mean of per-seed differences in {rank_by}. The baseline is the row named, on the same seeds "
        "and data. Bold: told from zero at 5 %, adjusted for all such gaps of the task (Holm). The gap to the "
        "reference is not adjusted.",
        "- **fit of conflicting training examples**: accuracy on the bias-conflicting examples of the training split.",
        "- **labels used**: whose group labels a method, its settings or its epoch selection had: none "
        "(`labels-none`), the validation split's to choose (`val-select`) or to fit (`val-fit`), the training "
        "split's (`train`). **settings from**: chosen by nobody (`default`), on validation data drawn as training is "
        "(`iid-val`), from a paper, or by validation groups (`val-groups`).",
        "- **sparsity**: zeros over all convolution and linear weights, head included, counted by the core. FLOPs: "
        "multiplications and additions of one forward pass; zeros in a dense tensor save no time.",
        "",
        f"Made by `{command}`.",
    ]


def _ceiling(suite: Mapping[str, Any]) -> str:
    return f"that of {escaped(suite['ceiling'])}" if suite.get("ceiling") else "1"
