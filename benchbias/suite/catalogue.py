"""benchmarks.toml -> Catalogue: suites, tasks and methods, every key checked, each with the file it came from."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbias.errors import UsageError, unknown
from benchbias.plugin.components import STAGE_KEYS
from benchbias.suite.tables import (
    INNER_KEYS,
    PRUNE_KEYS,
    TRAIN_KEYS,
    MethodTable,
    OverrideTable,
    Recipe,
    SuiteTable,
    TaskTable,
    TomlTable,
    TuningTable,
    Use,
    checked,
    seed_list,
)

SCHEMA = 1
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
MAX_BYTES = 1 << 20  # of a benchmarks.toml


@dataclass(frozen=True)
class Catalogue:
    """All tables of the shipped file and the user's, and for each where it stands (for messages)."""

    suites: Mapping[str, SuiteTable]
    tasks: Mapping[str, TaskTable]
    methods: Mapping[str, MethodTable]
    origin: Mapping[tuple[str, str], str]

    def suite(self, name: str) -> SuiteTable:
        """A suite by name. Raises UsageError with the nearest name."""
        if name not in self.suites:
            raise UsageError(unknown("suite", name, self.suites))
        return self.suites[name]

    def where(self, section: str, name: str) -> str:
        """`file: section.name`, the place of a table."""
        return f"{self.origin[section, name]}: {section}.{name}"


def shipped_file(name: str = "benchmarks.toml") -> Path:
    """A published file of tables: beside the package (wheel), or one folder up (editable install)."""
    here = Path(__file__).parent.parent
    for path in (here / name, here.parent / name):
        if path.is_file():
            return path
    raise UsageError(f"{name} is missing from this installation (looked in {here} and {here.parent})")


def load(config: Path | None = None) -> Catalogue:
    """The shipped file, with the tables of `config` (default: ./benchmarks.toml, if there is one) over it."""
    shipped = shipped_file()
    own = config or Path("benchmarks.toml")
    files = [shipped]
    if config is not None or (own.is_file() and not own.samefile(shipped)):
        files.append(own)
    tables: dict[str, dict[str, Any]] = {"suites": {}, "tasks": {}, "methods": {}}
    origin: dict[tuple[str, str], str] = {}
    for path in files:
        label = "benchmarks.toml (shipped)" if path == shipped else str(path)
        for section, name, table in _tables(path, label):
            tables[section][name] = table
            origin[section, name] = label
    catalogue = Catalogue(tables["suites"], tables["tasks"], tables["methods"], origin)
    _check_references(catalogue)
    return catalogue


_SECTIONS: Mapping[str, type[TomlTable]] = {"suites": SuiteTable, "tasks": TaskTable, "methods": MethodTable}


def _tables(path: Path, label: str) -> Iterator[tuple[str, str, TomlTable]]:
    document = read_document(path, label)
    for section, entries in document.items():
        if section == "schema":
            continue
        if section not in _SECTIONS:
            raise UsageError(unknown("section", section, ("schema", *_SECTIONS), label))
        if not isinstance(entries, dict):
            raise UsageError(f"{label}: {section} must be tables, [{section}.NAME]")
        for name, entry in entries.items():
            where = f"{label}: {section}.{name!s:.80}"
            check_name(name, where)
            yield section, name, checked(_SECTIONS[section], entry, where)


def read_document(path: Path, label: str) -> dict[str, Any]:
    """A TOML file, its schema checked. Raises UsageError."""
    document = _parse(path, label)
    if document.get("schema") != SCHEMA or isinstance(document.get("schema"), bool):
        raise UsageError(f"{label}: the first line must be `schema = {SCHEMA}`, got {document.get('schema')!r:.80}")
    return document


