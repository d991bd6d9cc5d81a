"""A fault at every call by which the command itself reads and writes its results folder ends it with one line."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchbias.errors import BenchbiasError
from benchbias.plan.trials import Selection
from benchbias.runner.launch import write_payload
from benchbias.runner.loop import compute
from benchbias.runner.report import record
from benchbias.runner.reporter import Silent
from benchbias.runner.results import results_of
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store
from support.faulty import Calls, faults, in_child
from support.running import tree

CODES = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EINTR)


@pytest.mark.slow
def test_a_fault_at_any_call_of_a_finished_run_is_a_success_or_exit_4(smoke: Path, fast: Path):
    """All products are there, records and board are not: the run reads the first and writes the others."""
    whole = fast / "whole"
    shutil.copytree(smoke, whole)
    selection = Selection(methods=["erm"], seeds=1)
    plan = Workspace.open(quiet=True).plan("smoke", selection, others=True)
    shutil.rmtree(whole / "records")
    shutil.rmtree(whole / "leaderboards")
    for folder in ("objects", "measured"):
        for path in whole.glob(f"{folder}/*/*"):
            if path.stem not in plan.stages:
                path.unlink()
    here = fast / "results"

    def run(store: Store) -> int:
        """As `run_suite`, without planning and without an engine."""
        write_payload(plan, store, recompute=False)
        computed = compute(plan, store, lambda: pytest.fail("a stage is computed"), Silent(), jobs=1)
        results = results_of(plan, store, record(plan, store, computed))
        store.replace(results.board, results.text)
        return results.exit_code

    def ended(calls: Calls) -> tuple[int, list[str]]:
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(whole, here)

        def work(tell: Callable[[str], None]) -> int:
            with faults(calls):
                try:
                    code = run(Store(here).create())
                except BenchbiasError as error:
                    code = error.exit_code
                    tell(str(error))
                except BaseException as error:
                    tell(f"bare {error!r}")
                    raise
            if not calls.nth:
                tell(" ".join(calls.seen))
            return code

        return in_child(work)

    code, lines = ended(Calls(here))
    assert code == 0
    names, wanted, codes = lines[0].split(), tree(here), set()
    for nth, name in enumerate(names, 1):
        fault = CODES[nth % len(CODES)]
        code, lines = ended(Calls(here, nth, fault))
        where = f"call {nth} ({name}) of {len(names)}, {errno.errorcode[fault]}: {lines}"
        assert code in (0, 4), where
        assert len(lines) == (code == 4), where
        assert not lines or os.strerror(fault) in lines[0], where
        assert {path.stem for path in here.glob("objects/*/*")} == Store(whole).keys(), where
        assert not list((here / "quarantine").iterdir()), where
        assert not list(here.glob("attempts/*/*")), where
        assert code == 4 or tree(here) == wanted, where
        codes.add(code)
    assert 4 in codes
