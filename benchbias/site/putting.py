"""A site put into its folder: it replaces the files of the last site there, and no other file."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchbias.errors import UsageError
from benchbias.util.files import is_regular, make_folders, read_regular, replace_whole, storage_errors

MARK = ".benchbias-site"
"""A file of every site: it lists the files that the site is of, and only these are ever replaced or removed."""
BEFORE = b"Made by `benchbias site`, which may replace this folder.\n"  # the mark of sites that had no list yet
NEXT = ".benchbias-site-next"
NO_JEKYLL = ".nojekyll"
MAX_BYTES = 50_000_000


def folder_for(out: Path) -> Path:
    """The folder that is meant, links followed: absent, empty, or a site already. Raises UsageError for any other."""
    try:
        folder = out.resolve()
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"--out {out}: is no folder")
        full = folder.is_dir() and any(folder.iterdir())
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise UsageError(f"--out {out}: cannot be used: {error}") from None
    if full and not is_regular(folder / MARK):
        raise UsageError(f"--out {out}: holds other files than a site; name a folder that is empty or not there")
    _last(folder)
    return folder


def put(site: Path, folder: Path) -> None:
    """Move a site to its folder. All of it lies beside its place first; then file by file takes the old one's place.

    The files of the last site that the new one lacks go at the end, with folders that are empty then. Raises UsageError
    where a file that is no site's is in the way: then nothing is changed.
    """
    new = sorted(path.relative_to(site).as_posix() for path in site.rglob("*") if not path.is_dir())
    last = _last(folder)
    _check_free(folder, new, last)
    with storage_errors(f"--out: cannot write {folder}"):
        make_folders(folder)
        with _staged(site, folder) as staged:
            _mark(folder, {*(last or ()), *new})  # of both, for a build that is ended here
            for place in new:
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                (staged / place).replace(folder / place)
        for place in sorted({*(last or ())} - {*new}):
            _remove(folder, place)
        _mark(folder, new)


def _last(folder: Path) -> frozenset[str] | None:
    """The places of the last site; none of an empty folder, None where no list was kept yet. Raises UsageError."""
    path = folder / MARK
    if not is_regular(path):
        return frozenset()
    try:
        text = read_regular(path, MAX_BYTES)
        if text == BEFORE:
            return None
        found = json.loads(text)["files"]
        if not isinstance(found, list) or not all(isinstance(place, str) and _is_below(place) for place in found):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError, UsageError):
        raise UsageError(
            f"{path}: is damaged: it must list the files of the site; remove the folder, or name another"
        ) from None
    return frozenset(found)


def _is_below(place: str) -> bool:
    """Whether a place is one that a site can have: below its folder, and nothing hidden."""
    return place == NO_JEKYLL or ("\0" not in place and all(part and part[0] != "." for part in place.split("/")))


def _check_free(folder: Path, new: Iterable[str], last: frozenset[str] | None) -> None:
    """Raises UsageError where the folder has something of its own in a place of the new site."""
    for place in new:
        path = folder / place
        unknown = last is not None and place not in last and (path.exists() or path.is_symlink())
        foreign = unknown or (path.is_dir() and not path.is_symlink())
        if foreign or not _is_reached(folder, path):
            raise UsageError(f"--out {folder}: {place} is in the way: the last site did not make it; move it elsewhere")


def _is_reached(folder: Path, path: Path) -> bool:
    """Whether the folders on the way to a path are folders or absent, and none is a link to another place."""
    between = [one for one in path.parents if one.is_relative_to(folder) and one != folder]
    return not any(one.is_symlink() or (one.exists() and not one.is_dir()) for one in between)


@contextlib.contextmanager
def _staged(site: Path, folder: Path) -> Iterator[Path]:
    """A copy of the site on the disk of its folder, which is gone afterwards, whatever happens."""
    staged = folder / NEXT
    try:
        if staged.is_dir() and not staged.is_symlink():
            shutil.rmtree(staged)  # of a build that was killed
        shutil.copytree(site, staged)
        yield staged
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _mark(folder: Path, places: Iterable[str]) -> None:
    told = {"made by": "benchbias site, which replaces these files and no others", "files": sorted(places)}
    replace_whole(folder / MARK, (json.dumps(told, indent=0) + "\n").encode())


def _remove(folder: Path, place: str) -> None:
    """Remove a file of the last site, and the folders that are empty then; nothing behind a link is touched."""
    path = folder / place
    if not _is_reached(folder, path) or not is_regular(path):
        return
    path.unlink()
    for parent in path.parents:
        if parent == folder:
            return
        try:
            parent.rmdir()
        except OSError:  # it holds something else
            return