def check_name(name: str, where: str) -> None:
    """Refuse a name that is no table's. Raises UsageError."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{where!r}: a name is 1 to 64 of the characters a-z 0-9 . _ - and starts with a letter or digit"
        )


def _parse(path: Path, label: str) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise UsageError(f"{label}: larger than {MAX_BYTES} bytes")
        return tomllib.loads(raw.decode())
    except OSError as error:
        raise UsageError(f"{label}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UsageError(f"{label}: not valid TOML: {error}") from None


def references(value: Any) -> set[str]:
    """All parameters that a stage refers to as `$name`."""
    if isinstance(value, dict):
        return set().union(*(references(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(references(item) for item in value))
    return {value[1:]} if isinstance(value, str) and value.startswith("$") else set()


def _check_references(catalogue: Catalogue) -> None:
    for name, suite in catalogue.suites.items():
        where = catalogue.where("suites", name)
        for task in suite.tasks:
            _check_known("task", task, catalogue.tasks, where)
        for method in (*suite.methods, suite.reference, suite.ceiling, suite.template):
            if method is not None:
                _check_known("method", method, catalogue.methods, where)
        for method in suite.override:
            _check_known("method", method, suite.methods, f"{where}.override")
            checked(OverrideTable, suite.override[method], f"{where}.override.{method}")
        metrics = [Use.of(item, f"{where}.metrics").name for item in suite.metrics]
        if len(set(metrics)) < len(metrics):
            raise UsageError(f"{where}.metrics: a metric stands twice")
        probes = [Use.of(item, f"{where}.probes").name for item in suite.probes]
        if len(set(probes)) < len(probes):
            raise UsageError(f"{where}.probes: a probe stands twice")
        analyses = [Use.of(item, f"{where}.analyses").name for item in suite.analyses]
        if len(set(analyses)) < len(analyses):
            raise UsageError(f"{where}.analyses: an analysis stands twice")
        for key in ("probed", "analysed"):
            for method in getattr(suite, key):
                _check_known("method of this suite", method, suite.methods, f"{where}.{key}")
        _check_known("metric of this suite", suite.rank_by.removeprefix("-"), metrics, f"{where}.rank_by")
        seed_list(suite.seeds, f"{where}.seeds")
        if suite.tuning is not None:
            _check_tuning(catalogue, suite.tuning, f"{where}.tuning")
    for name, task_table in catalogue.tasks.items():
        where = catalogue.where("tasks", name)
        Use.of(task_table.dataset, f"{where}.dataset")
        Use.of(task_table.model, f"{where}.model")
        checked(Recipe, task_table.recipe, f"{where}.recipe")
    for name, method_table in catalogue.methods.items():
        _check_method(catalogue, name, method_table)


def _check_tuning(catalogue: Catalogue, tuning: TuningTable, where: str) -> None:
    seed_list(tuning.dev_seeds, f"{where}.dev_seeds")
    if tuning.recipe is not None:
        _check_known("method", tuning.recipe.method, catalogue.methods, f"{where}.recipe.method")
        for key in tuning.recipe.space:
            _check_known("key", key, Recipe.model_fields, f"{where}.recipe.space")


def _check_known(what: str, name: str, known: Any, where: str) -> None:
    if name not in known:
        raise UsageError(unknown(what, name, known, where))


def _check_method(catalogue: Catalogue, name: str, method: MethodTable) -> None:
    where = catalogue.where("methods", name)
    declared = set(method.parameters) | set(method.sweep)
    used = set().union(*map(references, (method.stages, method.recipe, method.model, method.dataset)))
    for reference in sorted(used - declared):
        raise UsageError(unknown("parameter", reference, declared, where))
    for parameter in sorted(declared - used):
        raise UsageError(f"{where}: the parameter {parameter!r} is declared, but no stage refers to ${parameter}")
    for key in method.recipe:
        _check_known("key", key, Recipe.model_fields, f"{where}.recipe")
    for task, values in method.on.items():
        _check_known("task", task, catalogue.tasks, f"{where}.on")
        for parameter in values:
            _check_known("parameter", parameter, declared, f"{where}.on.{task}")
    for parameter in method.space:
        _check_known("parameter", parameter, method.parameters, f"{where}.space")
    if method.follows is not None:
        _check_known("method", method.follows, catalogue.methods, f"{where}.follows")
        if catalogue.methods[method.follows].follows is not None or method.follows == name:
            raise UsageError(f"{where}.follows: {method.follows!r} follows a method itself")
    if method.baseline is not None:
        _check_known("method", method.baseline, catalogue.methods, f"{where}.baseline")
    for number, stage in enumerate(method.stages, 1):
        place = f"{where}.stages[{number}]"
        kinds = [key for key in ("train", "prune") if isinstance(stage.get(key), str)]
        if "train" in kinds and isinstance(stage.get("prune"), dict):
            for key in stage["prune"]:
                if key in STAGE_KEYS and key not in INNER_KEYS:
                    raise UsageError(f"{place}.prune: {key!r} does not go here (known: {', '.join(INNER_KEYS)})")
        if len(kinds) != 1 or not isinstance(stage.get("prune", {}), str if kinds == ["prune"] else dict):
            raise UsageError(
                f'{place}: a stage has exactly one of train = "..." (perhaps with prune = {{ use = "...", ... }}) and '
                'prune = "..."'
            )
        recipe = stage.get("recipe", {})
        if not isinstance(recipe, dict):
            raise UsageError(f"{place}.recipe: expected a table, got {recipe!r:.80}")
        for key in recipe:
            _check_known("key", key, Recipe.model_fields, f"{place}.recipe")
        allowed = PRUNE_KEYS if kinds == ["prune"] else TRAIN_KEYS
        for key in stage:
            if key in STAGE_KEYS and key not in allowed:
                raise UsageError(f"{place}: {key!r} does not go with a {kinds[0]} stage (known: {', '.join(allowed)})")
