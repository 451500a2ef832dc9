"""The Open Inference Protocol: JSON and binary tensors, and a client of Triton's."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tritonclient.http as triton

from pyfunc.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    ParamSchema,
    ParamSpec,
    Schema,
    TensorSpec,
)
from pyfunc.serving import create_app

Ask = Callable[..., Any]
AppOf = Callable[..., Any]
INFER = "/v2/models/toy/infer"
BINARY = "application/octet-stream"


def tensor(name: str, datatype: str, shape: list[int], data: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


COLUMNS = [tensor("a", "FP64", [2], [1, 3]), tensor("b", "FP64", [2, 1], [[2], [4.5]])]


@pytest.mark.parametrize(
    "inputs",
    [
        pytest.param(COLUMNS, id="columns"),
        pytest.param(COLUMNS[::-1], id="any-order"),
        pytest.param([tensor("x", "FP64", [2, 2], [1, 2, 3, 4.5])], id="table-flat"),
        pytest.param([tensor("x", "FP32", [2, 2], [[1, 2], [3, 4.5]])], id="table-nested"),
        pytest.param(
            [tensor("a", "INT32", [2], [1, 3]), tensor("b", "FP32", [2], [2, 4.5])], id="widening"
        ),
    ],
)
def test_columns_are_tensors(ask: Ask, adder_app: Any, inputs: Any) -> None:
    response = ask(adder_app, INFER, {"id": "7", "inputs": inputs})
    assert response.status_code == 200
    assert response.json() == {
        "model_name": "toy",
        "model_version": "1",
        "id": "7",
        "outputs": [tensor("predictions", "FP64", [2], [3.0, 7.5])],
    }


def test_the_server_and_the_model_say_what_they_are(ask: Ask, adder_app: Any) -> None:
    assert ask(adder_app, "/v2").json()["name"] == "pyfunc"
    assert ask(adder_app, "/v2/health/live").json() == {"live": True}
    assert ask(adder_app, "/v2/health/ready").json() == {"ready": True}
    for base in ("/v2/models/toy", "/v2/models/toy/versions/1"):
        assert ask(adder_app, f"{base}/ready").json() == {"name": "toy", "ready": True}
        tree = ask(adder_app, base).json()
        assert tree["inputs"][1] == {"name": "b", "datatype": "FP64", "shape": [-1]}
        assert (tree["name"], tree["versions"]) == ("toy", ["1"])


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param(None, [], id="none"),
        pytest.param(
            Schema([TensorSpec(np.dtype("float32"), (-1, 3), "x")]),
            [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
            id="tensor",
        ),
        pytest.param(
            Schema([ColSpec("long"), ColSpec("long")]),
            [{"name": "inputs", "datatype": "INT64", "shape": [-1, 2]}],
            id="unnamed-columns",
        ),
        pytest.param(
            Schema([ColSpec("string", "s"), ColSpec("boolean", "b")]),
            [
                {"name": "s", "datatype": "BYTES", "shape": [-1]},
                {"name": "b", "datatype": "BOOL", "shape": [-1]},
            ],
            id="columns",
        ),
    ],
)
def test_the_signature_becomes_tensors(
    ask: Ask, app_of: AppOf, schema: Schema | None, expected: Any
) -> None:
    app = app_of(lambda data, params: [1], schema)
    assert ask(app, "/v2/models/toy").json()["inputs"] == expected


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/models/other", 404),
        ("/v2/models/toy/versions/2", 404),
        ("/v2/models/other/ready", 404),
        ("/v2/models/toy/versions/2/ready", 404),
        ("/v2/nothing", 404),
    ],
)
def test_another_model_is_not_found(ask: Ask, adder_app: Any, path: str, status: int) -> None:
    assert ask(adder_app, path).status_code == status


def test_inferring_from_another_model_is_refused(ask: Ask, adder_app: Any) -> None:
    response = ask(adder_app, "/v2/models/other/infer", {"inputs": COLUMNS})
    assert (response.status_code, list(response.json())) == (404, ["error"])


ONE = tensor("a", "FP64", [1], [1])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("{", id="not-json"),
        pytest.param([], id="list"),
        pytest.param({}, id="no-inputs"),
        pytest.param({"inputs": []}, id="empty"),
        pytest.param({"inputs": 5}, id="no-list"),
        pytest.param({"inputs": [5]}, id="no-object"),
        pytest.param({"inputs": [{**ONE, "name": 5}]}, id="name"),
        pytest.param({"inputs": [ONE, ONE]}, id="twice"),
        pytest.param({"inputs": [{**ONE, "datatype": "FP8"}]}, id="datatype"),
        pytest.param({"inputs": [{**ONE, "datatype": 5}]}, id="datatype-number"),
        pytest.param({"inputs": [{**ONE, "shape": [-1]}]}, id="negative-shape"),
        pytest.param({"inputs": [{**ONE, "shape": [True]}]}, id="boolean-shape"),
        pytest.param({"inputs": [{**ONE, "shape": [2**63]}]}, id="huge-shape"),
        pytest.param({"inputs": [{**ONE, "shape": [0, 2**62], "data": []}]}, id="huge-axis"),
        pytest.param({"inputs": [{**ONE, "shape": [2**40, 0, 9], "data": []}]}, id="huge-axes"),
        pytest.param({"inputs": [{**ONE, "shape": [1] * 40}]}, id="many-axes"),
        pytest.param({"inputs": [{**ONE, "shape": [2]}]}, id="other-length"),
        pytest.param({"inputs": [{**ONE, "data": 5}]}, id="data"),
        pytest.param({"inputs": [{**ONE, "data": ["x"]}]}, id="text-for-number"),
        pytest.param({"inputs": [{**ONE, "datatype": "INT8", "data": [300]}]}, id="overflow"),
        pytest.param({"inputs": [{**ONE, "datatype": "BYTES", "data": [5]}]}, id="no-text"),
        pytest.param({"inputs": [{**ONE, "data": [[1], [2, 3]]}]}, id="ragged"),
        pytest.param({"inputs": [{**ONE, "parameters": 5}]}, id="parameters"),
        pytest.param({"inputs": COLUMNS, "id": 5}, id="id"),
        pytest.param({"inputs": COLUMNS, "outputs": [{"name": "x"}]}, id="unknown-output"),
        pytest.param({"inputs": COLUMNS, "parameters": []}, id="request-parameters"),
        pytest.param({"inputs": [ONE]}, id="missing-column"),
        pytest.param({"inputs": [ONE, tensor("b", "FP64", [2], [1, 2])]}, id="lengths"),
        pytest.param({"inputs": [ONE, tensor("b", "FP64", [1, 2], [1, 2])]}, id="wide-column"),
        pytest.param({"inputs": [tensor("x", "FP64", [1, 3], [1, 2, 3])]}, id="wide-table"),
        pytest.param({"inputs": [{**ONE, "parameters": {"binary_data_size": 8}}]}, id="no-blob"),
    ],
)
def test_malformed_requests_are_refused(ask: Ask, adder_app: Any, body: Any) -> None:
    response = ask(adder_app, INFER, body)
    assert response.status_code == 400
    assert list(response.json()) == ["error"]


def binary_request(header: Any, blob: bytes) -> dict[str, Any]:
    text = json.dumps(header).encode()
    return {
        "body": text + blob,
        "content_type": BINARY,
        "headers": {"Inference-Header-Content-Length": str(len(text))},
    }


def binary_input(name: str, datatype: str, shape: list[int], size: int) -> dict[str, Any]:
    parameters = {"binary_data_size": size}
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": parameters}


@pytest.mark.parametrize(
    ("form", "blob"),
    [
        pytest.param(binary_input("x", "FP64", [1, 2], 15), b"\0" * 15, id="too-short"),
        pytest.param(binary_input("x", "FP64", [1, 2], 16), b"\0" * 17, id="left-over"),
        pytest.param(binary_input("x", "BOOL", [1, 2], 2), b"\x02\0", id="no-truth"),
        pytest.param(binary_input("x", "BYTES", [1, 2], 3), b"\0\0\0", id="half-a-length"),
        pytest.param(binary_input("x", "BYTES", [1, 2], 6), b"\x09\0\0\0ab", id="half-a-value"),
        pytest.param(binary_input("x", "BYTES", [1, 2], 4), b"\0\0\0\0", id="too-few"),
        pytest.param(binary_input("x", "BYTES", [1, 1], 5), b"\1\0\0\0\xff", id="not-utf8"),
    ],
)
def test_malformed_binary_tensors_are_refused(
    ask: Ask, app_of: AppOf, form: Any, blob: bytes
) -> None:
    response = ask(
        app_of(lambda data, params: [1]), INFER, **binary_request({"inputs": [form]}, blob)
    )
    assert response.status_code == 400


@pytest.mark.parametrize("length", ["x", "-1", "99999", "1" * 30])
def test_a_wrong_length_of_the_header_is_refused(ask: Ask, adder_app: Any, length: str) -> None:
    headers = {"Inference-Header-Content-Length": length}
    response = ask(adder_app, INFER, b"{}", content_type=BINARY, headers=headers)
    assert response.status_code == 400


def test_another_media_type_is_refused(ask: Ask, adder_app: Any) -> None:
    assert ask(adder_app, INFER, "x", content_type="text/csv").status_code == 415


def echo(data: Any, params: Any) -> Any:
    return data


@pytest.mark.parametrize("datatype", ["BOOL", "UINT8", "INT16", "UINT64", "INT64", "FP16", "FP32"])
def test_numbers_survive_both_forms(ask: Ask, app_of: AppOf, datatype: str) -> None:
    app = app_of(echo)
    values = [True, False] if datatype == "BOOL" else [0, 7]
    sent = tensor("x", datatype, [2, 1], [[values[0]], [values[1]]])
    (found,) = ask(app, INFER, {"inputs": [sent]}).json()["outputs"]
    assert found == tensor("predictions", datatype, [2, 1], values)


def test_text_and_bytes_survive_the_binary_form(ask: Ask, app_of: AppOf) -> None:
    schema = Schema([ColSpec("string", "s"), ColSpec("binary", "b")])
    texts = b"".join(struct.pack("<I", len(t)) + t for t in ("é".encode(), b""))
    raw = b"".join(struct.pack("<I", len(t)) + t for t in (b"\xff\0", b"x"))
    header = {
        "inputs": [
            binary_input("s", "BYTES", [2], len(texts)),
            binary_input("b", "BYTES", [2], len(raw)),
        ],
        "outputs": [
            {"name": "b", "parameters": {"binary_data": True}},
            {"name": "s", "parameters": {"binary_data": False}},
        ],
    }
    response = ask(app_of(echo, schema), INFER, **binary_request(header, texts + raw))
    length = int(response.headers["inference-header-content-length"])
    tree = json.loads(response.content[:length])
    assert response.content[length:] == raw
    assert tree["outputs"][0]["parameters"] == {"binary_data_size": len(raw)}
    assert tree["outputs"][1]["data"] == ["é", ""]


def test_text_stands_for_what_json_lacks(ask: Ask, app_of: AppOf) -> None:
    schema = Schema(
        [
            ColSpec("binary", "b"),
            ColSpec("datetime", "t"),
            ColSpec(Array(DataType.long), "n"),
            ColSpec("boolean", "f"),
        ]
    )
    seen: list[Any] = []

    def look(frame: Any, params: Any) -> Any:
        seen.append(frame.iloc[0].tolist())
        return frame[["b", "t", "n"]]

    inputs = [
        tensor("b", "BYTES", [1], ["/wA="]),
        tensor("t", "BYTES", [1], ["2020-01-02T03:04:05"]),
        tensor("n", "BYTES", [1], ["[1, 2]"]),
        tensor("f", "BOOL", [1], [True]),
    ]
    outputs = ask(app_of(look, schema), INFER, {"inputs": inputs}).json()["outputs"]
    (row,) = seen
    assert (row[0], row[1], list(row[2]), row[3]) == (
        b"\xff\0",
        pd.Timestamp("2020-01-02 03:04:05"),
        [1, 2],
        True,
    )
    assert [out["data"] for out in outputs] == [["/wA="], ["2020-01-02T03:04:05"], ["[1, 2]"]]


def test_params_come_from_the_parameters_of_the_request(ask: Ask, app_of: AppOf) -> None:
    app = app_of(
        lambda data, params: [params["n"]], params=ParamSchema([ParamSpec("n", "long", 1)])
    )
    body = {"inputs": [ONE], "parameters": {"n": 5, "binary_data_output": False, "other": 1}}
    assert ask(app, INFER, body).json()["outputs"] == [tensor("predictions", "INT64", [1], [5])]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(
            pd.DataFrame({"x": [1, 2], "y": ["a", None]}),
            [tensor("x", "INT64", [2], [1, 2]), tensor("y", "BYTES", [2], ["a", None])],
            id="frame",
        ),
        pytest.param(
            pd.DataFrame({"x": pd.array([2**53 + 1, None], dtype="Int64")}),
            [tensor("x", "INT64", [2], [2**53 + 1, None])],
            id="nullable-integers",
        ),
        pytest.param(
            pd.DataFrame({"x": pd.array([True, None], dtype="boolean")}),
            [tensor("x", "BOOL", [2], [True, None])],
            id="nullable-booleans",
        ),
        pytest.param(
            pd.DataFrame({"x": pd.array([1.5, None], dtype="Float32")}),
            [tensor("x", "FP32", [2], [1.5, None])],
            id="nullable-floats",
        ),
        pytest.param(
            np.ma.MaskedArray([1.5, 2.5], mask=[False, True]),
            [tensor("predictions", "FP64", [2], [1.5, None])],
            id="masked-floats",
        ),
        pytest.param(pd.Series([1.5], name="s"), [tensor("s", "FP64", [1], [1.5])], id="series"),
        pytest.param(
            {"p": np.array([[1, 2]], dtype="int8")},
            [tensor("p", "INT8", [1, 2], [1, 2])],
            id="dict",
        ),
        pytest.param(["a", "b"], [tensor("predictions", "BYTES", [2], ["a", "b"])], id="texts"),
        pytest.param(5, [tensor("predictions", "INT64", [1], [5])], id="number"),
        pytest.param("x", [tensor("predictions", "BYTES", [1], ["x"])], id="text"),
        pytest.param(
            [{"a": 1}], [tensor("predictions", "BYTES", [1], ['{"a": 1}'])], id="records"
        ),
        pytest.param(
            [[1], [1, 2]], [tensor("predictions", "BYTES", [2], ["[1]", "[1, 2]"])], id="ragged"
        ),
        pytest.param(None, [tensor("predictions", "BYTES", [1], [None])], id="none"),
        pytest.param(
            np.array([np.nan, 1], dtype="float32"),
            [tensor("predictions", "FP32", [2], [None, 1.0])],
            id="nan",
        ),
        pytest.param(
            np.array(["2020-01-02"], dtype="datetime64[D]"),
            [tensor("predictions", "BYTES", [1], ["2020-01-02"])],
            id="dates",
        ),
    ],
)
def test_predictions_become_tensors(ask: Ask, app_of: AppOf, value: Any, expected: Any) -> None:
    response = ask(app_of(lambda data, params: value), INFER, {"inputs": [ONE]})
    assert response.json().get("outputs") == expected


def test_the_binary_form_has_no_null_among_integers(ask: Ask, app_of: AppOf) -> None:
    app = app_of(lambda data, params: pd.DataFrame({"x": pd.array([1, None], dtype="Int64")}))
    body = {"inputs": [ONE], "parameters": {"binary_data_output": True}}
    response = ask(app, INFER, body)
    assert response.status_code == 400
    assert "binary form of INT64 has no null" in response.json()["error"]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(object(), id="object"),
        pytest.param(pd.DataFrame([[1, 2]], columns=["a", "a"]), id="names-twice"),
    ],
)
def test_a_prediction_without_form_is_the_models_fault(
    ask: Ask, app_of: AppOf, value: Any
) -> None:
    response = ask(app_of(lambda data, params: value), INFER, {"inputs": [ONE]})
    assert response.status_code == 500
    assert list(response.json()) == ["error"]


def test_tensors_of_a_schema_reach_the_model(ask: Ask, app_of: AppOf) -> None:
    named = Schema(
        [
            TensorSpec(np.dtype("float32"), (-1, 2), "x"),
            TensorSpec(np.dtype("int64"), (-1,), "y"),
        ]
    )
    app = app_of(lambda data, params: data["x"].sum(axis=1) + data["y"], named)
    inputs = [tensor("x", "FP32", [1, 2], [1, 2]), tensor("y", "INT64", [1], [10])]
    (found,) = ask(app, INFER, {"inputs": inputs}).json()["outputs"]
    assert found["data"] == [13.0]


def test_values_of_any_type_are_json(ask: Ask, app_of: AppOf) -> None:
    app = app_of(
        lambda frame, params: [str(v) for v in frame["x"]], Schema([ColSpec(AnyType(), "x")])
    )
    body = {"inputs": [tensor("x", "BYTES", [2], ['{"k": 1}', "5"])]}
    (found,) = ask(app, INFER, body).json()["outputs"]
    assert found["data"] == ["{'k': 1}", "5"]


@pytest.fixture(scope="module")
def client(adder: Any, live: Callable[..., Any]) -> Any:
    """Return a client of Triton's that talks to a live server."""
    with live(create_app(adder, name="sum of two")) as port:
        client = triton.InferenceServerClient(f"127.0.0.1:{port}")
        yield client
        client.close()


