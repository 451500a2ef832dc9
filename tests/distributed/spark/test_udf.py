"""The function in a real session of Spark: what travels, what is held, what fails and how."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import pandas as pd
import pyspark
import pytest

import pyfunc
from pyfunc.distributed import build_model_env
from pyfunc.errors import InvalidArgumentError, InvalidTypeError, SchemaError
from pyfunc.schema import ColSpec, ModelSignature, Schema, TensorSpec, infer_signature

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# The models below go into environments that have no tests.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

ENV_MANAGERS = [None, "uv"]
OLD = ["pandas==2.2.3", "numpy==1.26.4", "cloudpickle"]


class Adding(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        config = context.model_config or {}
        return model_input["a"] + model_input["b"] + config.get("k", 0) + params["p"]


class Where(pyfunc.PythonModel):
    def load_context(self, context: Any) -> None:
        import os

        with open(os.environ["LOADS"], "a") as file:
            file.write(f"{os.getpid()}\n")

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        import os

        import pandas

        return [f"{pandas.__version__} {os.getpid()} {os.environ['LOADS']}"] * len(model_input)


class Failing(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        kind = model_input["0"].iloc[0]
        if kind == 0:
            raise ValueError("no such thing\nas zero")
        if kind == 4:
            raise ValueError("no such file as \u00e4\udc80 \U0001f600")
        return {1: [1.0], 2: 5.0, 3: []}[kind]


class Echo(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input


class Dtypes(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return [f"{model_input['n'].dtype} {value!r}" for value in model_input["n"].tolist()]


class Shapes(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input["x"].reshape(len(model_input["x"]), -1).sum(axis=1) + model_input["y"]


FRAME = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})


def save(path: Path, model: Any, **more: Any) -> Path:
    pyfunc.save_model(path, python_model=model, **{"pip_requirements": OLD, **more})
    return path


def rows_of(frame: DataFrame) -> list[Any]:
    return [tuple(row) if len(row) > 1 else row[0] for row in frame.collect()]


def numbers(spark: SparkSession, count: int = 10, parts: int = 2) -> DataFrame:
    frame = spark.range(0, count, 1, parts)
    return frame.selectExpr("cast(id as double) a", "cast(1 as double) b", "id")


@pytest.fixture
def adding(tmp_path: Path) -> Path:
    signature = infer_signature(FRAME, pd.Series([1.0]), params={"p": 0.0})
    return save(tmp_path / "adding", Adding(), signature=signature, model_config={"k": 0})


@pytest.mark.parametrize("env_manager", ENV_MANAGERS)
def test_columns_are_predicted_however_they_are_named(
    spark: SparkSession, adding: Path, env_manager: Any
) -> None:
    from pyspark.sql import functions
    from pyspark.sql.types import DoubleType

    udf = pyfunc.spark_udf(spark, adding, env_manager=env_manager)
    frame = numbers(spark)
    expected = [float(n + 1) for n in range(10)]
    assert rows_of(frame.select(udf())) == expected
    assert rows_of(frame.select(udf("a", "b"))) == expected
    assert rows_of(frame.select(udf(frame.a, frame.b, frame.id))) == expected
    assert rows_of(frame.select(udf(functions.struct("b", "a")))) == expected
    assert udf.returnType == DoubleType()
    assert udf.metadata.model_uuid == pyfunc.Model.load(adding).model_uuid
    assert udf.deterministic is True
    assert frame.select(udf()).columns == ["udf(a, b)"]


@pytest.mark.parametrize("env_manager", ENV_MANAGERS)
def test_two_functions_of_one_query_have_their_own_configs_and_params(
    spark: SparkSession, adding: Path, env_manager: Any
) -> None:
    variants: tuple[dict[str, Any], ...] = (
        {"params": {"p": 1}},
        {"model_config": {"k": 10}},
        {"model_config": {"k": 100}},
    )
    one, ten, hundred = (
        pyfunc.spark_udf(spark, adding, env_manager=env_manager, **more) for more in variants
    )
    frame = numbers(spark, 2, 1)
    assert rows_of(frame.select(one(), ten(), hundred())) == [
        (2.0, 11.0, 101.0),
        (3.0, 12.0, 102.0),
    ]


def test_what_becomes_of_the_directory_does_not_matter(spark: SparkSession, adding: Path) -> None:
    udf = pyfunc.spark_udf(spark, adding)
    pyfunc.save_model(adding, python_model=Echo(), pip_requirements=[], overwrite=True)
    assert rows_of(numbers(spark, 2).select(udf())) == [1.0, 2.0]
    shutil.rmtree(adding)
    assert rows_of(numbers(spark, 3).select(udf())) == [1.0, 2.0, 3.0]


def test_a_function_can_be_registered_for_sql(spark: SparkSession, adding: Path) -> None:
    spark.udf.register("predicted", pyfunc.spark_udf(spark, adding))
    numbers(spark).createOrReplaceTempView("numbers")
    assert rows_of(spark.sql("select sum(predicted(a, b)) from numbers")) == [55.0]


@pytest.mark.parametrize("env_manager", ENV_MANAGERS)
def test_a_model_is_loaded_once_per_worker_process(
    spark: SparkSession, tmp_path: Path, env_manager: Any
) -> None:
    save(tmp_path / "where", Where())
    loads = tmp_path / "loads.txt"
    udf = pyfunc.spark_udf(
        spark, tmp_path / "where", "string", env_manager, extra_env={"LOADS": str(loads)}
    )
    frame = numbers(spark, 40, 8)
    for _ in range(2):
        seen = set(rows_of(frame.select(udf("a"))))
        versions = {text.split()[0] for text in seen}
        assert {text.split()[2] for text in seen} == {str(loads)}
        assert versions == {pd.__version__ if env_manager is None else "2.2.3"}
    pids = loads.read_text().split()
    assert len(pids) == len(set(pids))
    assert {text.split()[1] for text in seen} <= set(pids)


class Meets(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        import os
        import pathlib
        import time

        folder = pathlib.Path(os.environ["MEETING"])
        (folder / str(os.getpid())).touch()
        while len(list(folder.iterdir())) < 2:
            time.sleep(0.05)
        return [os.getpid()] * len(model_input)


def test_an_environment_is_made_once_for_all_workers_and_tasks(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Two workers that need it at once, by what uv is asked to do."""
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    calls = tmp_path / "calls"
    program = tmp_path / "programs" / "uv"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$1" >> {calls}\nexec {uv} "$@"\n')
    program.chmod(0o755)
    (tmp_path / "meeting").mkdir()
    variables = {
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "PYFUNC_ENV_ROOT": str(tmp_path / "environments"),
        "MEETING": str(tmp_path / "meeting"),
    }
    path = save(tmp_path / "meets", Meets())
    udf = pyfunc.spark_udf(spark, path, "long", "uv", extra_env=variables)
    for _ in range(2):
        seen = rows_of(numbers(spark, 40, 8).select(udf("a")))
        assert len(seen) == 40
    assert len(list((tmp_path / "meeting").iterdir())) >= 2
    assert calls.read_text().split().count("venv") == 1
    assert len(list((tmp_path / "environments").glob("*/.pyfunc-ready.json"))) == 1


