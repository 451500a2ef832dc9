"""Requests on which our server and MLflow's differ on purpose, and those on which they may not.

Each row is asked of both. The rules that the first tables stand for are on the page of
differences; where MLflow's answer changes, a row here fails.
"""

from __future__ import annotations

import datetime as dt
import enum
import importlib
import logging
import warnings
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from packaging.version import Version

import pyfunc.schema
from pyfunc.model.description import Model
from pyfunc.model.loaded import PyFuncModel
from pyfunc.serving import create_app

pytestmark = [pytest.mark.interop, pytest.mark.slow]

JSON, CSV = "application/json", "text/csv"
# Rows on which MLflow answers otherwise with an older pandas; the newer one counts.
ON_PANDAS_3 = int(Version(pd.__version__).major >= 3)
SCHEMAS: dict[str, Callable[[Any], Any]] = {
    "none": lambda s: None,
    "columns": lambda s: [s.ColSpec("long", "a"), s.ColSpec("string", "b")],
    "numbers": lambda s: [s.ColSpec("long", "a"), s.ColSpec("double", "b")],
    "truth": lambda s: [s.ColSpec("boolean", "a")],
    "bytes": lambda s: [s.ColSpec("binary", "a")],
    "moments": lambda s: [s.ColSpec("datetime", "a")],
    "optional": lambda s: [s.ColSpec("long", "a", required=False)],
    "array": lambda s: [s.ColSpec(s.Array(s.DataType.long), "a")],
    "arrays": lambda s: [s.ColSpec(s.Array(s.Array(s.DataType.long)), "a")],
    "tensor": lambda s: [s.TensorSpec(np.dtype("float64"), (-1, 2))],
    "tensors": lambda s: [s.TensorSpec(np.dtype("int64"), (-1,), name) for name in "ab"],
    "texts": lambda s: [s.TensorSpec(np.dtype("str"), (-1,), "a")],
    "objects": lambda s: [s.TensorSpec(np.dtype("object"), (-1,), "a")],
}


def described(data: Any, params: Any = None) -> str:
    """Return the values and the dtypes that a model was given, and whether there were params."""
    if isinstance(data, pd.DataFrame):
        dtypes = [str(dtype) for dtype in data.dtypes]
        cells = [data.iloc[:, i].tolist() for i in range(data.shape[1])]
        return f"{list(data.columns)} {list(data.index)} {dtypes} {cells} {params}"
    if isinstance(data, dict):
        return f"{ {key: described(value) for key, value in data.items()} } {params}"
    if isinstance(data, list):
        return f"{[described(value) for value in data]} {params}"
    if isinstance(data, np.ndarray):
        return f"{data.dtype} {data.tolist()!r} {params}"
    return f"{type(data).__name__} {data!r} {params}"


class Described:
    """A model that answers what it was given, or always the same."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer

    def predict(self, data: Any, params: Any = None) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return described(data, params) if self.answer is None else self.answer


@pytest.fixture(scope="module")
def mlflow() -> Iterator[Any]:
    """Return the parts of MLflow that serve a model."""
    logging.disable(logging.CRITICAL)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")  # MLflow's server sets it, too
        names = {
            "server": "mlflow.pyfunc.scoring_server",
            "pyfunc": "mlflow.pyfunc",
            "models": "mlflow.models",
            "types": "mlflow.types",
            "nested": "mlflow.types.schema",
        }
        yield SimpleNamespace(
            **{key: importlib.import_module(name) for key, name in names.items()}
        )
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def apps(mlflow: Any) -> Callable[..., tuple[Any, Any]]:
    """Return a function that gives MLflow's application and ours for a schema or an answer."""
    made: dict[str, tuple[Any, Any]] = {}
    flavors = {"python_function": {"loader_module": "toy"}}
    vocabulary = SimpleNamespace(**{**vars(mlflow.nested), **vars(mlflow.types)})

    def make(schema: str = "none", answer: Any = None) -> tuple[Any, Any]:
        if schema in made and answer is None:
            return made[schema]
        specs, ours = SCHEMAS[schema](vocabulary), SCHEMAS[schema](pyfunc.schema)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            signature = specs and mlflow.models.ModelSignature(mlflow.types.Schema(specs))
            meta = mlflow.models.Model(flavors=flavors, signature=signature)
            loaded = mlflow.pyfunc.PyFuncModel(model_meta=meta, model_impl=Described(answer))
            theirs = mlflow.server.init(loaded)
        mine = ours and pyfunc.schema.ModelSignature(pyfunc.schema.Schema(ours))
        pair = (
            theirs,
            create_app(PyFuncModel(Model(flavors=flavors, signature=mine), Described(answer))),
        )
        if answer is None:
            made[schema] = pair
        return pair

    return make


