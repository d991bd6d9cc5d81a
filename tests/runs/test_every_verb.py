"""Every verb beside every fault of its surroundings: one message, a documented exit code, nothing lost.

docs/exit-codes.md has the codes. The whole product is slow; the quick part has every verb and every fault.
"""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from support import DOCS, afflicted
from support.afflicted import Told
from support.loose_plugins import LARGEST
from support.warm import Server

CLAIM = """schema = 1
[claims.mine]
says = "Plain training beats random pruning"
suite = "smoke"
row = "erm"
other = "random[sparsity=0.5]"
metric = "accuracy"
expects = "higher"
written = "before its seeds"
"""

ANSWERS = "label,dense,small\n" + "".join(f"{n % 2},{n % 2},{(n + (n == 7)) % 2}\n" for n in range(600))
PAIR = ("--dense", "dense", "--compressed", "small")
ROWS = ("--dense", "erm-ft", "--compressed", "magnitude[sparsity=0.9]")
LENIENT = ("--fail-if", "beyond", "--undecided", "pass", "--no-label-groups")

VERBS: dict[str, tuple[str, ...]] = {
    "run": ("run", "-s", "smoke", "-j", "1"),
    "run-quietly": ("run", "-s", "smoke", "-q", "-j", "1"),
    "run-more": ("run", "-s", "smoke", "-m", "erm", "--seed", "9", "-j", "1"),
    "plan": ("plan", "-s", "smoke"),
    "tune": ("tune", "smoke", "-m", "jtt", "-q", "-j", "1"),
    "ls": ("ls", "components"),
    "show": ("show", "magnitude"),
    "show-image": ("show", "colored-digits-tiny", "--image", "sheet.png"),
    "status": ("status", "-s", "smoke"),
    "logs": ("logs", "colored-digits-tiny/erm/0", "-s", "smoke"),
    "leaderboard": ("leaderboard", "smoke"),
    "publish": ("leaderboard", "smoke", "--publish", "published"),
    "compare": ("compare", "erm", "jtt", "-s", "smoke"),
    "analyse": ("analyse", "smoke", "task_validity", "-q", "-j", "1"),
    "analyse-to": ("analyse", "smoke", "task_validity", "-q", "-j", "1", "--to", "table.md"),
    "claims": ("claims", "mine.toml"),
    "audit": ("audit", "answers.csv", *PAIR),
    "audit-files": ("audit", "answers.csv", *PAIR, "--json", "a.json", "--html", "a.html", "--flips", "a.csv"),
    "audit-suite": ("audit", "-s", "smoke", *ROWS, "--allow", "low-accuracy", "--margin", "90", *LENIENT),
    "audit-plan": ("audit", "plan", "--table", "answers.csv", "--label", "label"),
    "doctor": ("doctor",),
    "prepare": ("prepare", "-s", "smoke"),
    "clean": ("clean",),
    "clean-more": ("clean", "--failures", "--quarantine"),
    "check": ("check", "mine.py", "--only", "signature"),
    "new": ("new", "pruner", "my_own"),
    "help": ("--help",),
    "help-of-run": ("run", "--help"),
    "version": ("--version",),
    "export": ("export", "colored-digits-tiny/erm/0", "-s", "smoke", "-o", "net.safetensors"),
    "latency": ("latency", "-s", "smoke", "-m", "erm", "--repeats", "8"),
    "site": ("site", "--out", "site", "--records", "results", "--no-reports"),
}

FAULTS: dict[str, afflicted.Fault] = {
    fault.__name__: fault
    for fault in (
        *(afflicted.read_only, afflicted.full_disk, afflicted.foreign_owner, afflicted.closed_folder),
        *(afflicted.stray_files, afflicted.folder_is_a_file, afflicted.folder_is_a_pipe, afflicted.piped_records),
        *(afflicted.full_output, afflicted.closed_output, afflicted.closed_errors, afflicted.all_closed),
        *(afflicted.reader_gone, afflicted.ascii_terminal, afflicted.broken_plugin, afflicted.broken_distributions),
        *(afflicted.no_home, afflicted.no_terminal, afflicted.no_folder),
    )
}

