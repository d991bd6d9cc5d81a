"""The command line in a forked process whose surroundings are at fault, each in a way that a real machine can be.

A child is forked from the tests' process, which has imported the command line already. It makes the fault, runs the
verb and reports: no fault outlives it. Mounts are made in a namespace of its own. A normal user has other ways to some
faults, and skips the rest.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SECONDS = 90  # after which a verb hangs
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 1 << 14, 1 << 18
CLONE_NEWNS = 1 << 17
PR_CAPBSET_DROP = 24
OVERRIDES = (1, 2, 3)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER: what makes root's files everybody's
SOMEBODY = 12345
UNMADE = "unmade"


class Unmade(Exception):
    """A fault that this machine or this user cannot make."""


@dataclass(frozen=True)
class Told:
    """The outcome of a verb: its exit code, what it printed, files that are not as they were."""

    code: int
    out: str
    err: str
    lost: tuple[str, ...]


Fault = Callable[[Path], None]
"""Makes a fault in the child, whose current folder is given: it holds `results`."""


def run(arguments: Sequence[str], here: Path, fault: Fault | None = None) -> Told | None:
    """Run a verb in a folder with a fault; None where the fault cannot be made here."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            _be_the_child(arguments, here, fault, (out.fileno(), err.fileno()), writer)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            text = pipe.read()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        out.seek(0)
        err.seek(0)
        printed, errors = (stream.read().decode(errors="replace") for stream in (out, err))
    found = json.loads(text) if text else {}
    if found.get(UNMADE):
        return None
    assert found, f"{arguments} ended with {status} and no report: it hangs, or was killed\n{errors}"
    return Told(found["code"], printed, errors, tuple(found["lost"]))


def _be_the_child(arguments: Sequence[str], here: Path, fault: Fault | None, streams: tuple[int, int], to: int) -> None:
    """Make the fault, run the verb, report; never returns."""
    code: object = 71
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        for stream, number in zip(streams, (1, 2), strict=True):
            os.dup2(stream, number)
        sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
        sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc]
        os.chdir(here)
        folder = os.open(here, os.O_RDONLY)
        before = _files(folder)
        try:
            if fault is not None:
                fault(here)
                folder = _opened(here)  # which may be another by now
                before = _files(folder)
        except Unmade:
            os.write(to, json.dumps({UNMADE: True}).encode())
            os._exit(0)
        sys.argv = ["benchbias", *arguments]
        code = _code_of_main()
        after = _files(folder)
        lost = sorted(name for name, content in before.items() if after.get(name) != content)
        os.write(to, json.dumps({"code": code, "lost": lost}).encode())
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _opened(folder: Path) -> int:
    """A folder, opened; its descriptor is no standard stream's, which may be closed."""
    low = os.open(folder, os.O_RDONLY)
    high = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(low)
    return high


def _code_of_main() -> int:
    from benchbias import cli

    try:
        cli.main()
    except SystemExit as ending:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        return ending.code if isinstance(ending.code, int) else 0
    return 0


