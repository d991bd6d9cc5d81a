"""The published tables of equal_fit, from the committed records alone: the analysis reads nothing else.

    python benchmarks/equal_fit_tables.py leaderboard

Writes the tables that have changed. The rest of a record, its machine and the key of its stage, stays that of the run
whose trials it compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchbias.records.analysis import AnalysisRecord, analysis_folder, read_analyses
from benchbias.records.population import Member, Population
from benchbias.runner.publishing import published_records
from benchbias.runner.workspace import Workspace
from benchbias.suite.catalogue import shipped_file
from benchbias_plugins.analyses.equal_fit import equal_fit


def anew(folder: Path) -> Iterator[tuple[Path, AnalysisRecord]]:
    """Every published record of equal_fit below a folder, with the table that today's code makes; and its file."""
    workspace = Workspace.open(shipped_file(), quiet=True)
    for records in sorted((folder / "records").iterdir()):
        for found in read_analyses(records):
            if found.name == "equal_fit":
                members = population(workspace, records.name, found.task, folder)
                table = equal_fit(members, **found.body["options"])
                made = AnalysisRecord({**found.body, "table": table.to_json()})
                yield analysis_folder(records) / found.file, made


def population(workspace: Workspace, suite: str, task: str, folder: Path) -> Population:
    """The trials of a task as the analysis stage orders them, without predictions."""
    known = {record.id: record for record in published_records(suite, folder)[0]}
    trials = [trial for trial in workspace.plan(suite).trials if trial.task == task]
    return Population(tuple(Member(t.method, dict(sorted(t.swept.items())), t.seed, known[t.id], {}) for t in trials))


def main() -> None:
    for path, made in anew(Path(sys.argv[1])):
        if path.read_text() != made.to_text():
            path.write_text(made.to_text())
            print(path)


if __name__ == "__main__":
    main()
