"""Trackers hear of trials in this process; what they raise or print harms nothing, and a user can still stop a run."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchbias.errors import UsageError
from benchbias.plugin.loading import components_of, offered
from benchbias.plugin.registry import BrokenPlugin, load_registry
from benchbias.plugin.trackers import Trackers
from support.loose_plugins import LARGEST, describe, hook, ref_of

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A plugin whose benchbias_record has a body, as a file."""

    def file(body: str, *, name: str = "tracker.py", head: str = "", given: str = "record") -> Path:
        path = tmp_path / name
        path.write_text(head + hook(body, name="benchbias_record", given=given))
        return path

    return file


def heard(*paths: Path, trials: int = 2) -> list[str]:
    """What is told after some trials, each of which is a list that trackers may change."""
    told: list[str] = []
    trackers = Trackers([ref_of(path) for path in paths], told.append)
    for number in range(trials):
        trackers.hear(f"task/row/{number}", lambda: [number])  # noqa: B023
    return told


def test_every_tracker_hears_of_every_trial_and_has_a_copy_of_its_own(write: Write, tmp_path: Path):
    keep = f"open({str(tmp_path / 'kept')!r}, 'a').write(repr(record) + '\\n'); record.append('changed')"
    assert heard(write(keep, name="a.py"), write(keep, name="b.py")) == []
    assert (tmp_path / "kept").read_text().split("\n") == ["[0]", "[0]", "[1]", "[1]", ""]


def test_a_hook_that_takes_nothing_is_called_too(write: Write, tmp_path: Path):
    assert heard(write(f"open({str(tmp_path / 'kept')!r}, 'a').write('x')", given="")) == []
    assert (tmp_path / "kept").read_text() == "xx"


RAISES = {
    "raise ValueError('boom\\nand more')": "ValueError: boom (",
    "raise SystemExit(3)": "SystemExit: 3",
    "raise KeyboardInterrupt": "KeyboardInterrupt (",
    "raise GeneratorExit": "GeneratorExit",
    "import sys; sys.exit('over')": "SystemExit: over",
    "class Odd(Exception):\n        __str__ = lambda self: 1 / 0\n    raise Odd": "Odd: (its text cannot be shown",
    "class Odd(Exception):\n        def __str__(self):\n            raise SystemExit\n    raise Odd": "Odd (",
    "raise ValueError('\\x1b[31mred' + 'x' * 5000)": "ValueError:  [31mred",
    "def deeper(): deeper()\n    deeper()": "RecursionError",
}


@pytest.mark.parametrize("body", RAISES)
def test_what_a_tracker_raises_is_told_once_in_one_line_and_the_next_one_hears(write: Write, tmp_path: Path, body: str):
    kept = write(f"open({str(tmp_path / 'kept')!r}, 'a').write('x')", name="next.py")
    (told,) = heard(write(body), kept)
    assert told.startswith("plugin 'tracker.py': benchbias_record failed for task/row/0: ")
    assert RAISES[body] in told
    assert told.isprintable()
    assert len(told) < 320
    assert (tmp_path / "kept").read_text() == "xx"


def test_another_reason_is_told_again(write: Write):
    told = heard(write("raise ValueError(record[0] // 2)"), trials=4)
    assert [line.partition(": ValueError: ")[2] for line in told] == ["0 (the run goes on)", "1 (the run goes on)"]
    assert ["/0:" in told[0], "/2:" in told[1]] == [True, True]


@pytest.mark.parametrize("head", ["import not_there_at_all\n", "raise SystemExit\n", "raise KeyboardInterrupt\n"])
def test_a_tracker_that_cannot_be_imported_is_told_once(write: Write, head: str):
    (told,) = heard(write("pass", head=head))
    assert "it cannot be imported where the run is, and is told of no trial" in told


def test_what_a_tracker_prints_goes_to_standard_error(write: Write, capfd: pytest.CaptureFixture[str]):
    body = "import os, subprocess; print('one'); os.write(1, b'two\\n'); subprocess.run(['echo', 'three'])"
    assert heard(write(body, head="print('zero')\n"), trials=1) == []
    print("mine")
    out, err = capfd.readouterr()
    assert out == "mine\n"
    assert {"zero", "one", "two", "three"} <= set(err.split())


