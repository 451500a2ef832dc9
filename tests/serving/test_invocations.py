"""MLflow's scoring protocol over the application: what is answered, and with which status."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pyfunc.errors import PyfuncError
from pyfunc.schema import ColSpec, ParamSchema, ParamSpec, Schema
from pyfunc.serving import status_of
from pyfunc.serving.http.failures import STATUSES
from pyfunc.serving.http.html import html_reply, read_page
from pyfunc.version import VERSION

Ask = Callable[..., Any]
AppOf = Callable[..., Any]

SPLIT = {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3, 4.5]]}}
FRAME = pd.DataFrame({"a": [1.0, 3.0], "b": [2.0, 4.5]})


def parquet_of(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, engine="pyarrow")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(SPLIT, "application/json", id="split"),
        pytest.param(SPLIT, "application/json; charset=UTF-8", id="charset"),
        pytest.param(
            {"dataframe_records": [{"a": 1, "b": 2}, {"b": 4.5, "a": 3}]},
            "application/json",
            id="records",
        ),
        pytest.param({"inputs": {"a": [1, 3], "b": [2, 4.5]}}, "application/json", id="inputs"),
        pytest.param(
            {"instances": [{"a": 1, "b": 2}, {"a": 3, "b": 4.5}]},
            "application/json",
            id="instances",
        ),
        pytest.param("a,b\n1,2\n3,4.5\n", "text/csv", id="csv"),
    ],
)
def test_every_form_gives_the_same_answer(
    ask: Ask, adder_app: Any, body: Any, content_type: str
) -> None:
    response = ask(adder_app, body=body, content_type=content_type)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"predictions": [3.0, 7.5]}


def test_parquet_gives_the_same_answer(ask: Ask, adder_app: Any) -> None:
    body = parquet_of(FRAME)
    response = ask(adder_app, body=body, content_type="application/vnd.apache.parquet")
    assert response.json() == {"predictions": [3.0, 7.5]}


def test_parquet_is_another_media_type_where_it_cannot_be_read(
    ask: Ask, adder_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    response = ask(adder_app, body=b"PAR1", content_type="application/vnd.apache.parquet")
    assert response.status_code == 415


@pytest.mark.parametrize(
    ("path", "text"),
    [("/ping", "\n"), ("/health", "\n"), ("/version", VERSION)],
)
def test_the_small_routes_answer(ask: Ask, adder_app: Any, path: str, text: str) -> None:
    response = ask(adder_app, path)
    assert (response.status_code, response.text) == (200, text)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        pytest.param(SPLIT, None, 415, "UNSUPPORTED_MEDIA_TYPE", id="no-content-type"),
        pytest.param(SPLIT, "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE", id="unknown-type"),
        pytest.param(SPLIT, "APPLICATION/JSON", 415, "UNSUPPORTED_MEDIA_TYPE", id="upper-case"),
        pytest.param(
            SPLIT, "application/json; charset=latin-1", 415, "UNSUPPORTED_MEDIA_TYPE", id="charset"
        ),
        pytest.param(
            SPLIT, "application/json; format=split", 415, "UNSUPPORTED_MEDIA_TYPE", id="parameter"
        ),
        pytest.param("{", "application/json", 400, "BAD_REQUEST", id="not-json"),
        pytest.param(b"\xff\xfe", "application/json", 400, "BAD_REQUEST", id="not-utf8"),
        pytest.param(b"\xef\xbb\xbf{}", "application/json", 400, "BAD_REQUEST", id="bom"),
        pytest.param('{"inputs":[1]} x', "application/json", 400, "BAD_REQUEST", id="trailing"),
        pytest.param(
            '{"inputs":1,"inputs":2}', "application/json", 400, "BAD_REQUEST", id="twice"
        ),
        pytest.param("[" * 10**5, "application/json", 400, "BAD_REQUEST", id="deep"),
        pytest.param("9" * 5000, "application/json", 400, "BAD_REQUEST", id="digits"),
        pytest.param('{"inputs":[NaN]}', "application/json", 400, "BAD_REQUEST", id="nan"),
        pytest.param('{"inputs":[1e999]}', "application/json", 400, "BAD_REQUEST", id="infinite"),
        pytest.param([1], "application/json", 400, "BAD_REQUEST", id="list"),
        pytest.param({}, "application/json", 400, "BAD_REQUEST", id="no-form"),
        pytest.param(
            {"inputs": [1], "instances": [1]},
            "application/json",
            400,
            "BAD_REQUEST",
            id="two-forms",
        ),
        pytest.param(
            {**SPLIT, "params": 5}, "application/json", 400, "INVALID_PARAMETER_VALUE", id="params"
        ),
        pytest.param(
            {"dataframe_split": {"columns": ["a", "b"], "data": [[1], [1, 2]]}},
            "application/json",
            400,
            "BAD_REQUEST",
            id="ragged",
        ),
        pytest.param(
            {"dataframe_split": {"columns": ["a"], "data": [[1]]}},
            "application/json",
            400,
            "INVALID_PARAMETER_VALUE",
            id="missing-column",
        ),
        pytest.param("a,b\n1,x\n", "text/csv", 400, "BAD_REQUEST", id="csv-text-for-number"),
        pytest.param(b"\xff", "text/csv", 400, "BAD_REQUEST", id="csv-not-utf8"),
        pytest.param("", "text/csv", 400, "BAD_REQUEST", id="csv-empty"),
        pytest.param(
            b"PAR1", "application/vnd.apache.parquet", 400, "BAD_REQUEST", id="not-parquet"
        ),
        pytest.param(
            {"inputs": {"a": [2**70], "b": ["\x00"]}},
            "application/json",
            400,
            "BAD_REQUEST",
            id="nul",
        ),
        pytest.param('{"\\ud800": 1}', "application/json", 400, "BAD_REQUEST", id="surrogate"),
        pytest.param({"k" * 10**6: 1}, "application/json", 400, "BAD_REQUEST", id="long-key"),
    ],
)
def test_what_cannot_be_read_is_refused(
    ask: Ask, adder_app: Any, *, body: Any, content_type: str | None, status: int, code: str
) -> None:
    response = ask(adder_app, body=body, content_type=content_type)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    error = response.json()
    assert error["error_code"] == code
    assert error["message"]
    assert len(response.content) < 5000
    assert "Traceback" not in response.text


def test_misfits_are_told_in_mlflows_form(ask: Ask, adder_app: Any) -> None:
    body = {"dataframe_split": {"columns": ["a"], "data": [[1]]}}
    error = ask(adder_app, body=body).json()
    assert error["error_class"] == "SCHEMA_ENFORCEMENT_FAILED"
    assert error["sqlstate"] == "KAM01"
    assert "inputs['b']" in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/invocations", 405),
        ("PUT", "/invocations", 405),
        ("POST", "/ping", 405),
        ("GET", "/nothing", 404),
        ("GET", "/ping/", 404),
        ("GET", "/../setup.cfg", 404),
        ("GET", "/%2e%2e/setup.cfg", 404),
        ("GET", "/page.html", 404),
        ("POST", "/invocations/stream", 404),
    ],
)
def test_other_paths_and_methods(
    ask: Ask, adder_app: Any, method: str, path: str, status: int
) -> None:
    response = ask(adder_app, path, method=method)
    assert response.status_code == status
    assert response.json()["error_code"] in ("ENDPOINT_NOT_FOUND", "METHOD_NOT_ALLOWED")
    if status == 405:
        assert response.headers["allow"]


PARAMS = ParamSchema([ParamSpec("scale", "double", 1.0)])


def scaled(frame: Any, params: Any) -> Any:
    return (frame["a"] * params["scale"]).tolist()


def test_params_reach_the_model(ask: Ask, app_of: AppOf) -> None:
    app = app_of(scaled, Schema([ColSpec("double", "a")]), params=PARAMS)
    body: dict[str, Any] = {"inputs": {"a": [1, 2]}}
    assert ask(app, body=body).json() == {"predictions": [1.0, 2.0]}
    body["params"] = {"scale": 2.5}
    assert ask(app, body=body).json() == {"predictions": [2.5, 5.0]}
    body["params"] = {"scale": "x"}
    response = ask(app, body=body)
    assert (response.status_code, response.json()["error_code"]) == (
        400,
        "INVALID_PARAMETER_VALUE",
    )


def test_chat_requests_get_the_bare_prediction(ask: Ask, app_of: AppOf) -> None:
    app = app_of(lambda data, params: {"got": data, "params": params})
    body = {"messages": [{"role": "user", "content": "hi"}]}
    assert ask(app, body=body).json() == {"got": body, "params": {}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(pd.DataFrame({"x": [1.5, None]}), [{"x": 1.5}, {"x": None}], id="frame"),
        pytest.param(pd.Series([1, 2]), [{"0": 1}, {"0": 2}], id="series"),
        pytest.param(np.array([np.nan, np.inf, 1]), [None, None, 1.0], id="not-finite"),
        pytest.param({"a": np.float32(1.5), "b": b"x"}, {"a": 1.5, "b": "eA==\n"}, id="dict"),
        pytest.param("é", "é", id="text"),
    ],
)
def test_predictions_are_strict_json(ask: Ask, app_of: AppOf, value: Any, expected: Any) -> None:
    response = ask(app_of(lambda data, params: value), body={"inputs": [1]})
    assert json.loads(response.text, parse_constant=pytest.fail) == {"predictions": expected}


def test_not_finite_numbers_may_be_texts(ask: Ask, app_of: AppOf) -> None:
    app = app_of(lambda data, params: [float("nan")], settings={"nan": "string"})
    assert ask(app, body={"inputs": [1]}).json() == {"predictions": ["NaN"]}


def test_nan_is_taken_on_request(ask: Ask, app_of: AppOf) -> None:
    app = app_of(lambda data, params: data["a"].isna().tolist(), Schema([ColSpec("double", "a")]))
    body = '{"dataframe_split":{"columns":["a"],"data":[[NaN]]}}'
    assert ask(app, body=body).status_code == 400
    lenient = app_of(
        lambda data, params: data["a"].isna().tolist(),
        Schema([ColSpec("double", "a")]),
        settings={"allow_nan": True},
    )
    assert ask(lenient, body=body).json() == {"predictions": [True]}


class CustomerError(Exception):
    """An error as MLflow's own: it speaks to the caller."""

    error_code = "RESOURCE_DOES_NOT_EXIST"
    message = "no such customer"


