"""Every hook that fails, in any way, is named; it loses no other plugin, and leaves no process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from benchbias.plugin.hookspecs import KINDS as HOOKS
from benchbias.plugin.registry import BrokenPlugin
from support.loose_plugins import LARGEST, describe, hook

BODIES = {  # what a hook does -> what is said of it; the last two are described all the same
    "raise RuntimeError('boom')": "RuntimeError: boom",
    "return 7": "{name: component}",
    "return {'bad': 7}": "'bad'",
    "import sys; sys.exit(0)": "SystemExit",
    "raise KeyboardInterrupt": "exit code",
    "import os; os._exit(0)": "exit code 0",
    "import ctypes; ctypes.string_at(0)": "exit code 139",
}


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("described")
    paths = []
    for name in HOOKS:
        for number, body in enumerate(BODIES):
            path = folder / f"{name}-{number}.py"
            path.write_text(hook(body, name=name))
            paths.append(path)
    (folder / "good.py").write_text(LARGEST)
    return describe(*paths, folder / "good.py")


@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.parametrize("number", range(len(BODIES)))
def test_a_hook_that_fails_is_named_and_loses_no_other(described: dict[str, Any], name: str, number: int):
    broken = described[f"{name}-{number}.py"]
    assert isinstance(broken, BrokenPlugin)
    assert list(BODIES.values())[number] in broken.reason, broken.reason
    assert described["good.py"][0]["name"] == "largest"


@pytest.mark.parametrize("name", ["benchbias_pruners", "benchbias_probes"])
def test_describing_leaves_no_process(tmp_path: Path, name: str):
    text = hook("return {}", name=name).replace("    return {}", f"    open(PID, 'w').write('x')\n{DAEMONS}")
    path, pid = tmp_path / "daemon.py", tmp_path / "pid"
    path.write_text(text.replace("PID", repr(str(pid))))
    describe(path)
    assert not alive(int(pid.read_text()))


DAEMONS = """    import os, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            with open(PID, 'w') as file:
                file.write(str(os.getpid()))
            time.sleep(600)
        os._exit(0)
    os.wait()
    while not open(PID).read().isdigit():
        time.sleep(0.01)
    return {}
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
