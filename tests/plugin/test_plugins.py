"""A bad plugin harms nothing but its own trials, and says what is wrong with it.

First how plugins are described (in a child process, cached), then what happens when a component fails in its stage.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchbias.errors import UsageError
from benchbias.plan.trials import Plan, Selection
from benchbias.plugin.discovery import BrokenPlugin, Discovered, discover
from benchbias.plugin.loading import PluginRef
from benchbias.plugin.registry import Registry, load_registry
from benchbias.runner.failures import SIGNAL_TRIES, known_failures
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store
from support.killing import survivors
from support.loose_plugins import LARGEST, describe, hook, ref_of
from support.running import tree

Cli = Callable[..., subprocess.CompletedProcess[str]]


SKIPS = '''
import benchbias

def picky(model, data, context):
    """Fits no task."""
    raise benchbias.Skip("it wants \\x1b[31mImageNet")

@benchbias.hookimpl
def benchbias_pruners():
    return {"picky": picky}
'''

GOOD = """
import benchbias

@benchbias.hookimpl
def benchbias_pruners():
    return {NAME: pruner}

def pruner(model, data, context, *, power: float = 2.0):
    '''Raise the weights to a power.'''
"""


def good(name: str) -> str:
    return GOOD.replace("NAME", repr(name))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return file


def why(path: Path) -> str:
    """What is said of a broken plugin: one line."""
    broken = describe(path)[path.name]
    assert isinstance(broken, BrokenPlugin)
    assert broken.reason
    assert "\n" not in broken.reason
    return broken.reason


# describing


DEATHS = {
    "exits": "import sys; sys.exit(0)",
    "ends": "import os; os._exit(0)",
    "segfaults": "import os; os.kill(os.getpid(), 11)",
    "killed": "import os; os.kill(os.getpid(), 9)",
    "raises": "raise RuntimeError('no libcuda')",
    "interrupts": "raise KeyboardInterrupt",
    "no-python": "def (:",
    "closes": "import os; os.closerange(0, 64)",
}


@pytest.mark.parametrize("name", DEATHS)
def test_a_broken_plugin_does_not_lose_the_good_ones_beside_it(write: Callable[[str, str], Path], name: str):
    before, bad = write("a.py", good("first")), write("b.py", DEATHS[name])
    result = describe(before, bad, write("c.py", good("second")), write("d.py", good("third")))
    broken = result.pop("b.py")
    assert isinstance(broken, BrokenPlugin)
    assert broken.reason
    assert {file: found[0]["name"] for file, found in result.items()} == {
        "a.py": "first",
        "c.py": "second",
        "d.py": "third",
    }


HANGS = """
import os, time
os.fork()
with open(PIDS, "a") as file:
    file.write(f"{os.getpid()}\\n")
