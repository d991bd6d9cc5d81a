"""One way to write a value as JSON, so that equal values have equal bytes and equal hashes."""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
from collections.abc import Mapping
from typing import Any

from benchbias.errors import NewerError, StorageError

DIGEST_LENGTH = 64  # hexadecimal digits of a sha256
MAX_DEPTH = 40  # nested lists and tables in a document that we read


def plain(value: Any) -> Any:
    """Copy a value with text in NFC and tuples as lists; anything that JSON cannot hold exactly is refused."""
    if isinstance(value, str):
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        table = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"a JSON key must be text, not {key!r}")
            name = key if key.isascii() else unicodedata.normalize("NFC", key)
            table[name] = item if type(item) in _AS_THEY_ARE else plain(item)
        if len(table) != len(value):
            raise ValueError("two keys are the same text in another Unicode form")
        return table
    if isinstance(value, list | tuple):
        return [item if type(item) in _AS_THEY_ARE else plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical JSON form")


_AS_THEY_ARE = frozenset((int, float, bool, type(None)))  # a plan has a million values: most need no call


def dumps(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, NFC text, floats by repr, no NaN. Raises ValueError, TypeError."""
    return _dumps(plain(value))


_WRITER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _dumps(value: Any) -> str:
    return _WRITER.encode(value)


def digest_of_parsed(value: Any) -> str:
    """The same as `digest`, faster, for a value that `plain` has made or `loads` has read from canonical JSON."""
    return hashlib.sha256(_dumps(value).encode()).hexdigest()


def digest(value: Any) -> str:
    """The sha256 (hexadecimal) of a value's canonical JSON."""
    return hashlib.sha256(dumps(value).encode()).hexdigest()


def loads(text: str | bytes) -> Any:
    """Parse JSON strictly: no NaN or infinity, no key twice, no deep nesting, whole characters. Raises StorageError."""
    try:
        whole = text if isinstance(text, str) else text.decode(json.detect_encoding(text))
        value = json.loads(whole, object_pairs_hook=_table, parse_constant=_constant, parse_float=_finite)
        _check_depth(value, MAX_DEPTH)
        if not whole.isascii() or "\\u" in whole:  # only then can there be half of a surrogate pair
            _dumps(value).encode()
    except (ValueError, RecursionError) as error:
        raise StorageError(f"not a valid JSON document: {error}") from None
    return value


def _table(items: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(items)
    if len(table) != len(items):
        raise ValueError("a key stands twice")
    return table


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not allowed")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is not finite")
    return number


def _check_depth(value: Any, depth: int) -> None:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if items and depth <= 0:
        raise ValueError("nested too deeply")
    for item in [item for item in items if type(item) in (dict, list)]:
        _check_depth(item, depth - 1)


def is_digest(text: object) -> bool:
    """Whether `text` is a sha256 in lower-case hexadecimal."""
    return isinstance(text, str) and len(text) == DIGEST_LENGTH and not set(text) - set("0123456789abcdef")


def refuse_newer(document: object, known: int, where: object) -> None:
    """Raises NewerError for a document of a schema later than the one that is known."""
    schema = document.get("schema") if isinstance(document, dict) else None
    if isinstance(schema, int) and not isinstance(schema, bool) and schema > known:
        raise NewerError(
            f"{where} was made by a newer benchbias (schema {schema}, known here: {known}): upgrade benchbias; "
            "nothing was moved or changed"
        )
