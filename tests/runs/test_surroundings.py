"""What surrounds a run changes no byte and is not touched: the clock, the time zone, the network.

A `sitecustomize` on the path of every Python process of the run (command, engine; workers are forks of the engine)
moves the clock or watches sockets, and tells of it in a file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.running import tree

Cli = Callable[..., subprocess.CompletedProcess[str]]

TOLD = """
import os, sys
def tell(word):
    descriptor = os.open(os.environ["SURROUNDINGS_TOLD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, (word + "\\n").encode())
    os.close(descriptor)
role = "engine" if "benchbias.engine" in " ".join(sys.orig_argv) else "command"
"""

WATCH = (
    TOLD
    + """
import socket
def watch(event, arguments):
    if event in ("socket.bind", "socket.connect", "socket.sendto"):
        if arguments[0].family != socket.AF_UNIX:
            tell(f"{role} {event} {arguments[1:]}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.sethostname"):
        tell(f"{role} {event} {arguments}")
sys.addaudithook(watch)
tell(f"{role} watched")
os.register_at_fork(after_in_child=lambda: tell(f"{role} forked"))
"""
)

CLOCK = (
    TOLD
    + """
import datetime, time
YEAR = 365.25 * 86400
real, real_ns, real_local = time.time, time.time_ns, time.localtime
asked = 0
def jump():
    # ten years on or back at every second call, other ones in other processes
    global asked
    asked += 1
    if asked == 1:
        tell(f"{role} asked")
    return (10 if (asked + os.getpid()) % 2 else -10) * YEAR
time.time = lambda: real() + jump()
time.time_ns = lambda: real_ns() + int(jump() * 1e9)
class Moved(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(real() + jump(), tz)
    @classmethod
    def utcnow(cls):
        return cls.fromtimestamp(real() + jump(), datetime.timezone.utc).replace(tzinfo=None)
class Day(datetime.date):
    @classmethod
    def today(cls):
        return cls.fromtimestamp(real() + jump())
if role == "command":  # torch ends with a segmentation fault where these are not the real ones
    datetime.datetime, datetime.date = Moved, Day
def forked():
    global asked
    asked = 0
    os.environ["TZ"] = ("Pacific/Kiritimati", "Pacific/Niue")[os.getpid() % 2]
    time.tzset()
    time.time()  # so that every worker is seen to be moved
os.register_at_fork(after_in_child=forked)
tell(f"{role} moved")
time.time()
# what is written looks as if it had been made ten years ago or in ten years
link = os.link
def dated(source, target, **named):
    moment = real() + jump()
    os.utime(source, (moment, moment))
    return link(source, target, **named)
os.link = dated
"""
)


def surrounded(folder: Path, sitecustomize: str) -> tuple[dict[str, str], Path]:
    """The environment of a run whose processes begin with this code, and the file in which they tell."""
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(sitecustomize)
    path = os.pathsep.join([str(folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {"PYTHONPATH": path, "SURROUNDINGS_TOLD": str(folder / "told")}, folder / "told"


def processes(out: Path) -> int:
    """The least number of processes that the stages of a run have had: those that train share none."""
    kinds = [json.loads(path.read_text())["content"]["inputs"]["kind"] for path in out.glob("objects/*/*")]
    return kinds.count("train")


@pytest.mark.slow
def test_a_run_opens_no_connection_and_looks_up_no_name(smoke: Path, tmp_path: Path, cli: Cli):
    env, told = surrounded(tmp_path, WATCH)
    out = tmp_path / "results"
    done = cli("run", "-s", "smoke", "-o", str(out), "-j", "2", "-q", cwd=tmp_path, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert tree(out) == tree(smoke)
    lines = told.read_text().splitlines()
    assert lines.count("command watched") == lines.count("engine watched") == 1
    assert lines.count("engine forked") >= processes(out), "the workers were not watched"
    assert {line for line in lines if not line.endswith(("watched", "forked"))} == set()


def test_the_watch_sees_what_it_should(tmp_path: Path):
    """So what is not seen above is not there."""
    env, told = surrounded(tmp_path, WATCH)
    script = (
        "import contextlib, os, socket\n"
        "for family, call in ((socket.AF_INET, 'bind'), (socket.AF_INET6, 'bind'), (socket.AF_INET, 'connect')):\n"
        "    with contextlib.suppress(OSError), socket.socket(family) as one:\n"
        "        getattr(one, call)(('::1' if family == socket.AF_INET6 else '127.0.0.1', 0))\n"
        "with contextlib.suppress(OSError): socket.getaddrinfo('localhost', 80)\n"
        "if os.fork() == 0:\n"
        "    with contextlib.suppress(OSError), socket.socket() as one: one.bind(('127.0.0.1', 0))\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    subprocess.run([sys.executable, "-c", script], env={**os.environ, **env}, check=True)
    lines = told.read_text().splitlines()
    assert sum("socket.bind" in line for line in lines) >= 2
    assert sum("socket.connect" in line for line in lines) == 1
    assert sum("socket.getaddrinfo" in line for line in lines) == 1
    assert any("bind" in line for line in lines[lines.index("command forked") :])


def test_a_run_needs_no_network(smoke: Path, tmp_path: Path):
    """In a network name space of its own, where not even the loopback is up."""
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make a network name space")
    out = tmp_path / "results"
    command = ("run", "-s", "smoke", "-m", "magnitude", "--seeds", "1", "-o", str(out), "-j", "2", "-q")
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-m", "benchbias", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    was, now = tree(smoke), tree(out)
    made = {name for name in now if name.startswith(("objects", "blobs", "records"))}
    assert len(made) > 10
    assert {name: now[name] for name in made} == {name: was.get(name) for name in made}


@pytest.mark.slow
def test_a_clock_that_jumps_by_years_changes_no_byte(smoke: Path, tmp_path: Path, cli: Cli):
    """time.time, datetime and the time zone of every process, and the times of the files that are linked."""
    env, told = surrounded(tmp_path, CLOCK)
    out = tmp_path / "results"
    done = cli("run", "-s", "smoke", "-o", str(out), "-j", "2", "-q", cwd=tmp_path, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert tree(out) == tree(smoke)
    assert not list((out / "quarantine").iterdir())
    lines = told.read_text().splitlines()
    stages = list(out.glob("objects/*/*"))
    assert lines.count("command moved") == lines.count("engine moved") == 1
    assert lines.count("engine asked") >= processes(out), "the clock of the workers was not moved"
    years = {round((path.stat().st_mtime - tmp_path.stat().st_mtime) / (365.25 * 86400)) for path in stages}
    assert years == {-10, 10}
