"""An audit as one HTML file that needs nothing else: for a reader who has never heard of a confidence bound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from types import MappingProxyType

from benchbias.auditing.pages import pareto, wording
from benchbias.auditing.pages.chart import KINDS, chart
from benchbias.auditing.pages.choosing import SLICES, chosen, looked_for, slices
from benchbias.auditing.pages.exits import exit_code
from benchbias.auditing.pages.gallery import Album, Lost
from benchbias.auditing.pages.meaning import legend, meaning, not_said
from benchbias.auditing.pages.wording import Name, Sentence
from benchbias.auditing.values import Audit, Compared, Line
from benchbias.errors import plain

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""The page loads nothing, from nowhere."""

TEXT = ' class="text"'
MOST_ROWS = 2000  # of a table of groups: a browser must open the page
TONES = MappingProxyType({"harmed": "harmed", "pass": "safe", "undecided": "open"})


def html(
    audit: Audit,
    gallery: Sequence[Album] = (),
    *,
    code: int | None = None,
    changed: Sequence[str] = (),
    flips: str | None = None,
) -> str:
    """Tell an audit as a page. gallery: lost examples, see `gallery.gathered`.

    code: the exit code, as the defaults make it where None. changed: sentences of `changes`. flips: the file that
    lists the answers that changed.
    """
    names = "".join(wording.headline(audit))
    body = [_banner(audit, exit_code(audit) if code is None else code)]
    if changed:
        body.append(f"<h2>Changed since the last audit</h2>{_bullets(map(_shown, changed))}")
    for model in audit.models:
        body.append(_section(audit, model, flips, [album for album in gallery if album.model == model.name]))
    body += [_slices(audit), _choice(audit), _limits(audit), _legend(audit), _settings(audit)]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_shown(audit.verdict.capitalize())}: {_shown(names)}</title>\n<style>\n{_file('page.css')}</style>\n"
        "</head>\n<body>\n" + "\n".join(part for part in body if part) + "\n"
        f"<script>\n{_file('page.js')}</script>\n</body>\n</html>\n"
    )


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _banner(audit: Audit, code: int) -> str:
    verdict = wording.verdict_of(audit.models[0]) if len(audit.models) == 1 else audit.verdict
    word, comma, rest = verdict.partition(",")
    return (
        f'<header class="banner {audit.verdict}"><h1><span class="word">{word}</span>{comma}{rest}</h1>'
        f"<p>{_said(wording.headline(audit))}.</p>"
        f'<p class="soft">{_said(wording.pairs(audit))} Exit code {code}.</p></header>'
    )


def _section(audit: Audit, model: Compared, flips: str | None, albums: Sequence[Album]) -> str:
    title = f"{_said([Name(model.name)])}: {wording.verdict_of(model)}" if len(audit.models) > 1 else "What this means"
    groups, everything = chosen(model), chosen(model, everything=True)
    meant = "".join(_said(sentence) for sentence in meaning(audit, model))
    parts = [f"<section><h2>{title}</h2>", f"<p>{meant}</p>", f"<p>{_said(wording.overall(model, audit))}</p>"]
    if groups.shown:
        parts += ["<h3>Harm by group</h3>", chart([model.lines[0], *groups.shown], audit.options.margin)]
    if left_out := groups.left_out():
        where = "the table has them all" if len(everything.shown) <= MOST_ROWS else "the JSON has them all"
        parts.append(f'<p class="soft">{left_out}; {where}.</p>')
    sentences = [_said(sentence) for sentence in [*wording.told(audit, model), wording.flips(model, audit, flips)]]
    parts.append(_bullets([*sentences, *(f"Warning: {_shown(warning.text)}" for warning in model.warnings)]))
    if everything.shown:
        parts.append(_groups([model.lines[0], *everything.shown[:MOST_ROWS]], audit, model))
    return "".join([*parts, _albums(albums, flips), "</section>"])


