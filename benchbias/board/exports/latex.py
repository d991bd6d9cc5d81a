"""A table for LaTeX, with booktabs: every text stands for itself, whatever is in it. No torch."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from types import MappingProxyType

SPELT: Mapping[str, str] = MappingProxyType(
    {
        **{c: f"\\{c}" for c in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"{\ttfamily\char34}",
        "`": r"\textasciigrave{}",
        "'": r"\textquotesingle{}",
        "[": "{[}",
        "]": "{]}",
        "*": "{*}",
        "\N{PLUS-MINUS SIGN}": r"$\pm$",
        "\N{MULTIPLICATION SIGN}": r"$\times$",
        "\N{MINUS SIGN}": "$-$",
        "\N{EN DASH}": r"\textendash{}",
        "\N{EM DASH}": r"\textemdash{}",
        "\N{DAGGER}": r"$\dagger$",
        "\N{NO-BREAK SPACE}": "~",
        "ß": r"\ss{}",
        "ø": r"\o{}",
        "Ø": r"\O{}",
        "æ": r"\ae{}",
        "Æ": r"\AE{}",
    }
)
"""Characters that mean something to LaTeX or join with their neighbours, and those of boards."""

ACCENTS: Mapping[str, str] = MappingProxyType(
    {
        "\u0300": "`",
        "\u0301": "'",
        "\u0302": "^",
        "\u0303": "~",
        "\u0304": "=",
        "\u0307": ".",
        "\u0308": '"',
        "\u030a": "r",
        "\u030b": "H",
        "\u030c": "v",
        "\u0327": "c",
        "\u0328": "k",
        "\u0306": "u",
    }
)
"""Combining marks, and the accents of LaTeX."""


NEGATIVE = re.compile(r"(?<![^\s(])-(?=\d)")
"""The sign of a negative number."""


def latex_text(text: str) -> str:
    """Text that means itself to any LaTeX; a character that pdfLaTeX has no letter for is told by its number."""
    line = " ".join(text.split())
    signed = NEGATIVE.sub("\N{MINUS SIGN}", line)
    return "".join(_character(c) for c in signed).replace("--", "-{}-").replace("--", "-{}-")


def _character(c: str) -> str:
    if c in SPELT:
        return SPELT[c]
    if c.isascii():
        return c if c.isprintable() else " "
    parts = unicodedata.normalize("NFD", c)
    if len(parts) == 2 and parts[0].isascii() and parts[0].isalpha() and parts[1] in ACCENTS:
        return f"\\{ACCENTS[parts[1]]}{{{parts[0]}}}"
    return f"{{[}}U+{ord(c):04X}{{]}}"


def latex_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    """A tabular with a comment that says what it needs, and its notes as comments and below."""
    lines = [
        rf"% \usepackage{{booktabs}}: {latex_text(title)}",
        rf"\begin{{tabular}}{{{'l' * len(header)}}}",
        r"\toprule",
        " & ".join(latex_text(name) for name in header) + r" \\",
        r"\midrule",
        *(" & ".join(latex_text(cell) for cell in row) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        *(f"% {latex_text(note)}" for note in notes),
    ]
    return "\n".join(lines) + "\n"
