"""The command line: exit codes, one message for every mistake of a user, nothing heavy imported, clean ends.

Most calls run `main` in this process; those whose point is a process of its own (imports, pipes, signals) start one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchbias import cli as command_line
from benchbias.cli.folders import doctor
from benchbias.errors import UsageError
from benchbias.runner import launch
from support import DOCS, ROOT
from support.cards import A, B, put_cards, uuid_of
from support.killing import claims, committed, start, survivors, wait_for_claims
from support.running import SMOKE_TRIALS, tree

Cli = Callable[..., subprocess.CompletedProcess[str]]

VERBS = ("run", "plan", "tune", "ls", "show", "status", "logs", "leaderboard", "compare", "claims", "doctor", "clean")
VERBS += ("export", "latency")
HEAVY = ("torch", "torchvision", "datasets", "sklearn", "timm")


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def is_one_message(self) -> bool:
        return 1 <= len(self.err.splitlines()) <= 2 and "Traceback" not in self.err and self.out == ""


Call = Callable[..., Answer]


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, smoke: Path
) -> Iterator[Call]:
    """The command line in this process, in an empty folder. (`smoke` has warmed the cache of plugins.)"""
    before = signal.getsignal(signal.SIGTERM)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def one(*arguments: str) -> Answer:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["benchbias", *arguments])
        with pytest.raises(SystemExit) as end:
            command_line.main()
        printed = capsys.readouterr()
        return Answer(int(end.value.code or 0), printed.out, printed.err)

    yield one
    signal.signal(signal.SIGTERM, before)


# help and lists


def test_help_names_every_verb_and_every_verb_has_help(call: Call):
    told = call("--help")
    assert (told.code, told.err) == (0, "")
    for verb in VERBS:
        assert f" {verb} " in told.out
        own = call(verb, "--help")
        assert (own.code, own.err) == (0, "")
        assert f"{verb} [OPTIONS]" in own.out
    assert call("-h").out == told.out


def test_every_option_says_what_it_is_for(call: Call):
    for verb in VERBS:
        lines = call(verb, "--help").out.splitlines()
        options = [line for line in lines if line.strip().startswith("-")]
        assert options
        bare = [line for i, line in enumerate(lines) if line in options and len(line.split("  ")) < 3]
        assert not [line for line in bare if not lines[lines.index(line) + 1].startswith("     ")]


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("suites", ["smoke", "spurious-small"]),
        ("tasks", ["colored-digits", "lenet_small"]),
        ("methods", ["erm", "magnitude", "erm-ft"]),
        ("plugins", ["benchbias:erm", "benchbias:random"]),
        ("components", ["worst_group_accuracy", "colored_digits", "magnitude"]),
    ],
)
def test_lists_hold_what_is_there(call: Call, what: str, names: list[str]):
    told = call("ls", what)
    assert (told.code, told.err) == (0, "")
    assert [name for name in names if name not in told.out] == []


def test_the_module_and_the_version(cli: Cli):
    done = cli("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("benchbias 0.")


LOADED = """
import json, sys
from benchbias import cli
out = {}
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["benchbias", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        out[" ".join(arguments)] = [end.code, sorted({name.partition(".")[0] for name in sys.modules})]
print(json.dumps(out), file=sys.stderr)
"""


def loaded(*commands: list[str]) -> dict[str, tuple[int, set[str]]]:
    """By command: its exit code, and the packages that are imported after it."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, json.dumps(commands)], cwd="/", capture_output=True, text=True, check=True
    )
    found = json.loads(done.stderr.splitlines()[-1])
    assert len(found) == len(commands)
    return {name: (code, set(packages)) for name, (code, packages) in found.items()}


def test_help_imports_next_to_nothing():
    for code, packages in loaded(["--help"], ["run", "--help"]).values():
        assert code == 0
        assert not packages & {*HEAVY, "numpy", "tabulate", "scipy", "PIL", "safetensors"}
        assert "typer" in packages


