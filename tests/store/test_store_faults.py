"""A fault at every call that the store makes to the operating system, one after the other, reads included.

Whatever the call and whatever its fault, an operation succeeds or is a storage error of one line; what was committed
before is served as it was; nothing partial or damaged is served; and the operation works once the fault is gone. The
same with the process ended by SIGKILL at every call: what it was told was stored is there.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from benchbias.engine.base import DAMAGED, FAILED, STORAGE
from benchbias.errors import DamagedError, StorageError
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store
from benchbias.util import canonical
from support.faulty import Calls, faults, in_child
from support.running import tree

TENSORS = {"weight": torch.arange(300, dtype=torch.float32).view(3, 100), "bias": torch.tensor([0.5, -1.0])}
OTHER = {"weight": torch.zeros(200)}
OTHER_SHA = hashlib.sha256(safetensors.torch.save(OTHER)).hexdigest()
CODES = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EINTR)


def key_of(name: str) -> str:
    return canonical.digest({"name": name})


def put(store: Store, name: str, tensors: dict[str, torch.Tensor] = TENSORS, loss: float = 0.25) -> None:
    sha256 = store.put_blob(tensors)
    store.put(key_of(name), {"name": name}, {"loss": loss, "text": "x" * 500}, {"weights": sha256})


def served(store: Store, name: str, tensors: dict[str, torch.Tensor] = TENSORS, loss: float = 0.25) -> bool:
    """Whether the product is there; anything that is there must be right."""
    product = store.get(key_of(name))
    if product is None:
        return False
    assert product.body == {"loss": loss, "text": "x" * 500}
    try:
        loaded = store.load_blob(product.blobs["weights"])
    except DamagedError:
        return False
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[part], tensors[part]) for part in tensors)
    return True


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3] + b"###")


def hold(store: Store) -> bool:
    with store.claim(key_of("new")) as mine:
        return mine


def nothing(store: Store) -> None: ...


def lose_folders(store: Store) -> None:
    for name in ("claims", "plans", "records"):
        (store.root / name).rmdir()  # and the rest of `create` has nothing to do


def put_new(store: Store) -> None:
    put(store, "new", OTHER)


def spoil_object(store: Store) -> None:
    put_new(store)
    damage(store.object_path(key_of("new")))


def spoil_blob(store: Store) -> None:
    put_new(store)
    damage(store.blob_path(OTHER_SHA))


def load_new(store: Store) -> bool:
    return torch.equal(store.load_blob(OTHER_SHA)["weight"], OTHER["weight"])


BOARD = ("leaderboards", "new.md")
SETUPS_AND_OPERATIONS: dict[str, tuple[Callable[[Store], Any], Callable[[Store], Any]]] = {
    "create": (lose_folders, lambda store: bool(store.create())),
    "put": (nothing, put_new),
    "put an equal one": (put_new, put_new),
    "put another one": (put_new, lambda store: put(store, "new", OTHER, 0.75)),
    "put over a damaged object": (spoil_object, put_new),
    "put over a damaged blob": (spoil_blob, put_new),
    "put_measured": (nothing, lambda store: store.put_measured("a" * 64, {"text": "x" * 1000})),
    "put_attempt": (nothing, lambda store: store.put_attempt("b" * 64, {"text": "x" * 1000})),
    "replace": (nothing, lambda store: store.replace(store.root.joinpath(*BOARD), "y" * 1000)),
    "replace an old one": (
        lambda store: store.replace(store.root.joinpath(*BOARD), "x" * 1000),
        lambda store: store.replace(store.root.joinpath(*BOARD), "y" * 1000),
    ),
    "get": (put_new, lambda store: store.get(key_of("new")) is not None),
    "get nothing": (nothing, lambda store: store.get(key_of("new")) is not None),
    "get a damaged one": (spoil_object, lambda store: store.get(key_of("new")) is not None),
    "load_blob": (put_new, load_new),
    "keys": (put_new, Store.keys),
    "claim": (nothing, hold),
    "claimed": (hold, lambda store: store.claimed(key_of("new"))),
    "attempts": (
        lambda store: store.put_attempt("b" * 64, {"kind": "skip"}),
        lambda store: len(store.attempts("b" * 64)),
    ),
    "measured": (
        lambda store: store.put_measured("a" * 64, {"seconds": 1.0}),
        lambda store: store.measured("a" * 64).get("seconds"),
    ),
}
TOLERANT = {"attempts", "measured"}  # notes that cannot be read are as if they were not there


@pytest.fixture(params=SETUPS_AND_OPERATIONS)
def operation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def prepared(root: Path, operation: str) -> Store:
    """A store with the product `kept`, and what the operation begins from."""
    store = Store(root).create()
    put(store, "kept")
    SETUPS_AND_OPERATIONS[operation][0](store)
    return store


def run(operation: str, store: Store) -> Any:
    return SETUPS_AND_OPERATIONS[operation][1](store)


def copied(store: Store, root: Path) -> Store:
    shutil.copytree(store.root, root)
    return Store(root)


def nothing_partial(store: Store) -> None:
    """Whatever can be seen is whole or is refused; every file of notes is a whole document."""
    assert served(store, "kept")
    served(store, "new", OTHER)
    for folder in ("measured", "attempts"):
        for path in (store.root / folder).rglob("*.json"):
            canonical.loads(path.read_bytes())
    for path in (store.root / "leaderboards").iterdir():
        assert path.read_text() in ("x" * 1000, "y" * 1000)


def state(store: Store) -> dict[str, bytes]:
    """All that is durable: names and bytes, without what is in quarantine and the random part of a note's name."""
    found = tree(store.root)
    for folder in ("measured", "attempts"):
        paths = sorted((store.root / folder).rglob("*.json"))
        found |= {f"{folder}/{path.parent.name}/{path.name[:4]}": path.read_bytes() for path in paths}
    return found


