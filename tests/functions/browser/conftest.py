"""The page of a store in a headless Chromium, served by the command itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving.browser.conftest import Page, browser

__all__ = ["StorePage", "browser", "open_store"]


class StorePage(Page):
    """The page of a store, at whatever place of it."""

    def go(self, place: str) -> None:
        """Open a place and wait until it is shown."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}#/{place}")
        self.wait(lambda _: self.shown() == f"#/{place}")

    def text(self, selector: str) -> str:
        # In one step: the page replaces its parts while a run goes on.
        script = "return document.querySelector(arguments[0])?.innerText ?? ''"
        return str(self.driver.execute_script(script, selector))

    def shown(self) -> str:
        return str(self.driver.execute_script("return document.body.dataset.ready"))


@pytest.fixture
def open_store(browser: Any) -> Iterator[Callable[[Path], StorePage]]:
    """Return a function that serves a store and opens its page."""
    processes: list[subprocess.Popen[str]] = []

    def start(root: Path) -> StorePage:
        command = [sys.executable, "-m", "pyfunc", "functions", "ui", "--port", "0"]
        process = subprocess.Popen(
            [*command, "--root", str(root)], stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout is not None
        port = int(process.stdout.readline().strip().rstrip("/").rpartition(":")[2])
        browser.get_log("browser")  # what others left there
        return StorePage(browser, port)

    yield start
    browser.get("about:blank")
    for process in processes:
        process.terminate()
        process.wait(60)
        assert process.stdout is not None
        process.stdout.close()
