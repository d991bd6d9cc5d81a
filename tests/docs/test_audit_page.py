"""The page on audits: every command and every program in it works, in order, and the output that it shows is real."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from support import DOCS
from support.markdown import MARKDOWN
from support.running import benchbias

PAGE = (DOCS / "audit.md").read_text()
ELSEWHERE = ("torchao", "weights_only=False", "resnet18()")
"""Programs for packages that are not installed here, and for a network that is too large for a test."""


def blocks():
    for token in MARKDOWN.parse(PAGE):
        if token.type == "fence" and token.info in ("python", "sh"):
            yield token.info, token.content


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What each command printed, in a folder where all blocks are run one after the other."""
    folder, found = tmp_path_factory.mktemp("audit"), {}
    for kind, text in blocks():
        if kind == "python" and not any(word in text for word in ELSEWHERE):
            name = "test_release.py" if "def test_" in text else "program.py"
            (folder / name).write_text(text)
            command = [
                sys.executable,
                *(["-m", "pytest", "-p", "no:cacheprovider"] if "def test_" in text else []),
                name,
            ]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
        for line in text.splitlines() if kind == "sh" else ():
            program, *words = shlex.split(line)
            if program == "benchbias":
                done = benchbias(*words, cwd=folder, env={"COLUMNS": "100"})  # as the page shows it
            else:
                done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True)
            assert done.returncode in (0, 3), f"{line}\n{done.stderr}"
            found[line] = done.stdout
    return folder, found


@pytest.mark.slow
def test_every_command_works_and_writes_its_files(printed):
    folder, found = printed
    assert len(found) >= 7
    for line in found:
        for file in re.findall(r"--(?:html|flips|json|markdown|to-label) (\S+)", line):
            assert (folder / file).stat().st_size, line


@pytest.mark.slow
def test_the_output_that_is_shown_is_that_of_the_first_command(printed):
    _, found = printed
    shown = next(token.content for token in MARKDOWN.parse(PAGE) if token.content.startswith("HARMED"))
    lines = [line for line in shown.splitlines() if line not in ("", "...")]
    output = next(iter(found.values())).splitlines()
    assert [line for line in output if line in lines] == lines


@pytest.mark.slow
def test_what_is_said_of_the_digits_is_so(printed):
    _, found = printed
    output = next(text for line, text in found.items() if "--data digits/images" in line)
    assert "Overall 95.7 -> 95.6 % right" in output
    assert re.search(r"^label=9 +93 .*8 +0 +8\.6 .*harmed$", output, re.MULTILINE)


def test_every_option_that_is_named_is_one_of_the_verb():
    """Every option that the page names is one of the verb, also in blocks that are not run."""
    told = benchbias("audit", "--help").stdout
    options = set(re.findall(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*", PAGE)) - {"--to"}
    assert {option for option in options if f"{option} " not in told and f"{option}\n" not in told} == set()