@pytest.mark.parametrize("env_manager", ENV_MANAGERS)
@pytest.mark.parametrize("kind", [1, 2, 3], ids=["too-few", "scalar", "empty"])
def test_an_answer_with_other_rows_is_one_error(
    spark: SparkSession, tmp_path: Path, kind: int, env_manager: Any
) -> None:
    udf = pyfunc.spark_udf(spark, save(tmp_path / "m", Failing()), "double", env_manager)
    with pytest.raises(Exception, match="cannot be used") as caught:
        spark.range(0, 4, 1, 1).selectExpr(f"cast({kind} as long) k").select(udf("k")).collect()
    text = str(caught.value)
    assert "RESULT_ROWS_MISMATCH" not in text
    assert "partition 0, batch 0, rows in 4" in text
    assert "rows in 4, rows out " in text
    assert "came " in text


@pytest.mark.parametrize("env_manager", ENV_MANAGERS)
def test_the_error_of_a_model_comes_first(
    spark: SparkSession, tmp_path: Path, env_manager: Any
) -> None:
    udf = pyfunc.spark_udf(spark, save(tmp_path / "m", Failing()), "double", env_manager)
    with pytest.raises(Exception, match="no such thing") as caught:
        spark.range(0, 4, 1, 1).selectExpr("cast(0 as long) k").select(udf("k")).collect()
    text = str(caught.value)
    first = text.index("ModelFailedError: ValueError: no such thing\nas zero")
    # Before Spark 4 nothing goes before the traceback of Spark's own worker.
    assert pyspark.__version__ < "4" or "Traceback" not in text[:first]
    assert "partition 0, batch 0, rows in 4" in text


