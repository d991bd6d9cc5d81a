"""benchmarks.toml -> Catalogue: suites, tasks and methods, every key checked, each with the file it came from."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchbias.components import STAGE_KEYS
from benchbias.errors import UsageError, unknown

SCHEMA = 1
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
MAX_TRIALS = 100_000  # of a suite's grid
MAX_BYTES = 1 << 20  # of a benchmarks.toml
Value = bool | int | float | str | list[Any]


class Table(BaseModel):
    """A table of benchmarks.toml: an unknown key is an error that names the known ones."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for key in value:
                if key not in cls.model_fields:
                    raise ValueError(unknown("key", key, cls.model_fields))
        return value


class Recipe(Table):
    """How a model is trained: the core's, the same for every method. Task, then method, then stage.

    epochs: passes over the training set. lr: the peak learning rate. weight_decay: per step, decoupled for adamw.
    momentum: of sgd. schedule: onecycle (20 % warm-up, then cosine), cosine, or constant. augment: see
    `benchbias.data.augmented`. precision: bfloat16 is autocast. select: which epoch's weights are kept: the last,
    the best by the worst class on the validation split, or by its worst group (which uses group labels).
    keep_epochs: epochs whose weights later stages may ask for.
    """

    epochs: Annotated[int, Field(ge=0, le=100_000)] = 10
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 64
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: Annotated[float, Field(gt=0, le=1000)] = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0, le=1000)] = 0.0
    schedule: Literal["constant", "cosine", "onecycle"] = "constant"
    augment: Literal["none", "shift", "flip-crop"] = "none"
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = False
    select: Literal["last", "val_worst_class", "val_worst_group"] = "last"
    keep_epochs: list[Annotated[int, Field(ge=1)]] = []


class UpdatesTable(Table):
    """When a pruner inside a train stage changes the mask: see `benchbias.holding.Updates`."""

    every: Annotated[int, Field(ge=1)] = 100
    until: Annotated[float, Field(ge=0, le=1)] = 0.75
    ramp: Literal["none", "cubic"] = "none"
    skip_step: bool = False
    mask_gradients: bool = True


class SuiteTable(Table):
    """`[suites.NAME]`: a grid of tasks, methods and seeds, and how its leaderboard ranks."""

    title: str
    version: str
    tasks: Annotated[list[str], Field(min_length=1)]
    methods: Annotated[list[str], Field(min_length=1)]
    seeds: int | list[int]
    metrics: Annotated[list[Any], Field(min_length=1)]
    rank_by: str
    reference: str | None = None
    template: str | None = None
    override: dict[str, dict[str, Any]] = {}


class TaskTable(Table):
    """`[tasks.NAME]`: a data set, a model and the recipe that it is trained by."""

    dataset: dict[str, Any]
    model: dict[str, Any]
    recipe: dict[str, Any] = {}


class MethodTable(Table):
    """`[methods.NAME]`: the stages of a method and the parameters that they refer to as `$name`."""

    stages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    parameters: dict[str, Value] = {}
    sweep: dict[str, Annotated[list[Value], Field(min_length=1)]] = {}
    on: dict[str, dict[str, Value]] = {}
    model: dict[str, Any] | None = None
    dataset: dict[str, Any] = {}
    recipe: dict[str, Any] = {}
    baseline: str | None = None
    ranked: bool = True
    settings_from: Literal["default", "iid-val", "paper", "val-groups"] = "default"


class OverrideTable(Table):
    """`override.METHOD` of a suite."""

    parameters: dict[str, Value] = {}
    sweep: dict[str, Annotated[list[Value], Field(min_length=1)]] = {}
    recipe: dict[str, Any] = {}


@dataclass(frozen=True)
class Use:
    """A component by name with its options, as `{ use = "name", option = value }` says."""

    name: str
    options: Mapping[str, Any]

    @staticmethod
    def of(value: Any, where: str) -> Use:
        if isinstance(value, str):
            return Use(value, {})
        if not isinstance(value, dict) or not isinstance(value.get("use"), str):
            raise UsageError(f'{where}: expected {{ use = "name", <options> }}, got {value!r}')
        return Use(value["use"], {name: item for name, item in value.items() if name != "use"})


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


def shipped_file() -> Path:
    """The published benchmarks.toml: beside the package (wheel), or one folder up (editable install)."""
    here = Path(__file__).parent
    for path in (here / "benchmarks.toml", here.parent / "benchmarks.toml"):
        if path.is_file():
            return path
    raise UsageError(f"benchmarks.toml is missing from this installation (looked in {here} and {here.parent})")


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


