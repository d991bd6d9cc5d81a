"""Every block of code on a page is run by a test, or stands in a list with the reason why it is not."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

import pytest
import typer

from benchbias.board.claims import load_claims
from benchbias.cli import app
from benchbias.plugin.components import resolve_options
from benchbias.runner.workspace import Workspace
from benchbias.suite import tables
from benchbias.suite.tables import Use, checked
from support import ROOT
from support.markdown import MARKDOWN

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "benchmarks/README.md"]


@dataclass(frozen=True)
class Block:
    """A block of a page. page: its path below ROOT. language: as its fence has it."""

    page: str
    language: str
    text: str

    @property
    def first(self) -> str:
        return self.text.strip().splitlines()[0]

    @property
    def name(self) -> str:
        return f"{self.page}: {self.first[:60]}"


def blocks_of(page: str, text: str) -> Iterator[Block]:
    for token in MARKDOWN.parse(text):
        if token.type in ("fence", "code_block"):
            yield Block(page, token.info.strip(), token.content)


BLOCKS = [block for path in PAGES for block in blocks_of(path.relative_to(ROOT).as_posix(), path.read_text())]

RUN_BY = {
    ("README.md", "sh"): "tests/docs/test_docs.py",
    ("docs/analyses/task-validity.md", ""): "tests/docs/test_docs.py",
    ("docs/api-policy.md", "sh"): "tests/test_public_api.py",
    ("docs/audit.md", "python"): "tests/docs/test_audit_page.py",
    ("docs/audit.md", "sh"): "tests/docs/test_audit_page.py",
    ("docs/audit.md", "yaml"): "tests/cli/test_audit_action.py",
    ("docs/benchmarks-toml.md", "toml"): "tests/docs/test_docs.py",
    ("docs/export.md", "*"): "tests/finished/test_export.py",
    ("docs/methods/*.md", "toml"): "tests/docs/test_docs.py",
    ("docs/own-data.md", "toml"): "tests/datasets/test_own_data.py",
    ("docs/own-data.md", "sh"): "tests/datasets/test_own_data.py",
    ("docs/python-api.md", "python"): "tests/runner/test_python_api.py",
    ("docs/site.md", "sh"): "tests/site/test_site_in_a_browser.py",
    ("docs/trackers.md", "*"): "tests/runner/test_records_told.py",
    ("docs/writing-plugins.md", "*"): "tests/docs/test_writing_plugins.py",
}
"""(Page, language) -> the file of tests that runs its blocks."""

HERE = ("docs/claims.md toml", "docs/models.md toml", "docs/analyses/equal-fit.md toml", "docs/data/cifar10.md ")
"""Blocks that tests of this file read."""

NOT_RUN = {
    "python3 -m venv .venv && . .venv/bin/activate": "needs a package index: .ci/run runs the same steps",
    "apt-get install chromium": "changes the machine; .ci/run does it where it may",
    "pip install .": "needs a package index: test_packaging builds and installs the wheel",
    "pip install --editable '.[bench]'": "an hour or two: test_performance tries parts out by the same command",
    'python -c "import torch; print(torch.__version__)"': "prints the version of the reader's torch",
    "mkdir results && chgrp lab results && chmod g+ws results": "needs a group `lab`; test_two_users has two users",
    "benchbias run --suite spurious-small": "ten minutes: `smoke` is run by the same verb in tests/runs",
    "benchbias run --suite named-variants": "hours; its records are published",
    "benchbias run -s smoke -m erm -m jtt --seeds 2 -o results": "test_recalling does the same",
    "benchbias report spurious-small --records leaderboard -o report.html": "tests/report makes such reports",
    "benchbias show recall_balance       # every option": "a verb that only reads; its words are parsed below",
    "benchbias claims --records leaderboard > leaderboard/claims.md": "test_findings holds claims.md current",
    "bffhq/0.5pct/align/<class>/<any>_<age>_<gender>.png": "names of files",
    "data/pictures/labels.csv": "names of files",
    "image,split,label,attribute": "a table; test_own_data writes one of this shape",
    "from benchbias import BiasedDataset, hub_images, reads": "needs a copy of a data set of the hub; compiled below",
    "HARMED, beyond the margin": "output, compared by test_audit_page",
    "benchbias audit --model resnet18": "needs weights and images of the reader; its words are parsed below",
}
"""How a block begins -> why no test runs it."""


def ran(block: Block) -> str | None:
    """The file of tests that runs a block."""
    for (page, language), tests in RUN_BY.items():
        if fnmatchcase(block.page, page) and fnmatchcase(block.language, language):
            return tests
    return "tests/docs/test_blocks.py" if f"{block.page} {block.language}" in HERE else None


def test_every_block_is_run_or_listed_with_its_reason():
    known = [block for block in BLOCKS if ran(block) or block.text.startswith(tuple(NOT_RUN))]
    assert [block.name for block in BLOCKS if block not in known] == []


def test_a_block_that_nobody_runs_would_be_found():
    (block,) = blocks_of("docs/new.md", "Try it:\n\n```sh\nbenchbias frobnicate\n```\n")
    assert ran(block) is None
    assert not block.text.startswith(tuple(NOT_RUN))


def test_the_lists_have_nothing_that_no_page_has():
    assert {
        key
        for key in RUN_BY
        if not any(fnmatchcase(b.page, key[0]) and fnmatchcase(b.language, key[1]) for b in BLOCKS)
    } == set()
    assert {start for start in NOT_RUN if not any(block.text.startswith(start) for block in BLOCKS)} == set()
    assert {place for place in HERE if not any(f"{b.page} {b.language}" == place for b in BLOCKS)} == set()


@pytest.mark.parametrize("page", sorted({key[0] for key in RUN_BY}))
def test_the_tests_that_run_blocks_name_their_page(page: str):
    for (one, _), tests in RUN_BY.items():
        if one == page:
            text = (ROOT / tests).read_text()
            assert any(
                isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
                for node in ast.walk(ast.parse(text))
            )
            stem = page.removesuffix("/*.md").rpartition("/")[2]
            assert stem in text or "public_api" in text or "make_site" in text, f"{tests} does not name {page}"


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "toml"], ids=lambda block: block.name)
def test_every_block_of_toml_is_toml(block: Block):
    assert tomllib.loads(block.text)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "python"], ids=lambda block: block.name)
def test_every_block_of_python_compiles(block: Block):
    compile(block.text, block.page, "exec")


COMMANDS = [
    (block, line)
    for block in BLOCKS
    if block.language in ("sh", "")
    for line in block.text.replace("\\\n", " ").splitlines()
    if re.match(r"(\.venv/bin/)?benchbias ", line)
]


@pytest.mark.parametrize(("block", "line"), COMMANDS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_of_a_block_has_verbs_and_options_that_there_are(block: Block, line: str):
    """Parsed as the command line parses it, and not run."""
    words = shlex.split(line.partition(" > ")[0], comments=True)[1:]
    command = typer.main.get_command(app)
    with command.make_context("benchbias", list(words)) as context:
        verb, _, rest = command.resolve_command(context, words)
        assert verb is not None
        with command.commands[verb].make_context(verb, rest, parent=context):
            pass


def test_a_command_with_an_option_that_is_not_there_is_refused():
    with pytest.raises(Exception, match="No such option"):
        test_every_command_of_a_block_has_verbs_and_options_that_there_are(BLOCKS[0], "benchbias run --sute smoke")


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.page == "docs/claims.md" and b.language == "toml"], ids=lambda b: b.first
)
def test_the_claims_of_the_page_are_claims(block: Block, tmp_path):
    path = tmp_path / "claims.toml"
    path.write_text(block.text)
    assert load_claims(path)[0]


@pytest.fixture(scope="module")
def workspace(plugin_cache) -> Workspace:
    return Workspace.open(quiet=True)


FRAGMENTS = [b for b in BLOCKS if f"{b.page} {b.language}" in HERE and b.page != "docs/claims.md"]


@pytest.mark.parametrize("block", FRAGMENTS, ids=lambda block: block.name)
def test_the_components_of_a_fragment_are_there_with_their_options(block: Block, workspace: Workspace):
    """`analyses`, `dataset` and `model` as a suite or a task has them; a method as its table is checked."""
    found = tomllib.loads(block.text)
    seen = 0
    for kind, value in (("analysis", one) for one in found.get("analyses", [])):
        seen += resolves(workspace, kind, value, block.page)
    for kind in ("dataset", "model"):
        seen += resolves(workspace, kind, found[kind], block.page) if kind in found else 0
    for name, table in found.get("methods", {}).items():
        assert checked(tables.MethodTable, table, f"{block.page}: {name}")
        seen += 1
    assert seen


def resolves(workspace: Workspace, kind: str, value, where: str) -> int:
    use = Use.of(value, where)
    options = {name: option for name, option in use.options.items() if name not in ("seed", "weights", "sha256")}
    resolve_options(workspace.registry.components[kind, use.name], options, where)
    return 1