class OddError(CustomerError):
    """One whose code has no status."""

    error_code = "MALFORMED_REQUEST"
    message = "secret"


def raising(error: BaseException) -> Callable[..., Any]:
    def predict(data: Any, params: Any) -> Any:
        raise error

    return predict


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        pytest.param(ValueError("secret"), 500, "INTERNAL_ERROR", id="builtin"),
        pytest.param(SystemExit(3), 500, "INTERNAL_ERROR", id="exit"),
        pytest.param(StopIteration(1), 500, "INTERNAL_ERROR", id="stop"),
        pytest.param(MemoryError(), 500, "INTERNAL_ERROR", id="memory"),
        pytest.param(PyfuncError("come later", "RESOURCE_EXHAUSTED"), 429, None, id="ours"),
        pytest.param(PyfuncError("odd", "NO_SUCH_CODE"), 500, "NO_SUCH_CODE", id="unknown-code"),
        pytest.param(CustomerError(), 404, None, id="as-mlflows"),
        pytest.param(OddError(), 500, "INTERNAL_ERROR", id="as-mlflows-without-status"),
    ],
)
def test_errors_of_the_model(
    ask: Ask,
    app_of: AppOf,
    *,
    error: BaseException,
    status: int,
    code: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    response = ask(app_of(raising(error)), body={"inputs": [1]})
    assert response.status_code == status
    tree = response.json()
    assert "secret" not in response.text
    assert "stack_trace" not in tree
    if status == 500:
        assert tree["error_code"] == code
        assert tree["error_id"] in caplog.text
        assert tree["error_id"] in tree["message"]
    else:
        assert tree["message"] == getattr(error, "message", str(error))


def test_debug_mode_tells_the_error(ask: Ask, app_of: AppOf) -> None:
    app = app_of(raising(ValueError("the reason")), settings={"debug": True})
    tree = ask(app, body={"inputs": [1]}).json()
    assert "ValueError: the reason" in tree["message"]
    assert "Traceback" in tree["stack_trace"]


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j], ids=["object", "set", "complex"])
def test_a_prediction_without_json_form_is_the_models_fault(
    ask: Ask, app_of: AppOf, value: Any
) -> None:
    response = ask(app_of(lambda data, params: value), body={"inputs": [1]})
    assert response.status_code == 500
    assert "no JSON form" in response.json()["message"]


