"""What a file imports."""

from __future__ import annotations

import ast
from pathlib import Path

import benchbias


def foreign(path: Path) -> set[str]:
    """What a file imports of benchbias and its plugins besides public names; a test may import benchbias.testing."""
    public = {"benchbias", *(f"benchbias.{name}" for name in benchbias.__all__)}
    public |= {"benchbias.testing"} if path.name.startswith("test_") else set()
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module} | {f"benchbias.{a.name}" for a in node.names if node.module == "benchbias"}
    return {name for name in found if name.split(".")[0] in ("benchbias", "benchbias_plugins")} - public


def imported(path: Path) -> set[str]:
    """Every module that a file names in an import, wherever it stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            found |= {origin, *(f"{origin}.{alias.name}" for alias in node.names)}
    return found
