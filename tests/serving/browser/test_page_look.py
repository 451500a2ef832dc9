"""The look of the page in both colour modes, on a phone and on a desk: contrast, room, order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from selenium.webdriver.common.keys import Keys

from pyfunc.schema import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from tests.serving.browser.conftest import MODES, WIDTHS
from tests.serving.browser.test_conversation import Agent, app_of_chat, say
from tests.serving.browser.test_page import UNLABELLED

AppOf = Callable[..., Any]
Open = Callable[[Any], Any]

looks = pytest.mark.parametrize("mode", MODES)
widths = pytest.mark.parametrize("width", WIDTHS)

NAMES = ("double", "float", "integer", "long", "string", "boolean", "datetime", "binary")
TYPES = Schema([ColSpec(kind, f"a {kind}", required=kind != "string") for kind in NAMES])
EXAMPLE = pd.DataFrame(
    {
        "a double": [129.99],
        "a float": np.array([1.5], dtype="float32"),
        "a integer": np.array([3], dtype="int32"),
        "a long": [2**62 + 1],
        "a string": ["naïve café ☕ " * 20],
        "a boolean": [True],
        "a datetime": pd.to_datetime(["2024-01-31 12:00:00"]),
        "a binary": [b"abc"],
    }
)
WIDE = Schema([ColSpec("double", f"column_{i:02}_with_a_long_name") for i in range(40)])


def many(frame: Any, params: Any) -> Any:
    return [
        {"score": i / 7, "kind": "ab"[i % 2], "text": "word " * 200, "nested": {"a": [i, None]}}
        for i in range(200)
    ]


def check_look(page: Any) -> None:
    assert page.faint() == []
    assert page.overhang() == 0
    assert page.driver.execute_script(UNLABELLED) == []


def write(page: Any, label: str, text: str) -> None:
    cell = page.find(f"[aria-label='{label}']")
    cell.clear()
    cell.send_keys(text)


@looks
@widths
def test_every_state_of_the_form_can_be_read(
    mode: str, width: int, app_of: AppOf, open_page: Open
) -> None:
    params = ParamSchema([ParamSpec("scale", "double", 2.0)])
    app = app_of(many, TYPES, params=params, example=EXAMPLE)
    page = open_page(app)
    page.dress(mode, width)
    check_look(page)  # nothing sent yet
    write(page, "a double, row 1", "7")
    page.find("#send").click()
    page.wait_for_text("#state", "Answered in")
    page.find("#predictions td[tabindex='0']").click()
    check_look(page)  # an answer, with a difference and the detail of a cell
    write(page, "a integer, row 1", "99999999999")
    page.find("#send").click()
    page.wait_for_text("#state", "status 400")
    page.driver.execute_script("document.querySelector('#answer').classList.remove('stale')")
    check_look(page)  # a problem at its field, and a request that failed among the latencies
    for view in ("chart", "json"):
        page.find(f"[name=view][value={view}]").click()
        check_look(page)
    page.find("[name=mode][value=json]").click()
    check_look(page)


@looks
@widths
@pytest.mark.parametrize(
    "schema",
    [
        pytest.param(WIDE, id="forty-columns"),
        pytest.param(None, id="no-signature"),
        pytest.param(
            Schema([TensorSpec(np.dtype("float32"), (-1, 28, 28), "image" * 30)]), id="tensor"
        ),
        pytest.param(Schema([ColSpec("string", "名" * 200)]), id="a-long-name"),
    ],
)
def test_other_models_fit_as_well(
    mode: str, width: int, schema: Schema | None, app_of: AppOf, open_page: Open
) -> None:
    page = open_page(app_of(lambda data, params: [], schema))
    page.dress(mode, width)
    check_look(page)


@looks
@widths
def test_a_conversation_can_be_read(mode: str, width: int, open_page: Open) -> None:
    chat = Agent()
    chat.may_go_on.set()
    page = open_page(app_of_chat(chat))
    page.dress(mode, width)
    assert page.overhang() == 0
    say(page, "word " * 100 + "x" * 500)
    page.wait_for_text("#state", "Answered in")
    say(page, "fail")
    page.wait_for_text("#state", "not complete")
    for summary in page.all("summary"):
        page.driver.execute_script("arguments[0].parentElement.open = true", summary)
    check_look(page)


def test_on_a_phone_the_fields_stand_below_each_other(app_of: AppOf, open_page: Open) -> None:
    page = open_page(app_of(many, Schema([ColSpec("double", "a"), ColSpec("double", "b")])))
    assert page.find("#rows thead").is_displayed()
    page.dress("light", 390)
    page.wait(lambda _: not page.find("#rows thead").is_displayed())
    assert page.text("#rows").split() == ["1", "a", "double", "b", "double", "Remove"]
    page.dress("light", 1280)
    page.wait(lambda _: page.find("#rows thead").is_displayed())


@widths
def test_tabs_go_from_the_form_through_the_answer_to_the_rest(
    width: int, app_of: AppOf, open_page: Open
) -> None:
    page = open_page(
        app_of(many, Schema([ColSpec("double", "a")]), example=pd.DataFrame({"a": [1.0]}))
    )
    page.dress("light", width)
    page.find("#send").click()
    page.wait_for_text("#state", "Answered in")
    page.driver.execute_script("document.querySelector('.skip').focus()")
    page.focused().send_keys(Keys.TAB)
    seen: list[str] = []
    for _ in range(40):
        node = page.focused()
        if node.tag_name == "body":
            break
        words = node.get_attribute("aria-label") or node.text or node.get_attribute("id")
        seen.append(f"{node.tag_name} {words or node.get_attribute('name')}".strip())
        visible = "return getComputedStyle(document.activeElement).outlineStyle"
        assert page.driver.execute_script(visible) == "solid", seen[-1]
        node.send_keys(Keys.TAB)
    wanted = (
        "a Metrics",
        "input mode",
        "button Open a file …",
        "input a, row 1",
        "button Remove row 1",
        "button Add a row",
        "button Predict",
        "input full",
        "input view",
        "td 0",
        "button Copy the curl command",
        "button Copy the Python code",
        "div Inputs",
    )
    places = [seen.index(one) for one in wanted if one in seen]
    assert [one for one in wanted if one not in seen] == []
    assert places == sorted(places)
