"""The child that works on finished networks: it reads a request as JSON, and writes its answer as JSON."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from benchbias.errors import BenchbiasError, Skip, StorageError, first_line
from benchbias.finished.exporting import export
from benchbias.finished.latency import latency
from benchbias.util.files import os_error
from benchbias.util.packages import spare_broken_distributions
from benchbias.util.processes import die_with_parent
from benchbias.util.streams import steady_streams

VERBS = {"export": export, "measure": latency}


def main() -> None:
    """Answer one request. What a plugin prints goes to standard error: standard output is the answer alone."""
    request = json.load(sys.stdin)
    die_with_parent(request["parent"])
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    steady_streams()
    spare_broken_distributions()
    with answer:
        json.dump(_answered(request), answer)


def _answered(request: dict[str, Any]) -> dict[str, Any]:
    try:
        return VERBS[request["verb"]](request)
    except BenchbiasError as error:
        return {"error": {"kind": type(error).__name__, "text": str(error)}}
    except Skip as error:
        return {"error": {"kind": "UsageError", "text": first_line(error)}}
    except OSError as error:
        return {"error": {"kind": StorageError.__name__, "text": os_error(error)}}


if __name__ == "__main__":
    main()
