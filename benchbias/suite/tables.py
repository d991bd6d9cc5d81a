"""The tables of benchmarks.toml: every key, its type and its bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchbias.errors import UsageError, unknown


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it must be one line without control characters")
    return text


MAX_TRIALS = 100_000  # of a suite's grid
Provenance = Literal["default", "iid-val", "paper", "val-groups"]
"""How a method's settings were chosen: whose labels they have seen counts as the method's."""
Shown = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
"""Text that boards and terminals show."""
Parameter = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,63}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Value = bool | int | float | str | list[Any]
Selection = Literal[
    "last", "val_accuracy", "val_worst_class", "val_worst_group", "val_conflicting", "val_conflicting_as_published"
]
GROUP_SELECTIONS = ("val_worst_group", "val_conflicting", "val_conflicting_as_published")
"""Selections of an epoch that use the validation split's group labels."""
LATER_RECIPE_KEYS = ("nesterov", "drops", "drop_factor", "patience", "deterministic")
"""At their defaults they stand in no recipe of a stage, for the same reason as LATER_UPDATE_KEYS."""
TRAIN_KEYS = ("train", "start", "prune", "recipe")
LATER_UPDATE_KEYS = ("begin", "at_start", "after_step", "reset_state")
"""At their defaults they stand in no stage's inputs: what was computed before there were any keeps its identity."""
UPDATE_KEYS = ("every", "until", "ramp", "skip_step", "mask_gradients", *LATER_UPDATE_KEYS)
INNER_KEYS = ("use", "layers", "sparsity", "density", "budget", *UPDATE_KEYS)
PRUNE_KEYS = ("prune", "mask", "layers", "sparsity", "density", "removed", "budget", "recipe")


class TomlTable(BaseModel):
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


class Recipe(TomlTable):
    """How a model is trained: the core's, the same for every method. Task, then method, then stage.

    epochs: passes over the training set. lr: the peak learning rate. weight_decay: per step, decoupled for adamw.
    momentum, nesterov: of sgd. schedule: onecycle (20 % warm-up, then cosine), cosine, constant, halving (constant, but
    halved after 40, 60 and 80 % of the steps), steps (constant, but times drop_factor after each fraction of the steps
    in drops), or plateau (times drop_factor after `patience` epochs in a row without a lower loss on the validation
    split). augment: see `benchbias.data.augment.drawn`. precision: bfloat16 is autocast. select: which epoch's
    weights are kept: the last, or the best on the validation split by accuracy, its worst class, its worst group, or
    the worse of its aligned and its conflicting examples (the last two use group labels); accuracy breaks ties, then
    the first epoch wins. keep_epochs: epochs whose weights later stages may ask for. deterministic: false lets be what
    has no deterministic form on a card; such a row is marked.
    """

    epochs: Annotated[int, Field(ge=0, le=100_000)] = 10
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 64
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: Annotated[float, Field(gt=0, le=1000)] = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0, le=1000)] = 0.0
    schedule: Literal["constant", "cosine", "halving", "onecycle", "plateau", "steps"] = "constant"
    augment: Literal["none", "shift", "flip-crop", "flip-crop-zeros", "flip-resized-crop"] = "none"
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = False
    select: Selection = "last"
    keep_epochs: list[Annotated[int, Field(ge=1)]] = []
    nesterov: bool = False
    drops: list[Annotated[float, Field(gt=0, lt=1)]] = []
    drop_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    patience: Annotated[int, Field(ge=0)] = 5
    deterministic: bool = True

    def fault(self) -> str | None:
        """The fault of a whole recipe whose keys do not fit together; None without one.

        A table of some keys may lack the others.
        """
        if (self.schedule == "steps") != bool(self.drops):
            return 'schedule = "steps" and drops = [0.5, 0.75] (fractions of the steps) belong together'
        if self.nesterov and (self.optimizer != "sgd" or self.momentum == 0):
            return "nesterov is a kind of momentum of sgd"
        return None


class UpdatesTable(TomlTable):
    """When a pruner inside a train stage changes the mask: see `benchbias.sparse.holding.Updates`."""

    every: Annotated[int, Field(ge=1)] = 100
    until: Annotated[float, Field(ge=0, le=1)] = 0.75
    ramp: Literal["none", "cubic"] = "none"
    skip_step: bool = False
    mask_gradients: bool = True
    begin: Annotated[float, Field(ge=0, le=1)] = 0.0
    at_start: bool = False
    after_step: bool = False
    reset_state: bool | None = None

    @model_validator(mode="after")
    def _consistent(self) -> UpdatesTable:
        if self.begin > 0 and self.begin >= self.until:
            raise ValueError("begin must be below until")
        if self.skip_step and self.after_step:
            raise ValueError("an update takes the place of a step (skip_step) or comes after it (after_step), not both")
        if self.at_start and self.after_step and self.begin == 0:
            raise ValueError(
                "there is no step before the first, after which an update could come: at_start or after_step"
            )
        return self


