from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import httpx
import numpy as np
import numpy.typing as npt
import pandas as pd
import pydantic
import pytest

from pyfunc.errors import InvalidArgumentError, Problem
from pyfunc.functions.binding import BindingError, call_init, plan_binding
from pyfunc.functions.events import Context, Event
from pyfunc.functions.json_values import find_converter

JSON = [(b"content-type", b"application/json")]


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0
    tags: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x is below 0")


class Person(pydantic.BaseModel):
    name: str
    age: int = 1


def convert(hint: object, value: object) -> tuple[Any, list[Problem]]:
    problems: list[Problem] = []
    return find_converter(hint, "p")(value, "p", problems), problems


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        pytest.param(int, 1, 1, id="int"),
        pytest.param(float, 1, 1.0, id="whole-float"),
        pytest.param(float, 1.5, 1.5, id="float"),
        pytest.param(bool, True, True, id="bool"),
        pytest.param(str, "a", "a", id="str"),
        pytest.param(bytes, "YQ==", b"a", id="bytes"),
        pytest.param(bytes, "eA==\n", b"x", id="bytes-in-lines"),
        pytest.param(Path, "a/b", Path("a/b"), id="path"),
        pytest.param(dt.date, "2026-01-02", dt.date(2026, 1, 2), id="date"),
        pytest.param(
            dt.datetime,
            "2026-01-02T03:04:05Z",
            dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc),
            id="datetime",
        ),
        pytest.param(None, None, None, id="none"),
        pytest.param(Any, {"a": [1]}, {"a": [1]}, id="any"),
        pytest.param(list, [1, "a"], [1, "a"], id="bare-list"),
        pytest.param(list[float], [1, 2.5], [1.0, 2.5], id="list"),
        pytest.param(Sequence[int], [1], [1], id="sequence"),
        pytest.param(tuple[int, ...], [1, 2], (1, 2), id="tuple"),
        pytest.param(tuple[int, str], [1, "a"], (1, "a"), id="fixed-tuple"),
        pytest.param(set[str], ["a"], {"a"}, id="set"),
        pytest.param(dict, {"a": 1}, {"a": 1}, id="bare-dict"),
        pytest.param(dict[str, int], {"a": 1}, {"a": 1}, id="dict"),
        pytest.param(Mapping[str, int], {"a": 1}, {"a": 1}, id="mapping"),
        pytest.param(int | None, None, None, id="optional-null"),
        pytest.param(int | None, 1, 1, id="optional"),
        pytest.param(int | str, "a", "a", id="union"),
        pytest.param(Union[int, str], 1, 1, id="older-union"),  # noqa: UP007
        pytest.param(Annotated[int, "rows"], 1, 1, id="annotated"),
        pytest.param(Literal["a", 1], 1, 1, id="literal"),
        pytest.param(Colour, "red", Colour.RED, id="enum"),
        pytest.param(Point, {"x": 1}, Point(1.0), id="dataclass"),
        pytest.param(list[Point], [{"x": 1, "tags": ["t"]}], [Point(1.0, 0.0, ["t"])], id="deep"),
        pytest.param(Person, {"name": "n"}, Person(name="n"), id="pydantic"),
    ],
)
def test_a_json_value_becomes_what_the_annotation_says(
    hint: object, value: object, expected: object
) -> None:
    converted, problems = convert(hint, value)
    assert problems == []
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("hint", "value", "problem"),
    [
        pytest.param(int, True, "p: expected int, got bool True", id="bool-as-int"),
        pytest.param(int, 1.0, "p: expected int, got float 1.0", id="float-as-int"),
        pytest.param(int, None, "p: expected int, got None", id="null"),
        pytest.param(float, "1", "p: expected float, got str '1'", id="text-as-float"),
        pytest.param(float, 10**400, "p: expected float, got int 1000", id="huge"),
        pytest.param(bytes, "é", "p: expected base64 text, got str 'é'", id="bytes"),
        pytest.param(dt.date, "x", "p: expected an ISO date, got str 'x'", id="date"),
        pytest.param(None, 1, "p: expected null, got int 1", id="none"),
        pytest.param(list[int], ["a"], "p[0]: expected int, got str 'a'", id="list"),
        pytest.param(set[int], {}, "p: expected list, got dict {}", id="set"),
        pytest.param(tuple[int, int], [1], "p: expected a list of 2 values", id="tuple"),
        pytest.param(dict[str, int], {"a": "b"}, "p['a']: expected int", id="dict"),
        pytest.param(int | None, "a", "p: expected int, got str 'a'", id="optional"),
        pytest.param(int | bool, "a", "p: expected int or bool, got str 'a'", id="union"),
        pytest.param(Literal["a", 1], True, "p: expected one of 'a', 1, got bool", id="literal"),
        pytest.param(Colour, "blue", "p: expected one of 'red', got str 'blue'", id="enum"),
        pytest.param(Point, {}, "p.x: expected a value, got nothing", id="dataclass-missing"),
        pytest.param(Point, {"x": 1, "z": 2}, "p.z: expected no such key, got 2", id="unknown"),
        pytest.param(Point, {"x": -1}, "p: expected Point, got x is below 0", id="own-check"),
        pytest.param(Person, {"age": "x"}, "p.name: expected Field required", id="pydantic"),
        pytest.param(pd.DataFrame, [1], "p: expected a list of records", id="frame"),
        pytest.param(
            pd.DataFrame, {"a": [1], "b": []}, "p: expected columns of one", id="columns"
        ),
        pytest.param(np.ndarray, [[1], [2, 3]], "p: expected lists of one length", id="ragged"),
        pytest.param(np.ndarray, [None], "p: expected an array of numbers", id="array"),
    ],
)
def test_what_does_not_fit_is_a_problem_with_its_place(
    hint: object, value: object, problem: str
) -> None:
    _, problems = convert(hint, value)
    assert str(problems[0]).startswith(problem)