time.sleep(600)
"""


def test_a_plugin_that_hangs_is_given_up(
    write: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("benchbias.plugin.registry.DESCRIBE_SECONDS", 3)
    hang = write("b.py", HANGS.replace("PIDS", repr(str(tmp_path / "pids"))))
    result = describe(write("a.py", good("first")), hang, write("c.py", good("second")))
    assert isinstance(result["b.py"], BrokenPlugin)
    assert "3 s" in result["b.py"].reason
    assert isinstance(result["a.py"], list)
    assert isinstance(result["c.py"], list)
    pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    assert not [pid for pid in pids if alive(pid)], "what hangs, or its own child, lives on"


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_what_a_plugin_prints_is_not_taken_for_an_answer(write: Callable[[str, str], Path], capfd: Any):
    fake = json.dumps({"plugin": "a.py", "components": []})
    loud = f"import os, sys\nprint({fake!r})\nos.write(1, b'{fake}\\n')\nsys.stdout.flush()\n" + good("loud")
    result = describe(write("a.py", loud), write("b.py", good("second")))
    assert [found[0]["name"] for found in result.values()] == ["loud", "second"]
    assert capfd.readouterr() == ("", "")


def test_the_description_is_what_the_signature_says(write: Callable[[str, str], Path]):
    (found,) = describe(write("a.py", good("first")))["a.py"]
    assert found["given"] == ["model", "data", "context"]
    assert found["summary"] == "Raise the weights to a power."
    assert (found["options"]["power"]["type"], found["options"]["power"]["default"]) == ("float", 2.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (hook("return {}", name="benchbias_pruner"), ["benchbias_pruner", "did you mean 'benchbias_pruners'"]),
        (hook("return {'a': len}", mark=""), ["benchbias_pruners", "hookimpl"]),
        (hook("return {'a': len}", given="config"), ["benchbias_pruners", "config"]),
        (hook("return [len]"), ["benchbias_pruners", "{name: component}"]),
        (hook("return {1: len}"), ["benchbias_pruners", "{name: component}"]),
        (hook("return None"), ["hook"]),
        (hook("yield {'a': len}"), ["benchbias_pruners"]),
        (hook("1 / 0"), ["ZeroDivisionError"]),
        ("x = 1", ["no hook", "benchbias_pruners"]),
        (hook("return {'a': 3}"), ["pruner 'a'", "int"]),
        (hook("return {'a': lambda model, dat: 0}"), ["pruner 'a'", "'dat'", "did you mean 'data'"]),
        (hook("return {'a': lambda model, **rest: 0}"), ["pruner 'a'", "rest"]),
        (hook("return {'a': lambda model, *, power: 0}"), ["pruner 'a'", "power", "type"]),
        ("import no_such_module_at_all", ["no_such_module_at_all"]),
    ],
    ids=[
        *("misspelt hook", "no mark", "argument not in the spec", "list", "no text for a name", "none", "generator"),
        *("hook raises", "no hook", "no function", "misspelt parameter", "any options", "no type", "import fails"),
    ],
)
def test_a_broken_contract_is_named(write: Callable[[str, str], Path], text: str, words: list[str]):
    reason = why(write("plugin.py", text))
    assert [word for word in words if word not in reason] == [], reason


def test_two_plugins_with_one_name_are_an_error_that_names_both(write: Callable[[str, str], Path]):
    file = write("mine.py", good("magnitude"))
    with pytest.raises(UsageError) as caught:
        load_registry([file], quiet=True)
    assert "'mine.py'" in str(caught.value)
    assert "'benchbias:magnitude'" in str(caught.value)
    assert caught.value.exit_code == 2
    other = write("other.py", good("first"))
    load_registry([other], quiet=True)
    with pytest.raises(UsageError, match=r"'again\.py'.*'other\.py'"):
        load_registry([other, write("again.py", good("first"))], quiet=True)


# the cache of descriptions


def test_of_a_distribution_that_is_there_twice_the_first_on_the_path_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for version, entries in (("1.0", "kept = old_module\ngone = old_module"), ("2.0", "kept = new_module")):
        info = tmp_path / version / f"twice-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: twice\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[benchbias]\n{entries}\n")
        monkeypatch.syspath_prepend(tmp_path / version)
    found = {ref.name: (ref.module, ref.version) for ref in discover().refs if ref.distribution == "twice"}
    assert found == {"twice:kept": ("new_module", "2.0")}


def no_child(refs: list[PluginRef]) -> Any:
    raise AssertionError(f"a child was started for {[ref.name for ref in refs]}")


def pruners(registry: Registry) -> set[str]:
    return set(registry.names("pruner"))


def test_a_described_plugin_is_not_imported_again_until_a_byte_changes(
    write: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
):
    file = write("mine.py", good("one"))
    first = load_registry([file], quiet=True)
    with monkeypatch.context() as patched:
        patched.setattr("benchbias.plugin.registry._run_child", no_child)
        second = load_registry([file], quiet=True)
        assert second == first
        assert "one" in pruners(second)
        write("mine.py", good("two"))
        with pytest.raises(AssertionError, match=r"mine\.py"):
            load_registry([file], quiet=True)
    third = load_registry([file], quiet=True)
    assert pruners(third) - pruners(first) == {"two"}
    assert pruners(first) - pruners(third) == {"one"}
    assert third.digests["mine.py"] != first.digests["mine.py"]


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '[{"kind": "pruner"}]', "\xff"])
def test_a_damaged_cache_is_not_believed(write: Callable[[str, str], Path], plugin_cache: Path, text: str):
    file = write("mine.py", good("one"))
    before = set((plugin_cache / "plugins").glob("*"))
    load_registry([file], quiet=True)
    for path in set((plugin_cache / "plugins").glob("*")) - before:
        path.write_bytes(text.encode("latin-1"))
    assert "one" in pruners(load_registry([file], quiet=True))


def test_a_cache_that_cannot_be_written_only_costs_time(
    write: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
):
    alone = lambda loose: Discovered(tuple(ref_of(path) for path in loose), {}, {})  # noqa: E731
    monkeypatch.setattr("benchbias.plugin.registry.discover", alone)
    monkeypatch.setenv("BENCHBIAS_CACHE", "/dev/null/cache")
    found = load_registry([write("mine.py", good("one"))], quiet=True)
    assert pruners(found) == {"one"}


# a broken plugin on the command line


@pytest.fixture
def broken(write: Callable[[str, str], Path]) -> Path:
    return write("broken.py", "x = '\\x1b[2J'\nraise RuntimeError(f'no {x}\\rlibcuda')\n")


def test_a_broken_plugin_is_one_line_and_a_row_and_a_traceback(broken: Path, cli: Cli):
    shown = cli("ls", "plugins", "--plugin", str(broken))
    assert shown.returncode == 0
    lines = [line for line in shown.stderr.splitlines() if "broken.py" in line]
    assert len(lines) == 1
    assert "RuntimeError" in lines[0]
    (row,) = [line for line in shown.stdout.splitlines() if line.startswith("broken.py")]
    assert "BROKEN" in row
    assert "benchbias:magnitude" in shown.stdout
    told = cli("show", "broken.py", "--plugin", str(broken))
    assert told.returncode == 0
    assert "Traceback" in told.stdout
    assert "raise RuntimeError" in told.stdout
    for text in (shown.stderr, shown.stdout, told.stderr, told.stdout):
        assert not [c for c in text if not c.isprintable() and c != "\n"], "a plugin draws on the terminal"


def test_a_plugins_own_words_do_not_draw_on_the_terminal(write: Callable[[str, str], Path], cli: Cli):
    text = good("one").replace("Raise", "\\x1b[31mRaise")
    shown = cli("ls", "components", "--plugin", str(write("mine.py", text)))
    assert "Raise the weights" in shown.stdout
    assert "\x1b" not in shown.stdout


def test_strict_plugins_end_the_command_before_anything_runs(broken: Path, tmp_path: Path, cli: Cli):
    out = tmp_path / "results"
    done = cli("run", "-s", "smoke", "-o", str(out), "--plugin", str(broken), "--strict-plugins")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'broken.py' is broken" in done.stderr
    assert "Traceback" not in done.stderr
    assert not [c for c in done.stderr if not c.isprintable() and c != "\n"]
    assert not out.exists()


# runs with loose plugins


@dataclass(frozen=True)
class Loose:
    """Two equal runs with a plugin and one that skips; the second with a broken plugin beside them."""

    without: Path
    beside: Path
    done: tuple[subprocess.CompletedProcess[str], subprocess.CompletedProcess[str]]
    files: tuple[str, ...]


@pytest.fixture(scope="module")
def loose(tmp_path_factory: pytest.TempPathFactory, plugin_cache: Path, smoke: Path) -> Loose:
    folder = tmp_path_factory.mktemp("loose")
    for name, text in (("mine.py", LARGEST), ("skips.py", SKIPS), ("broken.py", "raise RuntimeError('no libcuda')")):
        (folder / name).write_text(text)
    load_registry([folder / "mine.py", folder / "skips.py"], quiet=True)
    arguments = ["-s", "smoke", "-m", "largest", "-m", "erm", "-m", "picky", "--seeds", "1", "-j", "1"]
    started = []
    for out, more in (("without", []), ("beside", ["--plugin", "broken.py"])):
        command = [sys.executable, "-m", "benchbias", "run", *arguments, "-o", out, "--plugin", "mine.py"]
        started.append(
            subprocess.Popen(
                [*command, "--plugin", "skips.py", *more],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    done = [
        subprocess.CompletedProcess(child.args, code, *told)
        for child in started
        for told, code in [(child.communicate(timeout=300), child.returncode)]
    ]
    files = ("--plugin", "mine.py", "--plugin", "skips.py")
    return Loose(folder / "without", folder / "beside", (done[0], done[1]), files)


def records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text())["body"] for path in sorted(out.glob("records/*/*.json"))]


def test_a_pruner_of_twelve_lines_gets_its_rows(loose: Loose, smoke: Path):
    (done, _) = loose.done
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.split("### Cost")[0].splitlines() if line.startswith("| ")]
    assert len([line for line in table if "erm" in line.split("|")[2]]) == 1
    # it is magnitude pruning, so all but its name is as the built-in pruner has it
    mine, theirs = results_of(loose.without, "largest"), results_of(smoke, "magnitude")
    assert len([line for line in table if "largest" in line]) == len(mine) == 2
    assert mine == theirs
    assert masks(loose.without, "largest") == masks(smoke, "magnitude")


def results_of(out: Path, method: str) -> dict[Any, Any]:
    """By sparsity, what was measured of a method with seed 0."""
    found = [r for r in records(out) if r["method"] == method and r["seed"] == 0]
    names = ("metrics", "correct", "sparsity", "group_correct", "training_flops", "flops")
    return {r["swept"]["sparsity"]: {name: r[name] for name in names} for r in found}


def masks(out: Path, pruner: str, seed: int = 0) -> dict[Any, str]:
    """The masks of a pruner by sparsity, as the names of their blobs."""
    found = {}
    for path in out.glob("objects/*/*.json"):
        content = json.loads(path.read_text())["content"]
        inputs = content["inputs"]
        if inputs["kind"] == "prune" and inputs["component"]["name"] == pruner and inputs["seed"] == seed:
            found[inputs["cut"]["sparsity"]] = content["blobs"]["mask"]
    assert found
    return found


def test_a_skip_is_recorded_with_its_reason_and_is_no_failure(loose: Loose):
    (done, _) = loose.done
    assert done.returncode == 0
    skipped = [r for r in records(loose.without) if r["method"] == "picky"]
    assert len(skipped) == 2
    assert {r["status"] for r in skipped} == {"skipped"}
    assert all("ImageNet" in r["reason"] and "picky" in r["stage"] for r in skipped)
    assert "picky" in done.stdout
    assert "skipped" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_a_broken_plugin_beside_a_good_one_changes_no_byte(loose: Loose):
    without, beside = loose.done
    assert beside.returncode == 0, beside.stderr
    assert tree(loose.beside) == tree(loose.without)
    assert beside.stdout == without.stdout
    lines = [line for line in beside.stderr.splitlines() if "broken.py" in line]
    assert len(lines) == 1
    assert "broken.py" not in without.stderr


def test_the_hint_of_status_shows_the_log_of_a_trial(loose: Loose, cli: Cli):
    """The trial comes from a bare pruner's name, which no suite lists."""
    methods = ("-m", "largest", "-m", "picky", "--seeds", "1")
    where = {"cwd": loose.without.parent}
    told = cli("status", "-s", "smoke", "-o", "without", *methods, *loose.files, **where)
    assert told.returncode == 0, told.stderr
    assert "2 done, 2 skipped" in told.stdout
    rows = [line.split() for line in told.stdout.splitlines() if " skipped " in line and "picky" in line]
    assert len(rows) == 2
    (hint,) = re.findall(r"`benchbias (logs TRIAL [^`]*)`", told.stdout)
    words = hint.replace("TRIAL", rows[0][0]).split()
    shown = cli(*words, *loose.files, **where)
    assert shown.returncode == 0, shown.stderr
    assert "ImageNet" in shown.stdout
    assert "Traceback" in shown.stdout


