"""Names that come from data, of classes, attributes and splits: one rule for all that is printed, and near ones told.

They stand on boards, in records and in messages.
"""

from __future__ import annotations

import decimal
import unicodedata
from collections.abc import Iterable

from benchbias.errors import DataError

LONGEST_NAME = 64  # characters
FORBIDDEN = "/:|<>`[]"  # the marks of group names, of `aligned`, of tables and links
EMPTY_WORDS = ("nan", "na", "n/a", "none", "null", "nil", "nat", "<na>", "#n/a", "-", "?")
"""Words that programs write into cells that hold nothing."""
SPLITS = ("train", "val", "test", "val_balanced")


def check_name(text: str, what: str, where: str) -> None:
    """Raises DataError for a text that is no name."""
    if not 0 < len(text) <= LONGEST_NAME or not text.isprintable() or set(text) & set(FORBIDDEN):
        allowed = f"at most {LONGEST_NAME} printable characters, none of {FORBIDDEN}"
        raise DataError(f"{where}: the {what} {text!r:.80}: {allowed}")


def check_split(text: str, where: str) -> None:
    """Raises DataError for a text that is no split's name."""
    if text not in SPLITS and not (text.startswith("test-") and len(text) > len("test-")):
        known = ", ".join(SPLITS)
        raise DataError(
            f'{where}: unknown split {text!r:.80} (known: {known}, test-...); splits = {{ "0" = "train" }} says what '
            'a word means, "left-out" leaves its rows out'
        )
    check_name(text, "split", where)


def near_names(texts: Iterable[str]) -> list[list[str]]:
    """Sets of names that are not equal but likely meant to be: `1` and `1.0`, `disc` and `DISC`, `a b` and `a_b`."""
    alike: dict[str, list[str]] = {}
    for text in dict.fromkeys(texts):
        alike.setdefault(_folded(text), []).append(text)
    return [sorted(names) for names in alike.values() if len(names) > 1]


def _folded(text: str) -> str:
    """The common form of names that differ in case, accents, blanks, dashes, or in how a number is written."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    try:
        number = decimal.Decimal(plain)
        return f"number {number.normalize() + 0}" if number.is_finite() else plain
    except decimal.InvalidOperation:
        return "".join(c for c in plain if not c.isspace() and c not in "-_." and c.isprintable()) or plain