@pytest.mark.parametrize(
    "value", [[{"a": 1, "b": "x"}, {"a": 2, "b": "y"}], {"a": [1, 2], "b": ["x", "y"]}]
)
def test_records_and_columns_become_a_frame(value: object) -> None:
    frame, problems = convert(pd.DataFrame, value)
    assert problems == []
    pd.testing.assert_frame_equal(frame, pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))


@pytest.mark.parametrize("hint", [np.ndarray, npt.NDArray[np.float64]])
def test_lists_become_an_array(hint: object) -> None:
    array, problems = convert(hint, [[1, 2.5]])
    assert problems == []
    assert (array == np.array([[1, 2.5]])).all()


@pytest.mark.parametrize(
    "hint", [Callable[[], int], dict[int, str], complex, list[complex], "text", tuple[complex]]
)
def test_an_annotation_that_no_json_value_fits_is_refused_at_once(hint: object) -> None:
    with pytest.raises(InvalidArgumentError, match="p: no JSON value becomes"):
        find_converter(hint, "p")


def test_strict_binding_gives_what_is_reserved() -> None:
    def function(event: Event, context: Context, project: str, run: str, a: int = 1) -> None: ...

    context, event = Context(), Event()
    binding = plan_binding(function, project="p", run="r", context=context)
    assert binding.arguments(event) == {
        "event": event,
        "context": context,
        "project": "p",
        "run": "r",
    }


def test_a_function_without_parameters_gets_none() -> None:
    assert plan_binding(lambda *args, **more: None).arguments(Event()) == {}


def test_a_function_that_no_request_could_call_is_refused_at_start() -> None:
    def function(event: Event, a: int, *, b: str, c: int = 1) -> None: ...

    with pytest.raises(InvalidArgumentError, match="its parameters a, b have no default"):
        plan_binding(function)


@pytest.mark.parametrize("bind", ["strict", "json"])
def test_a_parameter_that_has_no_name_is_refused_at_start(bind: Any) -> None:
    def function(event: Event, /) -> None: ...

    with pytest.raises(InvalidArgumentError, match="event can only be given"):
        plan_binding(function, bind=bind)


def test_an_annotation_that_cannot_be_read_is_refused_at_start() -> None:
    def function(a: Nowhere) -> None: ...  # type: ignore[name-defined] # noqa: F821

    with pytest.raises(InvalidArgumentError, match="Nowhere"):
        plan_binding(function, bind="json")