@pytest.mark.parametrize("env_manager", ENV_MANAGERS)
def test_an_error_that_is_no_utf_8_arrives(
    spark: SparkSession, tmp_path: Path, env_manager: Any
) -> None:
    udf = pyfunc.spark_udf(spark, save(tmp_path / "m", Failing()), "double", env_manager)
    with pytest.raises(Exception, match="ValueError: no such file as") as caught:
        spark.range(0, 4, 1, 1).selectExpr("cast(4 as long) k").select(udf("k")).collect()
    assert "no such file as \u00e4\\udc80 \U0001f600\n" in str(caught.value)


EVERY_TYPE = """
select cast(1 as int) as i, cast(null as bigint) as l, true as b, 's' as s, x'00ff' as bin,
  date'2024-01-02' as d, timestamp'2024-01-02 03:04:05.123456' as t,
  cast(1.25 as decimal(10,2)) as de, array(1, 2) as a, array(array(1.5D)) as aa,
  map('k', 1) as m, named_struct('x', 1, 't', timestamp'2024-01-02 03:04:05') as st,
  cast(1 as short) as sh, cast(1.5 as float) as f, cast(1.5 as double) as db,
  array(timestamp'2024-07-02 03:04:05') as at, timestamp_ntz'2024-01-02 03:04:05' as tn
"""


@pytest.mark.parametrize("env_manager", ENV_MANAGERS)
def test_every_type_goes_in_and_comes_out_unchanged(
    spark: SparkSession, tmp_path: Path, env_manager: Any
) -> None:
    frame = spark.sql(EVERY_TYPE)
    if pyspark.__version__ < "4":  # which has no arrays of times in functions of pandas
        frame = frame.drop("at")
    fields = ", ".join(
        f"`{i}`: {field.dataType.simpleString()}" for i, field in enumerate(frame.schema)
    )
    udf = pyfunc.spark_udf(spark, save(tmp_path / "m", Echo()), f"struct<{fields}>", env_manager)
    answer = frame.select(udf(*frame.columns).alias("r")).select("r.*")
    assert tuple(answer.collect()[0]) == tuple(frame.collect()[0])


@pytest.mark.parametrize("env_manager", ENV_MANAGERS)
def test_an_optional_long_with_nulls_stays_one(
    spark: SparkSession, tmp_path: Path, env_manager: Any
) -> None:
    signature = ModelSignature(Schema([ColSpec("long", "n", required=False)]))
    udf = pyfunc.spark_udf(
        spark, save(tmp_path / "m", Dtypes(), signature=signature), "string", env_manager
    )
    frame = spark.sql("select * from values (1L), (null), (5L) as t(n)").coalesce(1)
    assert rows_of(frame.select(udf("n"))) == ["Int64 1", "Int64 <NA>", "Int64 5"]


def test_an_array_column_is_a_tensor(spark: SparkSession, tmp_path: Path) -> None:
    import numpy as np

    signature = ModelSignature(
        Schema(
            [
                TensorSpec(np.dtype("float64"), (-1, 2, 2), "x"),
                TensorSpec(np.dtype("int64"), (-1,), "y"),
            ]
        )
    )
    udf = pyfunc.spark_udf(spark, save(tmp_path / "m", Shapes(), signature=signature), "double")
    frame = spark.sql("select array(1D, 2D, 3D, 4D) as x, 10L as y")
    assert rows_of(frame.select(udf("x", "y"))) == [20.0]
    assert rows_of(frame.select(udf())) == [20.0]