def triton_input(name: str, array: Any, *, binary: bool) -> Any:
    found = triton.InferInput(name, list(array.shape), "FP64")
    found.set_data_from_numpy(array, binary_data=binary)
    return found


@pytest.mark.parametrize("binary_in", [True, False], ids=["binary-in", "json-in"])
@pytest.mark.parametrize("binary_out", [True, False, None], ids=["binary", "json", "default"])
def test_tritons_client_gets_predictions(
    client: Any, binary_in: bool, binary_out: bool | None
) -> None:
    inputs = [
        triton_input(name, np.array([0.1, 2.0, np.pi]), binary=binary_in) for name in ("a", "b")
    ]
    outputs = None
    if binary_out is not None:
        outputs = [triton.InferRequestedOutput("predictions", binary_data=binary_out)]
    found = client.infer("sum of two", inputs, outputs=outputs, request_id="r1")
    np.testing.assert_array_equal(found.as_numpy("predictions"), [0.2, 4.0, 2 * np.pi])
    assert found.get_response()["id"] == "r1"


def test_tritons_client_asks_for_state_and_metadata(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("sum of two")
    assert not client.is_model_ready("other")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    assert client.get_model_metadata("sum of two")["inputs"][0]["name"] == "a"


def test_tritons_client_raises_what_the_server_says(client: Any) -> None:
    with pytest.raises(triton.InferenceServerException, match="inputs\\['b'\\]"):
        client.infer("sum of two", [triton_input("a", np.array([1.0]), binary=True)])


def as_binary(cells: list[bytes]) -> bytes:
    return b"".join(struct.pack("<I", len(cell)) + cell for cell in cells)


def ask_binary(ask: Ask, app: Any, shape: list[int], blob: bytes) -> Any:
    parameters = {"binary_data_size": len(blob)}
    form = {"name": "x", "datatype": "BYTES", "shape": shape, "parameters": parameters}
    header = json.dumps({"inputs": [form]}).encode()
    length = {"inference-header-content-length": str(len(header))}
    return ask(app, INFER, header + blob, content_type=BINARY, headers=length)


@pytest.mark.parametrize("name", ["x", None], ids=["named", "unnamed"])
@pytest.mark.parametrize("shape", [[2], [2, 1], [1, 2], [1, 2, 1]], ids=str)
@pytest.mark.parametrize(
    ("expected", "texts", "raw"),
    [
        pytest.param(np.array(["a", "é"]), ["a", "é"], [b"a", "é".encode()], id="text"),
        pytest.param(np.array([b"a", b"\xff"]), ["YQ==", "/w=="], [b"a", b"\xff"], id="bytes"),
        pytest.param(
            np.array(["2020-01-02", "NaT"], "M8[ns]"),
            ["2020-01-02", ""],
            [b"2020-01-02T00:00:00", b""],
            id="moments",
        ),
        pytest.param(
            np.array(["9999-12-31", "0001-01-01"], "M8[D]"),
            ["9999-12-31", "0001-01-01"],
            [b"9999-12-31", b"0001-01-01"],
            id="days",
        ),
        pytest.param(np.array(["a", "b"], object), ["a", "b"], [b"a", b"b"], id="objects"),
    ],
)
def test_texts_become_what_a_tensor_is_declared_to_be(
    ask: Ask,
    app_of: AppOf,
    *,
    name: str | None,
    shape: list[int],
    expected: Any,
    texts: list[str],
    raw: list[bytes],
) -> None:
    seen: list[Any] = []

    def keep(data: Any, params: Any) -> list[int]:
        seen.append(data if name is None else data[name])
        return [1]

    dtype = np.dtype(expected.dtype.kind) if expected.dtype.kind in "US" else expected.dtype
    app = app_of(keep, Schema([TensorSpec(dtype, (-1, *shape[1:]), name)]))
    assert ask(app, INFER, {"inputs": [tensor("x", "BYTES", shape, texts)]}).status_code == 200
    assert ask_binary(ask, app, shape, as_binary(raw)).status_code == 200
    for found in seen:
        assert found.dtype.kind == expected.dtype.kind
        np.testing.assert_array_equal(found, expected.reshape(shape))


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        ("S", "not base64"),
        ("S", "YQA="),
        ("U", "a\0"),
        ("M8[D]", "now"),
        ("M8[D]", "2020-01-02T03"),
    ],
)
def test_text_that_no_tensor_holds_is_refused(
    ask: Ask, app_of: AppOf, dtype: str, text: str
) -> None:
    app = app_of(lambda data, params: [1], Schema([TensorSpec(np.dtype(dtype), (-1,), "x")]))
    answer = ask(app, INFER, {"inputs": [tensor("x", "BYTES", [1], [text])]})
    assert (answer.status_code, "inputs['x']" in answer.json()["error"]) == (400, True)


