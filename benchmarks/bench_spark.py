"""Scoring 2 million rows of 10 columns in a local Spark: MLflow's function, bare ones and ours.

One bare function is of pandas, makes the same frame and calls the same function. The other is of
Arrow and returns its first column: nothing can be faster than what Spark itself does then. Each
figure is of one row, with the CPU of all processes of Spark. Needs pyspark, Java and MLflow.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle

import pyfunc
from benchmarks.process_tree import cpu_seconds
from benchmarks.results import OURS, Effort, Figure, Workload, least_figure
from pyfunc.schema import ColSpec, ModelSignature, Schema

__all__ = ["measure"]

ROWS = 2_000_000
BARE, IDLE = "pandas function", "nothing but Spark"
COLUMNS = [f"c{i}" for i in range(10)]
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def combine(frame: Any) -> Any:
    total = frame[COLUMNS[0]] * 0.5
    for name in COLUMNS[1:]:
        total = total + frame[name]
    return total


def measure(effort: Effort) -> Iterator[Workload]:
    """Yield the scoring in the executors' own Python and in environments made by uv."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _cases(Path(folder), effort)


def _cases(folder: Path, effort: Effort) -> Iterator[Workload]:
    import mlflow.models
    import mlflow.pyfunc

    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark, count = _session(folder), effort.of(ROWS)
    frame = spark.range(0, count, 1, 4)
    frame = frame.selectExpr(*(f"cast(id + {i} as double) as {c}" for i, c in enumerate(COLUMNS)))
    frame = frame.cache()
    frame.count()
    signature = ModelSignature(Schema([ColSpec("double", name) for name in COLUMNS]))
    path = str(folder / "model")
    requirements = ["pandas", "numpy", "cloudpickle"]
    pyfunc.save_model(
        path, python_model=combine, signature=signature, pip_requirements=requirements
    )
    made = {
        OURS: pyfunc.spark_udf(spark, path, "double"),
        f"{OURS}, uv": pyfunc.spark_udf(spark, path, "double", "uv"),
        "MLflow": mlflow.pyfunc.spark_udf(spark, path, "double"),
        BARE: _bare(),
        IDLE: _idle(),
    }
    found: dict[str, list[Figure]] = {name: [] for name in made}
    for _ in range(max(1, effort.rounds // 2) + 1):  # by turns, and once to warm up
        for name, udf in made.items():
            found[name].append(_score(frame, udf, count, first_only=name == IDLE))
    figures = {name: least_figure(rounds) for name, rounds in found.items()}
    yield Workload(f"Spark, each of {count:,} rows", figures, BARE, rate=True, headline=True)
    saved = str(folder / "theirs")  # a model of ours wants this library from an index
    mlflow.pyfunc.save_model(
        saved,
        python_model=combine,
        signature=mlflow.models.infer_signature(frame.limit(10).toPandas()),
        pip_requirements=requirements,
    )
    theirs = mlflow.pyfunc.spark_udf(spark, saved, "double", "uv")
    part, few = frame.limit(count // 10).cache(), count // 10
    figures = {OURS: _score(part, made[f"{OURS}, uv"], few), "MLflow": _score(part, theirs, few)}
    yield Workload(f"Spark in an environment by uv, each of {few:,} rows", figures, rate=True)
    spark.stop()


def _session(folder: Path) -> Any:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.memory", "2g")
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    spark = builder.config("spark.sql.warehouse.dir", str(folder / "w")).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def _idle() -> Any:
    import pyarrow as pa
    from pyspark.sql.functions import arrow_udf

    def first(batches):  # type: ignore[no-untyped-def]
        for columns in batches:
            yield columns[0]

    from collections.abc import Iterator as Batches

    first.__annotations__ = {
        "batches": Batches[tuple[pa.Array, ...]],
        "return": Batches[pa.Array],
    }
    return arrow_udf(first, "double")


def _bare() -> Any:
    import pandas as pd
    from pyspark.sql.functions import pandas_udf

    def bare(batches):  # type: ignore[no-untyped-def]
        for columns in batches:
            yield combine(pd.DataFrame(dict(zip(COLUMNS, columns, strict=True))))

    from collections.abc import Iterator as Batches

    bare.__annotations__ = {
        "batches": Batches[tuple[pd.Series, ...]],
        "return": Batches[pd.Series],
    }
    return pandas_udf(bare, "double")


def _score(frame: Any, udf: Any, count: int, *, first_only: bool = False) -> Figure:
    """Score all rows and return what one took; the sum of what comes back must be right."""
    total = COLUMNS[0] if first_only else f"c0 * 0.5 + {' + '.join(COLUMNS[1:])}"
    expected = frame.selectExpr(f"sum({total})").collect()[0][0]
    before, begin = cpu_seconds(os.getpid()), time.perf_counter()
    found = frame.select(udf(*COLUMNS).alias("x")).agg({"x": "sum"}).collect()[0][0]
    wall, cpu = time.perf_counter() - begin, cpu_seconds(os.getpid()) - before
    if abs(found - expected) > 1e-6 * abs(expected):
        raise RuntimeError(f"the sum of the predictions is {found}, not {expected}")
    return Figure(cpu / count, wall / count, count)
