"""Components: the protocols of each kind, and the options and label access that are read from a signature."""

from __future__ import annotations

import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from benchbias.errors import UsageError, plain, unknown
from benchbias.plugin.marks import marks_of, unwrapped
from benchbias.util.packages import needs, version_of

Kind = Literal["dataset", "model", "trainer", "pruner", "metric", "probe", "analysis"]

GIVEN: Mapping[str, tuple[str, ...]] = types.MappingProxyType(
    {
        "dataset": ("root", "seed"),
        "model": ("input_shape", "num_classes", "backbone", "root"),
        "trainer": ("model", "data", "context", "train_groups", "val_groups"),
        "pruner": ("model", "data", "context", "train_groups", "val_groups"),
        "metric": ("predictions",),
        "probe": ("model", "data", "context"),
        "analysis": ("population",),
    }
)
"""Parameters that the core gives to each kind of component, recognised by name; everything after `*` is an option."""

STAGE_KEYS = frozenset(
    (
        *("train", "prune", "use", "start", "mask", "layers", "sparsity", "density", "removed", "budget"),
        *("every", "until", "ramp", "skip_step", "mask_gradients", "recipe"),
        *("begin", "at_start", "after_step", "reset_state"),
    )
)
"""Keys of a stage that belong to the core: no option may have such a name."""

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}")
"""Names of components: they become names of methods, in records and on boards."""


@dataclass(frozen=True)
class Range:
    """Bounds of a numeric option, both included: `Annotated[float, Range(0.1, 10, log=True)]`. Makes it tunable."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"Range({self.low}, {self.high}, log={self.log}) holds no interval")


@dataclass(frozen=True)
class Option:
    """One option of a component: its type as JSON (`type`), default, whether it must be set, and bounds."""

    type: Any
    required: bool
    default: Any = None
    range: dict[str, Any] | None = None

    @property
    def text(self) -> str:
        """The type as a user reads it, e.g. `float from 0.1 to 10`."""
        bounds = f" from {self.range['low']} to {self.range['high']}" if self.range else ""
        return _type_text(self.type) + bounds


@dataclass(frozen=True)
class Component:
    """One described component: everything that listing, planning and option checks need, without importing it."""

    kind: str
    name: str
    plugin: str
    given: tuple[str, ...]
    options: Mapping[str, Option]
    summary: str
    reads: tuple[str, ...] = ()
    uses: Mapping[str, str] = field(default_factory=dict)  # distribution -> what `pip install` takes for it
    former: Mapping[str, Any] = field(default_factory=dict)  # options that it had, with the values that trial ids hold

    @staticmethod
    def from_json(plugin: str, value: Mapping[str, Any]) -> Component:
        options = {name: Option(**option) for name, option in value["options"].items()}
        read, signature = tuple(value.get("reads", ())), (tuple(value["given"]), options, value["summary"])
        marks = (read, value.get("uses", {}), value.get("former", {}))
        return Component(value["kind"], value["name"], plugin, *signature, *marks)

    @property
    def lacks(self) -> str | None:
        """Say which package that it uses is absent, and what to install; None where all are there."""
        absent = ((package, install) for package, install in self.uses.items() if version_of(package) == "absent")
        return next((needs(f"{self.kind} {self.name!r}", *one) for one in absent), None)

    def raw_files(self, options: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Raw data that it reads below the data folder with these options: (`hub` or `folder`, name), in order."""
        found = [text.format(**options).partition(":") for text in self.reads]
        return [(kind, name) for kind, _, name in found]


def describe(kind: str, name: str, component: Callable[..., Any]) -> dict[str, Any]:
    """Read a component's signature. Raises UsageError where it is not of the form (<given>, *, <options>)."""
    where = f"{kind} {name!r:.80}"
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{where}: a name is 1 to 64 of the characters a-z A-Z 0-9 . _ - and starts with a letter or digit"
        )
    if not callable(component):
        raise UsageError(f"{where} must be a function or a class, not {type(component).__name__}")
    given: list[str] = []
    options: dict[str, dict[str, Any]] = {}
    for parameter in inspect.signature(component).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise UsageError(f"{where}: *{parameter.name} is not allowed: every option stands by name after `*`")
        if parameter.kind is parameter.KEYWORD_ONLY:
            if parameter.name in STAGE_KEYS:
                raise UsageError(f"{where}: the option name {parameter.name!r} belongs to the core")
            options[parameter.name] = asdict(_option(component, parameter, where))
        elif parameter.name in GIVEN[kind]:
            given.append(parameter.name)
        else:
            raise UsageError(
                unknown("parameter", parameter.name, GIVEN[kind], where) + "; options stand after `*` in the signature"
            )
    summary = _summary(inspect.getdoc(unwrapped(component)) or "")
    signature = {"kind": kind, "name": name, "given": given, "options": options, "summary": summary}
    return signature | marks_of(component, kind, options, where)


TRACKER = "tracker"
"""The kind by which the description of a plugin says that it implements `benchbias_record`: no component."""


def tracker(plugin: str, text: str) -> dict[str, Any]:
    """Describe a plugin's `benchbias_record`, named by the plugin. text: its docstring."""
    return {"kind": TRACKER, "name": plugin, "given": ["record"], "options": {}, "summary": _summary(text)}


def _summary(text: str) -> str:
    """The first paragraph of a docstring, in one line."""
    return plain(" ".join(text.split("\n\n")[0].split()))


