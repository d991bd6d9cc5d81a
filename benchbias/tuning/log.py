"""The log of a search for settings: one JSON line a trial, and a page made of it. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchbias.board.text import count, escaped, table_lines
from benchbias.errors import StorageError, UsageError
from benchbias.store.store import Store
from benchbias.util import canonical
from benchbias.util.files import is_regular, read_regular

MAX_LOG_BYTES = 64 << 20
RECIPE = "recipe"  # the owner of the settings that all methods share
Entries = Sequence[Mapping[str, Any]]


def log_path(folder: Path, suite: str) -> Path:
    """Where the log of a suite's search lies, below a results folder or a published one."""
    return folder / "tuning" / f"{suite}.jsonl"


def read_log(path: Path) -> list[dict[str, Any]]:
    """The entries of a log. Raises UsageError naming the file and the line."""
    try:
        lines = read_regular(path, MAX_LOG_BYTES).splitlines()
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    entries = []
    for number, line in enumerate(lines, 1):
        try:
            entry = canonical.loads(line)
        except StorageError as error:
            raise UsageError(f"{path}: line {number}: {error}") from None
        if not isinstance(entry, dict) or not {"owner", "trial", "settings", "chosen"} <= set(entry):
            raise UsageError(f"{path}: line {number}: not an entry of a search")
        entries.append(entry)
    return entries


def write_log(folder: Path, suite: str, entries: Entries, store: Store) -> tuple[Path, str]:
    """Write the log and its page; searches that were not run now are kept. The page's path and text are returned."""
    path = log_path(folder, suite)
    new = {entry["owner"] for entry in entries}
    kept = [entry for entry in read_log(path) if entry["owner"] not in new] if is_regular(path) else []
    whole = sorted([*kept, *entries], key=lambda entry: (entry["owner"] != RECIPE, entry["owner"], entry["trial"]))
    store.replace(path, "".join(canonical.dumps(entry) + "\n" for entry in whole))
    text = render(whole)
    store.replace(path.with_suffix(".md"), text)
    return path.with_suffix(".md"), text


def override_lines(entries: Entries) -> list[str]:
    """The chosen settings as lines of the suite's table in benchmarks.toml."""
    lines = []
    for entry in entries:
        if entry["chosen"] and entry["owner"] != RECIPE:
            source = "iid-val" if entry["worst"] == "class" else "val-groups"
            values = f'parameters = {{ {_assignments(entry["settings"])} }}, settings_from = "{source}"'
            lines.append(f"override.{entry['owner']} = {{ {values} }}")
    return lines


def _assignments(settings: Mapping[str, float]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in sorted(settings.items()))


def render(entries: Entries) -> str:
    """The page of a search, made of its log alone."""
    first = entries[0]
    versions = sorted({str(entry["version"]) for entry in entries})  # of those whose methods were searched then
    header = ["settings of", "labels used", "chosen by", "trials", "default", "best", "chosen", "chosen settings"]
    searches: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        searches.setdefault(entry["owner"], []).append(entry)
    cells = [_cells(tried) for tried in searches.values()]
    told = [
        f"The recipe of all methods: `{_assignments(entry['settings'])}`.\n"
        for entry in entries
        if entry["chosen"] and entry["owner"] == RECIPE
    ]
    return "\n".join(
        [
            f"# Settings of {escaped(first['suite'])}, version {escaped(', '.join(versions))}",
            "",
            f"Every search has the same number of trials on the development seeds "
            f"{', '.join(map(str, first['seeds']))}: trial 0 is the default, the others a scrambled Sobol sequence. "
            "Chosen is the trial nearest to the default among those within one standard error of the best. "
            "Accuracies in percent, pooled over the seeds' validation predictions (over the rows of a sweep: their "
            "mean), ± one standard error. Development and published seeds share the same source images. "
            "No test example is read.",
            "",
            *table_lines(cells, [*header, "training FLOPs"]),
            "",
            *told,
            f"In `[suites.{first['suite']}]` of benchmarks.toml:",
            "",
            "```toml",
            *override_lines(entries),
            "```",
            "",
            f"Made by `benchbias tune {first['suite']}`; every trial: `{first['suite']}.jsonl`.",
            "",
        ]
    )


def _cells(tried: Entries) -> list[str]:
    first = tried[0]
    chosen = next((entry for entry in tried if entry["chosen"]), None)
    done = [entry for entry in tried if entry["accuracy"] is not None]
    best = max(done, key=lambda entry: float(entry["accuracy"]), default=None)
    settings = f"`{_assignments(chosen['settings'])}`" if chosen else "none"
    kept = " (the default)" if chosen and chosen["trial"] == 0 else ""
    failed = f" ({len(tried) - len(done)} failed)" if len(done) < len(tried) else ""
    return [
        escaped(first["owner"]),
        escaped(first["track"]),
        f"worst {first['worst']} on {escaped(first['split'])}",
        f"{len(tried)}{failed}",
        _points(first),
        _points(best),
        _points(chosen),
        settings + kept,
        count(sum(float(entry["training_flops"]) for entry in tried)),
    ]


def _points(entry: Mapping[str, Any] | None) -> str:
    if entry is None or entry["accuracy"] is None:
        return "failed"
    return f"{100 * entry['accuracy']:.1f} ± {100 * entry['standard_error']:.1f}"
