"""What README and docs show works: the pruner, the TOML, every command, every file they point to."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchbias.board import comparing
from benchbias.board.marks import marks_of
from benchbias.board.text import gap_text
from benchbias.cli import app
from benchbias.records.analysis import read_analyses
from benchbias.records.row_name import as_row_name
from benchbias.runner.publishing import published_records, rebuild
from benchbias.runner.workspace import Workspace
from benchbias.statistics.estimates import MARGIN, Estimate, difference, equivalence_p_value
from benchbias.suite import tables
from benchbias.suite.catalogue import checked, load, shipped_file
from support import ROOT
from support.markdown import blocks, cells_of
from support.tiers import tiered

README = (ROOT / "README.md").read_text()
WRITING = (ROOT / "docs/writing-plugins.md").read_text()
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

BY_CI = (
    "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/benchbias run --suite spurious-small",
    "python3 -m venv .venv && .venv/bin/pip install --editable '.[test]' && "
    ".venv/bin/python -m pytest -n 2 --dist loadfile",
)
"""README's set-up commands. CI calls them itself, as they stand: they need a package index, and one runs this file.
Here they count by what they are made of: the wheel is built and works, an editable install too (test_packaging)."""


def test_the_pruner_in_twelve_lines_gets_its_row(tmp_path: Path, cli):
    part = WRITING.split("## A pruner in 12 lines")[1].split("\n## ")[0]
    (code,), (command,) = blocks(part, "python"), blocks(part, "sh")
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    (tmp_path / "largest.py").write_text(code)
    done = cli(*shlex.split(command)[1:], "-m", "magnitude", "--seeds", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "results/leaderboards/details/smoke.md").read_text().splitlines()
    rows = {line.split()[3]: line.split()[4:] for line in lines if line.startswith("| –") and "sparsity=0.5" in line}
    assert rows[r"largest\[sparsity=0.5\]"] == rows[r"magnitude\[sparsity=0.5\]"], "it is the same criterion"
    read = cli("leaderboard", "smoke", "--plugin", "largest.py", "--method", "largest", cwd=tmp_path)
    assert read.returncode == 0, read.stderr
    shown = {line for line in done.stdout.splitlines() if line.startswith("|") and "largest" in line}
    assert len(shown) == 2
    assert shown <= set(read.stdout.splitlines())


def readme_commands() -> list[str]:
    return [line for block in blocks(README, "sh") for line in block.splitlines()]


def test_every_block_of_the_readme_is_run_by_a_test_or_by_ci():
    fences = re.findall(r"^```(.*)$", README, re.MULTILINE)
    assert set(fences[::2]) == {"sh"}
    assert set(fences[1::2]) == {""}
    assert tuple(readme_commands()[:2]) == BY_CI
    assert [line.split()[1] for line in readme_commands()[2:]] == ["run", "audit", "new", "check"]  # the tests below


def test_the_readmes_two_methods_are_compared(tmp_path: Path, cli):
    command = readme_commands()[2].replace("spurious-small", "smoke")
    done = cli(*shlex.split(command)[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {"jtt", "erm"} <= {cells_of(line)[1].split()[0] for line in done.stdout.splitlines() if line[:1] == "|"}


def test_the_readmes_audit_gives_a_verdict(tmp_path: Path, cli):
    rows = [f"{n % 2},{'fm'[n % 3 == 0]},{n % 5},{n % 2},{(n + (n % 40 == 0)) % 2}" for n in range(600)]
    (tmp_path / "answers.csv").write_text("\n".join(["label,sex,age,dense,int8", *rows]))
    done = cli(*shlex.split(readme_commands()[3])[1:], cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "label=0" in (tmp_path / "audit.html").read_text()


def test_the_readmes_plugin_is_begun_and_keeps_its_contract(tmp_path: Path, cli):
    for command in readme_commands()[4:]:
        done = cli(*shlex.split(command)[1:], cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "benchbias-mine/pyproject.toml").is_file()


def test_the_readme_is_short_up_to_the_end_of_usage():
    assert README.splitlines().index("## More") <= 80
    doors = ["Try a method", "Audit my compressed model", "Read the results", "Write or submit a plugin", "More"]
    assert re.findall(r"^## (.*)$", README, re.MULTILINE) == doors


def test_the_documented_toml_plans(tmp_path: Path):
    config = tmp_path / "own.toml"
    config.write_text(blocks((ROOT / "docs/benchmarks-toml.md").read_text(), "toml")[0])
    plan = Workspace.open(config, quiet=True).plan("mine")
    assert {trial.row for trial in plan.trials} == {"erm", "erm-ft", "gentle[sparsity=0.3]"}


def test_the_recipe_page_names_every_recipe_key_and_every_table_key():
    page = (ROOT / "docs/benchmarks-toml.md").read_text()
    for table in (tables.Recipe, tables.SuiteTable, tables.TaskTable, tables.MethodTable):
        for key in table.model_fields:
            assert re.search(rf"`{key}\b", page), f"{table.__name__}.{key} is not documented"
    for key in (*tables.TRAIN_KEYS, *tables.PRUNE_KEYS, *tables.UPDATE_KEYS):
        assert f"`{key}`" in page or key in ("train", "prune"), f"stage key {key} is not documented"


def test_pages_list_every_command_every_shipped_method_and_every_suite():
    commands = (ROOT / "docs/commands.md").read_text()
    for command in app.registered_commands:
        name = command.name or command.callback.__name__
        assert f"`benchbias {name}" in commands, f"the command {name} is not on its page"
    catalogue = load(shipped_file())
    page = (ROOT / "docs/methods/README.md").read_text()
    first, further = (
        re.findall(r"^\| \[([a-z0-9-]+)\]\(", part, re.MULTILINE) for part in page.split("## Further methods")
    )
    assert set(first) == set(catalogue.suites["spurious-small"].methods)
    assert sorted([*first, *further]) == sorted(catalogue.methods)
    suites = (ROOT / "docs/suites/README.md").read_text()
    cells = [cells_of(line)[0] for line in suites.splitlines() if line.startswith("| ")]
    listed = {name for cell in cells for name in re.findall(r"[a-z][a-z0-9-]+", re.sub(r"\(.*?\)", "", cell))}
    assert listed - {"suite"} == catalogue.suites.keys() - {"smoke"}
    boards = set(re.findall(r"leaderboard/([a-z0-9-]+)\.md", suites))
    assert boards == {folder.name for folder in (ROOT / "leaderboard/records").iterdir()}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_to_files(page: Path):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), f"{page}: {target}"


def test_the_readme_has_the_two_commands_on_one_line_each():
    commands = [line for block in blocks(README, "sh") for line in block.splitlines() if "-m venv" in line]
    assert [("pytest" in line, "--suite spurious-small" in line) for line in commands] == [(False, True), (True, False)]
    assert commands[1] in (line for line in README.splitlines() if re.match(r"^python3 -m venv .*pytest", line))


def test_every_metric_that_a_data_card_names_is_there():
    known = {name for kind, name in Workspace.open(shipped_file(), quiet=True).registry.components if kind == "metric"}
    named = {
        (page.name, name)
        for page in (ROOT / "docs/data").glob("*.md")
        for name in re.findall(r"`(\w*accuracy\w*)`", page.read_text())
    }
    assert len(named) >= 3
    assert {name for _, name in named} <= known, sorted(one for one in named if one[1] not in known)


OTHERS = ("index", "claims", "claims-before")
PUBLISHED = sorted(folder.name for folder in (ROOT / "leaderboard/records").iterdir())
LONG = ("equal-fit-mnist", "prune-layers-spuco", "pruning-mnist", "spuco-mnist", "ucla-large")  # 10,000 test images
LONG += ("selective-damage", "recall-distortion")  # populations of thirty
LONG += ("contrastive", "dominoes", "equal-fit", "memorization", "named-variants", "prune-layers")


@pytest.mark.parametrize("name", tiered(PUBLISHED, slow=LONG))
def test_a_published_board_is_rebuilt_from_its_records_byte_for_byte(name: str):
    folder = ROOT / "leaderboard"
    files = rebuild(name, folder)
    assert set(files) == {f"{name}.md", f"details/{name}.md", f"data/{name}.csv", f"data/{name}.json"}
    assert [path for path, text in files.items() if text.encode() != (folder / path).read_bytes()] == []


def test_the_command_prints_a_published_board_and_its_details(cli):
    for option, name in ((), "rest-density.md"), (("--details",), "details/rest-density.md"):
        done = cli("leaderboard", "rest-density", "--records", str(ROOT / "leaderboard"), *option)
        assert done.returncode == 0, done.stderr
        assert done.stdout.encode() == (ROOT / "leaderboard" / name).read_bytes()


@pytest.mark.slow
def test_the_page_of_all_boards_is_written_anew_byte_for_byte(cli, tmp_path: Path):
    shutil.copytree(ROOT / "leaderboard", tmp_path / "leaderboard")
    shutil.copytree(ROOT / "docs/methods", tmp_path / "docs/methods")
    done = cli("leaderboard", "--records", str(tmp_path / "leaderboard"), "--write")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "leaderboard/index.md").read_bytes() == (ROOT / "leaderboard/index.md").read_bytes()


def test_every_suite_with_records_is_shipped_and_has_a_board_a_page_and_no_trial_that_is_not_planned():
    """A board without records could say anything; one of old rows or seeds would not be what the suite's table says."""
    workspace = Workspace.open(shipped_file(), quiet=True)
    assert {board.stem for board in (ROOT / "leaderboard").glob("*.md")} == {*PUBLISHED, *OTHERS}
    for name in PUBLISHED:
        assert (ROOT / f"docs/suites/{name}.md").is_file()
        records, _ = published_records(name, ROOT / "leaderboard")
        plan = workspace.plan(name)
        assert {record.id for record in records} == {trial.id for trial in plan.trials}
        probes = {tables.Use.of(item, name).name for item in workspace.catalogue.suites[name].probes}
        probed = workspace.catalogue.suites[name].probed or workspace.catalogue.suites[name].methods
        analyses = {tables.Use.of(item, name).name for item in workspace.catalogue.suites[name].analyses}
        made = read_analyses(ROOT / f"leaderboard/records/{name}")
        assert {(one.name, one.task) for one in made} == {(one, task) for one in analyses for task in plan.table.tasks}
        assert all(one.table is not None for one in made)
        for record in records:
            assert set(record.body.get("probes", {})) == (probes if record.body["method"] in probed else set())


