"""Runs beside one another: who is waited for, for how long, and what may hold a claim.

Claims end with the process that computes, whatever that process was given to run; whoever holds one for too long is not
waited for; a worker or an engine that was stopped is ended. No clock of another machine counts.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchbias.engine import local
from benchbias.engine.local import EngineError
from benchbias.plan.trials import Plan, Selection
from benchbias.runner.launch import RunOptions, run_suite
from benchbias.runner.reporter import Silent
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store
from support import ROOT
from support.killing import engines, survivors
from support.running import tree
from support.warm import Server

Cli = Callable[..., subprocess.CompletedProcess[str]]

LINGERING = """
import os, time
from pathlib import Path
from benchbias import hookimpl

NOTE = Path({note!r})

def lingering(model, data, context):
    if NOTE.exists():  # the second time it only trains
        return
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            NOTE.with_suffix(".new").write_text(str(os.getpid()))
            NOTE.with_suffix(".new").rename(NOTE)
            time.sleep(600)
        os._exit(0)
    time.sleep(600)

@hookimpl
def benchbias_trainers():
    return {{"lingering": lingering}}
"""

HOLDER = """
import sys, time
from pathlib import Path
from benchbias.store.store import Store
with Store(Path(sys.argv[1])).claim(sys.argv[2]) as mine:
    print(mine, flush=True)
    time.sleep(600)
"""

ONE = ("-m", "erm", "--seeds", "1", "-j", "1")


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Workspace.open(quiet=True).plan("smoke", Selection(methods=["erm"], seeds=1))


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def awaited(path: Path) -> str:
    """The text of a file, once it is there."""
    end = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < end, f"{path} does not come"
        time.sleep(0.01)
    return path.read_text()


@contextlib.contextmanager
def held(store: Store, key: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the claim of a stage."""
    command = [sys.executable, "-c", HOLDER, str(store.root), key]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "True"
        yield child
    finally:
        child.kill()
        child.communicate()