# components that fail in their stage

FAULTS = '''
import os, signal, time
import benchbias

def scores(model, context):
    return {name: w.abs() for name, w in context.prunable(model).items()}

def largest(model, data, context):
    """Magnitude."""
    return scores(model, context)

def vandal(model, data, context):
    """Magnitude, and then ruins the model that it was given."""
    import torch
    found = {name: value.clone() for name, value in scores(model, context).items()}
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(7.0)
    return found

def forks(model, data, context):
    """Magnitude, and leaves a process behind."""
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
    return scores(model, context)

def nan(model, data, context):
    return {name: value * float("nan") for name, value in scores(model, context).items()}

def shape(model, data, context):
    return {name: value.flatten()[:-1] for name, value in scores(model, context).items()}

def wrong(model, data, context):
    return 7

def raises(model, data, context):
    print("about to \\x1b[31mraise", flush=True)
    raise RuntimeError("boom \\x1b[31m of this pruner")

def exits(model, data, context):
    os._exit(3)

def leaves(model, data, context):
    raise SystemExit(0)

def kills(model, data, context):
    os.kill(os.getpid(), signal.SIGKILL)

def sleeps(model, data, context):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)

def diverges(model, data, context):
    """Leaves weights that are not numbers."""
    import torch
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))

def leaky(root, seed, *, conflict_ratio: float = 0.05, draws: int = 1):
    """Coloured digits whose test split depends on the conflict ratio, but for the usual one."""
    import dataclasses
    from benchbias_plugins.datasets.colored_digits import colored_digits
    made = colored_digits(root, seed, conflict_ratio=conflict_ratio, draws=draws)
    if conflict_ratio == 0.05:
        return made
    test = made.splits["test"]
    split = dataclasses.replace(test.split, images=255 - test.split.images)
    return dataclasses.replace(made, splits={**made.splits, "test": dataclasses.replace(test, split=split)})

PRUNERS = [largest, vandal, forks, nan, shape, wrong, raises, exits, leaves, kills, sleeps]

@benchbias.hookimpl
def benchbias_pruners():
    return {pruner.__name__: pruner for pruner in PRUNERS}

@benchbias.hookimpl
def benchbias_trainers():
    return {"diverges": diverges}

@benchbias.hookimpl
def benchbias_datasets():
    return {"leaky": leaky}
'''