@pytest.fixture
def both(
    apps: Callable[..., tuple[Any, Any]], ask: Callable[..., httpx.Response]
) -> Callable[..., tuple[httpx.Response, httpx.Response]]:
    """Return a function that gives MLflow's response and ours to one request."""

    def send(
        schema: str, body: Any, content_type: str | None = JSON, answer: Any = None, **request: Any
    ) -> tuple[httpx.Response, httpx.Response]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs, ours = (
                ask_or_fail(ask, app, body=body, content_type=content_type, **request)
                for app in apps(schema, answer)
            )
        return theirs, ours

    return send


def ask_or_fail(ask: Callable[..., httpx.Response], app: Any, **request: Any) -> httpx.Response:
    """Return the response; that of a server whose application raised is 500."""
    try:
        return ask(app, **request)
    except Exception:
        return httpx.Response(500, text="Internal Server Error")


def split(*rows: Any, columns: str = "ab") -> dict[str, Any]:
    return {"dataframe_split": {"columns": list(columns), "data": [list(row) for row in rows]}}


def any_of(*values: Any) -> tuple[Any, ...]:
    return values


def each(key: str, *values: Any) -> list[dict[str, Any]]:
    return [{key: value} for value in values]


REFUSED_HERE = [
    pytest.param("columns", split([1.7, "x"]), id="fraction-for-a-long"),
    pytest.param("columns", {"inputs": {"a": [1.7], "b": ["x"]}}, id="fraction-in-inputs"),
    pytest.param("columns", {"inputs": {"a": [1], "b": [{"x": 1}]}}, id="object-for-text"),
    pytest.param("truth", split(["false"], columns="a"), id="text-for-a-truth"),
    pytest.param("truth", split([None], columns="a"), id="null-for-a-truth"),
    pytest.param("bytes", split(["!!"], columns="a"), id="no-base64"),
    pytest.param("bytes", {"inputs": {"a": ["YWI"]}}, id="no-base64-in-inputs"),
    pytest.param("moments", split(["now"], columns="a"), id="now"),
    pytest.param("moments", {"inputs": {"a": [True]}}, id="truth-for-a-moment"),
    pytest.param("texts", {"inputs": {"a": ["x", None]}}, id="null-in-a-tensor-of-text"),
    pytest.param("none", '{"inputs": [NaN]}', id="nan"),
    pytest.param("none", '{"inputs": [1], "inputs": [2]}', id="key-twice"),
    pytest.param("none", '{"inputs": [1]}'.encode("utf-16"), id="utf-16"),
    pytest.param("none", b'\xef\xbb\xbf{"inputs": [1]}', id="byte-order-mark"),
    pytest.param("none", '{"inputs": ["\\ud800"]}', id="half-a-pair"),
    pytest.param("none", '{"inputs":' + "[" * 40 + "]" * 40 + "}", id="deep"),
    pytest.param("none", {"inputs": [1], "params": [1]}, id="params-are-a-list"),
    pytest.param("none", {"dataframe_records": [[1, "x"]]}, id="records-are-lists"),
    pytest.param("none", split([1, "x"], [2]), id="rows-of-different-lengths"),
    pytest.param("none", {"dataframe_split": {"data": {"a": [1]}}}, id="data-is-an-object"),
    pytest.param("none", split([1, 2], columns="aa"), id="column-twice"),
    pytest.param(
        "none",
        {"dataframe_split": {"columns": ["a"], "index": [], "data": [[1]]}},
        id="index-of-another-length",
    ),
]
REFUSED_THERE = [
    pytest.param("optional", split([None], columns="a"), id="null-where-optional"),
    pytest.param("optional", {"inputs": {"a": [1, None]}}, id="null-where-optional-in-inputs"),
    pytest.param("moments", split(["2020-01-01T00:00:00Z"], columns="a"), id="zone"),
    pytest.param("tensor", {"inputs": []}, id="empty-list-for-two-axes"),
    pytest.param("arrays", {"inputs": [{"a": [[1], [2, 3]]}]}, id="arrays-of-different-lengths"),
    pytest.param("array", {"dataframe_records": [{"a": [None]}]}, id="null-in-an-array"),
]
OTHER_VALUES = [
    pytest.param("columns", split([2**63, "x"]), id="beyond-a-long"),
    pytest.param("moments", {"inputs": {"a": ["1600-01-01"]}}, id="moment-that-wraps"),
    pytest.param("columns", {"inputs": {"a": [1, 2], "b": ["x", None]}}, id="null-is-no-text"),
    pytest.param("bytes", {"inputs": {"a": ["YWI="]}}, id="base64-in-inputs"),
    pytest.param("none", {"inputs": [1, "x"]}, id="mixed-values"),
    pytest.param("none", {"instances": [{"a": None}, {"a": 1}]}, id="null-among-instances"),
    pytest.param("objects", {"instances": [{"a": 1}, {"a": "x"}]}, id="objects-of-instances"),
    pytest.param("array", {"inputs": [{"a": []}]}, id="dtype-of-an-empty-array"),
    pytest.param(
        "none",
        {"dataframe_split": {"columns": [["a", "b"], ["a", "c"]], "data": [[1, 2]]}},
        id="labels-of-two-levels",
    ),
]


