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
from benchbias.runner.workspace import Workspace

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
    files = [plugins] if isinstance(plugins, str | Path) else plugins
    workspace = Workspace.open(
        Path(config) if config is not None else None,
        [Path(one) for one in files],
        quiet=True,
        data=Path(data_dir) if data_dir is not None else None,
    )
    given = [assignments] if isinstance(assignments, str) else assignments
    name = method.partition("[")[0]
    stacked = workspace.catalogue.suite(suite).population if stack is None else stack > 1
    seeds = None if stacked else [seed]  # in a stack the suite's other seeds decide with which one is trained
    plan = workspace.plan(suite, Selection([name], None, seeds, given, limit, device, stack=stack))
    trial = row_trial(plan, method, seed, task, "export")
    return export_trial(workspace.worker_settings, plan, trial, Path(file), Path(out), slim=slim)


def export_trial(
    settings: Mapping[str, str], plan: Plan, trial: Trial, file: Path, out: Path, *, slim: bool
) -> Exported:
    """Write the finished network of a planned trial to a file. Raises BenchbiasError.

    settings: environment variables of the workspace's workers. out: the results folder.
    """
    if file.suffix not in SUFFIXES:
        raise UsageError(f"{file}: a network is written to a file that ends in {', '.join(SUFFIXES)}")
    if trial.blocked:
        raise UsageError(f"{trial.label} cannot run: {trial.blocked}")
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise StorageError(f"{file}: {'it is a folder' if file.is_dir() else 'its folder is not there'}")
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
