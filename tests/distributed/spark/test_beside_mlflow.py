"""Result types beside MLflow's own function in one run: equal where it works, right where not."""

from __future__ import annotations

import datetime as dt
import math
import os
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import mlflow.models
import mlflow.pyfunc
import mlflow.types
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import pyfunc
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
    TensorSpec,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

cloudpickle.register_pickle_by_value(sys.modules[__name__])


def mixed() -> pd.DataFrame:
    frame: pd.DataFrame = pd.DataFrame(
        {
            "s": ["x", "y"],
            "i": np.array([1, 2], "int32"),
            "l": [3, 4],
            "f": [0.5, 1.5],
            "b": [True, False],
        }
    )
    return frame


def dates(*years: int) -> list[dt.date]:
    return [dt.date(year, 1, 2) for year in years]


def objects(*values: Any) -> pd.Series:
    series: pd.Series = pd.Series(values, dtype=object)
    return series


BEYOND_FLOATS = (1 << 53) + 1
DECIMALS = [Decimal("1.25"), Decimal("2.50")]
MOMENTS = [dt.datetime(2024, 1, 2, 3, 4, 5, 123456), dt.datetime(2024, 7, 2)]

# What is asked for, what the model answers, what the rows are, and whether MLflow gives these.
Case = tuple[str, Callable[[], Any], Any, bool]
CASES: dict[str, Case] = {
    "int": ("int", mixed, [1, 2], True),
    "long": ("long", mixed, [1, 2], True),
    "float": ("float", mixed, [1.0, 2.0], True),
    "double": ("double", mixed, [1.0, 2.0], True),
    "boolean": ("boolean", mixed, [True, False], True),
    "bool": ("bool", mixed, [True, False], True),
    "string": ("string", mixed, ["x", "y"], True),
    "ints": ("array<int>", mixed, [[1], [2]], True),
    "doubles": ("array<double>", mixed, [[1.0, 3.0, 0.5], [2.0, 4.0, 1.5]], True),
    "strings": ("array<string>", mixed, [[*"x13", "0.5", "True"], [*"y24", "1.5", "False"]], True),
    "array": ("double", lambda: np.array([1.5, 2.5]), [1.5, 2.5], True),
    "grid": ("array<double>", lambda: np.ones((2, 3)), [[1.0] * 3] * 2, True),
    "list": ("long", lambda: [1, 2], [1, 2], True),
    "dict": ("double", lambda: {"a": np.array([1.5, 2.5])}, [1.5, 2.5], True),
    "missing": ("double", lambda: np.array([np.nan, 2.5]), [None, 2.5], True),
    "text-of-missing": ("string", lambda: np.array([np.nan, 2.5]), ["nan", "2.5"], True),
    "nested": (
        "array<array<double>>",
        lambda: [[[1.0, 2.0], [3.0]], [[4.0], []]],
        [[[1.0, 2.0], [3.0]], [[4.0], []]],
        False,
    ),
    "struct": (
        "struct<f: double, s: string, i: int>",
        mixed,
        [(0.5, "x", 1), (1.5, "y", 2)],
        True,
    ),
    "struct-cut": ("struct<f: int>", mixed, [(0,), (1,)], True),
    "struct-of-dicts": (
        "struct<a: long, v: array<double>>",
        lambda: [{"a": 1, "v": [1.0]}, {"a": 2, "v": [2.0, 3.0]}],
        [(1, [1.0]), (2, [2.0, 3.0])],
        True,
    ),
    "list-of-structs": (
        "array<struct<a: int>>",
        lambda: [[{"a": 1}], [{"a": 2}, {"a": 3}]],
        [[(1,)], [(2,), (3,)]],
        False,
    ),
    "one-struct-as-list": (
        "array<struct<a: int>>",
        lambda: [{"a": 1}, {"a": 2}],
        [[(1,)], [(2,)]],
        False,
    ),
    "map": ("map<string,long>", lambda: [{"a": 1}, {"b": 2}], [{"a": 1}, {"b": 2}], False),
    "cells": ("array<double>", lambda: pd.Series([[1.0], [2.0, 3.0]]), [[1.0], [2.0, 3.0]], False),
    "ragged": ("array<long>", lambda: [[1], [2, 3]], [[1], [2, 3]], False),
    "series": ("long", lambda: pd.Series([1, 2], index=[7, 7], name="y"), [1, 2], True),
    "named-columns": ("double", lambda: {"a": [1.5, 2], "b": [0, 0]}, [1.5, 2.0], True),
    "tuple": ("double", lambda: (1.5, 2), [1.5, 2.0], True),
    "generator": ("double", lambda: (i / 2 for i in (1, 2)), [0.5, 1.0], True),
    "generator-of-lists": ("array<long>", lambda: ([i] for i in (1, 2)), [[1], [2]], True),
    "columns-of-arrow": ("double", lambda: pa.table({"a": [1.5, None]}), [1.5, None], False),
    "array-of-arrow": ("long", lambda: pa.array([1, None]), [1, None], False),
    "pandas-array": ("long", lambda: pd.array([1, None], dtype="Int64"), [1, None], False),
    "masked-array": ("long", lambda: np.ma.array([1, 2], mask=[False, True]), [1, None], False),
    "categories": ("string", lambda: pd.Series(["a", "b"], dtype="category"), ["a", "b"], True),
    "cube": (
        "array<array<double>>",
        lambda: np.arange(8.0).reshape(2, 2, 2),
        [[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0], [6.0, 7.0]]],
        True,
    ),
    "int-or-null": ("int", lambda: pd.array([1, None], dtype="Int32"), [1, None], False),
    "long-or-null": ("long", lambda: [BEYOND_FLOATS, None], [BEYOND_FLOATS, None], False),
    "float-or-null": ("float", lambda: [1.5, None], [1.5, None], True),
    "boolean-or-null": ("boolean", lambda: [True, None], [True, None], False),
    "string-or-null": ("string", lambda: objects("a", None), ["a", "None"], True),
    "binary-or-null": ("binary", lambda: [b"a", None], [b"a", None], False),
    "date-or-null": ("date", lambda: [*dates(2024), None], [*dates(2024), None], False),
    "decimal-or-null": ("decimal(10,2)", lambda: [DECIMALS[0], None], [DECIMALS[0], None], False),
    "time-or-null": ("timestamp_ntz", lambda: [MOMENTS[0], None], [MOMENTS[0], None], False),
    "lists-or-null": ("array<double>", lambda: pd.Series([[1.0], None]), [[1.0], None], False),
    "longs-or-null": ("array<long>", lambda: [[1, None], [2, 3]], [[1, None], [2, 3]], False),
    "map-or-null": ("map<string,long>", lambda: [{"a": 1}, None], [{"a": 1}, None], False),
    "fields-or-null": (
        "struct<i: long, s: string, d: date>",
        lambda: [{"i": 1, "s": "x", "d": None}, {"i": None, "s": None, "d": dt.date(2024, 1, 2)}],
        [(1, "x", None), (None, None, dt.date(2024, 1, 2))],
        False,
    ),
    "struct-in-struct": (
        "struct<p: struct<a: long, m: map<string,double>>>",
        lambda: [{"p": {"a": 1, "m": {"k": 0.5}}}, {"p": None}],
        [((1, {"k": 0.5}),), (None,)],
        False,
    ),
    "byte": ("byte", lambda: np.array([1, -128], "int8"), [1, -128], False),
    "short": ("short", lambda: np.array([1, 2]), [1, 2], False),
    "binary": ("binary", lambda: [b"\0", b"b"], [b"\0", b"b"], False),
    "date": ("date", lambda: dates(2024, 1970), dates(2024, 1970), False),
    "timestamp": ("timestamp_ntz", lambda: MOMENTS, MOMENTS, False),
    "decimal": ("decimal(10,2)", lambda: DECIMALS, DECIMALS, False),
}


