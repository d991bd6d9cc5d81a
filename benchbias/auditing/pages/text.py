"""An audit as text for a terminal: the verdict, the groups that matter, what is not known. ASCII, but for names."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.cells import cell_len

from benchbias.auditing.pages import pareto, wording
from benchbias.auditing.pages.choosing import chosen
from benchbias.auditing.pages.exits import exit_code
from benchbias.auditing.pages.meaning import legend
from benchbias.auditing.pages.wording import Name, Sentence
from benchbias.auditing.values import Audit, Compared, Line
from benchbias.errors import plain

NARROWEST = 40
STUCK = "\N{NO-BREAK SPACE}"
LONGEST_HEAD = 9  # characters of a model's name above a column
ALL_GROUPS = "--all-groups shows each"


def text(
    audit: Audit,
    *,
    width: int = 100,
    all_groups: bool = False,
    code: int | None = None,
    flips: str | None = None,
) -> str:
    """Tell an audit to a terminal of so many columns; the text ends with a newline.

    all_groups: each group, not only those that matter. code: the exit code, as the defaults make it where None.
    flips: the file that lists the answers that changed.
    """
    width = max(NARROWEST, width)
    lines = _head(audit, width, exit_code(audit) if code is None else code)
    for model in audit.models:
        if len(audit.models) > 1:
            lines += ["", *_wrapped(f"{said([Name(model.name)])}: {_loud(wording.verdict_of(model))}", width)]
        lines += _section(audit, model, width, all_groups, flips)
    if pareto.worth_telling(audit):
        lines += ["", *_pareto(audit, width)]
    lines += ["", *_closing(audit, width)]
    return "\n".join(lines) + "\n"


def said(sentence: Sentence) -> str:
    """A sentence with the user's words in quotes, without control characters."""
    return "".join(f'"{plain(part)}"' if isinstance(part, Name) else part for part in sentence)


def _wrapped(words: str, width: int, indent: str = "") -> list[str]:
    kept = words.replace(" %", f"{STUCK}%")  # a number and its sign stay on one line
    lines = textwrap.wrap(kept, width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)
    return [line.replace(f"{STUCK}%", " %") for line in lines] or [""]


def _head(audit: Audit, width: int, code: int) -> list[str]:
    names = "".join(plain(part) for part in wording.headline(audit))
    verdict = wording.verdict_of(audit.models[0]) if len(audit.models) == 1 else audit.verdict
    line, exit_text = f"{_loud(verdict)}  {names}", f"exit {code}"
    if len(line) + 2 + len(exit_text) <= width:
        return [line + exit_text.rjust(min(width, len(line) + 12) - len(line))]
    return _wrapped(f"{line}, {exit_text}", width, "  ")


def _loud(verdict: str) -> str:
    word, comma, rest = verdict.partition(",")
    return word.upper() + comma + rest


def _section(audit: Audit, model: Compared, width: int, all_groups: bool, flips: str | None) -> list[str]:
    lines = _wrapped(said(wording.overall(model, audit)), width)
    groups = chosen(model, everything=all_groups)
    if groups.shown:
        first = [model.lines[0]] if all_groups else []
        lines += ["", *_table([*first, *groups.shown], audit, model, width)]
    if left_out := groups.left_out():
        lines += _wrapped(f"{left_out}; {ALL_GROUPS}.", width)
    lines.append("")
    for sentence in [*wording.told(audit, model), wording.flips(model, audit, flips)]:
        lines += _wrapped(said(sentence), width, "  ")
    for warning in model.warnings:
        lines += _wrapped(f"warning: {plain(warning.text)}", width, "  ")
    return lines


def _cells(line: Line, audit: Audit) -> dict[str, str]:
    margin, shares = audit.options.margin, wording.right(line, audit.pairs)
    return {
        "group": plain(line.group.name),
        "n": str(line.group.n),
        "before": wording.points(shares[0]) if shares else "",
        "after": wording.points(shares[1]) if shares else "",
        "lost": str(line.lost),
        "gained": str(line.gained),
        "errors": wording.ratio_text(line),
        "harm": wording.bound(line.harm, margin),
        "bounds": wording.interval(line, margin),
        "verdict": wording.judged(line, margin),
    }


