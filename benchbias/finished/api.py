"""Exports from Python: `benchbias.export` does the same as `benchbias export`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchbias.errors import StorageError, UsageError
from benchbias.finished.asking import ask
from benchbias.plan.finding import row_trial
from benchbias.plan.trials import Plan, Selection, Trial
from benchbias.runner.api import opened_workspace, several
from benchbias.runner.failures import not_done
from benchbias.store.store import FOLDERS, Store
from benchbias.util.files import told

if TYPE_CHECKING:
    from torch import nn

SUFFIXES = (".safetensors", ".pt2", ".onnx")


@dataclass(frozen=True)
class Exported:
    """A file that was written and read again.

    bytes: its size. difference: the largest of a logit from the stored one, over `examples` images; 0: to the last
    bit. description: what stands in the file. slimmed: what was cut, as text; None where that was not asked for. left:
    a line for each layer with removed units that could not be cut out.
    """

    file: Path
    bytes: int
    difference: float
    examples: int
    description: Mapping[str, Any]
    slimmed: str | None
    left: tuple[str, ...]


def export(
    suite: str,
    file: str | Path,
    *,
    method: str,
    seed: int,
    task: str | None = None,
    slim: bool = False,
    out: str | Path = "results",
    config: str | Path | None = None,
    plugins: str | Path | Sequence[str | Path] = (),
    assignments: str | Sequence[str] = (),
    limit: int | None = None,
    device: str = "cpu",
    stack: int | None = None,
    data_dir: str | Path | None = None,
) -> Exported:
    """Write the finished network of a trial to FILE.safetensors, .pt2 or .onnx, with its mask applied.

    method: a method, or `method[name=value]`. task: may be left out where there is one. slim: cut removed units out.
    The other arguments are those of `load_results`. The file is read again and must give the stored answers of the
    trial; else it is not left there. Raises BenchbiasError.
    """
    _check_types(dict(locals()))
    workspace = opened_workspace(config, plugins, data_dir)
    name = method.partition("[")[0]
    stacked = workspace.catalogue.suite(suite).population if stack is None else stack > 1
    seeds = None if stacked else [seed]  # in a stack the suite's other seeds decide with which one is trained
    plan = workspace.plan(suite, Selection([name], None, seeds, several(assignments) or (), limit, device, stack=stack))
    trial = row_trial(plan, method, seed, task, "export")
    return export_trial(workspace.worker_settings, plan, trial, Path(file), Path(out), slim=slim)


PATHS, TEXT, WHOLE, NONE = (str, Path), (str,), (int,), (type(None),)
KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "suite": (TEXT, "a name"),
    "file": (PATHS, "a path"),
    "method": (TEXT, "a name"),
    "seed": (WHOLE, "a whole number"),
    "task": (TEXT + NONE, "a name"),
    "slim": ((bool,), "True or False"),
    "out": (PATHS, "a path"),
    "config": (PATHS + NONE, "a path"),
    "limit": (WHOLE + NONE, "a whole number"),
    "device": (TEXT, "a name"),
    "stack": (WHOLE + NONE, "a whole number"),
    "data_dir": (PATHS + NONE, "a path"),
}


def _check_types(given: Mapping[str, object]) -> None:
    """Refuse arguments of other types. Raises UsageError."""
    for name, (kinds, wanted) in KINDS.items():
        value = given[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise UsageError(f"export: {name} is {wanted}, not {value!r:.80}")
    for name, each, wanted in (("plugins", PATHS, "paths"), ("assignments", TEXT, "texts METHOD.OPTION=VALUE")):
        value = given[name]
        several = [value] if isinstance(value, each) else value
        if not isinstance(several, Sequence) or not all(isinstance(one, each) for one in several):
            raise UsageError(f"export: {name} are {wanted}, not {value!r:.80}")


def export_trial(
    settings: Mapping[str, str], plan: Plan, trial: Trial, file: Path, out: Path, *, slim: bool
) -> Exported:
    """Write the finished network of a planned trial to a file. Raises BenchbiasError.

    settings: environment variables of the workspace's workers. out: the results folder.
    """
    if file.suffix not in SUFFIXES:
        raise UsageError(f"{file}: a network is written to a file that ends in {', '.join(SUFFIXES)}")
    _check_place(file, out)
    if trial.blocked or not trial.stages or not Store(out).has(trial.stages[-1]):
        raise UsageError(not_done(plan, trial, out))
    given = {"file": str(file.absolute()), "slim": slim}
    found = ask("export", plan, [trial], out.absolute(), settings, given)
    return Exported(
        file,
        found["bytes"],
        found["difference"],
        found["examples"],
        found["description"],
        found["slimmed"],
        tuple(found["left"]),
    )


def _check_place(file: Path, out: Path) -> None:
    """Refuse a place where no file can be, or where the results folder has its own. Raises UsageError, StorageError."""
    if not str(file).isprintable():
        raise UsageError(f"{str(file)!r}: a name of a file has no control characters")
    try:
        folder = file.absolute().parent
        if file.is_dir() or not folder.is_dir():
            raise StorageError(f"{file}: {'it is a folder' if file.is_dir() else 'its folder is not there'}")
        file.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StorageError(f"{file}: {told(error)}") from None
    inside = [out.resolve() / name for name in FOLDERS if (out / name).is_dir()]
    if any(folder.resolve().is_relative_to(own) for own in inside):
        raise UsageError(f"{file}: it lies among the results folder's own files: name another place")


def load_network(
    file: str | Path, *, plugins: str | Path | Sequence[str | Path] = (), data_dir: str | Path | None = None
) -> nn.Module:
    """The network of a file that `export` wrote as .safetensors, an nn.Module in eval mode, slimmed where it was.

    plugins: loose files, where its factory is in one. data_dir: the data folder, for a factory that reads it. Its
    images are float32 (N, C, H, W), normalised by the description's mean and std. Raises BenchbiasError.
    """
    from benchbias.data.reading.raw_files import data_folder
    from benchbias.finished.loading import description_of, network_of
    from benchbias.finished.rebuilt import components_from
    from benchbias.plugin.registry import load_registry

    if not isinstance(file, PATHS):
        raise UsageError(f"load_network: file is a path, not {file!r:.80}")
    path = Path(file)
    if path.suffix != ".safetensors":
        raise UsageError(f"{path}: load_network reads .safetensors; torch.export.load and onnxruntime read the others")
    document = description_of(path)
    files = [plugins] if isinstance(plugins, str | Path) else plugins
    registry = load_registry([Path(one) for one in files], quiet=True)
    names = [spec["name"] for spec in (document["model"], document["backbone"]) if spec is not None]
    homes = {registry.components["model", name].plugin for name in names if ("model", name) in registry.components}
    root = Path(data_dir).absolute() if data_dir is not None else data_folder()
    return network_of(path, components_from({home: vars(registry.plugins[home]) for home in homes}), root)
