"""The attribute of every row: of one column or of several, of those that say nothing, or of none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from benchbias import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Missing = Literal["refuse", "group", "leave-out"]
WITHOUT = "all"  # the attribute of every row where none is asked for
MISSING = "missing"  # the attribute of rows whose cell is empty, as a group of its own
PRODUCT = "+"


def columns_of(attribute: str, further: Sequence[str], others: Sequence[str]) -> list[str]:
    """The columns of the attribute; none where it is "". others: columns of other roles. Raises DataError."""
    found = [*([attribute] if attribute else []), *further]
    if further and not attribute:
        raise DataError('attribute = "" asks for classes alone: further_attributes goes without it')
    if len({*found, *others}) < len(found) + len(others):
        raise DataError(f"a column stands in two places: {', '.join((*others, *found))[:300]}")
    return found


def attribute_of(values: Mapping[str, str], columns: Sequence[str], missing: Missing, where: str) -> str | None:
    """The attribute of a row: its cells joined by `+`; None where the row is left out. Raises DataError.

    values: column -> text, "" for an empty cell.
    """
    if not columns:
        return WITHOUT
    empty = next((column for column in columns if not values[column]), None)
    if empty is not None and missing == "refuse":
        raise DataError(
            f'{where}: column {empty!r:.80} is empty; missing = "group" makes those rows a group of their own, '
            '"leave-out" leaves them out'
        )
    if empty is not None and missing == "leave-out":
        return None
    for column in columns:
        if values[column] == MISSING and missing == "group":
            raise DataError(f"{where}: column {column!r:.80} says {MISSING!r}, the name of the group of empty cells")
        if PRODUCT in values[column] and len(columns) > 1:
            raise DataError(f"{where}: column {column!r:.80} has a {PRODUCT!r}, which joins the attributes of a row")
    return PRODUCT.join(values[column] or MISSING for column in columns)


def check_told(texts: Sequence[str], columns: Sequence[str], where: str) -> None:
    """Raises DataError where a column says of every row what stands for no attribute at all."""
    if columns and set(texts) == {WITHOUT}:
        told = " and ".join(columns)
        raise DataError(
            f'{where}: column {told!r:.80} says {WITHOUT!r} in every row: no attribute; attribute = "" asks for that'
        )


def left_out(number: int, columns: Sequence[str], where: str) -> list[str]:
    """A note on rows that were left out."""
    return [f"{where}: {number} rows are left out: no {' or '.join(columns)} stands there"] if number else []
