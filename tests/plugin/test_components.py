"""Components: the signature is the schema; what does not fit it is refused with the place and the nearest name."""

from __future__ import annotations

import functools
import importlib.util
import math
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbias.errors import UsageError
from benchbias.plugin.components import (
    GIVEN,
    STAGE_KEYS,
    Component,
    Option,
    Range,
    check_value,
    describe,
    resolve_options,
)
from benchbias.util import canonical

quick = settings(max_examples=60, deadline=None, derandomize=True)


def option(annotation, *default):
    """The description of a trainer's only option `x`, with this annotation and perhaps a default."""

    def trainer(model, data, context, *, x): ...

    trainer.__annotations__["x"] = annotation
    trainer.__kwdefaults__ = {"x": default[0]} if default else None
    return describe("trainer", "probe", trainer)["options"]["x"]


def component(**options):
    """A described trainer `probe` of plugin `p` with these options, (annotation,) or (annotation, default) each."""
    described = {name: option(*spec) for name, spec in options.items()}
    value = {"kind": "trainer", "name": "probe", "given": ["model"], "options": described, "summary": ""}
    return Component.from_json("p", value)


def accepts(annotation, value):
    """What an option of this type makes of a value. Raises UsageError."""
    return resolve_options(component(x=(annotation,)), {"x": value}, "here")["x"]


def refuses(annotation, value):
    with pytest.raises(UsageError, match=r"here: trainer 'probe' of plugin 'p': option 'x'"):
        accepts(annotation, value)
    return True


# --- describe: what is read from a signature

TYPES = [
    (bool, True),
    (int, 3),
    (float, 0.5),
    (str, "a"),
    (Literal["a", 2, True], "a"),
    (tuple[int, ...], [1, 2]),
    (tuple[tuple[float, ...], ...], [[0.5], []]),
    (Mapping[str, str], {"0": "train"}),
    (dict[str, tuple[int, ...]], {"a": [1], "b": []}),
    (int | None, None),
    (Optional[str], "a"),  # noqa: UP045
    (tuple[str, ...] | None, ["a"]),
    (Annotated[int, Range(1, 5)], 3),
    (Annotated[float | None, Range(0, 1)], 0.5),
    (Annotated[float, "a note of somebody else", Range(1e-3, 1, log=True)], 0.5),
]


@pytest.mark.parametrize(("annotation", "value"), TYPES)
def test_every_allowed_type_takes_a_value_of_its_own(annotation, value):
    assert accepts(annotation, value) == value


@pytest.mark.parametrize(("annotation", "value"), TYPES)
def test_a_description_survives_the_way_through_json(annotation, value):
    described = option(annotation, tuple(value) if isinstance(value, list) else value)
    assert canonical.loads(canonical.dumps(described)) == described


@pytest.mark.parametrize(("annotation", "value"), TYPES)
def test_a_default_stands_in_for_a_value_that_is_not_given(annotation, value):
    default = tuple(tuple(v) if isinstance(v, list) else v for v in value) if isinstance(value, list) else value
    assert resolve_options(component(x=(annotation, default)), {}, "here") == {"x": value}


@pytest.mark.parametrize(
    "annotation",
    [
        list[int],
        dict,
        dict[int, str],
        typing.Mapping,
        Any,
        object,
        None,
        bytes,
        complex,
        tuple[int, str],
        tuple[int],
        tuple,
        int | str,
        int | str | None,
        Literal[1.5],
        Literal[None],
        tuple[list[int], ...],
        Annotated[str, Range(0, 1)],
        Annotated[bool, Range(0, 1)],
        Annotated[tuple[float, ...], Range(0, 1)],
    ],
)
def test_any_other_type_is_refused_with_the_options_name(annotation):
    with pytest.raises(UsageError, match=r"trainer 'probe': option 'x'"):
        option(annotation)


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (int, 0.5),
        (int, True),
        (float, "1"),
        (float, math.nan),
        (str, None),
        (tuple[int, ...], ("a",)),
        (Annotated[int, Range(1, 5)], 6),
    ],
)
def test_a_default_that_its_own_type_refuses_is_an_error(annotation, default):
    with pytest.raises(UsageError, match=r"option 'x' \(its default\)"):
        option(annotation, default)


def test_an_option_without_a_type_is_refused():
    def trainer(model, *, strength=1.0): ...

    with pytest.raises(UsageError, match=r"option 'strength' has no type"):
        describe("trainer", "probe", trainer)


def test_the_summary_is_the_first_paragraph_in_one_line():
    def metric(predictions):
        """Say how
        good it is.

        Not this.
        """

    assert describe("metric", "good", metric)["summary"] == "Say how good it is."


def test_what_the_core_gives_is_recognised_by_name_in_any_order():
    def trainer(val_groups, context, model): ...

    assert describe("trainer", "probe", trainer)["given"] == ["val_groups", "context", "model"]


