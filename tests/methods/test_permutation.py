"""No method sees test, none without the right to sees group labels, and degenerate chains are what they degenerate to.

Every method of the published benchmarks.toml, found there by itself, is run through its own stages on toy data: once
as it is, and again with the test split replaced or the group labels of one split permuted.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor

from benchbias.engine.worker import run_stage
from benchbias.plan.trials import Plan, Selection, Trial
from benchbias.records.schema import TRACKS
from benchbias.runner.workspace import Workspace
from benchbias.store.store import Store
from benchbias.suite.catalogue import load, shipped_file
from benchbias.suite.tables import GROUP_SELECTIONS

OTHER_DATA = "erm-unbiased-spuco"  # a ceiling by an option that this data set has not
pytestmark = pytest.mark.slow

SHIPPED = {name: table for name, table in load(shipped_file()).methods.items() if name != OTHER_DATA}

DEGENERATE = {  # each is the method beside it
    "rest-at-one": "erm",
    "rest-unweighted": "rigl",
    "rigl-dense": "erm",
    "set-dense": "erm",
    "static-dense": "erm",
    "gradual-dense": "erm",
    "jtt-unweighted": "erm",
    "magnitude-none": "erm-ft",
    "undecayed-no-decay": "gradient",
    "mrm-full": "erm",
    "rigl-google-plain": "rigl",
    "rest-preset-plain": "rest",
}

TOML = """
schema = 1

[suites.permuted]
title = "Every published method, small"
version = "1"
tasks = ["colored-digits-tiny"]
methods = [{methods}]
seeds = 1
metrics = ["accuracy"]
rank_by = "accuracy"
{overrides}

[methods.rest-at-one]
stages = [{{ train = "rest", upweight = 1.0, prune = {{ use = "rigl", density = 1.0, budget = "erk", every = 3 }} }}]

[methods.rest-unweighted]
stages = [
    {{ train = "rest", upweight = 1.0, prune = {{ use = "rigl", density = {density}, budget = "erk", every = 3 }} }},
]

[methods.rigl-dense]
stages = [{{ train = "erm", prune = {{ use = "rigl", density = 1.0, budget = "erk", every = 3 }} }}]

[methods.set-dense]
stages = [{{ train = "erm", prune = {{ use = "set", density = 1.0, every = 3 }} }}]

[methods.static-dense]
stages = [{{ train = "erm", prune = {{ use = "static", density = 1.0 }} }}]

[methods.gradual-dense]
stages = [{{ train = "erm", prune = {{ use = "magnitude", sparsity = 0.0, ramp = "cubic", every = 3 }} }}]

[methods.jtt-unweighted]
stages = [{{ train = "erm" }}, {{ train = "jtt", start = "init", upweight = 1 }}]

[methods.magnitude-none]
stages = [{{ train = "erm" }}, {{ prune = "magnitude", sparsity = 0.0 }}, {{ train = "erm" }}]

[methods.mrm-full]
stages = [{{ train = "erm" }}, {{ prune = "mrm", alpha = 0.0, initial = 30.0 }}, {{ train = "erm", start = "init" }}]

[methods.rigl-google-plain]
stages = [
    {{ train = "erm", prune = {{ use = "rigl_google", noise = 0.0, density = {density}, budget = "erk", every = 3 }} }},
]

[methods.rest-preset-plain]
stages = [
    {{ train = "rest_preset", betas = "dcwp", prune = {rigl} }},
]

[methods.undecayed-no-decay]
stages = [
    {{ train = "erm" }},
    {{ prune = "undecayed", decay = 0.0, sparsity = {sparsity}, layers = "!head" }},
    {{ train = "erm" }},
]
"""

# 200 images, 26 steps: gradual magnitude's mask changes at step 20; the selection reads the validation split
RECIPE = (
    '{ epochs = 2, batch_size = 16, lr = 3e-3, optimizer = "adamw", augment = "shift", select = "val_worst_class" }'
)


def config() -> str:
    """The suite of all published methods, and the degenerate ones; of a sweep the first value."""
    lines = []
    for name in (*SHIPPED, *DEGENERATE):
        table = SHIPPED.get(name)
        parts = [f"recipe = {RECIPE}"]
        small = {"every": 3, "initial": 0.02} if table is not None else {}  # 26 steps move few logits from 1.5 to 0
        given = [f"{key} = {value}" for key, value in small.items() if table is not None and key in table.parameters]
        if given:
            parts.append(f"parameters = {{ {', '.join(given)} }}")
        if table is not None and table.sweep:
            parts.append(
                f"sweep = {{ {', '.join(f'{key} = [{values[0]!r}]' for key, values in table.sweep.items())} }}"
            )
        lines.append(f"override.{name} = {{ {', '.join(parts)} }}")
    methods = ", ".join(f'"{name}"' for name in (*SHIPPED, *DEGENERATE))
    density, sparsity = SHIPPED["rigl"].sweep["density"][0], SHIPPED["gradient"].sweep["sparsity"][0]
    rigl = f'{{ use = "rigl", density = {density}, budget = "erk", every = 3 }}'
    overrides = "\n".join(lines)
    return TOML.format(methods=methods, overrides=overrides, density=density, sparsity=sparsity, rigl=rigl)


Blobs = dict[str, dict[str, Tensor]]


class Watched(Store):
    """A store that notes which blobs each stage opens, by their digests."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.opened: dict[str, set[str]] = {}
        self.stage = ""

    def load_blob(self, sha256: str, names: tuple[str, ...] | None = None, **more: bool) -> dict[str, Tensor]:
        self.opened.setdefault(self.stage, set()).add(sha256)
        return super().load_blob(sha256, names, **more)


