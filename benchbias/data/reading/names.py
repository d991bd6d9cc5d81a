"""Names that come from data, of classes, attributes and splits: one rule for all that is printed, and near ones named.

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
        remedy = "; write a time of day without colons, or keep the date alone" if ":" in text else ""
        raise DataError(f"{where}: the {what} {text!r:.80}: {allowed}{remedy}")


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


def mixed_scripts(text: str) -> list[str]:
    """The scripts of a name that mixes letters which look alike (Latin, Cyrillic, Greek); empty where it has one."""
    found = {unicodedata.name(c, "?").split()[0] for c in text if c.isalpha()} & {"LATIN", "CYRILLIC", "GREEK"}
    return sorted(found) if len(found) > 1 else []


def _is_unseen(character: str) -> bool:
    """Whether a mark leaves no trace in print: variation selectors, joiners, fillers."""
    code = ord(character)
    unseen = (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x3164, 0xFFA0)
    ranges = 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF
    return ranges or code in unseen or unicodedata.category(character) == "Cf"


def _folded(text: str) -> str:
    """The common form of names that differ in case, accents, blanks, dashes, or in how a number is written."""
    letters = (c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    plain = "".join(c for c in letters if not _is_unseen(c))
    try:
        number = decimal.Decimal(plain)
        return f"number {number.normalize() + 0}" if number.is_finite() else plain
    except decimal.InvalidOperation:
        return "".join(c for c in plain if not c.isspace() and c not in "-_." and c.isprintable()) or plain
