"""An audit written: to the terminal, and into the files that were asked for."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchbias.auditing.before.discover import discovery_text
from benchbias.auditing.pages.changes import changes
from benchbias.auditing.pages.document import dumps, loads
from benchbias.auditing.pages.exits import exit_code, undecided_warning
from benchbias.auditing.pages.flips import flips_table
from benchbias.auditing.pages.gallery import gathered
from benchbias.auditing.pages.html import html
from benchbias.auditing.pages.markdown import markdown
from benchbias.auditing.pages.text import text
from benchbias.auditing.values import Answers, Audit
from benchbias.cli.auditing.files import STANDARD_OUTPUT, write, written_on
from benchbias.cli.auditing.options import Asked
from benchbias.errors import BenchbiasError, plain, printable

WIDTH = 100  # of what is written to no terminal


def tell(asked: Asked, audit: Audit, runs: Sequence[Answers]) -> int:
    """Write the files, print the audit, and give the exit code. runs: the answers, one for each training run.

    Where one of the files is standard output, nothing else is printed there.
    """
    code = exit_code(audit, fail_if=asked.fail_if, undecided=asked.undecided)
    flips = None if asked.flips in (None, STANDARD_OUTPUT) else str(asked.flips)
    changed = _changes(asked.json_file, audit)
    if asked.flips is not None:
        write(asked.flips, _flips(runs, audit))
    if asked.json_file is not None:
        write(asked.json_file, dumps(audit))
    if asked.html is not None:
        albums = gathered(runs[0], audit) if len(runs) == 1 else ()
        write(asked.html, html(audit, albums, code=code, changed=changed, flips=flips))
    if asked.markdown is not None:  # last, for it says the exit code: no other file has failed
        write(asked.markdown, markdown(audit, code=code, changed=changed, flips=flips))
    if STANDARD_OUTPUT not in (asked.flips, asked.json_file, asked.markdown, asked.html):
        print(printable(text(audit, width=_width(), all_groups=asked.all_groups, code=code, flips=flips)), end="")
        if audit.discovery is not None:
            print(printable("\n" + discovery_text(audit.discovery)), end="")
    warning = undecided_warning(audit, fail_if=asked.fail_if, undecided=asked.undecided)
    for line in (*changed, *([warning] if warning else [])):
        print(f"benchbias: {plain(line)}", file=sys.stderr)
    return code


def _width() -> int:
    return shutil.get_terminal_size((WIDTH, 24)).columns


def _changes(path: Path | None, audit: Audit) -> list[str]:
    """Sentences on the settings and test set that differ from those of the audit that the file holds."""
    if path is None or written_on(path) or not path.is_file():
        return []
    try:
        return changes(loads(path.read_bytes(), str(path)), audit)
    except BenchbiasError as error:
        return [f"the older audit cannot be compared with: {error}"]


def _flips(runs: Sequence[Answers], audit: Audit) -> str:
    """The table of changed answers, that of every training run below the other, with its number in a first column."""
    if len(runs) == 1:
        return flips_table(runs[0], audit)
    tables = [flips_table(answers, audit, str(number)) for number, answers in enumerate(runs, 1)]
    return tables[0] + "".join(table.partition("\n")[2] for table in tables[1:])
