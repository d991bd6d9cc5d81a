"""benchmarks.toml spoilt in its structure, many times: it is planned, or refused by one message of one line.

    python benchmarks/fuzz_toml.py [--examples 10000] [--seed 0]

The tests do the same 2,000 times. Any other exception ends the script with its traceback and the text at fault.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from benchbias.plugin.registry import load_registry
from benchbias.suite import catalogue
from support.mutated import small, spoilt, toml, verdict


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--examples", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    document = small(tomllib.loads(catalogue.shipped_file().read_text()))
    registry = load_registry(quiet=True)
    planned, messages, slowest, longest = 0, set(), 0.0, 0
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(catalogue, "shipped_file") as shipped:
        shipped.return_value = Path(folder, "empty.toml")
        shipped.return_value.write_text("schema = 1\n")
        for number in range(chosen.examples):
            text = toml(spoilt(document, random.Random(f"{chosen.seed} {number}")))
            start = time.process_time()
            try:
                told = verdict(Path(folder, "spoilt.toml"), text, registry)
            except BaseException:
                print(text, f"example {number}", sep="\n", file=sys.stderr)
                raise
            slowest = max(slowest, time.process_time() - start)
            longest = max(longest, len(told))
            assert told.isprintable(), (number, told)
            planned += told == "planned"
            messages |= {told}
    print(
        f"{chosen.examples} examples: {planned} planned, the rest refused by {len(messages) - 1} messages, each of one "
        f"line and at most {longest} characters; the slowest took {slowest:.2f} CPU seconds"
    )


if __name__ == "__main__":
    main()