def _albums(albums: Sequence[Album], flips: str | None) -> str:
    if not albums:
        return ""
    parts = ["<h3>Lost examples</h3>"]
    rest = f"{_said([Name(flips)])} lists" if flips else "<code>--flips FILE</code> lists"
    parts.append(
        '<p class="soft">The dense model is right here and the compressed one is wrong: '
        f"answer of the dense model &rarr; answer of the compressed one. {rest} every lost example.</p>"
    )
    for album in albums:
        pictures = any(lost.picture for lost in album.lost)
        count = wording.counted(album.number, "lost example")
        here = "all shown" if len(album.lost) == album.number else f"{len(album.lost)} shown here"
        items = "".join(_lost(lost) for lost in album.lost)
        parts.append(
            f"<details{' open' if album is albums[0] else ''}><summary>{_said([Name(album.group)])}: {count}, {here}"
            f'</summary><ul class="album{"" if pictures else " ids"}">{items}</ul></details>'
        )
    return "".join(parts)


def _lost(lost: Lost) -> str:
    label, answer, name = _shown(lost.label), _shown(lost.answer), _shown(lost.id)
    image = f'<img src="{escape(lost.picture)}" alt="{name}">' if lost.picture else ""
    return f"<li>{image}<bdi>{name}</bdi><br>{label} &rarr; {answer}</li>"


def _slices(audit: Audit) -> str:
    """The slices that were discovered; nothing where none were looked for."""
    if (found := audit.discovery) is None:
        return ""
    rows = ""
    for row in slices(found, audit):
        tone = TONES.get(row[2], "")
        cells = [f"<td><bdi>{_shown(row[0])}</bdi></td>", f'<td class="text wide"><bdi>{_shown(row[1])}</bdi></td>']
        cells += [f'<td class="text {tone}">{_shown(row[2])}</td>', *(f"<td>{_shown(cell)}</td>" for cell in row[3:])]
        rows += f"<tr>{''.join(cells)}</tr>"
    table = _table(SLICES, rows) if rows else ""
    return f"<section><h2>Slices that were looked for</h2><p>{_said(looked_for(found))}</p>{table}</section>"


def _choice(audit: Audit) -> str:
    if not pareto.worth_telling(audit):
        return ""
    machines = "; ".join(map(_shown, pareto.machines(audit)))
    note = f'<p class="soft">ms: median (middle half), on {machines}.</p>' if machines else ""
    beaten = "A model is dominated by another one that is nowhere worse in this table, and somewhere better."
    told = f"<p>{beaten}</p>" if any(offer.dominated for offer in pareto.offers(audit)) else ""
    return f"<section><h2>Harm, size and speed</h2>{told}{_offers(audit)}{note}</section>"


def _limits(audit: Audit) -> str:
    told = [_said(sentence) for sentence in not_said(audit)]
    nothing = wording.empty(audit.empty)
    told += [_said(nothing)] if nothing else []
    warnings = [f"Warning: {_shown(warning.text)}" for warning in audit.warnings]
    part = f"<h2>Warnings</h2>{_bullets(warnings)}" if warnings else ""
    return f"<section>{part}<h2>What this does not say</h2>{_bullets(told)}</section>"


def _legend(audit: Audit) -> str:
    terms = []
    for text in legend(audit):
        term, _, meant = text.partition(": ")
        terms.append(f"<b>{_shown(term)}</b>: {_shown(meant)}")
    return f"<section><h2>The words</h2>{_bullets(terms)}</section>"


def _settings(audit: Audit) -> str:
    told = [_said(sentence) for sentence in wording.settings(audit)]
    return f"<section><h2>Settings</h2>{_bullets([*told, *map(_shown, audit.notes)])}</section>"


def _shown(text: str) -> str:
    """Text without control characters, escaped."""
    return escape(plain(text))


def _said(sentence: Sentence) -> str:
    """A sentence with the user's words set apart, and our arrows drawn."""
    return "".join(
        f"<b><bdi>{_shown(part)}</bdi></b>" if isinstance(part, Name) else _shown(part).replace("-&gt;", "&rarr;")
        for part in sentence
    )


