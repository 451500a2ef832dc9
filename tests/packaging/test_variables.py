"""Environment variables: one table, one reader for each kind, and a page that shows the table."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pyfunc import variables
from pyfunc.errors import InvalidArgumentError
from pyfunc.variables import (
    VARIABLES,
    BooleanVariable,
    JsonVariable,
    NumberVariable,
    TextVariable,
    Variable,
)

PAGE = Path(__file__).parents[2] / "docs" / "variables.md"

BOOLEANS = [variable for variable in VARIABLES if isinstance(variable, BooleanVariable)]
TEXTS = [variable for variable in VARIABLES if isinstance(variable, TextVariable)]
NUMBERS = [variable for variable in VARIABLES if isinstance(variable, NumberVariable)]
OBJECTS = [variable for variable in VARIABLES if isinstance(variable, JsonVariable)]


def name_of(variable: object) -> str:
    assert isinstance(variable, Variable)
    return variable.name


@pytest.fixture(autouse=True)
def _no_variable_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable.name, raising=False)


def test_the_table_holds_every_variable_once() -> None:
    defined = {value for value in vars(variables).values() if isinstance(value, Variable)}
    assert set(VARIABLES) == defined
    assert len({variable.name for variable in VARIABLES}) == len(VARIABLES)


def test_the_page_shows_the_table() -> None:
    rows = [
        f"| `{variable.name}` | {variable.kind} | {variable.reader} | {variable.meaning} |"
        for variable in VARIABLES
    ]
    shown = [
        line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    assert shown == rows


@pytest.mark.interop
def test_the_page_says_of_every_variable_of_mlflow_whether_it_is_read() -> None:
    text = PAGE.read_text(encoding="utf-8")
    unread = text.split("## Variables of MLflow that are not read")[1]
    ours = {variable.name for variable in VARIABLES}
    listed = re.findall(r"`(\w*MLFLOW\w*|SERVERLESS_\w+)`", unread)
    assert len(set(listed)) == len(listed)
    assert not ours & set(listed)
    script = "import mlflow.environment_variables as e\nfor v in vars(e).values():\n"
    script += "  if isinstance(v, e._EnvironmentVariable): print(v.name)"
    run = [sys.executable, "-W", "ignore", "-c", script]
    known = set(subprocess.check_output(run, text=True).split())
    assert len(known) > 250
    assert known <= ours | set(listed)


@pytest.mark.parametrize("variable", NUMBERS, ids=name_of)
def test_numbers_are_read(monkeypatch: pytest.MonkeyPatch, variable: NumberVariable) -> None:
    assert variable.read(default=2.5) == 2.5
    for text, value in (("", 2.5), ("7", 7.0), ("0.5", 0.5)):
        monkeypatch.setenv(variable.name, text)
        assert variable.read(default=2.5) == value
    monkeypatch.setenv(variable.name, "soon")
    with pytest.raises(InvalidArgumentError, match=f"{variable.name}: expected a number, got"):
        variable.read(default=2.5)


@pytest.mark.parametrize("variable", BOOLEANS, ids=name_of)
@pytest.mark.parametrize("default", [True, False])
def test_booleans_are_read_by_one_rule(
    monkeypatch: pytest.MonkeyPatch, variable: BooleanVariable, default: bool
) -> None:
    assert variable.read(default=default) is default
    for text, value in (
        ("true", True),
        ("TRUE", True),
        ("1", True),
        ("False", False),
        ("0", False),
    ):
        monkeypatch.setenv(variable.name, text)
        assert variable.read(default=default) is value


@pytest.mark.parametrize("variable", BOOLEANS, ids=name_of)
@pytest.mark.parametrize("text", ["", "yes", " true", "2"])
def test_what_is_no_boolean_is_an_error(
    monkeypatch: pytest.MonkeyPatch, variable: BooleanVariable, text: str
) -> None:
    monkeypatch.setenv(variable.name, text)
    with pytest.raises(InvalidArgumentError) as caught:
        variable.read(default=False)
    assert str(caught.value) == f"{variable.name}: expected true, false, 1 or 0, got {text!r}"


@pytest.mark.parametrize("variable", OBJECTS, ids=name_of)
def test_objects_are_read_from_json(
    monkeypatch: pytest.MonkeyPatch, variable: JsonVariable
) -> None:
    assert variable.read() == {}
    monkeypatch.setenv(variable.name, json.dumps({"a": [1, None]}))
    assert variable.read() == {"a": [1, None]}


@pytest.mark.parametrize("variable", OBJECTS, ids=name_of)
@pytest.mark.parametrize("text", ["{", "[]", "null", "1"])
def test_what_is_no_object_is_an_error(
    monkeypatch: pytest.MonkeyPatch, variable: JsonVariable, text: str
) -> None:
    monkeypatch.setenv(variable.name, text)
    with pytest.raises(
        InvalidArgumentError, match=f"{variable.name}: expected a JSON object, got"
    ):
        variable.read()


@pytest.mark.parametrize("variable", TEXTS, ids=name_of)
def test_empty_text_counts_as_not_set(
    monkeypatch: pytest.MonkeyPatch, variable: TextVariable
) -> None:
    assert variable.read() is None
    monkeypatch.setenv(variable.name, "")
    assert variable.read() is None
    monkeypatch.setenv(variable.name, "a b")
    assert variable.read() == "a b"


@pytest.mark.parametrize("before", [None, "old"])
def test_a_variable_is_as_before_after_the_block(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    name = variables.PROJECT_DIR.name
    if before is not None:
        monkeypatch.setenv(name, before)
    with variables.PROJECT_DIR.setting("new"):
        assert os.environ[name] == "new"
    assert os.environ.get(name) == before
