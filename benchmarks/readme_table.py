"""README's table: all rows over several tasks of leaderboard/index.md, in one table. Prints markdown."""

from __future__ import annotations

import re
import sys
from pathlib import Path

SECTION = re.compile(r"^## (?:No group labels used|Group labels used: (?P<labels>.*))$", re.MULTILINE)


def across_tasks(index: str) -> list[str]:
    """The tables of the page's sections as one, whose second column says whose group labels a row used.

    index: leaderboard/index.md. Links are of README's folder.
    """
    parts = SECTION.split(index.split("## All boards")[0])
    lines: list[str] = []
    for labels, part in zip(parts[1::2], parts[2::2], strict=True):
        table = [line for line in part.splitlines() if line.startswith("|")]
        head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
        lines += [] if lines else [_row(head, "labels"), "|---" * (len(head) + 1) + "|"]
        lines += [_row(cells, labels or "none") for cells in rows]
    return lines


def _row(cells: list[str], labels: str) -> str:
    method, *numbers = cells
    return f"| {' | '.join([method.replace('](../', ']('), labels, *numbers])} |"


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "leaderboard")
    print("\n".join(across_tasks((folder / "index.md").read_text())))
