"""A model as a function of columns: Spark predicts for a table, also in SQL."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from pyspark.sql import SparkSession
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import pyfunc
import pyfunc.flavors.sklearn as sklearn_flavor


def save(path: Path):
    """Save a classifier of flowers, and return them all."""
    flowers, kinds = load_iris(return_X_y=True, as_frame=True)
    flowers.columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    classifier = LogisticRegression(max_iter=500).fit(flowers, kinds)
    sklearn_flavor.save_model(classifier, path, input_example=flowers.head(2))
    return flowers


def main() -> None:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else workers take any python3
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", False)
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "iris")
        table = spark.createDataFrame(save(path)).repartition(4)
        kind = pyfunc.spark_udf(spark, path, result_type="long")

        counted = table.withColumn("kind", kind()).groupBy("kind").count().orderBy("kind")
        print("kinds:", [tuple(row) for row in counted.collect()])

        table.createOrReplaceTempView("flowers")
        spark.udf.register("kind_of", kind)
        longest = spark.sql("""
            SELECT kind_of(sepal_length, sepal_width, petal_length, petal_width) AS kind,
                   max(petal_length) AS longest
            FROM flowers GROUP BY kind ORDER BY kind
        """)
        print("longest petals:", [tuple(row) for row in longest.collect()])
    spark.stop()


if __name__ == "__main__":
    main()