def test_a_fault_at_any_call_is_a_success_or_one_line_and_loses_nothing(operation: str, fast: Path):
    before = prepared(fast / "before", operation)
    here = copied(before, fast / "here")
    with faults(Calls(here.root)) as counted:
        answer = run(operation, here)
    wanted, aside = state(here), len(list((here.root / "quarantine").iterdir()))
    assert counted.seen
    errors = 0
    for nth, name in enumerate(counted.seen, 1):
        for code, done in (*((code, False) for code in CODES), (errno.EIO, True)):
            shutil.rmtree(here.root)
            here = copied(before, fast / "here")
            where = f"{operation}: call {nth} ({name}) of {counted.seen}, {errno.errorcode[code]}, {done=}"
            error = None
            with faults(Calls(here.root, nth, code, done)) as calls:
                try:
                    given = run(operation, here)
                    assert given == answer or operation in TOLERANT, where
                except OSError as bare:
                    raise AssertionError(f"a bare {bare!r}: {where}") from bare
                except StorageError as caught:
                    error = caught
            if error is not None:
                errors += 1
                assert not isinstance(error, DamagedError), where
                assert len(str(error).splitlines()) == 1, where
                assert error.exit_code == 4, where
            assert calls.happened, where
            if name != "unlink":
                assert not list((here.root / "tmp").iterdir()), where
            nothing_partial(here)
            again = run(operation, here)
            assert again == answer, where
            if operation != "put_attempt":  # a note may have been made though its answer was lost
                assert state(here) == wanted, where
                assert len(list((here.root / "quarantine").iterdir())) >= aside, where
    assert errors or operation in TOLERANT


def put_two(store: Store, tell: Callable[[str], None]) -> None:
    """Claim and put two products, telling of each when it is stored."""
    for name in ("first", "second"):
        with store.claim(key_of(name)) as mine:
            assert mine
            put(store, name)
            store.put_measured(key_of(name), {"seconds": 1.0})
        tell(name)


