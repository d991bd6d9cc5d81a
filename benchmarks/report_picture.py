"""The picture of README: the first part of a suite's report, as Chromium shows it.

`python benchmarks/report_picture.py leaderboard spurious-small docs/report.png`
(needs `pip install '.[browser]'` and Chromium)
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

WIDTH, COLOURS = 1180, 64


def main(folder: str, suite: str, picture: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "report.html"
        subprocess.run(["benchbias", "report", suite, "--records", folder, "-o", str(page)], check=True)
        shot = io.BytesIO(overview(page))
    Image.open(shot).convert("RGB").quantize(COLOURS).save(picture, optimize=True)


def overview(page: Path) -> bytes:
    """The page from its top to the end of its first chart, as PNG."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
        shown.goto(page.as_uri())
        bottom = shown.locator("svg").first.evaluate("chart => chart.getBoundingClientRect().bottom + window.scrollY")
        found = shown.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": bottom + 12})
        browser.close()
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
