"""Publishing adds and replaces: what a folder has stays, and its board is of all of it, unless it is told to go."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchbias.errors import UsageError
from benchbias.runner.merging import DATE, date_of
from support.running import SMOKE_TRIALS

Cli = Callable[..., subprocess.CompletedProcess[str]]
Change = Callable[[dict[str, Any]], None]

RECORDS = Path("records", "smoke")


@pytest.fixture
def public(smoke: Path, tmp_path: Path, cli: Cli) -> Path:
    """A folder with the whole suite."""
    done = publish(cli, smoke, tmp_path, tmp_path / "public")
    assert done.returncode == 0, done.stderr
    return tmp_path / "public"


def publish(cli: Cli, source: Path, folder: Path, public: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Publish a copy of results, whose board is derived and may be written."""
    out = folder / "copy"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(source, out)
    return cli("leaderboard", "smoke", "-o", str(out), "--publish", str(public), *more, cwd=folder)


def subset(smoke: Path, folder: Path, method: str) -> Path:
    """Results that have only the records of one method."""
    out = folder / "few"
    shutil.copytree(smoke, out)
    for path in (out / RECORDS).glob("*.json"):
        if body_of(path)["method"] != method:
            path.unlink()
    return out


def body_of(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())["body"]


def change(path: Path, how: Change) -> None:
    document = json.loads(path.read_text())
    how(document)
    path.write_text(json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_results_of_a_few_trials_leave_all_others_and_the_board_of_all(
    public: Path, smoke: Path, tmp_path: Path, cli: Cli
):
    before = files(public)
    done = publish(cli, subset(smoke, tmp_path, "random"), tmp_path, public)
    assert done.returncode == 0
    assert files(public) == before
    assert done.stdout.encode() == before["smoke.md"]
    assert done.stderr.splitlines() == [
        f"0 records added, 2 were there (0 with another body), {SMOKE_TRIALS - 2} others stay"
    ]


def test_what_is_new_is_added_and_the_board_shows_it(public: Path, smoke: Path, tmp_path: Path, cli: Cli):
    whole = files(public)
    for path in (public / RECORDS).glob("*.json"):
        if body_of(path)["method"] == "random":
            path.unlink()
    done = publish(cli, subset(smoke, tmp_path, "random"), tmp_path, public)
    assert "2 records added" in done.stderr
    assert files(public) == whole


def test_another_body_of_a_published_trial_is_told_and_replaced(public: Path, smoke: Path, tmp_path: Path, cli: Cli):
    whole = files(public)
    path = next(path for path in (public / RECORDS).glob("*.json") if body_of(path)["method"] == "erm")
    change(path, lambda document: document["body"].update(settings_from="paper"))
    seed = body_of(path)["seed"]
    done = publish(cli, smoke, tmp_path, public)
    assert done.returncode == 0
    assert f"replaces colored-digits-tiny/erm/{seed} ({path.stem[:12]}): the published body is another" in done.stderr
    assert f"{SMOKE_TRIALS} were there (1 with another body)" in done.stderr
    assert files(public) == whole


def test_measurements_are_no_body(public: Path, smoke: Path, tmp_path: Path, cli: Cli):
    for path in (public / RECORDS).glob("*.json"):
        change(path, lambda document: document["measured"].update(seconds=1e6))
    done = publish(cli, smoke, tmp_path, public)
    assert "replaces" not in done.stderr
    assert "(0 with another body)" in done.stderr


def test_replace_removes_the_others_after_it_has_named_each(public: Path, smoke: Path, tmp_path: Path, cli: Cli):
    others = {path.name for path in (public / RECORDS).glob("*.json") if body_of(path)["method"] != "random"}
    (public / RECORDS / "notes.txt").write_text("mine")
    (public / RECORDS / "._shadow.json").write_text("of another program")
    done = publish(cli, subset(smoke, tmp_path, "random"), tmp_path, public, "--replace")
    assert done.returncode == 0
    told = [line for line in done.stderr.splitlines() if line.startswith("removes ")]
    assert {Path(line.split()[1]).name for line in told} == others
    assert any("(colored-digits-tiny/erm/0)" in line for line in told)
    left = {path.name for path in (public / RECORDS).glob("*.json")} - {"._shadow.json"}
    assert len(left) == 2
    assert (public / RECORDS / "._shadow.json").is_file()
    assert not left & others
    assert (public / RECORDS / "notes.txt").read_text() == "mine"
    assert "| jtt" not in (public / "smoke.md").read_text()
    assert done.stdout == (public / "smoke.md").read_text()


def test_replace_without_publish_is_a_mistake(smoke: Path, tmp_path: Path, cli: Cli):
    done = cli("leaderboard", "smoke", "-o", str(tmp_path / "none"), "--replace", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def set_version(document: dict[str, Any]) -> None:
    document["body"]["suite"]["version"] = "0.0"


def spoil_layout(document: dict[str, Any]) -> None:
    document["body"]["correct"]["layout"] = "0" * 64


def set_schema(document: dict[str, Any]) -> None:
    document["schema"] = 2


@pytest.mark.parametrize(
    ("how", "said"),
    [
        pytest.param(set_version, "version 0.0", id="of another version of the suite"),
        pytest.param(spoil_layout, "", id="of a layout that is not there", marks=pytest.mark.slow),
        pytest.param(set_schema, "newer benchbias", id="of a newer benchbias", marks=pytest.mark.slow),
        pytest.param(lambda document: document.pop("body"), "not a record", id="no record", marks=pytest.mark.slow),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    public: Path, smoke: Path, tmp_path: Path, cli: Cli, how: Change, said: str
):
    for path in (public / RECORDS).glob("*.json"):
        change(path, how)
    before = files(public)
    done = publish(cli, subset(smoke, tmp_path, "random"), tmp_path, public)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert said in done.stderr
    assert files(public) == before
    done = publish(cli, tmp_path / "few", tmp_path, public, "--replace")
    if how is set_schema:  # what a newer benchbias has made goes under no option of this one
        assert (done.returncode, files(public)) == (2, before)
    else:
        assert done.returncode == 0
        assert len(list((public / RECORDS).glob("*.json"))) == 2


def test_older_seeds_of_a_row_that_other_code_has_made_are_told(public: Path, smoke: Path, tmp_path: Path, cli: Cli):
    few = subset(smoke, tmp_path, "random")
    for path in (few / RECORDS).glob("*.json"):
        if body_of(path)["seed"] == 1:
            path.unlink()
    done = publish(cli, few, tmp_path, public)
    assert "older seeds" not in done.stderr
    for path in (public / RECORDS).glob("*.json"):
        change(path, lambda document: document["measured"].update(code=["benchbias 0.0.1"]))
    done = publish(cli, few, tmp_path, public)
    (line,) = [line for line in done.stderr.splitlines() if "older seeds" in line] or [done.stderr]
    assert line.endswith(": colored-digits-tiny/random[sparsity=0.5]")


@pytest.mark.parametrize("name", ["records", "smoke.md", "layout"])
def test_a_folder_that_cannot_be_written_is_one_line(public: Path, smoke: Path, tmp_path: Path, cli: Cli, name: str):
    """A pipe, or a folder, in the place of a file."""
    if name == "records":
        shutil.rmtree(public / "records")
        (public / "records").write_text("a file")
    elif name == "smoke.md":
        (public / "smoke.md").unlink()
        (public / "smoke.md").mkdir()
    else:
        layout = next((public / RECORDS / "test").iterdir())
        layout.unlink()
        os.mkfifo(layout)
    done = publish(cli, smoke, tmp_path, public)
    assert (done.returncode in (2, 4), done.stdout) == (True, "")
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("benchbias:")]) == 1


def test_a_run_of_a_part_keeps_the_records_of_analyses_that_are_not_its_own(smoke: Path, tmp_path: Path, cli: Cli):
    out = tmp_path / "results"
    shutil.copytree(smoke, out)
    (out / RECORDS / "analyses").mkdir()
    (out / RECORDS / "analyses" / "colored-digits-tiny+mine.json").write_text("{}")
    before = files(out / "records")
    done = cli("run", "-s", "smoke", "-m", "erm", "--seeds", "1", "-o", str(out), "-q", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert files(out / "records") == before


def test_the_day_of_a_published_folder_is_read_or_told_to_be_damaged(tmp_path: Path):
    assert date_of(tmp_path) is None
    path = tmp_path / DATE
    path.write_text("2026-01-31\n")
    assert date_of(tmp_path) == "2026-01-31"
    for text in ("", "soon\n", "2026-02-30\n", "2026-1-3", "20260131", "2026-01-31\n\n", "\u0662026-01-31", "x" * 200):
        path.write_text(text)
        with pytest.raises(UsageError, match=r"published\.txt: "):
            date_of(tmp_path)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(UsageError, match=r"published\.txt: cannot be read: it is a link"):
        date_of(tmp_path)
