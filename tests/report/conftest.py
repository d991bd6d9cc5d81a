"""Reports that the tests of this folder open, written once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchbias.report.making import write_report
from support import browser
from support.made_reports import hostile_source, large_source, made_source


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser.chromium() as found:
        yield found


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports by what they are of: an ordinary suite, a hostile one, both, of two seeds, of 1,000 trials."""
    folder = tmp_path_factory.mktemp("reports")
    of = {
        "made": [made_source()],
        "hostile": [hostile_source()],
        "both": [made_source(), hostile_source()],
        "few": [made_source(seeds=2)],
        "large": [large_source()],
    }
    for name, sources in of.items():
        write_report(sources, folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in of}
