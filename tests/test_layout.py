"""The shape of the project: import rules, the public surface, sources in keys, no state and no work at import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import benchbias
from benchbias import hookspecs, plan

ROOT = Path(__file__).parent.parent
CORE = ROOT / "benchbias"
PLUGINS = [*sorted((CORE / "builtin").rglob("*.py")), *sorted((ROOT / "plugins").rglob("*.py"))]

LAYERS = (
    {"errors", "canonical", "files", "seeding"},
    {
        *("modes", "images", "data", "masks", "straight_through", "cutting", "losses", "scored"),
        *("bodies", "columns", "results", "analyses", "cells", "influence", "estimates"),
    },
    {"components", "hookspecs", "environment", "processes", "deprecation"},
    {
        *("loading", "plugins", "describe", "tables", "suite", "resolve", "trials"),
        *("paths", "plan", "analysis_inputs", "tensor_files", "store"),
        *("raw_files", "fetching", "progress", "decoding", "decoded", "hub", "folder", "examples"),
    },
    {"training", "holding", "context", "changes", "probing", "pruning", "evaluation", "parts", "stages"},
    {"engine"},
    {
        *("worst_group", "ranking", "rows", "scores"),
        *(
            "standings",
            "markdown",
            "legend",
            "probed",
            "tabled",
            "leaderboard",
            "comparing",
            "claim_tables",
            "evidence",
            "claims",
            "sweeps",
            "figures",
        ),
    },
    {"failures", "recording", "runner", "publishing", "console"},
    {"answers", "frames", "outcome"},
    {"api", "showing", "sheet", "planning", "tuning", "tuning_log", "searching", "doctor", "scaffold"},
    {"preparing", "analysing"},
    {"testing"},
    {"cli", "__main__", "__init__"},
)
"""Each layer imports from itself and from those above it in this list."""

TORCH_FREE = [
    *("errors", "canonical", "bodies", "results", "components", "hookspecs", "environment", "processes"),
    *("loading", "plugins", "describe", "tables", "suite", "resolve", "trials", "paths", "plan"),
    *(
        "files",
        "tensor_files",
        "store",
        "failures",
        "runner",
        "recording",
        "raw_files",
        "fetching",
        "progress",
        "preparing",
    ),
    *("scores", "leaderboard", "publishing", "console", "api", "showing", "planning", "cli", "sheet"),
    *("tuning", "tuning_log", "searching", "doctor", "scaffold", "outcome", "frames", "deprecation"),
    *("testing/__init__", "testing/finding", "testing/checking", "testing/report", "testing/waivers"),
    *("testing/verdicts", "testing/child"),
    *("cells", "influence", "estimates", "worst_group", "ranking", "rows", "standings"),
    *("comparing", "claims", "claim_tables", "evidence", "markdown", "legend", "columns", "probed"),
    *("sweeps", "tabled"),
    *("analyses", "analysing", "analysis_inputs", "scored"),
    *("figures/__init__", "figures/layer_sweep", "figures/equal_accuracy", "figures/material"),
    *("figures/sparsity_curves", "figures/recall_balance", "figures/class_impact", "figures/pie_sheet"),
    *("figures/probe_chart", "figures/equal_fit"),
]
HEAVY = {"torch", "torchvision", "timm", "datasets", "sklearn", "plotly", "matplotlib", "numpy", "tabulate", "scipy"}
HEAVY |= {"PIL", "pandas"}


def imports(path: Path, *, at_run_time: bool = True) -> set[str]:
    """Modules that a file imports; with at_run_time, without those under TYPE_CHECKING and inside functions."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and at_run_time:
            return
        if isinstance(node, ast.FunctionDef) and at_run_time:
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names if node.module == "benchbias")
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return found


def core_modules() -> list[Path]:
    return [path for path in sorted(CORE.rglob("*.py")) if "builtin" not in path.parts]


def layer_of(module: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if module in layer)


