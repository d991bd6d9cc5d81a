"""A run is a function of its keys: not of jobs, order, place, time, the caller's environment, or what went before.

The oracle of most tests is one undisturbed run with one job (the fixture `smoke`): every other way to come to the
same results must give the same bytes.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchbias.plan.trials import Plan
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store
from benchbias.util import canonical
from support import ROOT
from support.killing import committed, engines, start, wait_for_claims
from support.markdown import undated
from support.running import SMOKE_TRIALS, tree
from support.warm import Server

Cli = Callable[..., subprocess.CompletedProcess[str]]

HOSTILE = {  # each changes the bytes of a stage that sees it, or would let threads do so
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "OMP_NUM_THREADS": "2",
    "MKL_NUM_THREADS": "2",
    "ATEN_CPU_CAPABILITY": "default",
    "PYTHONHASHSEED": "7",
    "TZ": "Asia/Kolkata",
    "LC_ALL": "C",
}

SHUFFLED = """
import json, sys
from pathlib import Path
from benchbias.runner.launch import RunOptions, run_suite
from benchbias.runner.workspace import Workspace
from benchbias.plan.trials import Selection

class Told:
    ended = []
    def begin(self, plan, cached, todo): self.planned = list(plan.stages)
    def stage(self, stage, outcome, seconds, detail): self.ended.append((stage.key, outcome))
    def end(self): pass
    def note(self, text): pass
    def warn(self, text): pass

