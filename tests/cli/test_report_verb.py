"""The verb `report`: one file of published or own records, and one line for every mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import LEADERBOARD

PUBLISHED = ("--records", str(LEADERBOARD))
SMALL = ("rest-table2-short", "critical-finetuning")
"""Two published suites of few records."""


def told(path: Path) -> list[str]:
    document = path.read_text().split('id="document">')[1].split("</script")[0]
    return [one["head"]["suite"] for one in json.loads(document)["suites"]]


@pytest.mark.slow  # it builds their data sets
def test_a_report_of_published_suites(cli, tmp_path: Path):
    done = cli(
        *("report", *SMALL, SMALL[0], *PUBLISHED),
        *("-o", "two.html"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert told(tmp_path / "two.html") == list(SMALL)
    assert done.stdout.startswith("two.html: ")
    assert done.stdout.count("\n") == 1


@pytest.mark.slow
def test_a_report_of_a_results_folder(cli, tmp_path: Path, smoke: Path):
    done = cli("report", "smoke", "--out", str(smoke), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert told(tmp_path / "report.html") == ["smoke"]


@pytest.mark.slow
def test_a_report_of_a_limited_run_is_of_that_run(cli, tmp_path: Path):
    """What the folder's last run was of is recalled, as the leaderboard does; --all looks for the whole suite."""
    run = cli("run", "-s", "smoke", "--limit", "40", "-m", "erm", "-m", "magnitude", "-q", "-j", "1", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    done = cli("report", "smoke", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "as the last run in results: " in done.stderr
    document = json.loads((tmp_path / "report.html").read_text().split('id="document">')[1].split("</script")[0])
    (suite,) = document["suites"]
    assert suite["head"]["limit"] == 40
    assert {row["method"] for row in suite["board"]["rows"]} == {"erm", "magnitude"}
    assert all("--limit 40" in row["command"] and row["reproduces"] for row in suite["board"]["rows"])
    assert cli("report", "smoke", "--all", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch"], "unknown suite 'nosuch'"),
        (["nosuch", *PUBLISHED], "has no records of suite 'nosuch' (known: contrastive, "),
        (["smoke", "--records", "absent"], "absent has no records of suite 'smoke' (known: none)"),
        (["smoke"], "has no current records of suite 'smoke': `benchbias run --suite smoke` makes them"),
        (["smoke", "-o", "report.pdf"], "-o report.pdf: the file's name must end in .html"),
        ([SMALL[0], *PUBLISHED, "-o", "absent/report.html"], "-o absent/report.html: there is no folder absent"),
        (["smoke", "--plugin", "absent.py"], "absent.py"),
        ([], "Missing argument 'SUITE...'"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_writes_nothing(cli, tmp_path: Path, arguments: list[str], message: str):
    done = cli("report", *arguments, cwd=tmp_path)
    assert done.returncode in (2, 4)
    assert message in done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("reading plugins")]
    assert len(lines) == 1
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