@pytest.mark.slow
def test_a_kill_at_any_call_loses_nothing_that_was_acknowledged(fast: Path):
    before = Store(fast / "before").create()
    whole = copied(before, fast / "whole")
    with faults(Calls(whole.root)) as counted:
        put_two(whole, lambda line: None)
    told: list[int] = []
    for nth in range(1, len(counted.seen) + 2):
        here = copied(before, fast / f"{nth}")

        def work(tell: Callable[[str], None], here: Store = here, nth: int = nth) -> int:
            with faults(Calls(here.root, nth)):
                put_two(here, tell)
            return 0

        ended, lines = in_child(work)
        assert ended == (-signal.SIGKILL if nth <= len(counted.seen) else 0)
        where = f"call {nth} of {counted.seen}"
        for name in lines:
            assert served(here, name), where
            assert not here.claimed(key_of(name))
        for name in ("first", "second"):
            served(here, name)
        for path in here.root.glob("blobs/*/*"):
            assert path.read_bytes() == (whole.root / path.relative_to(here.root)).read_bytes(), where
        assert len(list((here.root / "tmp").iterdir())) <= 1, where
        put_two(here, lambda line: None)  # no claim is held by the dead
        assert state(here) == state(whole), where
        assert not list((here.root / "quarantine").iterdir()), where
        told.append(len(lines))
        shutil.rmtree(here.root)
    assert told == sorted(told)
    assert set(told) == {0, 1, 2}


@pytest.fixture
def stage(smoke: Path, fast: Path) -> tuple[Store, dict[str, Any], str]:
    """Finished results without one `score` stage, the plan that workers read, and the key of that stage."""
    plan = Workspace.open(quiet=True).plan("smoke")
    (payload,) = (path for path in (smoke / "plans").iterdir() if not path.name.startswith("last-run."))
    key = next(key for key, stage in plan.stages.items() if stage.kind == "score")
    store = Store(fast / "before").create()
    needed = [key, *plan.stages[key].parents.values()]
    for parent in needed[1:]:
        needed += plan.stages[parent].parents.values()
    for path in (Store(smoke).object_path(other) for other in dict.fromkeys(needed)):
        document = json.loads(path.read_bytes())
        for source in [path, *(Store(smoke).blob_path(sha) for sha in document["content"]["blobs"].values())]:
            target = store.root / source.relative_to(smoke)
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, target)
    store.object_path(key).unlink()
    return store, json.loads(payload.read_bytes()), key


@pytest.mark.slow
def test_a_fault_at_any_call_of_a_stage_is_never_a_failure_of_the_stage(
    stage: tuple[Store, dict[str, Any], str], smoke: Path, fast: Path
):
    """A worker whose disk fails says so: a note that the stage has failed would stay when the disk is well again."""
    from benchbias.engine.warm import preload
    from benchbias.engine.worker import run_stage

    preload()
    before, plan, key = stage
    wanted = Store(smoke).object_path(key).read_bytes()

    def ended(store: Store, calls: Calls) -> tuple[int, list[str]]:
        def work(tell: Callable[[str], None]) -> int:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  (pytest's own is not ours)
            with faults(calls):
                code = run_stage(store, plan, key)
            tell(" ".join(calls.seen))
            return code

        return in_child(work)

    here = copied(before, fast / "here")
    code, lines = ended(here, Calls(here.root))
    assert code == 0
    names = lines[0].split()
    codes = set()
    for nth, name in enumerate(names, 1):
        if name == "stat" and nth % 8:  # most ask whether a blob is there; an eighth of them must do
            continue
        shutil.rmtree(here.root)
        here = copied(before, fast / "here")
        fault = CODES[nth % len(CODES)]
        code, lines = ended(here, Calls(here.root, nth, fault))
        where = f"call {nth} ({name}) of {names}, {errno.errorcode[fault]}"
        assert lines, where
        assert code not in (FAILED, DAMAGED, 70), where
        assert code in (0, STORAGE), where
        assert not list((here.root / "attempts").iterdir()), where
        assert code == STORAGE or here.has(key), where
        if here.has(key):
            assert here.object_path(key).read_bytes() == wanted, where
        codes.add(code)
    assert codes == {0, STORAGE}
    code, lines = ended(here, Calls(here.root))
    assert code == 0
    assert here.object_path(key).read_bytes() == wanted
