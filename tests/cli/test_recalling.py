"""`status` and `leaderboard` look at what the folder's last run was of, say so, and never load code for it.

Each call is a process: most are slow ones.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from benchbias.cli.folders.recalling import recalled_plan
from benchbias.plan.remembered import remembered_file
from benchbias.runner.workspace import Workspace
from support import ROOT
from support.loose_plugins import LARGEST

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def out(smoke: Path, cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with all of smoke, whose last run was of two methods."""
    folder = Path(shutil.copytree(smoke, tmp_path_factory.mktemp("recalling") / "out"))
    done = cli("run", "-s", "smoke", "-m", "erm", "-m", "jtt", "--seeds", "1", "-o", str(folder), "-q")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copied(out: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(out, tmp_path / "out"))


def counted(told: str) -> str:
    return told.splitlines()[0].rpartition(": ")[2]


TAKEN = "-m erm -m jtt --seeds 1 (--all: the whole suite)"


def test_status_is_of_the_last_run_and_says_so(cli: Cli, out: Path):
    told = cli("status", "-s", "smoke", "-o", str(out))
    assert counted(told.stdout) == "2 done"
    assert told.stderr.splitlines() == [f"as the last run in {out}: {TAKEN}"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--all",), "16 done"),
        (("-m", "erm"), "2 done"),
        (("--seeds", "2"), "16 done"),
        (("--seed", "1"), "8 done"),
        (("-t", "colored-digits-tiny"), "16 done"),
        (("--limit", "40"), "16 missing"),
        (("--set", "recipe.epochs=3"), "16 missing"),
        (("--device", "cpu"), "16 done"),
    ],
)
def test_an_option_replaces_what_is_remembered(cli: Cli, out: Path, options: tuple[str, ...], count: str):
    told = cli("status", "-s", "smoke", "-o", str(out), *options)
    assert counted(told.stdout) == count
    assert "as the last run" not in told.stderr


@pytest.mark.slow
def test_all_and_a_part_is_a_mistake(cli: Cli, out: Path):
    told = cli("status", "-s", "smoke", "-o", str(out), "--all", "-m", "erm")
    assert (told.returncode, told.stdout) == (2, "")
    assert len(told.stderr.splitlines()) == 1


@pytest.mark.slow
def test_the_leaderboard_shows_the_bytes_that_the_run_showed(cli: Cli, copied: Path):
    ran = cli("run", "-s", "smoke", "-m", "erm", "--seeds", "2", "-o", str(copied))
    read = cli("leaderboard", "smoke", "-o", str(copied))
    assert read.stdout == ran.stdout == (copied / "leaderboards/smoke.md").read_text()
    assert "-m erm --seeds 2 (--all" in read.stderr


@pytest.mark.slow
def test_a_limited_run_is_remembered_and_has_a_board_of_its_own(cli: Cli, copied: Path):
    ran = cli("run", "-s", "smoke", "-m", "erm", "--seeds", "1", "--limit", "40", "-o", str(copied))
    assert ran.returncode == 0, ran.stderr
    whole = (copied / "leaderboards/smoke.md").read_bytes()
    read = cli("leaderboard", "smoke", "-o", str(copied))
    assert read.stdout == ran.stdout == (copied / "leaderboards/smoke.limit-40.md").read_text()
    assert counted(cli("status", "-s", "smoke", "-o", str(copied)).stdout) == "1 done"
    assert (copied / "leaderboards/smoke.md").read_bytes() == whole


@pytest.mark.slow
def test_another_suite_and_another_folder_remember_nothing(cli: Cli, smoke: Path):
    path = remembered_file(smoke, "smoke")
    assert json.loads(path.read_text())["methods"] is None
    told = cli("status", "-s", "smoke", "-o", str(smoke))
    assert (counted(told.stdout), told.stderr) == ("16 done", "")


@pytest.mark.slow
def test_publishing_is_of_the_whole_suite(cli: Cli, out: Path, tmp_path: Path):
    told = cli("leaderboard", "smoke", "-o", str(out), "--publish", str(tmp_path / "public"))
    assert told.returncode == 0, told.stderr
    assert len(list((tmp_path / "public/records/smoke").glob("*.json"))) == 16
    assert "as the last run" not in told.stderr