@pytest.mark.parametrize("shape", [[2], [2, 1], [2, 3], [2, 2, 2]], ids=str)
@pytest.mark.parametrize("datatype", ["INT64", "BYTES", "BOOL", "FP32"])
def test_a_column_of_any_type_takes_cells_and_lists(
    ask: Ask, app_of: AppOf, shape: list[int], datatype: str
) -> None:
    seen: list[Any] = []

    def keep(data: Any, params: Any) -> list[int]:
        seen.append(data["x"].tolist())
        return [1]

    app = app_of(keep, Schema([ColSpec(AnyType(), "x")]))
    cells = np.arange(np.prod(shape)).reshape(shape)
    values = {"BYTES": cells.astype(str), "BOOL": cells > 0}.get(datatype, cells)
    answer = ask(app, INFER, {"inputs": [tensor("x", datatype, shape, values.tolist())]})
    assert answer.status_code == 200, answer.text
    flat = len(shape) == 1 or shape[1:] == [1]
    # One text of a column is JSON, so that it can be anything.
    expected = cells if flat and datatype == "BYTES" else values
    assert seen == [expected.reshape(-1).tolist() if flat else expected.tolist()]


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(["a\ud800"], id="half-a-surrogate-pair"),
        pytest.param(pd.DataFrame({"a": ["é"], "b": np.ones(1, "g")}), id="long-double"),
        pytest.param(pd.Series([1j]), id="complex"),
    ],
)
def test_a_prediction_that_no_text_holds_is_the_models_fault(
    ask: Ask, app_of: AppOf, value: Any, binary: bool
) -> None:
    body = {"inputs": [ONE], "parameters": {"binary_data_output": binary}}
    answer = ask(app_of(lambda data, params: value), INFER, body)
    assert answer.status_code == 500
    assert answer.json()["error"].startswith("the prediction has no")
