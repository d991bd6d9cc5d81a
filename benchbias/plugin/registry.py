"""Discovery of plugins, their description in a child process, and the registry of components."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchbias.errors import BenchbiasError, UsageError, plain
from benchbias.plugin.components import TRACKER, Component
from benchbias.plugin.discovery import BrokenPlugin, discover
from benchbias.plugin.loading import PluginRef
from benchbias.util import canonical
from benchbias.util.streams import UTF8

DESCRIBE_SECONDS = 60
END_SECONDS = 5
OWN_DISTRIBUTION = "benchbias"
SIBLING = re.compile(rb"^\s*from (\.+)([\w.]+) import", re.MULTILINE)  # dots and name of a relative import


@dataclass(frozen=True)
class Registry:
    """All components by kind and name, and the plugins they come from.

    unreadable: distributions whose metadata cannot be read, which may have plugins: where each lies, and why.
    trackers: the plugins that are told of finished trials, by name, and what each says of itself.
    """

    components: Mapping[tuple[str, str], Component]
    plugins: Mapping[str, PluginRef]
    digests: Mapping[str, str]
    broken: Mapping[str, BrokenPlugin]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    trackers: Mapping[str, str] = field(default_factory=dict)

    def names(self, kind: str) -> list[str]:
        """The names of all components of one kind, sorted."""
        return sorted(name for found, name in self.components if found == kind)


def source_digest(ref: PluginRef) -> str:
    """The sha256 of a plugin's sources."""
    return files_digest(plugin_files(ref))


def plugin_files(ref: PluginRef) -> list[Path]:
    """The files of a plugin: a loose one itself, of ours its module or package, else its import package.

    To one of ours belong its siblings that it imports.
    """
    if ref.path is not None:
        return [Path(ref.path)]
    if ref.distribution == OWN_DISTRIBUTION:
        return _with_siblings(_files_of(_module_file(ref.module)))
    return _import_package(ref.module)


def plugin_places(ref: PluginRef) -> list[Path]:
    """The files of a plugin, and the folders in which another one could appear."""
    files = plugin_files(ref)
    return [*files, *sorted({file.parent for file in files})]


def _import_package(module: str) -> list[Path]:
    """All files of a module's top package; of a namespace package, of the portion in which the module lies."""
    top = module.partition(".")[0]
    file = _module_file(module)
    spec = importlib.util.find_spec(top)
    if spec is not None and spec.origin is None:  # a namespace package
        return _package_files(next(Path(at) for at in spec.submodule_search_locations or () if file.is_relative_to(at)))
    return _files_of(_module_file(top))


def _files_of(module: Path) -> list[Path]:
    """A module's file, or all files of the package whose `__init__` it is."""
    return _package_files(module.parent) if module.name == "__init__.py" else [module]


def _with_siblings(files: list[Path]) -> list[Path]:
    """The files, and those that they import by `from .name import` or `from ..name import`, as far as that leads."""
    found, todo = set(files), list(files)
    while todo:
        file = todo.pop()
        for dots, name in SIBLING.findall(_content(file)) if file.suffix == ".py" else ():
            target = file.parents[len(dots) - 1] / name.decode().replace(".", "/")
            module = target / "__init__.py" if target.is_dir() else target.with_suffix(".py")
            new = {path for path in _files_of(module) if path.is_file()} - found
            found |= new
            todo += sorted(new)
    return sorted(found)


def _package_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts and p.suffix != ".pyc")


def files_digest(files: Sequence[Path]) -> str:
    """The sha256 over the names and bytes of files, names relative to their common folder."""
    total = hashlib.sha256()
    base = Path(os.path.commonpath([path.parent for path in files])) if files else Path()
    for path in files:
        total.update(f"{path.relative_to(base)}\0{hashlib.sha256(_content(path)).hexdigest()}\n".encode())
    return total.hexdigest()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None


