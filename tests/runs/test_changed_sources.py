"""An upgrade or an edit while a run goes on: it is refused in one line, and nothing wrong is stored.

The core is a copy that scripts may edit: between planning and the engine's imports, between two stages, within one.
"""

from __future__ import annotations

import json
import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchbias.store.store import Store
from support import ROOT

SCRIPT = """
import sys
from pathlib import Path
from benchbias.errors import BenchbiasError
from benchbias.plan.trials import Selection
from benchbias.runner.launch import RunOptions, run_suite
from benchbias.runner.reporter import Silent
from benchbias.runner.workspace import Workspace

when, what, method = sys.argv[1:]
def edit():
    path = Path(what)
    path.write_text(path.read_text() + "\\n")

class Editing(Silent):
    def begin(self, *rest):
        if when == "begin":
            edit()
    def stage(self, stage, outcome, seconds, detail):
        print(stage.kind, outcome, detail, flush=True)
        if when == stage.kind:
            edit()

workspace = Workspace.open(plugins=[Path("mine.py")], quiet=True)
try:
    options = RunOptions(out=Path("results"), jobs=1)
    results = run_suite(workspace, "smoke", Selection(methods=[method], seeds=1), options, Editing())
    print("exit", results.exit_code)
except BenchbiasError as error:
    print(type(error).__name__, error)
"""

MINE = """
from pathlib import Path
from benchbias import hookimpl

def edit(path):
    path = Path(path)
    if not Path("done").exists():
        Path("done").touch()
        path.write_text(path.read_text() + "\\n")

def edits_core(model, data, context):
    edit("benchbias/training/fit.py")

def edits_itself(model, data, context):
    edit("mine.py")

def edits_and_fails(model, data, context):
    edit("benchbias/training/fit.py")
    raise ValueError("half an upgrade fails in any way")

@hookimpl
def benchbias_trainers():
    return {"edits_core": edits_core, "edits_itself": edits_itself, "edits_and_fails": edits_and_fails}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the core, a plugin, and a package of two versions."""
    shutil.copytree(ROOT / "benchbias", tmp_path / "benchbias", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "benchmarks.toml", tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    metadata = tmp_path / "timm-0.0.1.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: timm\nVersion: 0.0.1")
    return tmp_path


def run(folder: Path, when: str, what: str, method: str = "erm", *, compiled: bool = False) -> list[str]:
    """The lines of a run that is edited at some time. compiled: it may write and read compiled forms of modules."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT, when, what, method],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "" if compiled else "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_an_edit_between_planning_and_the_imports_of_the_engine_stores_nothing(folder: Path):
    lines = run(folder, "begin", "benchbias/stages/train.py")
    assert lines == ["ChangedError benchbias was changed while this run was going on; run again"]
    store = Store(folder / "results")
    assert store.keys() == set()
    assert not list(store.root.glob("attempts/*/*")), "it was noted as a failure of a stage"


@pytest.mark.slow
def test_an_edit_between_two_stages_ends_the_run_and_the_next_one_goes_on(folder: Path):
    lines = run(folder, "init", "benchbias/training/fit.py")
    assert lines == [
        *("data done ", "init done "),
        "ChangedError benchbias was changed while this run was going on; run again",
    ]
    store = Store(folder / "results")
    assert len(store.keys()) == 2
    assert not list(store.root.glob("attempts/*/*"))
    lines = run(folder, "never", "")
    assert lines[-1] == "exit 0"
    assert [line.split()[0] for line in lines[:-1]] == ["init", "train", "predict", "score"]  # data has no such source


@pytest.mark.slow
@pytest.mark.parametrize("method", ["edits_core", "edits_and_fails"])
def test_an_edit_within_a_stage_stores_nothing_of_it(folder: Path, method: str):
    lines = run(folder, "never", "", method)
    assert lines[-1] == "ChangedError benchbias was changed while this run was going on; run again"
    store = Store(folder / "results")
    assert len(store.keys()) == 2
    assert not list(store.root.glob("attempts/*/*"))


@pytest.mark.slow
def test_a_plugin_that_is_edited_within_its_stage_fails_there_and_is_tried_again(folder: Path):
    lines = run(folder, "never", "", "edits_itself")
    assert "plugin 'mine.py' was changed while this run was going on; run again" in lines[-2]
    assert lines[-1] == "exit 1"
    store = Store(folder / "results")
    assert len(store.keys()) == 2
    (folder / "mine.py").write_text(MINE)  # as it was: the same key, for which a failure is noted
    lines = run(folder, "never", "", "edits_itself")
    assert lines[-1] == "exit 0"


@pytest.mark.slow
def test_a_package_that_is_upgraded_between_two_stages_ends_the_run(folder: Path):
    lines = run(folder, "init", "timm-0.0.1.dist-info/METADATA")
    assert lines[-1] == "exit 0", "another text of the same version is no upgrade"
    shutil.rmtree(folder / "results")
    metadata = folder / "timm-0.0.1.dist-info" / "METADATA"
    script = SCRIPT.replace('path.read_text() + "\\n"', 'path.read_text().replace("0.0.1", "0.0.2")')
    assert script != SCRIPT
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, "init", str(metadata), "erm"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == (
        "ChangedError timm was changed from 0.0.1 to 0.0.2 while this run was going on; run again"
    )
    assert len(Store(folder / "results").keys()) == 2


THEIRS = """
import json, sys
from pathlib import Path
from benchbias import hookimpl

