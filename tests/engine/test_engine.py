"""The runner's side of the engine's contract, with an engine that only pretends; and engines that cannot start.

The pretending engine takes each product out of the undisturbed run's store instead of computing it, so every way a
stage can end is tried in milliseconds.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from benchbias.engine.base import BUSY, CHANGED, DAMAGED, FAILED, STORAGE, Ended, handed_back
from benchbias.errors import ChangedError, StorageError
from benchbias.keys.environment import torch_version
from benchbias.plan.trials import Plan, Trial
from benchbias.runner.failures import SIGNAL_TRIES, Failure
from benchbias.runner.grouping import Grouping
from benchbias.runner.loop import TellTrial, compute
from benchbias.runner.recording import make_record
from benchbias.runner.report import RunReport, record
from benchbias.runner.reporter import Silent
from benchbias.runner.results import results_of
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store
from support.killing import engines, start, survivors, wait_for_claims
from support.running import tree

Cli = Callable[..., subprocess.CompletedProcess[str]]

DONE = Ended("", 0, None, False, 0.0)
KILLED = Ended("", None, signal.SIGKILL, False, 0.0)
LATE = Ended("", None, signal.SIGKILL, True, 6.0)


def code(number: int) -> Ended:
    return Ended("", number, None, False, 0.0)


class Pretending:
    """An engine whose stages end as `endings` says, one ending a start; without one they are done at once.

    As the contract says, the stages of one call end one after another, and those after one that does not end well, or
    that spoils its process, are handed back.
    """

    def __init__(
        self,
        plan: Plan,
        truth: Store,
        store: Store,
        endings: dict[str, list[Ended]] | None = None,
        spoils: Callable[[str], bool] = lambda key: False,
    ) -> None:
        self.plan, self.truth, self.store, self.spoils = plan, truth, store, spoils
        self.endings = {key: list(found) for key, found in (endings or {}).items()}
        self.started: Counter[str] = Counter()
        self.most = self.early = self.returned = 0
        self.waiting: list[deque[str]] = []
        self.calls: list[list[str]] = []
        self.unclaimed: list[str] = []
        self.before: dict[str, Callable[[], None]] = {}
        self.closed = False

    def submit(self, keys: Sequence[str], *, claim: bool = True) -> None:
        self.unclaimed += [] if claim else keys
        self.calls.append(list(keys))
        for place, key in enumerate(keys):
            assert not any(key in batch for batch in self.waiting)
            self.early += not self.whole(key, keys[:place])
        assert len(set(keys)) == len(keys) > 0
        self.waiting.append(deque(keys))
        self.most = max(self.most, len(self.waiting))

    def poll(self, seconds: float) -> list[Ended]:
        if not self.waiting:
            return []
        batch = self.waiting.pop()
        key = batch.popleft()
        self.started[key] += 1
        self.before.pop(key, lambda: None)()
        ended = self.endings[key].pop(0) if self.endings.get(key) else DONE if self.whole(key) else code(DAMAGED)
        if ended is DONE:
            self.commit(key)
        elif ended.exit_code == FAILED:
            self.store.put_attempt(key, {"status": "failed", "kind": "exception", "reason": "boom"})
        told = [Ended(key, ended.exit_code, ended.signal, ended.timed_out, ended.seconds)]
        if ended is DONE and not self.spoils(key):
            self.waiting += [batch] if batch else []
            return told
        self.returned += len(batch)
        return told + [handed_back(other) for other in batch]

    def whole(self, key: str, before: Sequence[str] = ()) -> bool:
        parents = self.plan.stages[key].parents.values()
        return all(parent in before or self.store.has(parent) for parent in parents)

    def commit(self, key: str) -> None:
        """Take the product from the true store, and what was measured."""
        product = self.truth.get(key)
        assert product is not None
        for sha in product.blobs.values():
            self.store.blob_path(sha).parent.mkdir(exist_ok=True)
            shutil.copy(self.truth.blob_path(sha), self.store.blob_path(sha))
        self.store.object_path(key).parent.mkdir(exist_ok=True)
        shutil.copy(self.truth.object_path(key), self.store.object_path(key))
        self.store.measured_path(key).parent.mkdir(exist_ok=True)
        shutil.copy(self.truth.measured_path(key), self.store.measured_path(key))

    def cancel(self) -> None:
        self.waiting.clear()

    def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="module")
def workspace() -> Workspace:
    return Workspace.open(quiet=True)


@pytest.fixture(scope="module")
def plan(workspace: Workspace) -> Plan:
    return workspace.plan("smoke")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results").create()


@pytest.fixture
def pretend(plan: Plan, smoke: Path, store: Store) -> Callable[..., tuple[Pretending, RunReport]]:
    def call(
        endings: dict[str, list[Ended]] | None = None,
        *,
        jobs: int = 2,
        rerun: str = "missing",
        before: dict[str, Callable[[], None]] | None = None,
        timeout: float = 3600.0,
        reporter: Silent | None = None,
        tell: TellTrial | None = None,
        spoils: Callable[[str], bool] = lambda key: False,
        shuffle: int | None = 3,
    ) -> tuple[Pretending, RunReport]:
        engine = Pretending(plan, Store(smoke), store, endings, spoils)
        engine.before = dict(before or {})
        computed = compute(
            plan,
            store,
            lambda: engine,
            reporter or Silent(),
            jobs=jobs,
            rerun=rerun,
            timeout=timeout,
            shuffle=shuffle,
            tell=tell,
        )
        report = record(plan, store, computed)
        assert engine.closed or not engine.started
        assert not engine.early or before, "a stage was submitted before its parents"
        return engine, report

    return call


def first(plan: Plan, kind: str, seed: int = 0) -> str:
    return next(key for key, stage in plan.stages.items() if stage.kind == kind and stage.inputs["seed"] == seed)


def resting_on(plan: Plan, key: str) -> set[str]:
    """The stage and all that come from it."""
    found = {key}
    for other, stage in plan.stages.items():
        if found & set(stage.parents.values()):
            found.add(other)
    return found


def statuses(report: RunReport) -> Counter[str]:
    return Counter(record.body["status"] for record in report.records)


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_stage_is_submitted_once_after_its_parents(
    plan: Plan, pretend: Callable[..., tuple[Pretending, RunReport]], jobs: int, store: Store, smoke: Path, workspace
):
    engine, report = pretend(jobs=jobs)
    assert engine.started == dict.fromkeys(plan.stages, 1)
    assert engine.most == jobs
    assert (report.exit_code, report.computed, report.missing) == (0, len(plan.stages), 0)
    results = results_of(plan, store, report)
    for name, text in results.files.items():
        store.replace(store.root / "leaderboards" / name, text)
    assert tree(store.root) == tree(smoke)  # records and boards are functions of the products, and of what made them
    engine, report = pretend()
    assert not engine.started
    assert (report.cached, report.computed) == (len(plan.stages), 0)


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("shuffle", [None, 5])
def test_what_is_handed_back_is_submitted_again_and_is_no_failure(
    plan: Plan,
    pretend: Callable[..., tuple[Pretending, RunReport]],
    store: Store,
    jobs: int,
    shuffle: int | None,
):
    """Half of all stages spoil their process, others wait for another run or find a parent damaged."""
    chance = random.Random(jobs)
    spoilt = {key for key in plan.stages if chance.random() < 0.5}
    endings = {key: [code(chance.choice((BUSY, DAMAGED)))] for key in plan.stages if chance.random() < 0.2}
    engine, report = pretend(endings, jobs=jobs, spoils=spoilt.__contains__, shuffle=shuffle)
    assert engine.returned > 5, "nothing was handed back"
    assert engine.started == {key: 1 + (key in endings) for key in plan.stages}
    assert engine.most == jobs
    assert (report.exit_code, report.computed, report.missing) == (0, len(plan.stages), 0)
    assert not list((store.root / "attempts").iterdir())


def test_a_failure_in_a_process_blocks_what_rests_on_it_and_the_rest_of_its_sweep_goes_on(
    plan: Plan, pretend: Callable[..., tuple[Pretending, RunReport]], store: Store
):
    grouping = Grouping.of(plan)
    bad = next(iter(grouping.sweeps))
    engine, report = pretend({bad: [code(FAILED)]}, jobs=1, shuffle=None)
    call = next(keys for keys in engine.calls if bad in keys)
    assert len([key for key in call if plan.stages[key].kind == "prune"]) > 1, "there was no sweep"
    assert engine.started == dict.fromkeys(set(plan.stages) - (resting_on(plan, bad) - {bad}), 1)
    assert list(report.failures) == [bad]


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (FAILED, "boom"),
        (0, "no product"),
        (3, "exit code 3"),
        (KILLED, "signal 9"),
        (LATE, "6 s"),
    ],
)
def test_a_failed_stage_blocks_its_descendants_and_nothing_else(
    plan: Plan,
    pretend: Callable[..., tuple[Pretending, RunReport]],
    store: Store,
    ending: int | Ended,
    reason: str,
):
    bad = first(plan, "prune")
    blocked = resting_on(plan, bad)
    assert 1 < len(blocked) < len(plan.stages)
    ended = code(ending) if isinstance(ending, int) else ending
    engine, report = pretend({bad: [ended]})
    assert engine.started == dict.fromkeys(set(plan.stages) - (blocked - {bad}), 1)  # no engine's fault is retried
    assert list(report.failures) == [bad]
    assert report.exit_code == 1
    assert statuses(report) == {"failed": 1, "ok": len(plan.trials) - 1}
    (failed,) = [record.body for record in report.records if record.body["status"] == "failed"]
    assert reason in failed["reason"]
    assert failed["stage"] == plan.stages[bad].label
    assert set(failed["stages"]) & blocked
    assert len(store.attempts(bad)) == 1


def test_a_noted_failure_is_reported_again_and_tried_again_when_asked(
    plan: Plan, pretend: Callable[..., tuple[Pretending, RunReport]], smoke: Path, store: Store
):
    bad = first(plan, "prune")
    pretend({bad: [code(FAILED)]})
    engine, report = pretend()
    assert not engine.started
    assert (report.exit_code, statuses(report)["failed"]) == (1, 1)
    engine, report = pretend(rerun="failed")
    assert set(engine.started) == resting_on(plan, bad)
    assert (report.exit_code, statuses(report)) == (0, {"ok": len(plan.trials)})
    was = tree(smoke)
    assert {name: text for name, text in tree(store.root).items() if "records" in name} == {
        name: text for name, text in was.items() if "records" in name
    }


@pytest.mark.parametrize("ending", [KILLED, LATE])
def test_deaths_are_tried_again_a_few_times(
    plan: Plan, pretend: Callable[..., tuple[Pretending, RunReport]], ending: Ended
):
    bad = first(plan, "predict")
    for _ in range(SIGNAL_TRIES):
        engine, report = pretend({bad: [ending]})
        assert engine.started[bad] == 1
        assert report.exit_code == 1
    engine, report = pretend()
    assert not engine.started
    assert report.exit_code == 1
    engine, report = pretend(rerun="failed")
    assert report.exit_code == 0


class Told(Silent):
    """A reporter that keeps what a run says while it waits."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warn(self, text: str) -> None:
        self.lines.append(text)