def _module_file(module: str) -> Path:
    """The file of a module, found by its import spec without importing it (nor its parent package)."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or (spec.origin is None and not spec.submodule_search_locations):
        raise UsageError(f"module {module!r} is not installed")
    if not rest:
        if spec.origin is None:
            raise UsageError(f"module {module!r} has no source file")
        return Path(spec.origin)
    for location in spec.submodule_search_locations or ():
        path = Path(location, *rest)
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    raise UsageError(f"module {module!r} is not installed")


def cache_folder() -> Path:
    """Where descriptions are kept: $BENCHBIAS_CACHE, else $XDG_CACHE_HOME/benchbias, else ~/.cache/benchbias.

    Whoever has no home keeps nothing: the folder cannot be made then.
    """
    own = os.environ.get("BENCHBIAS_CACHE")
    if own:
        return Path(own)
    try:
        home = Path.home()
    except RuntimeError:
        home = Path(os.devnull)
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "benchbias"


@functools.cache
def _describer_digest() -> str:
    """Changes whenever the reading of signatures changes, so that old descriptions are not used."""
    core = Path(__file__).parent
    files = [core / name for name in ("components.py", "describe.py", "hookspecs.py", "loading.py", "marks.py")]
    return hashlib.sha256(f"{files_digest(files)} {sys.version_info[:2]}".encode()).hexdigest()


def load_registry(loose: Iterable[Path] = (), *, quiet: bool = False) -> Registry:
    """Describe every plugin (from the cache where its sources have not changed). Raises UsageError for a clash."""
    discovered = discover(loose)
    refs = discovered.refs
    digests: dict[str, str] = {}
    broken = dict(discovered.broken)
    for ref in refs:
        if ref.name in broken:
            continue
        try:
            digests[ref.name] = source_digest(ref)
        except BenchbiasError as error:
            broken[ref.name] = BrokenPlugin(str(error), "")
        except Exception as error:  # whatever a finder of modules raises, which is another's
            broken[ref.name] = BrokenPlugin(plain(f"its module cannot be found: {type(error).__name__}: {error}"), "")
    described: dict[str, list[Component]] = {}
    cold: dict[str, list[PluginRef]] = {}
    for ref in refs:
        if ref.name in broken:
            continue
        cached = _read_cache(_cache_file(ref, digests[ref.name]), ref)
        if cached is None:
            cold.setdefault(ref.distribution or ref.name, []).append(ref)
        else:
            described[ref.name] = cached
    if cold and not quiet:
        print("reading plugins for the first time ...", file=sys.stderr, flush=True)
    for group in cold.values():
        for ref, result in _describe(group):
            if isinstance(result, BrokenPlugin):
                broken[ref.name] = result
            else:
                if _same(ref, digests[ref.name]):
                    _write_cache(_cache_file(ref, digests[ref.name]), result)
                described[ref.name] = [Component.from_json(ref.name, item) for item in result]
    plugins = {ref.name: ref for ref in refs}
    trackers = {name: one.summary for name, found in sorted(described.items()) for one in found if one.kind == TRACKER}
    return Registry(_collect(described), plugins, digests, broken, discovered.unreadable, trackers)


def _same(ref: PluginRef, digest: str) -> bool:
    """Whether a plugin's sources still have the digest: else what was described is not what has it."""
    try:
        return source_digest(ref) == digest
    except Exception:  # gone meanwhile, or whatever a finder of modules raises
        return False


def _collect(described: Mapping[str, list[Component]]) -> dict[tuple[str, str], Component]:
    found: dict[tuple[str, str], Component] = {}
    for plugin in sorted(described):
        for component in (one for one in described[plugin] if one.kind != TRACKER):
            key = (component.kind, component.name)
            if key in found:
                raise UsageError(
                    f"two plugins have a {component.kind} {component.name!r}: {found[key].plugin!r} and {plugin!r}; "
                    "rename one of them"
                )
            found[key] = component
    return found


def _cache_file(ref: PluginRef, digest: str) -> Path:
    name = hashlib.sha256(
        f"{_describer_digest()} {ref.name} {ref.module} {ref.attribute} {digest}".encode()
    ).hexdigest()
    return cache_folder() / "plugins" / f"{name}.json"


def _read_cache(path: Path, ref: PluginRef) -> list[Component] | None:
    try:
        return [Component.from_json(ref.name, item) for item in canonical.loads(path.read_bytes())]
    except (OSError, BenchbiasError, TypeError, KeyError, UnicodeDecodeError):
        return None


def _write_cache(path: Path, components: list[dict[str, object]]) -> None:
    with contextlib.suppress(OSError):  # a cache that cannot be written only costs time
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.tmp")
        partial.write_bytes(canonical.dumps(components).encode())
        partial.replace(path)


def _describe(refs: list[PluginRef]) -> list[tuple[PluginRef, BrokenPlugin | list[dict[str, object]]]]:
    """Describe the plugins of one distribution in a child; one that kills the child is blamed, the rest go on."""
    results: list[tuple[PluginRef, BrokenPlugin | list[dict[str, object]]]] = []
    waiting = list(refs)
    while waiting:
        answers, end = _run_child(waiting)
        for ref, answer in zip(waiting, answers, strict=False):
            results.append((ref, answer["components"] if "components" in answer else _broken(answer)))  # type: ignore[arg-type]
        waiting = waiting[len(answers) :]
        if waiting:
            results.append((waiting.pop(0), BrokenPlugin(end, end)))
    return results


def _broken(answer: Mapping[str, object]) -> BrokenPlugin:
    lines = str(answer["traceback"]).splitlines()
    return BrokenPlugin(plain(str(answer["error"])), "\n".join(plain(line) for line in lines))


def _run_child(refs: list[PluginRef]) -> tuple[list[dict[str, object]], str]:
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "benchbias.plugin.describe"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | UTF8,
        start_new_session=True,
    )
    end = ""
    try:
        output, _ = child.communicate(json.dumps([asdict(ref) for ref in refs]).encode(), timeout=DESCRIBE_SECONDS)
    except subprocess.TimeoutExpired as late:
        output = late.stdout or b""
        child.terminate()  # it ends what the plugin has started, and then itself
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(END_SECONDS)
        end = f"it was still not described after {DESCRIBE_SECONDS} s"
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.communicate(timeout=5)
    lines = [line for line in output.decode(errors="replace").split("\n") if line.endswith("}")]
    answers = []
    for line in lines[: len(refs)]:
        try:
            answers.append(json.loads(line))
        except ValueError:
            break
    return answers, end or f"importing it ended the process (exit code {child.returncode})"
