"""A local copy of a repository of the hub: which of its own files hold a split. Nothing outside of it is ever opened.

`datasets` is given files that are chosen here, among those that the digest in the stage's key has seen. What a README
says of files is a choice among them: an address, an absolute path, `..` or a link that leads out is refused.
"""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from benchbias.data.reading.raw_files import POINTER, files_of
from benchbias.errors import DataError, unknown

CARD = "README.md"
BUILDERS = ("parquet", "arrow", "csv", "json", "imagefolder")
OPTIONS = {
    "sep": ("csv",),
    "delimiter": ("csv",),
    "quotechar": ("csv",),
    "encoding": ("csv", "json"),
    "drop_labels": ("imagefolder",),
    "drop_metadata": ("imagefolder",),
}
"""Options that a README may set, with the builders that have them: none names a file or leaves out rows."""
OWN_KEYS = ("config_name", "data_files", "data_dir", "default", "version", "description")
LARGEST_ROWS = 5_000_000  # of a split or a table: its labels are held in memory


@dataclass(frozen=True)
class Repository:
    """A copy: its folder, and the names of its files relative to that, sorted: those that `raw_digest` reads."""

    folder: Path
    names: tuple[str, ...]

    @staticmethod
    def of(folder: Path) -> Repository:
        return Repository(folder, tuple(path.relative_to(folder).as_posix() for path in files_of(folder)))

    def file(self, name: str, where: str) -> Path:
        """The file of that name. Raises DataError where it is none of the copy's, or leads out of it."""
        if name not in self.names:
            raise DataError(f"{where}: no file of the repository: {name!r:.200} (neither hidden nor behind a link)")
        path = self.folder / name
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise DataError(f"{where}: {name!r:.200} is a link that leads out of {self.folder}: copy the file itself")
        return path


@dataclass(frozen=True)
class Chosen:
    """The files of some splits: the builder of `datasets` that reads them, its options, and split -> files."""

    builder: str
    options: Mapping[str, Any]
    files: Mapping[str, tuple[Path, ...]]


def chosen_files(copy: Repository, split: str, config: str | None, where: str) -> Chosen:
    """The files that hold a split, or splits (`train[:80%]`, `a+b`), of a configuration. Raises DataError."""
    card = _card(copy)
    table = _configuration(card, config, where)
    patterns = _patterns(copy, table, where)
    wanted = list(dict.fromkeys(part.partition("[")[0].strip() for part in split.split("+")))
    for name in wanted:
        if name not in patterns:
            raise DataError(unknown("split", name, patterns, where))
    names = {name: list(dict.fromkeys(n for p in patterns[name] for n in matches(copy.names, p))) for name in wanted}
    for name, found in names.items():
        if not found:
            raise DataError(f"{where}: no file of {copy.folder} is of the split {name!r:.80}: {patterns[name]}"[:600])
    builder, options, suffixes = _builder([name for found in names.values() for name in found], where)
    if builder == "imagefolder":  # the names of its classes are those of the folders of all splits
        names |= {
            name: list(dict.fromkeys(n for p in each for n in matches(copy.names, p)))
            for name, each in patterns.items()
        }
    files = {}
    for split_name, found in names.items():
        kept = [copy.file(name, where) for name in found if _suffix(name) in suffixes or _is_metadata(name)]
        files[split_name] = tuple(kept)
    _check_files([file for found in files.values() for file in found], where)
    return Chosen(builder, options | _options(table, builder, where) | _features(card, table, where), files)


def matches(names: Sequence[str], pattern: str) -> list[str]:
    """The names that a pattern means, as the hub's libraries read it: `*` and `[...]` within a folder, `**` across."""
    from datasets.data_files import FILES_TO_IGNORE

    if pattern in names:
        return [pattern]
    while "**/**" in pattern:  # so that a long one costs no time
        pattern = pattern.replace("**/**", "**")
    parts = pattern.split("/")
    return [
        name
        for name in names
        if _fits(name.split("/"), parts)
        and name.rpartition("/")[2] not in FILES_TO_IGNORE
        and not any(folder.startswith("__") for folder in name.split("/")[:-1])
    ]


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path are those of a pattern, from the first to the last."""
    if not parts or not pattern:
        return not parts and not pattern
    if pattern[0] == "**":
        return len(pattern) == 1 or any(_fits(parts[start:], pattern[1:]) for start in range(len(parts)))
    return fnmatch.fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _card(copy: Repository) -> dict[str, Any]:
    """The head of the README, as a table; empty where there is none. Raises DataError."""
    import huggingface_hub

    if CARD not in copy.names:
        return {}
    path = copy.file(CARD, str(copy.folder))
    try:
        return dict(huggingface_hub.metadata_load(path) or {})
    except Exception as error:  # of YAML, of the library, of the file
        told = " ".join(str(error).split())
        raise DataError(f"{path}: its head cannot be read as a table of YAML: {told}") from None


def _configuration(card: Mapping[str, Any], config: str | None, where: str) -> dict[str, Any]:
    """The README's table of a configuration; one without keys where it has none. Raises DataError."""
    tables = card.get("configs") or []
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise DataError(f"{where}: {CARD}: `configs` is a list of tables")
    if not tables:
        if config not in (None, "default"):
            raise DataError(unknown("config", config, ("default",), where))
        return {}
    names: dict[str, dict[str, Any]] = {str(table.get("config_name", "default")): table for table in tables}
    if config is not None:
        if config not in names:
            raise DataError(unknown("config", config, names, where))
        return names[config]
    main = next((name for name, table in names.items() if table.get("default") is True), "default")
    if len(names) == 1 or main in names:
        return names[next(iter(names)) if len(names) == 1 else main]
    raise DataError(f"{where}: config = one of {', '.join(names)}: {CARD} names several")


