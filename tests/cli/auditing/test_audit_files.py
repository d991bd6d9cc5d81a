"""The files that `benchbias audit` writes: never over what it reads or over each other; pipes, devices, `-`."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]

BOTH = ("--dense", "dense", "--compressed", "int8")
BENCHBIAS = f"{shlex.quote(sys.executable)} -m benchbias"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with answers.csv: 400 examples, of which int8 loses 50, with further inputs."""
    rows = ["id,label,sex,dense,int8,dense2,int4"]
    for at in range(400):
        label = at % 4 // 2
        rows.append(
            f"{at},{label},{'mf'[at % 2]},{label},{1 - label if at % 2 and at < 100 else label},{label},{label}"
        )
    (tmp_path / "answers.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "other.csv").write_text("id,age\n" + "".join(f"{at},{at % 3}\n" for at in range(400)))
    (tmp_path / "classes.txt").write_text("no\nyes\n")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--json", "answers.csv"), "--json answers.csv is read by the audit"),
        (("--html", "./sub/../answers.csv"), "is read by the audit"),
        (("--flips", "link.csv"), "is read by the audit"),
        (("--id", "id", "--join", "other.csv", "--markdown", "other.csv"), "is read by --join"),
        (("--classes", "classes.txt", "--html", "classes.txt"), "is read by --classes"),
        (("--json", "a.json", "--html", "./a.json"), "--json and --html are the same file"),
        (("--markdown", "new.md", "--flips", "new-link.md"), "--markdown and --flips are the same file"),
    ],
)
def test_an_output_that_is_an_input_or_another_output_is_refused_before_anything_is_read(
    cli: Cli, folder: Path, options: tuple[str, ...], told: str
):
    (folder / "sub").mkdir()
    (folder / "link.csv").symlink_to("answers.csv")
    (folder / "new-link.md").symlink_to("new.md")
    before = contents(folder)
    done = cli("audit", "answers.csv", *BOTH, "--attribute", "no such column", *options, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert told in done.stderr
    assert contents(folder) == before


@pytest.mark.parametrize("output", ["net.py", "dense.pt", "small.pt", "labels.csv"])
def test_files_of_models_are_inputs(cli: Cli, folder: Path, output: str):
    for name in ("net.py", "dense.pt", "small.pt", "labels.csv"):
        (folder / name).write_text(name)
    models = ("--model", "net.py:net", "--dense", "dense.pt", "--compressed", "small.pt=net.py:net")
    images = ("--data", "images", "--table", "labels.csv")
    done = cli("audit", *models, *images, "--html", output, cwd=folder)
    assert done.returncode == 2
    assert f"--html {output} is read by" in done.stderr
    assert (folder / output).read_text() == output


def test_a_plan_is_written_over_a_plan_and_over_nothing_else(cli: Cli, folder: Path):
    plan = ("audit", "plan", "--table", "answers.csv", "--attribute", "sex")
    for _ in range(2):
        assert cli(*plan, "--json", "plan.json", cwd=folder).returncode == 0
    assert json.loads((folder / "plan.json").read_text())["groups"]
    assert cli("audit", "answers.csv", *BOTH, "--json", "audit.json", cwd=folder).returncode == 3
    (folder / "notes.txt").write_text("mine")
    before = contents(folder)
    for name in ("audit.json", "notes.txt", "answers.csv"):
        done = cli(*plan, "--json", name, cwd=folder)
        assert (done.returncode, done.stdout) == (2, ""), name
        assert len(done.stderr.splitlines()) == 1
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("option", "start"), [("--json", "{"), ("--markdown", "<!--"), ("--html", "<!DOCTYPE"), ("--flips", "id,label,")]
)
def test_one_file_may_be_standard_output_which_then_has_nothing_else(cli: Cli, folder: Path, option: str, start: str):
    command = ("audit", "answers.csv", *BOTH)
    assert cli(*command, option, "file", cwd=folder).returncode == 3
    done = cli(*command, option, "-", cwd=folder)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.startswith(start)
    assert done.stdout == (folder / "file").read_text()
    assert not (folder / "-").exists()


def test_a_loop_of_links_is_one_line(cli: Cli, folder: Path):
    (folder / "loop").symlink_to("loop")
    for name in ("loop", "loop/a.json"):
        done = cli("audit", "answers.csv", *BOTH, "--json", name, cwd=folder)
        assert (done.returncode, len(done.stderr.splitlines())) == (4, 1), done.stderr
        assert f"cannot write {name}" in done.stderr
    assert (folder / "loop").is_symlink()


def shell(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of bash; BENCHBIAS in it is the program with the arguments of an audit."""
    program = f"{BENCHBIAS} audit answers.csv {shlex.join(BOTH)}"
    return subprocess.run(
        ["bash", "-c", command.replace("BENCHBIAS", program)], cwd=folder, capture_output=True, text=True, check=False
    )


def test_pipes_and_open_files_are_written_on(folder: Path):
    piped = shell(folder, "BENCHBIAS --json /dev/stdout | cat; exit ${PIPESTATUS[0]}")
    assert (piped.returncode, piped.stderr) == (3, "")
    found, end = json.JSONDecoder().raw_decode(piped.stdout)
    assert found["verdict"] == "harmed"
    assert piped.stdout[end:].strip().startswith("HARMED")
    kept = shell(folder, "BENCHBIAS --json /dev/fd/1 > both.txt")
    assert (kept.returncode, kept.stderr) == (3, "")
    assert (folder / "both.txt").read_text() == piped.stdout
    counted = shell(folder, "BENCHBIAS --json >(wc -c > size.txt) > /dev/null; code=$?; wait $!; exit $code")
    assert (counted.returncode, counted.stderr) == (3, "")
    assert int((folder / "size.txt").read_text()) == len(piped.stdout[:end].encode()) + 1
    gone = shell(folder, "BENCHBIAS --html >(true) > /dev/null")
    assert (gone.returncode, gone.stderr) == (3, "")
    assert shell(folder, "BENCHBIAS --json /dev/null --html /dev/null").returncode == 3


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device is always full here")  # noqa: PTH110
@pytest.mark.parametrize("where", ["> /dev/full", ">&-"])
@pytest.mark.parametrize("options", ["", "--margin 0.1 --compressed int4", "--json - "])
def test_a_verdict_that_could_not_be_printed_ends_with_4(folder: Path, where: str, options: str):
    done = shell(folder, f"BENCHBIAS {options} --html page.html {where}")
    assert done.returncode == 4, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "standard output" in done.stderr
    assert (folder / "page.html").stat().st_size
    full = shell(folder, "BENCHBIAS --json /dev/full")
    assert (full.returncode, full.stdout) == (4, "")


def test_the_changed_answers_of_every_run_have_its_number(cli: Cli, folder: Path):
    pairs = ("--dense", "dense2", "--compressed", "int4", "--dense", "dense", "--compressed", "int8")
    done = cli("audit", "answers.csv", "--id", "id", *pairs, "--flips", "-", cwd=folder)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == 50
    assert {row["run"] for row in rows} == {"2"}
