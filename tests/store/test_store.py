"""The results folder holds: a file is there whole or not at all, nothing is replaced, nothing damaged is served.

Faults are injected at every call that the store makes to the operating system: each is either an error of one
line or a success, leaves no temporary file, shows nothing partial, and the next write works.
"""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from benchbias.cli.folders.cleaning import clean_results
from benchbias.errors import DamagedError, StorageError, UsageError
from benchbias.store import store as store_module
from benchbias.store.store import Product, Store
from benchbias.util import canonical
from benchbias.util import files as files_module

TENSORS = {"weight": torch.arange(12, dtype=torch.float32).view(3, 4), "bias": torch.tensor([0.5, -1.0])}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results").create()


def put(store: Store, number: int = 0, body: dict[str, Any] | None = None) -> tuple[str, Product]:
    """Commit one product with one blob; its key and what must be read back are returned."""
    inputs = {"kind": "train", "number": number}
    key = canonical.digest(inputs)
    product = Product(body or {"loss": 0.25, "name": "é\n", "steps": [1, 2, number]}, {"weights": ""})
    product = Product(product.body, {"weights": store.put_blob(TENSORS)})
    store.put(key, inputs, product.body, product.blobs)
    return key, product


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def loads_whole(store: Store, sha256: str) -> bool:
    loaded = store.load_blob(sha256)
    return loaded.keys() == TENSORS.keys() and all(torch.equal(loaded[name], TENSORS[name]) for name in TENSORS)


def test_tensors_that_share_their_memory_are_stored_as_if_they_did_not(store: Store):
    one = torch.arange(6.0)
    shared = {"a": one, "b": one, "c": one[2:4], "d": one.view(2, 3).T, "e": torch.zeros(0), "f": torch.zeros(0)}
    apart = {name: tensor.clone() for name, tensor in shared.items()}
    sha256 = store.put_blob(shared)
    assert sha256 == store.put_blob(apart)
    loaded = store.load_blob(sha256)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in apart.items())


# nothing is replaced


def test_what_is_put_is_read_back(store: Store):
    key, product = put(store)
    assert store.get(key) == product
    assert loads_whole(store, product.blobs["weights"])
    assert list(store.load_blob(product.blobs["weights"], ("bias",))) == ["bias"]
    assert not list((store.root / "tmp").iterdir())


def test_a_second_equal_put_changes_nothing(store: Store):
    key, _ = put(store)
    before = {path: path.stat() for path in store.root.rglob("*") if path.is_file()}
    put(store)
    after = {path: path.stat() for path in store.root.rglob("*") if path.is_file()}
    assert {p: (s.st_ino, s.st_mtime_ns) for p, s in before.items()} == {
        p: (s.st_ino, s.st_mtime_ns) for p, s in after.items()
    }
    assert store.object_path(key) in before


def test_another_product_of_the_same_key_is_kept_aside_and_the_first_stays(store: Store):
    key, product = put(store)
    first = store.object_path(key).read_bytes()
    for _ in range(2):  # the same difference twice is one conflict
        put(store, body={"loss": 0.75})
    assert store.get(key) == product
    assert store.object_path(key).read_bytes() == first
    (conflict,) = (store.root / "quarantine").iterdir()
    assert conflict.name.startswith(f"conflict-{key}")
    assert json.loads(conflict.read_bytes())["content"]["body"] == {"loss": 0.75}


def test_the_first_measurement_stays(store: Store):
    store.put_measured("a" * 64, {"seconds": 1.5})
    store.put_measured("a" * 64, {"seconds": 9.5})
    assert store.measured("a" * 64) == {"seconds": 1.5}
    assert store.measured("b" * 64) == {}


