"""benchmarks.toml: every mistake is one UsageError that names the file and the place; nothing else ever comes out."""

from __future__ import annotations

import contextlib
import math
import random
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchbias.errors import UsageError
from benchbias.plan.planner import make
from benchbias.plugin.registry import Registry, load_registry
from benchbias.suite.catalogue import load, shipped_file
from benchbias.suite.tables import seed_list
from support.mutated import small, spoilt, toml, verdict

ROOT = Path(__file__).parent.parent
SUITE = """
[suites.mine]
title = "Mine"
version = "1"
tasks = ["toy"]
methods = ["plain", "cut"]
seeds = 2
metrics = ["accuracy"]
rank_by = "accuracy"
reference = "plain"
"""
TASK = """
[tasks.toy]
dataset = { use = "colored_digits", draws = 1 }
model = { use = "lenet_small" }
recipe = { epochs = 1 }
"""
METHODS = """
[methods.plain]
stages = [{ train = "erm" }]

[methods.cut]
stages = [{ train = "erm" }, { prune = "magnitude", sparsity = "$sparsity" }]
sweep = { sparsity = [0.5, 0.9] }
baseline = "plain"
"""
WHOLE = "schema = 1\n" + SUITE + TASK + METHODS


@pytest.fixture
def loaded(tmp_path):
    """Load this text as the user's file `own.toml`."""

    def load_text(text):
        path = tmp_path / "own.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(path)

    return load_text


def changed(*replacements, text=WHOLE):
    for old, new in replacements:
        assert text.count(old) == 1, f"{old!r} must stand once"
        text = text.replace(old, new)
    return text


def test_the_file_that_is_spoilt_below_loads_before(loaded):
    catalogue = loaded(WHOLE)
    assert catalogue.suites["mine"].methods == ["plain", "cut"]


# --- the shipped file and the user's


def test_the_shipped_file_loads_alone():
    catalogue = load()
    assert {"smoke", "spurious-small"} <= set(catalogue.suites)
    assert set(catalogue.origin.values()) == {"benchmarks.toml (shipped)"}


def test_the_stages_of_a_method_of_several_stand_one_a_line():
    """In the shipped file and in what pages quote of it: a stage that changes is a line that changes."""
    pages = sorted((ROOT / "docs").rglob("*.md"))
    for path in (shipped_file(), *pages):
        for line in path.read_text().splitlines():
            if line.startswith("stages = [") and line.endswith("]"):
                assert len(tomllib.loads(line)["stages"]) == 1, f"{path.name}: {line:.60}"


def test_the_users_file_adds_to_the_shipped_one(loaded):
    catalogue, shipped = loaded(WHOLE), load()
    assert set(catalogue.suites) - set(shipped.suites) == {"mine"}
    assert set(catalogue.methods) - set(shipped.methods) == {"plain", "cut"}
    assert all(catalogue.suites[name] == suite for name, suite in shipped.suites.items())


def test_a_table_of_the_same_name_replaces_the_shipped_one_whole(loaded):
    assert load().methods["erm-ft"].ranked is False
    text = 'schema = 1\n[methods.erm-ft]\nstages = [{ train = "erm" }, { train = "erm", recipe = { epochs = 1 } }]\n'
    method = loaded(text).methods["erm-ft"]
    assert method.ranked is True, "what the user's table leaves out is the default, not the shipped value"
    assert method.stages[1]["recipe"] == {"epochs": 1}


def test_every_table_knows_the_file_it_came_from(loaded):
    catalogue = loaded(WHOLE)
    assert catalogue.where("methods", "plain").endswith("own.toml: methods.plain")
    assert catalogue.where("methods", "erm") == "benchmarks.toml (shipped): methods.erm"


def test_a_file_in_the_current_folder_is_read_by_itself(tmp_path, monkeypatch):
    (tmp_path / "benchmarks.toml").write_text(WHOLE)
    monkeypatch.chdir(tmp_path)
    assert "mine" in load().suites


def test_a_users_suite_may_use_shipped_tasks_and_methods(loaded):
    text = SUITE.replace('["toy"]', '["colored-digits"]').replace('"cut"', '"magnitude"') + METHODS
    assert loaded("schema = 1\n" + text).suites["mine"].tasks == ["colored-digits"]


# --- mistakes: (what is written instead of what, what the message must say besides the file's name)

