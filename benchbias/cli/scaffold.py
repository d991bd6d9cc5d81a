"""`benchbias new`: a complete small distribution with one component that works, from the templates of this package."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shutil
from pathlib import Path

from benchbias.errors import StorageError, UsageError, unknown
from benchbias.plugin.hookspecs import KINDS
from benchbias.plugin.registry import load_registry
from benchbias.suite.catalogue import load
from benchbias.util.files import told

FILES = {
    "pyproject.toml": "pyproject.toml.in",
    "README.md": "README.md.in",
    ".gitignore": "gitignore.in",
    ".github/workflows/ci.yml": "ci.yml.in",
    "@MODULE@.py": "@KIND@.py.in",
    "tests/test_@MODULE@.py": "test.py.in",
}
"""The files of a new distribution, and the template of each."""

METHOD = "benchbias run --suite spurious-small --method @NAME@ --method erm"
SHOW = "benchbias show @NAME@"
USE = {
    "pruner": METHOD,
    "trainer": METHOD,
    "dataset": f'{SHOW}   # in benchmarks.toml: dataset = {{ use = "@NAME@" }}',
    "model": f'{SHOW}   # in benchmarks.toml: model = {{ use = "@NAME@" }}',
    "metric": f'{SHOW}   # in benchmarks.toml: metrics = ["@NAME@"]',
    "probe": f'{SHOW}   # in benchmarks.toml: probes = ["@NAME@"]',
    "analysis": f"{SHOW}   # once trials are there: benchbias analyse smoke @NAME@",
}
"""How a component of each kind is used once its distribution is installed."""


def new(kind: str, name: str, folder: Path | None = None) -> list[Path]:
    """Write a distribution with one component; its files are returned. Raises UsageError, or StorageError."""
    if kind not in KINDS.values():
        raise UsageError(unknown("kind", kind, KINDS.values(), "new"))
    _check_name(kind, name)
    words = {
        "@USE@": USE[kind],
        "@KIND@": kind,
        "@MODULE@": f"benchbias_{name}",
        "@DISTRIBUTION@": f"benchbias-{name.replace('_', '-')}",
        "@NAME@": name,
    }
    folder = folder if folder is not None else Path(words["@DISTRIBUTION@"])
    texts = {
        folder / _filled(path, words): _filled(_template(_filled(file, words)), words) for path, file in FILES.items()
    }
    try:
        folder.mkdir(parents=True)
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except FileExistsError:
        raise UsageError(f"new {kind} {name}: {folder} exists; nothing was written (--folder names another)") from None
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)  # else a second try finds it there
        raise StorageError(f"new {kind} {name}: {folder} cannot be written: {told(error)}") from None
    return list(texts)


def _check_name(kind: str, name: str) -> None:
    where = f"new {kind} {name}"
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or keyword.iskeyword(name):
        rule = "a name is lower-case letters, digits and _, begins with a letter, is no keyword"
        raise UsageError(f"{where}: {rule}; did you mean {_suggested(kind, name)!r}?")
    if (kind, name) in load_registry(quiet=True).components:
        raise UsageError(f"{where}: there is a {kind} {name!r} already (`benchbias show {name}`)")
    if kind in ("pruner", "trainer") and name in load(None).methods:
        raise UsageError(f"{where}: a shipped method is called {name!r}, and `--method {name}` runs that one")
    if importlib.util.find_spec(f"benchbias_{name}") is not None:
        raise UsageError(f"{where}: a module benchbias_{name} is installed already")


def _suggested(kind: str, name: str) -> str:
    """The nearest name that follows the rule."""
    near = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:30]
    return near if re.match("[a-z]", near) and not keyword.iskeyword(near) else f"my_{near or kind}"


def _template(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text
