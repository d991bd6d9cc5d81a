"""Wall seconds of the second of two equal runs: it computes no stage."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time


def main(suite: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchbias", "run", "-s", suite, "-o", f"{folder}/results", "--json"]
        for name in ("first", "second"):
            started = time.monotonic()
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            stages = json.loads(done.stdout)["stages"]
            print(f"{name} run of {suite}: {time.monotonic() - started:.1f} s, {stages}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "spurious-small")