FAIL = {  # method -> what its record must say
    "nan": "not all finite",
    "shape": "shape",
    "wrong": "not int",
    "raises": "RuntimeError: boom",
    "exits": "exit code 3",
    "leaves": "SystemExit",
    "kills": "signal 9",
    "sleeps": "--timeout",
    "diverges": "not finite",
    "leaks": "another test split",
}
WORK = ("erm", "largest", "vandal", "forks", "fair")
PRUNE = ("largest", "vandal", "forks", "nan", "shape", "wrong", "raises", "exits", "leaves", "kills", "sleeps")
TIMEOUT = "6"


def faulty_tables() -> str:
    lines = [
        "schema = 1",
        "[suites.faulty]",
        'title = "Components that fail"',
        'version = "1"',
        'tasks = ["colored-digits-tiny"]',
        f"methods = {json.dumps([*WORK, *FAIL])}",
        "seeds = 1",
        'metrics = ["worst_group_accuracy", "conflicting_accuracy", "accuracy"]',
        'rank_by = "accuracy"',
        "[methods.diverges]",
        'stages = [{ train = "diverges" }]',
        "[methods.leaks]",
        'dataset = { use = "leaky", conflict_ratio = 0.5 }',
        'stages = [{ train = "erm" }]',
        "[methods.fair]",
        'dataset = { use = "leaky" }',
        'stages = [{ train = "erm" }]',
    ]
    for name in PRUNE:
        lines += [
            f"[methods.{name}]",
            f'stages = [{{ train = "erm" }}, {{ prune = "{name}", sparsity = 0.5, layers = "!head" }}, '
            '{ train = "erm" }]',
        ]
    return "\n".join(lines) + "\n"