def _bullets(items: Iterable[str]) -> str:
    """A list of HTML parts; nothing where there are none."""
    parts = "".join(f"<li>{item}</li>" for item in items)
    return f"<ul>{parts}</ul>" if parts else ""


def _groups(lines: Sequence[Line], audit: Audit, model: Compared) -> str:
    """Every group of a model with all that is known of it, folded."""
    known = any(line.dense_right is not None for line in lines)
    scored = any(line.confidence is not None for line in lines)
    right = [f"{audit.dense}, % right", f"{model.name}, % right"] if known else []
    heads = ["group", "verdict", "n", *right, "lost", "gained", *(["errors"] if known else []), "harm"]
    heads += [f"{wording.confidence(audit.options.level)} % bounds", "p", "p, adjusted", "churn, %"]
    heads += ["confidence fell"] if scored else []
    rows = "".join(_row(line, audit, known=known, scored=scored) for line in lines)
    whole = len(lines) == len(model.lines)
    title = f"Table of {'all' if whole else 'the first'} {wording.counted(len(lines), 'group')}"
    return f"<details><summary>{title}</summary>{_table(heads, rows, 'sortable')}</details>"


def _table(heads: Sequence[str], rows: str, kind: str = "") -> str:
    cells = "".join(
        f'<th scope="col"{TEXT if head in (*pareto.WORDS, "slice") else ""}>{_shown(head)}</th>' for head in heads
    )
    opening = f'<table class="{kind}">' if kind else "<table>"
    return f'<div class="scroll">{opening}<thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table></div>'


def _row(line: Line, audit: Audit, *, known: bool, scored: bool) -> str:
    margin, shares = audit.options.margin, wording.right(line, audit.pairs)
    alias = f"<br><small>same examples: {_shown(', '.join(line.group.alias))}</small>" if line.group.alias else ""
    units = (
        f" <small>in {wording.counted(line.group.units, 'cluster')}</small>" if line.group.units != line.group.n else ""
    )
    cells = [
        f"<td><bdi>{_shown(line.group.name)}</bdi>{alias}</td>",
        f'<td class="text {KINDS[line.verdict]}">{_shown(wording.judged(line, margin))}{_gate(line)}</td>',
        f'<td data-value="{line.group.n}">{line.group.n}{units}</td>',
    ]
    if known:
        cells += [_cell(share, wording.points(share)) for share in shares] if shares else ["<td></td>", "<td></td>"]
    cells += [_cell(line.lost, str(line.lost)), _cell(line.gained, str(line.gained))]
    if known:
        cells.append(_cell(line.error_ratio, wording.ratio_text(line)))
    cells.append(_cell(line.harm, wording.bound(line.harm, margin)))
    cells += [_cell(line.upper, wording.interval(line, margin)), _cell(line.p, wording.p_text(line.p))]
    cells += [_cell(line.adjusted, wording.p_text(line.adjusted)), _cell(line.churn, wording.points(line.churn))]
    if scored:
        fall = line.confidence
        cells.append(_cell(fall, "" if fall is None else wording.points(fall)))
    return f"<tr>{''.join(cells)}</tr>"


def _gate(line: Line) -> str:
    """A mark of single values that a pass does not need; crossings never are, as their names say."""
    return "" if line.group.gated or len(line.group.parts) > 1 else " <small>(not needed for a pass)</small>"


def _cell(value: float | None, text: str) -> str:
    """A cell that sorts by its value."""
    return f'<td data-value="{"" if value is None else format(value, ".6g")}">{_shown(text)}</td>'


def _offers(audit: Audit) -> str:
    """The choice between the models: harm, size, speed."""
    heads, cells = pareto.table(audit)
    rows = ""
    for row in cells:
        parts = [f"<td><bdi>{_shown(row[0])}</bdi></td>"]
        for head, cell in zip(heads[1:], row[1:], strict=True):
            kind = f' class="text {TONES.get(cell, "")}"' if head in pareto.WORDS else ""
            parts.append(f"<td{kind}>{_shown(cell)}</td>")
        rows += f"<tr>{''.join(parts)}</tr>"
    return _table(heads, rows)
