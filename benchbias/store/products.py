"""The products of stages as files: written in one way, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbias.errors import StorageError
from benchbias.util import canonical
from benchbias.util.files import read_regular

SCHEMA = 1
MAX_OBJECT_BYTES = 64 << 20


@dataclass(frozen=True)
class Product:
    """The product of a stage: `body`, small and JSON; `blobs`, name -> sha256 of a file of tensors."""

    body: Mapping[str, Any]
    blobs: Mapping[str, str]


def product_text(key: str, inputs: Mapping[str, Any], body: Mapping[str, Any], blobs: Mapping[str, str]) -> bytes:
    """The file of a product: a function of its content."""
    content = {"inputs": dict(inputs), "body": dict(body), "blobs": dict(blobs)}
    document = {"schema": SCHEMA, "key": key, "sha256": canonical.digest(content), "content": content}
    return (canonical.dumps(document) + "\n").encode()


def read_product(path: Path, key: str) -> dict[str, Any]:
    """A product's content, whole by its own checks.

    Raises NewerError for a schema that is not known yet; UsageError, StorageError, KeyError, TypeError, AttributeError
    or ValueError for what is damaged; OSError and MemoryError where it could not be read, which says nothing of it.
    """
    document = canonical.loads(read_regular(path, MAX_OBJECT_BYTES))
    canonical.refuse_newer(document, SCHEMA, path)
    content: dict[str, Any] = document["content"]
    whole = (
        type(document["schema"]) is int
        and document["schema"] == SCHEMA
        and isinstance(content["body"], dict)
        and document["key"] == key == canonical.digest_of_parsed(content["inputs"])
        and document["sha256"] == canonical.digest_of_parsed(content)
        and all(canonical.is_digest(sha) for sha in content["blobs"].values())
    )
    if not whole:
        raise StorageError(f"{path} is damaged")
    return content