@pytest.mark.parametrize("kind", sorted(GIVEN))
def test_every_kind_may_be_given_all_that_belongs_to_it_and_nothing_else(kind):
    namespace = {}
    exec(f"def right({', '.join(GIVEN[kind])}): ...\ndef wrong({GIVEN[kind][0]}, test_labels): ...", namespace)
    assert describe(kind, "probe", namespace["right"])["given"] == list(GIVEN[kind])
    with pytest.raises(UsageError, match="test_labels"):
        describe(kind, "probe", namespace["wrong"])


def test_a_misspelt_parameter_is_answered_with_the_nearest_name():
    def trainer(model, data, contxt): ...

    with pytest.raises(UsageError, match=r"trainer 'probe'.*'contxt'; did you mean 'context'"):
        describe("trainer", "probe", trainer)


def test_an_option_before_the_star_is_told_where_it_belongs():
    def trainer(model, upweight: int = 5): ...

    with pytest.raises(UsageError, match=r"'upweight'.*after `\*`"):
        describe("trainer", "probe", trainer)


@pytest.mark.parametrize("signature", ["model, *rest", "model, *, x: int = 1, **rest"])
def test_open_ended_signatures_are_refused(signature):
    namespace = {}
    exec(f"def trainer({signature}): ...", namespace)
    with pytest.raises(UsageError, match="rest"):
        describe("trainer", "probe", namespace["trainer"])


@pytest.mark.parametrize("name", sorted(STAGE_KEYS))
def test_no_option_may_have_the_name_of_a_key_of_the_core(name):
    namespace = {}
    exec(f"def trainer(model, *, {name}: float = 0.5): ...", namespace)
    with pytest.raises(UsageError, match=f"{name!r} belongs to the core"):
        describe("trainer", "probe", namespace["trainer"])


@pytest.mark.parametrize("thing", [None, 3, "erm", {"a": 1}])
def test_what_cannot_be_called_is_no_component(thing):
    with pytest.raises(UsageError, match="trainer 'probe'"):
        describe("trainer", "probe", thing)


def base(model, context, *, strength: float, name: str = "plain"):
    """Train somehow."""


def test_a_partial_is_a_preset_whose_other_options_stay_open():
    preset = describe("trainer", "strong", functools.partial(base, strength=2.0))
    assert preset["options"]["strength"] == {**option(float, 2.0)}
    assert preset["options"]["name"] == option(str, "plain")
    assert preset["summary"] == "Train somehow."
    assert preset["given"] == ["model", "context"]


def test_a_partial_of_a_partial_is_one_too():
    preset = functools.partial(functools.partial(base, strength=2.0), name="twice")
    options = describe("trainer", "strong", preset)["options"]
    assert (options["strength"]["default"], options["name"]["default"]) == (2.0, "twice")


def test_a_partial_with_a_value_of_the_wrong_type_is_refused():
    with pytest.raises(UsageError, match="option 'strength'"):
        describe("trainer", "strong", functools.partial(base, strength="much"))


class Net:
    """A network."""

    def __init__(self, input_shape, num_classes, *, width: Annotated[float, Range(0.1, 4)] = 1.0): ...


class Child(Net):
    """A network that takes over how it is made."""


@pytest.mark.parametrize("made", [Net, Child])
def test_a_class_is_described_by_its_initialiser(made):
    described = describe("model", "net", made)
    assert described["given"] == ["input_shape", "num_classes"]
    assert described["options"]["width"] == option(Annotated[float, Range(0.1, 4)], 1.0)
    assert described["summary"] == made.__doc__


