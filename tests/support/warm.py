"""Processes of benchbias that are forked from one that has imported torch already.

A command that computes starts two interpreters and imports torch, for 4 s; tests call hundreds. So one process, the
server, imports everything once, and commands, engines and the children that describe or check plugins are forked from
it. Each has the arguments, the environment, the folder, the standard streams and the session that it would have had, a
command line of its own in /proc, and ends with its parent. What needs an interpreter of its own (other imports, the
start itself, a hostile environment) starts one: `running.benchbias`, `killing.start`.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, Protocol
from unittest import mock

from benchbias.keys.environment import worker_environment
from support import ROOT

MAINS = {
    "benchbias": "benchbias.cli",
    "benchbias.engine.supervisor": "benchbias.engine.supervisor",
    "benchbias.plugin.describe": "benchbias.plugin.describe",
    "benchbias.testing.child": "benchbias.testing.child",
}
"""What can be forked, by the word after `-m`, and the module whose `main` it is."""

LAUNCHERS = ("benchbias.engine.local", "benchbias.plugin.registry", "benchbias.testing.checking")
"""The modules that start processes of ours by `subprocess.Popen`."""

IMPORTED = (
    *("benchbias.cli", "benchbias.cli.console", "benchbias.runner.api", "benchbias.runner.results"),
    *("benchbias.testing.running", "benchbias.testing.calling.subject", "benchbias.stages.analyse"),
    *("sklearn.datasets", "sklearn.linear_model", "scipy.stats", "pandas", "tabulate", "PIL.Image"),
)
"""What the server imports besides what an engine does."""

ROOM = 8192  # bytes for the command line of a fork


class Process(Protocol):
    """How a fork ends: its exit code, negative for a signal; None while it lives."""

    pid: int

    def code(self, seconds: float | None) -> int | None: ...


class Forked:
    """Stands in for subprocess.Popen: the same streams, and as much of its methods as benchbias uses."""

    def __init__(
        self,
        fork: Callable[[dict[str, Any], list[int]], Process],
        command: Sequence[str],
        *,
        stdin: Any = None,
        stdout: Any = None,
        stderr: Any = None,
        env: Mapping[str, str] | None = None,
        cwd: Any = None,
        start_new_session: bool = False,
        text: bool = False,
    ) -> None:
        pipes: list[Any] = [None] * 3
        given, ours = [], []
        for number, stream in enumerate((stdin, stdout, stderr)):
            if stream == subprocess.PIPE:
                ends = os.pipe()
                inner, outer = ends if number == 0 else reversed(ends)
                pipes[number] = os.fdopen(outer, ("w" if number == 0 else "r") + ("" if text else "b"))
                ours.append(inner)
                given.append(inner)
            elif stream == subprocess.DEVNULL:
                ours.append(os.open(os.devnull, os.O_RDWR))
                given.append(ours[-1])
            elif stream is None:
                given.append(number)
            else:
                given.append(stream if isinstance(stream, int) else stream.fileno())
        request = {
            "command": list(command),
            "env": dict(os.environ if env is None else env),
            "cwd": str(cwd or Path.cwd()),
            "session": start_new_session,
            "parent": os.getpid(),
        }
        try:
            self._process = fork(request, given)
        finally:
            for descriptor in ours:
                os.close(descriptor)
        self.args, self.pid = command, self._process.pid
        self.returncode: int | None = None
        self.stdin, self.stdout, self.stderr = pipes
        self._readers: list[_Reader] | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._process.code(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self.returncode = self._process.code(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, given: bytes | None = None, timeout: float | None = None) -> tuple[bytes, bytes]:
        """Write what is given, read what is printed, wait for the end."""
        end = None if timeout is None else time.monotonic() + timeout
        if self._readers is None:
            self._readers = [_Reader(stream) for stream in (self.stdout, self.stderr)]
            if self.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    self.stdin.write(given or b"")
                    self.stdin.close()
        for reader in self._readers:
            reader.join(None if end is None else max(end - time.monotonic(), 0))
        printed = tuple(b"".join(reader.chunks) for reader in self._readers)
        try:
            if any(reader.is_alive() for reader in self._readers):
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.wait(None if end is None else max(end - time.monotonic(), 0))
        except subprocess.TimeoutExpired as late:
            late.stdout, late.stderr = printed
            raise
        return printed[0], printed[1]


class _Reader(threading.Thread):
    """Reads a stream to its end, if there is one."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        super().__init__(daemon=True)
        self.stream, self.chunks = stream, list[bytes]()
        self.start()

    def run(self) -> None:
        while self.stream is not None and (chunk := os.read(self.stream.fileno(), 1 << 16)):
            self.chunks.append(chunk)


# forks


