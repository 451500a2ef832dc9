"""Parameters of one call, and changing the signature of a saved model."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyfunc.directory.manifest import MANIFEST_PATH
from pyfunc.directory.verification import verify_files, write_manifest
from pyfunc.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    ModelNotFoundError,
    PyfuncError,
    SchemaError,
)
from pyfunc.files.yaml_reading import read_yaml_mapping
from pyfunc.schema import (
    Array,
    ColSpec,
    Map,
    ModelSignature,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    TensorSpec,
    enforce_params,
    infer_param_schema,
    set_signature,
)

SIGNATURE = ModelSignature(Schema([ColSpec("long", "a")]))


def test_every_parameter_that_does_not_fit_is_listed() -> None:
    schema = ParamSchema(
        [
            ParamSpec("n", "long", 1),
            ParamSpec("xs", "double", [1.5], (-1,)),
            ParamSpec("o", Object([Property("k", "string")]), {"k": "v"}),
        ]
    )
    with pytest.raises(SchemaError) as caught:
        enforce_params({"n": "x", "xs": [1.0, "y"], "o": {"k": 1}}, schema)
    assert [problem.path for problem in caught.value.problems] == [
        "params['n']",
        "params['o'].k",
        "params['xs'][1]",
    ]
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_defaults_that_can_change_are_copies() -> None:
    schema = ParamSchema([ParamSpec("xs", "long", [1], (-1,))])
    enforce_params({}, schema)["xs"].append(2)  # type: ignore[index]
    assert enforce_params({}, schema) == {"xs": [1]}


@pytest.mark.parametrize(
    ("params", "schema", "expected", "logged"),
    [
        pytest.param({"z": 1}, ParamSchema([]), {}, "unknown", id="unknown"),
        pytest.param(
            {1: 2}, ParamSchema([ParamSpec("1", "long", 0)]), {"1": 2}, "strings", id="int"
        ),
        pytest.param({"z": 1}, None, {}, "no parameters", id="no-schema"),
        pytest.param([1], None, {}, "no parameters", id="no-schema-list"),
    ],
)
def test_what_is_ignored_is_logged(
    params: Any,
    schema: ParamSchema | None,
    expected: dict[str, Any],
    logged: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, logger="pyfunc.schema"):
        assert enforce_params(params, schema) == expected
    assert logged in caplog.text


def saved_model(directory: Path) -> Path:
    directory.mkdir()
    (directory / "MLmodel").write_text(
        "flavors: {}\nis_signature_from_type_hint: true\nmodel_uuid: x\nx_key: [1, 2]\n"
    )
    (directory / "data.bin").write_bytes(b"123")
    return directory


@pytest.mark.parametrize("as_uri", [False, True], ids=["path", "uri"])
def test_only_the_signature_of_a_saved_model_changes(tmp_path: Path, as_uri: bool) -> None:
    model = saved_model(tmp_path / "my model")
    set_signature(model.as_uri() if as_uri else str(model), SIGNATURE)
    found = read_yaml_mapping(model / "MLmodel")
    assert ModelSignature.from_dict(found.pop("signature")) == SIGNATURE
    assert found == {
        "flavors": {},
        "is_signature_from_type_hint": False,
        "type_hint_from_example": False,
        "model_uuid": "x",
        "x_key": [1, 2],
    }
    assert sorted(path.name for path in model.iterdir()) == ["MLmodel", "data.bin"]


def test_the_manifest_follows_for_the_changed_file_only(tmp_path: Path) -> None:
    model = saved_model(tmp_path / "m")
    write_manifest(model)
    set_signature(model, SIGNATURE)
    verify_files(model)
    files = json.loads((model / MANIFEST_PATH).read_text())["files"]
    content = (model / "MLmodel").read_bytes()
    assert files["MLmodel"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert files["data.bin"]["sha256"] == hashlib.sha256(b"123").hexdigest()


def test_set_signature_refuses_what_it_cannot_change(tmp_path: Path) -> None:
    model = saved_model(tmp_path / "m")
    before = (model / "MLmodel").read_bytes()
    with pytest.raises(InvalidTypeError):
        set_signature(model, "signature")  # type: ignore[arg-type]
    with pytest.raises(ModelNotFoundError):
        set_signature(tmp_path, SIGNATURE)
    with pytest.raises(InvalidArgumentError):
        set_signature("s3://bucket/model", SIGNATURE)
    records = TensorSpec(np.dtype([("x", "i4")]), (-1,))
    with pytest.raises(InvalidArgumentError, match="could not be loaded"):
        set_signature(model, ModelSignature(inputs=Schema([records])))
    assert (model / "MLmodel").read_bytes() == before


@pytest.mark.parametrize(
    ("request_text", "refused"),
    [
        pytest.param('{"inputs": {"a": [1]}}', "", id="fits"),
        pytest.param('{"dataframe_split": {"columns": ["a"], "data": [[NaN]]}}', "a", id="null"),
        pytest.param('{"inputs": {"a": ["x"]}}', "a", id="another-type"),
        pytest.param('{"inputs": {"b": [1]}}', "a", id="another-name"),
        pytest.param('{"inputs": {"a": [1]}, "params": {"n": "x"}}', "n", id="params"),
        pytest.param("[1]", "JSON object", id="no-request"),
        pytest.param(None, "", id="file-is-gone"),
    ],
)
def test_a_saved_request_that_the_new_signature_refuses_keeps_the_old_one(
    tmp_path: Path, request_text: str | None, refused: str
) -> None:
    model = saved_model(tmp_path / "m")
    with (model / "MLmodel").open("a") as file:
        file.write("saved_input_example_info: {serving_input_path: serving.json}\n")
    if request_text is not None:
        (model / "serving.json").write_text(request_text)
    before = (model / "MLmodel").read_bytes()
    signature = ModelSignature(SIGNATURE.inputs, params=ParamSchema([ParamSpec("n", "long", 1)]))
    if not refused:
        set_signature(model, signature)
        return
    with pytest.raises(PyfuncError, match=f"example does not match(?s:.*){refused}") as caught:
        set_signature(model, signature)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    assert (model / "MLmodel").read_bytes() == before


def test_bytearrays_pass_as_the_bytes_that_inference_takes_them_for() -> None:
    params = {"o": {"xs": [bytearray(b"x")]}}
    schema = infer_param_schema(params)
    assert enforce_params(params, schema) == params


NESTED = Object(
    [
        Property("n", "long"),
        Property("list", Array("double"), False),
        Property("inner", Object([Property("s", "string")]), False),
        Property("items", Array(Object([Property("t", "datetime")])), False),
        Property("map", Map("long"), False),
    ]
)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"n": 1}, id="required-only"),
        pytest.param({"n": 1, "list": [1.5, None], "map": {"k": 2}}, id="list-and-map"),
        pytest.param({"n": 1, "inner": {"s": "x"}}, id="object"),
        pytest.param(
            {"n": 1, "items": [{"t": np.datetime64("2020-01-02")}]}, id="array-of-objects"
        ),
    ],
)
def test_a_dict_that_fits_is_handed_on_itself(value: dict[str, Any]) -> None:
    schema = ParamSchema([ParamSpec("p", NESTED, {"n": 0})])
    result = enforce_params({"p": value}, schema)
    assert result is not None
    assert result["p"] is value


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        pytest.param([], ["params['p']"], id="no-dict"),
        pytest.param({"x": 1}, ["params['p'].n", "params['p'].x"], id="missing-and-unknown"),
        pytest.param({"n": 1.5}, ["params['p'].n"], id="scalar"),
        pytest.param({"n": 1, "list": ["x"]}, ["params['p'].list[]"], id="element"),
        pytest.param(
            {"n": 1, "items": [{"t": dt.datetime(2020, 1, 2)}]},
            ["params['p'].items[].t"],
            id="datetime-without-json-form",
        ),
    ],
)
def test_every_part_of_a_dict_that_does_not_fit_is_listed(value: Any, paths: list[str]) -> None:
    schema = ParamSchema([ParamSpec("p", NESTED, {"n": 0})])
    with pytest.raises(SchemaError) as caught:
        enforce_params({"p": value}, schema)
    assert [problem.path for problem in caught.value.problems] == paths
    assert all(problem.row is None for problem in caught.value.problems)
