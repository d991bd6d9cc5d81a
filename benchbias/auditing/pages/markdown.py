"""An audit as markdown for the comment of a pull request or a job's summary: short on top, the details folded."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from benchbias.auditing.pages import pareto, wording
from benchbias.auditing.pages.choosing import SLICES, Chosen, chosen, looked_for, slices
from benchbias.auditing.pages.exits import exit_code
from benchbias.auditing.pages.meaning import legend
from benchbias.auditing.pages.wording import Name, Sentence
from benchbias.auditing.values import Audit, Compared, Line
from benchbias.board.text import escaped
from benchbias.errors import UsageError, plain

MARKER = "<!-- benchbias audit: {key} -->"
"""The first line of every comment, which is not shown: a comment that begins so is brought up to date."""

LIMIT = 65_000  # bytes; a comment on GitHub has at most 65,536 characters
LONGEST_NAME = 80  # characters of a user's word
CUT = "\N{HORIZONTAL ELLIPSIS}"


def marker(key: str = "audit") -> str:
    """The hidden line of an audit's comment. key: a word of its own for each of several audits in one request.

    It has ASCII letters, digits, `_`, `.` and single `-`; UsageError is raised for another, which could end the line.
    """
    if (
        not key
        or not key.isascii()
        or not key.replace("-", "").replace("_", "").replace(".", "").isalnum()
        or "--" in key
    ):
        raise UsageError(f"the key of a comment has letters, digits, _, . and single - alone, not {key!r}")
    return MARKER.format(key=key)


def markdown(
    audit: Audit,
    *,
    code: int | None = None,
    key: str = "audit",
    changed: Sequence[str] = (),
    flips: str | None = None,
    limit: int = LIMIT,
) -> str:
    """Tell an audit in GitHub's markdown, in at most `limit` bytes of UTF-8: groups that do not fit are counted.

    code: the exit code, as the defaults make it where None. key: of the comment, see `marker`. changed: sentences of
    `changes`, told on top. flips: the file that lists the answers that changed. Raises UsageError for a bad key.
    """
    head = _head(audit, exit_code(audit) if code is None else code, key, changed)
    tail = _closing(audit)
    space = limit - _size([*head, *tail]) - 400  # for the sentences on what does not fit
    if pareto.worth_telling(audit):
        choice, space = _fitting(_pareto(audit), space // 2), space
        space -= _size(choice)
        tail = [*choice, "", *_machines(audit), *tail]
    body, space = _sections(audit, flips, space)
    found = _slices(audit)
    if _size(found) <= space:
        body, space = [*body, *found], space - _size(found)
    details = [part for model in audit.models for part in _details(model, audit, space // len(audit.models))]
    return "\n".join([*head, *body, *details, *tail]) + "\n"


def said(sentence: Sentence) -> str:
    """A sentence with the user's words in bold, escaped."""
    return "".join(f"**{word(part)}**" if isinstance(part, Name) else part for part in sentence)


def word(text: str) -> str:
    """A user's word that means itself, cut where it is very long."""
    short = text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + CUT
    return escaped(short) or " "


def _size(lines: Iterable[str]) -> int:
    return sum(len(line.encode(errors="replace")) + 1 for line in lines)


def _head(audit: Audit, code: int, key: str, changed: Sequence[str]) -> list[str]:
    verdict = wording.verdict_of(audit.models[0]) if len(audit.models) == 1 else audit.verdict
    loud, comma, rest = verdict.partition(",")
    lines = [marker(key), f"### **{loud.upper()}**{comma}{rest}: {said(wording.headline(audit))}", ""]
    if changed:
        lines += ["Changed since the last audit:", "", *(f"- {escaped(text)}" for text in changed[:20]), ""]
    return [*lines, f"{said(wording.pairs(audit))} Exit code {code}.", ""]


def _sections(audit: Audit, flips: str | None, space: int) -> tuple[list[str], int]:
    """The short section of each model that fits, and the bytes that are left."""
    lines: list[str] = []
    for at, model in enumerate(audit.models):
        section = _section(audit, model, flips)
        if _size(section) > space:
            left = len(audit.models) - at
            return [*lines, f"*{wording.counted(left, 'model')} did not fit in this comment.*", ""], 0
        lines += section
        space -= _size(section)
    return lines, space