@pytest.mark.parametrize(("schema", "body"), REFUSED_HERE)
def test_what_mlflow_bends_is_refused(schema: str, body: Any, both: Any) -> None:
    theirs, ours = both(schema, body)
    assert theirs.status_code == 200
    assert ours.status_code == 400
    assert ours.json()["error_code"] in ("BAD_REQUEST", "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize(("schema", "body"), REFUSED_THERE)
def test_what_mlflow_cannot_read_is_answered(schema: str, body: Any, both: Any) -> None:
    theirs, ours = both(schema, body)
    assert (theirs.status_code, ours.status_code) == (400, 200)


@pytest.mark.parametrize(("schema", "body"), OTHER_VALUES)
def test_values_keep_what_mlflow_changes(schema: str, body: Any, both: Any) -> None:
    theirs, ours = both(schema, body)
    assert (theirs.status_code, ours.status_code) == (200, 200)
    assert ours.json() != theirs.json()


@pytest.mark.parametrize(
    ("schema", "body", "statuses"),
    [
        pytest.param("columns", "a,b\n1,NA\n", (200, 200), id="na-is-text"),
        pytest.param("bytes", "a\nYWI=\n", (200, 200), id="base64"),
        pytest.param("numbers", "a,b\n9007199254740993.0,1\n", (200, 200), id="beyond-doubles"),
        pytest.param("none", "a,a\n1,2\n", (200, 400), id="column-twice"),
        pytest.param("none", "a,b\n1,2,3\n", (200, 400), id="long-row"),
        pytest.param("bytes", 'a\n""\n', (200, 400), id="no-bytes"),
        pytest.param("moments", "a\n2020-01-01\n", (400, 200), id="moment"),
        pytest.param("optional", "a,b\n,1\n", (400, 200), id="empty-where-optional"),
        pytest.param("truth", "a\nTrue\n1\n", (400, 200), id="truths-of-two-kinds"),
    ],
)
def test_csv_departs_from_mlflow(
    schema: str, body: str, statuses: tuple[int, int], both: Any
) -> None:
    theirs, ours = both(schema, body, CSV)
    assert (theirs.status_code, ours.status_code) == statuses
    assert ours.text != theirs.text


MIXED: list[Any] = [{form: [[1, "x"]]} for form in ("inputs", "instances")]
SAME: list[Any] = [
    *MIXED,
    *[
        split([cell, "x"])
        for cell in any_of(1, 5.0, "5", " 5 ", True, None, "x", "5.0", [1], {}, 1e3)
    ],
    *[split([1, cell]) for cell in any_of("x", None, 5, 1.5, True, ["x"], {"x": 1}, "")],
    *[{"inputs": {"a": [cell], "b": ["x"]}} for cell in any_of(1, 5.0, "5", True, None, "x", [1])],
    *[{"inputs": {"a": [1], "b": [cell]}} for cell in any_of("x", 5, 1.5, True, ["x"], "")],
    split([1, "x"], [2, "y"]),
    split(["x", 1], columns="ba"),
    split([1, "x", 0], columns="abc"),
    split([1], columns="a"),
    split(),
    {"dataframe_split": {"data": [[1, "x"]]}},
    {"dataframe_split": {"columns": ["a", "b"], "index": ["r"], "data": [[1, "x"]]}},
    {"dataframe_split": {"columns": ["a", "b"], "index": [1, 1], "data": [[1, "x"], [2, "y"]]}},
    {"dataframe_split": {"columns": ["a", "b"], "index": None, "data": [[1, "x"]]}},
    {"dataframe_split": {"columns": "ab", "data": [[1, "x"]]}},
    {"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"]], "dtypes": []}},
    *each("dataframe_split", [], None, {}, "x", {"columns": ["a"]}),
    *each("dataframe_records", None, "x", [], {"a": [1]}, [{}], [{"a": 1}]),
    *[{"dataframe_records": [{"a": 1, "b": "x"}, {"a": 2}]}][:ON_PANDAS_3],
    {"dataframe_records": [{"a": 1, "b": "x"}, {"b": "y"}]},
    {"dataframe_records": [{"a": 1, "b": "x", "c": 2}]},
    *each("inputs", 5, "x", None, {}, [], [1, 2], {"a": [1]}),
    {"inputs": {"a": 1, "b": "x"}},
    {"inputs": [{"a": 1, "b": "x"}]},
    {"inputs": {"a": [1, 2], "b": ["x"]}},
    {"inputs": {"a": [1], "b": ["x"], "c": [1]}},
    *each("instances", 5, None, []),
    {"instances": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]},
    {"instances": [{"a": 1, "b": "x"}, {"a": 2}]},
    {"instances": {"a": [1], "b": ["x"]}},
    {"instances": {"a": 1, "b": "x"}},
    {"instances": {"a": 1, "b": ["x", "y"]}},
    {"instances": {"a": [1, 2], "b": ["x"]}},
    {},
    {"params": {}},
    {"other": 1},
    {**split([1, "x"]), "inputs": [1]},
    {**split([1, "x"]), "other": 1},
    {**split([1, "x"]), "params": None},
    {**split([1, "x"]), "params": {"q": 1}},
    {"prompt": "x"},
    {"messages": [{"role": "user", "content": "x"}]},
    {"input": "x", "inputs": [1]},
    *["", " ", "{", "[]", '"x"', "5", "null", "{'inputs': [1]}", '{"inputs": [1]} x'],
    b'{"inputs": "\xff"}',
]
WITHOUT_SCHEMA: list[Any] = [
    *[
        {"inputs": v}
        for v in ([1], [1, 2.5], ["a", "bc"], [True, 2], [1, None], [[[1.5]]], 5, "x")
    ],
    *each("inputs", True, None, [2**63], [2**70], [None], [[]], {"a": {"b": 1}}),
    *each("inputs", [{"a": "x"}], [{"a": ["x"]}], {"a": [{"b": 1}]}, [[1], [1, 2]]),
    *each("instances", [1, 2], [{"a": 1}, {"a": 2}], [{"a": "x"}, {"a": "yy"}]),
    {"instances": [{"a": [1, 2]}, {"a": [3, 4]}]},
    {"dataframe_split": {"data": [[1, 1.5, "x", True, None, [1], {"a": 1}]]}},
    *[
        {"dataframe_split": rows}
        for rows in each("data", [[1, 2.5], [2.5, 1]], [[1, None], [None, None]])
    ],
    *[
        {"dataframe_split": rows}
        for rows in each("data", [[True, None], [False, True]], [[2**70], [1]])
    ],
    *[{"dataframe_split": rows} for rows in each("data", [], [[]])],
    {"dataframe_records": [{"a": 1}, {"a": "x"}, {"b": [1]}]},
]
CELLS = ["1", "1.0", "1e3", "1.5", "True", "x", "", " 1", "+1", "1_0", "0x1", "1e19", '"1"']
TABLES = [
    *["a,b\n1,1e400\n"][:ON_PANDAS_3],
    *[f"a,b\n{cell},1.5\n" for cell in CELLS],
    *[f"a,b\n1,{cell}\n2,2.5\n" for cell in [*CELLS, "NA", "inf", "-inf", "nan"]],
    *["", "a,b\n", "a,b\n1\n", "a,b\r\n1,2\r\n", "\na,b\n\n1,2\n\n", 'a,b\n1,"2\n', "a;b\n1;2\n"],
    *[
        "\ufeffa,b\n1,2\n",
        ",a,b\n0,1,2\n",
        "a, b\n1,2\n",
        "a,b\n1,2",
        "a,b,c\n1,2,x\n",
        "b,a\n1,2\n",
    ],
]
HEADERS = [
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    "application/json ; charset=utf-8",
    " application/json ",
    "APPLICATION/JSON",
    "application/json; charset=latin-1",
    "application/json; charset=utf8",
    "application/json; charset",
    "application/json; format=pandas-split",
    "application/json;",
    "application/json, text/csv",
    "text/plain",
]


