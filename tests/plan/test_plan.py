"""Plans: equal work is planned once, keys change with what they stand for and with nothing else, mistakes are early."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import pytest

from benchbias.data.reading.raw_files import READERS
from benchbias.errors import UsageError
from benchbias.keys import stage_key
from benchbias.plan import planner, stages
from benchbias.plan.planner import Selection, make
from benchbias.plugin import components
from benchbias.plugin.registry import load_registry
from benchbias.runner.workspace import Workspace
from benchbias.suite.catalogue import load
from benchbias.suite.settings import Assignments, Setting, recipe_settings
from benchbias.suite.tables import Recipe

TOML = """
schema = 1

[suites.probe]
title = "Probe"
version = "1"
tasks = ["one", "two"]
methods = ["plain", "cut", "fine"]
seeds = 2
metrics = ["accuracy", "worst_group_accuracy"]
rank_by = "accuracy"

[tasks.one]
dataset = { use = "colored_digits", draws = 1 }
model = { use = "lenet_small", width = 0.25 }
recipe = { epochs = 3 }

[tasks.two]
dataset = { use = "colored_digits", draws = 2 }
model = { use = "lenet_small", width = 0.5 }
recipe = { epochs = 4 }

[methods.plain]
stages = [{ train = "erm" }]

[methods.cut]
stages = [
    { train = "erm" },
    { prune = "magnitude", sparsity = "$sparsity" },
    { train = "erm", recipe = { epochs = 1 } },
]
sweep = { sparsity = [0.5, 0.9] }

[methods.fine]
stages = [{ train = "erm" }, { train = "erm", recipe = { epochs = 1 } }]
"""


@pytest.fixture(scope="module")
def registry(plugin_cache):
    """The installed plugins, described once."""
    return load_registry(quiet=True)


@pytest.fixture
def planned(tmp_path, registry):
    """Plan a suite of this text, with the installed plugins or those of another registry."""

    def plan_text(text=TOML, suite="probe", registry=registry, **selection):
        path = tmp_path / "own.toml"
        path.write_text(text)
        return make(load(path), registry, suite, Selection(**selection))

    return plan_text


def changed(*replacements, text=TOML):
    for old, new in replacements:
        assert text.count(old) == 1, f"{old!r} must stand once"
        text = text.replace(old, new)
    return text


def with_method(body, text=TOML):
    """The suite with one method, `odd`, and one task."""
    text = text.replace('["plain", "cut", "fine"]', '["odd"]').replace('["one", "two"]', '["one"]')
    return f"{text}\n[methods.odd]\n{body}\n"


def with_descendants(plan, roots):
    """The keys of `roots` and of every stage that one of them leads to, by the plan's parents."""
    found = set(roots)
    for key, stage in plan.stages.items():  # parents stand before children
        if found & set(stage.parents.values()):
            found.add(key)
    return found


def chosen(plan, wanted):
    return {key for key, stage in plan.stages.items() if wanted(stage)}


def of_kind(plan, kind):
    return [stage for stage in plan.stages.values() if stage.kind == kind]


# --- planning is light


