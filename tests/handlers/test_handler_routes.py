"""The routes that a server has for a model with a handler, in both styles of errors."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import pyfunc
from pyfunc.errors import InvalidArgumentError
from pyfunc.handlers import handler_routes
from pyfunc.schema import ColSpec, ModelSignature, Schema
from pyfunc.serving import ServingSettings, create_app
from pyfunc.serving.samples.routes import cortex_routes

Save = Callable[..., Path]
Load = Callable[[Path], pyfunc.PyFuncModel]
Ask = Callable[..., httpx.Response]

SIGNATURE = ModelSignature(Schema([ColSpec("double", "a")]), Schema([ColSpec("double", "y")]))
SOURCE = """
import numpy as np

def pre_inference(sample, signature, metadata):
    if sample is None:
        return {"a": -1.0}
    if sample.get("do") == "fail":
        raise ValueError("no good")
    return sample

def post_inference(prediction, signature, metadata):
    value = float(prediction["a"].iloc[0])
    if value == 13:
        return object()
    if value == 14:
        return {"nan": float("nan"), "array": np.arange(2), "scalar": np.float32(0.5)}
    return {"got": value}
"""
STYLES = {"pyfunc": handler_routes, "cortex": cortex_routes}
FAIL_ON_99 = "1 / 0 if model_input['a'].iloc[0] == 99 else model_input"


@pytest.fixture
def app(save: Save, load: Load) -> Callable[..., Any]:
    """Return a function that makes the application of a model with a handler."""

    def make(style: str = "pyfunc", **settings: Any) -> Any:
        path = save(SOURCE, signature=SIGNATURE, body=FAIL_ON_99)
        model = load(path)
        return create_app(model, settings=ServingSettings(**settings), extra_routes=STYLES[style])

    return make


def is_open(response: httpx.Response) -> bool:
    names = ("access-control-allow-origin", "access-control-allow-headers")
    return [response.headers.get(name) for name in names] == ["*", "*"]


def test_a_sample_is_answered(app: Any, client: Ask) -> None:
    response = client(app(), "POST", "/predict", json={"a": 5})
    assert (response.status_code, response.json()) == (200, {"got": 5.0})
    assert response.headers["content-type"] == "application/json"
    assert is_open(response)


def test_the_server_answers_what_this_process_answers(save: Save, load: Load, client: Ask) -> None:
    model = load(save(SOURCE, signature=SIGNATURE))
    app = create_app(model, extra_routes=handler_routes)
    for value in (0, 1.5, -3):
        response = client(app, "POST", "/predict", json={"a": value})
        assert response.json() == model.predict_sample({"a": value})


def test_numpy_and_nan_become_json(app: Any, client: Ask) -> None:
    response = client(app(), "POST", "/predict", json={"a": 14})
    assert response.json() == {"nan": None, "array": [0, 1], "scalar": 0.5}


@pytest.mark.parametrize(
    ("content_type", "answer"),
    [
        pytest.param("application/json", 7.0, id="json"),
        pytest.param("application/json; charset=utf-8", 7.0, id="with-charset"),
        pytest.param("Application/JSON", 7.0, id="capitals"),
        pytest.param("application/vnd.api+json", 7.0, id="a-kind-of-json"),
        pytest.param("text/plain", -1.0, id="text-is-no-sample"),
        pytest.param(None, -1.0, id="nothing-said"),
    ],
)
def test_only_json_is_a_sample(
    app: Any, client: Ask, content_type: str | None, answer: float
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    response = client(app(), "POST", "/predict", content=b'{"a": 7}', headers=headers)
    assert response.json() == {"got": answer}


JSON = {"content-type": "application/json"}
FAILED = "prediction failed: error: handler.py: pre_inference request handler: no good: runtime "


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        pytest.param(b"{", 400, "malformed json", id="cortex-json"),
        pytest.param(b"", 400, "malformed json", id="cortex-empty"),
        pytest.param(b'{"do": "fail"}', 406, FAILED + "exception", id="cortex-hook"),
        pytest.param(
            b'{"b": 1}',
            406,
            'prediction failed: error: missing key "a"',
            id="cortex-key",
        ),
        pytest.param(b'{"a": 99}', 406, "prediction failed: division by zero", id="cortex-model"),
    ],
)
def test_errors_as_cortex_had_them(
    app: Any, client: Ask, body: bytes, status: int, text: str
) -> None:
    response = client(app("cortex"), "POST", "/predict", content=body, headers=JSON)
    assert (response.status_code, response.text) == (status, text)
    assert response.headers["content-type"].startswith("text/plain")
    assert is_open(response)


def test_what_has_no_json_form_as_cortex_had_it(app: Any, client: Ask) -> None:
    response = client(app("cortex"), "POST", "/predict", json={"a": 13})
    assert response.status_code == 500
    assert response.json().keys() == {"error"}


@pytest.mark.parametrize(
    ("body", "answer", "text"),
    [
        pytest.param(b"{", (400, "BAD_REQUEST"), "not valid JSON", id="json"),
        pytest.param(b'{"b": 1}', (400, "BAD_REQUEST"), 'missing key "a"', id="key"),
        pytest.param(b'{"a": "x"}', (400, "INVALID_PARAMETER_VALUE"), "inputs", id="schema"),
        pytest.param(b'{"do": "fail"}', (500, "INTERNAL_ERROR"), FAILED, id="hook"),
        pytest.param(b'{"a": 13}', (500, "INTERNAL_ERROR"), "", id="no-json-form"),
        pytest.param(b'{"a": 99}', (500, "INTERNAL_ERROR"), "", id="model"),
    ],
)
def test_errors_as_the_other_routes_have_them(
    app: Any, client: Ask, body: bytes, answer: tuple[int, str], text: str
) -> None:
    response = client(app(), "POST", "/predict", content=body, headers=JSON)
    tree = response.json()
    assert (response.status_code, tree["error_code"]) == answer
    assert text in tree["message"]
    assert "Traceback" not in response.text
    assert is_open(response)


@pytest.mark.parametrize("style", ["pyfunc", "cortex"])
def test_limits_of_the_server_hold_and_keep_their_status(
    app: Any, client: Ask, style: str
) -> None:
    response = client(app(style, max_body_bytes=10), "POST", "/predict", json={"a": 1234567890})
    assert response.status_code == 413
    assert is_open(response)


@pytest.mark.parametrize(
    ("path", "tree"),
    [
        pytest.param("/healthz", {"ok": True}, id="health"),
        pytest.param(
            "/predict/signature",
            {"signature": {"a": {"shape": [-1], "type": "float64"}}},
            id="signature",
        ),
    ],
)
def test_what_can_be_read(app: Any, client: Ask, path: str, tree: Any) -> None:
    response = client(app(), "GET", path)
    assert (response.status_code, response.json()) == (200, tree)
    assert is_open(response)


def test_predict_can_be_read_too(app: Any, client: Ask) -> None:
    tree = client(app(), "GET", "/predict").json()
    assert tree.keys() == {"model_signature", "message"}
    assert tree["model_signature"] == {"a": {"shape": [-1], "type": "float64"}}


def test_a_browser_may_ask_first(app: Any, client: Ask) -> None:
    response = client(app(), "OPTIONS", "/predict")
    assert response.status_code == 200
    assert is_open(response)


@pytest.mark.parametrize(
    ("query", "logged"),
    [
        pytest.param("?debug=true", True, id="true"),
        pytest.param("?debug=TRUE", True, id="capitals"),
        pytest.param("?debug=1", False, id="one"),
        pytest.param("", False, id="none"),
    ],
)
def test_debug_is_asked_for_in_the_query(
    app: Any, client: Ask, caplog: pytest.LogCaptureFixture, query: str, logged: bool
) -> None:
    served = app()
    caplog.clear()
    with caplog.at_level(logging.INFO, "pyfunc.handlers"):
        client(served, "POST", f"/predict{query}", json={"a": 1})
    steps = [
        r.getMessage().partition(":")[0]
        for r in caplog.records
        if "request handler" not in r.getMessage()
    ]
    assert steps == (["sample", "pre_inference", "inference", "post_inference"] if logged else [])


def test_mlflow_s_routes_stay_as_they_are(app: Any, client: Ask) -> None:
    served = app()
    response = client(served, "POST", "/invocations", json={"dataframe_records": [{"a": 2.0}]})
    assert response.json() == {"predictions": [{"a": 2.0}]}
    assert client(served, "GET", "/ping").status_code == 200


def test_a_model_without_a_handler_has_none_of_the_routes(
    save: Save, load: Load, client: Ask
) -> None:
    model = load(save("", handler=None, project_dir=None))
    app = create_app(model, extra_routes=handler_routes)
    assert client(app, "POST", "/predict", json=1).status_code == 404


def test_an_unknown_style_is_refused(save: Save, load: Load) -> None:
    style: Any = "flask"
    with pytest.raises(InvalidArgumentError, match="error_style"):
        create_app(
            load(save("")), extra_routes=functools.partial(handler_routes, error_style=style)
        )


def test_samples_from_many_clients_do_not_mix(app: Any, client: Ask) -> None:
    served = app()
    wrong: list[Any] = []

    def work(number: int) -> None:
        for _ in range(5):
            found = client(served, "POST", "/predict", json={"a": number}).json()
            if found != {"got": float(number)}:
                wrong.append(found)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
