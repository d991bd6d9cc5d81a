"""Without our extras: everything of README works, and what needs an extra says in one line what to install."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchbias import Table
from benchbias.errors import UsageError
from benchbias.runner.workspace import Workspace
from benchbias.suite import catalogue
from benchbias.util import packages
from support import ROOT
from support.bare import Run, bare_environment, runner

pytestmark = pytest.mark.slow

PUBLISHED = ("--records", str(ROOT / "leaderboard"))

INSTALL = {extra: f"pip install 'benchbias[{extra}]'" for extra in packages.EXTRAS}
NO_FIGURE = f"a figure needs matplotlib, which is not here: {INSTALL['figures']}"
NO_FRAME = f"a DataFrame needs pandas, which is not here: {INSTALL['frames']}"
NO_FAIRNESS = f"analysis 'fairness' needs fairlearn, which is not here: {INSTALL['fairness']}"
NO_PRUNING = f"pruner 'torch_pruning' needs torch-pruning, which is not here: {INSTALL['pruning']}"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare_environment(tmp_path_factory.mktemp("bare") / "venv")


@pytest.fixture(scope="module")
def bare(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = runner(python, tmp_path_factory.mktemp("cache"))
    assert run("ls", "plugins").stderr == "reading plugins for the first time ...\n"
    return run


@pytest.fixture(scope="module")
def results(bare: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole smoke run without extras."""
    out = tmp_path_factory.mktemp("results") / "results"
    done = bare("run", "-s", "smoke", "-o", str(out), "-q")
    assert (done.returncode, done.stderr) == (0, "")
    return out


@pytest.mark.parametrize("module", ["matplotlib", "pandas", "torch_pruning", "fairlearn"])
def test_the_bare_environment_has_no_extra_and_all_else(bare: Run, module: str):
    assert "ModuleNotFoundError" in bare("-c", f"import {module}", module="").stderr
    done = bare("-c", "import importlib.metadata as m; m.version('torch'); import pluggy, numpy", module="")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_gives_the_same_products_and_board(results: Path, smoke: Path):
    one, other = ({path.name for path in (out / "objects").glob("*/*")} for out in (results, smoke))
    assert one == other
    assert (results / "leaderboards/smoke.md").read_bytes() == (smoke / "leaderboards/smoke.md").read_bytes()


@pytest.mark.parametrize(
    "command",
    [
        ("ls", "suites"),
        ("ls", "components"),
        ("ls", "plugins"),
        ("show", "smoke"),
        ("show", "torch-pruning-taylor"),
        ("status", "-s", "smoke"),
        ("leaderboard", "smoke"),
        ("compare", "erm", "erm-ft", "-s", "smoke"),
        ("analyse", "smoke", "twin_changes", "--to", "table.md"),
        ("analyse", "smoke", "twin_changes", "--to", "table.json"),
        ("leaderboard", "equal-fit", *PUBLISHED),
        ("analyse", "equal-fit", "fairness", *PUBLISHED),
        ("claims", *PUBLISHED),
    ],
    ids=" ".join,
)
def test_what_needs_no_extra_works(bare: Run, results: Path, command: tuple[str, ...]):
    takes_out = command[0] in ("status", "leaderboard", "compare", "analyse") and "--records" not in command
    done = bare(*command, *(("-o", str(results)) if takes_out else ()), cwd=results.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("show", "smoke", "--plot", "figure.svg"), NO_FIGURE),
        (("show", "spurious-small", "--plot", "figure.png", *PUBLISHED), NO_FIGURE),
        (("analyse", "smoke", "twin_changes", "--to", "table.csv"), NO_FRAME.replace("DataFrame", ".csv file")),
        (("analyse", "smoke", "twin_changes", "--to", "t.parquet"), NO_FRAME.replace("DataFrame", ".parquet file")),
        (("analyse", "smoke", "fairness"), NO_FAIRNESS),
        (("run", "-s", "smoke", "-m", "torch-pruning-taylor"), NO_PRUNING),
        (("run", "-s", "smoke", "-m", "torch_pruning"), NO_PRUNING),
        (("check", "torch_pruning"), NO_PRUNING),
        (("check", "benchbias_plugins.methods.torch_pruning_"), NO_PRUNING),
        (("check", "fairness"), NO_FAIRNESS),
    ],
    ids=lambda value: " ".join(value[:4]) if isinstance(value, tuple) else "",
)
def test_what_needs_an_extra_says_so_in_one_line(bare: Run, results: Path, command: tuple[str, ...], told: str):
    before = {path.name for path in results.parent.iterdir()}
    takes_out = command[0] in ("run", "analyse") or command[:2] == ("show", "smoke")
    done = bare(*command, *(("-o", str(results)) if takes_out else ()), cwd=results.parent)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"benchbias: {told}\n")
    assert {path.name for path in results.parent.iterdir()} == before, "nothing was written"


def test_frames_say_so_from_python(bare: Run, results: Path):
    code = f"import benchbias\nmade = benchbias.load_results('smoke', out={str(results)!r})\n"
    code += "table = benchbias.Table({'name': ('text', '', ('one',))}, 'One.')\n"
    code += "for frame in (made.to_frame, table.to_frame):\n"
    code += "    try: frame()\n    except benchbias.BenchbiasError as error: print(error)\n"
    done = bare("-c", code, module="")
    assert (done.stdout, done.stderr) == (f"{NO_FRAME}\n" * 2, "")