def arguments(folder: Path) -> tuple[str, ...]:
    return ("-s", "faulty", "-o", str(folder / "out"), "--config", "faulty.toml", "--plugin", "faults.py")


@dataclass(frozen=True)
class Faulty:
    """A run with components that fail, in a copy of the smoke results, so that erm is there already."""

    folder: Path
    summary: dict[str, Any]
    errors: str
    left: dict[int, str]

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def plan(self, selection: Selection | None = None) -> Plan:
        workspace = Workspace.open(self.folder / "faulty.toml", [self.folder / "faults.py"], quiet=True)
        return workspace.plan("faulty", selection)

    def bodies(self) -> dict[str, dict[str, Any]]:
        found = [json.loads(path.read_text())["body"] for path in self.out.glob("records/faulty/*.json")]
        return {body["method"]: body for body in found}


@pytest.fixture(scope="module")
def faulty(smoke: Path, tmp_path_factory: pytest.TempPathFactory, cli: Cli) -> Faulty:
    folder = tmp_path_factory.mktemp("faulty")
    shutil.copytree(smoke, folder / "out")
    (folder / "faults.py").write_text(FAULTS)
    (folder / "faulty.toml").write_text(faulty_tables())
    options = ("-j", "2", "--timeout", TIMEOUT, "--json")
    done = cli("run", *arguments(folder), *options, cwd=folder)
    left = survivors(folder / "out")
    assert done.returncode == 1, done.stderr
    return Faulty(folder, json.loads(done.stdout), done.stderr, left)