MISTAKES = {
    "broken TOML": ([("[suites.mine]", "[suites.mine")], ["not valid TOML", "line 3"]),
    "no schema": ([("schema = 1", "")], ["schema = 1"]),
    "another schema": ([("schema = 1", "schema = 2")], ["schema = 1", "got 2"]),
    "schema as text": ([("schema = 1", 'schema = "1"')], ["schema = 1", "got '1'"]),
    "schema as bool": ([("schema = 1", "schema = true")], ["schema = 1", "got True"]),
    "unknown section": ([("[tasks.toy]", "[task.toy]")], ["unknown section 'task'; did you mean 'tasks'"]),
    "section is no table": ([("schema = 1", "schema = 1\ntasks = 3"), (TASK, "")], ["tasks must be tables"]),
    "table is a value": ([(TASK, "[tasks]\ntoy = 3\n")], ["tasks.toy"]),
    "unknown key of a suite": ([("rank_by", "rankby")], ["suites.mine", "'rankby'; did you mean 'rank_by'"]),
    "unknown key of a task": ([("model =", "modle =")], ["tasks.toy", "'modle'; did you mean 'model'"]),
    "unknown key of a method": ([("baseline", "basline")], ["methods.cut", "'basline'; did you mean 'baseline'"]),
    "unknown key of a task's recipe": ([("epochs", "epoch")], ["tasks.toy.recipe", "'epoch'; did you mean 'epochs'"]),
    "unknown key of a stage's recipe": (
        [('prune = "magnitude"', 'prune = "magnitude", recipe = { epoch = 2 }')],
        ["methods.cut.stages[2].recipe", "'epoch'; did you mean 'epochs'"],
    ),
    "unknown key of a method's recipe": (
        [('baseline = "plain"', "recipe = { epoch = 2 }")],
        ["methods.cut.recipe", "'epoch'; did you mean 'epochs'"],
    ),
    "missing key": ([('title = "Mine"', "")], ["suites.mine.title"]),
    "text for a list": ([('["toy"]', '"toy"')], ["suites.mine.tasks", "got 'toy'"]),
    "no tasks": ([('["toy"]', "[]")], ["suites.mine.tasks"]),
    "no methods": ([('["plain", "cut"]', "[]")], ["suites.mine.methods"]),
    "no metrics": ([('["accuracy"]', "[]")], ["suites.mine.metrics"]),
    "no stages": ([('[{ train = "erm" }]', "[]")], ["methods.plain.stages"]),
    "an empty sweep": ([("[0.5, 0.9]", "[]")], ["methods.cut.sweep.sparsity"]),
    "a sweep without a list": ([("[0.5, 0.9]", "0.5")], ["methods.cut.sweep.sparsity"]),
    "a recipe of the wrong type": ([("epochs = 1", 'epochs = "1"')], ["tasks.toy.recipe.epochs", "got '1'"]),
    "a recipe out of range": ([("epochs = 1", "epochs = -1")], ["tasks.toy.recipe.epochs", "got -1"]),
    "a recipe that is no number": ([("epochs = 1", "lr = nan")], ["tasks.toy.recipe.lr", "got nan"]),
    "an unknown choice": ([("epochs = 1", 'optimizer = "sdg"')], ["tasks.toy.recipe.optimizer", "got 'sdg'"]),
    "unknown task": ([('["toy"]', '["tyo"]')], ["suites.mine", "unknown task 'tyo'; did you mean 'toy'"]),
    "unknown method": ([('["plain", "cut"]', '["plian", "cut"]')], ["suites.mine", "'plian'; did you mean 'plain'"]),
    "unknown reference": ([('reference = "plain"', 'reference = "plian"')], ["suites.mine", "did you mean 'plain'"]),
    "unknown template": ([('reference = "plain"', 'template = "ctu"')], ["suites.mine", "did you mean 'cut'"]),
    "unknown baseline": ([('baseline = "plain"', 'baseline = "plian"')], ["methods.cut.baseline", "mean 'plain'"]),
    "ranked by no metric": ([('rank_by = "accuracy"', 'rank_by = "acuracy"')], ["suites.mine.rank_by", "'accuracy'"]),
    "a metric without a name": ([('["accuracy"]', "[{ k = 3 }]")], ["suites.mine.metrics", "use ="]),
    "a data set without a name": ([('use = "colored_digits", ', "")], ["tasks.toy.dataset", "use ="]),
    "a model without a name": ([('{ use = "lenet_small" }', "{}")], ["tasks.toy.model", "use ="]),
    "override of a stranger": (
        [('reference = "plain"', "override.erm = { recipe = { epochs = 1 } }")],
        ["suites.mine.override", "'erm'"],
    ),
    "unknown key of an override": (
        [('reference = "plain"', "override.cut = { sweeps = { sparsity = [0.1] } }")],
        ["suites.mine.override.cut", "'sweeps'; did you mean 'sweep'"],
    ),
    "unknown task of on": ([('baseline = "plain"', "on.tyo = { sparsity = 0.1 }")], ["methods.cut.on", "'toy'"]),
    "unknown parameter of on": (
        [('baseline = "plain"', "on.toy = { sparsit = 0.1 }")],
        ["methods.cut.on.toy", "'sparsit'; did you mean 'sparsity'"],
    ),
    "a reference to no parameter": ([('"$sparsity"', '"$sparsit"')], ["methods.cut", "did you mean 'sparsity'"]),
    "a parameter that nothing uses": ([('"$sparsity"', "0.5")], ["methods.cut", "'sparsity'", "no stage refers"]),
    "a stage that trains and prunes": (
        [('{ prune = "magnitude"', '{ train = "erm", prune = "magnitude"')],
        ["methods.cut.stages[2]", "exactly one"],
    ),
    "a stage that does nothing": ([('stages = [{ train = "erm" }]', "stages = [{}]")], ["methods.plain.stages[1]"]),
    "a trainer that is no name": ([('stages = [{ train = "erm" }]', "stages = [{ train = 3 }]")], ["stages[1]"]),
    "a key of the other kind of stage": (
        [('stages = [{ train = "erm" }]', 'stages = [{ train = "erm", sparsity = 0.5 }]')],
        ["methods.plain.stages[1]", "'sparsity'"],
    ),
    "a stage's recipe that is no table": (
        [('stages = [{ train = "erm" }]', 'stages = [{ train = "erm", recipe = 3 }]')],
        ["methods.plain.stages[1].recipe"],
    ),
    "no seeds": ([("seeds = 2", "seeds = 0")], ["suites.mine.seeds"]),
    "an empty list of seeds": ([("seeds = 2", "seeds = []")], ["suites.mine.seeds"]),
    "a negative seed": ([("seeds = 2", "seeds = [0, -1]")], ["suites.mine.seeds"]),
    "a seed twice": ([("seeds = 2", "seeds = [3, 3]")], ["suites.mine.seeds"]),
    "a broken seed": ([("seeds = 2", "seeds = [0, 1.5]")], ["suites.mine.seeds"]),
    "a bool for seeds": ([("seeds = 2", "seeds = true")], ["suites.mine.seeds"]),
}  # fmt: skip


