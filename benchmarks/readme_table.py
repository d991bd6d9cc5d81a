"""README's table: the rows over several tasks of leaderboard/index.md, with links as README needs them. Prints markdown."""

from __future__ import annotations

import sys
from pathlib import Path


def across_tasks(index: str) -> list[str]:
    """The lines of the page's first table. index: leaderboard/index.md."""
    lines = index.split("## All boards")[0].splitlines()
    return [line.replace("](../", "](") for line in lines if line.startswith("|")]


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "leaderboard")
    print("\n".join(across_tasks((folder / "index.md").read_text())))