DAMAGED = {
    "half": '{"schema": 1, "methods": ["erm"',
    "an unknown method": '{"schema": 1, "methods": ["no-such-method"]}',
    "a config that is gone": '{"schema": 1, "config": "/not/there.toml"}',
    "a config that is a device": '{"schema": 1, "config": "/dev/zero"}',
    "markup": '{"schema": 1, "methods": ["<b>\\u001b[31m"]}',
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", DAMAGED)
@pytest.mark.parametrize("verb", [("status", "-s", "smoke"), ("leaderboard", "smoke")])
def test_what_cannot_be_used_is_told_and_ignored(cli: Cli, copied: Path, kind: str, verb: tuple[str, ...]):
    remembered_file(copied, "smoke").write_text(DAMAGED[kind])
    told = cli(*verb, "-o", str(copied))
    assert told.returncode == 0
    (line,) = told.stderr.splitlines()
    assert line.startswith(f"what the last run in {copied} was of ")
    assert line.endswith("; this is the whole suite")
    assert line.isprintable()
    assert told.stdout == cli(*verb, "-o", str(copied), "--all").stdout


def test_a_plugin_that_is_remembered_is_told_and_not_loaded(cli: Cli, copied: Path, tmp_path: Path):
    trap = tmp_path / "trap.py"
    trap.write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\n{LARGEST}")
    text = json.dumps({"schema": 1, "methods": ["erm"], "seeds": 1, "plugins": [str(trap)]})
    remembered_file(copied, "smoke").write_text(text)
    for verb in (("status", "-s", "smoke"), ("leaderboard", "smoke")):
        told = cli(*verb, "-o", str(copied))
        first, second = told.stderr.splitlines()
        assert f"--plugin {trap}: a plugin is code, and is loaded only if you name it" in first
        assert "-m erm --seeds 1" in second
    assert not (tmp_path / "sprung").exists()
    told = cli("status", "-s", "smoke", "-o", str(copied), "--plugin", str(trap))
    assert "a plugin is code" not in told.stderr
    assert "-m erm --seeds 1" in told.stderr
    assert (tmp_path / "sprung").exists()


def test_a_pipe_that_is_remembered_as_config_is_never_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = remembered_file(tmp_path, "smoke")
    path.parent.mkdir()
    os.mkfifo(tmp_path / "pipe")
    path.write_text(json.dumps({"schema": 1, "config": str(tmp_path / "pipe")}))
    plan, last = recalled_plan("smoke", tmp_path, lambda config, data: Workspace.open(config, data=data))
    assert (len(plan.trials), last) == (16, None)
    assert "pipe: is not a plain file; this is the whole suite" in capsys.readouterr().err


@pytest.mark.slow
def test_a_config_is_remembered_and_one_that_is_given_counts(cli: Cli, copied: Path, tmp_path: Path):
    head = 'schema = 1\n[suites.smoke]\ntitle = "Mine"\nversion = "7"\ntasks = ["colored-digits-tiny"]\n'
    text = head + 'methods = ["erm"]\nseeds = 1\nmetrics = ["accuracy", "worst_group_accuracy"]\n'
    text += 'rank_by = "worst_group_accuracy"\n'
    own = tmp_path / "own.toml"
    own.write_text(text)
    remembered_file(copied, "smoke").write_text(json.dumps({"schema": 1, "config": str(own)}))
    told = cli("status", "-s", "smoke", "-o", str(copied), "--json")
    found = json.loads(told.stdout)
    assert (found["version"], len(found["trials"])) == ("7", 1)
    assert f"--config {own}" in told.stderr
    own.write_text(text.replace('"7"', '"8"'))
    told = cli("status", "-s", "smoke", "-o", str(copied), "--json", "--config", str(own))
    assert json.loads(told.stdout)["version"] == "8"
    assert told.stderr == ""


@pytest.mark.slow
def test_status_as_json_has_all_that_the_text_has(cli: Cli, copied: Path):
    records = sorted((copied / "records/smoke").glob("*.json"))
    first = json.loads(records[0].read_text())["body"]
    shutil.rmtree(copied / "objects" / first["stages"][-1][:2])
    told = cli("status", "-s", "smoke", "-o", str(copied), "--json", "--all")
    found = json.loads(told.stdout)
    text = cli("status", "-s", "smoke", "-o", str(copied), "--all").stdout
    assert list(found) == [
        *("schema", "suite", "version", "folder", "remembered", "counts", "trials", "analyses"),
        *("stale", "conflicts", "damaged"),
    ]
    assert (found["schema"], found["suite"], found["folder"], found["remembered"]) == (1, "smoke", str(copied), None)
    assert found["counts"]["missing"] >= 1
    assert sum(found["counts"].values()) == len(found["trials"]) == 16
    said = ", ".join(sorted(f"{count} {state}" for state, count in found["counts"].items() if count))
    assert ", ".join(sorted(counted(text).split(", "))) == said
    for one in found["trials"]:
        label = f"{one['task']}/{one['row']}/{one['seed']}"
        shown = re.search(rf"^{one['trial'][:12]} +{one['state']} +{re.escape(label)}", text, re.MULTILINE)
        assert (shown is None) == (one["state"] == "done")


@pytest.mark.slow
def test_the_schema_of_status_is_the_one_that_the_page_has(cli: Cli, out: Path):
    page = (ROOT / "docs/results-folder.md").read_text().split("\n## The state as JSON\n")[1].split("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", page))
    found = json.loads(cli("status", "-s", "smoke", "-o", str(out), "--json").stdout)
    keys = {*found, *found["trials"][0], *found["counts"], *found["remembered"]}
    assert keys <= named