def test_what_a_component_leaves_behind_holds_no_claim(tmp_path: Path, server: Server, cli: Cli):
    """A daemon that a trainer has forked outlives the engine, and no run waits for it."""
    out, note = tmp_path / "results", tmp_path / "daemon"
    (tmp_path / "lingering.py").write_text(LINGERING.format(note=str(note)))
    command = ("run", "-s", "smoke", "-m", "lingering", "--seeds", "1", "-j", "1", "-q", "-o", str(out))
    plugin = ("--plugin", str(tmp_path / "lingering.py"))
    runner = server.start(*command, *plugin)
    daemon = int(awaited(note))
    try:
        os.kill(engines(out)[0], signal.SIGKILL)  # as for lack of memory: nobody is left to end the daemon
        assert runner.wait(60) == 1
        assert alive(daemon), "nothing was left behind"
        stores = [path.name for path in (out / "claims").iterdir() if Store(out).claimed(path.name)]
        assert stores == []
        done = cli(*command, *plugin, "--timeout", "30", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert alive(daemon)
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_a_claim_that_is_held_for_longer_than_the_time_out_is_passed_over(
    smoke: Path, tmp_path: Path, cli: Cli, plan: Plan
):
    """Its holder is stopped, as by SIGSTOP or in a debugger, and never goes on."""
    store = Store(tmp_path / "results").create()
    key = next(key for key, stage in plan.stages.items() if stage.kind == "train")
    with held(store, key) as holder:
        holder.send_signal(signal.SIGSTOP)
        done = cli("run", "-s", "smoke", *ONE, "-q", "-o", str(store.root), "--timeout", "3", cwd=tmp_path)
        assert done.returncode == 0
        (line,) = done.stderr.splitlines()
        assert all(word in line for word in ("train erm, seed 0", f"process {holder.pid}", "stopped", "computed here"))
    was, now = tree(smoke), tree(store.root)
    assert all(now[name] == was[name] for name in now if name.startswith(("objects", "blobs", "records")))
    assert store.keys() == plan.stages.keys()


@pytest.mark.slow
def test_a_stopped_worker_is_ended_at_its_time_out(tmp_path: Path, server: Server):
    out, note = tmp_path / "results", tmp_path / "worker"
    (tmp_path / "stopping.py").write_text(
        "import os, signal\nfrom pathlib import Path\nfrom benchbias import hookimpl\n"
        "def stopping(model, data, context):\n    os.kill(os.getpid(), signal.SIGSTOP)\n"
        "@hookimpl\ndef benchbias_trainers():\n    return {'stopping': stopping}\n"
    )
    command = ("run", "-s", "smoke", "-m", "stopping", "--seeds", "1", "--plugin", str(tmp_path / "stopping.py"))
    done = server.call(*command, "-q", "-o", str(out), "--timeout", "4", cwd=tmp_path)
    assert done.returncode == 1
    assert "it was stopped after" in done.stderr
    assert survivors(out) == {}
    assert not note.exists()


@pytest.mark.slow
def test_a_stopped_engine_is_ended_after_the_time_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It is the one who would end a stage at its time-out."""
    monkeypatch.setattr(local, "STALL_SECONDS", 1.0)
    out = tmp_path / "results"

    class Stopping(Silent):
        """Stops the engine when the first stage has ended."""

        def stage(self, *rest: object) -> None:
            os.kill(engines(out)[0], signal.SIGSTOP)

    options = RunOptions(out=out, jobs=1, timeout=2.0)
    with pytest.raises(EngineError, match="was stopped, or hangs"):
        run_suite(Workspace.open(quiet=True), "smoke", Selection(methods=["erm"], seeds=1), options, Stopping())
    assert survivors(out) == {}
    assert not list(out.glob("attempts/*/*.json")), "it was noted as a failure of a stage"


def test_claims_of_other_machines_and_files_of_other_times_decide_nothing(
    smoke: Path, tmp_path: Path, cli: Cli, plan: Plan
):
    """What a claim says is for readers: it may be of a host that we cannot ask, ten years from now, or nonsense."""
    store = Store(tmp_path / "results").create()
    texts = [
        json.dumps({"pid": 1, "host": "elsewhere", "since": "2036-01-01 00:00:00"}),
        json.dumps({"pid": 1, "host": "elsewhere", "since": "1999-01-01 00:00:00"}),
        json.dumps({"pid": "x", "host": ["\x1b[2J"], "since": None}),
        *("", "{", "x" * 100_000),
    ]
    for number, key in enumerate(plan.stages):
        path = store.root / "claims" / key
        path.write_text(texts[number % len(texts)])
        os.utime(path, (2e9, 2e9))
    for path in store.root.iterdir():
        os.utime(path, (1e8, 1e8))
    done = cli("run", "-s", "smoke", *ONE, "-q", "-o", str(store.root), "--timeout", "60", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    was, now = tree(smoke), tree(store.root)
    assert all(now[name] == was[name] for name in now if name.startswith(("objects", "blobs", "records")))


@pytest.mark.parametrize("text", ["", "{", '{"pid":"x","host":"h","since":"s"}', "[]", '{"pid":true}', "\xff"])
def test_a_holder_that_cannot_be_read_is_another_process(tmp_path: Path, text: str):
    store = Store(tmp_path / "results").create()
    (store.root / "claims" / ("a" * 64)).write_text(text)
    assert store.holder("a" * 64) == "another process"


def test_a_holder_is_told_with_its_machine_and_the_dead_are_not(tmp_path: Path):
    store, key = Store(tmp_path / "results").create(), "a" * 64
    with held(store, key) as holder:
        assert f"process {holder.pid} on {os.uname().nodename}, since 20" in store.holder(key)
    assert store.holder(key) == "another process"
    (store.root / "claims" / key).write_text(json.dumps({"pid": 4, "host": "elsewhere\n", "since": "long ago"}))
    assert store.holder(key) == "process 4 on elsewhere , since long ago by its clock"


def clocks(source: str) -> list[str]:
    """Calls by which a source asks for the time of day."""
    asked = {
        "time.time",
        "time.time_ns",
        "time.localtime",
        "time.gmtime",
        "time.strftime",
        "datetime.now",
        "date.today",
    }
    calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        call for call in calls if any(f".{call}".endswith(f".{name}") for name in asked) and call != "datetime.time"
    ]


def test_no_time_of_day_is_asked_for_but_to_be_shown():
    """So none can be compared with another machine's. Raw files are hashed again while they are young: no more."""
    assert clocks("import time\nwhile time.time() < end: pass") == ["time.time"]
    found = {str(path.relative_to(ROOT)): clocks(path.read_text()) for path in (ROOT / "benchbias").rglob("*.py")}
    assert {name: calls for name, calls in found.items() if calls} == {
        "benchbias/store/claims.py": ["time.strftime"],
        "benchbias/data/reading/raw_files.py": ["time.time"],
        "benchbias/runner/merging.py": ["datetime.now"],  # the day on which records are published
        "benchbias/finished/measuring.py": ["datetime.now"],  # the day on which milliseconds are measured
    }