def test_an_unknown_way_of_binding_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="'strict' or 'json'"):
        plan_binding(lambda: None, bind="loose")  # type: ignore[arg-type]


def test_all_problems_of_a_body_are_told_at_once(serve: Callable[..., httpx.Client]) -> None:
    def function(a: int, b: list[float], c: str, event: Event) -> None: ...

    client = serve(function, bind="json")
    answer = client.post("/", json={"b": [1, "x"], "c": 5, "event": {}, "z": 0})
    assert answer.status_code == 422
    assert answer.json()["problems"] == [
        {"path": "a", "expected": "a value", "got": "nothing"},
        {"path": "b[1]", "expected": "float", "got": "str 'x'"},
        {"path": "c", "expected": "str", "got": "int 5"},
        {"path": "event", "expected": "no such key", "got": "{}"},
        {"path": "z", "expected": "no such key", "got": "0"},
    ]


def test_keys_of_the_body_fill_parameters(serve: Callable[..., httpx.Client]) -> None:
    def function(
        event: Event, rows: pd.DataFrame, factor: float = 2.0, **more: object
    ) -> dict[str, object]:
        return {"sum": int(rows["a"].sum()) * factor, "more": more, "method": event.method}

    client = serve(function, bind="json")
    body = {"rows": [{"a": 1}, {"a": 2}], "other": [1]}
    assert client.post("/", json=body).json() == {
        "sum": 6.0,
        "more": {"other": [1]},
        "method": "POST",
    }


@pytest.mark.parametrize(
    ("content", "content_type", "got"),
    [
        pytest.param(b"[1]", "application/json", "list [1]", id="list"),
        pytest.param(b"{", "application/json", "1 bytes: the body is not valid JSON", id="broken"),
        pytest.param(b'{"a":1,"a":2}', "application/json", "the key 'a' twice", id="twice"),
        pytest.param(b'{"a":NaN}', "application/json", "the token NaN", id="nan"),
        pytest.param(b'"\xff"', "application/json", "not UTF-8", id="encoding"),
        pytest.param(b"{}", "text/plain", "its Content-Type is 'text/plain'", id="text"),
    ],
)
def test_a_body_that_is_no_object_is_a_problem(
    serve: Callable[..., httpx.Client], content: bytes, content_type: str, got: str
) -> None:
    client = serve(lambda a=1: "ok", bind="json")
    answer = client.post("/", content=content, headers={"content-type": content_type})
    assert answer.status_code == 422
    (problem,) = answer.json()["problems"]
    assert (problem["path"], problem["expected"]) == ("body", "a JSON object")
    assert got in problem["got"]
    assert client.get("/").text == "ok"  # no body is no key


def init(context: Context, a: int, b: int = 2) -> None:
    context.made = (a, b)


@pytest.mark.parametrize(("parameters", "made"), [({"a": 1}, (1, 2)), ({"a": 1, "b": 3}, (1, 3))])
def test_an_init_function_gets_the_context_and_its_parameters(
    parameters: dict[str, object], made: object
) -> None:
    context = Context()
    call_init(init, context, parameters)
    assert context.made == made


@pytest.mark.parametrize(
    ("function", "parameters", "message"),
    [
        pytest.param(lambda a: None, {}, "must have a parameter context", id="no-context"),
        pytest.param(init, {}, "a has no value", id="missing"),
        pytest.param(init, {"c": 1}, "a has no value; c is no parameter", id="both"),
        pytest.param(init, {"a": 1, "context": 2}, "context is no parameter", id="context"),
        pytest.param(
            lambda context, **more: None, {"context": 2}, "context is no parameter", id="more"
        ),
    ],
)
def test_parameters_that_init_does_not_take_are_refused(
    function: Any, parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        call_init(function, Context(), parameters)


def test_a_binding_error_lists_its_problems() -> None:
    def function(a: int) -> None: ...

    with pytest.raises(BindingError, match="a: expected a value, got nothing"):
        plan_binding(function, bind="json").arguments(Event(b"{}", headers=JSON))