def test_blobs_have_equal_bytes_in_another_process(store: Store, tmp_path: Path):
    """Whatever the order in which tensors are given, and whatever the hash seed."""
    _, product = put(store)
    script = (
        "import sys, torch; from pathlib import Path; from benchbias.store.store import Store\n"
        "tensors = {'bias': torch.tensor([0.5, -1.0]), 'weight': torch.arange(12.0).view(3, 4)}\n"
        "print(Store(Path(sys.argv[1])).create().put_blob(tensors))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "other")],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == product.blobs["weights"]
    (blob,) = (tmp_path / "other" / "blobs").rglob("*.safetensors")
    assert blob.read_bytes() == store.blob_path(product.blobs["weights"]).read_bytes()
    assert b"__metadata__" not in blob.read_bytes()  # several keys of it come in an order that varies


# nothing damaged is served


def damaged(content: bytes, chance: random.Random) -> bytes:
    """A truncation by more than the final newline, one to three flipped bits, or one digit that is another digit."""
    kind = chance.choice(("truncated", "flipped", "digit"))
    if kind == "truncated":
        return content[: chance.randrange(len(content) - 1)]
    changed = bytearray(content)
    if kind == "digit":  # still a document, and perhaps still plausible
        changed[chance.choice([i for i, byte in enumerate(content) if byte in b"0123456789"])] ^= 1
        return bytes(changed)
    for index in chance.sample(range(len(content)), chance.randint(1, 3)):
        changed[index] ^= 1 << chance.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_object_is_put_aside_and_made_again(store: Store, seed: int):
    key, product = put(store, seed)
    path = store.object_path(key)
    whole, wrong = path.read_bytes(), damaged(path.read_bytes(), random.Random(seed))
    path.write_bytes(wrong)
    assert store.get(key) is None
    assert not path.exists()
    (aside,) = (store.root / "quarantine").iterdir()
    assert aside.read_bytes() == wrong != whole
    put(store, seed)
    assert store.get(key) == product
    assert path.read_bytes() == whole


@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_blob_is_put_aside_and_made_again(store: Store, seed: int):
    key, product = put(store)
    sha256 = product.blobs["weights"]
    path = store.blob_path(sha256)
    whole, wrong = path.read_bytes(), damaged(path.read_bytes(), random.Random(seed))
    path.write_bytes(wrong)
    if seed % 2:  # found by whoever reads it
        with pytest.raises(DamagedError):
            store.load_blob(sha256)
        assert store.get(key) is None  # an object whose blob is gone is not there
        assert {path.read_bytes() for path in (store.root / "quarantine").iterdir()} >= {wrong}
    put(store)  # or by whoever writes it again
    assert wrong in {path.read_bytes() for path in (store.root / "quarantine").iterdir()}
    assert store.get(key) == product
    assert path.read_bytes() == whole
    assert loads_whole(store, sha256)


def test_a_damaged_object_is_made_again_by_whoever_puts_it(store: Store):
    key, product = put(store)
    store.object_path(key).write_bytes(b"{")
    put(store)
    assert store.get(key) == product
    assert [path.name[:8] for path in (store.root / "quarantine").iterdir()] == ["damaged-"]


def test_an_object_under_another_name_is_not_served(store: Store):
    key, _ = put(store, 0)
    other = canonical.digest({"kind": "train", "number": 1})
    store.object_path(other).parent.mkdir(exist_ok=True)
    shutil.copy(store.object_path(key), store.object_path(other))
    assert store.get(other) is None
    assert store.get(key) is not None


def test_an_object_without_its_blob_is_not_served(store: Store):
    key, product = put(store)
    store.blob_path(product.blobs["weights"]).unlink()
    assert not store.has(key)
    assert not store.object_path(key).exists()
    put(store)
    assert store.get(key) == product


def forged(store: Store, change: Callable[[dict[str, Any]], None]) -> tuple[str, bytes]:
    """An object changed by `change`, with hashes that fit as far as the change allows."""
    key, _ = put(store)
    document = json.loads(store.object_path(key).read_bytes())
    change(document["content"])
    text = json.dumps(document["content"], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    try:
        document["sha256"] = canonical.digest_of_parsed(document["content"])
    except ValueError:
        document["sha256"] = "0" * 64
    start, end = '{"content":', f',"key":"{key}","schema":1,"sha256":"{document["sha256"]}"}}\n'
    return key, (start + text + end).encode()


def set_body(value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["body"].update(value)


FORGERIES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "not a number": set_body({"loss": float("nan")}),
    "infinite": set_body({"loss": float("inf")}),
    "half a character": set_body({"name": "\ud800"}),
    "no body": lambda content: content.pop("body"),
    "no blobs": lambda content: content.pop("blobs"),
    "blobs are a list": lambda content: content.update(blobs=[]),
    "a path for a digest": lambda content: content.update(blobs={"weights": "../../../etc/passwd"}),
    "other inputs": lambda content: content["inputs"].update(number=99),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_object_is_never_served(store: Store, name: str):
    key, text = forged(store, FORGERIES[name])
    store.object_path(key).write_bytes(text)
    assert store.get(key) is None
    assert not store.object_path(key).exists()


def test_the_forgery_itself_would_be_read(store: Store):
    """So what is refused above is the change, not the way it was written."""
    key, text = forged(store, set_body({"loss": 0.125}))
    store.object_path(key).write_bytes(text)
    product = store.get(key)
    assert product is not None
    assert product.body["loss"] == 0.125


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 100_000, b"1" * 5000])
def test_a_document_that_is_no_object_is_never_served(store: Store, text: bytes):
    key, _ = put(store)
    store.object_path(key).write_bytes(text)
    assert store.get(key) is None


def test_a_key_that_stands_twice_is_damage(store: Store):
    key, product = put(store)
    text = store.object_path(key).read_text()
    store.object_path(key).write_text(text.replace('"schema":1', '"schema":1,"schema":1'))
    assert store.get(key) is None
    store.object_path(key).write_text(text)
    assert store.get(key) == product


def test_an_object_of_enormous_size_is_not_read(store: Store):
    key, _ = put(store)
    with store.object_path(key).open("r+b") as file:
        file.truncate(store_module.MAX_OBJECT_BYTES + 2)  # sparse: takes no room
    assert store.get(key) is None


# faults of the operating system


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.EMFILE, errno.ENOMEM, errno.ESTALE])
def test_what_cannot_be_read_is_a_storage_error_and_no_damage(store: Store, monkeypatch: pytest.MonkeyPatch, code: int):
    """An I/O error says nothing about the file, and must never be noted as the failure of a component."""
    key, product = put(store)
    sha256 = product.blobs["weights"]
    real = os.open

    def failing(path: Any, *arguments: Any, **named: Any) -> Any:
        if path in (store.object_path(key), store.blob_path(sha256)):
            raise OSError(code, os.strerror(code))
        return real(path, *arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", failing)
        for read in (lambda: store.get(key), lambda: store.load_blob(sha256), lambda: store.put_blob(TENSORS)):
            with pytest.raises(StorageError) as caught:
                read()
            assert not isinstance(caught.value, DamagedError)
            assert "\n" not in str(caught.value)
    assert not list((store.root / "quarantine").iterdir())
    assert store.get(key) == product
    assert loads_whole(store, sha256)


class Faults:
    """Stands in for `os` inside the store: counts calls, and lets the n-th call of one function fail."""

    NAMES = ("open", "write", "fsync", "close", "link")

    def __init__(self, fault: str = "", nth: int = 0, code: int = 0, *, piece: int = 400) -> None:
        self.fault, self.nth, self.code, self.piece = fault, nth, code, piece
        self.calls = dict.fromkeys(self.NAMES, 0)
        self.happened = False

    def module(self) -> types.SimpleNamespace:
        return types.SimpleNamespace(**{**vars(os), **{name: self._wrapped(name) for name in self.NAMES}})

    def _wrapped(self, name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*arguments: Any) -> Any:
            self.calls[name] += 1
            failing = name == self.fault and self.calls[name] == self.nth
            if name == "write":
                arguments = (arguments[0], arguments[1][: self.piece])  # always short writes
            if name == "close" or not failing:
                answer = real(*arguments)
            if failing:
                self.happened = True
                raise OSError(self.code, os.strerror(self.code))
            return answer

        return call


def operations(store: Store) -> dict[str, Callable[[], Any]]:
    return {
        "put": lambda: put(store),
        "put_measured": lambda: store.put_measured("a" * 64, {"seconds": 1.0, "text": "x" * 1000}),
        "put_attempt": lambda: store.put_attempt("b" * 64, {"reason": "x" * 1000}),
        "replace": lambda: store.replace(store.root / "records" / "new.json", "x" * 1000),
    }


def replace_os(patched: pytest.MonkeyPatch, module: object) -> None:
    """Give the module that reads and writes files another `os`."""
    patched.setattr(files_module, "os", module)


def calls_of(operation: str) -> dict[str, int]:
    """How often an undisturbed operation calls each function."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "results").create()
        counter = Faults()
        with pytest.MonkeyPatch.context() as patched:
            replace_os(patched, counter.module())
            operations(store)[operation]()
    return counter.calls


def nothing_partial(store: Store) -> None:
    """Whatever is visible is whole."""
    for path in (store.root / "objects").rglob("*.json"):
        assert store.get(path.stem) is not None
    for path in (store.root / "blobs").rglob("*.safetensors"):
        assert loads_whole(store, path.stem)
    for folder in ("measured", "attempts"):
        for path in (store.root / folder).rglob("*.json"):
            canonical.loads(path.read_bytes())
    for path in (store.root / "records").rglob("*.json"):
        assert path.read_text() in ("old", "x" * 1000)
    assert not list((store.root / "quarantine").iterdir())


def with_fault(store: Store, monkeypatch: pytest.MonkeyPatch, faults: Faults, operation: str) -> StorageError | None:
    with monkeypatch.context() as patched:
        replace_os(patched, faults.module())
        try:
            operations(store)[operation]()
        except StorageError as error:
            return error
    return None


@pytest.mark.parametrize("operation", ["put", "put_measured", "put_attempt", "replace"])
def test_a_fault_at_any_call_loses_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, operation: str
):
    if operation == "replace":
        store.replace(store.root / "records" / "new.json", "old")
    counts = calls_of(operation)
    assert counts["write"] > 1  # short writes happen
    left: list[str] = []
    for name in Faults.NAMES:
        for nth in range(1, counts[name] + 1):
            for code in (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS):
                here = Store(tmp_path / f"{name}-{nth}-{code}")
                shutil.copytree(store.root, here.root)
                faults = Faults(name, nth, code)
                error = with_fault(here, monkeypatch, faults, operation)
                assert faults.happened
                if error is not None:
                    assert "\n" not in str(error)
                    assert os.strerror(code) in str(error)
                    assert error.exit_code == 4
                left += [f"{name} {nth} {errno.errorcode[code]}" for _ in (here.root / "tmp").iterdir()]
                nothing_partial(here)
                operations(here)[operation]()
                nothing_partial(here)
                shutil.rmtree(here.root)
    assert not left, f"temporary files stay after {left}"


def test_an_interrupted_write_is_an_error_or_a_success(store: Store, monkeypatch: pytest.MonkeyPatch):
    for nth in (1, 2, 3):
        faults = Faults("write", nth, errno.EINTR, piece=100)
        error = with_fault(store, monkeypatch, faults, "put")
        assert faults.happened
        assert error is None or os.strerror(errno.EINTR) in str(error)
        nothing_partial(store)
    assert not list((store.root / "tmp").iterdir())
    key, product = put(store)
    assert store.get(key) == product


def test_writes_of_one_byte_at_a_time_are_put_together(store: Store, monkeypatch: pytest.MonkeyPatch):
    faults = Faults(piece=1)
    assert with_fault(store, monkeypatch, faults, "put") is None
    assert faults.calls["write"] > 300
    key, product = put(store)
    assert store.get(key) == product
    assert not list((store.root / "quarantine").iterdir())


def test_a_link_that_was_made_but_not_acknowledged_is_a_success(store: Store, monkeypatch: pytest.MonkeyPatch):
    """NFS may lose the answer."""

    def lost(source: Path, target: Path) -> None:
        os.link(source, target)
        raise OSError(errno.EIO, "lost answer")

    replace_os(monkeypatch, types.SimpleNamespace(**{**vars(os), "link": lost}))
    key, product = put(store)
    assert store.get(key) == product
    assert not list((store.root / "tmp").iterdir())


def test_a_write_that_reads_back_wrongly_is_an_error(store: Store, monkeypatch: pytest.MonkeyPatch):
    def zeros(descriptor: int, content: bytes) -> int:
        return os.write(descriptor, bytes(len(content)))

    with monkeypatch.context() as patched:
        replace_os(patched, types.SimpleNamespace(**{**vars(os), "write": zeros}))
        with pytest.raises(StorageError, match="read back"):
            put(store)
    nothing_partial(store)
    assert not list((store.root / "blobs").rglob("*.safetensors"))
    assert not list((store.root / "tmp").iterdir())


def test_a_real_limit_on_the_size_of_files_is_an_error_of_one_line(store: Store):
    """The kernel itself refuses, as on a full disk: nothing is left, and it works afterwards."""
    script = (
        "import resource, signal, sys; from pathlib import Path; from benchbias.store.store import Store\n"
        "from benchbias.errors import StorageError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: Store(Path(sys.argv[1])).put_measured('a' * 64, {'text': 'x' * 1000})\n"
        "except StorageError as error: print(error); sys.exit(4)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(store.root)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (4, "")
    assert len(done.stdout.splitlines()) == 1
    assert files(store.root) == {}
    store.put_measured("a" * 64, {"seconds": 1.0})
    assert store.measured("a" * 64) == {"seconds": 1.0}


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """A folder that this process cannot write to, whoever it is."""
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_an_unwritable_folder_is_an_error_of_one_line():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = Store(folder / "results").create()
        with unwritable(folder), pytest.raises(StorageError) as caught:
            Store(folder / "other").create()
        assert str(folder / "other") in str(caught.value)
        assert "\n" not in str(caught.value)
        (store.root / "tmp").chmod(0o555)
        with unwritable(store.root), pytest.raises(StorageError) as caught:
            put(store)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 4


def test_a_results_folder_that_is_a_file_is_an_error_of_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError) as caught:
        Store(tmp_path / "file").create()
    assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "mine"


# derived files


def test_a_derived_file_is_replaced_whole(store: Store):
    path = store.root / "leaderboards" / "board.md"
    store.replace(path, "one")
    store.replace(path, "two")
    assert path.read_text() == "two"
    inode = path.stat().st_ino
    store.replace(path, "two")  # an equal one is not written again
    assert path.stat().st_ino == inode
    assert not list((store.root / "tmp").iterdir())


def test_a_damaged_derived_file_is_written_anew(store: Store):
    path = store.root / "records" / "record.json"
    store.replace(path, "text")
    path.write_bytes(b"\xff\xfe\xfa")
    store.replace(path, "text")
    assert path.read_text() == "text"


def test_a_derived_file_may_lie_on_another_file_system(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As published records do: results on a scratch disk, the repository at home. There rename(2) fails."""
    published = tmp_path / "elsewhere" / "board.md"

    def inside(path: Any) -> bool:
        return Path(path).resolve().is_relative_to(store.root)

    def replace(source: Any, target: Any, **_: Any) -> None:
        if inside(source) != inside(target):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real(source, target)

    real = os.replace
    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(os, "rename", replace)
    store.replace(published, "board")
    assert published.read_text() == "board"
    assert files(tmp_path / "elsewhere") == {"board.md": b"board"}


# claims and cleaning

HOLDER = """
import sys, time
from pathlib import Path
from benchbias.store.store import Store
with Store(Path(sys.argv[1])).claim(sys.argv[2]) as mine:
    print(mine, flush=True)
    time.sleep(60)
"""

WRITER = """
import os, sys, time
from pathlib import Path
from benchbias.util.files import write_whole
def wait(descriptor):
    print("writing", flush=True)
    time.sleep(60)
os.fsync = wait
write_whole(Path(sys.argv[1]) / "tmp" / sys.argv[2], b"x" * 10)
"""


@contextmanager
def process(script: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that has said one line and now waits; ended with SIGKILL."""
    child = subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield child, child.stdout.readline().strip()
    finally:
        child.kill()
        child.communicate()


def test_a_claim_is_exclusive_between_processes_and_ends_with_its_holder(store: Store):
    key, other = "a" * 64, "b" * 64
    with process(HOLDER, str(store.root), key) as (holder, said):
        assert said == "True"
        assert store.claimed(key)
        assert not store.claimed(other)
        with process(HOLDER, str(store.root), key) as (_, answer):
            assert answer == "False"
        with store.claim(key) as mine, store.claim(other) as free:
            assert (mine, free) == (False, True)
        assert store.claimed(key)  # asking has not ended it
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert not store.claimed(key)
        with store.claim(key) as mine:
            assert mine
    with store.claim(key) as mine:
        assert mine


def test_clean_removes_what_dead_processes_left_and_nothing_else(store: Store):
    put(store)
    kept = files(store.root)
    (store.root / "tmp" / "dead.tmp").write_text("half")
    (store.root / "claims" / "free").touch()
    key = "a" * 64
    with process(WRITER, str(store.root), "live.tmp") as (_, said), process(HOLDER, str(store.root), key) as (_, mine):
        assert (said, mine) == ("writing", "True")
        clean_results(store.root, everything=False, quarantine=False, failures=False)
        claims = {"claims/free", f"claims/{key}"}  # stay: another process may be about to lock one
        claims |= {"claims/run"}  # clean's own: no run may begin while it is at work
        assert set(files(store.root)) - set(kept) == {"tmp/live.tmp", *claims}
        assert store.claimed(key)
    clean_results(store.root, everything=False, quarantine=False, failures=False)
    assert set(files(store.root)) - set(kept) == claims


def test_clean_removes_more_only_when_it_is_asked_to(store: Store):
    key, _ = put(store)
    put(store, body={"loss": 0.75})  # a conflict
    store.put_attempt("b" * 64, {"reason": "no"})
    results = {name for name in files(store.root) if name.startswith(("objects", "blobs"))}
    clean_results(store.root, everything=False, quarantine=False, failures=False)
    assert len(list((store.root / "quarantine").iterdir())) == 1
    assert store.attempts("b" * 64) == [{"reason": "no"}]
    clean_results(store.root, everything=False, quarantine=True, failures=True)
    assert set(files(store.root)) - {"claims/run"} == results
    assert store.has(key)
    (store.root / "mine.txt").write_text("mine")
    clean_results(store.root, everything=True, quarantine=False, failures=False)
    assert set(files(store.root)) == {"mine.txt"}


@pytest.mark.parametrize("everything", [False, True])
def test_clean_leaves_a_folder_alone_that_is_not_ours(tmp_path: Path, everything: bool):
    """A git repository has a folder `objects`, too."""
    (tmp_path / "objects" / "ab").mkdir(parents=True)
    (tmp_path / "objects" / "ab" / "cdef").write_text("precious")
    with pytest.raises(UsageError):
        clean_results(tmp_path, everything=everything, quarantine=False, failures=False)
    assert files(tmp_path) == {"objects/ab/cdef": b"precious"}