def test_the_readmes_table_is_that_of_all_boards():
    """The same lines, but for the folder that links start from."""
    index = (ROOT / "leaderboard/index.md").read_text().split("## All boards")[0].replace("](../", "](")
    table = [line for line in index.splitlines() if line.startswith("|")]
    assert len(table) > 5
    assert "\n".join(table) in README, "README has the table of leaderboard/index.md, links from its own folder"


WORST, CONFLICTING = "worst_group_accuracy", "conflicting_accuracy"
VARIANTS = ("mrm", "rest", "rigl", "undecayed", "gradual-magnitude", "jtt", "disent", "dfr")
SHOWN = ["row", "other", "difference", "interval", "board", "marks", "what is compared"]


def reading_of(gap: Estimate) -> str:
    """Where the interval of a difference lies, looked at alone."""
    low, high = gap.interval()
    side = "above 0" if low > 0 else "below 0" if high < 0 else "includes 0"
    return side + (", equivalent within 3 points" if equivalence_p_value(gap, MARGIN) <= 0.05 else "")


def gaps_of_board(name: str) -> dict[tuple[str, str], str]:
    """(row, baseline) of every gap to a baseline of a board: whether it is resolved, which is bold there."""
    found, head = {}, []
    for line in (ROOT / f"leaderboard/details/{name}.md").read_text().replace("\\", "").splitlines():
        cells = cells_of(line) if line.startswith("|") else []
        head = cells if "gap to baseline" in cells else head
        if len(cells) == len(head) and cells != head:
            gap = re.match(r"(\*\*)?[-+].*\(to ([^;]+?)(;.*)?\)$", cells[head.index("gap to baseline")])
            if gap:
                row = cells[head.index("method")].strip("_")
                found[row, gap[2]] = "resolved" if gap[1] else "not resolved"
    return found


