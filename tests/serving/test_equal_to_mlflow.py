"""The bytes that our server answers with are those of MLflow's, for one model of each kind.

Both run in this process, with models that MLflow saved: linear ones, whose sums show in the last
bit how a frame lies in memory, and models that tell what they were given.
"""

from __future__ import annotations

import importlib
import json
import logging
import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from packaging.version import Version
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import pyfunc
from pyfunc.serving import create_app

pytestmark = [pytest.mark.interop, pytest.mark.slow]

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
# Before, MLflow's reading of a number with many digits may differ from the number in its last bit.
READS_CSV_EXACTLY = Version(pd.__version__) >= Version("3.1")
NAMES = [f"x{i}" for i in range(13)]
HEIGHTS = [1, 2, 7, 40]
SOURCE = np.random.default_rng(5)
NUMBERS = pd.DataFrame(SOURCE.normal(size=(60, len(NAMES))), columns=NAMES)
WEIGHTS = SOURCE.normal(size=(len(NAMES), 3))
MIXED = NUMBERS[NAMES[:6]].assign(
    kind=[f"k{i % 4}" for i in range(60)],
    size=[i * 7 % 11 for i in range(60)],
    place=[["north", "south"][i % 2] for i in range(60)],
)
SINGLE = NUMBERS.astype("float32")
MANY_TYPES = NUMBERS[NAMES[:4]].assign(
    x1=SINGLE["x1"], n=np.arange(60, dtype="int32"), big=np.arange(60), yes=np.arange(60) % 2 == 0
)


def sums(model_input: Any) -> list[list[float]]:
    """Return what BLAS adds up, and how."""
    cells = np.asarray(model_input)
    return [(cells @ WEIGHTS).tolist(), cells.sum(axis=1).tolist(), cells.mean(axis=0).tolist()]


def described(value: Any) -> Any:
    """Return what a model can tell of its input."""
    if isinstance(value, pd.DataFrame):
        cells = value.to_numpy()
        return {
            "columns": list(value.columns),
            "dtypes": [str(dtype) for dtype in value.dtypes],
            "index": list(value.index),
            "orders": [cells.flags.c_contiguous, cells.flags.f_contiguous],
            "dtype": str(cells.dtype),
            "cells": json.loads(value.to_json(orient="values", double_precision=15)),
        }
    if isinstance(value, np.ndarray):
        orders = [value.flags.c_contiguous, value.flags.f_contiguous, value.flags.writeable]
        return {"dtype": str(value.dtype), "orders": orders, "cells": value.tolist()}
    if isinstance(value, dict):
        return {key: described(item) for key, item in value.items()}
    if isinstance(value, list):
        return [described(item) for item in value]
    return [type(value).__name__, value]


def frame_of_sums(model_input: Any) -> pd.DataFrame:
    sums = np.asarray(model_input).sum(axis=1)
    frame: pd.DataFrame = pd.DataFrame({"sum": sums, "text": "é", "n": 1, "yes": True})
    return frame


def series_of_sums(model_input: Any) -> pd.Series[Any]:
    sums: pd.Series[Any] = model_input.sum(axis=1)
    return sums


def nested_answer(model_input: Any) -> dict[str, Any]:
    cells = np.asarray(model_input)
    return {
        "float32": cells.astype("float32"),
        "scalars": [np.float64(0.1), np.int8(3), np.bool_(True), np.float32(0.1)],
        "none": None,
        "bytes": b"\x00\xff",
        "moment": pd.Timestamp("2020-01-02T03:04:05.678"),
        "empty": np.zeros((0, 2)),
        "rows": [{"first": row[0], "all": row} for row in cells],
    }


def rounded(model_input: Any, params: dict[str, Any]) -> list[float]:
    total = np.asarray(model_input).sum(axis=1) * params["factor"]
    return [round(float(value), params["digits"]) for value in total]


FUNCTIONS: dict[str, tuple[Callable[..., Any], Any]] = {
    "sums": (sums, NUMBERS),
    "sums-float32": (sums, SINGLE),
    "described": (described, MIXED),
    "described-many-types": (described, MANY_TYPES),
    "described-no-signature": (described, None),
    "described-tensor": (described, NUMBERS.to_numpy()),
    "sums-tensor": (sums, NUMBERS.to_numpy()),
    "described-tensors": (described, {"p": NUMBERS.to_numpy(), "q": np.arange(60)}),
    "frame": (frame_of_sums, NUMBERS),
    "series": (series_of_sums, NUMBERS),
    "nested": (nested_answer, NUMBERS),
    "params": (rounded, NUMBERS),
}


