"""The suites of the papers' own experiments: each is planned whole, and runs in the size of a smoke test.

Data sets that cannot be had freely are small folders in their layouts; MNIST and CIFAR-10 are the real ones.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from benchbias import run
from benchbias.board.comparing import difference, row_of_task
from benchbias.board.row_trials import trials_of
from benchbias.board.text import gap_text
from benchbias.runner.publishing import published_records
from benchbias.runner.workspace import Workspace
from benchbias.suite.catalogue import load, shipped_file
from benchbias.suite.tables import seed_list
from support import ROOT
from support import photograph_folders as folders
from support.tiers import tiered

PUBLIC = Path(os.environ.get("BENCHBIAS_DATA", "data")).absolute()
HERE = (PUBLIC / "ylecun/mnist").is_dir() and (PUBLIC / "uoft-cs/cifar10").is_dir()
SWEPT = [
    *(f"rest-{kind}.density=0.05" for kind in ("code", "paper", "repaired")),
    *(f"rigl-{kind}.density=0.05" for kind in ("code", "paper", "repaired")),
]
EVERY = [f"{name}.every=1" for name in ("rest-code", "rest-paper", "rest-repaired", "rigl-code", "rigl-repaired")]
CRITICAL = ["recipe.epochs=2", "recipe.keep_epochs=[1]", "critical-magnitude.count=1", "critical-gradient.count=1"]
CRITICAL += ["critical-magnitude-control.count=1", "critical-gradient-control.count=1"]
RECALL = [f"recall-{name}.sparsity=0.9" for name in ("magnitude", "gradient", "undecayed", "random")]
LENGTHS = ["dense-length.epochs=1", "rigl-length.epochs=1", "static-length.epochs=1", "small-length-narrow.epochs=1"]
RIGL = [f"{name}.density=0.2" for name in ("rigl-published", "rigl-published-x2", "rigl-cifar10", "set-cifar10")]
NARROWER = """schema = 1
[tasks.waterbirds]
dataset = { use = "waterbirds", partial = true, size = 32 }
model = { use = "resnet18", width = 0.1 }
[tasks.celeba]
dataset = { use = "celeba", seed = 0, partial = true, size = 32 }
model = { use = "resnet18", width = 0.1 }
[tasks.bffhq-128]
dataset = { use = "bffhq_128", seed = 0, partial = true }
model = { use = "resnet18", width = 0.1 }
[tasks.dominoes-resnet18]
dataset = { use = "dominoes", conflict_ratio = 0.05 }
model = { use = "lenet", width = 0.5 }
[tasks.cifar10-resnet20]
dataset = { use = "cifar10", seed = 0, val = 1000 }
model = { use = "resnet20", width = 0.25 }
[tasks.corrupted-cifar10-5]
dataset = { use = "corrupted_cifar10", conflict_ratio = 0.05 }
model = { use = "resnet18", width = 0.1 }
[tasks.cifar10-wrn]
dataset = { use = "cifar10", seed = 0, val = 1000, corruptions = ["gaussian-noise", "fog"], severities = [5] }
model = { use = "wide_resnet22_2", width = 0.1 }
predict = ["test-gaussian-noise-5", "test-fog-5"]
"""
SMOKE = {  # suite: (tasks, seeds, images, assignments)
    "ucla-large": (
        None,
        1,
        64,
        ["recipe.epochs=1", "layers-jtt-published.layers='conv1'", "layers-jtt-published.sparsity=0.9"],
    ),
    "ucla-small": (None, 1, 64, ["recipe.epochs=1", "layers-jtt-published.layers='!head'"]),
    "rest-table2": (["corrupted-cifar10-5"], 1, 64, ["recipe.epochs=1", *SWEPT, *EVERY[:3]]),
    "rest-table3": (["colored-mnist-rest-0.5"], 1, 64, ["recipe.epochs=1", *SWEPT]),
    "rest-table2-short": (["colored-mnist-rest-5-short"], 1, 64, ["recipe.epochs=1"]),
    "rest-bffhq": (None, 1, 16, ["recipe.epochs=1", *SWEPT]),
    "density-sweep": (["colored-mnist-rest-2"], 1, 16, ["recipe.epochs=1", "rest-code.density=0.0005"]),
    "recall-distortion-cifar10": (
        ["cifar10-resnet20"],
        3,
        64,
        ["recipe.epochs=1", "recall-dense-short.epochs=1", *RECALL],
    ),
    "selective-damage-cifar10": (None, 4, 32, ["recipe.epochs=1", "gradual-magnitude-cifar10.sparsity=0.9"]),
    "rigl-cifar10": (None, 1, 32, ["recipe.epochs=1", *RIGL, "static-cifar10.density=0.2"]),
    "silent-majority": (["celeba"], 1, 16, CRITICAL),
    "silent-majority-dominoes": (None, 1, 64, CRITICAL),
    "dominoes": (["dominoes-5"], 1, 400, ["recipe.epochs=1"]),
    "equal-fit-dominoes": (None, 1, 64, LENGTHS),
    "equal-fit-colored-mnist": (["colored-mnist-5"], 1, 1000, ["recipe.epochs=1", *LENGTHS]),
}
NOT_FREE = ("silent-majority", "rest-bffhq")
QUICK = ("rest-bffhq",)  # of all, the one that is tried each time


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open(data=tmp_path_factory.mktemp("no-data"), quiet=True, offline=True)


@pytest.mark.parametrize("name", tiered(("colored-mnist", *SMOKE), slow=("recall-distortion-cifar10",)))
def test_the_suite_is_planned_whole_without_its_data(name: str, workspace: Workspace):
    table = workspace.catalogue.suites[name]
    made = workspace.plan(name)
    seeds = len(seed_list(table.seeds, name))
    assert {trial.task for trial in made.trials} == set(table.tasks)
    assert {trial.method for trial in made.trials} == set(table.methods)
    assert len(made.trials) % seeds == 0


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder: public data, if there are any, and small folders in the layouts of the others."""
    root = tmp_path / "data"
    root.mkdir()
    for owner in ("ylecun", "uoft-cs"):
        if (PUBLIC / owner).is_dir():
            (root / owner).symlink_to(PUBLIC / owner)
    folders.write_birds(root / "waterbird_complete95_forest2water2")
    folders.write_faces(root / "celeba", text=True)
    folders.write_heads(root / "bffhq")
    return root


