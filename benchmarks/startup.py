"""CPU seconds (user and system, children included) of commands that must start quickly; the least of five runs."""

from __future__ import annotations

import resource
import subprocess
import sys


def cpu_seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    own = [sys.executable, "-m", "benchbias"]
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "benchbias --help": [*own, "--help"],
        "benchbias ls": [*own, "ls"],
        "benchbias plan -s spurious-small": [*own, "plan", "-s", "spurious-small"],
    }
    for command in commands.values():
        cpu_seconds(command)  # warm: bytecode and plugin descriptions
    for name, command in commands.items():
        print(f"{name:34s} {min(cpu_seconds(command) for _ in range(5)):.3f} s CPU")


if __name__ == "__main__":
    main()