def _section(audit: Audit, model: Compared, flips: str | None) -> list[str]:
    groups = chosen(model)
    lines = [f"#### {word(model.name)}: {wording.verdict_of(model)}", ""] if len(audit.models) > 1 else []
    lines += [said(wording.overall(model, audit)), ""]
    if groups.shown:
        lines += [*_rows(groups.shown, audit, model), ""]
    if left_out := groups.left_out():
        lines += [f"*{left_out}.*", ""]
    lines += [f"- {said(sentence)}" for sentence in [*wording.told(audit, model), wording.flips(model, audit, flips)]]
    return [*lines, *(f"- Warning: {escaped(warning.text)}" for warning in model.warnings), ""]


def _rows(lines: Sequence[Line], audit: Audit, model: Compared) -> list[str]:
    known = any(line.dense_right is not None for line in lines)
    names = [word(audit.dense), word(model.name)] if known else []
    bounds = f"{wording.confidence(audit.options.level)} % bounds"
    heads = ["group", "n", *names, "lost", "gained", *(["errors"] if known else []), "harm", bounds, "verdict"]
    rule = "|:--" + "|--:" * (len(heads) - 2) + "|:--|"
    return ["| " + " | ".join(heads) + " |", rule, *(_row(line, audit, known) for line in lines)]


def _row(line: Line, audit: Audit, known: bool) -> str:
    margin, shares = audit.options.margin, wording.right(line, audit.pairs)
    judged = wording.judged(line, margin)
    cells = [word(line.group.name), str(line.group.n)]
    if known:
        cells += [wording.points(share) for share in shares] if shares else ["", ""]
    cells += [str(line.lost), str(line.gained), *([wording.ratio_text(line)] if known else [])]
    cells += [wording.bound(line.harm, margin), wording.interval(line, margin)]
    return "| " + " | ".join([*cells, f"**{judged}**" if line.verdict == "harmed" else judged]) + " |"


def _details(model: Compared, audit: Audit, space: int) -> list[str]:
    """Every group of a model, folded: as many as fit."""
    groups = chosen(model, everything=True).shown
    if len(groups) <= len(chosen(model).shown) or space < 500:
        return []
    name = html.escape(plain(model.name[:LONGEST_NAME]))  # no markdown inside of a summary
    title = f"All {wording.counted(len(groups) + 1, 'group')} of <code>{name}</code>"
    frame = ["<details>", f"<summary>{title}</summary>", "", "", "</details>", ""]
    rows = _rows([model.lines[0], *groups], audit, model)
    kept = _fitting(rows, space - _size(frame) - 200)
    if len(kept) < 3:
        return []
    left = Chosen(groups, groups[max(0, len(kept) - 3) :]).left_out()
    note = ["", f"*{left}: they did not fit in this comment. The JSON has them all.*"] if left else []
    return [*frame[:3], *kept, *note, *frame[3:]]


def _fitting(rows: Sequence[str], space: int) -> list[str]:
    kept: list[str] = []
    for row in rows:
        space -= _size([row])
        if space < 0:
            break
        kept.append(row)
    return kept if len(kept) > 2 else []


def _pareto(audit: Audit) -> list[str]:
    heads, cells = pareto.table(audit)
    rule = "|" + "|".join(":--" if head in pareto.WORDS else "--:" for head in heads) + "|"
    rows = [[word(cell) if cell else "" for cell in row] for row in cells]
    return ["| " + " | ".join(heads) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows)]


def _slices(audit: Audit) -> list[str]:
    """The slices that were discovered; nothing where none were looked for."""
    if (found := audit.discovery) is None:
        return []
    rows = [[word(cell) for cell in row] for row in slices(found, audit)]
    rule = "|" + ":--|" * 3 + "--:|" * (len(SLICES) - 3)
    table = ["| " + " | ".join(SLICES) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows), ""]
    return ["#### Slices that were looked for", "", said(looked_for(found)), "", *(table if rows else [])]


def _machines(audit: Audit) -> list[str]:
    found = "; ".join(word(name) for name in pareto.machines(audit)[:5])
    return [f"ms: median (middle half), on {found}.", ""] if found else []


def _closing(audit: Audit) -> list[str]:
    nothing = wording.empty(audit.empty)
    lines = [said(nothing), ""] if nothing else []
    lines += [f"- Warning: {escaped(warning.text)}" for warning in audit.warnings]
    lines += [*([""] if audit.warnings else []), "<details>", "<summary>How to read this</summary>", ""]
    lines += [f"- {text}" for text in legend(audit)]
    lines += [f"- {said(sentence)}" for sentence in wording.settings(audit)]
    lines += [f"- Note: {escaped(note)}" for note in audit.notes]
    return [*lines, "", "</details>"]