def test_the_working_folder_the_streams_and_the_handlers_of_signals_are_as_before(write: Write, tmp_path: Path):
    streams = (sys.stdout, sys.stderr)
    before = (Path.cwd(), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    body = (
        "import io, os, signal, sys; os.chdir('/'); sys.stdout = sys.stderr = io.StringIO(); "
        "signal.signal(signal.SIGINT, signal.SIG_IGN); "
        "signal.signal(signal.SIGTERM, lambda *_: None)"
    )
    assert heard(write(body)) == []
    assert (Path.cwd(), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert (sys.stdout, sys.stderr) == streams


def test_the_mask_of_new_files_and_the_timer_are_as_before(write: Write):
    body = "import os, signal; os.umask(0o077); signal.signal(signal.SIGALRM, lambda *_: None); signal.alarm(1)"
    mask = os.umask(0o022)
    before = signal.getsignal(signal.SIGALRM)
    left = signal.getitimer(signal.ITIMER_REAL)
    try:
        assert heard(write(body), trials=1) == []
        assert os.umask(0o022) == 0o022
        assert signal.getsignal(signal.SIGALRM) == before
        assert (signal.getitimer(signal.ITIMER_REAL)[0] > 0) == (left[0] > 0)
    finally:
        os.umask(mask)


def test_a_timer_of_the_host_goes_on(write: Write):
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    timer = signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        assert heard(write("import signal; signal.alarm(0)"), trials=1) == []
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 0.3
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, before)
    assert rung == []


@pytest.mark.parametrize(("end", "code"), [("raise ValueError", 1), ("return", 0)])
def test_a_process_that_a_tracker_forks_never_goes_on_as_a_run(write: Write, tmp_path: Path, end: str, code: int):
    own, kept = os.getpid(), tmp_path / "kept"
    body = f"import os; child = os.fork()\n    if not child:\n        {end}\n    "
    body += f"open({str(kept)!r}, 'a').write(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])) + '.')"
    told = heard(write(body))
    if os.getpid() != own:
        os._exit(99)
    assert told == []
    assert kept.read_text() == f"{code}." * 2


SWALLOWS = (
    "import time\n    try:\n        open(STARTED, 'w').close(); time.sleep(60)\n    except BaseException:\n        pass"
)


@pytest.mark.parametrize("body", [SWALLOWS, "import time; open(STARTED, 'w').close(); time.sleep(60)"])
def test_a_user_stops_a_run_inside_of_a_tracker_whatever_it_catches(write: Write, tmp_path: Path, body: str):
    started = tmp_path / "started"

    def interrupt() -> None:
        while not started.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    path = write(body.replace("STARTED", repr(str(started))))
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        heard(path)


def test_a_handler_of_the_host_that_does_not_raise_ends_nothing(write: Write):
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        assert heard(write("import os, signal; os.kill(os.getpid(), signal.SIGINT)"), trials=1) == []
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]


def test_in_another_thread_trackers_are_called_too(write: Write):
    told: list[str] = []
    path = write("raise KeyboardInterrupt")
    thread = threading.Thread(target=lambda: told.extend(heard(path)))
    thread.start()
    thread.join()
    assert len(told) == 1


# described


def test_a_tracker_is_described_without_being_called_and_the_registry_knows_it(write: Write, tmp_path: Path):
    path = write(f'"""Keep trials. More."""; open({str(tmp_path / "called")!r}, "w")')
    (found,) = describe(path)[path.name]
    assert (found["kind"], found["name"], found["summary"]) == ("tracker", "tracker.py", "Keep trials. More.")
    for _ in range(2):  # the second time from the cache
        registry = load_registry([path], quiet=True)
        assert dict(registry.trackers) == {"tracker.py": "Keep trials. More."}
        assert not [name for kind, name in registry.components if kind == "tracker"]
    assert not (tmp_path / "called").exists()


def test_a_plugin_may_have_components_and_track(tmp_path: Path):
    path = tmp_path / "both.py"
    path.write_text(LARGEST + "\n@hookimpl\ndef benchbias_record(record):\n    pass\n")
    components, tracking = offered(ref_of(path))
    assert list(components) == [("pruner", "largest")]
    assert tracking == ""
    assert components_of(ref_of(path)).keys() == components.keys()
    registry = load_registry([path], quiet=True)
    assert ("pruner", "largest") in registry.components
    assert list(registry.trackers) == ["both.py"]


@pytest.mark.parametrize("given", ["trial", "record, more"])
def test_a_hook_of_another_signature_is_refused(write: Write, given: str):
    path = write("pass", given=given)
    broken = describe(path)[path.name]
    assert isinstance(broken, BrokenPlugin)
    with pytest.raises(UsageError):
        offered(ref_of(path))


def test_the_mark_is_asked_for(tmp_path: Path):
    path = tmp_path / "bare.py"
    path.write_text(hook("pass", name="benchbias_record", given="record", mark="# no mark"))
    with pytest.raises(UsageError, match="lacks the decorator"):
        offered(ref_of(path))
