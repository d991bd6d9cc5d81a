"""The sample pictures of the boards: one a task of the published suites, a row a class.

    python benchmarks/board_pictures.py leaderboard

Reads the tasks of leaderboard/records, writes leaderboard/pictures/TASK.png. Data are read from BENCHBIAS_DATA
(default: ./data); a task whose data cannot be had is left out and named, with exit code 1. One picture alone:
`benchbias show TASK --image leaderboard/pictures/TASK.png --by class --width 560`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from benchbias.errors import BenchbiasError
from benchbias.report.gathering.pictures import write_sheet
from benchbias.runner.publishing import published_records
from benchbias.runner.workspace import Workspace

WIDTH = 560  # pixels


def main() -> None:
    board = Path(sys.argv[1])
    workspace = Workspace.open(quiet=True, data=Path(os.environ.get("BENCHBIAS_DATA", "data")))
    (board / "pictures").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as results:
        drawn = [draw(workspace, task, board, Path(results)) for task in tasks(board)]
    sys.exit(not all(drawn))


def tasks(board: Path) -> list[str]:
    """The tasks of all published records, sorted."""
    suites = sorted(folder.name for folder in (board / "records").iterdir())
    return sorted({str(record.body["task"]) for suite in suites for record in published_records(suite, board)[0]})


def draw(workspace: Workspace, task: str, board: Path, results: Path) -> bool:
    """Draw one picture; False, and a line that says why, where it cannot be had."""
    path = board / "pictures" / f"{task}.png"
    try:
        write_sheet(workspace, task, path, results, "class", WIDTH)
    except BenchbiasError as error:
        print(f"{task}: left out: {error}")
        return False
    print(f"{path}: {path.stat().st_size} bytes")
    return True


if __name__ == "__main__":
    main()
