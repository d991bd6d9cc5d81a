"""Imports against pyproject.toml and keys: all is declared, nothing for nothing, and what decides bytes is keyed."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import benchbias
from benchbias.data.reading.raw_files import READERS
from benchbias.keys.environment import PACKAGES
from benchbias.keys.sources import READING, SOURCES, source_files
from benchbias.plugin.components import Component, unwrapped
from benchbias.plugin.loading import components_of
from benchbias.plugin.registry import Registry, load_registry
from benchbias.util.packages import EXTRAS
from support import ROOT

PLUGINS = ROOT / "plugins"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

KEYED = {"torch", *PACKAGES}
"""In every key."""

OWN = {"benchbias", "benchbias_plugins"}

NOT_IMPORTED = {
    "pytest-xdist": "tests run with -n",
    "editables": "hatchling makes editable installations with it",
    "hatchling": "tests build the wheel with `python -m hatchling`",
    "linkify-it-py": "markdown-it-py finds bare addresses with it",
    "mypy": "tests check types with `python -m mypy`",
    "ruff": "`ruff check`, `ruff format`",
    "build": "`python -m build`",
}
"""What an extra of developers declares and no file imports, with the reason."""

DECIDES_NOTHING = {
    "pydantic": "checks records and tables: what decides a stage of them stands in its key as JSON",
    "pandas": "Table.to_frame, which no stage calls",
    "huggingface-hub": "fetches: the digest of the raw files stands in the key",
}
"""What files of a key import and no key has, with the reason."""

ELSEWHERE = {
    "pytest": "benchbias.testing gives tests to a suite that is pytest's already",
    "wand": "benchmarks/corruptions_check.py says how to install it",
}
"""What is imported and declared for its users by nobody here, with the reason."""


OF_EXTRAS = {"material": "mkdocs-material"}
"""The distributions of modules whose extra need not be installed for the tests."""


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported(path: Path, *, at_import: bool = False) -> Iterator[str]:
    """The modules that a file imports, absolute; at_import: without those in functions and under TYPE_CHECKING."""

    def visit(node: ast.AST) -> Iterator[str]:
        if at_import and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return
        if at_import and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""
        for child in ast.iter_child_nodes(node):
            yield from visit(child)

    yield from visit(parsed(path))


@functools.cache
def distributions() -> dict[str, str]:
    """The distribution of every module at the top, e.g. PIL -> pillow."""
    here = {name: normal(found[0]) for name, found in importlib.metadata.packages_distributions().items()}
    return {**OF_EXTRAS, **here}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@functools.cache
def local_names() -> frozenset[str]:
    """Modules and packages that lie in tests and benchmarks themselves."""
    files = [path.relative_to(ROOT).with_suffix("") for path in sources("tests", "benchmarks")]
    return frozenset(part for path in files for part in path.parts)


def packages(path: Path, *, at_import: bool = False) -> set[str]:
    """The distributions of other projects that a file imports."""
    tops = {name.partition(".")[0] for name in imported(path, at_import=at_import)}
    tops -= {*sys.stdlib_module_names, *OWN}
    if path.relative_to(ROOT).parts[0] in ("tests", "benchmarks"):
        tops -= local_names()
    return {distributions().get(top, top) for top in tops}


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def named(requirements: list[str]) -> set[str]:
    """The packages that requirements name; an extra of our own stands for what it has."""
    found: set[str] = set()
    for text in requirements:
        own = re.fullmatch(r"benchbias\[(.+)\]", text)
        if own:
            found |= {name for extra in own[1].split(",") for name in named(PROJECT["optional-dependencies"][extra])}
        else:
            found.add(normal(re.match(r"[A-Za-z0-9._-]+", text)[0]))
    return found


def extra(name: str) -> set[str]:
    return named(PROJECT["optional-dependencies"][name])


DEPENDENCIES = named(PROJECT["dependencies"])


def test_the_extras_are_those_that_messages_name():
    examples = {"trackers", "browser", "bench"}  # of plugins that docs show, what tests look at pages with, peers timed
    examples |= {"onnx"}  # three packages, which nothing but an export to ONNX imports
    assert set(PROJECT["optional-dependencies"]) - examples == {*EXTRAS, "all", "test", "dev"}
    assert {name: extra(name) for name in EXTRAS} == {name: {package} for name, package in EXTRAS.items()}
    assert extra("all") == set(EXTRAS.values())
    assert extra("all") - extra("pages") < extra("test") < extra("dev")
    assert not extra("dev") & DEPENDENCIES - {"pandas"}


def test_the_packages_of_the_design_card_are_plain_dependencies():
    assert {"torch", "torchvision", "pluggy", "datasets", "timm", "numpy", "scipy", "tabulate"} <= DEPENDENCIES


def test_all_that_is_imported_is_declared_and_all_that_is_declared_is_imported():
    by_package = {name: path for path in sources("benchbias", "plugins") for name in packages(path)}
    assert by_package.keys() - ELSEWHERE == DEPENDENCIES | set(EXTRAS.values())


@pytest.mark.parametrize("path", sources("benchbias", "plugins"), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_imports_an_extra_before_it_is_needed(path: Path):
    assert not packages(path, at_import=True) & {*EXTRAS.values(), *ELSEWHERE}


def test_what_tests_and_benchmarks_import_is_declared_for_them_and_all_that_is_declared_is_used():
    here = set().union(*map(packages, sources("tests")))
    tested = extra("test") | extra("pages") | extra("browser") | extra("trackers") | extra("onnx")
    assert {{"mlflow": "mlflow-skinny"}.get(name, name) for name in here} <= DEPENDENCIES | tested
    timed = extra("bench")
    assert set().union(*map(packages, sources("benchmarks"))) <= DEPENDENCIES | tested | timed | set(ELSEWHERE)
    assert extra("dev") - here - set(EXTRAS.values()) == set(NOT_IMPORTED)


# What decides bytes stands in keys


@pytest.fixture(scope="module")
def registry(plugin_cache: Path) -> Registry:
    return load_registry(quiet=True)


def plugin_modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(PLUGINS).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sources("plugins")
    }


def reached(module: str) -> set[str]:
    """The modules of our plugins that one of them imports, by whatever way, itself too."""
    modules, found, todo = plugin_modules(), set(), [module]
    while todo:
        name = todo.pop()
        if name in found or name not in modules:
            continue
        found.add(name)
        package = name if modules[name].name == "__init__.py" else name.rpartition(".")[0]
        for node in ast.walk(parsed(modules[name])):
            if isinstance(node, ast.ImportFrom):
                above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
                base = ".".join([*above, *([node.module] if node.module else [])])
                todo += [base, *(f"{base}.{alias.name}" for alias in node.names)]
            if isinstance(node, ast.Import):
                todo += [alias.name for alias in node.names]
    return found


def homes(registry: Registry) -> list[tuple[Component, str]]:
    """Every component of ours, and the module that it is written in."""
    refs = {name: ref for name, ref in registry.plugins.items() if ref.module.startswith("benchbias_plugins")}
    made = {(plugin, *which): c for plugin, ref in refs.items() for which, c in components_of(ref).items()}
    ours = [component for component in registry.components.values() if component.plugin in refs]
    return [(c, unwrapped(made[c.plugin, c.kind, c.name]).__module__) for c in ours]


def in_keys(component: Component) -> set[str]:
    """The packages whose versions stand in the keys of a component's stages."""
    return KEYED | set(component.uses) | (set(READERS) if component.reads else set())


