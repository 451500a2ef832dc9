"""Parameters of one call, and changing the signature of a saved model."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from pyfunc.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    ModelNotFoundError,
    SchemaError,
)
from pyfunc.manifest import MANIFEST_PATH, write_manifest
from pyfunc.schema import (
    ColSpec,
    ModelSignature,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    enforce_params,
    infer_param_schema,
    set_signature,
)
from pyfunc.yaml_files import read_yaml_mapping

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
    (model / "data.bin").write_bytes(b"tampered")
    set_signature(model, SIGNATURE)
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
    assert (model / "MLmodel").read_bytes() == before


def test_bytearrays_pass_as_the_bytes_that_inference_takes_them_for() -> None:
    params = {"o": {"xs": [bytearray(b"x")]}}
    schema = infer_param_schema(params)
    assert enforce_params(params, schema) == params