DOCUMENTED = {int(code) for code in re.findall(r"^\| (\d+) \|", (DOCS / "exit-codes.md").read_text(), re.MULTILINE)}
ALLOWED = DOCUMENTED - {70, 130}  # neither a bug nor an interruption

HARMLESS = {"stray_files", "closed_errors", "reader_gone", "ascii_terminal", "no_home", "no_terminal"}
"""Faults beside which every verb ends as it does without them."""

UNWRITABLE = {"read_only", "full_disk", "foreign_owner"}
NO_STORE = {"closed_folder", "folder_is_a_file", "folder_is_a_pipe"}
WRITING = {"run-more", "new", "site", "show-image", "publish", "analyse-to", "audit-files", "export", "latency"}
"""Verbs that have something to write in any case."""

COMPUTING = {"run", "run-quietly", "run-more", "tune", "analyse", "analyse-to"}


@pytest.fixture(scope="module")
def world(smoke: Path, tmp_path_factory: pytest.TempPathFactory, server: Server) -> Path:
    """A folder with results of a finished suite, its tuning and an analysis, and small files of a user."""
    here = tmp_path_factory.mktemp("world")
    shutil.copytree(smoke, here / "results")
    (here / "mine.py").write_text(LARGEST)
    (here / "mine.toml").write_text(CLAIM)
    (here / "answers.csv").write_text(ANSWERS)
    for verb in ("tune", "analyse"):
        done = server.call(*VERBS[verb], cwd=here)
        assert done.returncode == 0, done.stderr
    return here


@pytest.fixture(scope="module")
def healthy(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Told]:
    """The outcome of a verb without a fault, looked up once."""

    @functools.cache
    def one(verb: str) -> Told:
        here = tmp_path_factory.mktemp("healthy") / "here"
        told = afflicted.run(VERBS[verb], Path(shutil.copytree(world, here)))
        assert told is not None
        assert told.code == 0, told.err
        return told

    return one


PAIRS = [(verb, fault) for verb in VERBS for fault in FAULTS]


def is_quick(verb: str, fault: str) -> bool:
    """Every verb beside one fault, so that every fault is beside one verb at least; the last ones take seconds."""
    return verb not in ("export", "latency", "site") and [*FAULTS].index(fault) == [*VERBS].index(verb) % len(FAULTS)


@pytest.mark.parametrize(
    ("verb", "fault"),
    [pytest.param(*pair, marks=() if is_quick(*pair) else pytest.mark.slow, id="-".join(pair)) for pair in PAIRS],
)
def test_a_verb_beside_a_fault(
    verb: str, fault: str, world: Path, healthy: Callable[[str], Told], tmp_path: Path, plugin_cache: Path
):
    here = Path(shutil.copytree(world, tmp_path / "here"))
    told = afflicted.run(VERBS[verb], here, FAULTS[fault])
    if told is None:
        pytest.skip(f"{fault} cannot be made by this user on this machine")
    well = healthy(verb)
    assert told.code in ALLOWED, told.err
    assert "Traceback" not in told.out + told.err
    assert set(told.lost) <= set(well.lost), "what the verb does not change anyway"
    messages = [line for line in told.err.splitlines() if line.startswith("benchbias")]
    spoken = told.code > 1 and fault not in ("closed_errors", "all_closed")
    assert len(messages) == int(spoken), told.err
    assert told.code in expected(verb, fault, well), (told, well)
    if fault == "stray_files" and verb not in ("doctor", "new", "latency"):
        assert without_seconds(told.out) == without_seconds(well.out)
    if fault == "ascii_terminal":
        assert (told.out + told.err).isascii()


def without_seconds(text: str) -> str:
    return re.sub(r"\d+\.\d+ m?s\b", "", text)


def expected(verb: str, fault: str, well: Told) -> set[int]:
    """The exit codes that a verb may have beside a fault."""
    if fault in HARMLESS:
        return {0}
    if fault in ("full_output", "closed_output", "all_closed"):
        return {4} if well.out else {0}
    if fault.startswith("broken"):
        return {1} if verb == "doctor" else {0}
    if verb in WRITING and fault in UNWRITABLE:
        return {4}
    return {0, 1, 2, 4}
