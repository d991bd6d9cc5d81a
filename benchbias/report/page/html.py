"""A report's document -> one HTML file that opens from disk and asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

SCRIPTS = (
    "vendor/d3.min.js",
    "vendor/plot.umd.min.js",
    "shell.js",
    "overview.js",
    "table.js",
    "curves.js",
    "cost.js",
    "who.js",
    "gallery.js",
    "balance.js",
    "heat.js",
    "cards.js",
)
"""The scripts of the page in their order; sections stand in the order in which they register."""

STYLES = ("page.css", "who.css")


def page(document: Mapping[str, Any], title: str = "benchbias report") -> str:
    """The whole page. Only the scripts that stand in it may run, and nothing may be loaded from anywhere."""
    scripts = [_text(name) for name in SCRIPTS]
    style = "\n".join(_text(name) for name in STYLES)
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{html.escape(title)}</title>",
            '<link rel="icon" href="data:,">',
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            "<noscript><p>This report draws its tables and charts with JavaScript, which is switched off here.</p>"
            "</noscript>",
            f'<script type="application/json" id="document">{embedded(document)}</script>',
            *(f"<script>{script}</script>" for script in scripts),
            "</body>",
            "</html>",
            "",
        ]
    )


def embedded(document: Mapping[str, Any]) -> str:
    """JSON that means itself inside of a script element, in ASCII: no text of a record can end the element."""
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(scripts: Sequence[str]) -> str:
    """The content security policy: these scripts alone, styles and images of the page alone, no request."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{found}'" for found in hashes)
    parts = ("default-src 'none'", f"script-src {allowed}", "style-src 'unsafe-inline'", "img-src data:")
    return "; ".join((*parts, "base-uri 'none'", "form-action 'none'"))


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8").strip()
