"""One part measured in this process: a JSON line a row, written as soon as it is known."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from .rows import Absent, Row, Setting

Rows = Callable[[Setting], Iterator[Row]]


def measured(title: str, rows: Rows, setting: Setting) -> Iterator[Row]:
    """The rows of a part. One that cannot go on ends with a row that says why, and the other parts go on."""
    try:
        yield from rows(setting)
    except Absent as reason:
        yield Row(title, note=str(reason))
    except Exception as error:
        traceback.print_exc()
        first = (str(error).strip().splitlines() or [""])[0]
        yield Row(title, note=f"failed: {type(error).__name__}: {first}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part")
    parser.add_argument("title")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--against", default="")
    parser.add_argument("--to", type=Path, required=True)
    given = parser.parse_args()
    rows = importlib.import_module(f"{__package__}.{given.part}").rows
    with given.to.open("w", encoding="utf-8") as file:
        for row in measured(given.title, rows, Setting(given.rounds, given.quick, given.against)):
            print(json.dumps(row.to_json()), file=file, flush=True)
    sys.exit(0)


if __name__ == "__main__":
    main()
