"""The shape of the project: rooms and who may import whom, the public surface, sources in keys, no state, no work.

Everything here reads the folders; the only list is ROOMS, the order of the rooms from the ground up.
"""

from __future__ import annotations

import ast
import functools
import graphlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import benchbias
from benchbias.keys import sources
from benchbias.plugin import hookspecs
from support import ROOT
from support.imports import foreign

CORE = ROOT / "benchbias"
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))

ROOMS = (
    *(
        "errors",
        "util",
        "plugin",
        "statistics",
        "store",
        "data",
        "data.reading",
        "network",
        "records",
        "sparse",
        "slim",
    ),
    *("suite", "keys", "plan", "board", "board.markdown", "board.exports", "board.published"),
    *("training", "figures", "stages", "engine"),
    *("testing.toys", "testing.calling", "testing.checks", "testing", "runner", "tuning"),
    *(
        "auditing.statistics",
        "auditing",
        "auditing.tables",
        "auditing.before",
        "auditing.models",
        "auditing.pages",
        "auditing.runs",
    ),
    *("auditing.entry", "finished", "report.gathering", "report.images", "report.cards", "report.page", "report"),
    *("site", "cli.auditing", "cli.folders", "cli"),
)
"""The rooms from the ground up: a room imports from those before it in this list, and from no other."""

TORCH_ROOMS = {"data", "data.reading", "network", "sparse", "slim", "training", "stages", "engine"}
TORCH_ROOMS |= {"testing", "testing.toys", "testing.calling", "testing.checks", "auditing.models", "finished"}
"""The rooms that work with tensors: to import any other one imports nothing heavy, by whatever way."""

HEAVY = {"torch", "torchvision", "timm", "datasets", "sklearn", "plotly", "matplotlib", "numpy", "tabulate", "scipy"}
HEAVY |= {"PIL", "pandas"}

NUMERIC_ROOMS = {
    "auditing.statistics",
    "auditing",
    "auditing.tables",
    "auditing.before",
    "auditing.runs",
    "auditing.entry",
    "cli.auditing",
}
"""The rooms that compute with numpy and scipy, and import no other heavy package."""

MOST_MODULES, LONGEST_MODULE, LONGEST_FUNCTION = 14, 300, 60

HEADLESS = {"Of", "Those", "What", "Which", "Whose", "Whom", "That"}
"""First words that no docstring has: a reader of one line must learn what the thing is, and from no other line."""

FACADES = {"benchbias", "benchbias.testing"}
"""Packages whose `__init__` hands out names of the rooms above it, when they are asked for."""


def named(path: Path) -> str:
    """The module of a file below ROOT or ROOT/plugins, e.g. `benchbias.keys.stage_key`."""
    base = ROOT if path.is_relative_to(CORE) else ROOT / "plugins"
    parts = path.relative_to(base).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {named(path): path for path in sorted(CORE.rglob("*.py"))}


def imports(path: Path, *, at_run_time: bool) -> Iterator[str]:
    """What a file imports, by absolute name; at_run_time: without what stands in functions or under TYPE_CHECKING."""
    package = named(path) if path.name == "__init__.py" else named(path).rpartition(".")[0]

    def visit(node: ast.AST) -> Iterator[str]:
        if at_run_time and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return
        if at_run_time and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            above = ".".join(package.split(".")[: len(package.split(".")) + 1 - node.level]) if node.level else ""
            origin = ".".join(filter(None, (above, node.module or "")))
            yield from (
                f"{origin}.{alias.name}" if f"{origin}.{alias.name}" in MODULES else origin for alias in node.names
            )
        for child in ast.iter_child_nodes(node):
            yield from visit(child)

    yield from visit(ast.parse(path.read_text()))


@functools.cache
def core_imports(module: str) -> frozenset[str]:
    """The modules of the core that a module of the core imports anywhere, itself left out."""
    return frozenset(imports(MODULES[module], at_run_time=False)) & MODULES.keys() - {module}


def room_of(module: str) -> str:
    """The folder of a module of the core, e.g. `plan`; a module beside the folders is its own room."""
    if MODULES[module].name == "__init__.py":
        return module.removeprefix("benchbias.")
    parts = module.split(".")[1:]
    return ".".join(parts[:-1]) or parts[0]


def checked_modules() -> list[str]:
    return [module for module in MODULES if module not in (*FACADES, "benchbias.__main__")]


def test_every_room_is_a_folder_and_every_folder_a_room():
    assert {room_of(module) for module in checked_modules()} | {"testing"} == set(ROOMS)