def test_a_stage_that_another_run_has_claimed_is_waited_for(
    plan: Plan, pretend: Callable[..., tuple[Pretending, RunReport]], store: Store
):
    key, told = first(plan, "init"), Told()
    engine, report = pretend({key: [code(BUSY), code(BUSY)]}, reporter=told)
    assert engine.started[key] == 3
    assert (engine.unclaimed, told.lines) == ([], [])
    assert (report.exit_code, store.attempts(key)) == (0, [])


def test_who_is_waited_for_is_told_once(
    plan: Plan,
    pretend: Callable[..., tuple[Pretending, RunReport]],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("benchbias.runner.loop.BUSY_SECONDS", 0.0)
    monkeypatch.setattr("benchbias.runner.loop.TELL_SECONDS", 0.0)
    key, told = first(plan, "init"), Told()
    with store.claim(key):
        engine, report = pretend({key: [code(BUSY)] * 50}, reporter=told)
    (line,) = told.lines
    assert all(word in line for word in ("waiting", plan.stages[key].label, str(os.getpid()), socket.gethostname()))
    assert (report.exit_code, engine.unclaimed) == (0, [])


def test_a_stage_that_is_busy_for_longer_than_the_time_out_is_computed_here(
    plan: Plan, pretend: Callable[..., tuple[Pretending, RunReport]], store: Store
):
    key, told = first(plan, "init"), Told()
    engine, report = pretend({key: [code(BUSY)] * 2}, timeout=0.1, reporter=told)
    assert engine.unclaimed == [key]
    assert engine.started[key] == 3
    (line,) = told.lines
    assert "computed here too" in line
    assert (report.exit_code, store.attempts(key)) == (0, [])


def test_a_stage_that_is_busy_for_ever_is_a_failure_and_no_endless_loop(
    plan: Plan, pretend: Callable[..., tuple[Pretending, RunReport]]
):
    key = first(plan, "score")
    engine, report = pretend({key: [code(BUSY)] * 1000}, timeout=0.0)
    assert engine.started[key] == 2
    assert report.exit_code == 1


def test_what_another_run_computes_is_compared_too_where_everything_is(
    plan: Plan, pretend: Callable[..., tuple[Pretending, RunReport]]
):
    """It was there before: that it is there now says nothing of the other run."""
    pretend()
    key = first(plan, "score")
    engine, report = pretend({key: [code(BUSY)]}, rerun="all")
    assert engine.started[key] == 2
    assert (report.computed, report.exit_code) == (len(plan.stages), 0)


def test_changed_sources_end_the_run_and_are_no_failure_of_the_stage(
    plan: Plan,
    pretend: Callable[..., tuple[Pretending, RunReport]],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
):
    key = first(plan, "train")
    with monkeypatch.context() as patched:
        patched.setattr("benchbias.runner.loop.refusal", lambda inputs: "benchbias was changed; run again")
        with pytest.raises(ChangedError, match="was changed; run again"):
            pretend({key: [code(CHANGED)]})
    assert not store.has(key)
    assert store.attempts(key) == []
    engine, report = pretend()
    assert engine.started[key] == 1
    assert report.exit_code == 0


def test_what_looked_changed_to_a_worker_alone_fails_its_stage_for_now(
    plan: Plan, pretend: Callable[..., tuple[Pretending, RunReport]], store: Store
):
    """A component may have spoilt the look of its own process: that ends no other trial."""
    key = first(plan, "train")
    engine, report = pretend({key: [code(CHANGED)]})
    assert report.exit_code == 1
    assert [attempt["kind"] for attempt in store.attempts(key)] == ["changed"]
    engine, report = pretend()
    assert engine.started[key] == 1, "it is tried again"
    assert report.exit_code == 0


def test_parents_that_were_found_damaged_are_made_again(
    plan: Plan, pretend: Callable[..., tuple[Pretending, RunReport]], store: Store, smoke: Path
):
    """A stage finds the blob of its parent damaged, which is then gone; and the parent's parent, too."""
    key = first(plan, "predict")
    train = plan.stages[key].parents["model"]
    data = plan.stages[train].parents["data"]

    def lose() -> None:
        for parent in (train, data):
            for sha in store.get(parent).blobs.values():
                store.quarantine(store.blob_path(sha), "damaged")

    engine, report = pretend({key: [code(DAMAGED)]}, before={key: lose})
    assert engine.started[key] > 1
    assert engine.started[train] == engine.started[data] == 2
    assert report.exit_code == 0
    assert {name: text for name, text in tree(store.root).items() if "leader" not in name} == {
        name: text for name, text in tree(smoke).items() if "leader" not in name
    }


def test_a_full_disk_ends_the_run_and_is_no_failure_of_the_stage(
    plan: Plan, pretend: Callable[..., tuple[Pretending, RunReport]], store: Store
):
    key = first(plan, "train")
    (store.root / "attempts" / f"{key}.log").write_text("noise\ncannot write: No space left on device (ENOSPC)\n")
    with pytest.raises(StorageError) as caught:
        pretend({key: [code(STORAGE)]})
    assert "ENOSPC" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert store.attempts(key) == []
    engine, report = pretend()
    assert engine.started[key] == 1
    assert report.exit_code == 0


# engines that cannot start, or die


def python_path(folder: Path) -> dict[str, str]:
    """Modules of this folder before all others."""
    there = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *([there] if there else [])])}


