"""Faults of an installation and a results folder: found by looking, with nothing moved, removed or written."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchbias.data.reading.raw_files import READERS
from benchbias.errors import NewerError, StorageError, UsageError, plain
from benchbias.keys.cards import cards_here, visible_cards
from benchbias.keys.environment import PACKAGES, cpu, provenance, torch_version, worker_environment
from benchbias.records.latency import FOLDER as LATENCY
from benchbias.records.latency import read_latency
from benchbias.records.trial import record_folder
from benchbias.runner.launch import available_cpus
from benchbias.runner.report import current_records
from benchbias.runner.workspace import Workspace
from benchbias.store.store import FOLDERS, Store
from benchbias.util.canonical import is_digest
from benchbias.util.files import folders_of, is_regular, listed, put_aside
from benchbias.util.packages import EXTRAS, UNREADABLE, version_of

IMPORT_SECONDS = 300
LOW_DISK_BYTES = 1 << 30
NEEDED = ("numpy", "scipy", "scikit-learn", "safetensors", "pluggy")  # by every suite
_PROBE = """
import json, torch, torchvision
cards = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
print(json.dumps({"torch": torch.__version__, "torchvision": torchvision.__version__, "cards": cards}))
"""


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, what was found, whether something must be done about it."""

    about: str
    found: str
    problem: bool = False


def examine(workspace: Workspace, out: Path, *, torch: bool = False) -> list[Finding]:
    """Everything that there is to say, in order. torch: whether torch is imported, which takes seconds."""
    devices = _imported() if torch else _devices()
    return [*_installation(), *devices, *_plugins(workspace), *_folder(workspace, out)]


def report(findings: list[Finding]) -> str:
    """The findings for a reader, one a line; problems are marked."""
    width = max(len(finding.about) for finding in findings)
    lines = [f"{'!' if f.problem else ' '} {f.about:<{width}}  {plain(f.found)}" for f in findings]
    problems = sum(finding.problem for finding in findings)
    return "\n".join([*lines, "", f"{problems or 'no'} problem{'' if problems == 1 else 's'} found"])


def _installation() -> Iterator[Finding]:
    made = provenance()
    commit = f", commit {made['commit']}{', changed since' if made['dirty'] else ''}" if "commit" in made else ""
    yield Finding("benchbias", f"{made['benchbias']}{commit}")
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    told = "" if supported else " (benchbias is tested on 3.11 to 3.13)"
    yield Finding(
        "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}{told}", not supported
    )
    for package in (*PACKAGES, *READERS, "pluggy"):
        version = version_of(package)
        faults = {"absent": "not installed", UNREADABLE: "its metadata cannot be read: install it again"}
        yield Finding(package, faults.get(version, version), version in faults and package in NEEDED)
    for extra, package in EXTRAS.items():
        absent = version_of(package) == "absent"
        told = f"not installed: pip install 'benchbias[{extra}]'" if absent else version_of(package)
        yield Finding(f"extra {extra}", f"{package} {told}")


def _devices() -> Iterator[Finding]:
    """Look at files alone."""
    yield Finding("cpu", f"{cpu()}, {available_cpus()} usable")
    try:
        yield Finding("torch", f"{torch_version()} (--torch imports it, which takes seconds)")
    except UsageError as error:
        yield Finding("torch", str(error), problem=True)
    yield from _cards()


def _cards() -> Iterator[Finding]:
    """The cards by the driver's files: those that a run may use, with the numbers that `--gpus` takes."""
    here, visible = cards_here(), visible_cards()
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not here:
        yield Finding("cuda", "no GPU: --device cpu only")
    elif not visible:
        yield Finding("cuda", f"CUDA_VISIBLE_DEVICES={shown!r:.80} shows none of {len(here)} cards: --device cpu only")
    for number, card in enumerate(visible):
        yield Finding(f"card {number}", f"{card.model} {card.uuid}".rstrip())
    if visible and len(visible) < len(here):
        yield Finding("cards", f"CUDA_VISIBLE_DEVICES={shown!r:.80} hides {len(here) - len(visible)} more")
    if len({card.model for card in visible}) > 1:
        yield Finding("models", "cards of several models: a run takes those of one (--gpus)")


def _imported() -> Iterator[Finding]:
    """Import torch in a process of its own."""
    yield Finding("cpu", f"{cpu()}, {available_cpus()} usable")
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _PROBE],
            env=worker_environment(os.environ),
            capture_output=True,
            text=True,
            timeout=IMPORT_SECONDS,
            check=False,
        )
        found = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 and done.stdout else None
    except (subprocess.TimeoutExpired, ValueError):
        yield Finding("torch", f"gives no answer within {IMPORT_SECONDS} s of being imported", problem=True)
        return
    if found is None:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        yield Finding("torch", f"cannot be imported together with torchvision: {last}", problem=True)
        return
    yield Finding("torch", found["torch"])
    yield Finding("cuda", ", ".join(found["cards"]) or "no GPU: --device cpu only")