def without_test(blobs: Blobs) -> None:
    """Every split but train and val: other images, permuted labels, other groups."""
    for name in {name.removesuffix("-groups") for name in blobs} - {"train", "val"}:
        images, labels = blobs[name]["images"], blobs[name]["labels"]
        stream = torch.Generator().manual_seed(7)
        order = torch.randperm(len(labels), generator=stream)
        blobs[name] = {
            "images": torch.randint(0, 256, images.shape, generator=stream, dtype=torch.uint8),
            "labels": labels[order],
        }
        blobs[f"{name}-groups"] = {
            **blobs[f"{name}-groups"],
            "labels": labels[order],
            "attributes": 1 - blobs[f"{name}-groups"]["attributes"],
            "aligned": 1 - blobs[f"{name}-groups"]["aligned"],
        }


def permuted(split: str) -> Callable[[Blobs], None]:
    """Whose attribute is whose, permuted: labels and images stay."""

    def change(blobs: Blobs) -> None:
        found = blobs[f"{split}-groups"]
        order = torch.randperm(len(found["labels"]), generator=torch.Generator().manual_seed(7))
        changed = {name: found[name][order] for name in ("attributes", "aligned")}
        assert not torch.equal(changed["aligned"], found["aligned"])
        blobs[f"{split}-groups"] = {**found, **changed}

    return change


CHANGES: Mapping[str, Callable[[Blobs], None]] = {
    "test": without_test,
    "train-groups": permuted("train"),
    "val-groups": permuted("val"),
}


@pytest.fixture(scope="module", autouse=True)
def global_torch() -> Iterator[None]:
    """Stages set torch up for their own process: put everything back."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    flags = cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32
    states = random.getstate(), numpy.random.get_state(), torch.random.get_rng_state()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = flags
    random.setstate(states[0])
    numpy.random.set_state(states[1])
    torch.random.set_rng_state(states[2])


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    path = tmp_path_factory.mktemp("permuted") / "benchmarks.toml"
    path.write_text(config())
    return Workspace.open(path, quiet=True).plan("permuted", Selection(limit=200))


@pytest.fixture(scope="module")
def runs(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Watched]:
    """The store of the run as it is (""), or with one of CHANGES: what a stage makes is compared by its content."""
    made: dict[str, Watched] = {}

    def run(change: str) -> Watched:
        if change not in made:
            store = Watched(tmp_path_factory.mktemp("run") / "results")
            store.create()
            if change:
                _change_data(plan, run(""), store, CHANGES[change])
            payload: dict[str, Any] = {**plan.payload(), "recompute": False, "provenance": {}}
            for key, stage in plan.stages.items():  # parents before children
                if stage.kind in ("data", "init", "train", "prune"):
                    store.stage = key
                    code = run_stage(store, payload, key)
                    store.stage = ""
                    assert code == 0, (stage.label, store.attempts(key))
            made[change] = store
        return made[change]

    return run


def _change_data(plan: Plan, source: Store, target: Store, change: Callable[[Blobs], None]) -> None:
    """Put every data product, changed, under its own key."""
    for key, stage in plan.stages.items():
        if stage.kind == "data":
            product = source.get(key)
            assert product is not None
            blobs = {name: dict(source.load_blob(sha256)) for name, sha256 in product.blobs.items()}
            change(blobs)
            names = {name: target.put_blob(tensors) for name, tensors in blobs.items()}
            assert names != dict(product.blobs)
            target.put(key, stage.inputs, product.body, names)


def products(plan: Plan, trial: Trial, store: Store) -> list[tuple[str, dict[str, str]]]:
    """What the stages of a trial that learn have made, as digests of their bytes: weights, masks, saved tensors."""
    found = []
    for key in trial.stages:
        if plan.stages[key].kind in ("init", "train", "prune"):
            product = store.get(key)
            assert product is not None
            found.append((plan.stages[key].label, dict(product.blobs)))
    return found


def trial_of(plan: Plan, name: str) -> Trial:
    found = [trial for trial in plan.trials if trial.method == name]
    assert len(found) == 1
    assert found[0].blocked is None
    return found[0]


def last(plan: Plan, trial: Trial, store: Store) -> dict[str, str]:
    """What the trial's last train stage has made."""
    return products(plan, trial, store)[-1][1]