def absent(folder: Path, name: str, version: str | None = None) -> None:
    """A package that cannot be imported."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(f"raise ImportError('lib{name}.so: cannot open shared object file')\n")
    if version is not None:
        (folder / name / "version.py").write_text(f"__version__ = '{version}'\n")


def test_packages_that_a_stage_does_not_need_may_be_absent(smoke: Path, tmp_path: Path, cli: Cli):
    for name in ("torchvision", "timm", "datasets"):
        absent(tmp_path / "path", name)
    env = python_path(tmp_path / "path")
    out = tmp_path / "results"
    done = cli("run", "-s", "smoke", "-m", "erm", "--seeds", "1", "-o", str(out), "-q", cwd=tmp_path, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    was, now = tree(smoke), tree(out)
    made = {name for name in now if name.startswith(("objects", "blobs", "records"))}
    assert len([name for name in made if name.startswith("objects")]) == 5  # data, init, train, predict, score
    assert {name: now[name] for name in made} == {name: was.get(name) for name in made}


@pytest.mark.parametrize("version", [True, False])
def test_a_broken_torch_is_one_line(smoke: Path, tmp_path: Path, cli: Cli, version: bool):
    """It cannot be imported; or not even its version file is there."""
    absent(tmp_path / "path", "torch", torch_version() if version else None)
    env = python_path(tmp_path / "path")
    out = tmp_path / "results"
    done = cli("run", "-s", "smoke", "-m", "erm", "--seeds", "1", "-o", str(out), "-q", cwd=tmp_path, env=env)
    assert done.returncode not in (0, 70)
    assert "torch" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert not list(out.glob("objects/*/*"))
    assert survivors(out) == {}


def test_an_engine_that_dies_is_one_line_and_loses_nothing(smoke: Path, tmp_path: Path):
    """As when the kernel ends it for lack of memory: the stages in flight are no failures."""
    out = tmp_path / "results"
    runner = start(out, "-m", "erm", "--seeds", "1", "-j", "2")
    assert wait_for_claims(out, 2, runner)
    os.kill(engines(out)[0], signal.SIGKILL)
    _, errors = runner.communicate(timeout=60)
    assert runner.returncode == 1
    assert len(errors.splitlines()) == 1
    assert "engine" in errors
    assert survivors(out) == {}
    assert not list(out.glob("attempts/*/*.json"))
    was, now = tree(smoke), tree(out)
    assert now
    assert all(now[name] == was[name] for name in now)


class Heard:
    """Trials that a run has told of, with their records at that moment."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self.plan, self.store = plan, store
        self.texts: dict[str, str] = {}
        self.stages: list[str] = []

    def __call__(self, trial: Trial, blocked: Mapping[str, Failure]) -> None:
        made = make_record(self.plan, trial, self.store, blocked)
        assert made is not None, "it was told before it was whole"
        assert trial.id not in self.texts, "it was told twice"
        self.texts[trial.id] = made.to_text()


