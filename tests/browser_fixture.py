"""A real browser for tests of pages: `pytest_plugins = ["tests.browser_fixture"]` in a test module."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """Return where a Chromium is; skip where none is, and fail under CI=true."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("Chromium is needed under CI=true (the system's package chromium)")
    if found is None:
        pytest.skip("no Chromium is installed (the system's package chromium)")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium without a window; its loop ends with the module, so that tests of asyncio are left alone."""
    path = chromium()
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        if os.environ.get("CI") == "true":
            pytest.fail("playwright is needed under CI=true")
        pytest.skip("playwright is not installed")
    with sync_playwright() as driver:
        # As root Chromium runs only without its sandbox; nothing but pages of our own is opened.
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()
