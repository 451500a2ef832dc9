"""Every recorded outcome of MLflow for enforcement, row by row."""

from __future__ import annotations

import builtins
import datetime as dt
import functools
import importlib.util
import json
import logging
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import pyfunc.schema
from pyfunc.errors import PyfuncError, PyfuncWarning, SchemaError
from pyfunc.schema import ColSpec, DataType, Schema, TensorSpec, enforce_schema

DATA = Path(__file__).parents[1] / "data" / "conformance"
DIFFERENCES = Path(__file__).parents[2] / "docs" / "differences.md"
HAS_ARROW = importlib.util.find_spec("pyarrow") is not None
IS_PANDAS_3 = int(pd.__version__.split(".")[0]) >= 3
IS_NUMPY_2 = int(np.__version__.split(".")[0]) >= 2

Row = dict[str, Any]
Outcome = tuple[Any, ...]


def _namespace() -> dict[str, Any]:
    names = {name: getattr(pyfunc.schema, name) for name in pyfunc.schema.__all__}

    def tensor(dtype: str, shape: Any, name: Any = None) -> TensorSpec:
        return TensorSpec(np.dtype(dtype), shape, name)

    names |= {"np": np, "pd": pd, "dt": dt, "sp": sp, "Decimal": Decimal, "nan": float("nan")}
    names |= {"json": json, "C": ColSpec, "D": DataType, "T": tensor}
    if HAS_ARROW:
        import pyarrow

        names["pa"] = pyarrow
    return names


NAMES = _namespace()


def evaluate(text: str) -> Any:
    return builtins.eval(text, dict(NAMES))


def _needs_arrow(row: Row) -> bool:
    return "pa." in str(row) or "pyarrow" in str(row) or "ArrowExtension" in str(row)


def load(name: str) -> list[Row]:
    rows: list[Row] = json.loads((DATA / f"{name}.json").read_text())
    return [row for row in rows if HAS_ARROW or not _needs_arrow(row)]


ENFORCEMENT = load("enforcement")
OTHERS = load("tensor") + load("structure")
SELFCHECK = load("selfcheck")
EXPRESSIONS = {row["supplied"]: row["expr"] for row in ENFORCEMENT}


@dataclass(frozen=True)
class Rule:
    """Rows that are not to be followed; ``title`` is the words of docs/differences.md."""

    title: str
    covers: Callable[[Row], bool]


def _supplied(pattern: str, declared: str = "") -> Callable[[Row], bool]:
    return lambda row: (
        re.search(pattern, row["supplied"]) is not None
        and (not declared or re.search(declared, row["declared"]) is not None)
    )


RULES = [
    Rule(
        "Optional columns accept nulls",
        lambda row: (
            "required=False" in row["declared"]
            and re.search(r"nan|None", row["supplied"]) is not None
            and row["outcome"] == "error"
        ),
    ),
    Rule(
        "A categorical column stays one",
        _supplied(r"^category", r"^(string|long|double|boolean)$"),
    ),
    Rule("Datetimes with a time zone pass and keep it", _supplied("UTC|tz", "^datetime$")),
    Rule(
        "Datetimes out of the range of nanoseconds keep their own unit",
        _supplied("out of ns range", "^datetime$"),
    ),
    Rule(
        'Columns named `0` or `""` keep their names',
        lambda row: "''" in row["declared"] or ",0" in row["declared"],
    ),
    Rule(
        "Dates, datetimes, bytearrays, NA and NaT are scalars",
        _supplied(r"^(dt\.|bytearray)"),
    ),
    Rule(
        "An empty list under one unnamed `string` column",
        lambda row: row["supplied"] == "[]" and row["declared"] == "C('string')",
    ),
    Rule(
        "None and empty containers are values of any type",
        lambda row: row["supplied"] == "None" and row["declared"] == "C(AnyType())",
    ),
    Rule("Null elements of arrays are kept", _supplied(r"\[.*(None|nan)", "Array")),
    Rule("Datetimes in lists become Timestamps", _supplied(r"\[dt\.", r"Array\('datetime'\)")),
    Rule(
        "A list of lists under one unnamed array column",
        lambda row: (
            re.fullmatch(r"C\(Array\([^,]*\)\)", row["declared"]) is not None
            and row["supplied"].startswith("[[")
        ),
    ),
    Rule(
        "A column of a frame is cast only if no value changes",
        lambda row: row["declared"].startswith("T(") and "1.9" in row["supplied"],
    ),
    Rule(
        "The labels of the index do not matter",
        lambda row: row["declared"].startswith("T(") and "index=[" in row["supplied"],
    ),
]
if HAS_ARROW:
    RULES.append(
        Rule(
            "Arrow binary and dictionary columns pass",
            lambda row: (
                (row["supplied"], row["declared"])
                in {("binary[pyarrow]", "binary"), ("dictionary[pyarrow]", "string")}
            ),
        )
    )


def describe(value: Any) -> Any:  # a result may be of any class
    """Return a result in the form of the tables, long texts cut as there."""
    if isinstance(value, np.ndarray):
        text = repr(value.tolist())
        return {
            "dtype": str(value.dtype),
            "shape": list(value.shape),
            "type": "ndarray",
            "values": text if len(text) <= 120 else text[:117] + "...",
        }
    if sp.issparse(value):
        sparse: Any = value
        shape = list(sparse.shape)
        return {"dtype": str(sparse.data.dtype), "shape": shape, "type": type(value).__name__}
    if isinstance(value, dict):
        return {key: describe(item) for key, item in value.items()}
    return {
        "columns": [repr(label) for label in value.columns],
        "dtypes": [str(dtype) for dtype in value.dtypes],
        "index": repr(list(value.index)),
        "records": repr(value.to_dict("records")),
        "type": "DataFrame",
    }