def check_alike(responses: tuple[httpx.Response, httpx.Response], request: Any) -> None:
    theirs, ours = responses
    assert ours.status_code == theirs.status_code, (request, theirs.text, ours.text)
    if ours.status_code == 200:
        assert ours.text == theirs.text, request
        return
    codes = {response.json()["error_code"] for response in (theirs, ours)}
    assert codes <= {"BAD_REQUEST", "INVALID_PARAMETER_VALUE"}, (request, codes)
    assert ours.headers["content-type"] == theirs.headers["content-type"] == JSON


@pytest.mark.parametrize("schema", ["columns", "none"])
def test_other_requests_are_treated_alike(schema: str, both: Any) -> None:
    for body in SAME:
        if schema == "columns" or body not in MIXED:
            check_alike(both(schema, body), body)


def test_other_values_without_a_schema_are_treated_alike(both: Any) -> None:
    for body in WITHOUT_SCHEMA:
        check_alike(both("none", body), body)


@pytest.mark.parametrize("schema", ["numbers", "none"])
def test_other_tables_are_treated_alike(schema: str, both: Any) -> None:
    for body in TABLES:
        check_alike(both(schema, body.encode(), CSV), body)


@pytest.mark.parametrize("content_type", HEADERS)
def test_content_types_are_treated_alike(content_type: str, both: Any) -> None:
    theirs, ours = both("none", {"inputs": [1]}, content_type)
    assert ours.status_code == theirs.status_code