@pytest.mark.parametrize(("replacements", "fragments"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_message_that_names_the_file_and_the_place(loaded, replacements, fragments):
    with pytest.raises(UsageError) as caught:
        loaded(changed(*replacements))
    missing = [fragment for fragment in ["own.toml", *fragments] if fragment not in str(caught.value)]
    assert not missing, str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "place", ["stages", "recipe", "dataset", "model"], ids=lambda place: f"in the method's {place}"
)
def test_a_reference_to_no_parameter_is_found_wherever_references_are_replaced(loaded, place):
    tables = {
        "stages": 'stages = [{ train = "erm", recipe = { epochs = "$nothing" } }]',
        "recipe": 'stages = [{ train = "erm" }]\nrecipe = { epochs = "$nothing" }',
        "dataset": 'stages = [{ train = "erm" }]\ndataset = { draws = "$nothing" }',
        "model": 'stages = [{ train = "erm" }]\nmodel = { use = "lenet_small", width = "$nothing" }',
    }
    with pytest.raises(UsageError, match=r"own\.toml: methods\.odd.*'nothing'"):
        loaded(f"{WHOLE}\n[methods.odd]\n{tables[place]}\n")


@pytest.mark.parametrize("place", ["dataset", "model"])
def test_a_parameter_may_be_used_by_a_methods_data_set_or_model_alone(loaded, place):
    table = {"dataset": 'dataset = { draws = "$d" }', "model": 'model = { use = "lenet_small", width = "$d" }'}[place]
    text = f'{WHOLE}\n[methods.odd]\nstages = [{{ train = "erm" }}]\n{table}\nsweep = {{ d = [1, 2] }}\n'
    assert loaded(text).methods["odd"].sweep == {"d": [1, 2]}


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "Upper", "x" * 100, "", ".hidden", "-x", "a b", "ä", "a\\nb", "a\\u202eb"]
)
@pytest.mark.parametrize("section", ["suites", "tasks", "methods"])
def test_a_name_that_could_be_a_path_or_draw_on_a_terminal_is_refused(loaded, section, name):
    with pytest.raises(UsageError) as caught:
        loaded(f'schema = 1\n[{section}."{name}"]\ntitle = "x"\n')
    assert "own.toml" in str(caught.value)
    assert section in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["a", "0", "colored-mnist-1", "v1.2_x", "x" * 64])
def test_a_plain_name_is_taken(loaded, name):
    assert name in loaded(changed(("[tasks.toy]", f'[tasks."{name}"]'), ('["toy"]', f'["{name}"]'))).tasks


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"schema = 1\nx = '\xff'\n", id="no UTF-8"),
        pytest.param(b"schema = 1\nx = " + b"[" * 50_000, id="deep nesting"),
        pytest.param(b"schema = 1\n#" + b"x" * (1 << 20), id="a megabyte"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\0", id="a zero byte"),
    ],
)
def test_a_file_that_is_no_sensible_toml_is_refused_by_name(loaded, content):
    with pytest.raises(UsageError, match=r"own\.toml"):
        loaded(content)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()], ids=["missing", "a folder"])
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path, make):
    path = tmp_path / "own.toml"
    make(path)
    with pytest.raises(UsageError, match=r"own\.toml: cannot be read"):
        load(path)