MARK = 1

def marks(model, data, context):
    from theirs import part
    named = ("benchbias.stages.train", "theirs", "theirs.part")
    Path("marks.json").write_text(json.dumps({name: sys.modules[name].MARK for name in named}))

def edits_and_reverts(model, data, context):
    path = Path(__file__).with_name("part.py")
    text = path.read_text()
    path.write_text(text.replace("1", "2"))
    from theirs import part
    path.write_text(text)

def reverts_and_fails(model, data, context):
    edits_and_reverts(model, data, context)
    raise ValueError("what was run is not what lies there")

@hookimpl
def benchbias_trainers():
    return {"marks": marks, "edits_and_reverts": edits_and_reverts, "reverts_and_fails": reverts_and_fails}
"""

LOOSE = """
import json
from pathlib import Path
from benchbias import hookimpl

MARK = 1

def loose_mark(model, data, context):
    Path("loose.json").write_text(json.dumps(MARK))

@hookimpl
def benchbias_trainers():
    return {"loose_mark": loose_mark}
"""


@pytest.fixture
def plugins(folder: Path) -> Path:
    """The same with our own plugins, and an installed one of two modules."""
    shutil.copytree(ROOT / "plugins" / "benchbias_plugins", folder / "benchbias_plugins")
    (folder / "theirs").mkdir()
    (folder / "theirs" / "__init__.py").write_text(THEIRS)
    (folder / "theirs" / "part.py").write_text("MARK = 1\n")
    metadata = folder / "theirs-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1")
    (metadata / "entry_points.txt").write_text("[benchbias]\nall = theirs\n")
    return folder


def make_stale(path: Path, was: str = "MARK = 1\n", now: str = "MARK = 2\n") -> None:
    """Compile a source, and edit it to another with the same size and time. What it lacks is appended."""
    text = path.read_text()
    text = text if was in text else text + was
    path.write_text(text)
    py_compile.compile(str(path), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    found = path.stat()
    path.write_text(text.replace(was, now))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert path.stat().st_size == found.st_size


@pytest.mark.slow
def test_no_compiled_form_is_run_of_what_keys_name(plugins: Path):
    """An edit of the same size and time runs under the new key: of the core, of a package, of a loose file."""
    (plugins / "mine.py").write_text(LOOSE)
    for name in ("benchbias/stages/train.py", "theirs/__init__.py", "theirs/part.py", "mine.py"):
        make_stale(plugins / name)
    assert run(plugins, "never", "", "marks", compiled=True)[-1] == "exit 0"
    found = json.loads((plugins / "marks.json").read_text())
    assert found == {"benchbias.stages.train": 2, "theirs": 2, "theirs.part": 2}
    assert run(plugins, "never", "", "loose_mark", compiled=True)[-1] == "exit 0"
    assert json.loads((plugins / "loose.json").read_text()) == 2


@pytest.mark.slow
def test_no_compiled_form_is_run_of_a_plugin_of_ours(plugins: Path):
    text = '    raise ValueError("{}")\n\n\n@hookimpl\n'
    path = plugins / "benchbias_plugins" / "methods" / "erm.py"
    path.write_text(path.read_text().replace("\n\n\n@hookimpl\n", "\n" + text.format("was"), 1))
    make_stale(path, 'ValueError("was")', 'ValueError("now")')
    lines = run(plugins, "never", "", compiled=True)
    assert "ValueError: now" in lines[-2]


@pytest.mark.slow
def test_no_compiled_form_is_described(plugins: Path):
    """A plugin's description is kept under the digest of its sources: it is one of them, not of what was compiled."""
    (plugins / "mine.py").write_text(LOOSE)
    make_stale(plugins / "mine.py", '{"loose_mark"', '{"other_mark"')
    assert run(plugins, "never", "", "other_mark", compiled=True)[-1] == "exit 0"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["edits_and_reverts", "reverts_and_fails"])
def test_a_plugin_that_was_another_one_when_it_was_imported_stores_nothing(plugins: Path, method: str):
    lines = run(plugins, "never", "", method)
    assert "part.py was changed while this run was going on; run again" in lines[-2]
    assert lines[-1] == "exit 1"
    store = Store(plugins / "results")
    assert len(store.keys()) == 2


@pytest.mark.slow
def test_a_plugin_of_ours_that_is_edited_ends_the_run_as_the_core_does(plugins: Path):
    lines = run(plugins, "init", "benchbias_plugins/methods/erm.py")
    assert lines[-1] == "ChangedError plugin 'benchbias:erm' was changed while this run was going on; run again"
    store = Store(plugins / "results")
    assert len(store.keys()) == 2
    assert not list(store.root.glob("attempts/*/*"))
