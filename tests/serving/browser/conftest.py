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


# What is drawn on what: each text, the edge of each field and each bar of a chart, with the colour
# that is below it and how much contrast it must have (WCAG 2.2, 1.4.3 and 1.4.11).
FAINT = """
const colour = (text) => {
  const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
  return { rgb: [r, g, b], a };
};
const over = (top, below) => top.rgb.map((part, i) => part * top.a + below[i] * (1 - top.a));
const below = (node) => {
  const layers = [];
  for (let one = node; one; one = one.parentElement) {
    layers.push(colour(getComputedStyle(one).backgroundColor));
    if (layers.at(-1).a === 1) break;
  }
  return layers.reduceRight((rgb, layer) => over(layer, rgb), [255, 255, 255]);
};
const light = (rgb) => {
  const [r, g, b] = rgb.map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => {
  const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};
const faint = [];
let seen = 0;
const check = (node, text, ground, least, what) => {
  const top = colour(text), found = contrast(over(top, ground), ground);
  seen += 1;
  if (found < least) faint.push(`${found.toFixed(2)} of ${least}: ${what}`);
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement, said = walker.currentNode.data.trim();
  if (!said || ["SCRIPT", "OPTION"].includes(node.tagName)) continue;
  if (!node.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true })) continue;
  if (node.closest(":disabled")) continue;
  const style = getComputedStyle(node), isDrawn = node instanceof SVGElement;
  check(node, isDrawn ? style.fill : style.color, below(node), 4.5, said.slice(0, 40));
}
for (const node of document.querySelectorAll("input:not([type=radio]), select, textarea")) {
  if (!node.checkVisibility()) continue;
  const style = getComputedStyle(node);
  check(node, style.color, below(node), 4.5, "value of " + node.id);
  const edge = style.borderTopColor;
  if (node.type !== "checkbox") check(node, edge, below(node.parentElement), 3, "edge of a field");
  if (node.placeholder) {
    check(node, getComputedStyle(node, "::placeholder").color, below(node), 4.5, node.placeholder);
  }
}
for (const bar of document.querySelectorAll("svg .bar")) {
  const style = getComputedStyle(bar), { rgb } = colour(style.fill);
  const fill = `rgba(${rgb.join(",")},${style.opacity * style.fillOpacity})`;
  check(bar, fill, below(bar), 3, "a bar");
}
return { faint, seen };
"""
WIDTHS = (390, 1280)
MODES = ("light", "dark")


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

    def dress(self, mode: str = "", width: int = 0) -> None:
        """Let the browser prefer a colour mode and be as wide as this; neither is its own."""
        features = [{"name": "prefers-color-scheme", "value": mode}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self._measure(width, 900)

    def _measure(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 0, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def faint(self) -> list[str]:
        """Return what has less contrast to what is below it than it must have."""
        found = self.driver.execute_script(FAINT)
        assert found["seen"] > 3, "nothing was looked at"
        return list(found["faint"])

    def overhang(self) -> int:
        """Return by how much the page is wider than the window."""
        script = "return document.documentElement.scrollWidth - innerWidth"
        return max(0, int(self.driver.execute_script(script)))

    def shoot(self, name: str, width: int = 1200) -> None:
        """Save pictures of the page in both modes where PYFUNC_SCREENSHOTS says, if it says so."""
        folder = os.environ.get("PYFUNC_SCREENSHOTS")
        if not folder:
            return
        self._measure(width, 700)
        height = self.driver.execute_script("return document.documentElement.scrollHeight")
        for mode in MODES:
            self.dress(mode)
            self._measure(width, min(height, 1700))
            self.driver.execute_script("scrollTo(0, 0)")
            self.driver.save_screenshot(str(Path(folder) / f"{name}-{mode}.png"))
        self.dress()


@pytest.fixture
def open_page(browser: Any, live: Callable[..., Any]) -> Iterator[Callable[[Any], Page]]:
    """Return a function that serves an application and opens its page."""
    with ExitStack() as stack:
        pages: list[Page] = []

        def open_one(app: Any) -> Page:
            browser.get_log("browser")  # what others left there
            pages.append(Page(browser, stack.enter_context(live(app))))
            return pages[-1]

        yield open_one
        browser.get("about:blank")
        for page in pages[:1]:
            page.dress()  # for the next test