# the forms of a board


@pytest.mark.slow
def test_the_files_of_a_board_and_its_columns(cli: Cli, out: Path, tmp_path: Path):
    rows = {}
    for suffix in ("csv", "json", "tex", "html", "md"):
        path = tmp_path / f"board.{suffix}"
        told = cli("leaderboard", "smoke", "-o", str(out), "--to", str(path))
        assert (told.returncode, told.stdout) == (0, "")
        rows[suffix] = path.read_text()
    assert rows["md"] == cli("leaderboard", "smoke", "-o", str(out)).stdout
    assert [row["label"] for row in csv.DictReader(io.StringIO(rows["csv"]))] == [
        row["label"] for row in json.loads(rows["json"])
    ]
    told = cli("leaderboard", "smoke", "-o", str(out), "--columns", "label, gap,verdict")
    assert told.stdout.splitlines()[0].split() == ["|", "label", "|", "gap", "|", "verdict", "|"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--to", "x.pdf"), "must end in .md, .csv, .json, .tex, .html"),
        (("--columns", "gapp"), "unknown column 'gapp'; did you mean 'gap'?"),
        (("--columns", " , "), "--columns: name some"),
        (("--markdown", "--to", "x.csv"), "give one of them"),
        (("--to", "/not/there/x.csv"), "cannot write /not/there/x.csv"),
    ],
)
def test_a_mistake_is_one_line(cli: Cli, out: Path, options: tuple[str, ...], told: str):
    done = cli("leaderboard", "smoke", "-o", str(out), "--all", *options)
    assert done.returncode in (2, 4)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert told in done.stderr


@pytest.mark.slow
def test_a_published_folder_has_all_forms_too(cli: Cli, tmp_path: Path):
    folder = ROOT / "leaderboard"
    told = cli("leaderboard", "smoke-not-there", "--records", str(folder), "--to", str(tmp_path / "a.csv"))
    assert told.returncode == 2
    path = tmp_path / "a.csv"
    assert cli("leaderboard", "dominoes", "--records", str(folder), "--to", str(path)).returncode == 0
    assert {row["suite"] for row in csv.DictReader(io.StringIO(path.read_text()))} == {"dominoes"}