@pytest.mark.parametrize("name", SHIPPED)
def test_nothing_that_learns_sees_the_test_split(plan: Plan, runs: Callable[[str], Watched], name: str):
    trial = trial_of(plan, name)
    assert products(plan, trial, runs("test")) == products(plan, trial, runs(""))


@pytest.mark.parametrize("name", SHIPPED)
def test_of_the_data_a_stage_that_learns_opens_train_val_and_the_group_labels_that_it_declares(
    plan: Plan, runs: Callable[[str], Watched], name: str
):
    store = runs("")
    for key in trial_of(plan, name).stages:
        stage = plan.stages[key]
        if stage.kind not in ("init", "train", "prune"):
            continue
        product = store.get(stage.inputs["parents"]["data"])
        assert product is not None
        calls = [stage.inputs["component"], stage.inputs.get("prune", {}).get("component", {})]
        allowed = {group.replace("_", "-") for call in calls for group in call.get("groups", ())}
        if stage.inputs.get("recipe", {}).get("select") in GROUP_SELECTIONS:
            allowed.add("val-groups")
        opened = {blob for blob, sha256 in product.blobs.items() if sha256 in store.opened.get(key, ())}
        assert opened == (allowed | {"train", "val"} if stage.kind != "init" else set())


@pytest.mark.parametrize("name", SHIPPED)
def test_the_group_labels_of_training_matter_on_the_track_train_alone(
    plan: Plan, runs: Callable[[str], Watched], name: str
):
    trial = trial_of(plan, name)
    equal = products(plan, trial, runs("train-groups")) == products(plan, trial, runs(""))
    assert equal == (trial.track != "train")
    if not equal:
        assert last(plan, trial, runs("train-groups"))["weights"] != last(plan, trial, runs(""))["weights"]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_group_labels_of_validation_matter_on_no_track_without_them(
    plan: Plan, runs: Callable[[str], Watched], name: str
):
    trial = trial_of(plan, name)
    uses = any(
        stage.inputs.get("recipe", {}).get("select") in GROUP_SELECTIONS
        or "val_groups" in stage.inputs["component"].get("groups", ())
        for stage in (plan.stages[key] for key in trial.stages if plan.stages[key].kind in ("train", "prune"))
    )
    assert uses <= (TRACKS.index(trial.track) >= TRACKS.index("val-select"))
    equal = products(plan, trial, runs("val-groups")) == products(plan, trial, runs(""))
    assert equal or uses
    # balance = "classes" may not look at the groups that it is given
    assert not equal or trial.track != "val-fit" or name == "dfr-classes"


def test_masks_that_should_change_have_changed(plan: Plan, runs: Callable[[str], Watched]):
    """Else the runs above would say little of the methods that change masks while they train."""
    for name in ("gradual-magnitude", "set", "rigl", "rest", "rigl-google", "rest-release"):
        key = [key for key in trial_of(plan, name).stages if plan.stages[key].kind == "train"][-1]
        product = runs("").get(key)
        assert product is not None
        assert product.body["mask_updates"] > 0
    for name in ("mrm", "mrm-double-sigmoid", "mrm-bounded-penalty", "mrm-dcwp"):
        key = next(key for key in trial_of(plan, name).stages if plan.stages[key].kind == "prune")
        product = runs("").get(key)
        assert product is not None
        assert 0 < sum(product.body["kept"].values()) < sum(product.body["total"].values())


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_chains(plan: Plan, runs: Callable[[str], Watched], name: str):
    one, other = (last(plan, trial_of(plan, method), runs("")) for method in (name, DEGENERATE[name]))
    assert one["weights"] == other["weights"]
    if name in ("rest-unweighted", "undecayed-no-decay", "rigl-google-plain", "rest-preset-plain"):
        assert one.get("mask") == other.get("mask")
    elif "mask" in one:
        key = [key for key in trial_of(plan, name).stages if plan.stages[key].kind == "train"][-1]
        product = runs("").get(key)
        assert product is not None
        assert all(bool(tensor.all()) for tensor in runs("").load_blob(product.blobs["mask"]).values())
