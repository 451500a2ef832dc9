"""Spark's schemas and frames, with stand-ins for the objects of pyspark."""

from __future__ import annotations

import logging
import sys
import types
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest

from pyfunc.errors import InvalidArgumentError, SchemaError
from pyfunc.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    Map,
    Object,
    Property,
    Schema,
    SparkMLVector,
    enforce_schema,
    infer_schema,
)

pytestmark = pytest.mark.filterwarnings("ignore::pyfunc.errors.PyfuncWarning")


@dataclass
class Type:
    """A type of Spark: its word and, for nested ones, what it is made of."""

    word: str
    elementType: Any = None  # noqa: N815 - Spark's name
    keyType: Any = None  # noqa: N815
    valueType: Any = None  # noqa: N815
    fields: Any = ()

    def typeName(self) -> str:  # noqa: N802
        return self.word

    def simpleString(self) -> str:  # noqa: N802
        return self.word


@dataclass
class Field:
    name: str
    dataType: Type  # noqa: N815
    nullable: bool = True


class DataFrame:
    """A frame of Spark; it forbids itself to be collected where ``frame`` is None."""

    def __init__(self, schema: list[Field], frame: pd.DataFrame | None = None) -> None:
        self.schema = schema
        self.frame = frame

    def limit(self, count: int) -> DataFrame:
        assert self.frame is not None
        return DataFrame(self.schema, self.frame.head(count))

    def toPandas(self) -> pd.DataFrame:  # noqa: N802
        assert self.frame is not None
        return self.frame

    def select(self, *names: str) -> DataFrame:
        assert all(name[0] == name[-1] == "`" for name in names)
        chosen = [name[1:-1].replace("``", "`") for name in names]
        by_name = {field.name: field for field in self.schema}
        frame = None if self.frame is None else self.frame[chosen]
        return DataFrame([by_name[name] for name in chosen], frame)


DataFrame.__module__ = "pyspark.sql.classic.dataframe"

STRUCT = Type("struct", fields=[Field("x", Type("long"), False), Field("y", Type("string"))])
TYPES = [
    pytest.param(Type("boolean"), DataType.boolean, id="boolean"),
    pytest.param(Type("byte"), DataType.integer, id="byte"),
    pytest.param(Type("short"), DataType.integer, id="short"),
    pytest.param(Type("integer"), DataType.integer, id="integer"),
    pytest.param(Type("long"), DataType.long, id="long"),
    pytest.param(Type("float"), DataType.float, id="float"),
    pytest.param(Type("double"), DataType.double, id="double"),
    pytest.param(Type("string"), DataType.string, id="string"),
    pytest.param(Type("varchar"), DataType.string, id="varchar"),
    pytest.param(Type("binary"), DataType.binary, id="binary"),
    pytest.param(Type("date"), DataType.datetime, id="date"),
    pytest.param(Type("timestamp"), DataType.datetime, id="timestamp"),
    pytest.param(Type("timestamp_ntz"), DataType.datetime, id="timestamp-without-zone"),
    pytest.param(Type("array", elementType=Type("long")), Array("long"), id="array"),
    pytest.param(
        Type("map", keyType=Type("string"), valueType=Type("double")), Map("double"), id="map"
    ),
    pytest.param(
        STRUCT, Object([Property("x", "long"), Property("y", "string", False)]), id="struct"
    ),
    pytest.param(Type("vectorudt"), SparkMLVector(), id="vector"),
]


@pytest.mark.parametrize(("kind", "expected"), TYPES)
def test_a_spark_frame_passes_under_its_own_schema_unseen(kind: Type, expected: Any) -> None:
    data = DataFrame([Field("a.b", kind)])
    schema = infer_schema(data)
    assert schema == Schema([ColSpec(expected, "a.b")])
    assert [field.name for field in enforce_schema(data, schema).schema] == ["a.b"]


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(Type("decimal"), id="decimal"),
        pytest.param(Type("map", keyType=Type("integer")), id="keys-that-are-no-text"),
        pytest.param(Type("array", elementType=Type("void")), id="array-of-nothing"),
    ],
)
def test_other_spark_types_have_no_schema(kind: Type) -> None:
    with pytest.raises(InvalidArgumentError, match="'a'"):
        infer_schema(DataFrame([Field("a", kind)]))