def _plugins(workspace: Workspace) -> Iterator[Finding]:
    registry = workspace.registry
    whole = sorted(set(registry.plugins) - set(registry.broken))
    yield Finding("plugins", f"{len(whole)} whole, {len(registry.broken)} broken")
    for name, broken in registry.broken.items():
        yield Finding("plugin", f"{name!r} is broken: {broken.reason} (`benchbias show {name}`)", problem=True)
    for place, reason in registry.unreadable.items():
        yield Finding("distribution", f"{place}: {reason}: install it again, or remove it", problem=True)


def _folder(workspace: Workspace, out: Path) -> Iterator[Finding]:
    existing = next(folder for folder in (out, *out.resolve().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    yield Finding("free disk", f"{free / 1e9:.1f} GB at {existing}", free < LOW_DISK_BYTES)
    if not out.exists():
        yield Finding("results", f"{out} is not there yet")
        return
    missing = [name for name in FOLDERS if not (out / name).is_dir()]
    if missing:
        yield Finding("results", f"{out} is no results folder (it has no {', '.join(missing)})", problem=True)
        return
    writable = os.access(out, os.W_OK)
    yield Finding("results", f"{out}{'' if writable else ' cannot be written'}", not writable)
    store = Store(out)
    keys = store.keys()
    yield from _damage(store, keys)
    yield from _aside(out)
    yield from _stale(workspace, store, keys)
    yield from _measured(out)


def _damage(store: Store, keys: set[str]) -> Iterator[Finding]:
    """Reads every product and every blob."""
    states = [_state(store, key) for key in sorted(keys)]
    bad, newer = states.count("damaged"), states.count("newer")
    yield Finding("products", f"{len(keys)}, {bad} damaged (a run that needs them makes them again)", bool(bad))
    if newer:
        yield Finding("newer", f"{newer} products were made by a newer benchbias: upgrade this one", problem=True)
    blobs = [path for part in folders_of(store.root / "blobs") for path in listed(part, ".safetensors")]
    torn = [path for path in blobs if not store.blob_is_whole(path.stem)]
    size = sum(path.stat().st_size for path in blobs) / 1e6
    yield Finding(
        "blobs", f"{len(blobs)} of {size:.1f} MB, {len(torn)} damaged (the next run makes them again)", bool(torn)
    )


def _state(store: Store, key: str) -> str:
    """Whether a product is whole, damaged, or of a newer benchbias."""
    try:
        content = store.read_checked(key)
    except NewerError:
        return "newer"
    except (OSError, StorageError, UsageError, KeyError, TypeError, AttributeError, ValueError):
        return "damaged"
    return "whole" if all(is_regular(store.blob_path(sha)) for sha in content["blobs"].values()) else "damaged"


def _aside(out: Path) -> Iterator[Finding]:
    names = [path.name for path in put_aside(out / "quarantine")]
    conflicts = [name for name in names if name.startswith("conflict-")]
    yield Finding(
        "not reproducible",
        f"{len(conflicts)} products came out with other bytes the second time{_first(conflicts)}",
        bool(conflicts),
    )
    yield Finding("quarantine", f"{len(names) - len(conflicts)} damaged files put aside earlier (`clean --quarantine`)")
    failed = [path for path in folders_of(out / "attempts") if is_digest(path.name)]
    yield Finding("failures", f"{len(failed)} stages with noted failures (`status`, `logs`, `run --rerun failed`)")
    left = listed(out / "tmp", ".tmp")
    yield Finding("left behind", f"{len(left)} temporary files of runs that died or are alive (`clean`)")


def _first(names: list[str]) -> str:
    return f": quarantine/{names[0]}" if names else ""


def _stale(workspace: Workspace, store: Store, keys: set[str]) -> Iterator[Finding]:
    """Products and records that none of the suites with records here would use, as they stand today."""
    planned: set[str] = set()
    records = 0
    suites = [name for name in workspace.catalogue.suites if record_folder(store.root, name).is_dir()]
    for name in suites:
        try:
            plan = workspace.plan(name)
            records += len(current_records(plan, store)[1])
        except UsageError as error:
            yield Finding("suite", f"{name}: {error}", problem=True)
            continue
        planned |= set(plan.stages)
    if suites:
        yield Finding(
            "stale",
            f"{len(keys - planned)} products and {records} records of other sources, settings, seeds or machines than "
            f"today's of the suites that have records here ({', '.join(suites)}): on no leaderboard of theirs",
        )


def _measured(out: Path) -> Iterator[Finding]:
    """Files of milliseconds and bytes that no board can read."""
    for path in listed(out / LATENCY, ".json"):
        try:
            read_latency(out, path.stem)
        except (UsageError, StorageError) as error:
            yield Finding("latency", f"{error}: boards are without it", problem=True)
