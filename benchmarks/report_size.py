"""Seconds and bytes of a report of invented trials: 20 tasks, each of rows x seeds trials with 80 test cells."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from benchbias.report.making import write_report
from support.made_reports import large_source


def main() -> None:
    """Print a line for the document and page of 1,000 trials."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    source = large_source()
    with tempfile.TemporaryDirectory() as folder:
        before, used = time.perf_counter(), time.process_time()
        size = write_report([source], Path(folder) / "report.html")
        wall, used = time.perf_counter() - before, time.process_time() - used
    print(f"{len(source.records):,} trials: {wall:.1f} s of wall clock, {used:.1f} s of CPU, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
