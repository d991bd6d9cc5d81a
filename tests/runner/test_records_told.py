"""Trackers hear of a run's trials, once and with the written record; a bad one changes no byte and no exit code."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import benchbias
from benchbias.util.packages import version_of
from support import ROOT
from support.markdown import blocks
from support.running import tree

Cli = Callable[..., subprocess.CompletedProcess[str]]

KEEPS = """
import json, os
from benchbias import hookimpl

@hookimpl
def benchbias_record(record):
    with open({log!r}, "a") as file:
        file.write(json.dumps([os.getpid(), record.to_text()]) + chr(10))
    print("a tracker has a trial")
    record.body["status"] = "changed"
    {then}
"""

FAULTY = """
import benchbias
from benchbias import hookimpl

def picky(model, data, context):
    raise benchbias.Skip("it wants another task")

def broken(model, data, context):
    raise ValueError("boom")

@hookimpl
def benchbias_pruners():
    return {"picky": picky, "broken": broken}
"""


@pytest.fixture
def keeps(tmp_path: Path) -> Callable[..., Path]:
    """A tracker that keeps records in the file `log`, and then does something."""

    def file(then: str = "pass", name: str = "keeps.py") -> Path:
        path = tmp_path / name
        path.write_text(KEEPS.format(log=str(tmp_path / "log"), then=then))
        return path

    return file


@pytest.fixture
def copied(smoke: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(smoke, tmp_path / "results"))


def kept(folder: Path) -> list[tuple[int, str]]:
    """The process and the record of each trial that was heard of, in order."""
    log = folder / "log"
    return [tuple(json.loads(line)) for line in log.read_text().splitlines()] if log.exists() else []


def written(out: Path, suite: str = "smoke") -> dict[str, str]:
    return {path.stem: path.read_text() for path in (out / "records" / suite).glob("*.json")}


RUN = ("run", "-s", "smoke", "-m", "erm", "-m", "jtt", "--seeds", "1", "-j", "1")


@pytest.mark.slow
def test_a_tracker_that_raises_changes_nothing_and_hears_of_what_a_run_has_computed(
    cli: Cli, copied: Path, smoke: Path, tmp_path: Path, keeps: Callable[..., Path]
):
    plain = cli(*RUN, "-o", str(copied))
    tracker = str(keeps("raise SystemExit(9)"))
    done = cli(*RUN, "-o", str(copied), "--plugin", tracker)
    assert (done.returncode, done.stdout, kept(tmp_path)) == (0, plain.stdout, []), "nothing was computed"
    done = cli(*RUN, "-o", str(copied), "--plugin", tracker, "--rerun", "all")
    assert (done.returncode, done.stdout) == (0, plain.stdout)
    assert tree(copied) == tree(smoke)
    heard = kept(tmp_path)
    texts = {json.loads(text)["body"]["trial"]: text for _, text in heard}
    assert len(heard) == len(texts) == 2
    now = written(copied)
    assert {name: json.loads(text)["body"] for name, text in texts.items()} == {
        name: json.loads(now[name])["body"] for name in texts
    }
    assert len({pid for pid, _ in heard}) == 1, "one process: the run's own"
    told = [line for line in done.stderr.splitlines() if "benchbias_record failed" in line]
    assert len(told) == 1
    assert "plugin 'keeps.py': benchbias_record failed for colored-digits-tiny/" in told[0]
    assert "SystemExit: 9 (the run goes on)" in told[0]


ENDS = {"pass": 0, "raise KeyboardInterrupt": 1, "raise SystemExit": 1, "import sys; sys.exit(0)": 1, "1 / 0": 1}


@pytest.mark.slow
@pytest.mark.parametrize("then", ENDS)
def test_failed_and_skipped_trials_are_told_and_the_exit_code_is_that_of_the_trials(
    cli: Cli, tmp_path: Path, keeps: Callable[..., Path], then: str
):
    (tmp_path / "faulty.py").write_text(FAULTY)
    methods = ("-m", "erm", "-m", "picky", "-m", "broken", "--seeds", "2", "--plugin", str(tmp_path / "faulty.py"))
    plain = cli("run", "-s", "smoke", *methods, "-o", str(tmp_path / "plain"))
    done = cli("run", "-s", "smoke", *methods, "--plugin", str(keeps(then)), "-o", str(tmp_path / "tracked"))
    assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout)
    assert done.returncode == 1
    assert tree(tmp_path / "tracked") == tree(tmp_path / "plain")
    texts = [text for _, text in kept(tmp_path)]
    assert sorted(texts) == sorted(written(tmp_path / "tracked").values()), "the records that are written, to the byte"
    statuses = [json.loads(text)["body"]["status"] for text in texts]
    assert statuses.count("ok") == 2
    assert statuses.count("failed") == statuses.count("skipped") > 0
    assert done.stderr.count("benchbias_record failed") == ENDS[then]
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_ctrl_c_inside_of_a_tracker_stops_the_run(tmp_path: Path, keeps: Callable[..., Path]):
    tracker = keeps("import time\n    try:\n        time.sleep(120)\n    except BaseException:\n        pass")
    command = [sys.executable, "-m", "benchbias", *RUN, "--plugin", str(tracker), "-o", str(tmp_path / "out")]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while not kept(tmp_path):
        assert run.poll() is None
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert errors.splitlines()[-1].startswith("benchbias: interrupted")
    assert len(kept(tmp_path)) == 1


@pytest.mark.slow
def test_a_run_in_python_tells_too_and_says_what_failed(
    tmp_path: Path, keeps: Callable[..., Path], capfd: pytest.CaptureFixture[str]
):
    results = benchbias.run(
        "smoke", methods="erm", seeds=2, jobs=1, out=tmp_path / "out", plugins=keeps("raise ValueError('no disk')")
    )
    assert results.exit_code == 0
    assert sorted(text for _, text in kept(tmp_path)) == sorted(written(tmp_path / "out").values())
    out, errors = capfd.readouterr()
    assert out == ""
    assert errors.count("benchbias_record failed") == 1
    assert "ValueError: no disk (the run goes on)" in errors


# the examples of docs/trackers.md, with the real packages

PAGE = (ROOT / "docs/trackers.md").read_text()


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory, cli: Cli) -> Path:
    """A folder where both examples have heard of a run, and of the same run again."""
    absent = [name for name in ("mlflow-skinny", "tensorboard") if version_of(name) == "absent"]
    if absent:
        pytest.skip(f"{', '.join(absent)} is not installed: pip install 'benchbias[trackers]'")
    folder = tmp_path_factory.mktemp("tracked")
    for name, code in zip(("mlflow_runs.py", "tensorboard_runs.py"), blocks(PAGE, "python"), strict=True):
        assert len(code.splitlines()) <= 20
        (folder / name).write_text(code)
    (command,) = blocks(PAGE, "sh")
    for _ in range(2):
        done = cli(*command.split()[1:], "-m", "erm", "-m", "magnitude", "--seeds", "2", cwd=folder)
        assert done.returncode == 0, done.stderr
        assert "benchbias_record failed" not in done.stderr
    return folder


@pytest.mark.slow
def test_mlflow_has_a_run_for_each_trial_with_its_metrics(tracked: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow = pytest.importorskip("mlflow")
    mlflow.set_tracking_uri(f"file:{tracked / 'mlruns'}")
    runs = mlflow.search_runs(experiment_names=["smoke"], output_format="list")
    bodies = [json.loads(text)["body"] for text in written(tracked / "results").values()]
    assert len(runs) == len(bodies) == 6
    for body in bodies:
        (run,) = [run for run in runs if run.data.tags["trial"] == body["trial"]]
        assert run.data.metrics == body["metrics"]
        assert run.data.params == {name: str(value) for name, value in body["swept"].items()}
        assert (run.data.tags["method"], run.data.tags["status"]) == (body["method"], "ok")


@pytest.mark.slow
def test_tensorboard_has_a_curve_over_seeds_for_each_row(tracked: Path):
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    bodies = [json.loads(text)["body"] for text in written(tracked / "results").values()]
    folders = sorted((tracked / "tensorboard/colored-digits-tiny").iterdir())
    assert [path.name for path in folders] == ["erm", "magnitude-sparsity=0.5", "magnitude-sparsity=0.9"]
    found = {}
    for folder in folders:
        events = reading.EventAccumulator(str(folder)).Reload()
        for name in events.Tags()["tensors"]:
            for event in events.Tensors(name):
                assert (folder.name, name, event.step) not in found, "it was told twice"
                found[folder.name, name, event.step] = float(event.tensor_proto.float_val[0])
    expected = {
        ("-".join([body["method"], *(f"{k}={v}" for k, v in body["swept"].items())]), name, body["seed"]): value
        for body in bodies
        for name, value in body["metrics"].items()
    }
    assert found == pytest.approx(expected, abs=1e-6)