RESULT_TYPES = {
    "bool": "boolean", "short": "smallint", "tinyint": "tinyint", "date": "date",
    "timestamp": "timestamp", "binary": "binary", "decimal(10,2)": "decimal(10,2)",
    "a int, b string": "struct<a:int,b:string>",
    "map<string,array<date>>": "map<string,array<date>>",
}  # fmt: skip


@pytest.mark.parametrize("text", RESULT_TYPES)
def test_types_that_mlflow_refuses_can_be_asked_for(
    spark: SparkSession, adding: Path, text: str
) -> None:
    assert pyfunc.spark_udf(spark, adding, text).returnType.simpleString() == RESULT_TYPES[text]


@pytest.mark.parametrize(
    "text",
    ["map<int,string>", "interval day", "array<map<date,int>>", "array<struct<>>", "struct<>"],
)
def test_types_that_no_model_gives_are_refused(
    spark: SparkSession, adding: Path, text: str
) -> None:
    with pytest.raises(InvalidArgumentError, match="no model can answer with"):
        pyfunc.spark_udf(spark, adding, text)


def test_times_without_a_zone_are_of_the_session(spark: SparkSession, tmp_path: Path) -> None:
    udf = pyfunc.spark_udf(spark, save(tmp_path / "m", Echo()), "timestamp")
    frame = spark.sql("select timestamp'2024-07-02 03:04:05.123456' as t")
    assert rows_of(frame.select(udf("t").cast("string"))) == ["2024-07-02 03:04:05.123456"]
    assert isinstance(rows_of(frame.select(udf("t")))[0], dt.datetime)


WRONG = {
    "env-manager": ({"env_manager": "pip"}, InvalidArgumentError, "env_manager: expected"),
    "prebuilt-conda": (
        {"env_manager": "conda", "prebuilt_env_uri": "x.tar.gz"},
        InvalidArgumentError,
        "prebuilt_env_uri",
    ),
    "result-type": ({"result_type": 5}, InvalidTypeError, "result_type"),
    "params": ({"params": {"p": "x"}}, SchemaError, "parameters"),
    "extra-env": ({"extra_env": {"A": 1}}, InvalidTypeError, "extra_env"),
    "extra-env-text": ({"extra_env": "A=b"}, InvalidTypeError, "extra_env"),
    "extra-env-name": ({"extra_env": {"A=": "b"}}, InvalidArgumentError, "extra_env: 'A='"),
    "extra-env-value": ({"extra_env": {"A": "\0"}}, InvalidArgumentError, "extra_env: 'A'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_work_fails_on_the_driver(
    spark: SparkSession, adding: Path, name: str
) -> None:
    arguments, error, text = WRONG[name]
    with pytest.raises(error, match=text):
        pyfunc.spark_udf(spark, adding, **arguments)  # type: ignore[arg-type]


def test_without_columns_it_must_be_clear_which_are_meant(
    spark: SparkSession, tmp_path: Path
) -> None:
    optional = ModelSignature(Schema([ColSpec("long", "a"), ColSpec("long", "b", required=False)]))
    unnamed = ModelSignature(Schema([ColSpec("long")]))
    for name, signature in (("o", optional), ("u", unnamed), ("n", None)):
        path = save(tmp_path / name, Echo(), signature=signature)
        with pytest.raises(InvalidArgumentError, match="hint: name the columns to use"):
            pyfunc.spark_udf(spark, path, "long")()


def test_a_column_with_a_dot_is_found(spark: SparkSession, tmp_path: Path) -> None:
    signature = ModelSignature(Schema([ColSpec("long", "a.b")]))
    udf = pyfunc.spark_udf(spark, save(tmp_path / "m", Echo(), signature=signature), "long")
    assert rows_of(spark.sql("select 5L as `a.b`").select(udf())) == [5]


def test_an_archive_of_an_environment_is_used(spark: SparkSession, tmp_path: Path) -> None:
    path = save(tmp_path / "where", Where())
    archive = build_model_env(path, str(tmp_path), "uv")
    udf = pyfunc.spark_udf(
        spark,
        path,
        "string",
        prebuilt_env_uri=archive,
        extra_env={"LOADS": str(tmp_path / "loads")},
    )
    assert {text.split()[0] for text in rows_of(numbers(spark).select(udf("a")))} == {"2.2.3"}