def test_a_method_beside_others_is_a_failed_row_that_says_so(bare: Run, results: Path, tmp_path: Path):
    options = ("-s", "smoke", "-m", "erm", "-m", "torch-pruning-taylor", "--seeds", "1", "-o", str(tmp_path / "out"))
    done = bare("run", *options, cwd=tmp_path)
    assert done.returncode == 1
    assert f"\ncannot run: {NO_PRUNING}\n" in done.stderr
    assert "torch-pruning-taylor" in done.stdout.split("## Not scored")[1]
    state = bare("status", *options, cwd=tmp_path)
    assert state.stdout.startswith(f"suite smoke in {tmp_path / 'out'}: 1 done, 1 failed")
    assert f"plan: {NO_PRUNING}" in state.stdout
    assert f"cannot run: colored-digits-tiny/torch-pruning-taylor[sparsity=0.5]: {NO_PRUNING}" in (
        bare("plan", *options, cwd=tmp_path).stdout
    )


def test_an_analysis_of_a_suite_is_named_where_its_table_would_stand(bare: Run, results: Path, tmp_path: Path):
    (tmp_path / "own.toml").write_text(
        'schema = 1\n[suites.mine]\ntitle = "Mine"\nversion = "1"\ntasks = ["colored-digits-tiny"]\n'
        'methods = ["erm", "jtt"]\nseeds = 1\nmetrics = ["accuracy"]\nrank_by = "accuracy"\n'
        'analyses = ["fairness", "twin_changes"]\n'
    )
    options = ("-s", "mine", "--config", str(tmp_path / "own.toml"), "-o", str(results))
    done = bare("run", *options)
    assert (done.returncode, f"cannot run: {NO_FAIRNESS}" in done.stderr) == (1, True)
    board = (results / "leaderboards/details/mine.md").read_text()
    assert "### colored-digits-tiny: twin\\_changes" in board
    told = NO_FAIRNESS.partition(":")[0]
    assert f"- colored-digits-tiny/fairness: failed: plan: {told}" in board
    assert f"analysis failed  colored-digits-tiny/fairness  plan: {NO_FAIRNESS}" in bare("status", *options).stdout


def test_a_check_of_several_skips_the_one_that_lacks_a_package(bare: Run):
    done = bare("check", "benchbias_plugins.analyses.against_the_twin", "--json", "--only", "signature")
    assert done.returncode == 0, done.stderr
    found = {result["component"]: result for result in json.loads(done.stdout)["results"]}
    assert {name: result["status"] for name, result in found.items()} == {
        **dict.fromkeys(("breaking_sparsity", "disparity_slope", "twin_changes"), "ok"),
        "fairness": "skipped",
    }
    assert found["fairness"]["found"] == NO_FAIRNESS


def test_doctor_lists_the_extras(bare: Run, cli, tmp_path: Path):
    for run, told in ((bare, "{package} not installed: {install}"), (cli, "{package} {version}")):
        done = run("doctor", "--json", "-o", str(tmp_path / "none"))
        assert (done.returncode, done.stderr) == (0, "")
        found = {line["about"]: line for line in json.loads(done.stdout)}
        for extra, package in packages.EXTRAS.items():
            values = {"package": package, "install": INSTALL[extra], "version": packages.version_of(package)}
            assert found[f"extra {extra}"]["found"] == told.format(**values)
            assert not found[f"extra {extra}"]["problem"], "an extra is no need"


def test_show_tells_what_a_component_uses(bare: Run, cli):
    assert f"\n  uses torch-pruning: not here: {INSTALL['pruning']}\n" in bare("show", "torch_pruning").stdout
    version = packages.version_of("torch-pruning")
    assert f"\n  uses torch-pruning: {version}\n" in cli("show", "torch_pruning").stdout


def test_suites_that_need_an_extra_say_it_on_their_pages_and_no_other_suite_does(bare: Run):
    names = sorted(catalogue.load(catalogue.shipped_file()).suites)
    code = "from benchbias.runner.workspace import Workspace\nfrom benchbias.cli.lacking import blocked_reasons\n"
    code += "workspace = Workspace.open(None, quiet=True)\n"
    code += f"for name in {names!r}: print(name, *blocked_reasons(workspace.plan(name)), sep='|')"
    done = bare("-c", code, module="")
    found = {line.split("|")[0]: line.split("|")[1:] for line in done.stdout.splitlines()}
    assert list(found) == names, done.stderr
    assert {name: reasons for name, reasons in found.items() if reasons} == {"equal-fit": [NO_FAIRNESS]}
    assert "benchbias[fairness]" in (ROOT / "docs/suites/equal-fit.md").read_text()


def test_with_the_extras_no_shipped_suite_lacks_anything():
    workspace = Workspace.open(catalogue.shipped_file(), quiet=True)
    assert [component.name for component in workspace.registry.components.values() if component.lacks] == []


def test_an_extra_that_is_there_and_broken_is_told_apart_from_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pandas", None)  # its import raises
    with pytest.raises(UsageError, match=r"^a DataFrame needs pandas, which is broken here \(.*\): pip install 'bench"):
        Table({"name": ("text", "", ("one",))}, "One.").to_frame()