def test_a_run_tells_of_each_trial_once_and_its_record_is_the_one_that_is_written(
    plan: Plan, pretend: Callable[..., tuple[Pretending, RunReport]], store: Store
):
    heard = Heard(plan, store)
    key = first(plan, "train")
    _, report = pretend({key: [code(FAILED)]}, tell=heard)
    failed = {trial.id for trial in plan.trials if key in trial.stages}
    assert 0 < len(failed) < len(plan.trials)
    assert heard.texts == {one.id: one.to_text() for one in report.records}
    assert {one.id for one in report.records if one.body["status"] == "failed"} == failed


def test_what_lies_there_or_has_failed_before_is_not_told_of(
    plan: Plan, pretend: Callable[..., tuple[Pretending, RunReport]], store: Store
):
    key = first(plan, "train")
    pretend({key: [code(FAILED)]})
    again, more = Heard(plan, store), Heard(plan, store)
    pretend(tell=again)
    assert again.texts == {}
    _, report = pretend(rerun="failed", tell=more)
    assert more.texts.keys() == {trial.id for trial in plan.trials if key in trial.stages}
    assert report.exit_code == 0


def test_a_trial_is_told_of_as_soon_as_it_is_whole(
    plan: Plan, pretend: Callable[..., tuple[Pretending, RunReport]], store: Store
):
    heard, missing = Heard(plan, store), list[int]()

    def tell(trial: Trial, blocked: Mapping[str, Failure]) -> None:
        heard(trial, blocked)
        missing.append(sum(not store.has(key) for key in plan.stages))

    pretend(tell=tell, jobs=1)
    assert len(missing) == len(plan.trials)
    assert missing[0] > missing[-1] == 0


def test_a_product_that_is_damaged_and_made_again_tells_of_its_trials_once(
    plan: Plan, pretend: Callable[..., tuple[Pretending, RunReport]], store: Store
):
    heard = Heard(plan, store)
    key = first(plan, "score")
    pretend({key: [code(DAMAGED), code(DAMAGED)]}, tell=heard)
    assert len(heard.texts) == len(plan.trials)