def test_the_map_of_the_rooms_names_each_in_the_order_of_imports_and_files_that_are_there():
    """CONTRIBUTING.md's table: a star for rooms of tensors, and no more lines than a screen has."""
    section = (ROOT / "CONTRIBUTING.md").read_text().split("\n## The rooms\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([a-z_.]+)`( \*)? \| (.*) \|$", section, re.MULTILINE)
    assert tuple(room for room, _, _ in rows) == ROOMS
    assert {room for room, star, _ in rows if star} == TORCH_ROOMS
    for room, _, inside in rows:
        for file in re.findall(r"`(\w+\.py)`", inside):
            assert (CORE / room.replace(".", "/") / file).is_file(), f"{room} has no {file}"
    folders = {path.parent.name for path in (ROOT / "plugins/benchbias_plugins").glob("*/__init__.py")}
    assert all(f"`{folder}`" in section for folder in folders), "a folder of the plugins is not in the map"
    assert len(section.splitlines()) <= 58


@pytest.mark.parametrize("module", checked_modules())
def test_a_room_imports_from_the_rooms_below_it_only(module: str):
    for other in core_imports(module) - FACADES:
        assert ROOMS.index(room_of(other)) <= ROOMS.index(room_of(module)), f"{module} imports {other} from above"
    foreign_names = [name for name in imports(MODULES[module], at_run_time=False) if name.startswith("benchbias_")]
    assert not foreign_names, "the core never imports a plugin"


def test_no_modules_and_no_rooms_import_in_a_circle():
    """All imports count, those inside functions and under TYPE_CHECKING too."""
    modules = {module: core_imports(module) - FACADES for module in checked_modules()}
    list(graphlib.TopologicalSorter(modules).static_order())  # raises CycleError
    rooms: dict[str, set[str]] = {}
    for module, others in modules.items():
        own = room_of(module)
        rooms.setdefault(own, set()).update({room_of(other) for other in others} - {own})
    list(graphlib.TopologicalSorter(rooms).static_order())


def test_a_circle_would_be_found():
    with pytest.raises(graphlib.CycleError):
        list(graphlib.TopologicalSorter({"a": {"b"}, "b": {"a"}}).static_order())
    assert "benchbias.plugin.hookspecs" in core_imports("benchbias.plugin.loading")


def test_rooms_modules_and_functions_are_small():
    modules = Counter(path.parent for path in CORE.rglob("*.py") if path.name != "__init__.py")
    assert {str(folder): count for folder, count in modules.items() if count > MOST_MODULES} == {}
    for path in [*CORE.rglob("*.py"), *PLUGINS]:
        text = path.read_text()
        assert len(text.splitlines()) <= LONGEST_MODULE, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                assert lines <= LONGEST_FUNCTION, f"{path}: {node.name} has {lines} lines"


def test_the_board_is_made_of_records_alone():
    """board/ and figures/ read no results folder and plan nothing; claims.toml is read by the reader of suites."""
    boards = {room for room in ROOMS if room.partition(".")[0] == "board"} | {"figures"}
    allowed = {"errors", "util", "records", "statistics", "suite"} | boards
    for module in checked_modules():
        if room_of(module) in boards:
            reached = {room_of(other) for other in core_imports(module) - FACADES}
            assert reached <= allowed, module


def test_what_listing_and_planning_use_imports_nothing_heavy():
    """All modules of these rooms are imported in a fresh process, with everything that they import."""
    light = [module for module in checked_modules() if room_of(module) not in TORCH_ROOMS | NUMERIC_ROOMS]
    assert not imported_packages(light) & HEAVY


def test_what_audits_a_table_imports_numpy_and_scipy_and_nothing_else_that_is_heavy():
    numeric = [module for module in checked_modules() if room_of(module) in NUMERIC_ROOMS]
    assert imported_packages(numeric) & HEAVY <= {"numpy", "scipy"}


def imported_packages(modules: list[str]) -> set[str]:
    """The packages that a fresh process has imported after these modules."""
    code = f"import sys, importlib\nfor m in {modules!r}: importlib.import_module(m)\nprint(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in ast.literal_eval(done.stdout)}


@pytest.mark.parametrize("kind", sorted(sources.SOURCES))
def test_keys_hold_every_core_module_that_a_stage_runs(kind: str):
    """What a stage module reaches by imports, or what the method that it calls reaches by a public name.

    CARRIED are the rooms that carry and check what a stage makes, and do not decide it.
    """
    held = {named(path) for path in sources.source_files(sources.SOURCES[kind])}
    carried = {"errors", "util", "plugin", "store", "suite", "data.reading", "records", "statistics"}
    reached, todo = set(), [f"benchbias.stages.{kind}"]
    if kind in ("train", "prune", "init", "probe"):
        todo += [f"benchbias.{home}" for home in benchbias._HOME if home.partition(".")[0] in ("sparse", "training")]
    if kind == "data":
        todo.append("benchbias.data.values")
    while todo:
        module = todo.pop()
        if module not in reached and (module in held or room_of(module) not in carried):
            reached.add(module)
            todo += core_imports(module)
    assert reached <= held
    rooms = {room_of(module) for module in held}
    assert {room_of(module) for module in reached} == rooms, "a room in the key that no such stage runs"