def test_planning_imports_no_heavy_package(plugin_cache, registry, tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(TOML)
    code = (
        "import sys; from pathlib import Path; from benchbias.runner.workspace import Workspace\n"
        f"plan = Workspace.open(config=Path({str(path)!r}), quiet=True).plan('probe')\n"
        "heavy = ('torch', 'torchvision', 'timm', 'datasets', 'sklearn', 'numpy', 'scipy')\n"
        "print(len(plan.trials), [name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "16 []", done.stderr


def test_a_workspace_plans_what_its_tables_and_plugins_say(tmp_path, planned):
    path = tmp_path / "mine.toml"
    path.write_text(TOML)
    assert Workspace.open(config=path, quiet=True).plan("probe") == planned()


# --- what is shared

HAND_COUNT = {  # train stages of one seed besides the dense run that all start from
    "smoke": {"erm": 0, "erm-ft": 1, "magnitude": 2, "random": 1},
    "spurious-small": {"erm": 0, "erm-ft": 1, "erm-unbiased": 1, "magnitude": 3, "random": 1},
}


@pytest.mark.parametrize("suite", HAND_COUNT)
def test_published_suites_train_the_dense_model_once_a_seed(registry, suite):
    plan = make(load(), registry, suite, Selection(methods=list(HAND_COUNT[suite]), seeds=3))
    assert len(of_kind(plan, "train")) == 3 * (1 + sum(HAND_COUNT[suite].values()))
    dense = [stage for stage in of_kind(plan, "train") if stage.parents["start"] == stage.parents["init"]]
    on_own_data = 1 if "erm-unbiased" in HAND_COUNT[suite] else 0
    assert len(dense) == 3 * (1 + on_own_data)


def test_a_row_more_costs_only_what_is_new_in_it(planned):
    whole = planned()
    for left_out in ("plain", "cut", "fine"):
        rest = planned(methods=[name for name in ("plain", "cut", "fine") if name != left_out])
        assert set(rest.stages) <= set(whole.stages)
    assert set(planned(methods=["plain"]).stages) < set(planned(methods=["fine"]).stages) | {
        stage.key for kind in ("predict", "score") for stage in of_kind(whole, kind)
    }


def test_parents_stand_before_children_and_every_stage_is_used(planned):
    plan = planned()
    seen = set()
    for key, stage in plan.stages.items():
        assert set(stage.parents.values()) <= seen
        seen.add(key)
    assert {key for trial in plan.trials for key in trial.stages} == seen


def test_a_trial_holds_every_stage_that_its_score_needs(planned):
    plan = planned()
    for trial in plan.trials:
        needed, left = set(), [trial.stages[-1]]
        while left:
            key = left.pop()
            needed.add(key)
            left += plan.stages[key].parents.values()
        assert set(trial.stages) == needed
        assert plan.stages[trial.stages[-1]].kind == "score"


def test_the_grid_is_tasks_by_swept_methods_by_seeds(planned):
    plan = planned()
    labels = [trial.label for trial in plan.trials]
    rows = ["plain", "cut[sparsity=0.5]", "cut[sparsity=0.9]", "fine"]
    assert sorted(labels) == sorted(f"{t}/{row}/{s}" for t in ("one", "two") for row in rows for s in (0, 1))
    assert len({trial.id for trial in plan.trials}) == len(labels)


# --- keys

FINE = '[{ train = "erm" }, { train = "erm", recipe = { epochs = 1 } }]'
CUT = 'sparsity = "$sparsity"'
CHANGES = {  # what is written instead of what, and which stages of the old plan that touches: (stage, its tasks)
    "a data set's option": (
        ("draws = 1", "draws = 3"),
        lambda stage, tasks: stage.kind == "data" and stage.inputs["component"]["options"]["draws"] == 1,
    ),
    "a model's option": (
        ("width = 0.25", "width = 0.3"),
        lambda stage, tasks: stage.kind == "init" and stage.inputs["component"]["options"]["width"] == 0.25,
    ),
    "a task's recipe": (
        ("epochs = 3", "epochs = 3, lr = 0.02"),
        lambda stage, tasks: stage.kind in ("train", "prune") and "one" in tasks,
    ),
    "a stage's recipe": (
        (FINE, FINE.replace("epochs = 1", "epochs = 2")),
        lambda stage, tasks: (
            stage.kind == "train" and stage.inputs["recipe"]["epochs"] == 1 and "mask" not in stage.parents
        ),
    ),
    "a sparsity": (
        ("[0.5, 0.9]", "[0.5, 0.8]"),
        lambda stage, tasks: stage.kind == "prune" and stage.inputs["cut"]["sparsity"] == 0.9,
    ),
    "the layers": ((CUT, f'{CUT}, layers = "!head"'), lambda stage, tasks: stage.kind == "prune"),
    "the budget": ((CUT, f'{CUT}, budget = "erk"'), lambda stage, tasks: stage.kind == "prune"),
    "the pruner": (('"magnitude"', '"random"'), lambda stage, tasks: stage.kind == "prune"),
    "the seeds": (("seeds = 2", "seeds = [0, 7]"), lambda stage, tasks: stage.inputs["seed"] == 1),
    "the metrics": (
        ('"worst_group_accuracy"]', '"conflicting_accuracy"]'),
        lambda stage, tasks: stage.kind == "score",
    ),
}


def tasks_of(plan, key):
    return {trial.task for trial in plan.trials if key in trial.stages}


@pytest.mark.parametrize(("replacement", "touched"), CHANGES.values(), ids=CHANGES)
def test_a_change_renames_the_stages_it_touches_their_descendants_and_no_others(planned, replacement, touched):
    before, after = planned(), planned(changed(replacement))
    roots = {key for key, stage in before.stages.items() if touched(stage, tasks_of(before, key))}
    expected = with_descendants(before, roots)
    assert roots
    assert set(before.stages) - set(after.stages) == expected
    gone = {before.stages[key].identity for key in expected}
    assert not gone & {stage.identity for stage in after.stages.values()}


@pytest.mark.parametrize(
    "replacements",
    [
        pytest.param([('title = "Probe"', 'title = "Other"')], id="title"),
        pytest.param([('rank_by = "accuracy"', 'rank_by = "-worst_group_accuracy"')], id="rank_by"),
        pytest.param([("[suites.probe]", "[suites.other]")], id="the suite's name"),
        pytest.param([('version = "1"', 'version = "2"')], id="the suite's version"),
        pytest.param([("draws = 1", "draws = 1, noise = 0.3")], id="a default written out"),
        pytest.param([("width = 0.25", "width = 2.5e-1")], id="a number written otherwise"),
        pytest.param([("epochs = 3", 'epochs = 3, optimizer = "sgd"')], id="a recipe's default written out"),
        pytest.param([('["one", "two"]', '["two", "one"]')], id="the order of tasks"),
        pytest.param([('["plain", "cut", "fine"]', '["fine", "cut", "plain"]')], id="the order of methods"),
        pytest.param([("[0.5, 0.9]", "[0.9, 0.5]")], id="the order of a sweep"),
        pytest.param(
            [('sparsity = "$sparsity"', 'sparsity = "$sparsity", budget = "global"')], id="the core's default"
        ),
        pytest.param([("seeds = 2", "seeds = [1, 0]")], id="the same seeds as a list"),
    ],
)
def test_what_decides_no_result_is_in_no_key(planned, replacements):
    text = changed(*replacements)
    other = planned(text, suite="other" if "suites.other" in text else "probe")
    assert set(other.stages) == set(planned().stages)


def test_two_suites_share_the_stages_of_the_trials_that_they_have_in_common(planned):
    start = TOML.index("[suites.probe]")
    suite = TOML[start : TOML.index("[tasks.one]")]
    text = TOML + suite.replace("suites.probe", "suites.twin").replace('"Probe"', '"Twin"')
    one, twin = planned(text), planned(text, suite="twin")
    assert set(one.stages) == set(twin.stages)
    assert not {trial.id for trial in one.trials} & {trial.id for trial in twin.trials}, "but not their trials"


def test_a_trial_id_names_one_suite_version(planned):
    ids = [{trial.id for trial in planned(changed(('version = "1"', f'version = "{v}"'))).trials} for v in (1, 2)]
    assert not ids[0] & ids[1]


def test_another_machine_has_other_keys_but_the_same_identities_and_trials(planned, monkeypatch):
    before = planned()
    here = dict(stages.describe_environment("cpu"))
    for field in here:
        monkeypatch.setattr(stages, "describe_environment", lambda device, field=field: {**here, field: "other"})
        after = planned()
        assert not set(before.stages) & set(after.stages), field
        assert {s.identity for s in before.stages.values()} == {s.identity for s in after.stages.values()}
        assert [trial.id for trial in before.trials] == [trial.id for trial in after.trials]


def test_another_core_module_renames_the_stages_that_run_it(planned, monkeypatch):
    before = planned()
    real = stage_key.core_digest
    monkeypatch.setattr(stage_key, "core_digest", lambda kind: "edited" if kind == "prune" else real(kind))
    after = planned()
    assert set(before.stages) - set(after.stages) == with_descendants(
        before, chosen(before, lambda s: s.kind == "prune")
    )
    assert [trial.id for trial in before.trials] == [trial.id for trial in after.trials]


CUT_BY_A_LIBRARY = changed(('prune = "magnitude"', 'prune = "torch_pruning"'))


def test_another_version_of_a_used_package_renames_the_stages_that_use_it_and_no_other(planned, monkeypatch):
    before = planned(CUT_BY_A_LIBRARY)
    real = stage_key.version_of
    monkeypatch.setattr(
        stage_key, "version_of", lambda package: "other" if package == "torch-pruning" else real(package)
    )
    after = planned(CUT_BY_A_LIBRARY)
    cut = chosen(before, lambda stage: stage.kind == "prune")
    assert cut
    assert set(before.stages) - set(after.stages) == with_descendants(before, cut)
    assert [trial.id for trial in before.trials] == [trial.id for trial in after.trials]


def test_a_used_package_that_is_absent_blocks_the_trials_that_need_it_and_no_other(planned, monkeypatch):
    whole = planned(CUT_BY_A_LIBRARY)
    real = components.version_of
    monkeypatch.setattr(components, "version_of", lambda name: "absent" if name == "torch-pruning" else real(name))
    found = planned(CUT_BY_A_LIBRARY)
    told = "pruner 'torch_pruning' needs torch-pruning, which is not here: pip install 'benchbias[pruning]'"
    assert {trial.method: trial.blocked for trial in found.trials} == {"plain": None, "cut": told, "fine": None}
    ids = {trial.id for trial in whole.trials}
    assert all((trial.id in ids) == (trial.blocked is None) for trial in found.trials)


@pytest.mark.parametrize("package", READERS)
def test_another_version_of_what_reads_renames_what_was_read_and_nothing_else(planned, monkeypatch, package):
    text = changed(('dataset = { use = "colored_digits", draws = 1 }', 'dataset = { use = "colored_mnist" }'))
    before = planned(text)
    real = stage_key.version_of
    monkeypatch.setattr(stage_key, "version_of", lambda name: "other" if name == package else real(name))
    after = planned(text)
    read = chosen(before, lambda stage: "raw" in stage.inputs)
    assert read
    assert set(before.stages) - set(after.stages) == with_descendants(before, read)
    assert [trial.id for trial in before.trials] == [trial.id for trial in after.trials]


def test_a_limited_run_shares_nothing_with_a_whole_one(planned):
    assert not set(planned(limit=10).stages) & set(planned().stages)


# --- plugins in loose files

PRUNER = '''
from benchbias import hookimpl

def {name}(model, data, context, *, alpha: float = 1.0, sizes: tuple[int, ...] = ()):
    """Prune somehow."""
    return {{}}{comment}

@hookimpl
def benchbias_pruners():
    return {{"{name}": {name}}}
'''
TRAINERS = '''
from benchbias import hookimpl

def {name}(model, data, context{given}):
    """Train somehow."""

@hookimpl
def benchbias_trainers():
    return {{"{name}": {name}}}
'''


@pytest.fixture
def loose(tmp_path):
    """Write plugin files, by name and text, and read them with the installed plugins."""

    def read(**texts):
        paths = [tmp_path / f"{name}.py" for name in texts]
        for path, text in zip(paths, texts.values(), strict=True):
            path.write_text(text)
        return load_registry(paths, quiet=True)

    return read


def pruner(name, comment=""):
    return PRUNER.format(name=name, comment=comment)


def test_an_edited_plugin_renames_its_own_stages_and_their_descendants(planned, loose):
    text = changed(('prune = "magnitude"', 'prune = "ours"'))
    text = text.replace('"cut", ', '"cut", "cut2", ') + TOML[
        TOML.index("[methods.cut]") : TOML.index("[methods.fine]")
    ].replace("methods.cut", "methods.cut2").replace('"magnitude"', '"theirs"')
    before = planned(text, registry=loose(ours=pruner("ours"), theirs=pruner("theirs")))
    after = planned(text, registry=loose(ours=pruner("ours", "  # edited"), theirs=pruner("theirs")))
    own = chosen(before, lambda s: s.kind == "prune" and s.inputs["component"]["name"] == "ours")
    assert own
    assert set(before.stages) - set(after.stages) == with_descendants(before, own)
    assert {s.identity for s in before.stages.values()} == {s.identity for s in after.stages.values()}
    assert [trial.id for trial in before.trials] == [trial.id for trial in after.trials]


def test_a_plugins_option_renames_the_stages_that_it_is_set_for(planned, loose):
    registry = loose(ours=pruner("ours"))
    text = changed(('prune = "magnitude"', 'prune = "ours"'))
    before, after = (
        planned(text, registry=registry),
        planned(changed(('prune = "ours"', 'prune = "ours", alpha = 2'), text=text), registry=registry),
    )
    prunes = chosen(before, lambda s: s.kind == "prune")
    assert set(before.stages) - set(after.stages) == with_descendants(before, prunes)
    assert all(s.inputs["component"]["options"] == {"alpha": 2.0, "sizes": []} for s in of_kind(after, "prune"))


@pytest.mark.parametrize(
    ("given", "method", "track"),
    [
        ("", "", "labels-none"),
        (", train_groups", "", "train"),
        (", val_groups", "", "val-fit"),
        (", val_groups, train_groups", "", "train"),
        ("", 'recipe = { select = "val_worst_group" }', "val-select"),
        ("", 'recipe = { select = "val_conflicting" }', "val-select"),
        ("", 'recipe = { select = "val_conflicting_as_published" }', "val-select"),
        ("", 'recipe = { select = "val_worst_class" }', "labels-none"),
        ("", 'settings_from = "default"', "labels-none"),
        ("", 'settings_from = "iid-val"', "labels-none"),
        ("", 'settings_from = "paper"', "val-select"),
        ("", 'settings_from = "val-groups"', "val-select"),
        (", val_groups", 'settings_from = "val-groups"', "val-fit"),
        (", train_groups", 'recipe = { select = "val_worst_group" }', "train"),
    ],
)
@pytest.mark.parametrize("place", ["first", "last"])
def test_the_track_is_the_strongest_use_of_group_labels(planned, loose, given, method, track, place):
    registry = loose(mine=TRAINERS.format(name="mine", given=given))
    stages = ['{ train = "mine" }', '{ train = "erm" }']
    text = with_method(f"stages = [{', '.join(stages if place == 'first' else stages[::-1])}]\n{method}")
    assert {trial.track for trial in planned(text, registry=registry).trials} == {track}


def test_a_pruner_that_reads_group_labels_moves_the_trial_too(planned, loose):
    registry = loose(ours=pruner("ours").replace("context,", "context, train_groups,"))
    text = with_method('stages = [{ train = "erm" }, { prune = "ours", sparsity = 0.5 }]')
    assert {trial.track for trial in planned(text, registry=registry).trials} == {"train"}


def test_group_labels_go_only_to_the_stage_that_declares_them(planned, loose):
    registry = loose(mine=TRAINERS.format(name="mine", given=", val_groups"))
    text = with_method('stages = [{ train = "erm" }, { train = "mine" }]')
    stages = of_kind(planned(text, registry=registry), "train")
    groups = {s.inputs["component"]["name"]: s.inputs["component"]["groups"] for s in stages}
    assert groups == {"erm": [], "mine": ["val_groups"]}


# --- one method by the name of a component


def shape_of(plan):
    """What a plan runs: swept values, and each trial's stages without the pruner's name and what follows from it."""

    def stage(key):
        inputs = plan.stages[key].inputs
        return (inputs["kind"], inputs.get("cut"), inputs.get("recipe"), sorted(inputs["parents"]))

    return [(trial.task, trial.swept, trial.seed, [stage(key) for key in trial.stages]) for trial in plan.trials]


@pytest.mark.parametrize("suite", ["smoke", "spurious-small"])
def test_a_bare_pruner_runs_as_the_suites_template_does_with_that_pruner(loose, suite):
    registry = loose(ours=pruner("ours"))
    template, ours = (
        make(load(), registry, suite, Selection(methods=[name], seeds=1)) for name in ("magnitude", "ours")
    )
    assert {s.inputs["component"]["name"] for s in of_kind(ours, "prune")} == {"ours"}
    assert {trial.method for trial in ours.trials} == {"ours"}
    assert shape_of(ours) == shape_of(template)


def test_a_bare_trainer_is_one_stage(loose):
    registry = loose(mine=TRAINERS.format(name="mine", given=""))
    plan = make(load(), registry, "smoke", Selection(methods=["mine"], seeds=1))
    assert [stage.inputs["component"]["name"] for stage in of_kind(plan, "train")] == ["mine"]


def test_methods_may_be_chosen_by_a_glob(planned):
    assert {trial.method for trial in planned(methods=["*n*"]).trials} == {"plain", "fine"}


@pytest.mark.parametrize("names", [("mine",), ("mine_one", "mine_two")])
def test_a_glob_reaches_what_a_name_reaches(loose, names):
    """Of the suite's methods first; else of all methods, trainers and pruners."""
    registry = loose(**{name: TRAINERS.format(name=name, given="") for name in names})
    plan = make(load(), registry, "smoke", Selection(methods=["mine*"], seeds=1))
    assert {trial.method for trial in plan.trials} == set(names)
    pruned = make(load(), registry, "smoke", Selection(methods=["undecaye[d]"], seeds=1))
    assert {trial.method for trial in pruned.trials} == {"undecayed"}
    others = make(load(), registry, "smoke", Selection(methods=["class-bal*"], seeds=1))
    assert {trial.method for trial in others.trials} == {"class-balanced"}
    with pytest.raises(UsageError, match=r"unknown method 'none\*'"):
        make(load(), registry, "smoke", Selection(methods=["none*"], seeds=1))


# --- settings: which source wins


@pytest.mark.parametrize("sources", list(itertools.product([False, True], repeat=3)))
def test_set_beats_override_beats_on_task_beats_parameters(planned, sources):
    on, override, assigned = sources
    stages = 'stages = [{ train = "erm" }, { prune = "magnitude", sparsity = "$s" }]\nparameters = { s = 0.1 }'
    text = with_method(stages + ("\non.one = { s = 0.2 }" if on else ""))
    if override:
        text = changed(
            ('rank_by = "accuracy"', 'rank_by = "accuracy"\noverride.odd = { parameters = { s = 0.3 } }'), text=text
        )
    plan = planned(text, assignments=["odd.s=0.4"] if assigned else [])
    strongest = 0.4 if assigned else 0.3 if override else 0.2 if on else 0.1
    assert {stage.inputs["cut"]["sparsity"] for stage in of_kind(plan, "prune")} == {strongest}
    assert {trial.settings["s"] for trial in plan.trials} == {strongest}


def test_a_setting_for_another_task_changes_nothing(planned):
    stages = 'stages = [{ train = "erm" }, { prune = "magnitude", sparsity = "$s" }]\nparameters = { s = 0.1 }'
    assert set(planned(with_method(stages)).stages) == set(
        planned(with_method(stages + "\non.two = { s = 0.2 }")).stages
    )


@pytest.mark.parametrize("layers", list(itertools.product([False, True], repeat=5)))
def test_a_recipe_is_layered_default_task_method_stage_override_set(planned, layers):
    task, method, stage, override, assigned = layers
    text = with_method(
        f'stages = [{{ train = "erm"{", recipe = { epochs = 13 }" if stage else ""} }}]'
        + ("\nrecipe = { epochs = 12, batch_size = 32 }" if method else "")
    )
    text = changed(("recipe = { epochs = 3 }", "recipe = { epochs = 11 }" if task else ""), text=text)
    if override:
        text = changed(
            ('rank_by = "accuracy"', 'rank_by = "accuracy"\noverride.odd = { recipe = { epochs = 14 } }'), text=text
        )
    plan = planned(text, assignments=["recipe.epochs=15"] if assigned else [])
    recipe = of_kind(plan, "train")[0].inputs["recipe"]
    strongest = (
        max(number for number, there in zip(range(11, 16), layers, strict=True) if there) if any(layers) else None
    )
    assert recipe["epochs"] == (strongest or Recipe().epochs)
    assert recipe["batch_size"] == (32 if method else Recipe().batch_size), "the other keys stay as they were"


def test_every_setting_says_where_it_came_from(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(TOML)
    catalogue = load(path)
    assigned = Assignments.parse(["recipe.lr=0.5"], catalogue)
    found = recipe_settings(catalogue, "probe", "one", "cut", {"recipe": {"epochs": 1}}, {}, assigned, 3)
    assert found["lr"] == Setting(0.5, "--set")
    assert found["epochs"].source == f"{path}: methods.cut.stages[3].recipe"
    assert found["batch_size"].source == "the default"


def test_a_swept_parameter_that_is_set_is_swept_no_more(planned):
    plan = planned(methods=["cut"], tasks=["one"], seeds=1, assignments=["cut.sparsity=0.7"])
    assert [(trial.row, trial.settings) for trial in plan.trials] == [("cut", {"sparsity": 0.7})]
    assert [stage.inputs["cut"]["sparsity"] for stage in of_kind(plan, "prune")] == [0.7]


def test_a_swept_parameter_that_is_set_to_a_list_is_swept_over_it(planned):
    plan = planned(methods=["cut"], tasks=["one"], seeds=1, assignments=["cut.sparsity=[0.1, 0.2, 0.3]"])
    assert [trial.swept["sparsity"] for trial in plan.trials] == [0.1, 0.2, 0.3]


def test_a_parameter_that_is_a_list_is_one_setting(planned):
    stages = 'stages = [{ train = "erm" }, { prune = "magnitude", sparsity = 0.5, layers = "$l" }]'
    plan = planned(
        with_method(stages + '\nparameters = { l = ["conv1"] }'), seeds=1, assignments=['odd.l=["conv1", "fc1"]']
    )
    assert [stage.inputs["cut"]["layers"] for stage in of_kind(plan, "prune")] == [["conv1", "fc1"]]


# --- mistakes


def pruned(rest):
    return with_method(f'stages = [{{ train = "erm" }}, {{ prune = "magnitude", {rest} }}]')


def trained(rest):
    return with_method(f'stages = [{{ train = "erm" }}]\n{rest}')


def overridden(rest):
    return changed(('rank_by = "accuracy"', f'rank_by = "accuracy"\noverride.cut = {{ {rest} }}'))


SECOND = "methods.odd.stages[2]"


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        (pruned("sparsity = 1.5"), [SECOND, "sparsity", "1.5"]),
        (pruned("density = -0.1"), [SECOND, "density", "-0.1"]),
        (pruned("sparsity = true"), [SECOND, "sparsity"]),
        (pruned('sparsity = "0.5"'), [SECOND, "sparsity"]),
        (pruned("sparsity = nan"), [SECOND, "sparsity"]),
        (pruned("sparsity = 0.5, density = 0.5"), [SECOND, "one of sparsity, density and removed"]),
        (pruned("sparsity = 0.5, layers = 3"), [SECOND, "layers"]),
        (pruned('sparsity = 0.5, layers = ["fc1", 3]'), [SECOND, "layers"]),
        (pruned('sparsity = 0.5, budget = "globl"'), [SECOND, "did you mean 'global'"]),
        (pruned('sparsity = 0.5, mask = "axiliary"'), [SECOND, "did you mean 'auxiliary'"]),
        (pruned("sparsity = 0.5, alpha = 3"), [SECOND, "pruner 'magnitude'", "'alpha'"]),
        (with_method('stages = [{ train = "emr" }]'), ["methods.odd.stages[1]", "did you mean 'erm'"]),
        (with_method('stages = [{ train = "erm", start = "int" }]'), ["stages[1]", "did you mean 'init'"]),
        (with_method('stages = [{ train = "erm", recipe = { lr = 0 } }]'), ["methods.odd.stages[1].recipe.lr"]),
        (trained('model = { use = "lenet_smal" }'), ["methods.odd.model", "'lenet_small'"]),
        (trained("dataset = { drws = 3 }"), ["methods.odd.dataset", "did you mean 'draws'"]),
        (trained("dataset = { draws = 65 }"), ["methods.odd.dataset", "from 1 to 64"]),
        (trained("dataset = { seed = -1 }"), ["methods.odd.dataset", "seed", "-1"]),
        (trained("recipe = { lr = 0 }"), ["methods.odd.recipe.lr"]),
        (changed(("width = 0.25", 'width = "wide"')), ["tasks.one.model", "'width'", "'wide'"]),
        (changed(('["accuracy"', '["acuracy", "accuracy"')), ["suites.probe.metrics", "did you mean 'accuracy'"]),
        (overridden("parameters = { sparsit = 0.1 }"), ["suites.probe.override.cut", "did you mean 'sparsity'"]),
        (overridden("sweep = { sparsit = [0.1] }"), ["suites.probe.override.cut", "did you mean 'sparsity'"]),
        (overridden("recipe = { epochs = 1.5 }"), ["suites.probe.override.cut.recipe.epochs", "1.5"]),
    ],
)
def test_a_mistake_in_the_tables_is_one_message_with_its_place(planned, text, fragments):
    with pytest.raises(UsageError) as caught:
        planned(text)
    missing = [fragment for fragment in ["own.toml", *fragments] if fragment not in str(caught.value)]
    assert not missing, str(caught.value)


def test_an_unknown_option_is_answered_with_the_nearest_one(planned, loose):
    text = with_method('stages = [{ train = "erm" }, { prune = "ours", sparsity = 0.5, alhpa = 3 }]')
    with pytest.raises(UsageError, match=r"methods\.odd\.stages\[2\].*'ours'.*'alhpa'; did you mean 'alpha'"):
        planned(text, registry=loose(ours=pruner("ours")))


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"methods": ["cutt"]}, "unknown method 'cutt'; did you mean 'cut'"),
        ({"tasks": ["oen"]}, "did you mean 'one'"),
        ({"seeds": 0}, "seed"),
        ({"seeds": [0, 0]}, "seed"),
        ({"seeds": [-1]}, "seed"),
        ({"device": "gpu"}, "device 'gpu'"),
        ({"assignments": ["cut.sparsity"]}, "method.parameter=value"),
        ({"assignments": ["sparsity=1"]}, "method.parameter=value"),
        ({"assignments": ["cut.sparsty=0.5"]}, "did you mean 'sparsity'"),
        ({"assignments": ["ctu.sparsity=0.5"]}, "did you mean 'cut'"),
        ({"assignments": ["recipe.epoch=1"]}, "did you mean 'epochs'"),
        ({"assignments": ["recipe.epochs=1.5"]}, "recipe.epochs"),
        ({"assignments": ["recipe.epochs=$x"]}, "no TOML value"),
        ({"assignments": ["recipe.optimizer=adam"]}, "no TOML value"),
        ({"assignments": ["recipe.epochs=1\nschema = 1"]}, "one value"),
        ({"assignments": ["cut.sparsity=[]"]}, "sparsity"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_message(planned, selection, message):
    with pytest.raises(UsageError) as caught:
        planned(**selection)
    assert message in str(caught.value)


def test_an_unknown_suite_is_answered_with_the_nearest_one(planned):
    with pytest.raises(UsageError, match="did you mean 'probe'"):
        planned(suite="prob")


def test_known_names_are_listed_once(planned):
    with pytest.raises(UsageError) as caught:
        planned(methods=["zzz"])
    known = str(caught.value).partition("known: ")[2].rstrip(")").split(", ")
    assert len(known) == len(set(known))


# --- size


def test_a_billion_trials_are_refused_with_their_arithmetic(planned):
    thousand = str([i / 1000 for i in range(1000)])
    text = with_method(
        'stages = [{ train = "erm", recipe = { lr = "$a", weight_decay = "$b", momentum = "$c" } }]\n'
        f"sweep = {{ a = {thousand}, b = {thousand}, c = {thousand} }}"
    )
    with pytest.raises(
        UsageError, match=r"1,000,000,000 rows.* x 2 seeds = 2,000,000,000 trials; the limit is 100,000"
    ):
        planned(text)


@pytest.mark.parametrize("number", [10**6, 10**12, 10**20])
def test_a_huge_number_of_seeds_is_refused(planned, number):
    with pytest.raises(UsageError, match="the limit is 100,000"):
        planned(seeds=number)
    with pytest.raises(UsageError, match="the limit is 100,000"):
        planned(changed(("seeds = 2", f"seeds = {number}")))


def test_a_grid_at_the_limit_is_not_refused_by_its_size(planned, monkeypatch):
    monkeypatch.setattr(planner, "MAX_TRIALS", 16)
    assert len(planned().trials) == 16
    monkeypatch.setattr(planner, "MAX_TRIALS", 15)
    with pytest.raises(UsageError, match=r"= 16 trials; the limit is 15"):
        planned()


# --- a broken plugin


def test_a_trial_of_a_broken_plugin_is_blocked_with_its_reason_and_the_rest_is_planned(planned, loose):
    text = changed(('prune = "magnitude"', 'prune = "ours"'))
    plan = planned(text, registry=loose(ours="raise RuntimeError('out of order')"))
    blocked = [trial for trial in plan.trials if trial.blocked]
    assert {trial.method for trial in blocked} == {"cut"}
    assert all("out of order" in trial.blocked for trial in blocked)
    assert all(trial.stages for trial in plan.trials if trial.method != "cut")
    assert len({trial.id for trial in plan.trials}) == len(plan.trials)


def test_nothing_is_computed_for_a_trial_that_cannot_run(planned, loose):
    of_its_own = '{ train = "erm", recipe = { epochs = 7 } },\n    { prune = "ours"'
    text = changed(('{ train = "erm" },\n    { prune = "magnitude"', of_its_own))
    plan = planned(text, registry=loose(ours="raise RuntimeError('out of order')"))
    wanted = {key for trial in plan.trials for key in trial.everything}
    wanted |= {planned.key for planned in plan.analyses if planned.key}
    assert any(trial.blocked for trial in plan.trials)
    assert set(plan.stages) == wanted
    assert all(parent in plan.stages for stage in plan.stages.values() for parent in stage.parents.values())