@given(st.integers(1, 100))
def test_a_number_of_seeds_counts_from_zero(number):
    assert list(seed_list(number, "seeds")) == list(range(number))


# --- the shipped file, spoilt at random

SHIPPED = shipped_file().read_text()
positions = st.tuples(st.integers(0, len(SHIPPED)), st.integers(0, 80)).map(lambda at: slice(at[0], at[0] + at[1]))
pieces = [
    "",
    "\n",
    '"',
    '"""',
    "'",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "=",
    ",",
    ".",
    "#",
    "$",
    "$x",
    "\\",
    "\0",
    "\N{PILE OF POO}",
]
pieces += ["0", "-1", "1e999", "nan", "true", "9" * 25, "1979-05-27", "erm", "stages", "use = ", "{ train = 3 }"]
snippets = st.sampled_from([*pieces, "[methods.x]\n"])
changes = st.one_of(
    positions.map(lambda span: lambda text: text[: span.start] + text[span.stop :]),
    positions.map(lambda span: lambda text: text[: span.stop] + text[span.start : span.stop] + text[span.stop :]),
    st.tuples(positions, snippets).map(
        lambda it: lambda text: text[: it[0].start] + it[1] + text[it[0].start + it[0].stop % 5 :]
    ),
    st.tuples(positions, positions).map(lambda it: lambda text: text[: it[0].start] + text[it[1]] + text[it[0].stop :]),
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(changes, min_size=1, max_size=4))
def test_the_shipped_file_spoilt_at_random_loads_or_is_refused(tmp_path_factory, edits):
    text = SHIPPED
    for edit in edits:
        text = edit(text)
    path = tmp_path_factory.getbasetemp() / "spoilt.toml"
    path.write_text(text)
    with contextlib.suppress(UsageError):
        assert set(load().suites) <= set(load(path).suites)


# --- the shipped structure, spoilt: keys, types, values; `benchmarks/fuzz_toml.py` does it as often as you like

STRUCTURE = small(tomllib.loads(SHIPPED))


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(quiet=True)


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """An empty shipped file, so that an example costs milliseconds; where the spoilt file goes."""
    (tmp_path / "empty.toml").write_text("schema = 1\n")
    monkeypatch.setattr("benchbias.suite.catalogue.shipped_file", lambda: tmp_path / "empty.toml")
    return tmp_path / "spoilt.toml"


def test_the_structure_that_is_spoilt_below_plans_before(alone, registry):
    assert tomllib.loads(toml(STRUCTURE)) == STRUCTURE
    assert verdict(alone, toml(STRUCTURE), registry) == "planned"
    assert math.isnan(tomllib.loads(toml({"a": [{"b": math.nan}]}))["a"][0]["b"])


@pytest.mark.parametrize("examples", [300, pytest.param(2000, marks=pytest.mark.slow)])
def test_a_spoilt_structure_is_planned_or_refused_by_one_line_that_names_its_file(alone, registry, examples):
    """Each verdict but `planned` is a UsageError; whatever else is raised comes through."""
    verdicts = []

    @settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**64))
    def spoil(seed):
        told = verdict(alone, toml(spoilt(STRUCTURE, random.Random(seed))), registry)
        verdicts.append(told)
        assert told.isprintable()
        assert len(told) < 2100
        assert told == "planned" or "spoilt.toml" in told or "--" in told or "suite 'small'" in told, told

    spoil()
    assert examples / 40 < verdicts.count("planned") < len(verdicts) / 2
    assert len(set(verdicts)) > 0.15 * examples


@pytest.mark.parametrize("text", ["$x", "$$x", "$nothing"])
def test_a_value_that_looks_like_a_reference_is_replaced_once(loaded, text, registry):
    """A parameter's value is no reference to another: it is refused as the value that it is."""
    stages = '[{ train = "erm", recipe = { optimizer = "$x" } }]'
    method = f'[methods.odd]\nstages = {stages}\nparameters = {{ x = "{text}" }}\n'
    catalogue = loaded(changed(('["plain", "cut"]', '["plain", "odd"]')) + method)
    with pytest.raises(UsageError, match=r"recipe\.optimizer: .* got '[$]"):
        make(catalogue, registry, "mine")


@pytest.mark.parametrize("text", ["\x1b[31m", "\u202e", "x" * 100_000])
def test_no_message_is_long_or_draws_on_a_terminal(text):
    shown = str(UsageError(f"unknown {text}\n{text}"))
    assert shown.isprintable()
    assert len(shown) < 2100