def _on_this_numpy(text: str) -> str:
    """Return the text of a value without the types that only numpy 2 writes."""
    if IS_NUMPY_2:
        return text
    text = re.sub(r"np\.((?!datetime64)\w+)\(([^()]*)\)", r"\2", text)
    return text.replace("np.datetime64", "numpy.datetime64")


def _on_this_pandas(form: Any) -> Any:
    """Return an expected result with object for the dtype that only pandas 3 gives text."""
    if not isinstance(form, dict) or "dtypes" not in form:
        return form
    form = form | {"records": _on_this_numpy(form["records"])}
    if IS_PANDAS_3:
        return form
    return form | {"dtypes": ["object" if name == "str" else name for name in form["dtypes"]]}


def run_column(row: Row) -> tuple[Outcome, Outcome]:
    """Return the recorded outcome and ours for a row of enforcement.json."""
    frame = pd.DataFrame({"a": evaluate(row["expr"])})
    expected: Outcome = ("error", row.get("error_code", "INTERNAL_ERROR"))
    if row["outcome"] == "ok":
        dtype = row["result_dtype"]
        values = [_on_this_numpy(text) for text in row["result_values"]]
        if not IS_PANDAS_3 and dtype == "str":
            # The expression gives None where pandas 3 has its dtype of text with NaN.
            dtype, values = "object", [repr(value) for value in frame["a"]]
        expected = ("ok", dtype, values)
    try:
        result = enforce_schema(frame, Schema([ColSpec(row["declared"], "a")]))["a"]
    except SchemaError as error:
        return expected, ("error", error.error_code)
    return expected, ("ok", str(result.dtype), [repr(value) for value in result.tolist()])


def run_data(row: Row) -> tuple[Outcome, Outcome]:
    """Return the recorded outcome and ours for a row of tensor.json or structure.json."""
    expected: Outcome = (row["outcome"],)
    if row["outcome"] == "ok":
        expected = ("ok", _on_this_pandas(row["result"]), row.get("same_object"))
    elif (
        row["outcome"] == "error" and row.get("error_type", "MlflowException") == "MlflowException"
    ):
        expected = ("error", row["error_code"])
    try:
        schema = Schema(evaluate(f"[{row['declared']}]"))
    except PyfuncError:
        return expected, ("schema-error",)
    data = evaluate(row["supplied"])
    try:
        result = enforce_schema(data, schema)
    except SchemaError as error:
        return expected, ("error", error.error_code)[: len(expected)]
    is_same = result is data if "same_object" in row else None
    form = describe(result)
    if isinstance(row.get("result"), dict) and "values" in row["result"]:
        # The tables cut long values; compare what they have.
        kept = len(row["result"]["values"].removesuffix("..."))
        form["values"] = repr(result.tolist())[:kept] + row["result"]["values"][kept:]
    return expected, ("ok", form, is_same)


@functools.cache
def compare(kind: str, number: int) -> tuple[Outcome, Outcome]:
    logging.getLogger("pyfunc.schema").setLevel(logging.ERROR)
    if kind == "column":
        return run_column(ENFORCEMENT[number])
    return run_data(OTHERS[number])


def _find_rule(row: Row) -> Rule | None:
    return next((rule for rule in RULES if rule.covers(row)), None)


def _makes_another_column(row: Row) -> bool:
    """Return whether an expression gives an empty object column, as it does under pandas 2."""
    return not IS_PANDAS_3 and row["supplied"] == "default str empty"


def _ids(rows: list[Row], key: str) -> list[str]:
    return [f"{number}-{row['declared']}-{row[key]}"[:80] for number, row in enumerate(rows)]


@pytest.mark.parametrize("number", range(len(ENFORCEMENT)), ids=_ids(ENFORCEMENT, "supplied"))
def test_a_column_has_the_outcome_of_mlflow(number: int) -> None:
    row = ENFORCEMENT[number]
    expected, got = compare("column", number)
    assert got == expected or _find_rule(row) is not None or _makes_another_column(row)


@pytest.mark.parametrize("number", range(len(OTHERS)), ids=_ids(OTHERS, "supplied"))
def test_data_has_the_outcome_of_mlflow(number: int) -> None:
    expected, got = compare("data", number)
    assert got == expected or _find_rule(OTHERS[number]) is not None


@pytest.mark.parametrize("rule", RULES, ids=[rule.title for rule in RULES])
def test_each_rule_is_needed_and_written_down(rule: Rule) -> None:
    numbered = [("column", n, row) for n, row in enumerate(ENFORCEMENT)]
    numbered += [("data", n, row) for n, row in enumerate(OTHERS)]
    differing = [
        row
        for kind, number, row in numbered
        if _find_rule(row) is rule and compare(kind, number)[0] != compare(kind, number)[1]
    ]
    assert differing
    assert rule.title in re.sub(r"\s+", " ", DIFFERENCES.read_text())


@pytest.mark.parametrize("row", SELFCHECK, ids=[row["supplied"] for row in SELFCHECK])
def test_a_column_passes_under_the_schema_that_was_inferred_from_it(row: Row) -> None:
    frame = pd.DataFrame({"a": evaluate(EXPRESSIONS[row["supplied"]])})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PyfuncWarning)  # the hint on integer columns
        schema = pyfunc.schema.infer_schema(frame)
    if IS_PANDAS_3 or "default str" not in row["supplied"]:
        assert repr(schema.inputs) == row["schema"]
    result = enforce_schema(frame, schema)
    assert len(result) == len(frame)
    expected = row["self_enforce"]
    if IS_PANDAS_3 and isinstance(expected, str):
        assert f"ok {result['a'].dtype}" == expected