def _option(component: Callable[..., Any], parameter: inspect.Parameter, where: str) -> Option:
    here = f"{where}: option {parameter.name!r}"
    if parameter.annotation is parameter.empty:
        raise UsageError(f"{here} has no type")
    annotation, bounds = _bounded(_evaluated(component, parameter.annotation, here))
    spec = _type_json(annotation, here)
    if bounds and spec not in ("int", "float", {"optional": "int"}, {"optional": "float"}):
        raise UsageError(f"{here}: Range goes with int or float")
    if parameter.default is parameter.empty:
        return Option(spec, True, None, bounds)
    option = Option(spec, False, _jsonable(parameter.default), bounds)
    check_value(option, parameter.default, f"{here} (its default)")
    return option


def _bounded(annotation: Any) -> tuple[Any, dict[str, Any] | None]:
    """A type without its `Range`, and that: `Annotated[T, Range]`, and `Annotated[T, Range] | None`."""
    inner = [item for item in typing.get_args(annotation) if item is not type(None)]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType) and len(inner) == 1:
        bare, bounds = _bounded(inner[0])
        return bare | None, bounds
    if typing.get_origin(annotation) is not typing.Annotated:
        return annotation, None
    found = [note for note in annotation.__metadata__ if isinstance(note, Range)]
    return annotation.__origin__, asdict(found[0]) if found else None


def _evaluated(component: Callable[..., Any], annotation: Any, here: str) -> Any:
    """Evaluate one annotation in the function's own globals (a module's other annotations may not evaluate)."""
    function = unwrapped(component)
    if not inspect.isroutine(function):  # a class, or an object that can be called
        function = function.__init__ if inspect.isclass(function) else type(function).__call__
    holder = types.SimpleNamespace(__annotations__={"option": annotation})
    names = getattr(unwrapped(function), "__globals__", {})
    try:
        return typing.get_type_hints(holder, globalns=names, include_extras=True)["option"]
    except Exception as error:
        hint = "; an option's type is imported outside of `if TYPE_CHECKING:`" if isinstance(error, NameError) else ""
        raise UsageError(f"{here}: its type {annotation!r} cannot be evaluated: {error}{hint}") from None


_SIMPLE: Mapping[Any, str] = types.MappingProxyType({bool: "bool", int: "int", float: "float", str: "str"})


def _type_json(annotation: Any, here: str) -> Any:
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal and all(isinstance(item, bool | int | str) for item in arguments):
        return {"literal": list(arguments)}
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return {"tuple": _type_json(arguments[0], here)}
    if origin in (dict, Mapping) and arguments[:1] == (str,):
        return {"table": _type_json(arguments[1], here)}
    if origin in (typing.Union, types.UnionType) and type(None) in arguments and len(arguments) == 2:
        inner = next(item for item in arguments if item is not type(None))
        return {"optional": _type_json(inner, here)}
    known = "bool, int, float, str, Literal, tuple[T, ...], Mapping[str, T], T | None"
    raise UsageError(f"{here}: type {annotation} is not allowed (known: {known})")


def _type_text(spec: Any) -> str:
    if isinstance(spec, str):
        return spec
    if "literal" in spec:
        return "one of " + ", ".join(map(repr, spec["literal"]))
    if "tuple" in spec:
        return f"list of {_type_text(spec['tuple'])}"
    if "table" in spec:
        return f"table of {_type_text(spec['table'])}"
    return f"{_type_text(spec['optional'])} or nothing"


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _jsonable(item) for name, item in value.items()}
    return [_jsonable(item) for item in value] if isinstance(value, tuple | list) else value


def _one_of(allowed: list[Any], value: Any) -> Any:
    """One of the allowed values, of its type too: 1 is not True. Raises ValueError."""
    if not any(type(value) is type(item) and value == item for item in allowed):
        raise ValueError("not one of them")
    return value


@functools.cache
def _adapter(spec: str, low: float | None, high: float | None) -> Any:
    import ast

    from pydantic import AfterValidator, Field, TypeAdapter

    def build(spec: Any) -> Any:
        if spec == "float":
            return typing.Annotated[float, Field(allow_inf_nan=False, ge=low, le=high)]
        if spec == "int":
            return typing.Annotated[int, Field(ge=low, le=high)]
        if isinstance(spec, str):
            return {"bool": bool, "str": str}[spec]
        if "literal" in spec:
            return typing.Annotated[Any, AfterValidator(functools.partial(_one_of, spec["literal"]))]
        if "tuple" in spec:
            return list[build(spec["tuple"])]  # type: ignore[misc]
        if "table" in spec:
            return dict[str, build(spec["table"])]  # type: ignore[misc]
        return build(spec["optional"]) | None

    return TypeAdapter(build(ast.literal_eval(spec)))


def check_value(option: Option, value: Any, where: str) -> Any:
    """Check a value against an option's type and bounds, strictly; lists stand for tuples. Raises UsageError."""
    from pydantic import ValidationError

    low, high = (option.range["low"], option.range["high"]) if option.range else (None, None)
    try:
        return _adapter(repr(option.type), low, high).validate_python(_jsonable(value), strict=True)
    except ValidationError:
        raise UsageError(f"{where}: expected {option.text}, got {value!r:.80}") from None


def resolve_options(component: Component, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """All options of a component with `given` over the defaults. Raises UsageError for unknown, missing, wrong."""
    source = f"{where}: {component.kind} {component.name!r} of plugin {component.plugin!r}"
    for name in given:
        if name not in component.options:
            raise UsageError(unknown("option", name, component.options, source))
    resolved = {}
    for name, option in component.options.items():
        if name not in given and option.required:
            raise UsageError(
                f"{source}: the option {name!r} ({option.text}) must be set (known: {', '.join(component.options)})"
            )
        resolved[name] = check_value(option, given.get(name, option.default), f"{source}: option {name!r}")
    return resolved
