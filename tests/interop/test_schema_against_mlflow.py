"""Types, inference and parameters beside MLflow itself, over a generated table of values."""

from __future__ import annotations

import datetime as dt
import logging
import random
import warnings
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pyfunc.errors import PyfuncError
from pyfunc.schema import ModelSignature, ParamSpec, infer_param_schema, infer_schema
from pyfunc.schema import types as our_types

pytestmark = [pytest.mark.interop, pytest.mark.slow]

SCALARS: list[Any] = [
    None,
    float("nan"),
    pd.NA,
    pd.NaT,
    1,
    2**63,
    2**70,
    1.5,
    True,
    "x",
    b"x",
    bytearray(b"x"),
    np.int8(1),
    np.int32(1),
    np.int64(2),
    np.float16(1),
    np.float32(1),
    np.float32("nan"),
    np.float64(2),
    np.bool_(True),
    np.str_("q"),
    dt.date(2020, 1, 1),
    dt.datetime(2020, 1, 1),
    dt.timedelta(1),
    dt.time(1),
    np.datetime64("2020"),
    pd.Timestamp("2020"),
    Decimal(1),
    1j,
    (1,),
    object,
]
ARRAYS: list[Any] = [
    np.array([1, 2]),
    np.array([[1.5, float("nan")]]),
    np.array([1, None], dtype=object),
    np.array(["a"]),
    np.array([float("nan")]),
    np.array([1], dtype="int32"),
]
PARAM_TYPES = ["boolean", "integer", "long", "float", "double", "string", "datetime"]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def generate(source: random.Random, pool: list[Any], depth: int) -> Any:
    kind = source.random()
    if depth == 0 or kind < 0.5:
        return source.choice(pool)
    if kind < 0.72:
        return [generate(source, pool, depth - 1) for _ in range(source.randint(0, 3))]
    if kind < 0.93:
        names = source.sample("abc", source.randint(0, 2))
        return {name: generate(source, pool, depth - 1) for name in names}
    return source.choice(ARRAYS)


def inputs(seed: int) -> Iterator[Any]:
    source = random.Random(seed)
    for _ in range(400):
        pool = [source.choice(SCALARS) for _ in range(source.randint(1, 3))] + [None, []]
        values = [generate(source, pool, 3) for _ in range(source.randint(1, 4))]
        yield values
        yield {f"k{i}": value for i, value in enumerate(values)}
        yield pd.DataFrame({"a": pd.Series(values, dtype=object)})


def outcome(infer: Any, value: Any) -> str:
    """The result's text, or the word for any error: MLflow's classes vary and are in the rows."""
    try:
        found = infer(value)
        return f"{found!r} {found.to_dict()}"
    except PyfuncError:
        return "error"
    except Exception as error:
        if infer.__module__.startswith("pyfunc"):
            raise AssertionError("an error that is not ours") from error
        return "error"


@pytest.mark.parametrize("seed", range(4))
def test_schemas_are_inferred_as_mlflow_does(seed: int) -> None:
    from mlflow.types.utils import _infer_schema

    found = [
        (repr(value), outcome(_infer_schema, value), outcome(infer_schema, value))
        for value in inputs(seed)
    ]
    assert [case for case in found if case[1] != case[2]] == []
    assert len([case for case in found if case[1] != "error"]) > 100


def test_param_schemas_are_inferred_as_mlflow_does() -> None:
    from mlflow.types.utils import _infer_param_schema

    values = [*SCALARS, *ARRAYS, [], *([value] for value in SCALARS), *([1, v] for v in SCALARS)]
    found = [
        (repr(v), outcome(_infer_param_schema, {"p": v}), outcome(infer_param_schema, {"p": v}))
        for v in values
    ]
    assert [case for case in found if case[1] != case[2]] == []


def test_params_are_cast_as_mlflow_does() -> None:
    from mlflow.types import schema as theirs

    def cast(module: Any, spec: Any, word: str, value: Any, shape: Any) -> str:
        try:
            dtype = module.DataType[word]
            return repr(spec.validate_type_and_shape("p", value, dtype, shape))
        except Exception:
            return "error"

    values = [*SCALARS, *ARRAYS, "2020", "2020-01-02T03:04:05", "1", np.uint8(1), np.longlong(1)]
    found = []
    for word in PARAM_TYPES:
        for shape in (None, (-1,)):
            for value in [*values, *([value] for value in values)]:
                expected = cast(theirs, theirs.ParamSpec, word, value, shape)
                found.append(
                    (word, value, expected, cast(our_types, ParamSpec, word, value, shape))
                )
    assert [case for case in found if case[2] != case[3]] == []


def test_signatures_are_read_by_the_other_side() -> None:
    from mlflow.models.signature import ModelSignature as TheirSignature

    frame = pd.DataFrame(
        {"a": [1.5], "b": ["x"], "c": [[1]], "d": [{"x": b"y"}], "e": [None], 0: [True]}
    )
    ours = ModelSignature(infer_schema(frame), infer_schema(np.ones((2, 3))))
    theirs = TheirSignature.from_dict(ours.to_dict())
    assert repr(theirs) == repr(ours)
    assert theirs.to_dict() == ours.to_dict()
    assert ModelSignature.from_dict(theirs.to_dict()) == ours
