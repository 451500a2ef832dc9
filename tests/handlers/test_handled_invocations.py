"""MLflow's route with the request handler at work: every row or element is a sample."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

import pyfunc
from pyfunc.errors import InvalidArgumentError
from pyfunc.handlers import handler_routes
from pyfunc.schema import ColSpec, ModelSignature, Schema
from pyfunc.serving import ServingSettings, create_app, run

Save = Callable[..., Path]
Load = Callable[[Path], pyfunc.PyFuncModel]
Ask = Callable[..., httpx.Response]

SIGNATURE = ModelSignature(Schema([ColSpec("double", "a")]))
SOURCE = """
def pre_inference(sample, signature, metadata):
    if not isinstance(sample, dict):
        sample = {"x": sample}
    if sample.get("x") == "bad":
        raise ValueError("no good")
    return {"a": len(sample["x"]) if isinstance(sample.get("x"), str) else sample["x"]}

def post_inference(prediction, signature, metadata):
    return {"got": float(prediction["a"].iloc[0])}
"""
ROWS = [{"x": 1.5, "note": "n"}, {"x": "four", "note": None}]
KEYS = [{f"{i}": 1} for i in range(11)]
GOT = [{"got": 1.5}, {"got": 4.0}]


@pytest.fixture
def app(save: Save, load: Load) -> Any:
    """Return an application whose handler answers ``/invocations``."""
    settings = ServingSettings(handler_on_invocations=True, batching=True)
    model = load(save(SOURCE, signature=SIGNATURE))
    return create_app(model, settings=settings, extra_routes=handler_routes)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({"dataframe_records": ROWS}, {"predictions": GOT}, id="records"),
        pytest.param(
            {"dataframe_split": {"columns": ["x"], "data": [[1.5], ["four"]]}},
            {"predictions": GOT},
            id="split",
        ),
        pytest.param({"instances": ROWS}, {"predictions": GOT}, id="instances"),
        pytest.param({"inputs": ROWS}, {"predictions": GOT}, id="inputs"),
        pytest.param({"inputs": [1, 2.5]}, {"predictions": [{"got": 1}, {"got": 2.5}]}, id="list"),
        pytest.param({"inputs": {"x": 7}}, {"predictions": [{"got": 7}]}, id="one-dict"),
        pytest.param({"inputs": []}, {"predictions": []}, id="none"),
        pytest.param({"instances": ROWS, "params": {}}, {"predictions": GOT}, id="no-params"),
        pytest.param({"input": "x", "x": 3}, {"got": 3}, id="of-chat-models"),
    ],
)
def test_each_form_is_answered_sample_by_sample(
    app: Any, client: Ask, body: Any, expected: Any
) -> None:
    answer = client(app, "POST", "/invocations", json=body)
    assert (answer.status_code, answer.json()) == (200, expected)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_tables_are_answered_row_by_row(app: Any, client: Ask, form: str) -> None:
    frame = pd.DataFrame({"x": [1, 3], "y": [2, 4]})
    if form == "csv":
        content_type, content = "text/csv", frame.to_csv(index=False).encode()
    else:
        content_type, content = "application/vnd.apache.parquet", frame.to_parquet()
    headers = {"content-type": content_type}
    answer = client(app, "POST", "/invocations", content=content, headers=headers)
    assert answer.json() == {"predictions": [{"got": 1.0}, {"got": 3.0}]}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("/invocations", {"inputs": [{"x": 1}] * 60}, id="inputs"),
        pytest.param(
            "/invocations", {"dataframe_records": [{f"{i}": 1} for i in range(11)]}, id="keys"
        ),
        pytest.param("/predict", {"x": [0] * 101}, id="sample"),
    ],
)
def test_samples_are_bounded(
    save: Save, load: Load, client: Ask, path: str, body: dict[str, Any]
) -> None:
    settings = ServingSettings(handler_on_invocations=True, max_cells=100)
    model = load(save("def post_inference(prediction, signature, metadata):\n    return 1\n"))
    app = create_app(model, settings=settings, extra_routes=handler_routes)
    refused = client(app, "POST", path, json=body)
    assert (refused.status_code, "max_cells" in refused.text) == (413, True)


def test_rows_without_cells_are_samples_too(save: Save, load: Load, client: Ask) -> None:
    model = load(save("def post_inference(prediction, signature, metadata):\n    return 1\n"))
    app = create_app(model, settings=ServingSettings(handler_on_invocations=True))
    answer = client(app, "POST", "/invocations", json={"dataframe_records": [{}, {}]})
    assert answer.json() == {"predictions": [1, 1]}


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        pytest.param({"inputs": ["bad"]}, 500, "no good", id="hook"),
        pytest.param({"inputs": [[1, 2]], "params": {"t": 1}}, 400, "takes none", id="params"),
        pytest.param({"rows": []}, 400, "exactly one of", id="no-form"),
        pytest.param({"dataframe_records": 5}, 400, "list of objects", id="records"),
    ],
)
def test_errors(app: Any, client: Ask, body: Any, status: int, text: str) -> None:
    answer = client(app, "POST", "/invocations", json=body)
    assert answer.status_code == status
    assert text in answer.json()["message"]
    assert "Traceback" not in answer.text


def test_the_route_is_the_models_own_without_the_setting(
    save: Save, load: Load, client: Ask
) -> None:
    app = create_app(load(save(SOURCE, signature=SIGNATURE)), extra_routes=handler_routes)
    assert client(app, "POST", "/invocations", json={"instances": ROWS}).status_code == 400
    own = client(app, "POST", "/invocations", json={"dataframe_records": [{"a": 2.0}]})
    assert own.json() == {"predictions": [{"a": 2.0}]}


def test_the_description_says_that_anything_goes(app: Any, client: Ask) -> None:
    document = client(app, "GET", "/openapi.json").json()
    post = document["paths"]["/invocations"]["post"]
    forms = post["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    free = {form["title"]: form["properties"][form["title"]] for form in forms}
    assert set(free) == {"inputs", "instances", "dataframe_split", "dataframe_records"}
    assert free["inputs"] == free["instances"] == {}
    assert free["dataframe_records"] == {"type": "array", "items": {"type": "object"}}
    assert all(form["properties"]["params"]["maxProperties"] == 0 for form in forms)
    answer = post["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["properties"] == {"predictions": {"type": "array"}}


def test_streams_are_described_by_the_signature(save: Save, load: Load, client: Ask) -> None:
    parts = "model_input\n\n    def predict_stream(self, context, model_input, params=None):\n"
    body = f"{parts}        yield 1"
    model = load(save(SOURCE, signature=SIGNATURE, streamable=True, body=body))
    settings = ServingSettings(handler_on_invocations=True)
    document = client(create_app(model, settings=settings), "GET", "/openapi.json").json()
    stream = document["paths"]["/invocations/stream"]["post"]["requestBody"]["content"]
    forms = stream["application/json"]["schema"]["oneOf"]
    assert forms[0]["properties"]["dataframe_split"]["properties"]["columns"] == {"enum": [["a"]]}


def test_the_page_asks_for_samples(app: Any, save: Save, load: Load, client: Ask) -> None:
    shown = client(app, "GET", "/model.json").json()
    assert (shown["columns"], shown["inputs"], shown["example"]) == (None, [], None)
    plain = client(
        create_app(load(save(SOURCE, signature=SIGNATURE, name="plain"))), "GET", "/model.json"
    ).json()
    assert plain.keys() == shown.keys()
    assert [column["name"] for column in plain["columns"]] == ["a"]


def test_the_hooks_run_once_for_a_wrapped_model(save: Save, load: Load, client: Ask) -> None:
    source = "def post_inference(prediction, signature, metadata):\n    return [prediction]\n"
    model = load(save(source, wrap_as_pyfunc=True))
    app = create_app(model, settings=ServingSettings(handler_on_invocations=True))
    answer = client(app, "POST", "/invocations", json={"inputs": [1, 2]})
    assert answer.json() == {"predictions": [[1], [2]]}


def test_a_model_without_a_handler_is_refused(tmp_path: Path, load: Load) -> None:
    path = tmp_path / "plain"
    pyfunc.save_model(path, python_model=lambda model_input: model_input, pip_requirements=[])
    with pytest.raises(InvalidArgumentError, match="without a request handler"):
        create_app(load(path), settings=ServingSettings(handler_on_invocations=True))


def test_a_handler_that_cannot_run_is_refused(
    save: Save, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(SOURCE, signature=SIGNATURE)
    settings = ServingSettings(handler_on_invocations=True)
    with pytest.raises(InvalidArgumentError, match="hint: serve without env_manager"):
        run(path, port=0, workers=2, settings=settings, load_options={"env": "isolated"})
    model = load(path)
    monkeypatch.setattr(model, "_handler", None)  # as in an environment of its own
    with pytest.raises(InvalidArgumentError, match="runs in an environment of its own"):
        create_app(model, settings=settings)