@dataclass
class _Child:
    """A fork that is a child of this process."""

    pid: int

    def code(self, seconds: float | None) -> int | None:
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            ended, status = os.waitpid(self.pid, 0 if end is None else os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            if end is not None and time.monotonic() >= end:
                return None
            time.sleep(0.002)


@dataclass
class _Minded:
    """A fork of the server, whose parent tells of its end."""

    pid: int
    connection: socket.socket

    def code(self, seconds: float | None) -> int | None:
        if not select.select([self.connection], [], [], seconds)[0]:
            return None
        with self.connection, self.connection.makefile() as told:
            return int(told.readline() or -signal.SIGKILL)


def fork(request: dict[str, Any], streams: list[int]) -> _Child:
    """Fork this process, which must have no other thread, into what is asked for."""
    pid = os.fork()
    if pid == 0:
        _become(request, streams)
    return _Child(pid)


def _become(request: dict[str, Any], streams: list[int]) -> None:
    """Be the process that is asked for; never returns."""
    code: Any = 1
    try:
        if request["session"]:
            os.setsid()
        for number, stream in enumerate([os.dup(stream) for stream in streams]):
            os.dup2(stream, number)
        os.closerange(3, min(os.sysconf("SC_OPEN_MAX"), 1 << 16))
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        _, *flags, name = request["command"][: request["command"].index("-m") + 2]
        rename(request["command"])
        if "-P" not in flags:
            sys.path.insert(0, request["cwd"])
        sys.argv = [name, *request["command"][len(flags) + 2 :]]
        with forking(fork):
            importlib.import_module(MAINS[name]).main()
        code = 0
    except SystemExit as ending:
        code = ending.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def rename(words: Sequence[str]) -> None:
    """Write another command line over this process's own, where /proc shows it."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    text = "\0".join(words).encode()[: end - start - 1]
    ctypes.memmove(start, text.ljust(end - start, b"\0"), end - start)


@contextlib.contextmanager
def forking(how: Callable[[dict[str, Any], list[int]], Process]) -> Iterator[None]:
    """As long as it lasts, benchbias forks its own processes in this way instead of starting them."""

    def popen(command: Sequence[str], **options: Any) -> Any:
        ours = "-m" in command and command[list(command).index("-m") + 1] in MAINS
        same = (options.get("env") or os.environ).get("PYTHONPATH") == os.environ.get("PYTHONPATH")
        return Forked(how, command, **options) if ours and same else subprocess.Popen(command, **options)

    stand_in = SimpleNamespace(**{**vars(subprocess), "Popen": popen})
    with contextlib.ExitStack() as stack:
        for name in LAUNCHERS:
            stack.enter_context(mock.patch.object(importlib.import_module(name), "subprocess", stand_in))
        yield


# the server


class Server:
    """The process that is forked; started when it is first needed. Use it as a context: it ends with it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._address = str(Path(self._folder.name, "socket"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def _connected(self) -> socket.socket:
        if self._process is None:
            code = f"import sys; sys.path.append({str(ROOT / 'tests')!r}); from support import warm; warm.serve()"
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", code, self._address, str(os.getpid()), " " * ROOM],
                env=worker_environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
            )
            assert self._process.stdout is not None
            assert self._process.stdout.readline() == b"ready\n", "the server did not start"
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._address)
        return connection

    def fork(self, request: dict[str, Any], streams: list[int]) -> _Minded:
        """Have the server fork what is asked for."""
        connection = self._connected()
        socket.send_fds(connection, [b"\n"], streams)
        connection.sendall(json.dumps(request).encode() + b"\n")
        pid = b""
        while not pid.endswith(b"\n"):
            more = connection.recv(1)  # byte by byte: the exit code may follow
            assert more, "the server is gone"
            pid += more
        return _Minded(int(pid), connection)

    def start(self, *arguments: str, cwd: Any = None, **streams: Any) -> Forked:
        """The command line, in a session of its own; silent where no streams are given."""
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL) | streams
        command = [sys.executable, "-m", "benchbias", *arguments]
        return Forked(self.fork, command, cwd=cwd or "/", start_new_session=True, **streams)

    def call(self, *arguments: str, cwd: Any = None, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """The command line, to its end, as subprocess.run gives it."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
            run = self.start(*arguments, cwd=cwd, stdout=out, stderr=errors)
            try:
                code = run.wait(timeout)
            finally:
                run.kill()
            out.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess(run.args, code, out.read(), errors.read())


def serve() -> None:
    """In the server: import everything, then fork a minder for each connection, which forks what it is asked for."""
    from benchbias.engine.warm import preload
    from benchbias.util.processes import die_with_parent

    die_with_parent(int(sys.argv[2]))
    preload()
    for name in (*IMPORTED, *MAINS.values(), *LAUNCHERS):
        importlib.import_module(name)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(sys.argv[1])
        server.listen(64)
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            if os.fork() == 0:
                _mind(connection, os.getppid())
            connection.close()
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def _mind(connection: socket.socket, server: int) -> None:
    """Fork one process, tell its number, wait for its end, tell its exit code. Never returns."""
    from benchbias.util.processes import die_with_parent

    try:
        die_with_parent(server)
        _, streams, _, _ = socket.recv_fds(connection, 1, 3)
        with connection.makefile() as lines:
            request = json.loads(lines.readline())
        parents = {str(request["parent"]): str(os.getpid())}  # an engine is told with whom to end
        request["command"] = [parents.get(word, word) for word in request["command"]]
        child = fork(request, streams)
        for stream in streams:
            os.close(stream)
        connection.sendall(f"{child.pid}\n".encode())
        connection.sendall(f"{child.code(None)}\n".encode())
    finally:
        os._exit(0)
