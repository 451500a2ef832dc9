"""What is no schema, spec or type is refused with an error of ours, whichever part is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pyfunc.errors import InvalidArgumentError, InvalidTypeError
from pyfunc.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    ModelSignature,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    SparkMLVector,
    TensorInfo,
    TensorSpec,
    infer_param_schema,
    infer_schema,
)
from pyfunc.schema.types import merge_types


@pytest.mark.parametrize(
    ("form", "error"),
    [
        pytest.param([], InvalidTypeError, id="no-object"),
        pytest.param({"dtype": "float64"}, InvalidArgumentError, id="no-shape"),
        pytest.param({"dtype": "float65", "shape": []}, InvalidTypeError, id="no-dtype"),
        pytest.param({"dtype": "float64", "shape": 3}, InvalidTypeError, id="no-list"),
    ],
)
def test_json_of_a_tensor_is_checked(form: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        TensorInfo.from_json_dict(form)


@pytest.mark.parametrize(
    "form",
    [
        pytest.param({"type": "tensor"}, id="no-tensor"),
        pytest.param({"type": "long", "tensor-spec": {}}, id="another-word"),
    ],
)
def test_json_of_a_tensor_spec_is_checked(form: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        TensorSpec.from_json_dict(**form)


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda: ParamSchema("p"), id="params-no-list"),  # type: ignore[arg-type]
        pytest.param(lambda: ModelSignature.from_dict([]), id="signature-no-dict"),  # type: ignore[arg-type]
        pytest.param(lambda: ParamSpec("p", "long", [1], "x"), id="shape-no-list"),  # type: ignore[arg-type]
    ],
)
def test_arguments_of_another_class_are_type_errors(build: Callable[[], object]) -> None:
    with pytest.raises(InvalidTypeError):
        build()


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda: Property(1, "long"), id="property-name"),  # type: ignore[arg-type]
        pytest.param(lambda: infer_param_schema([]), id="params-no-dict"),  # type: ignore[arg-type]
        pytest.param(lambda: infer_param_schema({"p": [[1], [2]]}), id="a-list-of-lists"),
        pytest.param(lambda: infer_param_schema({"p": [[1], 2]}), id="a-ragged-list"),
        pytest.param(
            lambda: ParamSpec.from_json_dict(name="p", default=1, shape=None), id="param-no-type"
        ),
        pytest.param(lambda: infer_schema([np.array(1)]), id="array-without-dimensions"),
        pytest.param(lambda: infer_schema({"a": [np.array([1j])]}), id="complex-array"),
        pytest.param(
            lambda: infer_schema({"a": [np.array([np.array([])] * 2 + [None], dtype=object)[:2]]}),
            id="array-of-empty-arrays",
        ),
    ],
)
def test_values_that_make_no_schema_are_refused(build: Callable[[], object]) -> None:
    with pytest.raises(InvalidArgumentError):
        build()


def test_names_can_be_changed_but_not_to_anything_else() -> None:
    spec = ColSpec("long", "a")
    spec.name = "b"
    assert spec.to_dict()["name"] == "b"
    prop = Property("a", "long")
    with pytest.raises(InvalidArgumentError):
        prop.name = 1  # type: ignore[assignment]


def test_types_are_found_by_value_and_by_dtype() -> None:
    assert DataType.check_type(DataType.long, 1)
    assert not DataType.check_type(DataType.long, True)
    assert DataType.from_numpy_type(np.dtype("int32")) is DataType.integer
    assert DataType.from_numpy_type(np.dtype("int8")) is None
    assert DataType.all_types() == list(DataType)
    assert SparkMLVector.from_json_dict(type="sparkml_vector") == SparkMLVector()
    assert TensorSpec(np.dtype("f4"), (-1,)).required is True
    assert Schema([TensorSpec(np.dtype("f4"), (-1,))]).numpy_types() == [np.dtype("f4")]


def test_parameters_are_checked_by_class_methods_as_well() -> None:
    spec = ParamSpec("p", "double", 1.0)
    assert ParamSpec.validate_param_spec(2, spec) == 2.0
    with pytest.raises(InvalidArgumentError):
        ParamSpec.validate_param_spec("x", spec)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param(SparkMLVector(), Array("double"), id="vector"),
        pytest.param(Property("a", "long"), Property("b", "long"), id="names"),
        pytest.param(DataType.long, Array("long"), id="kinds"),
        pytest.param(AnyType(), "x", id="no-type"),
    ],
)
def test_types_that_nothing_covers_do_not_merge(left: Any, right: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        merge_types(left, right)


def test_equal_types_merge_into_themselves() -> None:
    same = Object([Property("a", "long")])
    assert merge_types(same, Object([Property("a", "long")])) == same
    assert merge_types(SparkMLVector(), SparkMLVector()) == SparkMLVector()
    merged = merge_types(Property("a", "long", False), Property("a", "long"))
    assert merged == Property("a", "long", False)


def test_missing_values_of_an_array_have_any_type() -> None:
    column: pd.Series[Any] = pd.Series([np.array([np.nan, np.nan])], dtype=object, name="a")
    assert infer_schema(column) == Schema([ColSpec(Array(AnyType()), "a")])


def test_fixed_width_bytes_are_binary() -> None:
    from pyfunc.schema.infer.column_types import infer_column_spec

    class Column:
        name = "a"
        dtype = np.dtype("S3")

        def isna(self) -> Any:
            return np.zeros(1, dtype=bool)

    assert infer_column_spec(Column()) == ColSpec("binary", "a")  # type: ignore[arg-type]