_SECTIONS: Mapping[str, type[Table]] = {"suites": SuiteTable, "tasks": TaskTable, "methods": MethodTable}


def _tables(path: Path, label: str) -> Iterator[tuple[str, str, Table]]:
    document = _parse(path, label)
    if document.get("schema") != SCHEMA or isinstance(document.get("schema"), bool):
        raise UsageError(f"{label}: the first line must be `schema = {SCHEMA}`, got {document.get('schema')!r}")
    for section, entries in document.items():
        if section == "schema":
            continue
        if section not in _SECTIONS:
            raise UsageError(unknown("section", section, ("schema", *_SECTIONS), label))
        if not isinstance(entries, dict):
            raise UsageError(f"{label}: {section} must be tables, [{section}.NAME]")
        for name, entry in entries.items():
            where = f"{label}: {section}.{name!s:.80}"
            if not NAME.fullmatch(name):
                raise UsageError(
                    f"{where!r}: a name is 1 to 64 of the characters a-z 0-9 . _ - and starts with a letter or digit"
                )
            yield section, name, checked(_SECTIONS[section], entry, where)


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


T = TypeVar("T", bound=Table)


def checked(kind: type[T], value: Any, where: str) -> T:
    """Check a table. Raises UsageError with the place, what was expected and what came."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join([where, *(str(part) for part in first["loc"] if not _is_branch(part))])
        message = first["msg"].removeprefix("Value error, ")
        came = "" if first["type"] in ("value_error", "missing") else f", got {first['input']!r:.80}"
        raise UsageError(f"{place}: {message}{came}") from None


def _is_branch(part: int | str) -> bool:
    """pydantic names the branch of a union in an error's location: nothing that a user wrote."""
    return isinstance(part, str) and (part in ("int", "str", "bool", "float") or "[" in part)


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
        for method in (*suite.methods, suite.reference, suite.template):
            if method is not None:
                _check_known("method", method, catalogue.methods, where)
        for method in suite.override:
            _check_known("method", method, suite.methods, f"{where}.override")
            checked(OverrideTable, suite.override[method], f"{where}.override.{method}")
        metrics = [Use.of(item, f"{where}.metrics").name for item in suite.metrics]
        if len(set(metrics)) < len(metrics):
            raise UsageError(f"{where}.metrics: a metric stands twice")
        _check_known("metric of this suite", suite.rank_by.removeprefix("-"), metrics, f"{where}.rank_by")
        seed_list(suite.seeds, f"{where}.seeds")
    for name, task_table in catalogue.tasks.items():
        where = catalogue.where("tasks", name)
        Use.of(task_table.dataset, f"{where}.dataset")
        Use.of(task_table.model, f"{where}.model")
        checked(Recipe, task_table.recipe, f"{where}.recipe")
    for name, method_table in catalogue.methods.items():
        _check_method(catalogue, name, method_table)


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
            raise UsageError(f"{place}.recipe: expected a table, got {recipe!r}")
        for key in recipe:
            _check_known("key", key, Recipe.model_fields, f"{place}.recipe")
        allowed = PRUNE_KEYS if kinds == ["prune"] else TRAIN_KEYS
        for key in stage:
            if key in STAGE_KEYS and key not in allowed:
                raise UsageError(f"{place}: {key!r} does not go with a {kinds[0]} stage (known: {', '.join(allowed)})")


TRAIN_KEYS = ("train", "start", "prune", "recipe")
UPDATE_KEYS = ("every", "until", "ramp", "skip_step", "mask_gradients")
INNER_KEYS = ("use", "layers", "sparsity", "density", "budget", *UPDATE_KEYS)
PRUNE_KEYS = ("prune", "mask", "layers", "sparsity", "density", "budget", "recipe")


def seed_list(seeds: int | list[int], where: str) -> range | list[int]:
    """5 -> the seeds 0 to 4; a list as it is. Raises UsageError for none, negative or repeated seeds."""
    if isinstance(seeds, int):
        if not 1 <= seeds <= MAX_TRIALS:
            raise UsageError(f"{where}: at least one seed, and the limit is {MAX_TRIALS:,} trials; got {seeds:,}")
        return range(seeds)
    if not seeds or min(seeds) < 0 or len(set(seeds)) != len(seeds):
        raise UsageError(f"{where}: seeds are different whole numbers from 0, got {seeds!r:.80}")
    return seeds
