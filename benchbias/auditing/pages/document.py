"""An audit as a JSON document and back: the same audit has the same bytes; a published schema says what is in it."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

from benchbias.auditing.values import Audit
from benchbias.errors import DataError, NewerError, StorageError
from benchbias.util import canonical
from benchbias.util.packages import version_of

SCHEMA: Literal[1] = 1
SCHEMA_FILE = "audit.schema.json"


@dataclass(frozen=True, kw_only=True)
class Document(Audit):
    """The file of an audit, benchbias's version beside it. Shares, bounds and p values are no percents: 0.03 is 3."""

    schema: Literal[1]
    benchbias: str


def document(audit: Audit) -> dict[str, Any]:
    """The audit as a JSON document. A number that is unknown, or not finite, is null.

    Raises ValueError where a number that every audit has is not finite: nothing may be written that cannot be read.
    """
    found = {"schema": SCHEMA, "benchbias": version_of("benchbias"), **_plain(audit)}
    _adapter().validate_json(canonical.dumps(found))
    return found


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):  # numpy's numbers too: they have other texts
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "item"):
        return _plain(value.item())
    return value


def dumps(audit: Audit) -> str:
    """The JSON text of an audit: sorted keys, one value a line so that two are easily compared."""
    plain = canonical.plain(document(audit))
    return json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def loads(text: str | bytes, where: str = "the audit") -> Audit:
    """Read what `dumps` wrote. where: the file, for messages.

    Raises DataError for a text that is no audit, or one of a newer benchbias.
    """
    try:
        found = canonical.loads(text)
        canonical.refuse_newer(found, SCHEMA, where)
    except NewerError as error:
        raise DataError(str(error)) from None
    except StorageError as error:
        raise DataError(f"{where}: {error}") from None
    return _audit(found, where)


def _audit(found: Any, where: str) -> Audit:
    from pydantic import ValidationError

    try:
        read = _adapter().validate_json(canonical.dumps(found))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise DataError(f"{where} is no audit of benchbias: {place}: {first['msg']}") from None
    return Audit(**{item.name: getattr(read, item.name) for item in dataclasses.fields(Audit)})


@functools.cache
def _adapter() -> Any:
    """The pydantic adapter of a document: it converts nothing, and refuses a key that it does not know."""
    from pydantic import ConfigDict, TypeAdapter

    strict = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    checked = type("Document", (Document,), {"__pydantic_config__": strict, "__doc__": Document.__doc__})
    return TypeAdapter(checked)


def schema_text() -> str:
    """The published schema, as it lies beside this module."""
    return resources.files(__package__).joinpath(SCHEMA_FILE).read_text(encoding="utf-8")


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a document: every key with its type, and a text for every object."""
    found: dict[str, Any] = _untitled(_adapter().json_schema(mode="serialization"))
    found["required"] = sorted(found["properties"])
    for part in found["$defs"].values():
        part["required"] = sorted(part["properties"])
    found |= {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "benchbias audit"}
    found["properties"]["schema"] = {"const": SCHEMA}
    return found


def _untitled(value: Any) -> Any:
    """Leave out the titles and defaults that pydantic makes of names: every key is written."""
    if isinstance(value, dict):
        return {key: _untitled(item) for key, item in value.items() if key not in ("title", "default")}
    return [_untitled(item) for item in value] if isinstance(value, list) else value


def written_schema() -> str:
    """The text of the published schema, for the file beside this module."""
    return json.dumps(schema(), sort_keys=True, indent=1) + "\n"
