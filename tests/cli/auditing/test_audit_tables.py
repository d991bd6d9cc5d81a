"""`benchbias audit` on tables: what it prints, writes and ends with."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]

Rows = list[dict[str, Any]]


def rows(n: int = 600, lost: float = 0.15) -> Rows:
    """Two sexes, three labels; the compressed model loses 15 % of one sex."""
    generator = np.random.default_rng(0)
    found = []
    for number in range(n):
        label, sex = int(generator.integers(0, 3)), str(generator.choice(["f", "m"]))
        dense = label if generator.random() < 0.92 else (label + 1) % 3
        small = (label + 2) % 3 if sex == "f" and generator.random() < lost else dense
        found.append(
            {"id": f"i{number}", "label": label, "sex": sex, "age": str(number % 2), "dense": dense, "int8": small}
            | {"int4": dense, "dense2": dense, "copy": number // 2}
        )
    return found


def write(path: Path, table: Rows) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    return path


BOTH = ("--dense", "dense", "--compressed", "int8")


@pytest.fixture
def table(tmp_path: Path) -> str:
    return str(write(tmp_path / "answers.csv", rows()))


def test_a_harmed_group_ends_with_3_and_is_named(cli: Cli, table: str, tmp_path: Path):
    done = cli("audit", table, "--attribute", "sex", *BOTH, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.startswith("HARMED")
    assert "exit 3" in " ".join(done.stdout.partition("Overall")[0].split())
    assert 'Without "sex=f" no group is harmed' in done.stdout


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--compressed", "int4"), 0),
        (("--compressed", "int8"), 3),
        (("--compressed", "int4", "--compressed", "int8"), 3),
        (("--compressed", "int8", "--fail-if", "beyond"), 3),
        (("--compressed", "int8", "--margin", "20", "--fail-if", "beyond"), 0),
        (("--compressed", "int4", "--margin", "0.1"), 5),
        (("--compressed", "int4", "--margin", "0.1", "--undecided", "warn"), 0),
        (("--compressed", "int4", "--margin", "0.1", "--undecided", "pass"), 0),
        (("--compressed", "int4", "--margin", "0.1", "--fail-if", "undecided"), 3),
    ],
)
def test_exit_codes(cli: Cli, table: str, tmp_path: Path, options: tuple[str, ...], code: int):
    done = cli("audit", table, "--attribute", "sex", "--dense", "dense", *options, cwd=tmp_path)
    assert done.returncode == code, done.stdout + done.stderr
    assert f"exit {code}" in " ".join(done.stdout.partition("Overall")[0].split())
    assert bool(done.stderr) == ("warn" in options)


def test_the_order_of_rows_columns_and_options_changes_no_byte_of_the_json(cli: Cli, tmp_path: Path):
    table = rows()
    mixed = random.Random(1).sample(table, len(table))
    backwards = [dict(reversed(row.items())) for row in mixed]
    write(tmp_path / "one.csv", table)
    write(tmp_path / "other.csv", backwards)
    first = ("--attribute", "sex", "--attribute", "age", "--compressed", "int8", "--compressed", "int4")
    second = ("--attribute", "age", "--attribute", "sex", "--compressed", "int4", "--compressed", "int8")
    for cluster in ((), ("--cluster", "copy")):
        written = []
        for name, options in (("one", first), ("other", second)):
            out = tmp_path / f"{name}.json"
            done = cli("audit", f"{name}.csv", *options, "--dense", "dense", *cluster, "--json", str(out), cwd=tmp_path)
            assert done.returncode == 3, done.stderr
            written.append(out.read_bytes())
            out.unlink()
        assert written[0] == written[1]


def test_json_on_standard_output_is_the_document_alone(cli: Cli, table: str, tmp_path: Path):
    done = cli("audit", table, *BOTH, "--json", "-", cwd=tmp_path)
    assert json.loads(done.stdout)["verdict"] == "harmed"


def test_all_files_are_written(cli: Cli, table: str, tmp_path: Path):
    files = {"--json": "a.json", "--markdown": "out/a.md", "--html": "a.html", "--flips": "flips.csv"}
    options = [part for option, name in files.items() for part in (option, name)]
    done = cli("audit", table, "--id", "id", "--attribute", "sex", *BOTH, *options, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    with (tmp_path / "flips.csv").open(newline="") as file:
        flips = list(csv.DictReader(file))
    assert len(flips) == sum(row["dense"] != row["int8"] for row in rows())
    assert {row["sex"] for row in flips} == {"f"}
    assert "sex=f" in (tmp_path / "out/a.md").read_text()
    assert "<html" in (tmp_path / "a.html").read_text()


def test_a_difference_from_the_last_audit_is_told(cli: Cli, table: str, tmp_path: Path):
    cli("audit", table, *BOTH, "--json", "a.json", cwd=tmp_path)
    same = cli("audit", table, *BOTH, "--json", "a.json", cwd=tmp_path)
    assert same.stderr == ""
    other = cli("audit", table, *BOTH, "--json", "a.json", "--margin", "5", cwd=tmp_path)
    assert "margin" in other.stderr
    (tmp_path / "a.json").write_text("{}")
    spoilt = cli("audit", table, *BOTH, "--json", "a.json", cwd=tmp_path)
    assert spoilt.returncode == 3
    assert "cannot be compared with" in spoilt.stderr


def test_several_dense_models_are_training_runs(cli: Cli, table: str, tmp_path: Path):
    pairs = ("--dense", "dense", "--compressed", "int8", "--dense", "dense2", "--compressed", "int4")
    done = cli("audit", table, *pairs, cwd=tmp_path)
    assert "2 pairs of models" in done.stdout
    odd = cli("audit", table, "--dense", "dense", "--dense", "dense2", "--compressed", "int8", cwd=tmp_path)
    assert (odd.returncode, odd.stdout) == (2, "")
    assert "pairs" in odd.stderr


def test_labels_of_changed_answers_alone(cli: Cli, tmp_path: Path):
    full = rows()
    write(tmp_path / "bare.csv", [{name: value for name, value in row.items() if name != "label"} for row in full])
    options = ("audit", "bare.csv", "--id", "id", "--attribute", "sex", *BOTH, "--label-only-flips")
    first = cli(*options, "--to-label", "sheet.csv", cwd=tmp_path)
    assert first.returncode == 5, first.stderr
    assert "harm at most" in first.stdout
    with (tmp_path / "sheet.csv").open(newline="") as file:
        sheet = list(csv.DictReader(file))
    truth = {row["id"]: row["label"] for row in full}
    assert {row["id"] for row in sheet} == {row["id"] for row in full if row["dense"] != row["int8"]}
    again = cli(*options, "--to-label", "sheet.csv", cwd=tmp_path)
    assert again.returncode == 4, "a sheet that may hold labels is not written over"
    write(tmp_path / "filled.csv", [{"id": row["id"], "label": truth[row["id"]]} for row in sheet])
    done = cli(*options, "--labels", "filled.csv", "--json", "-", "--no-label-groups", cwd=tmp_path)
    write(tmp_path / "full.csv", full)
    whole = cli("audit", "full.csv", "--attribute", "sex", *BOTH, "--no-label-groups", "--json", "-", cwd=tmp_path)
    counts = [
        [(line["lost"], line["gained"], line["harm"]) for line in json.loads(each.stdout)["models"][0]["lines"]]
        for each in (done, whole)
    ]
    assert counts[0] == counts[1]
    assert done.returncode == whole.returncode == 3


def unlabelled(folder: Path, lost: float = 0.15) -> Rows:
    full = rows(lost=lost)
    write(folder / "bare.csv", [{name: value for name, value in row.items() if name != "label"} for row in full])
    return full


BARE = ("audit", "bare.csv", "--id", "id", "--attribute", "sex", *BOTH, "--label-only-flips")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 5),
        (("--undecided", "warn"), 0),
        (("--undecided", "pass"), 0),
        (("--fail-if", "undecided"), 3),
        (("--gate", "sex"), 0),
        (("--gate", "sex,label", "--undecided", "warn"), 0),
        (("--no-label-groups",), 0),
        (("--no-label-groups", "--margin", "0.1"), 5),
    ],
)
def test_without_labels_only_groups_that_need_none_can_pass(
    cli: Cli, tmp_path: Path, options: tuple[str, ...], code: int
):
    """Few answers change: all groups but those of labels, which nobody knows, are safe."""
    unlabelled(tmp_path, lost=0.002)
    done = cli(*BARE, *options, cwd=tmp_path)
    assert done.returncode == code, done.stdout + done.stderr
    passed = options in (("--gate", "sex"), ("--no-label-groups",))
    assert done.stdout.startswith("PASS" if passed else "UNDECIDED")
    assert f"exit {code}" in done.stdout
    assert ("--no-label-groups leaves them out" in done.stdout) == ("--no-label-groups" not in options and not passed)
    assert bool(done.stderr) == ("warn" in options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--json", "a.json"), "--json: labels are lacking for "),
        (("--markdown", "a.md", "--html", "a.html"), "--html and --markdown: labels are lacking"),
        (("--flips", "a.csv"), "--flips: labels are lacking"),
        (("--discover",), "--discover: labels"),
        (("--expect-accuracy", "90"), "--expect-accuracy: labels"),
        (("--allow", "low"), "unknown stop 'low'"),
        (("--gate", "age"), "unknown attribute 'age'"),
        (("--margin", "0"), "margin 0"),
        (("--to-label", "sheet.csv", "--labels", "bare.csv"), "give one of them"),
        (("--to-label", "s.csv", "--dense", "dense2", "--compressed", "int4"), "of one pair of models"),
    ],
)
def test_what_needs_labels_is_refused_without_them(cli: Cli, tmp_path: Path, options: tuple[str, ...], message: str):
    unlabelled(tmp_path)
    before = sorted(tmp_path.iterdir())
    done = cli(*BARE, *options, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_a_sheet_is_written_before_anything_is_printed_or_not_at_all(cli: Cli, table: str, tmp_path: Path):
    unlabelled(tmp_path)
    done = cli(*BARE, "--to-label", "new/sheet.csv", cwd=tmp_path)
    assert (tmp_path / "new" / "sheet.csv").is_file(), done.stderr
    again = cli(*BARE, "--to-label", "new/sheet.csv", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (4, "")
    assert "is there already, perhaps with labels" in again.stderr
    whole = cli(
        "audit",
        table,
        "--id",
        "id",
        *BOTH,
        "--label-only-flips",
        "--label",
        "label",
        "--to-label",
        "x.csv",
        cwd=tmp_path,
    )
    assert "x.csv is not written: every changed answer has a label already" in whole.stderr
    assert not (tmp_path / "x.csv").exists()


def test_of_many_groups_those_that_prevent_a_pass_come_first(cli: Cli, tmp_path: Path):
    unlabelled(tmp_path)
    many = (*BARE, "--attribute", "copy", "--depth", "1", "--margin", "20", "--gate", "sex")
    few, whole = (cli(*many, *more, cwd=tmp_path).stdout.splitlines() for more in ((), ("--all-groups",)))
    assert "273 groups are not shown; --all-groups shows each." in few
    assert not [line for line in whole if "not shown;" in line]
    assert len(whole) > 300 > len(few)
    assert "undecided, no pass needs it" in few[-8]
    gated = (*BARE, "--attribute", "copy", "--depth", "1", "--margin", "2", "--gate", "sex")
    first = cli(*gated, cwd=tmp_path).stdout.splitlines()[4]
    assert first.split()[1] == "sex=f"
    assert first.endswith("undecided")


def test_a_sheet_of_misspelt_labels_stops_unless_they_are_meant(cli: Cli, tmp_path: Path):
    full = unlabelled(tmp_path)
    changed = [row for row in full if row["dense"] != row["int8"]]
    write(tmp_path / "sheet.csv", [{"id": row["id"], "label": f"{row['label']}."} for row in changed])
    done = cli(*BARE, "--labels", "sheet.csv", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no model answers the labels '0.' (nearest: '0')" in done.stderr
    assert "--allow new-labels" in done.stderr
    meant = cli(*BARE, "--labels", "sheet.csv", "--allow", "new-labels", "--allow", "no-shared-classes", cwd=tmp_path)
    assert "no model answers the labels" in " ".join(meant.stdout.split()), meant.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "say what to audit: a table of answers"),
        (("answers.csv", "-s", "smoke"), "one audit is of a table or of a suite"),
        (("answers.csv", "--compressed", "int8"), "--dense is missing"),
        (("answers.csv", "--dense", "dense"), "--compressed is missing"),
        (("answers.csv", *BOTH, "--mean", "0"), "--mean goes with models, not with a table"),
        (("answers.csv", *BOTH, "-t", "x"), "--task goes with a suite, not with a table"),
        (("answers.csv", *BOTH, "--discordance", "0.1"), "--discordance goes with plan, not with a table"),
        (("answers.csv", *BOTH, "--to-label", "x.csv"), "go with --label-only-flips"),
        (("answers.csv", *BOTH, "--fail-if", "undecided", "--undecided", "warn"), "contradict each other"),
        (("answers.csv", *BOTH, "--json", "-", "--html", "-"), "--json and --html: one of them alone"),
        (("answers.csv", *BOTH, "--attribute", "sexx"), "did you mean 'sex'"),
        (("answers.csv", *BOTH, "--margin", "0"), "margin 0: in points"),
        (("answers.csv", *BOTH, "--level", "0.7"), "level 0.7"),
        (("answers.csv", *BOTH, "--depth", "0"), "depth 0"),
        (("answers.csv", *BOTH, "--allow", "low"), "unknown stop 'low'"),
        (("answers.csv", *BOTH, "--gate", ""), "one is empty"),
        (("answers.csv", *BOTH, "--gate", "sex,"), "one is empty"),
        (("answers.csv", *BOTH, "--expect-accuracy", "0.97"), "in percent, such as 97"),
        (("-s", "smoke", *BOTH, "--label", "x"), "--label goes with a table and models and plan, not with a suite"),
        (("nothing.csv", *BOTH), "nothing.csv"),
        (("answers.csv", *BOTH, "--label", ""), "--label is empty: name a column of answers.csv"),
        (("answers.csv", "--dense", " ", "--compressed", "int8"), "--dense is empty"),
        (("answers.csv", "--dense", "dense", "--compressed", "=int8"), "--compressed '=int8': write COLUMN, or NAME="),
        (("answers.csv", "--dense", "big=", "--compressed", "int8"), "--dense 'big=': write COLUMN, or NAME="),
        (("answers.csv", *BOTH, "--discover", "--feature", "label"), "--feature label is the label"),
        (("answers.csv", *BOTH, "--discover", "--feature", "dense"), "--feature dense is an answer of dense"),
        (("answers.csv", *BOTH, "--discover", "--feature", "int8"), "--feature int8 is an answer of int8"),
        (("answers.csv", *BOTH, "--discover", "--feature", "agee"), "unknown column (feature) 'agee'"),
        (("plan", "--table", "answers.csv", "--attribute", "sxe"), "unknown column (attribute) 'sxe'"),
        (("plan", "--table", "answers.csv", "--attribute", "sex", "--discordance", "0"), "above 0 and below 1"),
        (("plan", "--table", "answers.csv", "--attribute", "sex", "--discordance", "1.5"), "above 0 and below 1"),
        (("plan", "--table", "answers.csv", "--attribute", "sex", "--discordance", "nan"), "above 0 and below 1"),
        (("plan",), "--table is missing"),
        (("plan", "--table", "answers.csv"), "say which columns make groups"),
        (("--model", "resnet18", *BOTH), "--data is missing"),
    ],
)
def test_a_mistake_is_one_line(cli: Cli, table: str, tmp_path: Path, options: tuple[str, ...], message: str):
    done = cli("audit", *options, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr


def test_a_plan_says_what_could_be_decided(cli: Cli, table: str, tmp_path: Path):
    done = cli("audit", "plan", "--table", table, "--attribute", "sex", "--discordance", "0.02", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sex=f" in done.stdout
    data = cli("audit", "plan", "--table", table, "--attribute", "sex", "--json", "-", cwd=tmp_path)
    assert {group["name"] for group in json.loads(data.stdout)["groups"]} == {"all", "sex=f", "sex=m"}


def test_a_table_is_audited_without_torch(cli: Cli, table: str, tmp_path: Path):
    code = (
        "import sys; sys.argv = ['benchbias', *sys.argv[1:]]\n"
        "from benchbias.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('torch' in sys.modules, 'sklearn' in sys.modules, file=sys.stderr)\n"
    )
    files = ("--json", "a.json", "--markdown", "a.md", "--html", "a.html", "--flips", "f.csv")
    command = [sys.executable, "-c", code, "audit", table, *BOTH, *files]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stderr == "False False\n"
