"""The describe child: reads plugins from standard input, writes one JSON line for each that it has described.

Plugins are other people's code: they import torch, print, hang or exit. So they are imported here, never in the
command line's process, and the answers leave by a private descriptor, not by standard output. The importing is done
in a child of this process, which ends all that a plugin has started, wherever that went.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING, Any

from benchbias.errors import BenchbiasError, UsageError
from benchbias.util.as_read import run_as_read
from benchbias.util.packages import spare_broken_distributions
from benchbias.util.processes import adopt_orphans, end_children

if TYPE_CHECKING:
    from benchbias.plugin.loading import PluginRef

DESCRIBERS = tuple(f"benchbias.plugin.{name}" for name in ("components", "hookspecs", "loading", "marks"))
"""The modules that read signatures: a description is kept under their sources and the plugin's."""


def answer(ref: PluginRef) -> dict[str, Any]:
    """Describe one plugin, or say what is wrong with it."""
    from benchbias.plugin.components import describe, tracker
    from benchbias.plugin.loading import offered

    try:
        found, tracking = offered(ref)
        components = [describe(kind, name, component) for (kind, name), component in sorted(found.items())]
        components += [] if tracking is None else [tracker(ref.name, tracking)]
        if (path := run_as_read().changed()) is not None:
            raise UsageError(f"{path} was changed while it was read; run again")
    except BenchbiasError as error:
        return {"plugin": ref.name, "error": str(error), "traceback": traceback.format_exc()}
    except (Exception, SystemExit) as error:
        text = f"{type(error).__name__}: {error}".split("\n")[0]
        return {"plugin": ref.name, "error": text, "traceback": traceback.format_exc()}
    return {"plugin": ref.name, "components": components}


def main() -> None:
    spare_broken_distributions()
    adopt_orphans()
    signal.signal(signal.SIGTERM, _leave)
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _answer_all()
    code = 1
    try:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end_children()
        os._exit(code if code >= 0 else 128 - code)


def _leave(number: int, frame: object) -> None:
    sys.exit(128 + number)


def _answer_all() -> None:
    """Answer in the child: never returns, whatever a plugin raises."""
    code = 1
    try:
        run_as_read(DESCRIBERS)
        from benchbias.plugin.loading import PluginRef, run_plugins_as_read

        refs = [PluginRef(**item) for item in json.load(sys.stdin)]
        run_plugins_as_read(refs)
        with os.fdopen(os.dup(1), "w") as out:
            os.dup2(2, 1)
            for ref in refs:
                out.write(json.dumps(answer(ref)) + "\n")
                out.flush()
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
