"""The requests that cost a server most for their size, in every format, at its own limits.

Some are just within the limits and are answered; others are a little beyond what they become,
however short they are, and are refused.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from pyfunc.serving.settings import ServingSettings

__all__ = ["BODIES", "Body"]

JSON = "application/json"
CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
INFER = "/v2/models/model/infer"
LIMITS = ServingSettings()
CELLS, NAMES, ROWS = LIMITS.max_cells - 10, LIMITS.max_names, LIMITS.max_rows
BYTES = LIMITS.max_expanded_bytes


@dataclass(frozen=True)
class Body:
    """One request.

    Attributes:
        name: what it is, for people.
        make: returns the bytes; they are large, so only when they are sent.
        refused: it is beyond the limits, so the answer is 413.
        kind: its Content-Type.
        path: where it goes.
        headers: further ones.
    """

    name: str
    make: Callable[[], bytes]
    refused: bool = False
    kind: str = JSON
    path: str = "/invocations"
    headers: dict[str, str] = field(default_factory=dict)


def rows_of(form: str, unit: str, count: int) -> Callable[[], bytes]:
    """Return a function that makes a form of ``count`` times the same JSON."""
    return lambda: b'{"%b": [%b]}' % (form.encode(), ",".join([unit] * count).encode())


def split_of(unit: str, count: int, columns: str = "null") -> Callable[[], bytes]:
    """Return a function that makes a frame of ``count`` times the same row."""
    start = f'{{"dataframe_split": {{"columns": {columns}, "data": ['.encode()
    return lambda: start + ",".join([unit] * count).encode() + b"]}}"


def different_keys(form: str, count: int) -> Callable[[], bytes]:
    """Return a function that makes ``count`` objects, each of a key of its own."""

    def make() -> bytes:
        units = [f'{{"{i}":0}}' for i in range(count)]
        return f'{{"{form}": [{",".join(units)}]}}'.encode()

    return make


def wide_object(form: str, count: int, around: str = "{}") -> Callable[[], bytes]:
    """Return a function that makes one object of many keys."""

    def make() -> bytes:
        pairs = [f'"{i}":0' for i in range(count)]
        return f'{{"{form}": {around.replace("{}", "{" + ",".join(pairs) + "}")}}}'.encode()

    return make


def repeated_row(values: Iterable[str], count: int) -> str:
    """Return a row of JSON that has the values over and over."""
    return "[" + ",".join([*values] * count) + "]"


def csv_of(names: Iterable[str], line: str, count: int) -> Callable[[], bytes]:
    """Return a function that makes a CSV of ``count`` times the same line."""
    header = ",".join(names).encode()
    return lambda: header + b"\n" + (line * count).encode()


def parquet_of(columns: Callable[[], dict[str, object]], **options: object) -> Callable[[], bytes]:
    """Return a function that makes a parquet file of columns."""

    def make() -> bytes:
        import pyarrow as pa
        from pyarrow import parquet

        target = io.BytesIO()
        parquet.write_table(pa.table(columns()), target, compression="zstd", **options)
        return target.getvalue()

    return make


def repeating(text: str, count: int) -> object:
    """Return a column of one text, without writing it out."""
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, dtype=np.int32)), [text])


def tensor(datatype: str, shape: list[int], data: object) -> Callable[[], bytes]:
    """Return a function that makes a request of one tensor in JSON."""
    form = {"name": "x", "datatype": datatype, "shape": shape, "data": data}
    return lambda: json.dumps({"inputs": [form]}, separators=(",", ":")).encode()


def binary(name: str, datatype: str, shape: list[int], blob: bytes, *, refused: bool) -> Body:
    """Return a request of one tensor in binary."""
    form = {
        "name": "x",
        "datatype": datatype,
        "shape": shape,
        "parameters": {"binary_data_size": len(blob)},
    }
    header = json.dumps({"inputs": [form]}).encode()
    return Body(
        name,
        lambda: header + blob,
        refused,
        "application/octet-stream",
        INFER,
        {"Inference-Header-Content-Length": str(len(header))},
    )


DEEP = "[" * 8 + "0" + "]" * 8
TEXTS = struct.pack("<I", 0)
MIXED = repeated_row(("0", '"a"', "null", "1.5"), 25)
WIDE_ROW = repeated_row(("0",), NAMES)

BODIES = [
    Body("split: one wide row", split_of(WIDE_ROW, 1)),
    Body("split: wide rows", split_of(WIDE_ROW, CELLS // (NAMES + 1))),
    Body("split: narrow rows", split_of("[0]", CELLS // 2)),
    Body("split: narrow rows of text", split_of('["a"]', CELLS // 2)),
    Body("split: mixed rows", split_of(MIXED, CELLS // 101)),
    Body("split: cells of lists", split_of("[[]]", CELLS // 3)),
    Body("split: cells of objects", split_of("[{}]", CELLS // 3)),
    Body("split: too many cells", split_of("[0]", CELLS), refused=True),
    Body("split: too wide", split_of(repeated_row(("0",), NAMES + 1), 1), refused=True),
    Body("records: narrow", rows_of("dataframe_records", '{"a":0}', CELLS // 2)),
    Body("records: empty", rows_of("dataframe_records", "{}", CELLS // 2)),
    Body("records: texts", rows_of("dataframe_records", '{"a":"b","c":null}', CELLS // 3)),
    Body("records: one wide row", wide_object("dataframe_records", NAMES, "[{}]")),
    Body("records: different keys", different_keys("dataframe_records", 1400)),
    Body("records: more different keys", different_keys("dataframe_records", 1500), refused=True),
    Body(
        "records: many different keys", different_keys("dataframe_records", 900_000), refused=True
    ),
    Body("inputs: numbers", rows_of("inputs", "0", ROWS)),
    Body("inputs: fractions", rows_of("inputs", "1.5", ROWS)),
    Body("inputs: mixed", rows_of("inputs", '0,"a",null,1.5', ROWS // 4)),
    Body("inputs: lists", rows_of("inputs", "[]", CELLS // 2)),
    Body("inputs: deep lists", rows_of("inputs", DEEP, CELLS // 9)),
    Body("inputs: objects", rows_of("inputs", '{"a":0}', CELLS // 2)),
    Body("inputs: objects of texts", rows_of("inputs", '{"a":"b"}', CELLS // 2)),
    Body("inputs: objects of lists", rows_of("inputs", '{"a":[0]}', CELLS // 3)),
    Body("inputs: one wide object", wide_object("inputs", NAMES)),
    Body("inputs: a wide object in a list", wide_object("inputs", NAMES, "[{}]")),
    Body("inputs: different keys", different_keys("inputs", 1500), refused=True),
    Body("inputs: too many rows", rows_of("inputs", "0", ROWS + 1), refused=True),
    Body(
        "inputs: one long text among short ones",
        lambda: json.dumps({"inputs": ["x" * 30_000, *["y"] * 1_000]}).encode(),
    ),
    Body(
        "inputs: long texts among short ones in columns",
        lambda: json.dumps({"inputs": {c: ["x" * 30_000, *"y" * 1_000] for c in "abcd"}}).encode(),
        refused=True,
    ),
    Body("instances: objects", rows_of("instances", '{"a":0}', CELLS // 2)),
    Body("instances: lists", rows_of("instances", "[0]", CELLS // 2)),
    Body("no form: numbers", rows_of("nothing", "1.5", ROWS), refused=False),
    Body("chat: objects", rows_of("messages", "{}", CELLS // 2)),
    Body("chat: a text of commas", lambda: b'{"messages": ["' + b"," * (15 << 20) + b'"]}'),
    Body("chat: a text of escapes", lambda: b'{"messages": ["' + b"\\u0041" * 2_600_000 + b'"]}'),
    Body("JSON: spaces", lambda: b" " * (15 << 20) + b"{}"),
    Body("JSON: long numbers", rows_of("inputs", "9" * 4300, 3_600)),
    Body("JSON: a key again", lambda: b'{"inputs": {' + b'"a":0,' * (CELLS // 2) + b'"b":0}}'),
    Body("CSV: narrow", csv_of("a", "1.5\n", ROWS), kind=CSV),
    Body("CSV: narrow text", csv_of("a", "x\n", ROWS), kind=CSV),
    Body("CSV: mixed", csv_of("abcd", "1,x,,2.5\n", CELLS // 4), kind=CSV),
    Body("CSV: one wide row", csv_of(map(str, range(NAMES)), "1," * (NAMES - 1), 1), kind=CSV),
    Body("CSV: empty lines", csv_of("a", "\n", 15 << 20), kind=CSV),
    Body("CSV: a text of lines", csv_of("a", '"' + "\n" * 130_000 + '"\n', 110), kind=CSV),
    Body(
        "CSV: short lines under a wide header",
        csv_of(map(str, range(NAMES)), "1\n", 31),
        kind=CSV,
    ),
    Body(
        "CSV: more short lines under a wide header",
        csv_of(map(str, range(NAMES)), "1\n", 33),
        refused=True,
        kind=CSV,
    ),
    Body("CSV: a name over and over", csv_of(["a"] * NAMES, "1\n", 1), kind=CSV),
    Body("CSV: too many rows", csv_of("a", "1\n", ROWS + 2), refused=True, kind=CSV),
    Body(
        "parquet: numbers",
        parquet_of(lambda: {c: np.zeros(ROWS) for c in "ab"}),
        kind=PARQUET,
    ),
    Body(
        "parquet: one text",
        parquet_of(lambda: {"a": repeating("x" * 240, ROWS)}),
        kind=PARQUET,
    ),
    Body(
        "parquet: different texts",
        parquet_of(lambda: {"a": [f"{i}" for i in range(ROWS)]}),
        kind=PARQUET,
    ),
    Body(
        "parquet: lists",
        parquet_of(lambda: {"a": [[0]] * ROWS}),
        kind=PARQUET,
    ),
    Body(
        "parquet: wide",
        parquet_of(lambda: {f"{i}": [0] for i in range(40_000)}),
        kind=PARQUET,
    ),
    Body(
        "parquet: too many rows",
        parquet_of(lambda: {"a": np.zeros(ROWS + 1)}),
        refused=True,
        kind=PARQUET,
    ),
    Body(
        "parquet: one long text",
        parquet_of(lambda: {"a": repeating("x" * 1_400, ROWS)}),
        refused=True,
        kind=PARQUET,
    ),
    Body(
        "parquet: one huge text",
        parquet_of(lambda: {"a": ["x" * (BYTES + 1)]}, use_dictionary=False),
        refused=True,
        kind=PARQUET,
    ),
    Body(
        "parquet: one long list",
        parquet_of(lambda: {"a": [np.zeros(CELLS * 2)]}),
        refused=True,
        kind=PARQUET,
    ),
    Body("infer: numbers", tensor("FP64", [ROWS], [0] * ROWS), path=INFER),
    Body("infer: rows", tensor("FP64", [1000, 1000], [[0] * 1000] * 1000), path=INFER),
    Body("infer: texts", tensor("BYTES", [ROWS], [""] * ROWS), path=INFER),
    Body("infer: too many", tensor("FP64", [CELLS * 2], [0] * CELLS * 2), True, path=INFER),
    Body("infer: declared too many", tensor("FP64", [ROWS, 9], []), True, path=INFER),
    binary("infer: bytes in binary", "UINT8", [ROWS, 2], bytes(2 * ROWS), refused=False),
    binary("infer: truths in binary", "BOOL", [ROWS], bytes(ROWS), refused=False),
    binary("infer: texts in binary", "BYTES", [ROWS], TEXTS * ROWS, refused=False),
    binary("infer: too many in binary", "UINT8", [ROWS, 3], bytes(3 * ROWS), refused=True),
]
