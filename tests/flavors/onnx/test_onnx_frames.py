"""Frames into and out of ONNX graphs as people convert them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from onnx import TensorProto, helper

import pyfunc
from pyfunc.errors import InvalidArgumentError
from pyfunc.flavors import onnx

FLOAT, DOUBLE, INT64, STRING = (
    TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.STRING
)  # fmt: skip
TYPES = {
    "float32": FLOAT, "float64": DOUBLE, "float16": TensorProto.FLOAT16,
    **{name: getattr(TensorProto, name.upper()) for name in (
        "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
}  # fmt: skip


def graph_of(
    nodes: Any, inputs: dict[str, Any], outputs: dict[str, Any], weights: Any = ()
) -> Any:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
        list(weights),
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def classifier() -> Any:
    """Return a graph of one input [None, 2] with labels [None] and probabilities [None, 2]."""
    return graph_of(
        [
            helper.make_node("Softmax", ["x"], ["probabilities"], axis=1),
            helper.make_node("ArgMax", ["x"], ["label"], axis=1, keepdims=0),
        ],
        {"x": (FLOAT, [None, 2])},
        {"label": (INT64, [None]), "probabilities": (FLOAT, [None, 2])},
    )


def sum_of_columns() -> Any:
    """Return a graph with one input [None, 1] per column, numbers of two types and text."""
    return graph_of(
        [
            helper.make_node("Cast", ["k"], ["k_float"], to=FLOAT),
            helper.make_node("Add", ["n", "k_float"], ["total"]),
            helper.make_node("Identity", ["s"], ["text"]),
        ],
        {"n": (FLOAT, [None, 1]), "k": (INT64, [None, 1]), "s": (STRING, [None, 1])},
        {"total": (FLOAT, [None, 1]), "text": (STRING, [None, 1])},
    )


def echo(name: str, shape: list[Any]) -> Any:
    kind = TYPES[name]
    return graph_of(
        [helper.make_node("Identity", ["x"], ["y"])], {"x": (kind, shape)}, {"y": (kind, shape)}
    )


def saved(model: Any, path: Path, **arguments: Any) -> Any:
    onnx.save_model(model, path, pip_requirements=[], **arguments)
    return pyfunc.load_model(path)


ROWS = pd.DataFrame({"a": [2.0, 0.0, 1.0], "b": [0.0, 2.0, 3.0]})


@pytest.mark.parametrize("count", [1, 2, 3])
def test_labels_and_probabilities_come_back_as_one_frame(tmp_path: Path, count: int) -> None:
    model = saved(classifier(), tmp_path / "m", input_example=ROWS)
    found = model.predict(ROWS.head(count))
    assert list(found.columns) == ["label", "probabilities"]
    assert found["label"].tolist() == [0, 1, 1][:count]
    assert [cell.shape for cell in found["probabilities"]] == [(2,)] * count
    assert sum(found["probabilities"].iloc[0]) == pytest.approx(1)
    assert str(model.metadata.signature.outputs).count("Array(float)") == 1


def test_labels_and_probabilities_are_answered_as_json(tmp_path: Path) -> None:
    saved(classifier(), tmp_path / "m", input_example=ROWS)
    run = [sys.executable, "-m", "pyfunc", "predict", str(tmp_path / "m")]
    body = json.dumps({"dataframe_split": ROWS.to_dict("split")})
    done = subprocess.run(run, input=body, capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)["predictions"]
    assert [row["label"] for row in rows] == [0, 1, 1]
    assert [len(row["probabilities"]) for row in rows] == [2, 2, 2]


@pytest.mark.parametrize("text", [object, "str"])
@pytest.mark.parametrize(
    "kinds", [("float64", "int64"), ("float32", "int32"), ("int64", "float64")]
)
def test_each_column_of_a_frame_is_one_input(tmp_path: Path, kinds: Any, text: Any) -> None:
    model = saved(sum_of_columns(), tmp_path / "m")
    frame = pd.DataFrame({"s": ["x", "y"], "k": [1, 2], "n": [5, 7], "other": [0, 0]})
    frame = frame.astype({"n": kinds[0], "k": kinds[1], "s": text})
    found = model.predict(frame)
    assert found["total"].tolist() == [6.0, 9.0]
    assert found["text"].tolist() == ["x", "y"]
    assert frame["k"].dtype == kinds[1]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        pytest.param(np.array([[1, 2]], "int64"), "float32", id="integers-to-floats"),
        pytest.param(np.array([[1, 2]], "int64"), "float64", id="integers-to-doubles"),
        pytest.param(np.array([[1, 2]], "int64"), "int32", id="narrower-integers"),
        pytest.param(np.array([[1, 2]], "int64"), "uint8", id="unsigned"),
        pytest.param(np.array([[1.0, 2.0]]), "int64", id="whole-floats"),
        pytest.param(np.array([[1.5, np.nan]], "float32"), "float64", id="nan-to-doubles"),
        pytest.param(np.array([[0.5, 1.5]]), "float16", id="exact-halves"),
        pytest.param(np.array([[0.1, 0.2]]), "float32", id="doubles-are-rounded"),
        pytest.param(np.array([[1, 2]], object), "float32", id="objects"),
        pytest.param(np.array([[2**63]], "uint64"), "float32", id="a-power-of-two"),
    ],
)
def test_numbers_become_the_type_of_the_graph(tmp_path: Path, values: Any, wanted: str) -> None:
    model = saved(echo(wanted, [None, None]), tmp_path / "m")
    before = values.copy()
    found = model.predict(values)["y"]
    assert found.dtype == wanted
    np.testing.assert_array_equal(found, values.astype(wanted))
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        pytest.param(np.array([[2**24 + 1]], "int64"), "float32", id="beyond-a-float"),
        pytest.param(np.array([[2**53 + 1]], "int64"), "float64", id="beyond-a-double"),
        pytest.param(np.array([[300]], "int64"), "uint8", id="beyond-a-byte"),
        pytest.param(np.array([[-1]], "int64"), "uint64", id="negative"),
        pytest.param(np.array([[2**63]], "uint64"), "int64", id="beyond-signed"),
        pytest.param(np.array([[1.5]]), "int64", id="fraction"),
        pytest.param(np.array([[np.nan]]), "int64", id="nan"),
        pytest.param(np.array([[np.inf]]), "int32", id="infinity"),
        pytest.param(np.array([[0.1]]), "float16", id="rounded-halves"),
    ],
)
def test_a_cast_that_changes_a_value_is_refused(tmp_path: Path, values: Any, wanted: str) -> None:
    model = saved(echo(wanted, [None, None]), tmp_path / "m")
    with pytest.raises(InvalidArgumentError, match=f"input 'x': expected {wanted}"):
        model.predict(values)


@pytest.mark.parametrize(
    ("shape", "cells", "expected"),
    [
        pytest.param([None], [1.0, 2.0], [1.0, 2.0], id="a-vector"),
        pytest.param([None, 1], [1.0, 2.0], [1.0, 2.0], id="a-column"),
        pytest.param(["n", "m"], [1.0, 2.0], [1.0, 2.0], id="axes-with-names"),
        pytest.param([None, 2], [[1.0, 2.0], [3.0, 4.0]], [1.0, 2.0, 3.0, 4.0], id="lists"),
    ],
)
def test_one_column_fills_one_input(tmp_path: Path, shape: Any, cells: Any, expected: Any) -> None:
    model = saved(echo("float32", shape), tmp_path / "m")
    assert model.predict(pd.DataFrame({"any": cells}))["y"].tolist() == expected


def test_outputs_that_no_frame_holds_are_refused_with_a_remedy(tmp_path: Path) -> None:
    graph = graph_of(
        [
            helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
            helper.make_node("Identity", ["x"], ["y"]),
        ],
        {"x": (FLOAT, [None, 2])},
        {"sum": (FLOAT, []), "y": (FLOAT, [None, 2])},
    )
    model = saved(graph, tmp_path / "m")
    with pytest.raises(InvalidArgumentError, match="output 'sum'") as caught:
        model.predict(ROWS)
    assert "dict of arrays" in caught.value.hint
    assert model.predict({"x": ROWS.to_numpy()})["sum"] == 8.0
