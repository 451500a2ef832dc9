"""Result types beside MLflow's own function in one run: equal where it works, right where not."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest

import pyfunc
from pyfunc.schema import ModelSignature, ParamSchema, ParamSpec

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