def _patterns(copy: Repository, table: Mapping[str, Any], where: str) -> dict[str, list[str]]:
    """Split -> patterns of its files, relative to the folder. Raises DataError."""
    given, below = table.get("data_files"), table.get("data_dir")
    start = "" if below is None else _safe(below, "data_dir", where).rstrip("/")
    if given is None:
        names = [name.removeprefix(f"{start}/") for name in copy.names if name.startswith(f"{start}/" if start else "")]
        found = _usual_patterns(names, where)
    elif isinstance(given, dict):
        found = {str(name): _listed(value) for name, value in given.items()}
    elif isinstance(given, list) and given and all(isinstance(item, dict) for item in given):
        found = {str(item.get("split")): _listed(item.get("path")) for item in given}
    else:
        found = {"train": _listed(given)}
    checked = {name: [_safe(pattern, "data_files", where) for pattern in each] for name, each in found.items()}
    return {name: [f"{start}/{p}" if start else p for p in each] for name, each in checked.items()}


def _listed(value: object) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _usual_patterns(names: Sequence[str], where: str) -> dict[str, list[str]]:
    """Split -> patterns where no README names them, as `datasets` finds them by the names of files and folders."""
    from datasets.data_files import _get_data_files_patterns

    try:
        return dict(_get_data_files_patterns(lambda pattern: matches(names, pattern)))
    except (FileNotFoundError, ValueError, AssertionError):
        raise DataError(f"{where}: no files that can be read (known: {', '.join(BUILDERS)})") from None


def _safe(value: object, key: str, where: str) -> str:
    """A path or pattern that stays inside. Raises DataError."""
    text = value if isinstance(value, str) else ""
    parts = PurePosixPath(text).parts
    if (
        not parts
        or text.startswith(("/", "~"))
        or ".." in parts
        or any(mark in text for mark in ("://", "::", "\\", "\0"))
    ):
        raise DataError(
            f"{where}: {CARD}: {key} names {value!r:.200}: only files of the repository itself are read, by a path "
            "relative to it, without `..`"
        )
    return PurePosixPath(text).as_posix()


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _is_metadata(name: str) -> bool:
    return PurePosixPath(name).name in ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def _builder(names: Sequence[str], where: str) -> tuple[str, dict[str, Any], set[str]]:
    """The builder of most of the files, its options for their kind, and the endings that it reads. Raises DataError."""
    from datasets.packaged_modules import _EXTENSION_TO_MODULE

    kinds = {suffix.lower(): (module, options) for suffix, (module, options) in _EXTENSION_TO_MODULE.items()}
    found = Counter(_suffix(name) for name in names if _suffix(name) in kinds)
    known = [suffix for suffix, _ in found.most_common() if kinds[suffix][0] in BUILDERS]
    if not known:
        others = ", ".join(sorted({_suffix(name) or name for name in names}))[:200]
        raise DataError(
            f"{where}: files of these kinds are not read: {others} (known: {', '.join(BUILDERS)}); unpack archives"
        )
    images = [suffix for suffix in known if kinds[suffix][0] == "imagefolder"]
    builder, options = kinds[images[0] if images else known[0]]
    return builder, dict(options), {suffix for suffix, (module, _) in kinds.items() if module == builder}


def _options(table: Mapping[str, Any], builder: str, where: str) -> dict[str, Any]:
    for name in table:
        if name not in (*OWN_KEYS, *OPTIONS):
            raise DataError(f"{where}: {CARD}: {unknown('option', name, OPTIONS)}")
        if name in OPTIONS and builder not in OPTIONS[name]:
            of = " and ".join(OPTIONS[name])
            raise DataError(
                f"{where}: {CARD}: the option {name!r} is of {of}, and the files are {builder}: take it out"
            )
    return {name: table[name] for name in OPTIONS if name in table}


def _features(card: Mapping[str, Any], table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The features that the README names of a configuration, the names of classes among them. Raises DataError."""
    from datasets.info import DatasetInfo

    tables = card.get("dataset_info") or []
    tables = [tables] if isinstance(tables, dict) else tables
    name = str(table.get("config_name", "default"))
    mine = [one for one in tables if isinstance(one, dict) and str(one.get("config_name", "default")) == name]
    if not mine and len(tables) == 1:
        mine = [one for one in tables if isinstance(one, dict)]
    if not mine or not mine[0].get("features"):
        return {}
    try:
        features = DatasetInfo._from_yaml_dict({"features": mine[0]["features"]}).features
    except Exception as error:  # of many kinds: the README may hold anything
        raise DataError(f"{where}: {CARD}: dataset_info: its features cannot be read: {error}") from None
    return {} if features is None else {"features": features}


def _check_files(files: Sequence[Path], where: str) -> None:
    """Raises DataError for pointers in place of files, and for more rows than are read."""
    import pyarrow.parquet

    rows = 0
    for path in files:
        try:
            with path.open("rb") as file:
                start = file.read(len(POINTER))
            if start == POINTER:
                raise DataError(f"{where}: {path} is a pointer of Git LFS, not the file: `git lfs pull` fetches it")
            if path.suffix.lower() == ".parquet":
                rows += pyarrow.parquet.read_metadata(path).num_rows
        except (OSError, ValueError) as error:  # pyarrow's own errors are both
            raise DataError(f"{where}: {path} cannot be read: {' '.join(str(error).split())}") from None
    if rows > LARGEST_ROWS:
        raise DataError(f"{where}: {rows} rows; at most {LARGEST_ROWS} are read")
