"""Files and texts that are dropped, opened or pasted: what fills the form, what is sent."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pyfunc.schema import ColSpec, ParamSchema, ParamSpec, Schema
from tests.serving.browser.conftest import MODES, WIDTHS

AppOf = Callable[..., Any]
Open = Callable[[Any], Any]

ORDERS = Schema(
    [
        ColSpec("long", "id"),
        ColSpec("double", "price"),
        ColSpec("string", "note", required=False),
        ColSpec("boolean", "paid"),
    ]
)
EXAMPLE = pd.DataFrame({"id": [1], "price": [2.5], "note": ["new"], "paid": [True]})
FACTOR = ParamSchema([ParamSpec("factor", "double", 1.0)])
EVIL = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"

DROP = """
const carried = new DataTransfer();
const [name, text, kind] = arguments;
if (name) carried.items.add(new File([text], name, { type: kind }));
else carried.setData("text/plain", text);
const send = (type) => {
  const event = new DragEvent(type, { dataTransfer: carried, bubbles: true, cancelable: true });
  document.querySelector("h1").dispatchEvent(event);
  return event.defaultPrevented;
};
send("dragenter");
const shown = document.body.classList.contains("dropping");
return [shown, send("dragover"), send("drop"), document.body.classList.contains("dropping")];
"""
PASTE = """
const clipboardData = new DataTransfer();
clipboardData.setData("text/plain", arguments[0]);
const event = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
document.querySelector("#rows .cell").dispatchEvent(event);
return event.defaultPrevented;
"""


class Heard:
    """A model that remembers what it was given."""

    def __init__(self) -> None:
        self.frames: list[Any] = []

    def __call__(self, data: Any, params: Any) -> Any:
        self.frames.append((data, params))
        return [f"{len(data)} rows"]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def page(app_of: AppOf, open_page: Open, heard: Heard) -> Any:
    return open_page(app_of(heard, ORDERS, params=FACTOR, example=EXAMPLE))


def drop(page: Any, name: str, text: str, kind: str = "") -> None:
    assert page.driver.execute_script(DROP, name, text, kind) == [True, True, True, False]


def values(page: Any) -> list[list[str]]:
    rows = page.all("#rows tbody tr")
    cells = [row.find_elements("css selector", ".cell") for row in rows]
    return [[cell.get_attribute("value") for cell in row] for row in cells]


def predict(page: Any) -> None:
    page.find("#send").click()
    page.wait_for_text("#state", "Answered in")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_small_table_fills_the_form(page: Any, heard: Heard, mode: str, width: int) -> None:
    page.dress(mode, width)
    text = '\ufeffpaid,price,id,more\r\nTrue,0.5,9007199254740993,x\r\nfalse,1e3,2,"a, b"\r\n'
    drop(page, "orders.csv", text, "text/csv")
    page.wait_for_text("#taken", "The form holds 2 rows of orders.csv.")
    assert "does not take them: more." in page.text("#taken")
    assert values(page) == [["9007199254740993", "0.5", "", "true"], ["2", "1e3", "", "false"]]
    assert page.faint() == []
    assert page.overhang() == 0
    predict(page)
    [(frame, _)] = heard.frames
    assert frame["id"].tolist() == [9007199254740993, 2]
    assert frame["price"].tolist() == [0.5, 1000.0]
    assert frame["note"].isna().all()


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        pytest.param(
            'id,note\n1,"a ""b"", c"\n2,"two\nlines"\n', ['a "b", c', "two\nlines"], id="quotes"
        ),
        pytest.param("id\tnote\n1\ta, b\n2\t'x'\n", ["a, b", "'x'"], id="tabs"),
        pytest.param("id;note\n1;ü\n2;\n", ["ü", ""], id="semicolons"),
        pytest.param("note,id\r1,1\r,2", ["1", ""], id="carriage-returns"),
        pytest.param('[{"id": 1, "note": "a"}, {"note": null, "id": 2}]', ["a", ""], id="records"),
    ],
)  # fmt: skip
def test_texts_are_read_as_tables(page: Any, text: str, notes: list[str]) -> None:
    drop(page, "", text)
    page.wait_for_text("#taken", "2 rows of the text")
    assert "Not in it: price, paid." in page.text("#taken")
    read = "return parseDelimited(arguments[0]).rows.map((row) => row.at(-1))"
    if "two\nlines" in notes:  # a field holds one line
        assert page.driver.execute_script(read, text) == notes
        notes = [notes[0], "twolines"]
    assert [row[2] for row in values(page)] == notes
    assert [row[0] for row in values(page)] == ["1", "2"]


def test_json_fills_the_form_with_its_params(page: Any, heard: Heard) -> None:
    split = {"columns": ["id", "price", "note", "paid"], "data": [[2**60 + 1, 1.5, None, False]]}
    body = json.dumps({"dataframe_split": split, "params": {"factor": 3}})
    drop(page, "body.json", body, "application/json")
    page.wait_for_text("#taken", "1 row of body.json")
    predict(page)
    [(frame, params)] = heard.frames
    assert frame["id"].tolist() == [2**60 + 1]
    assert params == {"factor": 3.0}


def test_pasted_rows_fill_the_form_and_a_pasted_value_does_not(page: Any) -> None:
    assert page.driver.execute_script(PASTE, "id\tprice\n7\t8\n")
    page.wait_for_text("#taken", "1 row of the text")
    assert values(page) == [["7", "8", "", "false"]]
    assert not page.driver.execute_script(PASTE, "a single value, with a comma")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_long_csv_is_shown_and_sent_as_it_is(
    page: Any, heard: Heard, tmp_path: Path, mode: str, width: int
) -> None:
    page.dress(mode, width)
    frame = pd.DataFrame({"id": range(400), "price": 0.25, "note": ["a", "b"] * 200, "paid": True})
    path = tmp_path / "long.csv"
    frame.to_csv(path, index=False)
    page.find("#file").send_keys(str(path))
    page.wait_for_text("#attached", "400 rows, 4 columns")
    assert "The first 10 of 400 rows." in page.text("#attached")
    assert len(page.all("#preview .histogram")) == 4
    assert page.faint() == []
    assert page.overhang() == 0
    predict(page)
    [(sent, _)] = heard.frames
    pd.testing.assert_frame_equal(sent, frame, check_dtype=False)
    assert "--data-binary '@long.csv'" in page.text("#curl")
    found = subprocess.run(
        [sys.executable, "-c", page.text("#python")],
        capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert "400 rows" in found.stdout
    page.find("[name=mode][value=form]").click()
    assert page.find("#fields").is_displayed()
    assert not page.find("#attached").is_displayed()


def test_parquet_is_sent_as_it_is(page: Any, heard: Heard, tmp_path: Path) -> None:
    path = tmp_path / "orders.parquet"
    pd.concat([EXAMPLE] * 3, ignore_index=True).to_parquet(path)
    page.find("#file").send_keys(str(path))
    page.wait_for_text("#attached", "orders.parquet")
    predict(page)
    assert [len(frame) for frame, _ in heard.frames] == [3]
    assert "application/vnd.apache.parquet" in page.text("#curl")


def test_a_model_without_columns_takes_files_too(app_of: AppOf, open_page: Open) -> None:
    page = open_page(app_of(lambda data, params: [type(data).__name__]))
    drop(page, "list.json", "[1, 2]")
    page.wait_for_text("#taken", "The body is that of list.json.")
    assert json.loads(page.find("#text").get_attribute("value")) == {"inputs": [1, 2]}
    drop(page, "table.csv", "a,b\n1,2\n")
    page.wait_for_text("#attached", "1 row, 2 columns")
    predict(page)
    assert page.text("#predictions td") == "DataFrame"
    page.find("[name=mode][value=json]").click()
    assert page.find("#text").is_displayed()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        pytest.param("a.csv", "x,y\n1,2\n", "none of the model's columns", id="columns"),
        pytest.param("a.exe", "x", "no file that this server reads: csv, json", id="kind"),
        pytest.param("a.json", "{", "a.json is not JSON", id="json"),
        pytest.param("a.tsv", "id\tnote\n" + "1\tx\n" * 90, "only files with commas", id="tabs"),
        pytest.param(EVIL + ".exe", "x", EVIL, id="hostile-name"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_told(page: Any, name: str, text: str, words: str) -> None:
    before = values(page)
    drop(page, name, text)
    page.wait_for_text("#problem", words)
    assert values(page) == before
    check_harmless(page)


def test_a_file_beyond_the_limit_is_not_sent(app_of: AppOf, open_page: Open, heard: Heard) -> None:
    page = open_page(app_of(heard, ORDERS, {"max_body_bytes": 2048}))
    drop(page, "big.csv", "id\n" + "1\n" * 2000)
    page.wait_for_text("#problem", "the server takes 2.0 KiB at most")


def check_harmless(page: Any) -> None:
    assert page.driver.execute_script("return window.hacked === undefined")
    assert page.all("main img, main script, main svg[onload]") == []
    assert page.console() == []


@pytest.mark.parametrize("rows", [2, 300], ids=["in-the-form", "in-the-preview"])
def test_what_a_file_holds_is_text_and_never_markup(page: Any, rows: int) -> None:
    quoted = '"' + EVIL.replace('"', '""') + '"'
    drop(page, "<b>.csv", f"id,{quoted},note\n" + f"1,{quoted},{quoted}\n" * rows)
    page.wait(lambda _: EVIL in page.text("#taken" if rows == 2 else "#attached"))
    check_harmless(page)
    page.find("#send").click()
    page.wait(lambda _: page.find("#problem").is_displayed())
    page.console()  # the browser notes that the server refused it
    check_harmless(page)
