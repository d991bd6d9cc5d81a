"""Fetching data sets: the only place that opens a connection, and never offline."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

from benchbias.data.reading.raw_files import SOURCES, missing, missing_folder, own_folder
from benchbias.errors import DataError
from benchbias.util.connections import offline
from benchbias.util.files import storage_errors


def provide(
    root: Path, missing_files: Iterable[tuple[str, str]], note: Callable[[str], None], *, offline: bool = False
) -> None:
    """Fetch raw files that are not there. Raises DataError for those that cannot be had; nothing is fetched then."""
    wanted = list(dict.fromkeys(missing_files))
    for kind, name in wanted:
        if kind == "folder":
            raise missing_folder(root, name)
        if offline:
            raise missing(root, name)
    for _, name in wanted:
        note(f"fetching {name} into {root}")
        fetch(root, name)


def fetch(root: Path, repository: str) -> Path:
    """Fetch a data set into the data folder: the repository from the hub or, where that fails, torchvision's files.

    The folder in which it now lies is returned; it appears whole or not at all. Raises DataError.
    """
    if offline():
        raise DataError(f"the data set {repository!r} is not there, and --offline allows no connection")
    try:
        return _from_hub(root, repository)
    except Exception as error:  # of the network, the hub, a proxy: whatever it is, there may be another place
        first = f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]
    known = SOURCES.get(repository)
    if known is None:
        raise DataError(f"the data set {repository!r} cannot be fetched from the hub: {first}")
    try:
        from torchvision import datasets

        root.mkdir(parents=True, exist_ok=True)
        getattr(datasets, known.torchvision)(str(root), download=True)  # checks the sums that it names
    except Exception as error:
        second = f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]
        raise DataError(
            f"the data set {repository!r} can be fetched neither from the hub ({first}) nor from torchvision's "
            f"mirrors ({second})"
        ) from None
    return root / known.folder


def _from_hub(root: Path, repository: str) -> Path:
    import huggingface_hub

    own = own_folder(root)
    target = root / repository if own.parent == root or not root.exists() else own / "hub" / repository
    with storage_errors(f"cannot write {target}"):
        target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        huggingface_hub.snapshot_download(repository, repo_type="dataset", local_dir=partial)
        shutil.rmtree(partial / ".cache", ignore_errors=True)  # what it notes for itself
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target