class SpaceTable(TomlTable):
    """Bounds between which `benchbias tune` searches one parameter; log: on a logarithmic scale."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _interval(self) -> SpaceTable:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError("low must be below high, and above 0 on a logarithmic scale")
        return self


class RecipeSearchTable(TomlTable):
    """`tuning.recipe`: the recipe is tuned once, for one method, and then the same for all."""

    method: str
    space: Annotated[dict[str, SpaceTable], Field(min_length=1)]


class TuningTable(TomlTable):
    """`[suites.NAME.tuning]`: the budget of `benchbias tune`, the same for every method with options."""

    trials: Annotated[int, Field(ge=2, le=1024)] = 16
    dev_seeds: Annotated[list[int], Field(min_length=1)]
    group_split: str = "val"
    recipe: RecipeSearchTable | None = None


class SuiteTable(TomlTable):
    """`[suites.NAME]`: a grid of tasks, methods and seeds, and how its leaderboard ranks.

    population: seeds of a row are trained at once, stacked, as by `--stack 8`.
    """

    title: Shown
    version: Shown
    tasks: Annotated[list[str], Field(min_length=1)]
    methods: Annotated[list[str], Field(min_length=1)]
    seeds: int | list[int]
    metrics: Annotated[list[Any], Field(min_length=1)]
    rank_by: str
    reference: str | None = None
    ceiling: str | None = None
    template: str | None = None
    tuning: TuningTable | None = None
    override: dict[str, dict[str, Any]] = {}
    probes: list[Any] = []
    probed: list[str] = []
    analyses: list[Any] = []
    analysed: list[str] = []
    population: bool = False


class TaskTable(TomlTable):
    """`[tasks.NAME]`: a data set, a model and the recipe that it is trained by.

    predict: further splits whose predictions are kept, for analyses. train_fraction: each seed trains on a random share
    of the training split, in which every class has the same share; all of it is then predicted, as `train-all`.
    """

    dataset: dict[str, Any]
    model: dict[str, Any]
    recipe: dict[str, Any] = {}
    predict: list[Name] = []
    train_fraction: Annotated[float, Field(gt=0, lt=1)] | None = None

    @property
    def predicted(self) -> list[str]:
        """The splits that are predicted besides the scored one and the training split."""
        return list(dict.fromkeys([*self.predict, *(["train-all"] if self.train_fraction is not None else [])]))


class MethodTable(TomlTable):
    """`[methods.NAME]`: the stages of a method and the parameters that they refer to as `$name`."""

    stages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    parameters: dict[Parameter, Value] = {}
    sweep: dict[Parameter, Annotated[list[Value], Field(min_length=1)]] = {}
    on: dict[str, dict[str, Value]] = {}
    model: dict[str, Any] | None = None
    dataset: dict[str, Any] = {}
    recipe: dict[str, Any] = {}
    baseline: str | None = None
    ranked: bool = True
    space: dict[str, SpaceTable] = {}
    follows: str | None = None
    settings_from: Provenance = "default"


class OverrideTable(TomlTable):
    """`override.METHOD` of a suite."""

    parameters: dict[str, Value] = {}
    sweep: dict[str, Annotated[list[Value], Field(min_length=1)]] = {}
    recipe: dict[str, Any] = {}
    settings_from: Provenance | None = None


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
            raise UsageError(f'{where}: expected {{ use = "name", <options> }}, got {value!r:.80}')
        return Use(value["use"], {name: item for name, item in value.items() if name != "use"})


T = TypeVar("T", bound=TomlTable)


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


def seed_list(seeds: int | list[int], where: str) -> range | list[int]:
    """5 -> the seeds 0 to 4; a list as it is. Raises UsageError for none, negative or repeated seeds."""
    if isinstance(seeds, int):
        if not 1 <= seeds <= MAX_TRIALS:
            raise UsageError(f"{where}: at least one seed, and the limit is {MAX_TRIALS:,} trials; got {seeds:,}")
        return range(seeds)
    if not seeds or min(seeds) < 0 or len(set(seeds)) != len(seeds):
        raise UsageError(f"{where}: seeds are different whole numbers from 0, got {seeds!r:.80}")
    return seeds
