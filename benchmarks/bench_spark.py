"""Score 2 million rows of 10 columns in a local Spark; MLflow's function, bare ones and ours.

One bare function is of pandas, makes the same frame and calls the same function. The other is of
Arrow and returns its first column: nothing can be faster than what Spark itself does then. Each
figure is the best of several runs, with the CPU seconds of all processes of Spark beside it, since
wall time on a shared machine says little. Needs pyspark, Java and MLflow.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle

import pyfunc
from pyfunc.schema import ColSpec, ModelSignature, Schema

__all__ = ["Row", "format_rows", "rows"]

ROWS = 2_000_000
COLUMNS = [f"c{i}" for i in range(10)]
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def combine(frame: Any) -> Any:
    total = frame[COLUMNS[0]] * 0.5
    for name in COLUMNS[1:]:
        total = total + frame[name]
    return total


class Model(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return combine(model_input)


@dataclass(frozen=True)
class Row:
    """One way to score the rows: million rows per second, and CPU seconds."""

    case: str
    speed: float
    cpu: float


def rows(rounds: int = 3, theirs_in_uv: bool = True, count: int = ROWS) -> list[Row]:
    """Return the figures of all cases; none where pyspark is not installed."""
    if importlib.util.find_spec("pyspark") is None:
        print("pyspark is not installed", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory() as folder:
        return list(_cases(Path(folder), rounds, theirs_in_uv, count))


def _cases(folder: Path, rounds: int, theirs_in_uv: bool, count: int) -> Iterator[Row]:
    import mlflow.pyfunc

    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = _session(folder)
    frame = _frame(spark, count)
    signature = ModelSignature(Schema([ColSpec("double", name) for name in COLUMNS]))
    path, theirs = str(folder / "model"), str(folder / "theirs")
    requirements = ["pandas", "numpy", "cloudpickle"]
    # What MLflow starts in an environment is its own server.
    for place, more in ((path, []), (theirs, [f"mlflow=={mlflow.__version__}"])):
        pyfunc.save_model(
            place,
            python_model=Model(),
            signature=signature,
            pip_requirements=[*requirements, *more],
        )
    cases: dict[str, Callable[[], Any]] = {
        "nothing but Spark": _idle,
        "bare pandas function": _bare,
        "MLflow": lambda: mlflow.pyfunc.spark_udf(spark, path, "double"),
        "ours": lambda: pyfunc.spark_udf(spark, path, "double"),
        "ours, uv": lambda: pyfunc.spark_udf(spark, path, "double", "uv"),
    }
    made = {name: make() for name, make in cases.items()}
    rows: dict[str, list[Row]] = {name: [] for name in made}
    for _ in range(rounds + 1):  # in turn, so that all of them meet the same noise
        for name, udf in made.items():
            rows[name].append(_measure(spark, frame, name, udf, count))
    for name, found in rows.items():
        yield Row(name, max(row.speed for row in found), min(row.cpu for row in found))
    if theirs_in_uv:
        udf = mlflow.pyfunc.spark_udf(spark, theirs, "double", "uv")
        part = _frame(spark, count // 10)
        _measure(spark, part, "MLflow, uv", udf, count // 10)  # makes the environment
        yield _measure(spark, part, "MLflow, uv (a tenth)", udf, count // 10)
    spark.stop()


def _session(folder: Path) -> Any:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.memory", "2g")
    spark = builder.config("spark.sql.warehouse.dir", str(folder / "w")).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def _frame(spark: Any, count: int) -> Any:
    frame = spark.range(0, count, 1, 4)
    frame = frame.selectExpr(*(f"cast(id + {i} as double) as {c}" for i, c in enumerate(COLUMNS)))
    frame = frame.cache()
    frame.count()
    return frame


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


def _measure(spark: Any, frame: Any, name: str, udf: Any, count: int) -> Row:
    total = "c0" if name == "nothing but Spark" else f"c0 * 0.5 + {' + '.join(COLUMNS[1:])}"
    expected = frame.selectExpr(f"sum({total})").collect()[0][0]
    before, started = _cpu_seconds(), time.perf_counter()
    found = frame.select(udf(*COLUMNS).alias("x")).agg({"x": "sum"}).collect()[0][0]
    wall, cpu = time.perf_counter() - started, _cpu_seconds() - before
    assert abs(found - expected) < 1e-6 * abs(expected), name
    return Row(name, count / wall / 1e6, cpu)


def _cpu_seconds() -> float:
    """Return what this process and all below it have used, those that have ended included."""
    tick, total, below = os.sysconf("SC_CLK_TCK"), 0, {os.getpid()}
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            values = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        stats[int(path.parent.name)] = (int(values[1]), sum(map(int, values[11:15])))
    while more := {pid for pid, (parent, _) in stats.items() if parent in below} - below:
        below |= more
    total = sum(stats[pid][1] for pid in below if pid in stats)
    return total / tick


def format_rows(table: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| case | million rows/s | CPU seconds |", "|---|---|---|"]
    lines += [f"| {row.case} | {row.speed:.3f} | {row.cpu:.1f} |" for row in table]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--no-uv-of-mlflow", action="store_true")
    options = parser.parse_args()
    print(format_rows(rows(options.rounds, not options.no_uv_of_mlflow, options.rows)))