told = Told()
options = RunOptions(out=Path(sys.argv[1]), jobs=2, shuffle=7)
results = run_suite(Workspace.open(quiet=True), "smoke", Selection(), options, told)
print(json.dumps({"code": results.exit_code, "ended": told.ended, "planned": told.planned}))
"""  # no main guard: multiprocessing would import it again

LIMITED = """
import sys, benchbias
results = benchbias.run("smoke", methods=["erm"], seeds=1, jobs=1, limit=40, out=sys.argv[1])
print(results.exit_code, len(results.records), results.board)
"""


def copied(smoke: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(smoke, tmp_path / "copy"))


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Workspace.open(quiet=True).plan("smoke")


def of_kind(plan: Plan, kind: str, component: str | None = None) -> list[str]:
    return [
        key
        for key, stage in plan.stages.items()
        if stage.kind == kind and component in (None, (stage.inputs.get("component") or {}).get("name"))
    ]


# the undisturbed run


def test_the_stages_of_the_plan_are_the_objects_of_the_store(smoke: Path, plan: Plan):
    assert committed(smoke) == set(plan.stages)
    # a seed: erm (and the identification of jtt), erm-ft, magnitude twice, random, jtt, rigl, rest
    assert (
        len(of_kind(plan, "train")) == 2 * 8 < sum(len(set(t.stages) & {*of_kind(plan, "train")}) for t in plan.trials)
    )
    assert {path.stem for path in smoke.glob("records/smoke/*.json")} == {trial.id for trial in plan.trials}


def test_every_stage_was_started_once_and_none_failed(smoke: Path, plan: Plan):
    assert sorted(path.stem for path in smoke.glob("measured/*/*.json")) == sorted(plan.stages)
    assert sorted(path.name for path in smoke.glob("claims/*")) == sorted([*plan.stages, "run"])
    for folder in ("attempts", "quarantine", "tmp"):
        assert not list((smoke / folder).iterdir())


def test_every_blob_is_named_by_an_object(smoke: Path):
    store = Store(smoke)
    named = {sha for key in committed(smoke) for sha in store.get(key).blobs.values()}
    assert named == {path.stem for path in smoke.glob("blobs/*/*.safetensors")}


def names(value: Any) -> set[str]:
    """All keys of a JSON document, at any depth."""
    if isinstance(value, dict):
        return set(value).union(*map(names, value.values()))
    return set().union(*map(names, value)) if isinstance(value, list) else set()


def test_nothing_tells_the_machine_the_user_the_place_or_the_time(smoke: Path):
    places = [str(smoke), str(smoke.parent), str(Path.cwd()), str(Path.home()), sys.prefix, str(ROOT)]
    words = [*places, socket.gethostname(), f"/{getpass.getuser()}/", "/tmp/", "/proc/"]
    words = [word.encode() for word in words if len(word) > 3]
    contents = tree(smoke)
    assert len(contents) > 60
    for name, content in contents.items():
        assert not [word for word in words if word in content], name
        assert not re.search(rb"\b20\d\d-[01]\d-[0-3]\d\b|\d\d:\d\d:\d\d", content), name
    keys = set().union(*(names(json.loads(c)) for name, c in contents.items() if name.endswith(".json")))
    assert {"seed", "metrics", "parents"} <= keys
    assert not keys & {"time", "date", "seconds", "host", "hostname", "user", "path", "pid", "jobs", "worker"}


def test_what_was_measured_tells_no_host_or_user(smoke: Path):
    for path in smoke.glob("measured/*/*.json"):
        text = path.read_text()
        assert "seconds" in text
        assert socket.gethostname() not in text or len(socket.gethostname()) < 4
        assert str(Path.home()) not in text


# other ways to the same results


@pytest.fixture(scope="module")
def shuffled(smoke: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A run by a script without a main guard, two jobs, in a random order; and what it told."""
    folder = tmp_path_factory.mktemp("shuffled")
    (folder / "script.py").write_text(SHUFFLED)
    done = subprocess.run([sys.executable, "script.py", "out"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "out", json.loads(done.stdout)


def test_two_jobs_in_another_order_from_a_bare_script_give_the_same_bytes(
    smoke: Path, shuffled: tuple[Path, dict[str, Any]]
):
    out, told = shuffled
    assert told["code"] == 0
    ended = [key for key, _ in told["ended"]]
    assert sorted(ended) == sorted(told["planned"])  # each stage once
    assert ended != told["planned"]
    assert tree(out) == tree(smoke)


def test_the_same_command_again_computes_nothing(shuffled: tuple[Path, dict[str, Any]], smoke: Path, cli: Cli):
    out, _ = shuffled
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    again = cli("run", "-s", "smoke", "-o", str(out), "-j", "2", "--json", cwd=out.parent)
    assert (again.returncode, again.stderr) == (0, "")
    summary = json.loads(again.stdout)
    assert summary["stages"] == {"cached": len(committed(smoke)), "computed": 0, "failed": 0}
    assert summary["trials"] == {"ok": SMOKE_TRIALS, "failed": 0, "skipped": 0, "missing": 0}
    assert tree(out) == tree(smoke)
    assert {path: path.stat().st_mtime_ns for path in before} == before  # nothing was even written again


def test_two_runs_at_once_in_one_folder_give_the_same_bytes(smoke: Path, tmp_path: Path, server: Server):
    out = tmp_path / "results"
    command = ("run", "-s", "smoke", "-o", str(out), "-q", "-j", "1", "--json")
    both = [server.start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    told = [runner.communicate(timeout=300) for runner in both]
    assert [runner.returncode for runner in both] == [0, 0], told
    stages = [json.loads(text)["stages"] for text, _ in told]
    assert all(found["computed"] > 10 for found in stages), "they did not run at the same time"
    assert all(found["cached"] + found["computed"] == len(committed(smoke)) for found in stages)
    assert tree(out) == tree(smoke)
    for folder in ("quarantine", "attempts", "tmp"):
        assert not list((out / folder).iterdir())


def test_what_is_missing_or_damaged_is_made_again(smoke: Path, tmp_path: Path, plan: Plan, cli: Cli):
    """A deleted object, a flipped byte of an object, and weights that are found damaged only when they are read."""
    out = copied(smoke, tmp_path)
    store = Store(out)
    train = next(key for key in of_kind(plan, "train") if plan.stages[key].inputs["seed"] == 0)
    readers = [key for key, stage in plan.stages.items() if train in stage.parents.values()]
    assert {plan.stages[key].kind for key in readers} >= {"prune", "predict", "train"}
    weights = store.blob_path(store.get(train).blobs["weights"])
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    for key in readers:
        store.object_path(key).unlink()
    score = next(key for key in of_kind(plan, "score") if plan.stages[key].inputs["seed"] == 1)
    text = store.object_path(score).read_text()
    store.object_path(score).write_text(text.replace("0", "1", 1))
    done = cli("run", "-s", "smoke", "-o", str(out), "-j", "2", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    computed = json.loads(done.stdout)["stages"]["computed"]
    assert computed == len(readers) + 2  # and the train stage, and the score
    assert tree(out) == tree(smoke)
    assert len(list((out / "quarantine").glob("damaged-*"))) == 2
    assert not list((out / "attempts").iterdir())
    told = cli("status", "-s", "smoke", "-o", str(out), cwd=tmp_path).stdout
    assert f"{SMOKE_TRIALS} done" in told
    assert "quarantine" in told


@dataclass(frozen=True)
class Repeated:
    """Everything computed again in a hostile environment, after one product was replaced by a false one."""

    out: Path
    summary: dict[str, Any]
    environment: dict[str, str]
    false: str


@pytest.fixture(scope="module")
def repeated(smoke: Path, tmp_path_factory: pytest.TempPathFactory, plan: Plan) -> Repeated:
    out = copied(smoke, tmp_path_factory.mktemp("repeated"))
    store = Store(out)
    false = of_kind(plan, "score")[-1]
    product = store.get(false)
    store.object_path(false).unlink()
    wrong = {**product.body, "train_conflicting_accuracy": 0.99}
    store.put(false, json.loads(canonical.dumps(plan.stages[false].inputs)), wrong, product.blobs)
    assert store.get(false).body == wrong
    for name in ("measured", "claims"):
        shutil.rmtree(out / name)
    runner = start(out, "-j", "2", "--rerun", "all", "--json", env=HOSTILE)
    assert wait_for_claims(out, 1, runner)
    raw = Path(f"/proc/{engines(out)[0]}/environ").read_bytes().decode()
    told, errors = runner.communicate(timeout=300)
    assert runner.returncode == 3, errors
    assert "not reproducible: score" in errors
    environment = dict(line.split("=", 1) for line in raw.split("\0") if "=" in line)
    return Repeated(out, json.loads(told), environment, false)


@pytest.mark.slow
def test_rerun_all_computes_everything_and_finds_only_the_false_product(repeated: Repeated, smoke: Path, plan: Plan):
    assert repeated.summary["stages"]["cached"] == 0
    assert {path.stem for path in repeated.out.glob("measured/*/*.json")} == set(plan.stages)
    (conflict,) = (repeated.out / "quarantine").iterdir()
    assert conflict.name.startswith(f"conflict-{repeated.false}")
    truth = smoke / "objects" / repeated.false[:2] / f"{repeated.false}.json"
    assert conflict.read_bytes() == truth.read_bytes()


@pytest.mark.slow
def test_the_environment_of_the_caller_changes_no_byte(repeated: Repeated, smoke: Path):
    was, now = tree(smoke), tree(repeated.out)
    changed = {name for name in was if was[name] != now.get(name)}
    assert was.keys() == now.keys()
    assert {name for name in changed if name.startswith(("objects", "blobs"))} == {
        f"objects/{repeated.false[:2]}/{repeated.false}.json"  # the first stays, even a false one
    }


@pytest.mark.slow
def test_workers_are_given_none_of_the_variables_that_decide_bytes(repeated: Repeated):
    given = repeated.environment
    assert given["LC_ALL"] == "C"  # the caller's environment did arrive
    assert (given["OMP_NUM_THREADS"], given["MKL_NUM_THREADS"], given["PYTHONHASHSEED"]) == ("1", "1", "0")
    assert not given.keys() & {"MKL_CBWR", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"}


@pytest.mark.slow
def test_a_conflict_is_shown_as_not_reproducible(repeated: Repeated, cli: Cli):
    told = cli("status", "-s", "smoke", "-o", str(repeated.out), cwd=repeated.out.parent).stdout
    assert "NOT REPRODUCIBLE" in told
    assert repeated.false in told


# limited runs


def test_a_limited_run_from_standard_input_is_unranked_and_keeps_to_files_of_its_own(smoke: Path, tmp_path: Path):
    out = copied(smoke, tmp_path)
    done = subprocess.run(
        [sys.executable, "-", str(out)], input=LIMITED, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    board = out / "leaderboards" / "smoke.limit-40.md"
    assert done.stdout.split() == ["0", "1", str(board)]
    assert "Limited run" in board.read_text()
    (record,) = (out / "records" / "smoke.limit-40").glob("*.json")
    body = json.loads(record.read_text())["body"]
    assert (body["ranked"], body["suite"]["limit"]) == (False, 40)
    assert 0 < sum(body["group_total"]) <= 40
    unlimited = json.loads(next(iter((smoke / "records" / "smoke").glob("*.json"))).read_text())["body"]
    assert sum(unlimited["group_total"]) > 40
    now = tree(out)
    assert {name: now[name] for name in tree(smoke)} == tree(smoke)  # the ranked files are as they were


# publishing


@pytest.fixture(scope="module")
def published(smoke: Path, tmp_path_factory: pytest.TempPathFactory, cli: Cli) -> Path:
    """A published folder, whose results folder is gone."""
    folder = tmp_path_factory.mktemp("published")
    out = copied(smoke, folder)
    stale = folder / "public" / "records" / "smoke"
    (stale / "test").mkdir(parents=True)
    source = next(iter((out / "records" / "smoke").glob("*.json")))
    shutil.copy(source, stale / f"{'0' * 64}.json")
    (stale / "test" / f"{'0' * 64}.json").write_text("[]\n")
    for _ in range(2):
        command = ("leaderboard", "smoke", "-o", str(out), "--publish", str(folder / "public"), "--replace")
        done = cli(*command, cwd=folder)
        assert done.returncode == 0, done.stderr
    assert undated(done.stdout) == (out / "leaderboards" / "smoke.md").read_text()
    shutil.rmtree(out)
    return folder / "public"


def test_the_published_folder_has_exactly_one_record_a_trial(published: Path, smoke: Path, plan: Plan):
    records = {path.stem: json.loads(path.read_text()) for path in (published / "records" / "smoke").glob("*.json")}
    assert records.keys() == {trial.id for trial in plan.trials}  # the stale one is gone
    layouts = {record["body"]["correct"]["layout"] for record in records.values()}
    assert {path.stem for path in (published / "records" / "smoke" / "test").glob("*")} == layouts
    was, now = tree(smoke), tree(published)
    assert now.keys() - was.keys() <= {"records/smoke/published.txt"}
    assert {name: now[name] for name in now.keys() & was.keys()} == {
        name: was[name] for name in now.keys() & was.keys()
    }
    assert undated((published / "smoke.md").read_text()).encode() == was["leaderboards/smoke.md"]


def test_the_board_is_rebuilt_from_records_alone(published: Path, tmp_path: Path, cli: Cli):
    done = cli("leaderboard", "smoke", "--records", str(published), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.encode() == (published / "smoke.md").read_bytes()
    assert not list(tmp_path.iterdir())  # no store is needed, and none is made
    assert done.stdout.count("\n| ") + done.stdout.count("\n|:") >= 6  # a header, a rule, and five rows


def test_a_board_follows_its_records(published: Path, tmp_path: Path, cli: Cli):
    """So the board above is built from the records, not copied."""
    changed = Path(shutil.copytree(published, tmp_path / "changed"))
    for path in (changed / "records" / "smoke").glob("*.json"):
        record = json.loads(path.read_text())
        if record["body"]["method"] == "random":
            path.unlink()
    done = cli("leaderboard", "smoke", "--records", str(changed), cwd=tmp_path)
    assert done.returncode == 0
    assert "random" in (published / "smoke.md").read_text()
    assert "random" not in done.stdout


def test_a_suite_without_published_records_is_one_line(published: Path, tmp_path: Path, cli: Cli):
    done = cli("leaderboard", "smok", "--records", str(published), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "smoke" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_nothing_current_to_publish_is_one_line(tmp_path: Path, cli: Cli):
    done = cli("leaderboard", "smoke", "-o", str(tmp_path / "none"), "--publish", str(tmp_path / "public"))
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert not os.listdir(tmp_path)  # noqa: PTH208
