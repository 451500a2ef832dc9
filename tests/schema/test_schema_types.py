"""Types, specs and schemas where they differ from MLflow or could lose something."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, List  # noqa: UP035 - both spellings are read

import numpy as np
import pytest

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, MissingDependencyError
from pyfunc.schema import (
    Array,
    ColSpec,
    DataType,
    Map,
    ModelSignature,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    SparkMLVector,
    TensorSpec,
    convert_dataclass_to_schema,
    infer_signature,
)
from pyfunc.schema.types import MAX_DEPTH


def nested(kind: Any, depth: int) -> Any:
    dtype: Any = DataType.long
    for _ in range(depth):
        dtype = kind(dtype)
    return dtype


def as_object(dtype: Any) -> Object:
    return Object([Property("x", dtype)])


def test_columns_named_zero_or_empty_keep_their_names() -> None:
    schema = Schema([ColSpec("long", ""), ColSpec("long", 0, required=False), ColSpec("long", 7)])
    assert schema.input_names() == ["", 0, 7]
    assert schema.required_input_names() == ["", 7]
    assert schema.optional_input_names() == [0]
    assert list(schema.input_dict()) == ["", 0, 7]


def test_tuple_names_come_back_from_json_as_tuples() -> None:
    schema = Schema([ColSpec("long", ("a", ("b", 1)))])
    assert Schema.from_json(schema.to_json()).input_names() == [("a", ("b", 1))]


@pytest.mark.parametrize(
    ("text", "required"),
    [
        pytest.param('{"type": "long", "name": "a", "optional": true}', False, id="optional"),
        pytest.param('{"type": "long", "name": "a", "optional": false}', True, id="not-optional"),
        pytest.param('{"type": "long", "name": "a"}', True, id="nothing"),
        pytest.param(
            '{"type": "array", "items": {"type": "long"}, "name": "a", "optional": true}',
            False,
            id="nested-optional",
        ),
    ],
)
def test_old_json_of_a_column_is_read(text: str, required: bool) -> None:
    spec = Schema.from_json(f"[{text}]").inputs[0]
    assert spec.required is required
    assert "optional" not in spec.to_dict()


def test_vectors_inside_maps_and_objects_survive_json() -> None:
    dtype = Object([Property("v", SparkMLVector()), Property("m", Map(SparkMLVector()))])
    schema = Schema([ColSpec(dtype, "a")])
    assert Schema.from_json(schema.to_json()) == schema


@pytest.mark.parametrize("kind", [Array, Map, as_object])
def test_deep_types_work_up_to_the_limit_and_are_refused_beyond(kind: Any) -> None:
    dtype = nested(kind, MAX_DEPTH)
    schema = Schema([ColSpec(dtype, "a")])
    assert Schema.from_json(schema.to_json()) == schema
    assert len(repr(dtype)) > MAX_DEPTH
    with pytest.raises(InvalidArgumentError, match="levels"):
        nested(kind, MAX_DEPTH + 2)


def test_a_type_that_shares_its_parts_exponentially_is_refused() -> None:
    def grow() -> None:
        dtype: Any = DataType.long
        for _ in range(60):
            dtype = Object([Property("a", dtype), Property("b", dtype)])

    with pytest.raises(InvalidArgumentError, match="parts"):
        grow()


@pytest.mark.parametrize("depth", [500, 100_000])
def test_deep_json_is_refused_clearly(depth: int) -> None:
    inner = '{"type": "array", "items": ' * depth + '{"type": "long"}' + "}" * depth
    with pytest.raises(InvalidArgumentError):
        Schema.from_json(f"[{inner}]")


@pytest.mark.parametrize(
    "text",
    ["5", "null", "{}", "[5]", '[{"type": 5}]', '[{"type": ["long"]}]', "[[]]"],
)
def test_json_of_the_wrong_shape_is_a_type_error_of_ours(text: str) -> None:
    with pytest.raises(InvalidTypeError):
        Schema.from_json(text)
    with pytest.raises((InvalidTypeError, InvalidArgumentError)):
        ParamSchema.from_json(text)


def test_names_without_json_form_are_named_in_the_error() -> None:
    with pytest.raises(InvalidTypeError, match="complex"):
        Schema([ColSpec("long", 1j)]).to_json()


def test_numpy_integers_as_names_are_written_as_numbers() -> None:
    text = Schema([ColSpec("long", np.int64(3))]).to_json()
    assert json.loads(text)[0]["name"] == 3


def test_missing_datetime_default_is_written_as_null() -> None:
    schema = ParamSchema([ParamSpec("d", "datetime", None)])
    assert ParamSchema.from_json(schema.to_json()) == schema


def test_schema_does_not_share_the_list_it_was_made_of() -> None:
    specs = [ColSpec("long", "a")]
    schema = Schema(specs)
    specs.append(ColSpec("long", "b"))
    assert len(schema) == 1


def test_property_names_may_be_any_text() -> None:
    words = ["cls", "self", "type", "name", ""]
    dtype = Object([Property(word, "long") for word in words])
    assert Object.from_json_dict(**dtype.to_dict()) == dtype
    assert Property.from_json_dict(cls={"type": "long"}) == Property("cls", "long")


def test_spark_schema_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    monkeypatch.setitem(sys.modules, "pyspark.sql.types", None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        Schema([ColSpec("long", "a")]).as_spark_schema()
    with pytest.raises(MissingDependencyError, match="pip install"):
        DataType.long.to_spark()


def test_spark_schema_of_tensors_is_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        Schema([TensorSpec(np.dtype("f4"), (-1,))]).as_spark_schema()


def test_signature_keeps_the_flags_that_ride_beside_it() -> None:
    signature = ModelSignature(Schema([ColSpec("long", "a")]))
    signature._is_signature_from_type_hint = True
    signature._is_type_hint_from_example = True
    assert signature._is_signature_from_type_hint
    assert signature._is_type_hint_from_example
    assert not ModelSignature(signature.inputs)._is_signature_from_type_hint


def test_a_dataclass_that_contains_itself_is_refused() -> None:
    import dataclasses

    node = dataclasses.make_dataclass("Node", [("children", "list[Node]")])
    node.__module__ = __name__
    globals()["Node"] = node
    with pytest.raises(InvalidArgumentError, match="contains itself"):
        convert_dataclass_to_schema(node)


def test_field_types_of_a_dataclass_may_be_text() -> None:
    import dataclasses

    made = dataclasses.make_dataclass("Made", [("a", "list[str]"), ("b", "int | None")])
    expected = "['a': Array(string) (required), 'b': long (optional)]"
    assert repr(convert_dataclass_to_schema(made)) == expected
    assert repr(infer_signature(made).inputs) == expected
    assert repr(infer_signature(made(["x"], 1)).inputs) == expected


@pytest.mark.parametrize("hint", [list, List, list[list[int]], dict, Any, int | str])  # noqa: UP006
def test_fields_that_no_column_can_hold_are_refused(hint: Any) -> None:
    import dataclasses

    made = dataclasses.make_dataclass("Made", [("a", hint)])
    with pytest.raises(InvalidArgumentError, match=r"Made\.a"):
        convert_dataclass_to_schema(made)
    assert repr(infer_signature(made).inputs) == "[Any (required)]"


def test_an_unresolvable_dataclass_is_refused() -> None:
    import dataclasses

    with pytest.raises(InvalidArgumentError, match="resolved"):
        convert_dataclass_to_schema(dataclasses.make_dataclass("A", [("x", "Nowhere")]))


def test_types_are_loaded_without_pandas() -> None:
    code = (
        "import sys; from pyfunc.schema import Schema, ColSpec, ParamSpec, ModelSignature; "
        "from pyfunc.schema import infer_schema; infer_schema({'a': 1.5}); "
        "assert 'pandas' not in sys.modules, 'pandas was loaded'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
