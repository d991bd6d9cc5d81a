"""The describe child: reads plugins from standard input, writes one JSON line for each that it has described.

Plugins are other people's code: they import torch, print, hang or exit. So they are imported here, never in the
command line's process, and the answers leave by a private descriptor, not by standard output.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

from benchbias.components import describe
from benchbias.errors import BenchbiasError
from benchbias.loading import PluginRef, components_of


def answer(ref: PluginRef) -> dict[str, Any]:
    """Describe one plugin, or say what is wrong with it."""
    try:
        found = components_of(ref)
        components = [describe(kind, name, component) for (kind, name), component in sorted(found.items())]
    except BenchbiasError as error:
        return {"plugin": ref.name, "error": str(error), "traceback": traceback.format_exc()}
    except (Exception, SystemExit) as error:
        text = f"{type(error).__name__}: {error}".split("\n")[0]
        return {"plugin": ref.name, "error": text, "traceback": traceback.format_exc()}
    return {"plugin": ref.name, "components": components}


def main() -> None:
    refs = [PluginRef(**item) for item in json.load(sys.stdin)]
    with os.fdopen(os.dup(1), "w") as out:
        os.dup2(2, 1)
        for ref in refs:
            out.write(json.dumps(answer(ref)) + "\n")
            out.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