@pytest.mark.parametrize(
    ("page", "name", "metric", "least"),
    [
        ("suites/spurious-small", "spurious-small", WORST, 16),
        pytest.param("suites/spuco-mnist", "spuco-mnist", CONFLICTING, 9, marks=pytest.mark.slow),
        ("suites/named-variants", "named-variants", WORST, 20),
        ("suites/critical-finetuning", "critical-finetuning", WORST, 6),
        ("suites/contrastive", "contrastive", CONFLICTING, 9),
        ("suites/prune-layers", "prune-layers", WORST, 14),
        *((f"methods/{method}", "named-variants", WORST, 1) for method in VARIANTS),
    ],
)
def test_the_differences_that_a_page_shows_are_those_of_the_records(page: str, name: str, metric: str, least: int):
    """A line `row | other | difference | interval | board | marks | what is compared`."""
    text = (ROOT / f"docs/{page}.md").read_text()
    tables = re.findall(r"^(\| row \| other .*)\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert [cells_of(head) for head, _ in tables] == [SHOWN]
    shown = [cells_of(line) for line in tables[0][1].splitlines()]
    assert len(shown) >= least
    rows = comparing.trials_of(*published_records(name, ROOT / "leaderboard"))
    (task,), board = comparing.tasks_of(rows), gaps_of_board(name)
    for one, other, *cells, compared in shown:
        both = [comparing.row_of_task(rows, task, as_row_name(row.strip("`"))) for row in (one, other)]
        assert all(both), (one, other)
        gap = difference(*(row.measured(metric) for row in both))
        marks = [marks_of(row, metric, rows).words() for row in both]
        told = [f"{side}: {', '.join(words)}" for side, words in zip(("row", "other"), marks, strict=True) if words]
        named = [(both[0].label, baseline) for baseline in (both[1].label, both[1].first["method"])]
        resolved = next((board[pair] for pair in named if pair in board), "–")
        assert cells == [gap_text(gap), reading_of(gap), resolved, "; ".join(told) or "–"], (one, other)
        assert not CONCLUDING.search(compared), compared


CONCLUDING = re.compile(
    r"\b(supported|refuted|helps?|mends?|hurts?|costs?|loses?|gains?|better|worse|best|nothing costs|no difference"
    r"|told|shows?|proves?|equivalent|collapses)\b"
)
PUBLIC = [ROOT / "README.md", *(ROOT / "docs").glob("findings.md"), *sorted((ROOT / "docs/suites").glob("*.md"))]
PUBLIC += sorted((ROOT / "docs/methods").glob("*.md"))


@pytest.mark.parametrize("page", PUBLIC, ids=lambda p: p.stem)
def test_a_verdict_names_its_claim_and_is_the_ledgers(page: Path):
    """`**supported** ([r1-digits](...))`; tables of numbers that nobody adjusted say so in their heading."""
    ledger = {}
    for file in ("claims.md", "claims-before.md"):
        lines = [cells_of(line) for line in (ROOT / "leaderboard" / file).read_text().splitlines() if line[:1] == "|"]
        ledger |= {cells[0]: cells[1].strip("*") for cells in lines[2:]}
    heading = ""
    for block in re.split(r"\n\s*\n|\n(?=#|- )", page.read_text()):
        heading = block.split("\n")[0] if block.startswith("#") else heading
        if block.lstrip("\n").startswith("|"):
            head = cells_of(block.strip().split("\n")[0])
            adjusted = {"rank", "claim"} & {*head}
            assert adjusted or "not adjusted" in heading or not re.search(r"\d ± \d", block), heading
            continue
        words = re.split(r"\*\*(supported|refuted|equivalent|unresolved)\*\*", " ".join(block.split()))
        assert not any(re.search(r"\b(supported|refuted|unresolved|told apart|told from)\b", one) for one in words[::2])
        for verdict, text in zip(words[1::2], words[2::2], strict=True):
            named = [name for name in re.findall(r"\[([a-z0-9-]+)\]", text) if name in ledger]
            assert named, f"{verdict} of no claim: {block}"
            assert {ledger[name] for name in named} == {verdict}, block


@pytest.mark.slow
def test_the_tables_on_the_agreement_of_tasks_are_those_of_their_script():
    page = (ROOT / "docs/analyses/task-validity.md").read_text()
    command = [
        sys.executable,
        "benchmarks/task_agreement.py",
        "spurious-small",
        "spuco-mnist",
        "--records",
        "leaderboard",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    tables = [table.strip() for table in re.findall(r"(?:^\|.*\n)+", done.stdout, re.MULTILINE)]
    assert len(tables) == 4
    assert all(table in page for table in tables)


def test_what_the_page_on_critical_neurons_quotes_stands_on_its_board():
    page = (ROOT / "docs/suites/critical-neurons.md").read_text()
    sections = (ROOT / "leaderboard/details/critical-neurons.md").read_text().replace("\\", "").split("### ")
    quoted = [cells_of(line) for line in page.splitlines() if line.startswith("| `")]
    assert len(quoted) > 6
    for probe, what, group, *numbers in quoted:
        (section,) = [text for text in sections if text.split("\n")[0].endswith(f": {probe.strip('`')}")]
        head, _, *rows = [cells_of(line) for line in section.splitlines() if line.startswith("|")]
        at = head.index("group")
        (row,) = [cells for cells in rows if [*cells[1:at], cells[at]] == [*what.split(", "), group]]
        columns = ("change (points)", "control (points)", "difference (points)", "margin difference")
        assert [row[head.index(name)] for name in columns] == numbers


def test_every_method_has_a_page_whose_toml_is_the_shipped_one():
    shipped = load(shipped_file()).methods
    documented = {}
    for page in (ROOT / "docs/methods").glob("*.md"):
        for block in blocks(page.read_text(), "toml"):
            documented |= {name: (page.name, table) for name, table in tomllib.loads(block).get("methods", {}).items()}
    assert set(documented) >= set(shipped)
    for name in shipped:
        page, table = documented[name]
        assert checked(tables.MethodTable, table, page) == shipped[name], f"{page}: {name}"
