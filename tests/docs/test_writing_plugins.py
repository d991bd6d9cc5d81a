"""docs/writing-plugins.md does what it says: every file in it is written, every command in it is run."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path

import pytest
import torch

from benchbias.board.markdown.main_table import MARKS
from benchbias.board.text import EXAMPLES_ALONE
from benchbias.testing import ToyTrial
from benchbias.testing.calling.subject import subjects_of
from benchbias.testing.checking import check
from benchbias.testing.checks.catalogue import CHECKS
from benchbias.testing.finding import find
from benchbias.testing.toys.population import toy_population
from support import ROOT
from support.markdown import blocks, cells_of
from support.running import on_a_terminal, outcomes_of

PAGE = (ROOT / "docs/writing-plugins.md").read_text()
FILES = dict(re.findall(r"^`([a-z_]+\.(?:py|toml))`:\n\n```[a-z]+\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))
COMMANDS = [line for block in blocks(PAGE, "sh") for line in block.splitlines()]
PLUGINS = ("largest.py", "wanda.py", "focal.py", "gap.py", "corner.py", "churn.py")


SYMBOLS = " " + EXAMPLES_ALONE + "".join(symbol for symbol, _ in MARKS)
OUTPUTS = dict(re.findall(r"```sh\n(benchbias [^\n]*)\n```\n\n```text\n(.*?)```", PAGE, re.DOTALL))
"""What the page shows that a command prints: shortened, from a run of its own."""


def rows_of(text: str) -> list[list[str]]:
    return [cells_of(line) for line in text.replace("\\", "").splitlines() if line.startswith("|")]


def columns_of(text: str) -> list[list[str]]:
    """The head and the rows of a board on a terminal, whose columns stand two blanks apart."""
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines() if re.match(r"rank |(\d+|–)  ", line)]


def without_numbers(line: str) -> str:
    return " ".join(re.sub(r"[\d.,]+", "", line).split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file of the page."""
    path = tmp_path_factory.mktemp("writing")
    for name, text in FILES.items():
        (path / name).write_text(text)
    return path


def test_every_block_of_code_is_a_file_and_every_file_is_used():
    fences = re.findall(r"^```(.*)$", PAGE, re.MULTILINE)
    assert set(fences[::2]) == {"python", "toml", "sh", "text"}
    assert set(fences[1::2]) == {""}
    assert {line.split()[0] for line in COMMANDS} == {"benchbias", "python"}  # each is run below
    assert len(FILES) == len(blocks(PAGE, "python")) + len(blocks(PAGE, "toml"))
    assert all(name in " ".join(COMMANDS) for name in FILES)


def test_the_pruner_is_under_twenty_five_lines():
    assert len([line for line in FILES["wanda.py"].splitlines() if line.strip()]) < 25


def test_every_plugin_of_the_page_passes_every_check(folder: Path):
    results = check([target for name in PLUGINS for target in find(str(folder / name))], {}, [])
    assert {result.kind for result in results} == {"pruner", "trainer", "metric", "dataset", "analysis"}
    assert not [result for result in results if result.status == "failed"]