def test_every_status_of_the_table_is_one_of_http() -> None:
    assert {status_of(PyfuncError("", code)) for code in STATUSES} == set(STATUSES.values())
    assert all(400 <= status < 600 for status in STATUSES.values())


def test_metrics_count_requests(ask: Ask, app_of: AppOf) -> None:
    app = app_of(lambda data, params: [1])
    ask(app, body={"inputs": [1]})
    ask(app, body="{")
    text = ask(app, "/metrics").text
    assert 'pyfunc_requests_total{endpoint="invocations",status="200"} 1.0' in text
    assert 'pyfunc_requests_total{endpoint="invocations",status="400"} 1.0' in text
    assert 'pyfunc_request_seconds_count{endpoint="invocations"} 2.0' in text
    assert "pyfunc_waiting 0.0" in text


def test_the_page_may_run_its_own_script_alone(ask: Ask, adder_app: Any) -> None:
    response = ask(adder_app, "/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.text.startswith("<!doctype html>")
    assert "script-src 'sha256-" in response.headers["content-security-policy"]


@pytest.mark.parametrize(
    "page",
    ["serving/pages/page.html", "serving/pages/conversation.html", "functions/ui/page.html"],
)
def test_a_page_is_one_response_with_all_its_parts(page: str) -> None:
    text = read_page(page).decode()
    assert re.findall(r"<(?:link|script|img|iframe)\b[^>]*>", text) == [
        '<link rel="icon" href="data:,">',
        *["<script>"] * text.count("<script>"),
    ]
    assert text.count("<style>") >= 2
    assert "url(" not in text
    assert "@import" not in text
    headers = dict(html_reply(text.encode()).headers)
    policy = headers[b"content-security-policy"].decode()
    assert policy.count("'sha256-") == text.count("<script>") + text.count("<style>")
    assert "unsafe" not in policy


def test_the_page_is_told_what_the_server_takes(
    ask: Ask, app_of: AppOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = Schema([ColSpec("double", "it's"), ColSpec("double", "b")])
    app = app_of(lambda data, params: [1], schema, {"metrics": False, "max_body_bytes": 2048})
    shown = ask(app, "/model.json").json()
    assert shown["takes"] == ["csv", "json", "parquet"]
    assert (shown["max_body_bytes"], shown["metrics"]) == (2048, False)
    assert [spec["path"] for spec in shown["inputs"]] == ['["it\'s"]', "['b']"]
    refused = ask(app, body={"dataframe_split": {"columns": ["it's"], "data": [["x"]]}})
    assert 'inputs["it\'s"]: expected a number' in refused.json()["message"]
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as where it is not installed
    assert ask(app, "/model.json").json()["takes"] == ["csv", "json"]


def test_metrics_and_page_can_be_left_out(ask: Ask, app_of: AppOf) -> None:
    app = app_of(lambda data, params: [1], settings={"metrics": False, "page": False})
    for path in ("/metrics", "/", "/model.json"):
        assert ask(app, path).status_code == 404
    assert ask(app, body={"inputs": [1]}).status_code == 200