def test_listing_planning_and_showing_import_nothing_heavy(smoke: Path):
    lists = [["ls", what] for what in ("suites", "tasks", "methods", "plugins", "components")]
    shown = [["show", name] for name in ("smoke", "colored-digits", "magnitude", "benchbias:erm")]
    others = [["plan", "-s", "smoke"], ["plan", "-s", "smoke", "-o", str(smoke)], ["status", "-s", "smoke"]]
    others += [["leaderboard", "smoke", "--records", str(smoke)]]
    for name, (code, packages) in loaded(*lists, *shown, *others).items():
        assert code == 0, name
        assert not packages & {*HEAVY}, name
        assert "benchbias" in packages


def test_importing_benchbias_imports_nothing():
    script = "import sys; before = set(sys.modules); import benchbias; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], cwd="/", capture_output=True, text=True, check=True)
    names = {name.partition(".")[0] for name in eval(done.stdout)}
    assert "benchbias" in names
    assert not names & {*HEAVY, "numpy", "scipy", "tabulate", "pydantic", "typer", "pluggy", "rich", "PIL"}


# mistakes of a user

SMOKE = ("run", "-s", "smoke")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "-s", "smok"), "did you mean 'smoke'"),
        (("plan", "-s", "smok"), "did you mean 'smoke'"),
        (("status", "-s", "smok"), "did you mean 'smoke'"),
        (("leaderboard", "smok"), "did you mean 'smoke'"),
        (("run",), "--suite"),
        (("rum", "-s", "smoke"), "run"),
        ((*SMOKE, "-t", "colored-digits-tny"), "did you mean 'colored-digits-tiny'"),
        ((*SMOKE, "-t", "colored-digits"), "colored-digits-tiny"),
        ((*SMOKE, "-m", "magnitud"), "did you mean 'magnitude'"),
        ((*SMOKE, "-m", ""), "unknown method"),
        ((*SMOKE, "--set", "magnitude.sparsty=0.5"), "did you mean 'sparsity'"),
        ((*SMOKE, "--set", "magnitud.sparsity=0.5"), "did you mean 'magnitude'"),
        ((*SMOKE, "--set", "recipe.epoch=3"), "did you mean 'epochs'"),
        ((*SMOKE, "--set", "recipe.epochs=many"), "TOML"),
        ((*SMOKE, "--set", "recipe.epochs='many'"), "recipe.epochs"),
        ((*SMOKE, "--set", "recipe.lr=nan"), "recipe.lr"),
        ((*SMOKE, "--set", "recipe.epochs=1\nx=2"), "one value"),
        ((*SMOKE, "--set", "sparsity"), "method.parameter=value"),
        ((*SMOKE, "--set", "magnitude.sparsity=1.5"), "fraction from 0 to 1"),
        ((*SMOKE, "--set", "magnitude.sparsity=nan"), "fraction from 0 to 1"),
        ((*SMOKE, "--set", "magnitude.sparsity='half'"), "fraction from 0 to 1"),
        (("plan", "-s", "smoke", "--set", "magnitude.sparsity=[]"), "sparsity"),
        (("plan", "-s", "smoke", "--set", "magnitude.sparsity=[0.5, 0.5]"), "sparsity"),
        ((*SMOKE, "--seeds", "many"), "expected 5, 0-4 or 0,3,7"),
        ((*SMOKE, "--seeds", "0-"), "expected 5, 0-4 or 0,3,7"),
        ((*SMOKE, "--seeds", "-1"), "expected 5, 0-4 or 0,3,7"),
        ((*SMOKE, "--seeds", "1,,2"), "expected 5, 0-4 or 0,3,7"),
        ((*SMOKE, "--seeds", "1_0"), "expected 5, 0-4 or 0,3,7"),
        ((*SMOKE, "--seeds", "\u0663"), "expected 5, 0-4 or 0,3,7"),
        ((*SMOKE, "--seeds", " 3"), "expected 5, 0-4 or 0,3,7"),
        ((*SMOKE, "--seeds", "3", "--seed", "3"), "give one of them"),
        ((*SMOKE, "--seed", "-1"), "--seed"),
        ((*SMOKE, "--seed", "0-3"), "--seed"),
        ((*SMOKE, "--seeds", "0"), "at least one"),
        ((*SMOKE, "--seeds", "4-1"), "did you mean 1-4?"),
        ((*SMOKE, "--seeds", "1,1"), "different"),
        ((*SMOKE, "--seeds", "1000000000000"), "the limit is 100,000"),
        ((*SMOKE, "--seeds", "0-99999999999999"), "limit"),
        ((*SMOKE, "--device", "gpu"), "known: cpu, cuda"),
        ((*SMOKE, "--device", "cuda0"), "known: cpu, cuda"),
        ((*SMOKE, "--per-gpu", "2"), "it is of cards"),
        ((*SMOKE, "--device", "cpu", "--gpus", "0"), "give one of them"),
        ((*SMOKE, "--rerun", "al"), "all"),
        ((*SMOKE, "-j", "0"), "-j"),
        ((*SMOKE, "--limit", "1"), "--limit"),
        ((*SMOKE, "--timeout", "0"), "--timeout"),
        ((*SMOKE, "--timeout", "nan"), "timeout"),
        ((*SMOKE, "--config", "absent.toml"), "absent.toml"),
        ((*SMOKE, "--config", "."), "cannot be read"),
        ((*SMOKE, "--plugin", "absent.py"), "absent.py"),
        (("ls", "suits"), "did you mean 'suites'"),
        (("show", "magnitud"), "did you mean 'magnitude'"),
        (("show", "magnitude", "-s", "smok"), "did you mean 'smoke'"),
        (("show", "smoke", "--image", "x.png"), "task"),
        (("logs", "colored-digits-tiny/erm/7", "-s", "smoke"), "did you mean 'colored-digits-tiny/erm/"),
        (("logs", "", "-s", "smoke"), "trial"),
        (("leaderboard", "smoke"), "run --suite smoke"),
        (("clean",), "no results folder"),
        (("clean", "-o", "absent"), "no results folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_one_message_that_helps(call: Call, arguments: tuple[str, ...], words: str):
    told = call(*arguments)
    assert told.code == 2, told.err
    assert words in told.err
    assert "Traceback" not in told.err
    assert 1 <= len(told.err.splitlines()) <= 2
    assert told.out == "" or arguments[0] == "show"  # `--image` comes after what is shown
    assert not list(Path.cwd().iterdir()), "it was refused, but only after something was made"


def test_a_gpu_that_is_not_there_is_refused(call: Call, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    told = call(*SMOKE, "--device", "cuda")
    assert told.code == 2
    assert "no NVIDIA GPU" in told.err
    assert told.is_one_message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--gpus", "0,3"), f"no card '3' here (known: 0 {A}, 1 {A}, 2 {B})"),
        (("--gpus", "all"), "cards of one run are of one model"),
        (("--gpus", "0,1", "--per-gpu", "2", "-j", "5"), "there are 4 slots (2 cards with 2 each)"),
        (("--device", "cuda:1", "-j", "2"), "there are 1 slots (1 card with 1 each)"),
        (("--device", "cuda:3"), "no card '3' here"),
    ],
)
def test_cards_that_cannot_be_used_are_refused_before_anything_is_made(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], words: str
):
    put_cards(monkeypatch, tmp_path / "gpus", A, A, B)
    told = call("run", "-s", "smoke", *arguments)
    assert told.code == 2
    assert words in told.err
    assert told.is_one_message
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize(
    ("device", "shown"), [(("--device", "cuda:1"), [1]), (("--gpus", "1, 0"), [1, 0]), (("--device", "cuda"), [0])]
)
def test_the_engine_is_told_of_the_cards(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: tuple[str, ...], shown: list[int]
):
    """No card is here: what the engine is started with is looked at, and the run goes no further."""
    put_cards(monkeypatch, tmp_path / "gpus", A, A)
    started: list[dict[str, Any]] = []

    def engine(results: Path, plan: Path, **given: Any) -> None:
        started.append(given | {"device": json.loads(plan.read_text())["device"]})
        raise UsageError("looked at")

    monkeypatch.setattr(launch, "LocalEngine", engine)
    told = call("run", "-s", "smoke", *device, "--per-gpu", "3")
    assert "looked at" in told.err
    assert started[0]["cards"] == tuple(map(uuid_of, shown))
    assert started[0]["per_card"] == 3
    assert started[0]["settings"]["BENCHBIAS_CARD_SHARE"] == "3"
    assert started[0]["device"] == "cuda", "in a worker its card is the first"