@pytest.mark.parametrize(
    ("request_", "statuses"),
    [
        pytest.param({"content_type": None}, (500, 415), id="no-content-type"),
        pytest.param(
            {"content_type": 'application/json; charset="utf-8"'}, (415, 200), id="quoted-charset"
        ),
        pytest.param(
            {"content_type": "application/json; CHARSET=utf-8"},
            (415, 200),
            id="upper-case-charset",
        ),
        pytest.param({"method": "HEAD", "path": "/ping"}, (405, 200), id="head"),
        pytest.param({"method": "GET", "path": "/ping/"}, (307, 404), id="slash-at-the-end"),
        pytest.param({"method": "GET", "path": "/docs"}, (200, 404), id="docs"),
    ],
)
def test_http_departs_from_mlflow(
    request_: dict[str, Any], statuses: tuple[int, int], both: Any
) -> None:
    theirs, ours = both("none", {"inputs": [1]}, **request_)
    assert (theirs.status_code, ours.status_code) == statuses


class Word(str, enum.Enum):
    """Texts with names."""

    YES = "yes"


ANSWERS: list[Any] = [
    *[pd.DataFrame(index=[0, 1])][:ON_PANDAS_3],
    *[1, 1.5, "é\u2028", True, [1, 2.0, "x", None], (1, 2), {2: 2, True: 3, None: 4, 1.5: 5}],
    *[
        np.int64(3),
        np.float32(0.1),
        np.float16(0.1),
        np.bool_(True),
        np.str_("x"),
        np.bytes_(b"x"),
    ],
    *[np.array([0.1, 0.2], "f4"), np.ones((2, 2)), np.array(3.5), np.array(["a", "bc"])],
    *[np.array([1, "a", None, [1]], dtype=object), np.array([b"a", b"bc"]), np.array([])],
    *[np.array(["2020-01-01"], f"M8[{unit}]") for unit in ("ns", "us", "s", "D")],
    *[
        [np.array([1, 2]), np.array([3.0])],
        {"a": np.float32(2)},
        b"ab",
        [b"ab" * 60],
        [bytearray(2)],
    ],
    *[dt.date(2020, 1, 2), dt.datetime(2020, 1, 2, 3, 4, 5, 678), dt.time(1, 2, 3)],
    *[pd.Timestamp("2020-01-02T03:04:05.123456789"), np.datetime64("2020-01-02T03:04")],
    *[2**70, Word.YES, {Word.YES: [Word.YES]}],
    pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [1.5, 2]}, index=["r", "s"]),
    *[pd.DataFrame(), pd.DataFrame({"a": []})],
    *[pd.DataFrame([[1]], columns=[label]) for label in (0, 1.5, None, True)],
    pd.DataFrame({"a": pd.to_datetime(["2020-01-01"]), "b": pd.Categorical(["x"])}),
    pd.DataFrame({"a": pd.to_datetime(["2020-01-01"]).tz_localize("UTC"), "b": [b"ab"]}),
    pd.DataFrame(
        {"a": [[1, 2]], "b": [{"x": 1}], "c": [np.array([1])], "d": [dt.date(2020, 1, 1)]}
    ),
    pd.DataFrame({"a": pd.array([1, 2], "Int64"), "b": pd.array([True, False], "boolean")}),
    pd.DataFrame({"a": np.array([0.1], "f4"), "b": np.array([200], "u1"), "c": pd.array(["x"])}),
    *[pd.Series([1.5, 2]), pd.Series([1], name="p"), pd.Series([[1], {"a": 2}]), pd.Series(["x"])],
]


def test_other_answers_are_written_alike(both: Any) -> None:
    for answer in ANSWERS:
        responses = both("none", {"inputs": [1]}, answer=answer)
        check_alike(responses, answer)
        assert responses[1].status_code == 200, answer


@pytest.mark.parametrize(
    ("answer", "statuses"),
    [
        pytest.param(np.array([np.nan, np.inf]), (200, 200), id="not-finite"),
        pytest.param(pd.NaT, (200, 200), id="nat"),
        pytest.param(pd.NA, (500, 200), id="na"),
        pytest.param(pd.DataFrame([[1, 2]], columns=["a", "a"]), (200, 500), id="column-twice"),
        pytest.param(ValueError("x"), (400, 500), id="failure"),
    ],
)
def test_answers_depart_from_mlflow(answer: Any, statuses: tuple[int, int], both: Any) -> None:
    theirs, ours = both("none", {"inputs": [1]}, answer=answer)
    assert (theirs.status_code, ours.status_code) == statuses
    assert ours.text != theirs.text
    assert ours.headers["content-type"] == JSON
