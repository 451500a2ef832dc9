"""The page of a store in a real browser: what it shows, and that text stays text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from selenium.webdriver.common.keys import Keys

from pyfunc.errors import RunError
from pyfunc.functions import Function, Project, Run
from tests.serving.browser.conftest import MODES, WIDTHS

Open = Callable[[Path], Any]
Make = Callable[..., Function]

ATTACKS = (
    "<img src=x onerror='window.hacked=1'>",
    "<script>window.hacked=1</script>",
    "\"'><svg onload=window.hacked=1>",
    "javascript:window.hacked=1",
    "</pre></title><b>bold</b>",
)
ALL = " ".join(ATTACKS)
CODE = f"""
from pyfunc.functions import handler

ALL = {ALL!r}

@handler(outputs=["clean", "said"])
def clean(raw, limit=2, note=ALL):
    return raw.as_df().head(limit), note

def train(rows):
    return rows.as_df().rename(columns={{"b": ALL}})

def fail(note=ALL):
    print(note)
    raise ValueError(note)

def wait(path):
    import time
    from pathlib import Path
    number = 0
    while not Path(path).exists():
        print("step", number, flush=True)
        number += 1
        time.sleep(0.05)
"""


@pytest.fixture
def runs(project: Project, make: Make) -> dict[str, Run]:
    frame = pd.DataFrame({"a": range(300), "b": [ALL, None, "plain"] * 100})
    raw = project.log_dataitem("raw", data=frame, description=ALL)
    first = make(CODE, "clean", "clean").run(inputs={"raw": raw}, parameters={"limit": 2})
    later = make(CODE, "train", "train").run(inputs={"rows": first.outputs()["clean"]})
    failing = make(CODE, "fail", "fail")
    with pytest.raises(RunError):
        failing.run(timeout=60)
    return {"clean": first, "train": later, "fail": failing.runs()[0]}


@pytest.fixture
def page(open_store: Open, root: Path, runs: dict[str, Run]) -> Any:
    return open_store(root)


def check_harmless(page: Any) -> None:
    assert page.driver.execute_script("return window.hacked === undefined")
    foreign = (
        "main img, main script, main b:not(.numbers b), main svg[onload], a[href^=javascript]"
    )
    assert page.all(foreign) == []
    assert page.console() == []


def test_from_the_projects_to_a_run(page: Any, runs: dict[str, Run]) -> None:
    page.wait_for_text("h1", "Projects")
    page.find(".card").click()
    page.wait(lambda _: page.all("tbody tr"))
    states = [pill.text for pill in page.all("tbody .state")]
    assert states == ["ERROR", "COMPLETED", "COMPLETED"]
    page.find("a[href*=state]:not([aria-current])").click()
    page.wait(lambda _: len(page.all("tbody tr")) != 3)
    page.find("tbody a").click()
    page.wait(lambda _: page.all("#log"))
    check_harmless(page)


def test_a_run_shows_what_it_took_and_gave(page: Any, runs: dict[str, Run]) -> None:
    page.go(f"demo/runs/{runs['clean'].id}")
    assert page.text("h1") == "clean"
    assert page.text(".title .state") == "COMPLETED"
    boxes = page.text("main")
    for words in ("Inputs", "Parameters", "Outputs", "Results", ALL, "attempt 1 starts"):
        assert words in boxes, words
    nodes = [node.text.split("\n")[0] for node in page.all("svg .node")]
    assert nodes == ["clean", "raw", "clean", "train"]
    assert len(page.all("svg .edge")) == 3
    page.find("svg a[aria-label='run train']").click()
    page.wait(lambda _: page.shown() == f"#/demo/runs/{runs['train'].id}")
    assert page.text("h1") == "train"
    check_harmless(page)
    page.shoot("functions-run")


@pytest.mark.parametrize("place", ["", "demo", "demo/functions", "demo/dataitems"])
def test_text_stays_text_in_lists(page: Any, place: str) -> None:
    page.go(place)
    check_harmless(page)


def test_text_stays_text_in_logs_tables_and_errors(page: Any, runs: dict[str, Run]) -> None:
    page.go(f"demo/runs/{runs['fail'].id}")
    assert ALL in page.text(".problem")
    assert ALL in page.text("#log")
    page.find("details summary").click()
    check_harmless(page)
    output = runs["train"].outputs()["output_0"]
    page.go(f"demo/dataitems/output_0/{output.id}")
    assert ALL in page.text("#preview thead")
    assert ALL in page.text("#preview tbody")
    check_harmless(page)
    raw = str(runs["clean"].spec.inputs["raw"]).rpartition(":")[2]
    page.go(f"demo/dataitems/raw/{raw}")
    assert ALL in page.text("main")
    assert "The first 50 of 300 rows." in page.text("main")
    check_harmless(page)


def test_a_log_is_followed_until_the_run_has_ended(
    page: Any, make: Make, project: Project, tmp_path: Path
) -> None:
    path = tmp_path / "end"
    run = make(CODE, "wait", "wait").run(parameters={"path": str(path)}, wait=False)
    page.go(f"demo/runs/{run.id}")
    page.wait_for_text("#log", "step 3")
    before = page.text("#log")
    page.wait(lambda _: len(page.text("#log")) > len(before))
    page.wait(lambda _: page.text(".title .state") == "RUNNING")
    path.touch()
    page.wait(lambda _: page.text(".title .state") == "COMPLETED")
    page.wait_for_text("#log", "completed")
    shown = page.driver.execute_script("return document.querySelector('#log').textContent")
    assert shown == (project.get_run(run.id).path / "log.txt").read_text()
    check_harmless(page)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_view_can_be_read(page: Any, runs: dict[str, Run], mode: str, width: int) -> None:
    output = runs["train"].outputs()["output_0"]
    page.dress(mode, width)
    for place in (
        "",
        "demo",
        "demo/functions",
        "demo/models",
        f"demo/runs/{runs['clean'].id}",
        f"demo/runs/{runs['fail'].id}",
        f"demo/dataitems/output_0/{output.id}",
        "nowhere",
    ):
        page.go(place)
        for details in page.all("details"):
            page.driver.execute_script("arguments[0].open = true", details)
        assert page.faint() == [], place
        assert page.overhang() == 0, place
    page.dress()


def test_numbers_of_a_preview_are_rounded_and_whole_on_demand(
    page: Any, project: Project, runs: dict[str, Run]
) -> None:
    frame = pd.DataFrame({"x": [i / 7 for i in range(20)], "id": range(20), "zip": ["007"] * 20})
    item = project.log_dataitem("numbers", data=frame)
    page.go(f"demo/dataitems/numbers/{item.id}")
    cells = page.all("#preview tbody tr:nth-child(2) td")
    assert [cell.text for cell in cells] == ["0.14286", "1", "007"]
    assert page.driver.execute_script("return document.querySelectorAll('.histogram').length") == 3
    cells[0].click()
    assert page.text(".detail") == f"x, row 2\n{1 / 7}"
    check_harmless(page)


def test_both_colour_modes(page: Any, runs: dict[str, Run]) -> None:
    seen = {}
    for mode in ("light", "dark"):
        page.dress(mode)
        page.go(f"demo/runs/{runs['clean'].id}")
        script = """
            const rgb = (node, part) => getComputedStyle(node)[part].match(/[\\d.]+/g).map(Number);
            const light = ([r, g, b]) => (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
            const box = document.querySelector("section"), text = document.querySelector("h2");
            return [light(rgb(box, "backgroundColor")), light(rgb(text, "color"))];
        """
        seen[mode] = page.driver.execute_script(script)
    page.dress("")
    (paper, ink), (dark_paper, dark_ink) = seen["light"], seen["dark"]
    assert paper - ink > 0.7
    assert dark_ink - dark_paper > 0.7


def test_the_keyboard_reaches_the_content(page: Any) -> None:
    page.find("body").send_keys(Keys.TAB)
    assert page.focused().text == "Go to the content"
    page.focused().send_keys(Keys.ENTER)
    page.focused().send_keys(Keys.TAB)
    assert page.focused().text.startswith("demo")
    page.focused().send_keys(Keys.ENTER)
    page.wait(lambda _: page.all("tbody tr"))
    assert page.focused().tag_name == "main"


def test_what_is_not_there_is_told(page: Any) -> None:
    page.go(f"demo/runs/{'0' * 32}")
    assert "there is no run" in page.text("#problem")
    page.console()  # the browser notes the 404
    page.go("demo/models")
    assert "nothing of this kind yet" in page.text("main")
    check_harmless(page)
