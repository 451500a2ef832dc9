"""Every recorded outcome of MLflow for types, inference and parameters, row by row."""

from __future__ import annotations

import builtins
import dataclasses
import datetime as dt
import importlib.util
import json
import re
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import pyfunc.schema
from pyfunc.errors import PyfuncError, PyfuncWarning
from pyfunc.schema import (
    ColSpec,
    DataType,
    ParamSchema,
    ParamSpec,
    Schema,
    TensorSpec,
    enforce_params,
    infer_param_schema,
    infer_schema,
    infer_signature,
)

DATA = Path(__file__).parents[1] / "data" / "conformance"
HAS_ARROW = importlib.util.find_spec("pyarrow") is not None


@dataclasses.dataclass
class Inner:
    x: int
    y: Optional[str] = None  # noqa: UP045 - both spellings are part of the case


@dataclasses.dataclass
class Outer:
    a: int
    b: float
    c: str
    d: bool
    e: bytes
    f: dt.date
    g: list[int]
    h: int | None
    i: Inner
    j: list[Inner]
    k: list[str] | None


@dataclasses.dataclass
class Bad:
    a: dict[str, int]


NAMESPACE: dict[str, Any] = {
    **{name: getattr(pyfunc.schema, name) for name in pyfunc.schema.__all__},
    "np": np,
    "pd": pd,
    "dt": dt,
    "sp": sp,
    "json": json,
    "Decimal": Decimal,
    "nan": float("nan"),
    "C": ColSpec,
    "D": DataType,
    "T": lambda dtype, shape, name=None: TensorSpec(np.dtype(dtype), shape, name),
    "Inner": Inner,
    "Outer": Outer,
    "Bad": Bad,
}
if HAS_ARROW:
    import pyarrow as pa

    NAMESPACE["pa"] = pa

# Rows that are not followed, each under a rule in docs/differences.md.
EXCEPTIONS: dict[str, str] = {}


def evaluate(expression: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy and pandas about what the row is made of
        return eval(expression, dict(NAMESPACE))


def rows(file: str, text: str) -> list[Any]:
    found = json.loads((DATA / f"{file}.json").read_text())
    runnable = [row for row in found if HAS_ARROW or not re.search(r"\bpa\.|pyarrow", row[text])]
    return [
        pytest.param(row, id=f"{i}-{row[text][:60]}")
        for i, row in enumerate(runnable)
        if row[text] not in EXCEPTIONS
    ]


def check_error(row: dict[str, Any], error: PyfuncError) -> None:
    if row.get("error_type") == "MlflowException":
        assert error.error_code == row["error_code"]
    if row.get("error_type") in ("TypeError", "ValueError"):
        assert isinstance(error, getattr(builtins, row["error_type"]))


def plain(value: Any) -> Any:
    """The form of a value after a trip through JSON, where a tuple becomes a list."""
    return json.loads(json.dumps(value, default=str))


DATA_TYPE_ROWS = [row for row in rows("types", "expr") if row.values[0]["group"] == "DataType"]
TYPE_ROWS = [row for row in rows("types", "expr") if row.values[0]["group"] != "DataType"]


@pytest.mark.parametrize("row", DATA_TYPE_ROWS)
def test_data_type_has_the_recorded_properties(row: dict[str, Any]) -> None:
    member = DataType[row["expr"]]
    assert (repr(member), str(member), member.value) == (row["repr"], row["str"], row["value"])
    assert repr(member.to_numpy()) == row["numpy"]
    assert member.to_numpy().name == row["numpy_name"]
    assert repr(member.to_pandas()) == row["pandas"]
    assert member.to_python().__name__ == row["python"]
    assert all(DataType.check_type(member, evaluate(text)) for text in row["check_type_true"])


@pytest.mark.parametrize("row", TYPE_ROWS)
def test_type_expression_has_the_recorded_outcome(row: dict[str, Any]) -> None:
    if row["outcome"] == "error":
        if row["expr"].startswith("hash("):
            with pytest.raises(TypeError):
                evaluate(row["expr"])
            return
        with pytest.raises(PyfuncError) as caught:
            evaluate(row["expr"])
        check_error(row, caught.value)
        return
    found = evaluate(row["expr"])
    assert repr(found) == row["repr"]
    if "to_dict" in row:
        assert plain(found.to_dict()) == row["to_dict"]
    if "to_json" in row:
        assert found.to_json() == row["to_json"]
        assert (Schema.from_json(found.to_json()) == found) is row["roundtrip_equal"]


@pytest.mark.parametrize("row", rows("infer", "value"))
@pytest.mark.filterwarnings("ignore::pyfunc.errors.PyfuncWarning")
def test_schema_is_inferred_as_recorded(row: dict[str, Any]) -> None:
    value = evaluate(row["value"])
    if row["outcome"] == "error":
        with pytest.raises(PyfuncError) as caught:
            infer_schema(value)
        check_error(row, caught.value)
    else:
        found = infer_schema(value)
        assert repr(found) == row["repr"]
        assert plain(found.to_dict()) == row["schema"]
    inputs = infer_signature(value).inputs
    assert plain(inputs.to_dict()) == row["infer_signature_inputs"]


@pytest.mark.parametrize("row", rows("infer_params", "value"))
def test_param_schema_is_inferred_as_recorded(row: dict[str, Any]) -> None:
    value = {"p": evaluate(row["value"])}
    if row["outcome"] == "error":
        with pytest.raises(PyfuncError) as caught:
            infer_param_schema(value)
        check_error(row, caught.value)
        return
    found = infer_param_schema(value)
    assert repr(found) == row["repr"]
    assert type(found.params[0].default).__name__ == row["default_type"]
    if isinstance(row["to_json"], dict):
        with pytest.raises(TypeError):
            found.to_json()
        return
    assert found.to_json() == row["to_json"]
    read = ParamSchema.from_json(found.to_json())
    assert repr(read) == row["roundtrip_repr"]
    assert (read == found) is row["roundtrip_equal"]


CONSTRUCTOR_ROWS = [
    row for row in rows("params", "supplied") if row.values[0]["group"] == "constructor"
]
PARAM_ROWS = [row for row in rows("params", "supplied") if row.values[0]["group"] != "constructor"]


@pytest.mark.parametrize("row", CONSTRUCTOR_ROWS)
def test_param_constructor_has_the_recorded_outcome(row: dict[str, Any]) -> None:
    if row["outcome"] == "error":
        with pytest.raises(PyfuncError) as caught:
            evaluate(row["supplied"])
        check_error(row, caught.value)
        return
    found = evaluate(row["supplied"])
    assert repr(found) == row["result"]
    assert str(found.to_dict()) == row["to_dict"]


@pytest.mark.parametrize("row", PARAM_ROWS)
def test_param_is_cast_as_recorded(row: dict[str, Any]) -> None:
    declared, supplied = evaluate(row["declared"]), evaluate(row["supplied"])
    single = isinstance(declared, ParamSpec)
    schema = ParamSchema([declared]) if single else declared
    params = {"p": supplied} if single else supplied
    if row["outcome"] == "error":
        with pytest.raises(PyfuncError) as caught:
            enforce_params(params, schema)
        check_error(row, caught.value)
        return
    found = enforce_params(params, schema)
    result = found["p"] if single and found is not None else found
    assert repr(result) == row["result"]
    if "result_type" in row:
        assert type(result).__name__ == row["result_type"]


def test_integer_columns_cause_one_warning_of_our_category() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        infer_signature({"a": 1}, [1.5])
    assert [warning.category for warning in caught] == [PyfuncWarning]