def _table(lines: Sequence[Line], audit: Audit, model: Compared, width: int) -> list[str]:
    """The table with as many columns as fit; two lines a group where not even the most needed ones do."""
    rows = [_cells(line, audit) for line in lines]
    heads = {key: key for key in rows[0]}
    heads["bounds"] = f"{wording.confidence(audit.options.level)} % bounds"
    short = [plain(name) for name in (audit.dense, model.name)]
    if short[0] != short[1] and all(len(name) <= LONGEST_HEAD for name in short):
        heads["before"], heads["after"] = short
    known = [key for key in heads if any(row[key] for row in rows)]
    for dropped in ((), ("errors",), ("errors", "before", "after"), ("errors", "before", "after", "lost", "gained")):
        keys = [key for key in known if key not in dropped]
        table = grid(
            [[row[key] for key in keys] for row in rows], [heads[key] for key in keys], left={0, len(keys) - 1}
        )
        if max(map(cell_len, table)) <= width:
            return table
    return [part for row, line in zip(rows, lines, strict=True) for part in _stacked(row, line, audit.pairs, width)]


def grid(rows: Sequence[Sequence[str]], heads: Sequence[str], left: set[int]) -> list[str]:
    """Columns two spaces apart; those of `left` begin at the left. Wide characters take two places."""
    cells = [list(heads), *map(list, rows)]
    widths = [max(cell_len(row[at]) for row in cells) for at in range(len(heads))]

    def padded(cell: str, at: int) -> str:
        space = " " * (widths[at] - cell_len(cell))
        return cell + space if at in left else space + cell

    return ["  ".join(padded(cell, at) for at, cell in enumerate(row)).rstrip() for row in cells]


def _stacked(row: dict[str, str], line: Line, pairs: int, width: int) -> list[str]:
    """One group in a few lines: its name with the verdict, then its numbers."""
    numbers = f"n {row['n']}, lost {row['lost']}, gained {row['gained']}, "
    numbers += f"harm {row['harm']} [{row['bounds'].replace(' .. ', ', ')}]"
    numbers += f", {told}" if (told := wording.errors(line, pairs)) else ""
    head = _wrapped(f"{row['group']}: {row['verdict']}", width, "  ")
    return [*head, *("    " + part for part in _wrapped(numbers, width - 4))]


def _pareto(audit: Audit, width: int) -> list[str]:
    heads, cells = pareto.table(audit)
    rows = [[plain(cell) for cell in row] for row in cells]
    table = grid(rows, heads, left={at for at, head in enumerate(heads) if head in pareto.WORDS})
    if max(map(cell_len, table)) > width:
        table = []
        for row in rows:
            told = [f"{head}: {cell}" for head, cell in zip(heads[1:], row[1:], strict=True) if cell not in ("", "-")]
            table += _wrapped(f"{row[0]}: {'; '.join(told)}", width, "    ")
    machines = "; ".join(map(plain, pareto.machines(audit)))
    return [*table, *(_wrapped(f"ms: median (middle half), on {machines}", width, "  ") if machines else ())]


def _closing(audit: Audit, width: int) -> list[str]:
    sentences = [said(wording.pairs(audit))]
    if (empty := wording.empty(audit.empty)) is not None:
        sentences.append(said(empty))
    sentences += [f"warning: {plain(warning.text)}" for warning in audit.warnings]
    sentences += [f"note: {plain(note)}" for note in audit.notes]
    lines = [part for sentence in sentences for part in _wrapped(sentence, width, "  ")]
    lines.append("")
    return [*lines, *(part for sentence in legend(audit) for part in _wrapped(sentence, width, "  "))]