def test_doctor_lists_the_cards_by_the_numbers_that_gpus_takes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    put_cards(monkeypatch, tmp_path, A, B, A, visible="2,1")
    found = {finding.about: finding.found for finding in doctor._cards()}
    assert found["card 0"] == f"{A} {uuid_of(2)}"
    assert found["card 1"] == f"{B} {uuid_of(1)}"
    assert "hides 1 more" in found["cards"]
    assert "several models" in found["models"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"schema = ", "not valid TOML"),
        (b"\xff\xfe", "not valid TOML"),
        (b"", "schema = 1"),
        (b"schema = 2", "schema = 1"),
        (b"schema = true", "schema = 1"),
        (b"schema = 1\n[suite.mine]\n", "did you mean 'suites'"),
        (b"schema = 1\nsuites = 3\n", "tables"),
        (b"schema = 1\n[methods.mine]\nstage = []\n", "did you mean 'stages'"),
        (b"schema = 1\n[methods.mine]\nstages = 3\n", "methods.mine.stages"),
        (b"schema = 1\n[methods.mine]\nstages = []\n", "methods.mine.stages"),
        (b'schema = 1\n[methods.mine]\nstages = [{ train = "erm", prune = "magnitude" }]\n', "exactly one"),
        (b'schema = 1\n[methods.mine]\nstages = [{ train = "erm", recipe = { lrr = 1 } }]\n', "did you mean 'lr'"),
        (b'schema = 1\n[methods.mine]\nstages = [{ prune = "magnitude", sparsity = "$s" }]\n', "unknown parameter 's'"),
        (b'schema = 1\n[methods."../x"]\nstages = [{ train = "erm" }]\n', "a name is"),
        (b"schema = 1\n" + b"[" * 5000, "not valid TOML"),
        (b"schema = 1\n#" + b"x" * (1 << 20), "larger than"),
    ],
)
def test_a_mistake_in_a_toml_names_the_file_and_the_place(call: Call, tmp_path: Path, text: bytes, words: str):
    (tmp_path / "mine.toml").write_bytes(text)
    told = call("plan", "-s", "smoke", "--config", str(tmp_path / "mine.toml"))
    assert told.code == 2, told.err
    assert told.is_one_message, told.err
    assert "mine.toml" in told.err
    assert words in told.err