@pytest.mark.parametrize("command", [line for line in dict.fromkeys(COMMANDS) if line.startswith("benchbias")])
def test_every_command_of_the_page_works(folder: Path, cli, command: str):
    words = shlex.split(command)[1:]
    if words[0] == "analyse":
        assert cli("run", "--suite", words[1], "--seeds", "1", cwd=folder).returncode == 0
    done = cli(*words, *(["--seeds", "1"] if words[0] in ("run", "analyse") else []), cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    if words[0] == "run":
        rows = rows_of(done.stdout)
        expected = {"erm", "wanda, 50 %", "wanda, 80 %"}
        expected |= {"focal"} if "--suite mine" in command else {"wanda, 90 %"}
        expected = {"erm", "largest, 50 %"} if "largest.py" in command else expected
        assert expected <= {cells[1].rstrip(SYMBOLS) for cells in rows}
        details = (folder / f"results/leaderboards/details/{words[words.index('--suite') + 1]}.md").read_text()
        assert ("shortcut gap" in rows_of(details)[0]) == ("--suite mine" in command)
        assert ("of right ones" in details) == ("--suite mine" in command)
    if words[0] == "run" and command in OUTPUTS:
        printed = on_a_terminal(*words, "--seeds", "1", cwd=folder)
        head, *rows = columns_of(OUTPUTS[command])
        assert all(f"{cell}  " in f"{printed}  " for cell in head[1:-1])  # one seed is not ranked
        assert all(f"{cells[1]}  " in printed for cells in rows)
    if words[0] == "check":
        printed = {without_numbers(line) for line in done.stdout.splitlines()}
        assert {without_numbers(line) for line in OUTPUTS.get(command, "").splitlines()} - {""} <= printed


def test_the_analysis_is_under_forty_lines_and_counts_what_it_says(folder: Path):
    assert len([line for line in FILES["churn.py"].splitlines() if line.strip()]) < 40
    (subject,) = subjects_of(find(str(folder / "churn.py"))[0].ref, (), "churn.py")
    population = toy_population()
    table = subject.component(population).to_frame().set_index("row")
    for row, pairs in itertools.groupby(population.pairs(), key=lambda pair: pair[1].row):
        found = [base.predictions["test"].predicted != one.predictions["test"].predicted for base, one in pairs]
        assert table.loc[row, "churn"] == pytest.approx(100 * float(torch.stack(found).double().mean()))


def test_the_page_shows_what_each_step_of_the_ten_minutes_prints():
    assert [command.split()[1] for command in OUTPUTS] == ["check", "run", "compare"]
    head, *rows = columns_of(next(text for command, text in OUTPUTS.items() if command.startswith("benchbias run")))
    assert head[:2] == ["rank", "method"]
    assert {cells[1] for cells in rows} == {"erm", *(f"wanda, {value} %" for value in (50, 80, 90))}
    assert all(re.fullmatch(r"\d+\.\d \(\d+\.\d–\d+\.\d\)", cells[2]) for cells in rows)


def test_the_test_of_the_page_passes(folder: Path, monkeypatch: pytest.MonkeyPatch):
    (command,) = [line for line in COMMANDS if not line.startswith("benchbias")]
    assert command == "python -m pytest test_wanda.py"
    monkeypatch.chdir(folder)
    found = outcomes_of(folder / "test_wanda.py")
    assert found["test_wanda_keeps_its_contract[pruner-wanda-exact_sparsity]"] == "passed"
    assert set(found.values()) <= {"passed", "skipped"}


def test_wanda_scores_are_the_size_times_the_norm_of_the_input(folder: Path):
    (subject,) = subjects_of(find(str(folder / "wanda.py"))[0].ref, (), "wanda.py")
    trial = ToyTrial()
    answers = []
    trial.prune(lambda model, data, context: answers.append(subject.component(model, data, context)) or answers[0])
    data, model = trial.training_data(), trial.network()
    images = torch.cat([batch.images for batch in data.batches(data.train)])
    norms = images.movedim(1, 0).flatten(1).norm(dim=1)
    first = dict(model.named_parameters())["0.weight"].detach().abs()
    torch.testing.assert_close(answers[0]["0.weight"].detach(), first * norms[None, :, None, None])
    hidden = model[:5](images).norm(dim=0)
    last = dict(model.named_parameters())["5.weight"].detach().abs()
    torch.testing.assert_close(answers[0]["5.weight"].detach(), (last * hidden).detach())


def test_the_page_lists_every_check_and_what_it_expects():
    rows = [cells_of(line) for line in PAGE.split("## The checks")[1].splitlines() if line.startswith("| `")]
    assert {(name.strip("`"), expected) for name, _, expected in rows} == {(one.name, one.expected) for one in CHECKS}
    for name, kinds, _ in rows:
        if not kinds.startswith("all"):
            (one,) = [found for found in CHECKS if found.name == name.strip("`")]
            assert set(kinds.split(", ")) == one.kinds
