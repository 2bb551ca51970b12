"""The system's Chromium for tests of pages; skip where there is none, and fail under CI=true."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.resources import files
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


def path() -> str:
    """Return where the browser is."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is not None:
        return found
    return missing(f"none of {', '.join(NAMES)} is installed (apt-get install chromium)")


def missing(words: str) -> Any:
    """Skip a test for what is not there; under CI=true it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{words}, which CI=true needs")
    pytest.skip(words)


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return missing(f"{name} is missing (the test group has it)")


@contextmanager
def browser() -> Iterator[Any]:
    """Open the browser for the tests of one module.

    Not for a whole session: as long as it is open, the thread has a running event loop, and asynchronous
    tests could not run.
    """
    executable = path()
    sync_api = _module("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        try:
            yield opened
        finally:
            opened.close()


def accessibility_faults(page: Any) -> list[str]:
    """Return what axe-core finds wrong with a page by WCAG 2.2 AA and good practice."""
    axe = _module("axe_playwright_python")
    page.evaluate((files(axe) / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate(_RUN_AXE)
    return [f"{fault['id']}: {fault['nodes'][0]['html'][:120]}" for fault in found["violations"]]


_RUN_AXE = """() => axe.run(document, {
  runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
})"""


class Seen:
    """What a page logged, and what it asked of any network."""

    def __init__(self, page: Any) -> None:
        self.messages: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.messages.append(message.text))
        page.on("pageerror", lambda error: self.messages.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))


# Contrast of every text with what lies behind it: WCAG 2.2, 1.4.3 and its definition of relative luminance.
FAINT_TEXTS = """() => {
  const luminance = ([r, g, b]) => [r, g, b].reduce((sum, value, place) => {
    const channel = value / 255;
    const linear = channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
    return sum + linear * [0.2126, 0.7152, 0.0722][place];
  }, 0);
  const colour = (text) => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = colour(getComputedStyle(at).backgroundColor);
      if (found.length < 4 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    const isRead = !["SCRIPT", "STYLE", "TITLE", "DESC"].includes(element.tagName.toUpperCase());
    if (!node.textContent.trim() || !isRead) continue;
    const style = getComputedStyle(element);
    if (!element.getClientRects().length || style.visibility === "hidden") continue;
    const ink = colour(element.closest("svg") ? style.fill : style.color);
    const [low, high] = [luminance(ink), luminance(ground(element))].sort((a, b) => a - b);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) faint.push(`${contrast.toFixed(2)} ${node.textContent.trim().slice(0, 40)}`);
  }
  return faint;
}"""