def _files(folder: int) -> dict[str, str]:
    """Every plain file below a folder that can be read: its name and the digest of its content."""
    found = {}
    root = Path(f"/proc/self/fd/{folder}")
    for place, _, names in os.walk(root):
        for name in names:
            path = Path(place, name)
            with contextlib.suppress(OSError):
                if path.is_file():
                    found[str(path.relative_to(root))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


# the machine's own calls


def _call(name: str, *arguments: object) -> None:
    """Call the C library. Raises Unmade where it refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        raise Unmade(f"{name}: {os.strerror(ctypes.get_errno())}")


def _mount(source: str, target: Path, kind: str | None, flags: int, data: str | None = None) -> None:
    words = [word.encode() if word is not None else None for word in (source, str(target), kind)]
    _call("mount", *words, ctypes.c_ulong(flags), data.encode() if data is not None else None)


def _own_mounts() -> None:
    _call("unshare", CLONE_NEWNS)
    _mount("none", Path("/"), None, MS_REC | MS_PRIVATE)


def _without_overrides() -> None:
    """Be a root to whom another user's files are another user's."""
    for number in OVERRIDES:
        _call("prctl", PR_CAPBSET_DROP, number, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    _call("capget", header, data)
    for number in OVERRIDES:
        for at in range(3):
            data[at] &= ~(1 << number)
    _call("capset", header, data)


# faults of the folder


def read_only(here: Path) -> None:
    """The folder lies on a disk that is mounted read-only."""
    _own_mounts()
    _mount(str(here), here, None, MS_BIND | MS_REC)
    _mount("none", here, None, MS_REMOUNT | MS_BIND | MS_RDONLY)
    os.chdir(here)


def full_disk(here: Path) -> None:
    """The folder lies on a disk without a free byte."""
    _own_mounts()
    with tempfile.TemporaryDirectory() as aside:
        subprocess.run(["cp", "-a", f"{here}/.", aside], check=True)
        _mount("none", here, "tmpfs", 0, "size=64m")
        subprocess.run(["cp", "-a", f"{aside}/.", str(here)], check=True)
    os.chdir(here)
    with contextlib.suppress(OSError), Path(here, "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    with contextlib.suppress(OSError), Path(here, "ballast").open("ab", buffering=0) as file:
        while True:
            file.write(b"\0")


def _owned_by_somebody(here: Path, *, files: int, folders: int) -> None:
    if os.geteuid() != 0:
        raise Unmade("only root gives files away")
    for place, names, others in os.walk(here):
        for path in (Path(place), *(Path(place, name) for name in (*names, *others))):
            os.chown(path, SOMEBODY, SOMEBODY, follow_symlinks=False)
            if not path.is_symlink():
                path.chmod(folders if path.is_dir() else files)
    _without_overrides()


def foreign_owner(here: Path) -> None:
    """The folder is another user's, who lets us read."""
    _owned_by_somebody(here, files=0o644, folders=0o755)


def closed_folder(here: Path) -> None:
    """The results are another user's, who lets nobody read."""
    _owned_by_somebody(here / "results", files=0o600, folders=0o700)


STRAY = (".DS_Store", "Thumbs.db", ".nfs0000001", "notes.txt~", "#notes#", ".x.json.swp", "._x.json")


def stray_files(here: Path) -> None:
    """Other programs have left files and folders everywhere."""
    folders = [here / "results", *(path for path in (here / "results").rglob("*") if path.is_dir())]
    for folder in folders:
        (folder / "stray folder").mkdir()
        for name in STRAY:
            (folder / name).write_text("stray")


def folder_is_a_file(here: Path) -> None:
    """A file has the name of the results folder."""
    (here / "results").rename(here / "moved")
    (here / "results").write_text("mine")


def folder_is_a_pipe(here: Path) -> None:
    """A pipe has the name of the results folder."""
    (here / "results").rename(here / "moved")
    os.mkfifo(here / "results")


def piped_records(here: Path) -> None:
    """Pipes lie where records, boards and plans lay."""
    for name in ("records", "leaderboards", "plans"):
        for path in (here / "results" / name).rglob("*"):
            if path.is_file():
                path.unlink()
                os.mkfifo(path)


def no_folder(here: Path) -> None:
    """The current folder has been removed."""
    with tempfile.TemporaryDirectory() as gone:
        os.chdir(gone)


# faults of the process


def full_output(here: Path) -> None:
    """Standard output leads to a full disk."""
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


def closed_output(here: Path) -> None:
    """Standard output is closed, as by `>&-`."""
    os.close(1)
    sys.stdout = sys.__stdout__ = None  # type: ignore[assignment, misc]


def closed_errors(here: Path) -> None:
    """Standard errors are closed."""
    os.close(2)
    sys.stderr = sys.__stderr__ = None  # type: ignore[assignment, misc]


def all_closed(here: Path) -> None:
    """No standard stream is open, as in some daemons."""
    for number in (0, 1, 2):
        os.close(number)
    sys.stdin = sys.__stdin__ = None  # type: ignore[assignment, misc]
    sys.stdout = sys.__stdout__ = sys.stderr = sys.__stderr__ = None  # type: ignore[assignment, misc]


def reader_gone(here: Path) -> None:
    """Whoever read our output has gone away, as `head -1` does."""
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)


def ascii_terminal(here: Path) -> None:
    """The terminal knows ASCII alone."""
    os.environ |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii:strict"}
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="ascii", errors="strict")  # type: ignore[union-attr]


def no_home(here: Path) -> None:
    """There is no home, and nowhere to keep a cache."""
    for name in ("HOME", "BENCHBIAS_CACHE", "XDG_CACHE_HOME"):
        os.environ.pop(name, None)
    os.environ["HOME"] = "/dev/null/home"


def no_terminal(here: Path) -> None:
    """There is no terminal, no type of one, and no standard input."""
    os.environ.pop("TERM", None)
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


DISTRIBUTIONS: Mapping[str, bytes] = {
    "not-utf-8": b"\xff\xfe[benchbias]\n",
    "no-value": b"[benchbias]\nx =\n",
    "no-name": b"[benchbias]\n= x\n",
    "no-equals": b"[benchbias]\njust a line\n",
    "three-words": b"[benchbias]\nx = a b c\n",
    "foreign-entry": b"[console_scripts]\nfoo = :bad:\n",
    "foreign-line": b"[console_scripts]\njust a line\n",
    "stray-line": b"stray line before any section\n[benchbias]\n",
    "absent-module": b"[benchbias]\nx = mod:obj [extra]\n",
    "twice": b"[benchbias]\nx = one\nx = two\n",
    "colons": b"[benchbias]\nx = :bad:\n",
    "utf-16": "[benchbias]\nx = y\n".encode("utf-16"),
    "empty": b"",
}
"""The entry points of distributions that another has packed badly."""


def distribution(folder: Path, name: str, entries: bytes, metadata: bytes | None = None) -> Path:
    """Lay a distribution into a folder, as pip would; the folder is returned."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_bytes(entries)
    if metadata is None:
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
    (info / "METADATA").write_bytes(metadata)
    return folder


def broken_distributions(here: Path) -> None:
    """The environment has distributions with malformed metadata."""
    with tempfile.TemporaryDirectory() as folder:
        for name, entries in DISTRIBUTIONS.items():
            distribution(Path(folder), f"odd_{name.replace('-', '_')}", entries)
        distribution(Path(folder), "nameless", b"[benchbias]\n", b"\xff\xfe")
        kept = Path(tempfile.mkdtemp(dir=here.parent))
        subprocess.run(["cp", "-a", f"{folder}/.", str(kept)], check=True)
    sys.path.insert(0, str(kept))


def broken_plugin(here: Path) -> None:
    """The environment has a plugin that cannot be imported."""
    kept = Path(tempfile.mkdtemp(dir=here.parent))
    (kept / "broken_plugin_module.py").write_text("raise RuntimeError('no libcuda')\n")
    distribution(kept, "brokenplugin", b"[benchbias]\nbroken = broken_plugin_module\n")
    sys.path.insert(0, str(kept))
