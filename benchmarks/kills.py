"""SIGKILLs in the middle of smoke runs, as many as asked for: no byte changes, no process and no failure stays."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.killing import campaign, committed
from support.running import tree
from support.warm import Forked, Server


def main(kills: int, minutes: float) -> None:
    with tempfile.TemporaryDirectory() as folder, Server() as server:
        whole, out = Path(folder, "whole"), Path(folder, "killed")
        command = ("run", "-s", "smoke", "-j", "2", "-q", "-o")
        assert server.call(*command, str(whole)).returncode == 0
        stages, made, in_flight, cut = len(committed(whole)), 0, 0, 0
        started = time.monotonic()
        while made < kills and time.monotonic() - started < minutes * 60:
            found = campaign(
                out,
                min(20, kills - made),
                stages,
                lambda: server.start(*command, str(out)),
                Forked.wait,
                seed=made,
            )
            made, in_flight, cut = made + found.kills, in_flight + found.in_flight, cut + found.cut
            seconds = time.monotonic() - started
            print(f"{made} kills in {seconds:.0f} s, {in_flight} in flight, {cut} stages cut", flush=True)
        assert server.call(*command, str(out)).returncode == 0
        assert tree(out) == tree(whole), "the bytes differ"
        assert not list((out / "quarantine").iterdir()), "something was damaged"
        assert not list((out / "attempts").iterdir()), "a kill was noted as a failure"
        print(f"after {made} kills: the bytes of an undisturbed run")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=60.0, help="Stop after this time, whatever --kills says.")
    given = parser.parse_args()
    main(given.kills, given.minutes)
