"""What goes into an ONNX graph, and the options of its session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyfunc
from pyfunc.flavors import onnx
from pyfunc.flavors.onnx_session import check_session_options


def add_graph() -> Any:
    from onnx import TensorProto, helper

    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in ("a", "b")
    ]
    total = helper.make_tensor_value_info("total", TensorProto.FLOAT, [None])
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["total"])], "g", inputs, [total]
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.fixture(name="path")
def save_a_graph(tmp_path: Path) -> Path:
    onnx.save_model(add_graph(), tmp_path / "m")
    return tmp_path / "m"


def test_a_frame_goes_in_by_column_and_comes_out_as_a_frame(path: Path) -> None:
    found = pyfunc.load_model(path).predict(pd.DataFrame({"b": [1.0, 2.0], "a": [3.0, 4.0]}))
    assert list(found.columns) == ["total"]
    assert found["total"].tolist() == [4.0, 6.0]


def test_doubles_are_cast_and_the_caller_s_are_left_alone(path: Path) -> None:
    data = {"a": np.array([1.0]), "b": np.array([2.0])}
    assert pyfunc.load_model(path).predict(data)["total"].tolist() == [3.0]
    assert data["a"].dtype == np.float64


def test_one_array_for_two_inputs_is_refused(path: Path) -> None:
    with pytest.raises(pyfunc.InvalidArgumentError, match="2 inputs"):
        pyfunc.load_model(path).predict(np.array([1.0]))


def test_a_list_is_refused(path: Path) -> None:
    with pytest.raises(pyfunc.InvalidTypeError, match="list"):
        pyfunc.load_model(path).predict([1.0])


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"threads": 1}, id="unknown"),
        pytest.param({"execution_mode": "both"}, id="mode"),
        pytest.param({"graph_optimization_level": 3}, id="level"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(pyfunc.InvalidArgumentError, match="onnx_session_options"):
        check_session_options(options)
    with pytest.raises(pyfunc.InvalidArgumentError):
        onnx.save_model(add_graph(), tmp_path / "m", onnx_session_options=options)
    assert not (tmp_path / "m").exists()


def test_a_provider_that_is_not_here_is_passed_over(tmp_path: Path) -> None:
    onnx.save_model(add_graph(), tmp_path / "m", onnx_execution_providers=["Nowhere"])
    session = pyfunc.load_model(tmp_path / "m").get_raw_model()
    assert session.get_providers() == ["CPUExecutionProvider"]


def test_an_invalid_graph_is_refused(tmp_path: Path) -> None:
    graph = add_graph()
    graph.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(pyfunc.InvalidArgumentError, match="not valid"):
        onnx.save_model(graph, tmp_path / "m")


def test_saving_large_tensors_beside_the_graph_leaves_the_given_one_alone(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.ones(1000, dtype=np.float32), "w")
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1000])
    total = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1000])
    node = helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", [value], [total], initializer=[weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    before = model.SerializeToString()
    onnx.save_model(model, tmp_path / "m")
    assert model.SerializeToString() == before
    assert (tmp_path / "m" / "model.onnx.data").stat().st_size == 4000
    found = pyfunc.load_model(tmp_path / "m").predict(np.zeros(1000, dtype=np.float32))
    assert found["y"].tolist() == [1.0] * 1000
    assert onnx.load_model(tmp_path / "m").graph.node[0].op_type == "Add"


def test_a_damaged_graph_is_one_clear_error(path: Path) -> None:
    (path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(pyfunc.ModelIncompleteError, match=r"model\.onnx"):
        pyfunc.load_model(path, verify="skip")