class Answers(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return CASES[params["case"]][1]()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "answers"
    params = ParamSchema([ParamSpec("case", "string", "int")])
    pyfunc.save_model(
        path,
        python_model=Answers(),
        signature=ModelSignature(params=params),
        pip_requirements=["pandas==2.2.3", "numpy==1.26.4", "cloudpickle"],
    )
    return path


def scored(spark: SparkSession, udf: Any) -> list[Any]:
    # One row would hide what is wrong with several.
    frame = spark.range(0, 2, 1, 1).select(udf("id").alias("x"))
    return [plain(row.x) for row in frame.collect()]


def plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return [plain(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", CASES)
def test_ours_is_right_and_mlflow_agrees_where_it_works(
    spark: SparkSession, model: Path, name: str
) -> None:
    result_type, _, expected, mlflow_works = CASES[name]
    params = {"case": name}
    for env_manager in (None, "uv"):
        ours = pyfunc.spark_udf(spark, model, result_type, env_manager, params)
        assert scored(spark, ours) == expected
    try:
        theirs = mlflow.pyfunc.spark_udf(spark, str(model), result_type, params=params)
        found: Any = scored(spark, theirs)
    except Exception as error:
        found = error
    assert (found == expected) == mlflow_works, found
    if name in ("int", "long", "double", "grid", "struct", "nested"):
        assert ours.returnType == theirs.returnType


# What MLflow gives of this in an environment of its own, to and from which all goes as JSON.
IN_AN_ENVIRONMENT: dict[str, bool] = {
    "double": True,
    "string": True,
    "missing": True,
    "struct": True,
    "struct-of-dicts": True,
    "int": False,  # of JSON it is a long
    "ints": False,
    "cube": False,
}


def answer(self: Any, context: Any, model_input: Any, params: Any = None) -> Any:
    return CASES[params["case"]][1]()


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model that MLflow has saved, with what its own function needs to run it."""
    path = tmp_path_factory.mktemp("theirs") / "model"
    params = mlflow.types.ParamSchema([mlflow.types.ParamSpec("case", "string", "int")])
    mlflow.pyfunc.save_model(
        str(path),
        python_model=type("Theirs", (mlflow.pyfunc.PythonModel,), {"predict": answer})(),
        signature=mlflow.models.ModelSignature(params=params),
        pip_requirements=["mlflow==3.17.2", "pandas==2.2.3", "numpy==1.26.4", "cloudpickle"],
    )
    return path


@pytest.fixture(scope="module")
def programs() -> Iterator[None]:
    """Have uv on PATH, where MLflow looks for it, for its function alone."""
    here = Path(sys.executable).parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{here}{os.pathsep}{os.environ['PATH']}")
        yield


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("name", IN_AN_ENVIRONMENT)
def test_both_make_the_environment_of_the_model(
    spark: SparkSession, theirs: Path, mode: str, name: str
) -> None:
    result_type, _, expected, _ = CASES[name]
    params = {"case": name}
    assert scored(spark, pyfunc.spark_udf(spark, theirs, result_type, "uv", params)) == expected
    try:
        found: Any = scored(
            spark, mlflow.pyfunc.spark_udf(spark, str(theirs), result_type, "uv", params)
        )
    except Exception as error:
        found = error
    # On Spark Connect it makes no environments.
    assert (found == expected) == (IN_AN_ENVIRONMENT[name] and mode != "connect"), found


def tell(value: Any) -> Any:
    """Return a cell as plain values that have one text in every pandas."""
    if isinstance(value, (list, np.ndarray)):
        return [tell(item) for item in value]
    if isinstance(value, dict):
        return {key: tell(item) for key, item in value.items()}
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value


class Tells(pyfunc.PythonModel):
    """Answers with what it was given."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        if isinstance(model_input, np.ndarray):
            model_input = {"": model_input}
        columns = {name: list(map(tell, cells)) for name, cells in model_input.items()}
        rows = zip(*columns.values(), strict=True)
        told = [dict(zip(columns, row, strict=True)) for row in rows]
        return [f"{row} {params}" if params else str(row) for row in told]


# A value of SQL, what the model is given for it, and whether MLflow gives it the same beside a
# null in the same column. Without one it always does.
INPUTS: dict[str, tuple[str, Any, bool]] = {
    "boolean": ("true", True, True),
    "byte": ("1Y", 1, False),
    "short": ("-2S", -2, False),
    "int": ("3", 3, False),
    "long": ("9007199254740993L", BEYOND_FLOATS, False),
    "float": ("cast(1.5 as float)", 1.5, True),
    "double": ("-0.5D", -0.5, True),
    "string": ("'\u00e4 b'", "\u00e4 b", True),
    "binary": ("X'00ff'", b"\0\xff", True),
    "date": ("date'2024-02-29'", dt.date(2024, 2, 29), True),
    "timestamp": ("timestamp'2024-07-02 03:04:05.123456'", "2024-07-02T03:04:05.123456", True),
    "timestamp-ntz": ("timestamp_ntz'2024-07-02 03:04:05'", "2024-07-02T03:04:05", True),
    "decimal": ("1.25BD", Decimal("1.25"), True),
    "array-of-ints": ("array(1, 2)", [1, 2], True),
    "array-of-texts": ("array('a', null)", ["a", None], True),
    "array-of-arrays": ("array(array(1.5D), array())", [[1.5], []], True),
    "map": ("map('k', 1)", {"k": 1}, True),
    "struct": ("named_struct('p', 1, 'q', 'z')", {"p": 1, "q": "z"}, False),
}


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    folder = tmp_path_factory.mktemp("telling")

    def save(signature: ModelSignature | None = None) -> Path:
        path = folder / f"model-{id(signature)}"
        requirements = ["pandas==2.2.3", "numpy==1.26.4", "cloudpickle"]
        if not path.exists():  # one signature, one model, one process in its environment
            pyfunc.save_model(
                path, python_model=Tells(), signature=signature, pip_requirements=requirements
            )
        return path

    return save


def answers(frame: Any, udf: Any, *calls: tuple[Any, ...]) -> Any:
    """Return the rows of several calls in one query, or the error."""
    try:
        rows = frame.select(*(udf(*call).alias(f"c{i}") for i, call in enumerate(calls))).collect()
    except Exception as error:
        return error
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("with_null", [False, True], ids=["full", "null"])
@pytest.mark.parametrize("name", INPUTS)
def test_every_type_of_column_is_what_mlflow_makes_of_it(
    spark: SparkSession, telling: Callable[..., Path], name: str, with_null: bool
) -> None:
    from pyspark.sql import functions

    text, value, mlflow_keeps = INPUTS[name]
    second = None if with_null else value
    other = f"if(id = 0, {text}, null)" if with_null else text
    frame = spark.range(0, 2, 1, 1).selectExpr(f"{other} as x", "id as y")
    calls = [("x", "y"), (functions.struct("y", "x"),)]
    expected = [
        (str({"0": cell, "1": i}), str({"y": i, "x": cell}))
        for i, cell in enumerate([value, second])
    ]
    path = telling()
    for env_manager in (None, "uv"):
        ours = pyfunc.spark_udf(spark, path, "string", env_manager)
        assert answers(frame, ours, *calls) == expected
    theirs = answers(frame, mlflow.pyfunc.spark_udf(spark, str(path), "string"), *calls)
    assert (theirs == expected) == (mlflow_keeps or not with_null), theirs


TWO = Schema([ColSpec("double", "a"), ColSpec("long", "b")])
OPTIONAL = Schema([ColSpec("double", "a"), ColSpec("string", "c", required=False)])
CUBE = Schema([TensorSpec(np.dtype("float64"), (-1, 2, 2))])
TENSORS = Schema(
    [TensorSpec(np.dtype("float64"), (-1, 4), "t"), TensorSpec(np.dtype("int64"), (-1,), "b")]
)
PARTS = Schema(
    [
        ColSpec(Array(DataType.double), "t"),
        ColSpec(Map(DataType.long), "m"),
        ColSpec(Object([Property("p", DataType.long)]), "s"),
    ]
)
OPTIONS = ParamSchema([ParamSpec("k", "long", 1)])
T = [1.0, 2.0, 3.0, 4.0]

# The signature, the parameters, the columns, what the model is given, and whether MLflow's is.
Form = tuple[ModelSignature | None, dict[str, object] | None, Any, dict[str, Any], bool]
FORMS: dict[str, Form] = {
    "none": (ModelSignature(TWO), None, [], {"a": 0.5, "b": 7}, True),
    "positions": (ModelSignature(TWO), None, ["a", "b"], {"a": 0.5, "b": 7}, True),
    "too-many": (ModelSignature(TWO), None, ["a", "b", "t"], {"a": 0.5, "b": 7}, True),
    "struct": (ModelSignature(TWO), None, "struct(b, a)", {"a": 0.5, "b": 7}, True),
    "struct-with-more": (ModelSignature(TWO), None, "struct(t, b, a)", {"a": 0.5, "b": 7}, True),
    "optional-left-out": (ModelSignature(OPTIONAL), None, ["a"], {"a": 0.5, "c": None}, True),
    "optional": (ModelSignature(OPTIONAL), None, ["a", "c"], {"a": 0.5, "c": "x"}, True),
    "without-signature": (None, None, ["b", "a"], {"0": 7, "1": 0.5}, True),
    "params": (ModelSignature(TWO, params=OPTIONS), {"k": 5}, [], {"a": 0.5, "b": 7}, True),
    "default-params": (ModelSignature(TWO, params=OPTIONS), None, [], {"a": 0.5, "b": 7}, True),
    "one-tensor": (ModelSignature(CUBE), None, ["t"], {"": [[1.0, 2.0], [3.0, 4.0]]}, True),
    "tensors": (ModelSignature(TENSORS), None, ["t", "b"], {"t": T, "b": 7}, True),
    "tensors-none": (ModelSignature(TENSORS), None, [], {"t": T, "b": 7}, True),
    "tensors-struct": (ModelSignature(TENSORS), None, "struct(b, t)", {"t": T, "b": 7}, True),
    "parts": (
        ModelSignature(PARTS),
        None,
        ["t", "m", "s"],
        {"t": T, "m": {"k": 1}, "s": {"p": 1}},
        True,
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_columns_are_given_as_mlflow_gives_them(
    spark: SparkSession, telling: Callable[..., Path], name: str
) -> None:
    from pyspark.sql import functions

    signature, params, given, told, mlflow_works = FORMS[name]
    frame = spark.range(0, 2, 1, 1).selectExpr(
        "0.5D as a", "7L as b", "'x' as c", "array(1D, 2D, 3D, 4D) as t",
        "map('k', 1L) as m", "named_struct('p', 1L) as s",
    )  # fmt: skip
    call = [functions.expr(given)] if isinstance(given, str) else given
    taken = "" if signature is None or signature.params is None else f" {params or {'k': 1}}"
    expected = [(f"{told}{taken}",)] * 2
    path = telling(signature)
    for env_manager in (None, "uv"):
        ours = pyfunc.spark_udf(spark, path, "string", env_manager, params)
        assert answers(frame, ours, tuple(call)) == expected
    theirs = mlflow.pyfunc.spark_udf(spark, str(path), "string", params=params)
    found = answers(frame, theirs, tuple(call))
    assert (found == expected) == mlflow_works, found