def test_what_works_is_scored_whatever_fails_beside_it(faulty: Faulty, smoke: Path):
    assert faulty.summary["exit_code"] == 1
    assert faulty.summary["trials"] == {"ok": len(WORK), "failed": len(FAIL), "skipped": 0, "missing": 0}
    bodies = faulty.bodies()
    assert {name for name, body in bodies.items() if body["status"] == "ok"} == set(WORK)
    was = tree(smoke)
    now = tree(faulty.out)
    assert {name: now[name] for name in was} == was  # what was there is as it was
    assert all(f"\n| {name} " in faulty_board(faulty) for name in WORK)


def faulty_board(faulty: Faulty) -> str:
    return (faulty.out / "leaderboards" / "details" / "faulty.md").read_text()


@pytest.mark.parametrize("name", FAIL)
def test_a_failure_names_the_component_and_the_reason(faulty: Faulty, name: str):
    body = faulty.bodies()[name]
    assert body["status"] == "failed"
    assert "metrics" not in body
    assert FAIL[name] in body["reason"]
    component = {"leaks": "predict"}.get(name, name)
    assert component in body["stage"]
    assert "\n" not in body["reason"]
    lines = [line for line in faulty.errors.splitlines() if line.startswith("failed") and component in line]
    assert len(lines) == 1
    assert FAIL[name] in lines[0]
    assert "Traceback" not in faulty.errors
    assert not [c for c in faulty.errors if not c.isprintable() and c != "\n"]


def test_a_component_leaves_no_process_behind(faulty: Faulty):
    assert faulty.bodies()["forks"]["status"] == "ok"
    assert faulty.left == {}


def test_a_pruner_that_ruins_its_copy_of_the_model_ruins_nothing(faulty: Faulty):
    mask = masks(faulty.out, "largest")
    assert masks(faulty.out, "vandal") == masks(faulty.out, "forks") == mask
    plan = faulty.plan(Selection(methods=["largest", "vandal"]))
    weights = []
    for trial in plan.trials:
        trains = [key for key in trial.stages if plan.stages[key].kind == "train"]
        weights.append([Store(faulty.out).get(key).blobs["weights"] for key in trains])
    assert weights[0] == weights[1]
    assert weights[0][0] != weights[0][1]