def test_the_keys_of_read_data_hold_the_whole_room_that_reads():
    assert set(sources.source_files(sources.READING)) == set((CORE / "data" / "reading").glob("*.py"))


@pytest.mark.parametrize("path", PLUGINS, ids=lambda p: str(p.relative_to(ROOT / "plugins")))
def test_plugins_import_public_names_of_benchbias_only(path: Path):
    assert not foreign(path), "a plugin imports public names only, and never another plugin"


def test_the_tests_of_a_plugin_may_import_the_checks_and_its_module_may_not(tmp_path: Path):
    text = "from benchbias import Mask\nfrom benchbias.testing import parametrize_with_checks\n"
    text += "import benchbias.sparse.masks"
    wrong = {"benchbias.sparse.masks"}
    for name, found in (("test_mine.py", wrong), ("mine.py", {"benchbias.testing"} | wrong)):
        (tmp_path / name).write_text(text)
        assert foreign(tmp_path / name) == found


def test_every_public_name_resolves_and_type_checkers_see_the_same_names():
    assert all(getattr(benchbias, name) is not None for name in benchbias.__all__)
    tree = ast.parse((CORE / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    lazy = {name for names in benchbias._HOME.values() for name in names}
    assert typed == lazy == set(benchbias.__all__)
    assert sorted(benchbias.__all__) == benchbias.__all__
    with pytest.raises(AttributeError, match="no attribute 'magnitude'"):
        _ = benchbias.magnitude


def test_no_room_is_named_like_a_public_name():
    """`from benchbias import run` must never give a package."""
    assert not {room.partition(".")[0] for room in ROOMS} & set(benchbias.__all__)


def test_every_hook_is_documented_and_names_what_it_returns():
    hooks = {name: value for name, value in vars(hookspecs).items() if name.startswith("benchbias_")}
    assert set(hooks) == set(hookspecs.HOOKS) == {*hookspecs.KINDS, hookspecs.RECORD}
    assert all("{name: " in (hooks[name].__doc__ or "") for name in hookspecs.KINDS)
    assert (hooks[hookspecs.RECORD].__doc__ or "").strip()


def docstrings(source: str) -> Iterator[ast.Constant]:
    """Strings that stand alone as a statement: docstrings, and the texts below constants."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value


def headless(source: str) -> list[int]:
    """The lines of docstrings that begin with a word of HEADLESS."""
    texts = [(text.lineno, re.match(r"\W*(\w*)", str(text.value))) for text in docstrings(source)]
    return [line for line, first in texts if first is not None and first[1] in HEADLESS]


@pytest.mark.parametrize("folder", ["benchbias", "plugins", "benchmarks"])
def test_docstrings_begin_with_a_verb_or_a_noun(folder: str):
    found = {str(path.relative_to(ROOT)): headless(path.read_text()) for path in (ROOT / folder).rglob("*.py")}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_a_docstring_without_a_head_would_be_found():
    source = '"""What it is."""\nX = 1\n"""Of X."""\nclass A:\n    def f(self):\n        """\n        Whose?"""\n'
    assert headless(source) == [1, 3, 6]
    assert headless('"""The value of X: what it is of."""\n') == []


@pytest.mark.parametrize("path", sorted(MODULES.values()), ids=lambda p: str(p.relative_to(CORE)))
def test_modules_hold_no_mutable_state(path: Path):
    """Module-level dicts, lists and sets are constants in capitals; nothing assigns to them later."""
    tree = ast.parse(path.read_text())
    for node in tree.body:
        value = getattr(node, "value", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(value, ast.Dict | ast.List | ast.Set):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            assert isinstance(target, ast.Name), path
            assert target.id.strip("_").isupper() or target.id == "__all__", f"{path}: {target.id}"
    assert not any(isinstance(node, ast.Global) for node in ast.walk(tree)), path


def test_importing_benchbias_imports_nothing():
    code = "import sys; before = set(sys.modules); import benchbias; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in ast.literal_eval(done.stdout)}
    assert loaded - set(sys.stdlib_module_names) == {"benchbias"}
