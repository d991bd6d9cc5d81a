"""Pages in a headless Chromium: opened from disk, watched for requests and complaints, and checked by axe-core."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support import SUPPORT

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
AXE = SUPPORT / "vendor" / "axe.min.js"
WIDTHS, SCHEMES = (1280, 390), ("light", "dark")

LACKS = next(
    (
        reason
        for reason, lacking in (
            ("no Chromium: install Debian's package chromium", CHROMIUM is None),
            ("no playwright: pip install '.[browser]'", importlib.util.find_spec("playwright") is None),
        )
        if lacking
    ),
    None,
)
needs_chromium = pytest.mark.skipif(LACKS is not None, reason=LACKS or "")
"""Marks tests that open a browser: skipped, with the reason, where there is none."""


@dataclass
class Watched:
    """A page, with what it asked for and what it complained of since it was opened."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def sideways(self) -> int:
        """By how many pixels the page itself scrolls sideways."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def serious_faults(self) -> list[str]:
        """Serious and critical faults that axe-core finds, each with its first place."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        return [
            f"{one['id']} ({one['impact']}): {one['help']}: {one['nodes'][0]['html'][:200]}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(
    browser: Any, path: Path, width: int = 1280, scheme: str = "light", ready: str = "main h2"
) -> Iterator[Watched]:
    """A file in a page of its own, once it has what `ready` selects."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=False, reduced_motion="reduce"
    )
    page = context.new_page()
    watched = Watched(page)
    page.on("request", lambda request: watched.requests.append(request.url))
    page.on("console", lambda message: watched.complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: watched.complaints.append(f"error: {error}"))
    page.goto(path.resolve().as_uri())
    page.wait_for_selector(ready)
    yield watched
    context.close()