@pytest.mark.parametrize("name", tiered(SMOKE, quick=QUICK))
def test_the_suite_runs_in_the_size_of_a_smoke_test(name: str, data: Path, tmp_path: Path):
    if not HERE and name not in NOT_FREE:
        pytest.skip(f"MNIST or CIFAR-10 is not in {PUBLIC} (BENCHBIAS_DATA says where to look)")
    tasks, seeds, limit, assignments = SMOKE[name]
    config = tmp_path / "narrower.toml"
    config.write_text(NARROWER)
    shipped = load(shipped_file()).suites[name].methods
    fitting = [text for text in assignments if text.partition(".")[0] in ("recipe", *shipped)]
    results = run(
        name,
        tasks=tasks,
        seeds=seeds,
        limit=limit,
        assignments=fitting,
        out=tmp_path / "out",
        config=config,
        data_dir=data,
        offline=True,
    )
    failed = {one.name: one.body.get("reason") for one in results.analyses if one.table is None}
    assert not failed
    assert results.exit_code == 0, results.text
    assert {record.body["method"] for record in results.records} == set(shipped)
    assert all(record.body["status"] == "ok" for record in results.records)


@pytest.mark.slow
def test_the_differences_of_the_ucla_page_are_those_of_its_records():
    rows = trials_of(*published_records("ucla-large", ROOT / "leaderboard"))
    whole = row_of_task(rows, "spuco-mnist-large", "jtt-published")
    page = (ROOT / "docs/suites/ucla-large.md").read_text()
    (levels,) = re.findall(r"^\| layers pruned \| (.*) \|$", page, re.MULTILINE)
    lines = re.findall(r"^\| ([^|]+), (worst group|conflicting) \| (.*) \|$", page, re.MULTILINE)
    assert len(lines) == 10
    for layer, metric, cells in lines:
        layers = layer.replace("all but the head", "!head")
        for level, cell in zip(levels.split(" | "), cells.split(" | "), strict=True):
            name = f"layers-jtt-published[layers={layers}, sparsity={level}]"
            pruned = row_of_task(rows, "spuco-mnist-large", name)
            seeds = sorted(whole.records)
            measured = [row.measured(f"{metric.replace(' ', '_')}_accuracy", seeds) for row in (pruned, whole)]
            assert gap_text(difference(*measured)) == cell, (name, metric)
