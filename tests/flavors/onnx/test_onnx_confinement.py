"""What a model says to onnxruntime, and the files that its graph names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import pyfunc
from pyfunc.directory.opened import ModelFiles
from pyfunc.errors import (
    InvalidArgumentError,
    ModelFormatError,
    ModelIncompleteError,
    ModelIntegrityError,
    ModelPathError,
    PyfuncError,
)
from pyfunc.flavors import onnx
from pyfunc.flavors.onnx_options import check_providers, check_session_options

SECRET = np.full(1000, 7, np.float32).tobytes()


def weighted_graph() -> Any:
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.ones(1000, dtype=np.float32), "w")
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1000])
    total = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1000])
    node = helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", [value], [total], initializer=[weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture(name="root")
def save(tmp_path: Path) -> Path:
    root = tmp_path / "place" / "m"
    root.parent.mkdir()
    onnx.save_model(weighted_graph(), root)
    (tmp_path / "place" / "secret").write_bytes(SECRET)
    return root


def change(root: Path, **keys: object) -> None:
    """Change what MLmodel says of the flavor."""
    content = yaml.safe_load((root / "MLmodel").read_text())
    content["flavors"]["onnx"].update(keys)
    (root / "MLmodel").write_text(yaml.safe_dump(content))
    pyfunc.refresh(root)


def name_file(root: Path, entries: dict[str, str]) -> None:
    """Let the tensor of the graph be in the file that ``entries`` describe."""
    import onnx as library

    model = library.load(str(root / "model.onnx"), load_external_data=False)
    tensor = model.graph.initializer[0]
    del tensor.external_data[:]
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    (root / "model.onnx").write_bytes(model.SerializeToString())


def load_both(root: Path, **options: Any) -> list[np.ndarray]:
    """Return the weights as each of the two doors reads them."""
    from onnx import numpy_helper

    zeros = np.zeros(1000, dtype=np.float32)
    predicted = pyfunc.load_model(root, **options).predict(zeros)["y"]
    graph = onnx.load_model(root, **options).graph
    return [predicted, numpy_helper.to_array(graph.initializer[0])]


@pytest.mark.parametrize("trust", ["full", "allowlist"])
def test_a_file_inside_is_read(root: Path, trust: Any) -> None:
    (root / "below").mkdir()
    os.replace(root / "model.onnx.data", root / "below" / "w.bin")
    name_file(root, {"location": "below/w.bin", "offset": "0", "length": "4000"})
    pyfunc.refresh(root)
    for weights in load_both(root, trust=trust):
        assert weights.tolist() == [1.0] * 1000


@pytest.mark.parametrize(
    "location",
    ["../secret", "below/../../secret", "{place}/secret", "..\\secret", "", ".", "below", "~/x",
     "MLmodel/../../secret"],
)  # fmt: skip
@pytest.mark.parametrize("door", [pyfunc.load_model, onnx.load_model], ids=["pyfunc", "flavor"])
@pytest.mark.parametrize("trust", ["full", "allowlist"])
def test_a_file_outside_is_refused(root: Path, location: str, door: Any, trust: Any) -> None:
    (root / "below").mkdir()
    (root / "below" / "x").write_text("")
    name_file(root, {"location": location.format(place=root.parent)})
    pyfunc.refresh(root)
    with pytest.raises((ModelPathError, ModelIncompleteError)):
        door(root, trust=trust)


@pytest.mark.parametrize("door", [pyfunc.load_model, onnx.load_model], ids=["pyfunc", "flavor"])
def test_a_link_is_refused_where_there_is_no_manifest(root: Path, door: Any) -> None:
    """With one it is refused before; inside the folder it hides what is read."""
    for target in ("../secret", "model.onnx.data.real"):
        (root / "model.onnx.data").rename(root / "model.onnx.data.real")
        (root / "model.onnx.data").symlink_to(target)
        with pytest.raises(ModelPathError, match="link"):
            door(root, verify="skip")
        (root / "model.onnx.data").unlink()
        (root / "model.onnx.data.real").rename(root / "model.onnx.data")
    (root / "below").symlink_to("..")
    name_file(root, {"location": "below/secret"})
    with pytest.raises(ModelPathError, match="link"):
        door(root, verify="skip")


@pytest.mark.parametrize(
    "entries",
    [
        {"location": "model.onnx.data", "basepath": ".."},
        {"location": "model.onnx.data", "__class__": "x"},
        {"location": "model.onnx.data", "offset": "-1"},
        {"location": "model.onnx.data", "offset": "x"},
        {"location": "model.onnx.data", "length": "1e9"},
        {"location": "model.onnx.data", "length": "9" * 40},
        {"location": "model.onnx.data", "length": "٣"},
        {"location": "model.onnx.data", "offset": "4000", "length": "4000"},
        {"location": "model.onnx.data", "length": "400000"},
    ],
    ids=str,
)
@pytest.mark.parametrize("door", [pyfunc.load_model, onnx.load_model], ids=["pyfunc", "flavor"])
def test_a_place_in_a_file_is_exact(root: Path, entries: dict[str, str], door: Any) -> None:
    name_file(root, entries)
    pyfunc.refresh(root)
    with pytest.raises((ModelFormatError, ModelIncompleteError)):
        door(root)


def test_a_tensor_of_a_node_deep_inside_is_looked_at(root: Path) -> None:
    import onnx as library
    from onnx import TensorProto, helper

    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1000])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    value = helper.make_tensor_value_info("v", TensorProto.FLOAT, [1000])
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["v"], value=tensor)], "inner", [], [value]
    )
    model = library.load(str(root / "model.onnx"), load_external_data=False)
    condition = helper.make_tensor("c", TensorProto.BOOL, [], [True])
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=condition))
    model.graph.node.append(
        helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner)
    )
    (root / "model.onnx").write_bytes(model.SerializeToString())
    pyfunc.refresh(root)
    with pytest.raises(ModelPathError, match="secret"):
        pyfunc.load_model(root)


def test_compiled_code_of_a_device_is_not_loaded(root: Path) -> None:
    import onnx as library
    from onnx import helper

    model = library.load(str(root / "model.onnx"), load_external_data=False)
    node = helper.make_node(
        "EPContext", [], [], domain="com.microsoft", embed_mode=0, ep_cache_context="../secret"
    )
    model.graph.node.append(node)
    (root / "model.onnx").write_bytes(model.SerializeToString())
    pyfunc.refresh(root)
    with pytest.raises(ModelFormatError, match="compiled"):
        pyfunc.load_model(root)


def test_a_file_that_came_after_the_listing_is_refused(root: Path) -> None:
    files = ModelFiles.open(root)
    (root / "late").write_bytes(SECRET)
    with pytest.raises(ModelIntegrityError, match="late"):
        files.check_listed(root / "late")


SESSION: dict[str, Any] = {
    "no-mapping": ["intra_op_num_threads"],
    "many-threads": {"intra_op_num_threads": 100_000},
    "negative-threads": {"inter_op_num_threads": -1},
    "threads-true": {"intra_op_num_threads": True},
    "threads-text": {"intra_op_num_threads": "4"},
    "threads-real": {"intra_op_num_threads": 1.5},
    "mode-list": {"execution_mode": ["sequential"]},
    "level-true": {"graph_optimization_level": True},
    "level-real": {"graph_optimization_level": 1.0},
    "key-number": {5: 1},
    "file": {"optimized_model_filepath": "/tmp/x"},
    "profile": {"enable_profiling": True},
    "custom-operators": {"register_custom_ops_library": "x.so"},
    "config-list": {"extra_session_config": ["x"]},
    **{
        f"config-{key}": {"extra_session_config": {key: value}}
        for key, value in {
            "session.model_external_initializers_file_folder_path": "/tmp",
            "session.optimized_model_external_initializers_file_name": "x",
            "session.node_partition_config_file": "x",
            "session.load_model_format": "ORT",
            "session.use_ort_model_bytes_directly": "1",
            "ep.context_enable": "1",
            "ep.context_file_path": "/tmp/x",
            "session.intra_op_thread_affinities": "1",
            "session.disable_prepacking": "yes",
            "session.dynamic_block_base": "99999",
            "session.set_denormal_as_zero": None,
            "session.inter_op.allow_spinning": ["1"],
        }.items()
    },
}
PROVIDERS: dict[str, object] = {
    "no-list": "CPUExecutionProvider",
    "number": [1],
    "empty-pair": [[]],
    "three": [["CPUExecutionProvider", {}, 1]],
    "options-list": [["CUDAExecutionProvider", ["device_id"]]],
    "name-with-path": ["../libevil.so"],
    "cpu-options": [["CPUExecutionProvider", {"device_id": 0}]],
    "device-text": [["CUDAExecutionProvider", {"device_id": "x"}]],
    "device-negative": [["CUDAExecutionProvider", {"device_id": -1}]],
    "library": [["QNNExecutionProvider", {"backend_path": "/tmp/x.so"}]],
    "cache": [["TensorrtExecutionProvider", {"trt_engine_cache_path": "/tmp"}]],
    "tuning-file": [["CUDAExecutionProvider", {"tunable_op_results_file": "/tmp/x"}]],
}


@pytest.mark.parametrize("options", SESSION.values(), ids=SESSION)
def test_options_of_a_session_are_an_exact_list(root: Path, options: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="onnx_session_options"):
        check_session_options(options)
    with pytest.raises(PyfuncError):
        onnx.save_model(weighted_graph(), tmp_path / "n", onnx_session_options=options)
    change(root, onnx_session_options=options)
    with pytest.raises(ModelFormatError, match=r"flavors\.onnx"):
        pyfunc.load_model(root, trust="allowlist")


@pytest.mark.parametrize("providers", PROVIDERS.values(), ids=PROVIDERS)
def test_options_of_providers_are_an_exact_list(root: Path, providers: object) -> None:
    with pytest.raises(InvalidArgumentError, match="providers"):
        check_providers(providers)
    change(root, providers=providers)
    with pytest.raises(ModelFormatError, match="providers"):
        pyfunc.load_model(root)


def test_what_is_on_the_lists_arrives(root: Path) -> None:
    options: dict[str, object] = {
        "intra_op_num_threads": 2,
        "inter_op_num_threads": 0,
        "execution_mode": "parallel",
        "graph_optimization_level": 2,
        "extra_session_config": {
            "session.intra_op.allow_spinning": 0,
            "session.disable_prepacking": "1",
        },
    }
    change(root, onnx_session_options=options)
    session = pyfunc.load_model(root).get_raw_model()
    found = session.get_session_options()
    assert (found.intra_op_num_threads, found.inter_op_num_threads) == (2, 0)
    assert found.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert found.get_session_config_entry("session.disable_prepacking") == "1"


def test_pairs_of_yaml_are_the_pairs_that_onnxruntime_takes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stands in for a machine with such a device, which the tests have not."""
    import onnxruntime

    taken: list[object] = []

    class Session:
        def __init__(self, graph: object, *, sess_options: object, providers: object) -> None:
            taken.append(providers)

        def get_inputs(self) -> list[object]:
            return []

        get_outputs = get_inputs

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(
        onnxruntime, "get_available_providers",
        lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
    )  # fmt: skip
    pair = ["CUDAExecutionProvider", {"device_id": 1, "use_tf32": False}]
    change(root, providers=[pair, "CPUExecutionProvider"])
    pyfunc.load_model(root)
    expected = ("CUDAExecutionProvider", {"device_id": "1", "use_tf32": "0"})
    assert taken == [[expected, "CPUExecutionProvider"]]