ESTIMATORS = {
    "linear": NUMBERS,
    "linear-float32": SINGLE,
    "linear-many-types": MANY_TYPES,
    "ridge": NUMBERS,
    "logistic": NUMBERS,
    "mlp": NUMBERS,
    "forest": NUMBERS,
    "pipeline": MIXED,
}


def fit(name: str) -> tuple[Any, str]:
    """Return the fitted model of a name and the method that answers."""
    target = NUMBERS.sum(axis=1)
    several = NUMBERS.to_numpy() @ WEIGHTS
    kinds = (target > 0).astype(int) + (target > 2)
    transformer = ColumnTransformer(
        [
            ("texts", OneHotEncoder(handle_unknown="ignore"), ["kind", "place"]),
            ("numbers", StandardScaler(), ["x5", "x0", "size"]),
        ]
    )
    frame = ESTIMATORS[name]
    if name == "logistic":
        return LogisticRegression().fit(frame, kinds), "predict_proba"
    if name == "forest":
        return RandomForestRegressor(5, random_state=0).fit(frame, target), "predict"
    if name == "pipeline":
        return make_pipeline(transformer, LinearRegression()).fit(frame, target), "predict"
    if name == "mlp":
        layers = MLPRegressor(hidden_layer_sizes=(9,), max_iter=20, random_state=0)
        return layers.fit(frame, several), "predict"
    estimator = Ridge().fit(frame, several) if name == "ridge" else None
    return estimator or LinearRegression().fit(frame, target), "predict"


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    """Leave neither log lines nor the environment variable by which MLflow knows its server."""
    logging.disable(logging.CRITICAL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")
        yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Any, Any]]:
    """Return a function that gives MLflow's application and ours for the model of a name."""
    folder = tmp_path_factory.mktemp("models")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = importlib.import_module("mlflow.pyfunc.scoring_server")
        importlib.import_module("mlflow.sklearn")

    def serve(name: str) -> tuple[Any, Any]:
        path = folder / name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            save_with_mlflow(path, name)
            pyfunc_of_mlflow: Any = importlib.import_module("mlflow.pyfunc")
            theirs = server.init(pyfunc_of_mlflow.load_model(str(path)))
        return theirs, create_app(str(path))

    return serve


