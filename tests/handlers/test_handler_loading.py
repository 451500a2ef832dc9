"""A handler at work in this process: what its functions are given, and what their failures are."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import pyfunc
from pyfunc.errors import (
    HandlerError,
    InvalidArgumentError,
    ModelFormatError,
    ModelPathError,
    SchemaError,
    UntrustedModelError,
)
from pyfunc.handlers import HandlerSignature, RequestHandler, SignatureField
from pyfunc.handlers.conversion import to_array
from pyfunc.handlers.debug_text import shortened
from pyfunc.handlers.tensor_types import name_of_dtype
from pyfunc.schema import ColSpec, DataType, ModelSignature, Schema, TensorSpec
from pyfunc.schema.types import Array, Object, Property

Save = Callable[..., Path]
Load = Callable[[Path], pyfunc.PyFuncModel]

COLUMNS = ModelSignature(
    Schema([ColSpec("double", "a"), ColSpec("long", "b"), ColSpec("string", "c", required=False)]),
    Schema([ColSpec("double", "y")]),
)
DOUBLE = np.dtype(np.float64)
TENSOR = ModelSignature(Schema([TensorSpec(DOUBLE, (-1, 3))]), Schema([TensorSpec(DOUBLE, (-1,))]))
NAMED = ModelSignature(
    Schema([TensorSpec(DOUBLE, (-1, 2), "x"), TensorSpec(np.dtype(np.int32), (-1,), "n")])
)
POST = "def post_inference(prediction, signature, metadata):\n    return {}\n"
PRE = "def pre_inference(sample, signature, metadata):\n    return {}\n"


def handler_of(model: pyfunc.PyFuncModel) -> RequestHandler:
    handler = model.request_handler
    assert isinstance(handler, RequestHandler)
    return handler


def test_the_functions_run_around_the_model(save: Save, load: Load) -> None:
    path = save(
        PRE.format("sample['x'] + 1") + POST.format("{'got': prediction, 'meta': metadata}"),
        body="model_input * 10",
        handler_metadata={"k": "v"},
    )
    assert load(path).predict_sample({"x": 1}) == {"got": 20, "meta": {"k": "v"}}


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        pytest.param("", [1], id="neither"),
        pytest.param(PRE.format("sample * 2"), [1, 1], id="pre-only"),
        pytest.param(POST.format("len(prediction)"), 1, id="post-only"),
    ],
)
def test_each_function_is_optional(save: Save, load: Load, source: str, answer: Any) -> None:
    assert load(save(source)).predict_sample([1]) == answer


def test_the_same_metadata_goes_to_every_call(save: Save, load: Load) -> None:
    source = PRE.format("metadata.setdefault('n', []).append(1) or 0") + POST.format("metadata")
    model = load(save(source))
    assert model.predict_sample(0) is model.predict_sample(0)
    assert handler_of(model).metadata == {"n": [1, 1]}


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param("sample, signature, metadata", id="three"),
        pytest.param("metadata", id="one"),
        pytest.param("model_path, metadata", id="two"),
        pytest.param("model", id="model"),
        pytest.param("", id="none"),
    ],
)
def test_init_gets_what_it_names(save: Save, load: Load, arguments: str) -> None:
    source = (
        f"seen = []\ndef init({arguments}):\n    seen.append(dict(locals()))\n"
    ) + POST.format("seen")
    path = save(source, signature=TENSOR, handler_metadata={"a": 1})
    model = load(path)
    seen = model.predict_sample([1, 2, 3])
    known = {
        "sample": None,
        "signature": handler_of(model).inputs,
        "metadata": {"a": 1},
        "model_path": str(path),
        "model": model,
    }
    names = [name.strip() for name in arguments.split(",") if name]
    assert seen == [{name: known[name] for name in names}]


def test_files_of_the_project_are_found_by_project_dir(save: Save, load: Load) -> None:
    source = (
        "import json, os\n"
        "with open(os.path.join(project_dir, 'config.json')) as file:\n"
        "    config = json.load(file)\n"
        "same = os.environ['PYFUNC_PROJECT_DIR'] == project_dir\n"
    ) + POST.format("[config, same]")
    path = save(source, files={"config.json": '{"a": 1}'})
    assert load(path).predict_sample(0) == [{"a": 1}, True]
    assert "PYFUNC_PROJECT_DIR" not in os.environ


def test_the_variable_of_the_project_is_put_back(
    save: Save, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYFUNC_PROJECT_DIR", "before")
    load(save(""))
    assert os.environ["PYFUNC_PROJECT_DIR"] == "before"


def test_siblings_are_imported_even_late(save: Save, load: Load) -> None:
    source = "from helper import NAME\n" + (
        "def post_inference(prediction, signature, metadata):\n"
        "    from inner.deep import VALUE\n"
        "    return [NAME, VALUE]\n"
    )
    models = [
        load(
            save(
                source,
                name=name,
                files={"helper.py": f"NAME = {name!r}\n", "inner/deep.py": "VALUE = 7\n"},
            )
        )
        for name in ("first", "second")
    ]
    assert [m.predict_sample(0) for m in (*models, models[0])] == [
        ["first", 7],
        ["second", 7],
        ["first", 7],
    ]


def test_imports_search_the_folders_of_python_path(save: Save, load: Load) -> None:
    path = save(
        "from tool import VALUE\n" + POST.format("VALUE"),
        files={"lib/tool.py": "VALUE = 3\n"},
        handler_python_path=["lib/"],
    )
    assert load(path).predict_sample(0) == 3


def test_the_folder_of_the_model_is_not_written_to(save: Save, load: Load) -> None:
    path = save("import helper\n", files={"helper.py": ""})
    load(path).predict_sample(0)
    assert sorted(os.listdir(path / "project")) == ["handler.py", "helper.py"]


def test_a_closed_model_gives_its_modules_back(save: Save, load: Load) -> None:
    model = load(
        save(
            "def post_inference(prediction, signature, metadata):\n    import helper\n",
            files={"helper.py": ""},
        )
    )
    model.close()
    with pytest.raises(HandlerError, match="was closed"):
        model.predict_sample(0)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param("1 / 0\n", "ZeroDivisionError", id="module-fails"),
        pytest.param("import not_installed_anywhere\n", "not_installed_anywhere", id="import"),
        pytest.param("pre_inference = 5\n", "pre_inference: not a function", id="no-function"),
        pytest.param("pre_inference = lambda x: x\n", "but found .x.", id="lambda"),
        pytest.param("post_inference = len\n", "not a function", id="builtin"),
        pytest.param(
            "def make():\n    async def f(sample, signature, metadata):\n        pass\n"
            "    return f\npre_inference = make()\n",
            "must not be async",
            id="async",
        ),
        pytest.param(
            "pre_inference = 1\npost_inference = 2\n", "post_inference: not", id="both-are-listed"
        ),
        pytest.param("def init():\n    raise OSError('no disk')\n", "init: no disk", id="init"),
    ],
)
def test_a_handler_that_cannot_be_loaded(
    save: Save, load: Load, source: str, message: str
) -> None:
    path = save(source)
    with pytest.raises(HandlerError, match=message) as caught:
        load(path)
    assert caught.value.stage == ("init" if "def init" in source else "load")


@pytest.mark.parametrize(
    ("source", "stage"),
    [
        pytest.param(PRE.format("sample['gone']"), "pre_inference", id="pre"),
        pytest.param(POST.format("{}['gone']"), "post_inference", id="post"),
    ],
)
def test_a_failing_function_is_named_with_its_exception(
    save: Save, load: Load, source: str, stage: str
) -> None:
    model = load(save(source))
    with pytest.raises(HandlerError) as caught:
        model.predict_sample({})
    text = f"handler.py: {stage} request handler: 'gone': runtime exception"
    assert (str(caught.value), caught.value.stage) == (text, stage)
    assert isinstance(caught.value.__cause__, KeyError)


def test_what_the_model_raises_is_not_changed(save: Save, load: Load) -> None:
    with pytest.raises(ZeroDivisionError):
        load(save("", body="1 / 0")).predict_sample(1)


# What pre_inference returns, and what the model then gets.
@pytest.mark.parametrize(
    ("prepared", "expected"),
    [
        pytest.param({"a": 1, "b": 2}, [[1.0, 2]], id="scalars-are-one-row"),
        pytest.param({"a": [1, 2], "b": [3, 4]}, [[1.0, 3], [2.0, 4]], id="lists-are-columns"),
        pytest.param(
            {"a": np.array([1.5]), "b": np.array([3])}, [[1.5, 3]], id="arrays-are-columns"
        ),
        pytest.param({"a": [1.0, 2.0], "b": 3}, [[1.0, 3], [2.0, 3]], id="scalars-are-repeated"),
        pytest.param({"a": 1, "b": 2, "zzz": 3}, [[1.0, 2]], id="more-keys-do-not-matter"),
        pytest.param({"a": np.float32(0.5), "b": np.int64(2)}, [[0.5, 2]], id="numpy-scalars"),
    ],
)
def test_mappings_become_a_frame(
    save: Save, load: Load, prepared: dict[str, Any], expected: list[Any]
) -> None:
    model = load(save("", signature=COLUMNS))
    found = model.predict_sample(prepared)
    assert isinstance(found, pd.DataFrame)
    assert found[["a", "b"]].to_numpy().tolist() == expected
    assert [str(dtype) for dtype in found.dtypes[:2]] == ["float64", "int64"]


def test_optional_columns_may_come(save: Save, load: Load) -> None:
    found = load(save("", signature=COLUMNS)).predict_sample({"a": 1, "b": 2, "c": "x"})
    assert found["c"].tolist() == ["x"]


def test_records_and_frames_go_as_they_are(save: Save, load: Load) -> None:
    model = load(save(PRE.format("__import__('pandas').DataFrame(sample)"), signature=COLUMNS))
    assert model.predict_sample([{"a": 1.5, "b": 2}]).to_dict("list")["a"] == [1.5]


@pytest.mark.parametrize(
    ("prepared", "error", "message"),
    [
        pytest.param({"a": 1}, InvalidArgumentError, 'missing key "b"', id="missing"),
        pytest.param({"a": 1, "b": None}, InvalidArgumentError, 'missing key "b"', id="none"),
        pytest.param({"a": "x", "b": 1}, SchemaError, "inputs", id="type"),
        pytest.param({"a": 1, "b": 1.5}, SchemaError, "inputs", id="fraction"),
    ],
)
def test_columns_that_do_not_fit(
    save: Save, load: Load, prepared: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load(save("", signature=COLUMNS)).predict_sample(prepared)


def test_a_bare_list_is_the_one_column(save: Save, load: Load) -> None:
    signature = ModelSignature(Schema([ColSpec("double", "only")]))
    found = load(save("", signature=signature)).predict_sample([1, 2.5])
    assert found.to_dict("list") == {"only": [1.0, 2.5]}


def test_nested_values_are_cells(save: Save, load: Load) -> None:
    signature = ModelSignature(
        Schema(
            [
                ColSpec(Array(DataType.double), "v"),
                ColSpec(Object([Property("n", DataType.long)]), "o"),
            ]
        )
    )
    model = load(save("", signature=signature))
    one = model.predict_sample({"v": [1.0, 2.0], "o": {"n": 1}})
    assert [list(one["v"][0]), one["o"][0]] == [[1.0, 2.0], {"n": 1}]
    two = model.predict_sample({"v": [[1.0], [2.0]], "o": [{"n": 1}, {"n": 2}]})
    assert len(two) == 2


@pytest.mark.parametrize(
    ("prepared", "expected"),
    [
        pytest.param({"input": [1, 2, 3]}, [[1, 2, 3]], id="by-name"),
        pytest.param([1, 2, 3], [[1, 2, 3]], id="bare-list"),
        pytest.param(np.array([[1, 2, 3]], np.int8), [[1, 2, 3]], id="bare-array"),
        pytest.param([[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 5, 6]], id="batch"),
    ],
)
def test_one_tensor(save: Save, load: Load, prepared: Any, expected: list[Any]) -> None:
    found = load(save("", signature=TENSOR)).predict_sample(prepared)
    assert found.dtype == np.float64
    assert found.tolist() == expected


def test_named_tensors(save: Save, load: Load) -> None:
    found = load(save("", signature=NAMED)).predict_sample({"x": [1, 2], "n": 5})
    assert {name: value.tolist() for name, value in found.items()} == {"x": [[1, 2]], "n": [5]}


@pytest.mark.parametrize(
    ("signature", "prepared", "message"),
    [
        pytest.param(TENSOR, [1, 2], "^failed to convert to numpy array", id="length"),
        pytest.param(TENSOR, {"other": [1]}, 'missing key "input"', id="missing"),
        pytest.param(TENSOR, np.array(["a"]), "expected dtype 'float64' but found", id="dtype"),
        pytest.param(TENSOR, ["a", "b", "c"], "failed to convert", id="text"),
        pytest.param(NAMED, [1, 2], 'dictionary with keys "x", "n"', id="no-dictionary"),
        pytest.param(NAMED, {"x": [1], "n": 1}, '^key "x": failed to convert', id="named"),
    ],
)
def test_tensors_that_do_not_fit(
    save: Save, load: Load, signature: ModelSignature, prepared: Any, message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        load(save("", signature=signature)).predict_sample(prepared)


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        pytest.param([1, 2], "float32", [1.0, 2.0], id="integers-as-floats"),
        pytest.param([1.0], "int64", [1], id="whole-floats-as-integers"),
        pytest.param(np.array([1.0]), "int8", [1], id="array-of-whole-floats"),
        pytest.param([0.1], "float16", [np.float16(0.1)], id="rounded"),
        pytest.param([float("inf")], "float32", [float("inf")], id="infinity"),
        pytest.param([True, 0], "bool", [True, False], id="booleans"),
        pytest.param(["1.5"], "float64", [1.5], id="text-of-a-number"),
        pytest.param([1.5], "int64", None, id="a-fraction-is-no-integer"),
        pytest.param(np.array([1.5]), "int64", None, id="array-with-a-fraction"),
        pytest.param(np.array([300]), "int8", None, id="too-large"),
        pytest.param([300], "int8", None, id="list-too-large"),
        pytest.param([-1], "uint8", None, id="negative"),
        pytest.param([float("nan")], "int64", None, id="nan"),
        pytest.param([2], "bool", None, id="two-is-no-boolean"),
        pytest.param(["false"], "bool", None, id="text-is-no-boolean"),
        pytest.param([1e300], "float32", None, id="beyond-the-largest"),
        pytest.param(["x"], "float32", None, id="text"),
        pytest.param({"a": 1}, "float32", None, id="mapping"),
    ],
)
def test_values_are_cast_or_refused_but_never_changed(
    value: Any, dtype: str, expected: list[Any] | None
) -> None:
    field = SignatureField("x", [-1], name_of_dtype(np.dtype(dtype)))
    if expected is None:
        with pytest.raises(InvalidArgumentError, match="failed to convert to numpy array"):
            to_array(value, field, named=False, keep_batches=True)
        return
    array = to_array(value, field, named=False, keep_batches=True)
    assert (array.dtype, array.tolist()) == (np.dtype(dtype), expected)


def test_a_type_that_is_no_tensor_cannot_be_made() -> None:
    field = SignatureField("x", [-1], "seq(map(int64,tensor(float)))")
    with pytest.raises(InvalidArgumentError, match=r'^key "x": the type seq'):
        to_array([1], field, named=True, keep_batches=False)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("model_input", [[[1.0, 2.0, 3.0]]], id="array"),
        pytest.param("model_input.tolist()", [[[1.0, 2.0, 3.0]]], id="list"),
        pytest.param("{'a': [1], 'b': [2]}", [[1], [2]], id="dict"),
        pytest.param(
            "__import__('pandas').DataFrame({'a': [1], 'b': [2]})", [[1], [2]], id="frame"
        ),
    ],
)
def test_predictions_in_the_style_of_onnx(
    save: Save, load: Load, body: str, expected: list[Any]
) -> None:
    path = save("", body=body, signature=TENSOR, handler_output_style="onnx")
    found = load(path).predict_sample([1, 2, 3])
    assert all(isinstance(output, np.ndarray) for output in found)
    assert [output.tolist() for output in found] == expected


def test_a_signature_has_names_shapes_and_types(save: Save, load: Load) -> None:
    inputs = handler_of(load(save("", signature=COLUMNS))).inputs
    assert [(f.name, f.shape, f.type) for f in inputs] == [
        ("a", [-1], "tensor(double)"),
        ("b", [-1], "tensor(int64)"),
        ("c", [-1], "tensor(string)"),
    ]
    assert inputs["b"] is inputs[1]
    assert inputs[0].dtype == np.float64
    assert inputs[:1] == [inputs[0]]
    with pytest.raises(KeyError):
        inputs["zzz"]


def test_a_model_without_a_signature_gives_an_empty_one(save: Save, load: Load) -> None:
    handler = handler_of(load(save("")))
    assert handler.inputs == handler.outputs == HandlerSignature()


def test_the_definition_in_the_form_of_tensorflow_is_one_for_both(save: Save, load: Load) -> None:
    handler = handler_of(load(save("", signature=TENSOR)))
    definition = handler.inputs.as_signature_def()
    assert definition == handler.outputs.as_signature_def()
    assert definition["predict"]["inputs"]["input"] == {
        "dtype": "DT_DOUBLE",
        "tensorShape": {"dim": [{"size": "-1"}, {"size": "3"}]},
        "name": "input:0",
    }


def test_types_that_no_tensor_holds_are_named(save: Save, load: Load) -> None:
    signature = ModelSignature(
        Schema(
            [
                ColSpec("datetime", "t"),
                ColSpec(Array(Array(DataType.float)), "m"),
                ColSpec(Object([Property("n", DataType.long)]), "o"),
            ]
        )
    )
    listing = handler_of(load(save("", signature=signature))).inputs.listing()
    assert listing == {
        "t": {"shape": [-1], "type": "datetime"},
        "m": {"shape": [-1, -1, -1], "type": "float32"},
        "o": {"shape": [-1], "type": "object"},
    }


def test_debug_logs_each_step(save: Save, load: Load, caplog: pytest.LogCaptureFixture) -> None:
    model = load(save(PRE.format("[1]") + POST.format("'done'")))
    with caplog.at_level(logging.INFO, "pyfunc.handlers"):
        model.predict_sample({"a": "x"}, debug=True)
        model.predict_sample({"a": "y"})
    assert [record.getMessage() for record in caplog.records] == [
        'sample: {"a": "x"}',
        "pre_inference: [1]",
        "inference: [1]",
        'post_inference: "done"',
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(list(range(12)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...]", id="list"),
        pytest.param({i: i for i in range(11)}, None, id="dict"),
        pytest.param("x" * 501, '"' + "x" * 500 + '..."', id="text"),
        pytest.param(np.zeros((2, 1)), "[[0.0], [0.0]]", id="array"),
        pytest.param(None, "None", id="none"),
        pytest.param((1, {2}), "[1, [2]]", id="tuple"),
    ],
)
def test_values_are_shortened_for_the_log(value: Any, text: str | None) -> None:
    found = shortened(value)
    assert found == text if text is not None else found.endswith(", ...}")


def test_values_that_contain_themselves_have_a_text() -> None:
    value: list[Any] = []
    value.append(value)
    assert len(shortened(value)) < 1000


def test_one_request_is_answered_at_a_time(save: Save, load: Load) -> None:
    source = (
        "import time\nstate = None\n"
        "def pre_inference(sample, signature, metadata):\n"
        "    global state\n    state = sample\n    time.sleep(0.002)\n    return sample\n"
        "def post_inference(prediction, signature, metadata):\n    return [state, prediction]\n"
    )
    model = load(save(source))
    gate = threading.Barrier(4)

    def work(number: int) -> bool:
        gate.wait(30)
        return all(model.predict_sample(number) == [number, number] for _ in range(10))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


def test_a_handler_may_ask_its_own_model(save: Save, load: Load) -> None:
    source = ("def init(model):\n    global inner\n    inner = model\n") + POST.format(
        "inner.predict_sample(0) if prediction else 'end'"
    )
    assert load(save(source)).predict_sample(1) == "end"


def rewrite(model: Path, /, **changes: Any) -> None:
    file = model / "MLmodel"
    content = yaml.safe_load(file.read_text())
    content["flavors"]["request_handler"].update(changes)
    file.write_text(yaml.safe_dump(content))


@pytest.mark.parametrize(
    ("changes", "error", "key"),
    [
        pytest.param({"api": 2}, ModelFormatError, "api", id="newer"),
        pytest.param({"path": 5}, ModelFormatError, "path", id="path"),
        pytest.param({"project": None}, ModelFormatError, "project", id="project"),
        pytest.param({"metadata": [1]}, ModelFormatError, "metadata", id="metadata"),
        pytest.param({"python_path": "."}, ModelFormatError, "python_path", id="python-path"),
        pytest.param({"output_style": "tf"}, ModelFormatError, "output_style", id="style"),
        pytest.param({"path": "../MLmodel"}, ModelPathError, "path", id="path-up"),
        pytest.param({"project": "../x"}, ModelPathError, "project", id="project-up"),
        pytest.param({"project": "/etc"}, ModelPathError, "project", id="project-absolute"),
        pytest.param({"python_path": [".."]}, ModelPathError, "python_path", id="import-up"),
    ],
)
def test_sections_that_are_refused(
    save: Save, changes: dict[str, Any], error: type[ModelFormatError], key: str
) -> None:
    path = save("")
    rewrite(path, **changes)
    with pytest.raises(error) as caught:
        pyfunc.load_model(path, suppress_warnings=True, verify="skip")
    assert caught.value.key == f"flavors.request_handler.{key}"


def test_a_section_that_is_no_mapping(save: Save) -> None:
    path = save("")
    content = yaml.safe_load((path / "MLmodel").read_text())
    content["flavors"]["request_handler"] = {}
    (path / "MLmodel").write_text(yaml.safe_dump(content))
    with pytest.raises(ModelFormatError, match="api"):
        pyfunc.load_model(path, suppress_warnings=True, verify="skip")


def test_a_changed_handler_does_not_run(save: Save, tmp_path: Path) -> None:
    path = save("")
    file = path / "project" / "handler.py"
    file.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(pyfunc.ModelIntegrityError):
        pyfunc.load_model(path, suppress_warnings=True)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("mode", ["allowlist", "none"])
def test_an_untrusted_handler_does_not_run(save: Save, tmp_path: Path, mode: Any) -> None:
    path = save(f"open({str(tmp_path / 'ran')!r}, 'w')")
    try:
        model = pyfunc.load_model(path, suppress_warnings=True, trust=mode)
    except UntrustedModelError:
        assert mode == "allowlist"
    else:
        assert model.request_handler is None
    assert not (tmp_path / "ran").exists()


def test_a_handler_works_in_a_child_process(save: Save) -> None:
    path = save(PRE.format("sample['x']") + POST.format("{'got': prediction}"))
    model = pyfunc.load_model(path, env="isolated", env_manager="local")
    try:
        assert model.predict_sample({"x": 1.5}) == {"got": 1.5}
    finally:
        model.close()