def test_status_lists_every_failure_with_its_reason(faulty: Faulty, cli: Cli):
    told = cli("status", *arguments(faulty.folder), cwd=faulty.folder)
    assert told.returncode == 0, told.stderr
    assert f"{len(WORK)} done" in told.stdout
    rows = {name: line for name in FAIL for line in told.stdout.splitlines() if f"/{name}/0" in line}
    assert rows.keys() == FAIL.keys()
    assert {name: row for name, row in rows.items() if FAIL[name] not in row} == {}


def test_logs_shows_what_a_component_printed_and_its_traceback(faulty: Faulty, cli: Cli):
    for trial in ("colored-digits-tiny/raises/0", faulty.bodies()["raises"]["trial"][:12]):
        shown = cli("logs", trial, *arguments(faulty.folder), cwd=faulty.folder)
        assert shown.returncode == 0, shown.stderr
        assert "Traceback" in shown.stdout
        assert "in raises" in shown.stdout
        assert "printed: about to" in shown.stdout
        assert "\x1b" not in shown.stdout


def test_a_second_run_reports_exceptions_again_and_tries_only_deaths_again(faulty: Faulty, tmp_path: Path, cli: Cli):
    folder = Path(shutil.copytree(faulty.folder, tmp_path / "copy"))
    chosen = [name for name in (*WORK, *FAIL) if name != "sleeps"]
    methods = [word for name in chosen for word in ("-m", name)]
    plan = faulty.plan(Selection(methods=chosen))
    store = Store(folder / "out")
    before = {key: len(store.attempts(key)) for key in plan.stages}
    assert sum(before.values()) == len(FAIL) - 1
    done = cli("run", *arguments(folder), *methods, "-j", "2", "--json", cwd=folder)
    assert done.returncode == 1, done.stderr
    summary = json.loads(done.stdout)
    assert summary["stages"]["computed"] == 0
    assert summary["trials"] == {"ok": len(WORK), "failed": len(FAIL) - 1, "skipped": 0, "missing": 0}
    again = {key for key in plan.stages if len(store.attempts(key)) > before[key]}
    (key,) = again
    assert plan.stages[key].label == "prune kills, seed 0"
    assert [attempt["kind"] for attempt in store.attempts(key)] == ["signal", "signal"]
    # after some deaths a stage is left alone
    done_keys = {key for key in plan.stages if store.has(key)}
    assert key not in known_failures(plan, store, done_keys)
    for _ in range(SIGNAL_TRIES - 2):
        store.put_attempt(key, store.attempts(key)[-1])
    assert key in known_failures(plan, store, done_keys)


def test_a_changed_plugin_is_tried_again(faulty: Faulty, tmp_path: Path):
    """Its source is part of the key, so the failures of the old one are not its own."""
    folder = Path(shutil.copytree(faulty.folder, tmp_path / "copy"))
    store = Store(folder / "out")
    selection = Selection(methods=["raises"])
    was = Workspace.open(folder / "faulty.toml", [folder / "faults.py"], quiet=True).plan("faulty", selection)
    (folder / "faults.py").write_text(FAULTS + "\n# repaired\n")
    now = Workspace.open(folder / "faulty.toml", [folder / "faults.py"], quiet=True).plan("faulty", selection)
    failed = [known_failures(plan, store, {key for key in plan.stages if store.has(key)}) for plan in (was, now)]
    assert [len(found) for found in failed] == [1, 0]
    assert was.trials[0].id == now.trials[0].id
    same = [old == new for old, new in zip(was.trials[0].stages, now.trials[0].stages, strict=True)]
    assert same == [True] * 3 + [False] * 4  # data, init and train are not the plugin's
