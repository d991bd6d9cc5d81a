"""`benchbias new` writes a distribution that works from the first minute, for every kind of component."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from benchbias.cli.scaffold import new
from benchbias.errors import StorageError, UsageError
from benchbias.plugin.components import GIVEN
from benchbias.testing.checking import check
from benchbias.testing.finding import find
from support.imports import foreign
from support.running import outcomes_of

FILES = {"pyproject.toml", "README.md", ".gitignore", ".github/workflows/ci.yml"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, plugin_cache: Path) -> dict[str, Path]:
    """A distribution of every kind: kind -> its folder."""
    top = tmp_path_factory.mktemp("new")
    for kind in GIVEN:
        new(kind, f"my_{kind}", top / kind)
    return {kind: top / kind for kind in GIVEN}


def run(*command: str, cwd: Path, paths: list[Path]) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([*map(str, paths), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    env = {**os.environ, "PYTHONPATH": path}
    return subprocess.run([sys.executable, *command], cwd=cwd, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", GIVEN)
def test_every_file_is_there_and_filled_in(made: dict[str, Path], kind: str):
    written = {
        str(p.relative_to(made[kind])) for p in made[kind].rglob("*") if p.is_file() and "__pycache__" not in p.parts
    }
    assert written == FILES | {f"benchbias_my_{kind}.py", f"tests/test_benchbias_my_{kind}.py"}
    for name in written:
        text = (made[kind] / name).read_text()
        assert not any(f"@{word}@" in text for word in ("NAME", "KIND", "MODULE", "DISTRIBUTION", "USE")), name
    table = tomllib.loads((made[kind] / "pyproject.toml").read_text())["project"]
    assert table["name"] == f"benchbias-my-{kind}"
    assert table["entry-points"]["benchbias"] == {f"my_{kind}": f"benchbias_my_{kind}"}
    for path in made[kind].rglob("*.py"):
        assert not foreign(path), "a plugin imports public names only"


def test_every_one_is_green_when_it_is_checked(made: dict[str, Path]):
    targets = [target for kind in GIVEN for target in find(str(made[kind]))]
    results = check(targets, {}, [])
    assert {result.kind for result in results} == set(GIVEN)
    assert {result.component for result in results} == {f"my_{kind}" for kind in GIVEN}
    wrong = [result for result in results if result.status == "failed"]
    assert not wrong
    ran = {kind: sum(one.status == "ok" for one in results if one.kind == kind) for kind in GIVEN}
    assert min(ran.values()) >= 2, "signature and documentation at least"
    assert all(ran[kind] > 6 for kind in ("pruner", "trainer", "dataset", "model", "metric"))


@pytest.mark.slow
def test_its_own_tests_pass_and_fail_where_the_plugin_is_broken(
    made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """All kinds, and with them a pruner whose arithmetic is broken: one test fails, of that one."""
    new("pruner", "broken", tmp_path / "broken")
    module = tmp_path / "broken/benchbias_broken.py"
    text = module.read_text()
    assert "size.mean()" in text
    module.write_text(text.replace("size.mean()", "size.std()"))
    folders = [*made.values(), tmp_path / "broken"]
    for folder in folders:  # instead of installing them
        monkeypatch.syspath_prepend(folder)
    found = outcomes_of(*(folder / "tests" for folder in folders))
    wrong = [name for name, outcome in found.items() if outcome == "failed"]
    assert wrong == ["test_broken_keeps_its_contract[pruner-broken-one_weight]"]
    assert all(f"test_my_{kind}_keeps_its_contract[{kind}-my_{kind}-signature]" in found for kind in GIVEN)


@pytest.fixture(scope="module")
def wheel(made: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = run("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=made["pruner"], paths=[])
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_its_wheel_holds_the_module_and_nothing_else(wheel: Path):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == {"benchbias_my_pruner.py"}


def test_once_installed_it_is_planned_and_found_by_its_name(made: dict[str, Path], wheel: Path, tmp_path: Path):
    """The README's command, planned. Unpacked on the path, a wheel is installed as far as entry points go."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    readme = (made["pruner"] / "README.md").read_text()
    (command,) = [line for line in readme.splitlines() if line.startswith("benchbias run")]
    done = run("-m", "benchbias", "plan", *command.split()[2:], "--json", cwd=tmp_path, paths=[site])
    assert done.returncode == 0, done.stderr
    code = "from benchbias.testing.finding import find; print(find('benchbias-my-pruner')[0].ref.module)"
    assert run("-c", code, cwd=tmp_path, paths=[site]).stdout.strip() == "benchbias_my_pruner"


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        ("pruner", "My-Pruner", "lower-case letters.*did you mean 'my_pruner'"),
        ("pruner", "9lives", "begins with a letter.*did you mean 'my_9lives'"),
        ("pruner", "class", "is no keyword.*did you mean 'my_class'"),
        ("pruner", "", "begins with a letter.*did you mean 'my_pruner'"),
        ("pruner", "-", "begins with a letter.*did you mean 'my_pruner'"),
        ("pruner", "x" * 60, "did you mean 'x{30}'"),
        ("pruner", "magnitude", "there is a pruner 'magnitude' already"),
        ("pruner", "erm", "a shipped method is called 'erm'"),
        ("pruner", "plugins", "a module benchbias_plugins is installed already"),
        ("prunner", "mine", "did you mean 'pruner'"),
    ],
)
def test_bad_names_are_refused_and_nothing_is_written(tmp_path: Path, kind: str, name: str, told: str):
    with pytest.raises(UsageError, match=told):
        new(kind, name, tmp_path / "made")
    assert not list(tmp_path.iterdir())


def test_half_of_a_distribution_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(path: Path, *arguments: object, **named: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(StorageError, match="No space left"):
            new("pruner", "mine", tmp_path / "made")
    assert new("pruner", "mine", tmp_path / "made")


def test_the_command_names_its_files_and_never_writes_over_a_folder(cli, tmp_path: Path):
    done = cli("new", "metric", "surprise", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = done.stdout.split()
    assert "benchbias-surprise/benchbias_surprise.py" in written
    assert all((tmp_path / name).is_file() for name in written)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    again = cli("new", "metric", "surprise", cwd=tmp_path)
    assert (again.returncode, len(again.stderr.splitlines())) == (2, 1)
    assert "benchbias-surprise exists; nothing was written" in again.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
