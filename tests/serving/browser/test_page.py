"""The page in a real browser: forms, keys, and its empty, error and long states."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from selenium.webdriver.common.keys import Keys

from pyfunc.schema import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec

AppOf = Callable[..., Any]
Open = Callable[[Any], Any]

FLOWERS = Schema(
    [
        ColSpec("double", "sepal length"),
        ColSpec("long", "petals"),
        ColSpec("string", "garden"),
        ColSpec("boolean", "wild", required=False),
    ]
)
EXAMPLE = pd.DataFrame(
    {
        "sepal length": [5.1, 6.2],
        "petals": [3, 4],
        "garden": ["north", "south"],
        "wild": [True, False],
    }
)
SCALE = ParamSchema([ParamSpec("scale", "double", 2.0)])


def score(frame: Any, params: Any) -> Any:
    if (frame["petals"] < 0).any():
        raise ValueError("a secret of the model")
    scores = frame["sepal length"] * frame["petals"] * params["scale"]
    return pd.DataFrame({"score": scores, "garden": frame["garden"]})


@pytest.fixture
def flowers(app_of: AppOf, open_page: Open) -> Any:
    """Return the page of a model with a form, an example and a parameter."""
    app = app_of(score, FLOWERS, params=SCALE, example=EXAMPLE, artifact_path="flowers")
    return open_page(app)


def send(page: Any) -> None:
    page.find("#send").click()


def answer_cells(page: Any) -> list[list[str]]:
    rows = page.all("#predictions tbody tr")
    return [[cell.text for cell in row.find_elements("css selector", "td")] for row in rows]


def test_the_page_says_what_the_model_is(flowers: Any) -> None:
    assert flowers.text("h1") == "flowers"
    assert "Python function" in flowers.text("#about")
    signature = flowers.text("#signature")
    for word in ("sepal length", "double", "boolean, optional", "scale"):
        assert word in signature
    assert flowers.driver.title.startswith("flowers")


def test_the_form_is_filled_from_the_example_and_predicts(flowers: Any) -> None:
    values = [cell.get_attribute("value") for cell in flowers.all("#rows .cell")]
    assert values == ["5.1", "3", "north", "true", "6.2", "4", "south", "false"]
    assert flowers.text("#state") == "No request has been sent yet."
    send(flowers)
    flowers.wait_for_text("#state", "Answered in")
    assert answer_cells(flowers) == [["30.6", "north"], ["49.6", "south"]]
    assert flowers.find("#predictions td").get_attribute("title") == "30.599999999999998"


def test_values_and_parameters_of_the_form_are_sent(flowers: Any) -> None:
    send(flowers)
    flowers.wait_for_text("#state", "Answered in")
    first = flowers.find("#rows .cell")
    first.clear()
    first.send_keys("10")
    scale = flowers.find("[data-param=scale]")
    scale.clear()
    scale.send_keys("0.5")
    send(flowers)
    flowers.wait(lambda _: answer_cells(flowers)[0] == ["15", "north"])
    flowers.shoot("serving-page-form")
    flowers.shoot("serving-page-phone", 390)


def test_a_file_of_many_rows_is_answered_with_histograms(flowers: Any, tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    lengths, gardens = dice.normal(5.8, 0.8, 600).round(2), dice.choice(["north", "south"], 600)
    petals = dice.integers(2, 9, 600)
    frame = pd.DataFrame({"sepal length": lengths, "petals": petals, "garden": gardens})
    frame.to_csv(tmp_path / "flowers.csv", index=False)
    flowers.find("#file").send_keys(str(tmp_path / "flowers.csv"))
    flowers.wait_for_text("#attached", "600 rows, 3 columns")
    send(flowers)
    flowers.wait_for_text("#answer", "The first 100 of 600 rows.")
    assert len(flowers.all("#predictions .histogram")) == 2
    flowers.shoot("serving-page-many")


def test_everything_can_be_done_with_the_keyboard(flowers: Any) -> None:
    flowers.find("body").send_keys(Keys.TAB)
    assert flowers.focused().text == "Go to the request"
    flowers.focused().send_keys(Keys.ENTER)
    labels = []
    for _ in range(40):
        flowers.focused().send_keys(Keys.TAB)
        label = flowers.focused().get_attribute("aria-label") or flowers.focused().text
        labels.append(label)
        if label == "Predict":
            break
    assert "sepal length, row 1" in labels
    assert "Remove row 2" in labels
    assert "Add a row" in labels
    flowers.focused().send_keys(Keys.ENTER)
    flowers.wait_for_text("#state", "Answered in")
    assert flowers.focused().text == "Predict"


def test_control_and_enter_send_from_any_field(flowers: Any) -> None:
    flowers.find("#rows .cell").send_keys(Keys.CONTROL, Keys.ENTER)
    flowers.wait_for_text("#state", "Answered in")


def test_rows_are_added_and_removed(flowers: Any) -> None:
    flowers.find("#add").click()
    assert flowers.focused().get_attribute("aria-label") == "sepal length, row 3"
    assert len(flowers.all("#rows tbody tr")) == 3
    flowers.find("[aria-label='Remove row 1']").click()
    labels = [row.text.split()[0] for row in flowers.all("#rows tbody tr")]
    assert labels == ["1", "2"]
    assert flowers.focused().get_attribute("id") == "add"
    send(flowers)
    flowers.wait_for_text("#state", "Answered in")
    assert [row[1] for row in answer_cells(flowers)] == ["south", "south"]


def test_a_field_that_does_not_fit_is_named_and_focused(flowers: Any) -> None:
    cell = flowers.find("[aria-label='petals, row 2']")
    cell.clear()
    cell.send_keys("4.5")
    send(flowers)
    assert flowers.text("#problem") == "petals, row 2 must be a whole number."
    assert flowers.focused().get_attribute("aria-label") == "petals, row 2"
    assert cell.get_attribute("aria-invalid") == "true"
    assert flowers.find("#problem").get_attribute("role") == "alert"
    cell.clear()
    send(flowers)
    assert "is empty" in flowers.text("#problem")


def test_what_the_server_refuses_stands_at_its_field(flowers: Any) -> None:
    cell = flowers.find("[aria-label='petals, row 2']")
    cell.clear()
    cell.send_keys("99999999999999999999")
    send(flowers)
    flowers.wait_for_text("#state", "status 400")
    note = flowers.find(f"#{cell.get_attribute('aria-describedby')}")
    assert "expected a whole number" in note.text
    assert "example: 4" in note.text
    flowers.shoot("serving-page-error")
    flowers.find("#problem button").click()
    assert flowers.focused().get_attribute("aria-label") == "petals, row 2"


def test_an_error_of_the_model_is_shown_without_its_text(flowers: Any) -> None:
    cell = flowers.find("[aria-label='petals, row 1']")
    cell.clear()
    cell.send_keys("-1")
    send(flowers)
    flowers.wait_for_text("#state", "status 500")
    assert "INTERNAL_ERROR" in flowers.text("#problem")
    assert "secret" not in flowers.text("body")
    cell.clear()
    cell.send_keys("1")
    send(flowers)
    flowers.wait_for_text("#state", "Answered in")
    assert not flowers.find("#problem").is_displayed()


def test_json_can_be_written_and_is_checked(flowers: Any) -> None:
    flowers.find("[name=mode][value=json]").click()
    text = flowers.find("#text")
    assert json.loads(text.get_attribute("value"))["params"] == {"scale": 2}
    text.clear()
    text.send_keys("{")
    send(flowers)
    assert flowers.text("#problem").startswith("The body is not JSON")
    text.clear()
    text.send_keys('{"inputs": 5}')
    send(flowers)
    flowers.wait_for_text("#state", "status 400")
    assert "sepal length" in flowers.text("#problem")


def test_the_answer_is_shown_as_table_chart_and_json(flowers: Any) -> None:
    send(flowers)
    flowers.wait_for_text("#state", "Answered in")
    flowers.find("[name=view][value=chart]").click()
    assert len(flowers.all("#answer svg rect")) == 2
    assert "score of 2 rows" in flowers.find("#answer svg").get_attribute("aria-label")
    flowers.find("[name=view][value=json]").click()
    assert json.loads(flowers.text("#answer"))[1] == {"score": 49.6, "garden": "south"}


def test_the_python_code_gives_the_same_answer(flowers: Any) -> None:
    garden = 'it\'s "a\\b" \\n ü'
    cell = flowers.find("[aria-label='garden, row 1']")
    cell.clear()
    cell.send_keys(garden)
    code = flowers.text("#python")
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "'score': 49.6" in found.stdout
    assert repr(garden) in found.stdout
    assert f"curl -X POST '{flowers.url}invocations'" in flowers.text("#curl")


def test_latencies_are_kept(flowers: Any) -> None:
    for number in range(3):
        send(flowers)
        flowers.wait_for_text("#latencies", f"The last {number + 1} request")
    assert len(flowers.all("#latencies svg rect")) == 3


def test_a_model_without_signature_has_a_text_field(app_of: AppOf, open_page: Open) -> None:
    page = open_page(app_of(lambda data, params: []))
    assert "does not say what it takes" in page.text("#signature")
    assert "no input example" in page.text("#state")
    assert not page.find("#fields").is_displayed()
    assert json.loads(page.find("#text").get_attribute("value")) == {"inputs": []}
    send(page)
    page.wait_for_text("#answer", "The prediction is empty.")


def test_long_signatures_and_answers_are_cut_short(app_of: AppOf, open_page: Open) -> None:
    schema = Schema([ColSpec("double", f"column {i} " + "x" * 50) for i in range(300)])
    page = open_page(
        app_of(lambda data, params: [["y" * 5000, i, None] for i in range(5000)], schema)
    )
    assert "and 200 more" in page.text("#signature")
    text = page.find("#text")
    text.clear()
    text.send_keys('{"inputs": [')
    send(page)
    assert page.find("#problem").is_displayed()
    page.driver.execute_script(
        "document.getElementById('text').value = JSON.stringify({inputs: "
        "[Object.fromEntries(model.columns.map((column) => [column.name, 1]))]})"
    )
    send(page)
    page.wait_for_text("#answer", "The first 100 of 5000 rows.")
    assert "(5000 characters)" in page.text("#predictions")
    width = page.driver.execute_script("return document.documentElement.scrollWidth")
    assert width <= page.driver.execute_script("return innerWidth")


def test_tensors_are_written_as_json(app_of: AppOf, open_page: Open) -> None:
    schema = Schema([TensorSpec(pd.Series([1.0]).to_numpy().dtype, (-1, 2))])
    page = open_page(app_of(lambda data, params: data, schema))
    assert "float64 [-1, 2]" in page.text("#signature")
    text = page.find("#text")
    text.clear()
    text.send_keys('{"inputs": [[1, 2], [3, 4]]}')
    send(page)
    page.wait_for_text("#state", "Answered in")
    assert answer_cells(page) == [["1", "2"], ["3", "4"]]


def test_names_of_a_model_are_text_and_never_markup(app_of: AppOf, open_page: Open) -> None:
    evil = "<img src=x onerror=alert(1)></script>"
    app = app_of(lambda data, params: [evil], Schema([ColSpec("string", evil)]))
    page = open_page(app)
    page.find("#rows .cell").send_keys(evil)
    send(page)
    page.wait_for_text("#state", "Answered in")
    assert answer_cells(page) == [[evil]]
    assert page.all("img") == []


def test_a_server_that_is_gone_is_told(app_of: AppOf, browser: Any, live: Any) -> None:
    from contextlib import ExitStack

    with ExitStack() as stack:
        port = stack.enter_context(live(app_of(lambda data, params: [1])))
        browser.get(f"http://127.0.0.1:{port}/")
        browser.implicitly_wait(5)
        browser.find_element("css selector", "body[data-ready]")
        browser.implicitly_wait(0)
    browser.find_element("css selector", "#send").click()
    browser.implicitly_wait(5)
    alert = browser.find_element("css selector", "#problem:not([hidden])")
    browser.implicitly_wait(0)
    assert "cannot be reached" in alert.text


def test_the_page_loads_nothing_from_elsewhere_and_breaks_no_policy(flowers: Any) -> None:
    flowers.console()
    flowers.driver.refresh()
    flowers.wait(lambda _: flowers.driver.execute_script("return document.body.dataset.ready"))
    send(flowers)
    flowers.wait_for_text("#state", "Answered in")
    assert flowers.console() == []
    loaded = flowers.driver.execute_script(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    assert sorted(loaded) == [f"{flowers.url}invocations", f"{flowers.url}model.json"]


UNLABELLED = """
return [...document.querySelectorAll('input, select, textarea, button, svg')].filter((node) =>
  node.checkVisibility() && !node.getAttribute('aria-label') && !node.textContent.trim()
  && !(node.labels && node.labels.length)).map((node) => node.outerHTML);
"""


def test_every_control_has_a_name(flowers: Any) -> None:
    send(flowers)
    flowers.wait_for_text("#state", "Answered in")
    assert flowers.driver.execute_script(UNLABELLED) == []
    levels = [int(node.tag_name[1]) for node in flowers.all("h1, h2, h3")]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