def wrapped(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
        return function(*args, **kwargs)

    return call


def test_a_decorated_function_is_described_by_what_it_wraps():
    assert describe("trainer", "base", wrapped(base)) == describe("trainer", "base", base)


LAZY = '''
from __future__ import annotations
from typing import TYPE_CHECKING, Annotated, Literal
from benchbias import Range
if TYPE_CHECKING:
    from nowhere import Model, TrainingData, TrainContext

Mode = Literal["fast", "slow"]

def trainer(
    model: Model, data: TrainingData, context: TrainContext, *,
    strength: Annotated[float, Range(0, 2)] = 1.0, mode: Mode = "fast", sizes: tuple[int, ...] | None = None,
) -> Model:
    """Train."""

class Net:
    def __init__(self, input_shape: Model, num_classes: int, *, width: Annotated[int, Range(1, 9)] = 3) -> None: ...

def unreadable(model: Model, *, other: Model = None): ...
'''


@pytest.fixture(scope="module")
def lazy(tmp_path_factory):
    """A module with postponed annotations, some of which only a type checker can evaluate."""
    path = tmp_path_factory.mktemp("lazy") / "lazy.py"
    path.write_text(LAZY)
    spec = importlib.util.spec_from_file_location("lazy", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_postponed_annotations_are_read_where_imports_are_for_type_checkers_only(lazy):
    assert describe("trainer", "lazy", lazy.trainer)["options"] == {
        "strength": option(Annotated[float, Range(0, 2)], 1.0),
        "mode": option(Literal["fast", "slow"], "fast"),
        "sizes": option(tuple[int, ...] | None, None),
    }


def test_postponed_annotations_of_a_class_and_of_a_partial_are_read_too(lazy):
    assert describe("model", "net", lazy.Net)["options"]["width"] == option(Annotated[int, Range(1, 9)], 3)
    preset = functools.partial(lazy.trainer, mode="slow")
    assert describe("trainer", "slow", preset)["options"]["mode"] == option(Literal["fast", "slow"], "slow")


def test_an_options_type_that_cannot_be_evaluated_is_refused(lazy):
    with pytest.raises(UsageError, match=r"option 'other'.*Model"):
        describe("trainer", "unreadable", lazy.unreadable)


@pytest.mark.parametrize(
    ("low", "high", "log"), [(1, 1, False), (2, 1, False), (0, 1, True), (-1, 1, True), (math.nan, 1, False)]
)
def test_a_range_holds_an_interval(low, high, log):
    with pytest.raises(ValueError):
        Range(low, high, log)


# --- resolve_options: strict values


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, True),
        (int, 1.0),
        (int, "1"),
        (float, True),
        (float, "0.5"),
        (float, math.nan),
        (float, math.inf),
        (float, None),
        (str, 0.5),
        (str, 1),
        (str, ["a"]),
        (bool, 1),
        (bool, 0.0),
        (bool, "true"),
        (Literal["a", "b"], "c"),
        (Literal[1, 2], True),
        (Literal[1, 2], 2.0),
        (Literal[True], 1),
        (tuple[int, ...], 1),
        (tuple[int, ...], [1, "2"]),
        (tuple[int, ...], [1, True]),
        (tuple[int, ...], {"a": 1}),
        (tuple[str, ...], "abc"),
        (Mapping[str, str], {"a": 1}),
        (Mapping[str, str], [["a", "b"]]),
        (Mapping[str, int], {1: 1}),
        (tuple[float, ...], [math.nan]),
        (int | None, "none"),
        (float, 10**400),
    ],
)
def test_a_value_of_another_type_is_refused(annotation, value):
    assert refuses(annotation, value)


def test_a_whole_number_will_do_for_a_float_and_becomes_one():
    assert type(accepts(float, 1)) is float
    assert canonical.dumps(accepts(float, 1)) == canonical.dumps(accepts(float, 1.0)), "one setting, one key"


def test_lists_stand_for_tuples():
    assert accepts(tuple[int, ...], [1, 2]) == accepts(tuple[int, ...], (1, 2)) == [1, 2]


@quick
@given(st.floats(-5, 5), st.sampled_from([float, float | None]))
def test_a_range_includes_its_bounds_and_nothing_beyond(value, annotation):
    bounded = Annotated[annotation, Range(-2.0, 1.5)]
    if -2.0 <= value <= 1.5:
        assert accepts(bounded, value) == value
    else:
        assert refuses(bounded, value)


@pytest.mark.parametrize("value", [-2, 3])
def test_both_bounds_of_a_range_are_allowed(value):
    assert accepts(Annotated[int, Range(-2, 3)], value) == value
    assert accepts(Annotated[float, Range(-2, 3)], value) == value
    assert refuses(Annotated[int, Range(-2, 3)], value + (1 if value > 0 else -1))


def test_an_error_says_what_was_expected_and_what_came():
    with pytest.raises(UsageError, match=r"expected float from 0\.1 to 10, got 'lots'"):
        accepts(Annotated[float, Range(0.1, 10)], "lots")


def test_an_unknown_option_is_answered_with_plugin_known_names_and_the_nearest():
    with pytest.raises(
        UsageError, match=r"place.*trainer 'probe' of plugin 'p'.*'upwieght'.*'upweight'.*epochs, upweight"
    ):
        resolve_options(component(upweight=(int, 1), epochs=(int, 2)), {"upwieght": 3}, "place")


def test_any_option_of_a_component_without_options_is_unknown():
    with pytest.raises(UsageError, match=r"'x'.*none"):
        resolve_options(component(), {"x": 3}, "place")


def test_a_missing_required_option_is_named():
    with pytest.raises(UsageError, match=r"place.*'upweight' \(int\) must be set"):
        resolve_options(component(upweight=(int,), epochs=(int, 2)), {"epochs": 3}, "place")


def test_given_values_stand_over_defaults_and_all_options_are_filled_in():
    options = component(a=(int, 1), b=(str, "x"), c=(float | None, None))
    assert resolve_options(options, {"b": "y"}, "place") == {"a": 1, "b": "y", "c": None}


toml = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@quick
@given(toml, st.sampled_from([annotation for annotation, _ in TYPES]))
def test_any_toml_value_is_taken_as_it_is_or_refused(value, annotation):
    """A value that is taken equals what came, and is taken again: resolving twice changes nothing."""
    spec = Option(**option(annotation))
    try:
        taken = check_value(spec, value, "here")
    except UsageError:
        return
    assert taken == value
    assert canonical.dumps(check_value(spec, taken, "here")) == canonical.dumps(taken)