def test_a_results_folder_that_is_a_file_is_one_line(call: Call, tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    for verb in ("run", "plan", "status"):
        told = call(verb, "-s", "smoke", "-o", str(tmp_path / "file"))
        assert told.code == 4, told.err
        assert len(told.err.splitlines()) == 1
        assert "Not a directory" in told.err or "File exists" in told.err
        assert told.is_one_message
    assert (tmp_path / "file").read_text() == "mine"


def test_clean_refuses_a_folder_that_is_not_ours(call: Call, tmp_path: Path):
    """`.git` has a folder `objects`, too."""
    (tmp_path / "git" / "objects" / "ab").mkdir(parents=True)
    (tmp_path / "git" / "objects" / "ab" / "cd").write_text("precious")
    for more in ((), ("--all",)):
        told = call("clean", "-o", str(tmp_path / "git"), *more)
        assert (told.code, told.is_one_message) == (2, True), told
        assert (tmp_path / "git" / "objects" / "ab" / "cd").read_text() == "precious"


def test_a_bug_of_ours_says_so_and_shows_where(call: Call, monkeypatch: pytest.MonkeyPatch):
    def broken(workspace: object, what: str) -> str:
        raise RuntimeError("injected")

    monkeypatch.setattr("benchbias.cli.showing.listing", broken)
    told = call("ls", "suites")
    assert (told.code, told.out) == (70, "")
    assert "Traceback" in told.err
    assert "RuntimeError: injected" in told.err
    assert "bug in benchbias" in told.err
    assert "--version" in told.err


# what is printed


@pytest.mark.parametrize(
    ("given", "seeds", "told"),
    [
        (("--seed", "3"), {3}, ""),
        (("--seed", "0"), {0}, ""),
        (("--seeds", "3"), {0, 1, 2}, "--seeds 3: the seeds 0 to 2 (--seed 3 is the seed 3 alone)\n"),
        (("--seeds", "1"), {0}, "--seeds 1: the seeds 0 (--seed 1 is the seed 1 alone)\n"),
        (("--seeds", "2-3"), {2, 3}, ""),
        (("--seeds", "0,7"), {0, 7}, ""),
    ],
)
def test_one_seed_is_no_number_of_seeds(call: Call, given: tuple[str, ...], seeds: set[int], told: str):
    found = call("status", "-s", "smoke", "-m", "erm", *given)
    assert {int(line.rpartition("/erm/")[2]) for line in found.out.splitlines() if "/erm/" in line} == seeds
    assert found.err == told


def test_no_arguments_are_the_help(call: Call):
    assert call().code == 2
    assert call().err.startswith("Usage: benchbias ")


def test_the_help_names_every_documented_exit_code(call: Call):
    codes = re.findall(r"^\| (\d+) \|", (DOCS / "exit-codes.md").read_text(), re.MULTILINE)
    last = " ".join(call("--help").out.split("Exit codes: ")[1].split())
    assert re.findall(r"(?:^|; )(\d+) ", last) == codes


def test_bash_completes_verbs_and_options():
    command, bash = shutil.which("benchbias", path=str(Path(sys.executable).parent)), shutil.which("bash")
    if command is None or bash is None:
        pytest.skip("no bash here, or no installed command")
    for words, wanted in ((("pl",), {"plan"}), (("run", "--see"), {"--seed", "--seeds"})):
        script = (
            'source <("$0" --show-completion bash); COMP_WORDS=(benchbias "$@"); COMP_CWORD=$#; '
            '_benchbias_completion "$0"; echo "${COMPREPLY[@]}"'
        )
        done = subprocess.run([bash, "-c", script, command, *words], capture_output=True, text=True, check=True)
        assert set(done.stdout.split()) == wanted, done.stderr


def test_reading_verbs_make_nothing(call: Call):
    for arguments in (("plan", "-s", "smoke"), ("status", "-s", "smoke"), ("ls",), ("show", "smoke")):
        assert call(*arguments).code == 0
    told = call("logs", "colored-digits-tiny/erm/0", "-s", "smoke")
    assert told.code == 0
    assert "not done" in told.out
    assert not list(Path.cwd().iterdir())


def test_status_of_an_empty_folder_is_that_all_is_missing(call: Call, tmp_path: Path):
    told = call("status", "-s", "smoke", "-o", str(tmp_path))
    assert (told.code, told.err) == (0, "")
    assert f"{SMOKE_TRIALS} missing" in told.out
    assert told.out.count("  missing  ") == SMOKE_TRIALS


def test_status_and_plan_of_a_finished_folder(call: Call, smoke: Path):
    assert f"{SMOKE_TRIALS} done" in call("status", "-s", "smoke", "-o", str(smoke)).out
    found = json.loads(call("plan", "-s", "smoke", "-o", str(smoke), "--json").out)
    assert found["stages"]["cached"] == found["stages"]["total"] == len(committed(smoke))
    assert found["dense_runs_left"] == 0


def test_a_plan_says_the_seeds_that_five_points_need(call: Call, smoke: Path, monkeypatch: pytest.MonkeyPatch):
    told = call("plan", "-s", "smoke", "-o", str(smoke)).out
    assert "no finished runs here show how many a difference of 5 points would need" in told, "two seeds say too little"
    monkeypatch.chdir(ROOT)
    told = call("plan", "-s", "spurious-small", "-o", str(smoke / "none")).out
    assert "seeds for a difference of 5 points in worst group accuracy" in told
    assert "(from 300 records of leaderboard)" in told
    found = json.loads(call("plan", "-s", "spurious-small", "-o", str(smoke / "none"), "--json").out)
    numbers = found["seeds_needed"]["tasks"]["colored-digits"]
    assert 3 <= numbers["alone"] < numbers["together"]


def test_json_is_all_that_stands_on_standard_output(call: Call, smoke: Path, tmp_path: Path):
    told = call("plan", "-s", "smoke", "--json")
    found = json.loads(told.out)
    assert (told.code, told.err, found["trials"]) == (0, "", SMOKE_TRIALS)
    kinds = {kind: count for kind, count in found["stages"].items() if kind not in ("total", "cached")}
    assert sum(kinds.values()) == found["stages"]["total"] == len(committed(smoke))
    out = shutil.copytree(smoke, tmp_path / "copy")
    told = call("run", "-s", "smoke", "-o", str(out), "--json")
    assert (told.code, json.loads(told.out)["trials"]["ok"]) == (0, SMOKE_TRIALS)


def test_a_pipe_gets_plain_lines(cli: Cli, smoke: Path, tmp_path: Path):
    out = shutil.copytree(smoke, tmp_path / "copy")
    env = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    for arguments in (("run", "-s", "smoke", "-o", str(out), "-v"), ("run", "--help"), ("run", "-s", "smok")):
        done = cli(*arguments, env=env)
        assert done.stdout or done.stderr
        text = done.stdout + done.stderr
        assert not [c for c in text if not c.isprintable() and c != "\n"]
    done = cli("run", "-s", "smoke", "-o", str(out))
    assert done.stdout.startswith("# Smoke test")
    assert (
        done.stderr.splitlines()[0] == f"smoke: {SMOKE_TRIALS} trials, {len(committed(smoke))} stages cached, 0 to run"
    )


def test_a_reader_that_goes_away_is_no_error(smoke: Path):
    """As in `benchbias ls components | head -1`."""
    command = [sys.executable, "-m", "benchbias", "ls", "components"]
    child = subprocess.Popen(command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.close()
    assert child.stderr is not None
    errors = child.stderr.read()
    child.wait(60)
    child.stderr.close()
    assert errors == ""


# sample images


def test_show_image_writes_a_row_of_samples_for_each_group(cli: Cli, tmp_path: Path):
    from PIL import Image

    done = cli("show", "colored-digits-tiny", "--image", "sheet.png", "-o", "results", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("row ")]
    assert ["0/red" in rows[0], "0/green" in rows[1], "1/red" in rows[2], "1/green" in rows[3]] == [True] * 4
    assert [line.endswith("conflicting") for line in rows] == [False, True, True, False]
    with Image.open(tmp_path / "sheet.png") as image:
        image.load()
        sheet = image.convert("RGB")
    border, tile = 4, 6 * 8  # pictures of 8 x 8, six times as large
    names = sheet.width - border - 12 * (tile + border)  # pixels of the names at the left
    assert names > 50
    assert sheet.height == 4 * (tile + border) + border
    for row, line in enumerate(rows):
        top = row * (tile + border) + border
        red, green = 0, 0
        for column in range(12):
            left = names + column * (tile + border)
            corner = sheet.getpixel((left + 1, top + 1))  # ground, not ink
            red, green = red + corner[0], green + corner[1]
        assert ("/red" in line) == (red > 2 * green), line
        assert ("/green" in line) == (green > 2 * red), line
    assert sheet.getpixel((0, 0)) == (255, 255, 255)


def test_a_row_of_the_sheet_may_be_a_class_and_the_sheet_narrow(call: Call, smoke: Path, tmp_path: Path):
    from PIL import Image

    out, path = shutil.copytree(smoke, tmp_path / "copy"), tmp_path / "sheet.png"
    show = ("show", "colored-digits-tiny", "-o", str(out))
    done = call(*show, "--image", str(path), "--by", "class", "--width", "300")
    assert [line.split(", ")[0] for line in done.out.splitlines() if line.startswith("row ")] == [
        "row 1: class 0",
        "row 2: class 1",
    ]
    with Image.open(path) as image:
        assert image.width <= 300
    assert "unknown kind of row 'pixel' (known: class, group)" in call(*show, "--image", str(path), "--by", "pixel").err
    told = call(*show, "--by", "class")
    assert (told.code, told.err) == (2, "benchbias: --by and --width go with --image FILE\n")


@pytest.mark.parametrize("name", ["sheet.jpg", "sheet", "absent/sheet.png"])
def test_an_image_that_cannot_be_written_is_one_line(call: Call, smoke: Path, tmp_path: Path, name: str):
    out = shutil.copytree(smoke, tmp_path / "copy")
    told = call("show", "colored-digits-tiny", "--image", name, "-o", str(out))
    assert told.code in (2, 4), told.err
    assert len(told.err.splitlines()) == 1
    assert name in told.err
    assert not list(Path.cwd().iterdir())


# interruptions


@pytest.mark.slow
def test_an_interrupted_run_ends_at_once_and_goes_on_later(smoke: Path, tmp_path: Path, cli: Cli):
    out = tmp_path / "results"
    for number in (signal.SIGINT, signal.SIGTERM):
        before = claims(out)
        runner = start(out, "-j", "2")
        assert wait_for_claims(out, len(before) + 3, runner)
        runner.send_signal(number)
        printed, errors = runner.communicate(timeout=60)
        assert runner.returncode == 130
        assert printed == ""
        assert errors.splitlines() == ["benchbias: interrupted; what is finished is kept, run again to go on"]
        assert survivors(out) == {}
        assert len(committed(out)) < len(committed(smoke))
    kept = committed(out)
    assert kept
    done = cli("run", "-s", "smoke", "-o", str(out), "-j", "2", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["stages"] == {
        "cached": len(kept),
        "computed": len(committed(smoke)) - len(kept),
        "failed": 0,
    }
    assert tree(out) == tree(smoke)


def test_an_interruption_before_anything_runs_is_one_line_too(smoke: Path, tmp_path: Path):
    """While torch is still being imported by the engine."""
    out = tmp_path / "results"
    runner = start(out, "-j", "2")
    end = time.monotonic() + 60
    while not list(out.glob("plans/*.json")) and time.monotonic() < end:
        time.sleep(0.005)
    os.kill(runner.pid, signal.SIGINT)
    _, errors = runner.communicate(timeout=60)
    assert runner.returncode == 130
    assert len(errors.splitlines()) == 1
    assert survivors(out) == {}


CLAIM = """schema = 1
[claims.mine]
says = "Plain training beats random pruning"
suite = "SUITE"
row = "erm"
other = "random[sparsity=0.5]"
metric = "accuracy"
expects = "higher"
written = "before its seeds"
"""


def test_ones_own_claims_are_answered_from_a_results_folder_and_mistakes_are_one_message(
    call: Call, smoke: Path
) -> None:
    Path("mine.toml").write_text(CLAIM.replace("SUITE", "smoke"))
    found = call("claims", "mine.toml", "-o", str(smoke))
    assert found.code == 0, found.err
    assert "| mine " in found.out
    assert "(n = 2)" in found.out
    whole = json.loads(call("claims", "mine.toml", "-o", str(smoke), "--json").out)
    assert whole["claims"][0]["verdict"] in ("supported", "refuted", "equivalent", "unresolved")
    assert json.loads(call("claims", "mine.toml", "-o", "none", "--json").out)["claims"][0]["verdict"] == "not run"
    Path("other.toml").write_text(CLAIM.replace("SUITE", "smok"))
    for arguments in (("none.toml",), ("other.toml",), ("mine.toml", "--records", "none")):
        refused = call("claims", *arguments)
        assert refused.code == 2, arguments
        assert refused.is_one_message, arguments