def top(path: Path) -> str:
    return path.relative_to(CORE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", core_modules(), ids=lambda p: str(p.relative_to(CORE)))
def test_the_core_imports_downwards_only(path: Path):
    own = layer_of(top(path))
    for name in imports(path):
        parts = name.split(".")
        assert parts[0] != "benchbias_plugins", f"{path}: the core never imports a plugin"
        if (
            parts[0] == "benchbias"
            and len(parts) > 1
            and (CORE / parts[1]).exists() | (CORE / f"{parts[1]}.py").exists()
        ):
            assert layer_of(parts[1]) <= own, f"{path} imports {name} from a higher layer"


BOARD = [
    *("cells", "influence", "estimates", "worst_group", "ranking"),
    *("rows", "scores", "standings", "markdown", "legend", "probed", "tabled", "leaderboard", "comparing", "sweeps"),
    *("figures.layer_sweep", "figures.equal_accuracy", "figures.material"),
    *("figures.sparsity_curves", "figures.recall_balance", "figures.class_impact", "figures.pie_sheet"),
    *("figures.probe_chart", "figures.equal_fit"),
]


@pytest.mark.parametrize("module", BOARD)
def test_the_board_is_made_of_records_alone(module: str):
    file = CORE / f"{module.replace('.', '/')}.py"
    own = {name for name in imports(file) if name.startswith("benchbias.")}
    allowed = {"analyses", "results", "canonical", "errors", "files", *BOARD}
    assert own <= {f"benchbias.{name}" for name in allowed}


@pytest.mark.parametrize("module", TORCH_FREE)
def test_what_listing_and_planning_use_imports_nothing_heavy(module: str):
    files = [CORE / f"{module}.py"] if (CORE / f"{module}.py").is_file() else sorted((CORE / module).glob("*.py"))
    assert files
    assert not {name.split(".")[0] for path in files for name in imports(path)} & HEAVY


def foreign(path: Path) -> set[str]:
    """What a file imports of benchbias and its plugins besides public names; a test may import benchbias.testing."""
    public = {"benchbias", *(f"benchbias.{name}" for name in benchbias.__all__)}
    public |= {"benchbias.testing"} if path.name.startswith("test_") else set()
    own = {
        name for name in imports(path, at_run_time=False) if name.split(".")[0] in ("benchbias", "benchbias_plugins")
    }
    return own - public


@pytest.mark.parametrize("path", PLUGINS, ids=lambda p: p.name)
def test_plugins_import_public_names_of_benchbias_only(path: Path):
    assert not foreign(path), "a plugin imports public names only, and never another plugin"


def test_the_tests_of_a_plugin_may_import_the_checks_and_its_module_may_not(tmp_path: Path):
    text = "from benchbias import Mask\nfrom benchbias.testing import parametrize_with_checks\nimport benchbias.masks"
    for name, wrong in (("test_mine.py", {"benchbias.masks"}), ("mine.py", {"benchbias.testing", "benchbias.masks"})):
        (tmp_path / name).write_text(text)
        assert foreign(tmp_path / name) == wrong


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


@pytest.mark.parametrize("kind", sorted(plan.CORE_SOURCES))
def test_keys_hold_every_core_module_that_a_stage_runs(kind: str):
    """What a stage module reaches by imports, or the method that it calls by a public name, is in its key.

    Others are the names of runs, of probes, and of data sets that read files (plan.READING_SOURCES).
    """
    outside = {
        *("errors", "store", "files", "tensor_files", "canonical", "loading", "plugins"),
        *("components", "tables", "suite", "bodies", "results", "raw_files"),
    }  # carry, check
    seen: set[str] = set()
    todo = [f"stages/{kind}.py"]
    if kind in ("train", "prune"):
        others = {"api", "outcome", "hookspecs", "changes", "probing", "decoded", "examples", "folder", "hub"}
        others |= {"estimates", "influence", "parts", "ranking"}
        todo += [f"{module}.py" for module in benchbias._HOME if module not in outside | others]
    if kind == "analyse":
        todo += ["estimates.py", "parts.py", "results.py"]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        for module in imports(CORE / name, at_run_time=False):
            parts = module.split(".")
            if parts[0] == "benchbias" and len(parts) > 1 and parts[1] not in outside:
                file = "/".join(parts[1:]) + ".py"
                if (CORE / file).is_file():
                    todo.append(file)
    assert seen == set(plan.CORE_SOURCES[kind])


def test_every_hook_is_documented_and_names_what_it_returns():
    hooks = {name: value for name, value in vars(hookspecs).items() if name.startswith("benchbias_")}
    assert set(hooks) == set(hookspecs.KINDS)
    assert all("{name: " in (hook.__doc__ or "") for hook in hooks.values())


def test_modules_hold_no_mutable_state():
    """Module-level dicts, lists and sets are constants in capitals; nothing assigns to them later."""
    for path in core_modules():
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
