"""A headless Chromium, and live servers for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a headless Chromium; the programs are those of Debian's chromium-driver."""
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    assert all(programs.values()), "apt-get install chromium chromium-driver"
    options = Options()
    options.binary_location = str(programs["chromium"])
    profile = tmp_path_factory.mktemp("profile")
    for word in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1000,900",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(programs["chromedriver"])))
    driver.set_page_load_timeout(30)
    yield driver
    driver.quit()


class Page:
    """The page of one server in the browser."""

    def __init__(self, driver: Any, port: int) -> None:
        self.driver = driver
        self.url = f"http://127.0.0.1:{port}/"
        driver.get(self.url)
        self.wait(lambda _: driver.execute_script("return document.body.dataset.ready"))

    def wait(self, until: Callable[[Any], Any]) -> Any:
        return WebDriverWait(self.driver, 15, poll_frequency=0.05).until(until)

    def find(self, selector: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return found

    def text(self, selector: str) -> str:
        return str(self.find(selector).text)

    def focused(self) -> Any:
        return self.driver.switch_to.active_element

    def wait_for_text(self, selector: str, part: str) -> None:
        self.wait(lambda _: part in self.text(selector))

    def console(self) -> list[str]:
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]

    def shoot(self, name: str) -> None:
        """Save a picture of the page where PYFUNC_SCREENSHOTS says, if it says so."""
        folder = os.environ.get("PYFUNC_SCREENSHOTS")
        if folder:
            height = self.driver.execute_script("return document.documentElement.scrollHeight")
            self.driver.set_window_size(1000, min(height + 150, 2200))
            self.driver.execute_script("scrollTo(0, 0)")
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))


@pytest.fixture
def open_page(browser: Any, live: Callable[..., Any]) -> Iterator[Callable[[Any], Page]]:
    """Return a function that serves an application and opens its page."""
    with ExitStack() as stack:
        yield lambda app: Page(browser, stack.enter_context(live(app)))
        browser.get("about:blank")