@pytest.fixture(scope="module")
def models(
    apps: Callable[[str], tuple[Any, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Any, Any]]:
    """Return a function that gives the model of a name as MLflow and as we load it."""
    folder = tmp_path_factory.mktemp("loaded")

    def load(name: str) -> tuple[Any, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            save_with_mlflow(folder / name, name)
            theirs = importlib.import_module("mlflow.pyfunc").load_model(str(folder / name))
        return theirs, pyfunc.load_model(str(folder / name))

    return load


def save_with_mlflow(path: Path, name: str) -> None:
    mlflow: Any = importlib.import_module("mlflow")
    infer = importlib.import_module("mlflow.models").infer_signature
    if name in ESTIMATORS:
        estimator, method = fit(name)
        mlflow.sklearn.save_model(
            estimator,
            str(path),
            signature=infer(ESTIMATORS[name]),
            pyfunc_predict_fn=method,
            pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
        )
        return
    function, example = FUNCTIONS[name]
    params = {"digits": 12, "factor": 1.5} if function is rounded else None

    class Answering(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        # Without hints, from which MLflow would try to infer a signature.
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            return function(model_input, params) if params else function(model_input)

    mlflow.pyfunc.save_model(
        str(path),
        python_model=Answering(),
        signature=None if example is None else infer(example, params=params),
        pip_requirements=["numpy"],
    )


def frame_bodies(frame: pd.DataFrame) -> Iterator[tuple[str, bytes]]:
    """Yield the rows of a frame in every form in which a frame may be sent."""
    names, rows = list(frame.columns), frame.to_numpy(dtype=object).tolist()
    records = [dict(zip(names, row, strict=True)) for row in rows]
    shuffled = random.Random(len(rows)).sample(range(len(names)), len(names))
    other = [names[i] for i in shuffled]
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    surplus = [cell for name in names for cell in (name, f"no-{name}")]
    for body in (
        {"dataframe_split": {"columns": names, "data": rows}},
        {"dataframe_split": {"columns": names[::-1], "data": [row[::-1] for row in rows]}},
        {"dataframe_split": {"columns": other, "data": [[r[i] for i in shuffled] for r in rows]}},
        {"dataframe_split": {"columns": surplus, "data": [twice(row) for row in rows]}},
        {"dataframe_split": {"columns": names, "index": [*range(3, len(rows) + 3)], "data": rows}},
        {"dataframe_records": records},
        {"dataframe_records": [{"more": 0, **record} for record in records]},
        {"instances": records},
        {"inputs": columns},
        {"inputs": records},
    ):
        yield JSON, json.dumps(body).encode()
    few_digits = frame if READS_CSV_EXACTLY else frame.round(5)
    yield CSV, few_digits.to_csv(index=False).encode()
    yield CSV, few_digits[other].to_csv().encode()
    yield PARQUET, frame.to_parquet()
    yield PARQUET, frame[other].reset_index(drop=True).to_parquet()


def twice(row: list[Any]) -> list[Any]:
    return [cell for cell in row for _ in range(2)]


def array_bodies(example: Any, height: int) -> Iterator[tuple[str, bytes]]:
    """Yield the rows of an array or of a dict of arrays in every form that holds them."""
    if isinstance(example, dict):
        columns = {name: value[:height].tolist() for name, value in example.items()}
        rows = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
        values = [list(row.values()) for row in rows]
        bodies: list[Any] = [
            {"inputs": columns},
            {"instances": rows},
            {"dataframe_records": rows},
            {"dataframe_split": {"columns": list(columns), "data": values}},
        ]
    else:
        cells = example[:height].tolist()
        records = [dict(zip(NAMES, row, strict=True)) for row in cells]
        bodies = [
            {"inputs": cells},
            {"instances": cells},
            {"dataframe_split": {"data": cells}},
            {"dataframe_split": {"columns": NAMES, "data": cells}},
            {"dataframe_records": records},
        ]
    for body in bodies:
        yield JSON, json.dumps(body).encode()


def bodies_for(name: str, example: Any, height: int) -> Iterator[tuple[str, bytes]]:
    """Yield bodies with their content types for the model of a name."""
    if name == "params":
        rows = NUMBERS[:height].to_numpy().tolist()
        split = {"columns": NAMES, "data": rows}
        for params in ({}, {"digits": 3}, {"digits": 2, "factor": 2.0}, {"unknown": 1}, None):
            yield JSON, json.dumps({"dataframe_split": split, "params": params}).encode()
    if example is None:
        yield from array_bodies(NUMBERS.to_numpy(), height)
        yield from frame_bodies(MIXED[:height])
        yield from frame_bodies(NUMBERS[:height])
    elif isinstance(example, pd.DataFrame):
        yield from frame_bodies(example[:height])
    else:
        yield from array_bodies(example, height)


@pytest.mark.parametrize("name", [*ESTIMATORS, *FUNCTIONS])
def test_the_bytes_of_answers_are_those_of_mlflow(
    name: str, apps: Callable[[str], tuple[Any, Any]], ask: Callable[..., httpx.Response]
) -> None:
    theirs, ours = apps(name)
    example = FUNCTIONS[name][1] if name in FUNCTIONS else ESTIMATORS[name]
    for height in HEIGHTS:
        for content_type, body in bodies_for(name, example, height):
            wanted = ask(theirs, body=body, content_type=content_type)
            found = ask(ours, body=body, content_type=content_type)
            assert wanted.status_code == 200, (wanted.text, body)
            assert found.text == wanted.text, body
            assert found.headers["content-type"] == wanted.headers["content-type"]
            assert found.status_code == 200


def tables_of_any_layout(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the rows of a frame in the forms that a model takes in Python."""
    names = list(frame.columns)
    forms: dict[str, Any] = {
        "frame": frame,
        "reversed": frame[names[::-1]],
        "with-more": pd.concat([frame.add_prefix("no-"), frame], axis=1)[
            [name for n in names for name in (n, f"no-{n}")]
        ],
        "first-is-more": pd.concat([frame.add_prefix("no-"), frame], axis=1),
        "dict-of-arrays": {name: frame[name].to_numpy() for name in names},
    }
    if "n" not in names:  # lists of numbers have 64 bits
        forms["dict-of-lists"] = frame.to_dict("list")
        forms["records"] = frame.to_dict("records")
    if all(frame.dtypes == np.float64):
        forms["slice-with-more"] = pd.concat([forms["with-more"]] * 3).iloc[1:-1]
        forms["float32"] = frame.astype("float32")
        forms["partly-float32"] = frame.astype({names[1]: "float32", names[5]: "float32"})
        forms["objects"] = frame.astype(object)
    return forms


@pytest.mark.parametrize("name", ["linear", "linear-many-types", "sums", "series", "described"])
def test_predictions_in_python_are_those_of_mlflow(
    name: str, models: Callable[[str], tuple[Any, Any]]
) -> None:
    theirs, ours = models(name)
    example = ESTIMATORS[name] if name in ESTIMATORS else FUNCTIONS[name][1]
    for height in HEIGHTS:
        for form, data in tables_of_any_layout(example[:height].copy()).items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                wanted, found = theirs.predict(data), ours.predict(data)
            assert repr(list(found)) == repr(list(wanted)), (form, height)