def test_every_package_that_a_component_s_code_imports_stands_in_the_keys_of_its_stages(registry: Registry):
    modules, seen = plugin_modules(), set()
    for component, home in homes(registry):
        for module in reached(home):
            seen.add(module)
            lost = packages(modules[module]) - in_keys(component)
            assert not lost, (
                f"{component.kind} {component.name!r}: {module} imports {lost}: `benchbias.uses` declares it"
            )
    for module in modules.keys() - seen:
        assert packages(modules[module]) <= KEYED, f"{module} is reached from no component"


def test_a_component_whose_code_reads_raw_files_declares_it(registry: Registry):
    """Else neither the files nor the packages that read them would stand in its key."""
    reading = {"hub_images", "folder_images", "table_rows"}
    assert reading <= set(benchbias.__all__)
    modules = plugin_modules()
    readers = set()
    for component, home in homes(registry):
        nodes = [node for module in reached(home) for node in ast.walk(parsed(modules[module]))]
        froms = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "benchbias"]
        if reading & {alias.name for node in froms for alias in node.names}:
            readers.add(component.name)
            assert component.reads, f"{component.kind} {component.name!r}"
    assert {"cifar10", "spuco_mnist", "image_folder", "hub", "waterbirds"} <= readers


def test_what_our_components_tell_to_install_is_one_of_our_extras(registry: Registry):
    told = {install for component, _ in homes(registry) for install in component.uses.values()}
    assert told == {"benchbias[pruning]", "benchbias[fairness]"}
    assert all(re.fullmatch(r"benchbias\[(\w+)\]", install)[1] in EXTRAS for install in told)


def test_the_packages_of_some_keys_are_those_that_are_meant(registry: Registry):
    uses = {(c.kind, c.name): set(c.uses) for c in registry.components.values() if c.uses}
    assert uses[("pruner", "torch_pruning")] == {"torch-pruning"}
    assert uses[("analysis", "fairness")] == {"fairlearn", "pandas"}
    homes_of = {component.name: home for component, home in homes(registry)}
    corrupting = reached(homes_of["corrupted_cifar10"])
    assert {"pillow", "scipy"} <= set().union(*(packages(plugin_modules()[name]) for name in corrupting))
    assert "matplotlib" not in set().union(*map(packages, sources("plugins")))


def test_no_plugin_imports_by_a_name_that_cannot_be_read():
    for path in sources("plugins"):
        assert "importlib" not in set(imported(path)), path
        names = {node.id for node in ast.walk(parsed(path)) if isinstance(node, ast.Name)}
        assert not names & {"__import__", "exec", "eval"}, path


@pytest.mark.parametrize("kind", sorted(SOURCES))
def test_every_package_that_the_core_of_a_stage_imports_stands_in_its_key(kind: str):
    found = set().union(*map(packages, source_files(SOURCES[kind])))
    assert found <= KEYED | set(DECIDES_NOTHING)


def test_every_package_that_reads_raw_files_stands_in_the_key_of_what_was_read():
    found = set().union(*map(packages, source_files(READING)))
    excused = set(DECIDES_NOTHING) - {"pandas"}  # here it parses CSV tables
    assert found - KEYED - excused == set(READERS)
    assert set().union(*map(packages, sources("benchbias/store"))) <= KEYED, "what writes the files of products"