def test_the_first_rows_of_other_columns_are_checked() -> None:
    fields = [Field("z", Type("long")), Field("a", Type("float")), Field("d", Type("decimal"))]
    rows = pd.DataFrame({"z": range(20), "a": pd.Series([1.0] * 20, dtype="float32")}, index=None)
    rows["d"] = 0.5
    data = DataFrame(fields, rows)
    result = enforce_schema(data, Schema([ColSpec("double", "d"), ColSpec("double", "a")]))
    assert result.frame.columns.tolist() == ["d", "a"]
    assert str(result.frame["a"].dtype) == "float32"
    with pytest.raises(SchemaError, match="expected long, got float32"):
        enforce_schema(data, Schema([ColSpec("long", "a"), ColSpec("long", "z")]))
    with pytest.raises(SchemaError, match="no column"):
        enforce_schema(data, Schema([ColSpec("long", "z"), ColSpec("long", "missing")]))


def test_an_optional_column_may_be_absent_and_others_are_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = DataFrame(
        [Field("a", Type("long")), Field("x", Type("long"))], pd.DataFrame({"a": [1], "x": [1]})
    )
    schema = Schema([ColSpec("long", "a"), ColSpec("long", "b", False)])
    with caplog.at_level(logging.WARNING, logger="pyfunc.schema"):
        assert [field.name for field in enforce_schema(data, schema).schema] == ["a"]
        just_a = Schema([ColSpec("long", "a")])
        assert [field.name for field in enforce_schema(data, just_a).schema] == ["a"]
    assert [record.getMessage()[-3:] for record in caplog.records] == ["'x'", "'x'"]


def test_columns_without_names_go_by_position() -> None:
    data = DataFrame(
        [Field("a", Type("double")), Field("b", Type("long"))],
        pd.DataFrame({"a": [0.5], "b": [1]}),
    )
    result = enforce_schema(data, Schema([ColSpec("double")]))
    assert [field.name for field in result.schema] == ["a"]


class _Built(tuple[Any, ...]):
    """What a stand-in for a class of pyspark makes of its arguments."""


@pytest.fixture
def pyspark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a module in place whose classes give their name and arguments."""

    def build(name: str) -> Any:
        return lambda *args, **kwargs: _Built((name, *args, *kwargs.values()))

    for path in ("pyspark", "pyspark.sql", "pyspark.ml"):
        monkeypatch.setitem(sys.modules, path, types.ModuleType(path))
    for path in ("pyspark.sql.types", "pyspark.ml.linalg"):
        module: Any = types.ModuleType(path)
        module.__getattr__ = build
        monkeypatch.setitem(sys.modules, path, module)
        parent = sys.modules[path.rpartition(".")[0]]
        monkeypatch.setattr(parent, path.rpartition(".")[2], module, raising=False)
    monkeypatch.setattr(sys.modules["pyspark"], "sql", sys.modules["pyspark.sql"], raising=False)


@pytest.mark.usefixtures("pyspark")
def test_every_type_has_its_spark_type() -> None:
    assert Schema([ColSpec("long")]).as_spark_schema() == ("LongType",)
    nested = Object([Property("x", Array("float")), Property("y", Map("binary"), False)])
    schema = Schema([ColSpec(nested, "o"), ColSpec(SparkMLVector(), "v", False)])
    inner = [
        ("StructField", "x", ("ArrayType", ("FloatType",)), False),
        ("StructField", "y", ("MapType", ("StringType",), ("BinaryType",)), True),
    ]
    assert schema.as_spark_schema() == (
        "StructType",
        [
            ("StructField", "o", ("StructType", inner), False),
            ("StructField", "v", ("VectorUDT",), True),
        ],
    )
    unnamed = Schema([ColSpec("long"), ColSpec("string")]).as_spark_schema()
    assert [field[1] for field in unnamed[1]] == ["0", "1"]
    with pytest.raises(InvalidArgumentError, match="Any"):
        Schema([ColSpec(AnyType(), "a")]).as_spark_schema()
