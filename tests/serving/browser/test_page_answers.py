"""What the page makes of values: rounding, histograms, differences, problems, latencies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from selenium.webdriver.common.keys import Keys

from pyfunc.schema import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from tests.serving.browser.conftest import MODES, WIDTHS
from tests.serving.browser.test_page import answer_cells, send

AppOf = Callable[..., Any]
Open = Callable[[Any], Any]

EVIL = "<img src=x onerror='window.hacked=1'>"
AB = Schema([ColSpec("double", "a"), ColSpec("long", "b")])
EXAMPLE = pd.DataFrame({"a": [1.5, 2.5], "b": [3, 4]})


@pytest.fixture
def flat(app_of: AppOf, open_page: Open) -> Any:
    """Return the page of a model that gives nothing."""
    return open_page(app_of(lambda data, params: []))


ROUNDED = {
    "0": "0", "7": "7", "-12": "-12", "99999": "99999", "1234567": "1,234,567", "1e15": "1e15",
    "30.599999999999998": "30.6", "0.123456789": "0.12346", "-2.0000004": "-2", "1e-7": "1e-7",
    "123456.789": "123,457", "0.00012": "0.00012", "1.23456e-9": "1.2346e-9",
    "-1.5e300": "-1.5e300", "9223372036854775807n": "9.2234e18", "99999.96": "100000",
}  # fmt: skip


def test_numbers_are_rounded_for_reading(flat: Any) -> None:
    source = f"return [{','.join(ROUNDED)}].map(rounded)"
    assert flat.driver.execute_script(source) == list(ROUNDED.values())


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [9223372036854775807, -9007199254740993, 1.5, "12345678901234567890"]}',
        "[0.1234567890123456789, 1e400]",
        '{"x": {"y": [18446744073709551615]}}',
    ],
)
def test_no_digit_of_an_integer_is_lost(text: str, flat: Any) -> None:
    again = flat.driver.execute_script("return asJson(parseExact(arguments[0]))", text)
    pretty = flat.driver.execute_script("return prettyJson(parseExact(arguments[0]))", text)
    expected = json.loads(text.replace("1e400", "null"))
    assert json.loads(again) == json.loads(pretty) == expected


def test_pretty_json_keeps_texts_as_they_are(flat: Any) -> None:
    value = {"[ 1,\n 2 ]": '[\n  "x"\n]', "list": [1, "a  b\n", None], "deep": [[1, 2], {"k": []}]}
    pretty = flat.driver.execute_script("return prettyJson(arguments[0])", value)
    assert json.loads(pretty) == value
    assert '[1, "a  b\\n", null]' in pretty


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_whole_value_is_shown_on_demand(
    mode: str, width: int, app_of: AppOf, open_page: Open
) -> None:
    long = "word-" * 300
    app = app_of(lambda data, params: [{"x": 30.599999999999998, "y": long, "z": 2**63 - 1}] * 2)
    page = open_page(app)
    page.dress(mode, width)
    send(page)
    page.wait_for_text("#state", "Answered in")
    assert answer_cells(page)[0] == [
        "30.6",
        long[:120] + f" … ({len(long)} characters)",
        "9.2234e18",
    ]
    assert page.find("#predictions td").get_attribute("title") == "30.599999999999998"
    assert page.all("#predictions tbody [tabindex='0']") == page.all("#predictions tbody td")[:1]
    page.driver.execute_script("document.querySelector('#predictions td[tabindex]').focus()")
    assert page.text(".detail") == "x, row 1\n30.599999999999998"
    page.focused().send_keys(Keys.ARROW_RIGHT)
    assert (
        page.driver.execute_script("return document.querySelector('.detail .mono').textContent")
        == long
    )
    page.focused().send_keys(Keys.END, Keys.ARROW_DOWN)
    page.focused().send_keys(Keys.ARROW_DOWN)
    assert page.text(".detail") == "z, row 2\n9223372036854775807"
    assert page.find(".detail").aria_role == "status"
    page.focused().send_keys(Keys.HOME)
    assert page.text(".detail").startswith("x, row 2")
    assert len(page.all("#predictions tbody [tabindex='0']")) == 1
    page.find("#full").click()
    assert answer_cells(page)[1] == ["30.599999999999998", long, "9223372036854775807"]


def test_points_of_numbers_stand_below_each_other(app_of: AppOf, open_page: Open) -> None:
    page = open_page(app_of(lambda data, params: [1.0, 22.5, 3.125]))
    send(page)
    page.wait_for_text("#state", "Answered in")
    assert answer_cells(page) == [["1"], ["22.5"], ["3.125"]]
    ghosts = page.driver.execute_script(
        "return [...document.querySelectorAll('.ghost')].map((node) => node.textContent)"
    )
    assert ghosts == [".000", "00"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", WIDTHS)
def test_many_rows_have_a_histogram_for_each_column(
    mode: str, width: int, app_of: AppOf, open_page: Open
) -> None:
    rows = [
        {
            "n": i % 4,
            "x": i / 10 if i % 5 else None,
            "kind": "a" if i % 10 else EVIL,
            "id": f"r{i}",
        }
        for i in range(100)
    ]
    page = open_page(app_of(lambda data, params: rows))
    page.dress(mode, width)
    send(page)
    page.wait_for_text("#state", "Answered in")
    labels = [node.get_attribute("aria-label") for node in page.all("#predictions .histogram")]
    assert labels == [
        "n: 100 values from 0 to 3, median 1",
        "x: 80 values from 0.1 to 9.9, median 4.9, 20 missing",
        "kind: 100 values, 2 different, most often a (90 %)",
    ]
    titles = page.driver.execute_script(
        "return [...document.querySelectorAll('#predictions .histogram')].map((svg) => "
        "[...svg.querySelectorAll('title')].map((title) => title.textContent))"
    )
    assert titles[0] == ["0: 25", "1: 25", "2: 25", "3: 25"]
    assert sum(int(title.rpartition(": ")[2]) for title in titles[1]) == 80
    assert titles[2] == ["a: 90", f"{EVIL}: 10"]
    assert "all different" in page.text("#predictions .spreads")
    assert page.driver.execute_script("return window.hacked === undefined")
    assert page.faint() == []
    assert page.overhang() == 0
    page.find("[name=view][value=chart]").click()
    assert [node.text for node in page.all("#answer figcaption")] == ["n", "x"]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([5] * 20, id="one-value"),
        pytest.param([1e308, -1e308] * 10, id="widest"),
        pytest.param([2**63 - 1, -(2**63)] * 10, id="large-integers"),
        pytest.param([0.1, 0.1 + 2e-17] * 8, id="closest"),
        pytest.param([-0.0] * 9, id="minus-zero"),
    ],
)
def test_every_value_is_in_one_bar(values: list[Any], app_of: AppOf, open_page: Open) -> None:
    page = open_page(app_of(lambda data, params: values))
    send(page)
    page.wait_for_text("#state", "Answered in")
    titles = page.driver.execute_script(
        "return [...document.querySelectorAll('.histogram title')].map((t) => t.textContent)"
    )
    assert sum(int(title.rpartition(": ")[2]) for title in titles) == len(values)
    assert not any("NaN" in title for title in titles)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", WIDTHS)
def test_what_differs_from_the_example_is_marked(
    mode: str, width: int, app_of: AppOf, open_page: Open
) -> None:
    app = app_of(
        lambda frame, params: pd.DataFrame({"sum": frame["a"] + frame["b"], "b": frame["b"]}),
        AB, params=ParamSchema([ParamSpec("scale", "double", 2.0)]), example=EXAMPLE,
    )  # fmt: skip
    page = open_page(app)
    page.dress(mode, width)
    assert page.text("#changes") == ""
    send(page)
    page.wait_for_text("#state", "Answered in")
    cell = page.find("[aria-label='a, row 2']")
    cell.clear()
    cell.send_keys("2.50")
    assert page.text("#changes") == "", "the same number"
    cell.send_keys("1")
    assert page.text("#changes") == "1 value differs from the example."
    described = page.find(f"#{cell.get_attribute('aria-describedby')}")
    assert described.text == "example: 2.5"
    page.find("[data-param=scale]").send_keys("5")
    page.find("#add").click()
    assert page.text("#changes") == "3 values differ from the example, 1 row more than in it."
    send(page)
    page.wait(lambda _: "differ" in page.text("#answer"))
    assert "1 value differs from the answer to the example." in page.text("#answer")
    [changed] = page.all("#predictions .differs")
    assert changed.get_attribute("title") == "6.5009999999999994\nfor the example: 6.5"
    assert changed.text == "6.501"
    assert page.faint() == []
    page.find("#reset").click()
    assert page.text("#changes") == ""
    assert page.all("#form .differs") == []
    assert page.find("[data-param=scale]").get_attribute("value") == "2"
    send(page)
    page.wait(lambda _: page.all("#predictions .differs") == [])


def test_what_differs_in_json_is_named(app_of: AppOf, open_page: Open) -> None:
    schema = Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
    page = open_page(app_of(lambda data, params: data, schema, example=np.array([[1.0, 2.0]])))
    text = page.find("#text")
    assert page.text("#changes") == ""
    text.clear()
    text.send_keys('{"inputs": [[1, 3], [4, 5]]}')
    expected = "2 values differ from the example: inputs[0][1], inputs[1]."
    assert page.text("#changes") == expected
    page.find("#reset").click()
    assert json.loads(text.get_attribute("value")) == {"inputs": [[1, 2]]}
    assert page.focused().get_attribute("id") == "text"


NAMES = ("plain", "it's", 'a "b"', "line\nend", "back\\slash", "ü 名", EVIL, "a", "a']b")


def test_problems_stand_at_the_fields_that_they_name(app_of: AppOf, open_page: Open) -> None:
    schema = Schema([ColSpec("integer", name) for name in NAMES])
    example = pd.DataFrame({name: [1, 2] for name in NAMES}, dtype="int32")
    page = open_page(app_of(lambda data, params: [1], schema, example=example))
    for row in range(len(NAMES)):
        cell = page.all("#rows .cell")[row % 2 * len(NAMES) + row]
        cell.clear()
        cell.send_keys("99999999999")
    send(page)
    page.wait_for_text("#state", "status 400")
    wrong = page.all("#rows [aria-invalid=true]")
    places = [page.all("#rows .cell").index(cell) for cell in wrong]
    assert places == sorted(row % 2 * len(NAMES) + row for row in range(len(NAMES)))
    for cell in wrong:
        note = page.find(f"#{cell.get_attribute('aria-describedby')} .wrong")
        assert note.text.startswith("expected a whole number from -2147483648")
    assert page.driver.execute_script("return window.hacked === undefined")
    page.all("#problem button")[-1].click()
    assert page.focused().get_attribute("aria-invalid") == "true"
    page.find("#rows .cell").send_keys(Keys.CONTROL, Keys.ENTER)
    page.find("#reset").click()
    send(page)
    page.wait_for_text("#state", "Answered in")
    assert page.all("[aria-invalid], .wrong") == []


def test_problems_of_json_and_params_stand_in_the_signature_with_the_hint(
    app_of: AppOf, open_page: Open
) -> None:
    params = ParamSchema([ParamSpec("scale", "double", 2.0)])
    page = open_page(app_of(lambda data, params: [1], AB, params=params))
    page.find("[name=mode][value=json]").click()
    text = page.find("#text")
    text.clear()
    text.send_keys('{"dataframe_records": [{"a": 1, "c": 2}]}')
    send(page)
    page.wait_for_text("#state", "status 400")
    assert page.text("#signature .wrong") == "expected a column of long, got no column"
    assert "hint: the data has other columns" in page.text("#problem .hint")
    page.find("#problem button").click()
    assert page.focused().get_attribute("aria-label") == "Inputs"
    page.find("[name=mode][value=form]").click()
    assert page.all(".wrong") == []
    for cell in page.all("#rows .cell"):
        cell.send_keys("1")
    scale = page.find("[data-param=scale]")
    scale.clear()
    scale.send_keys('"x"')
    send(page)
    page.wait_for_text("#state", "status 400")
    assert scale.get_attribute("aria-invalid") == "true"
    assert page.text(".param .wrong") == "expected double, got str 'x'"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", WIDTHS)
def test_latencies_are_a_line_of_percentiles(
    mode: str, width: int, app_of: AppOf, open_page: Open
) -> None:
    page = open_page(app_of(lambda data, params: [1], AB, example=EXAMPLE))
    page.dress(mode, width)
    for number in range(4):
        send(page)
        page.wait_for_text("#latencies", f"The last {number + 1} request")
    page.find("[aria-label='a, row 1']").clear()
    send(page)  # which is empty, so nothing is sent
    names, figures = ([node.text for node in page.all(f".percentiles {t}")] for t in ("dt", "dd"))
    kept = page.driver.execute_script("return latencies.map((item) => item.milliseconds)")
    assert len(kept) == 4
    assert names == ["p50", "p90", "p99"]
    assert all(figure.endswith(" ms") for figure in figures)
    shown = [float(figure.removesuffix(" ms").replace(",", "")) for figure in figures]
    assert shown == pytest.approx([sorted(kept)[1], max(kept), max(kept)], abs=0.51)
    line = page.find("#latencies svg")
    assert len(line.find_elements("css selector", "rect")) == 4
    assert re.search(r"p50 .* ms, p90 .* ms, p99 .* ms$", line.get_attribute("aria-label"))
    assert page.faint() == []


def test_a_percentile_is_the_least_value_that_covers_its_share(flat: Any) -> None:
    found = flat.driver.execute_script(
        "const values = Array.from({ length: 100 }, (_, i) => i + 1);"
        "return [0.001, 0.5, 0.9, 0.99, 1].map((share) => percentile(values, share))"
    )
    assert found == [1, 50, 90, 99, 100]


def test_the_signature_has_an_example_of_each_input(app_of: AppOf, open_page: Open) -> None:
    schema = Schema([ColSpec("double", "a"), ColSpec("string", "text", required=False)])
    example = pd.DataFrame({"a": [0.123456789], "text": [EVIL * 5]})
    page = open_page(app_of(lambda data, params: [], schema, example=example))
    rows = [
        [cell.text for cell in row.find_elements("css selector", "th, td")]
        for row in page.all("#signature tbody tr")
    ]
    assert rows[0] == ["a", "double", "0.12346"]
    assert rows[1][:2] == ["text", "string, optional"]
    assert rows[1][2] == (EVIL * 5)[:59] + "…"
    first = page.find("#signature .example")
    assert first.get_attribute("title") == "0.123456789"


def test_an_example_with_missing_and_infinite_numbers_can_be_sent(
    app_of: AppOf, open_page: Open
) -> None:
    heard: list[Any] = []
    example = pd.DataFrame({"a": [np.nan, np.inf, -np.inf], "b": [1, 2, 2**53 + 1]})

    def listen(frame: Any, params: Any) -> list[int]:
        heard.append(frame)
        return [1]

    page = open_page(app_of(listen, AB, example=example))
    assert page.text("#changes") == ""
    send(page)
    page.wait_for_text("#state", "Answered in")
    pd.testing.assert_frame_equal(heard[0], example)


def test_lists_of_one_length_are_columns(app_of: AppOf, open_page: Open) -> None:
    page = open_page(app_of(lambda data, params: {"label": ["a", "b"], "logits": [[0.1], [0.2]]}))
    send(page)
    page.wait_for_text("#state", "Answered in")
    assert answer_cells(page) == [["a", "[0.1]"], ["b", "[0.2]"]]


def test_links_lead_to_what_the_server_has(app_of: AppOf, open_page: Open) -> None:
    page = open_page(app_of(lambda data, params: []))
    for link in page.all("nav a"):
        script = "const got = await fetch(arguments[0]); return got.status"
        assert page.driver.execute_script(script, link.get_attribute("href")) == 200
    assert page.find("#metrics").is_displayed()
    page = open_page(app_of(lambda data, params: [], settings={"metrics": False}))
    assert not page.find("#metrics").is_displayed()
