"""What a request may become is bounded at every door, before anything is made of it."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pyfunc.errors import InvalidArgumentError
from pyfunc.functions.app import create_function_app
from pyfunc.schema import AnyType, Array, ColSpec, RequestLimits, Schema, TensorSpec
from pyfunc.serving import ServingSettings
from pyfunc.serving.http.settings import HttpSettings

Ask = Callable[..., Any]
Door = tuple[Callable[[int, int], Any], str | None, str]
AppOf = Callable[..., Any]
CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
INFER = "/v2/models/toy/infer"
ZEROS = [0] * 101
TEN = "a,b,c,d,e,f,g,h,i,j\n"
WIDE = ["x" * 9_000, *["y"] * 50]
COLUMNS = Schema([ColSpec("double", "a"), ColSpec("double", "b")])


def parquet(table: dict[str, Any], **options: Any) -> bytes:
    target = io.BytesIO()
    pd.DataFrame(table).to_parquet(target, engine="pyarrow", index=False, **options)
    return target.getvalue()


def noting(seen: list[Any]) -> Callable[..., Any]:
    """Return a predict function that keeps what it is given."""

    def predict(data: Any, params: Any) -> Any:
        seen.append(data)
        return [1]

    return predict


def tensor(shape: list[int], data: Any, datatype: str = "FP64") -> dict[str, Any]:
    return {"inputs": [{"name": "x", "datatype": datatype, "shape": shape, "data": data}]}


def split(rows: int, names: int) -> Any:
    return {"dataframe_split": {"data": [[0] * names for _ in range(rows)]}}


def records(rows: int, names: int) -> Any:
    row = {f"{i}": 0 for i in range(names)}
    return {"dataframe_records": [row for _ in range(rows)]}


def csv(rows: int, names: int) -> bytes:
    line = ",".join(["1"] * names)
    header = ",".join(map(str, range(names)))
    return "\n".join([header, *[line] * rows]).encode()


DOORS: list[Any] = [
    pytest.param((split, None, "/invocations"), id="split"),
    pytest.param((records, None, "/invocations"), id="records"),
    pytest.param(
        (
            lambda rows, names: {"inputs": records(rows, names)["dataframe_records"]},
            None,
            "/invocations",
        ),
        id="inputs-of-objects",
    ),
    pytest.param(
        (
            lambda rows, names: {"instances": records(rows, names)["dataframe_records"]},
            None,
            "/invocations",
        ),
        id="instances",
    ),
    pytest.param(
        (
            lambda rows, names: {"inputs": {f"{i}": [0] * rows for i in range(names)}},
            None,
            "/invocations",
        ),
        id="inputs-of-columns",
    ),
    pytest.param((csv, CSV, "/invocations"), id="csv"),
    pytest.param(
        (
            lambda rows, names: parquet({f"{i}": [0.0] * rows for i in range(names)}),
            PARQUET,
            "/invocations",
        ),
        id="parquet",
    ),
    pytest.param(
        (
            lambda rows, names: {
                "inputs": [
                    {"name": f"{i}", "datatype": "FP64", "shape": [rows], "data": [0] * rows}
                    for i in range(names)
                ]
            },
            None,
            INFER,
        ),
        id="infer",
    ),
]


def send(ask: Ask, app: Any, body: Any, kind: str | None, path: str) -> Any:
    return ask(app, path, body, content_type=kind or "application/json")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(("max_rows", (5, 2), (6, 2)), id="rows"),
        pytest.param(("max_names", (2, 5), (2, 6)), id="names"),
    ],
)
def test_rows_and_names_are_bounded_in_every_form(
    app_of: AppOf,
    ask: Ask,
    door: Door,
    case: tuple[str, tuple[int, int], tuple[int, int]],
) -> None:
    form, kind, path = door
    setting, fits, exceeds = case
    calls: list[Any] = []
    app = app_of(noting(calls), settings={setting: 5})
    assert send(ask, app, form(*fits), kind, path).status_code == 200
    refused = send(ask, app, form(*exceeds), kind, path)
    assert refused.status_code == 413
    assert setting in refused.text
    assert len(calls) == 1


@pytest.mark.parametrize("door", DOORS)
def test_cells_are_bounded_in_every_form(
    app_of: AppOf,
    ask: Ask,
    door: Door,
) -> None:
    form, kind, path = door
    app = app_of(lambda data, params: [1], settings={"max_cells": 100})
    assert send(ask, app, form(6, 6), kind, path).status_code == 200
    refused = send(ask, app, form(11, 11), kind, path)
    assert refused.status_code == 413
    assert "max_cells" in refused.text


@pytest.mark.parametrize(
    ("body", "kind", "path"),
    [
        pytest.param({"inputs": [0] * 101}, None, "/invocations", id="numbers"),
        pytest.param({"inputs": [[]] * 101}, None, "/invocations", id="lists"),
        pytest.param({"inputs": [[[[0]]]] * 30}, None, "/invocations", id="deep-lists"),
        pytest.param({"inputs": [{}] * 101}, None, "/invocations", id="objects"),
        pytest.param({"inputs": {"a": [0] * 101}}, None, "/invocations", id="columns"),
        pytest.param({"instances": [0] * 101}, None, "/invocations", id="instances"),
        pytest.param({"messages": [{}] * 101}, None, "/invocations", id="chat"),
        pytest.param({"inputs": [1], "params": {"a": ZEROS}}, None, "/invocations", id="params"),
        pytest.param({"nothing": [0] * 101}, None, "/invocations", id="no-form"),
        pytest.param(
            {"dataframe_records": [{f"{i}": 0} for i in range(11)]},
            None,
            "/invocations",
            id="records-of-different-keys",
        ),
        pytest.param(
            {"inputs": [{f"{i}": 0} for i in range(11)]},
            None,
            "/invocations",
            id="inputs-of-different-keys",
        ),
        pytest.param(TEN.encode() + b"1\n" * 11, CSV, "/invocations", id="short-lines"),
        pytest.param(
            b"a,b,c,d,e,f,g,h,i,j\r" + b"1\r" * 11, CSV, "/invocations", id="lines-of-an-old-mac"
        ),
        pytest.param(
            b"a,b,c,d,e,f,g,h,i,j\n" + b'x"\n' * 11, CSV, "/invocations", id="quotes-within-cells"
        ),
        pytest.param(parquet({"a": [[0] * 101]}), PARQUET, "/invocations", id="parquet-lists"),
        pytest.param(tensor([101], [0] * 101), None, INFER, id="infer"),
        pytest.param(tensor([11, 10], []), None, INFER, id="infer-declared"),
        pytest.param(tensor([101], [""] * 101, "BYTES"), None, INFER, id="infer-texts"),
    ],
)
def test_what_holds_too_many_cells_is_refused(
    app_of: AppOf, ask: Ask, body: Any, kind: str | None, path: str
) -> None:
    app = app_of(lambda data, params: pytest.fail("asked"), settings={"max_cells": 100})
    refused = send(ask, app, body, kind, path)
    assert refused.status_code == 413
    assert "max_cells" in refused.text


@pytest.mark.parametrize("datatype", ["FP64", "UINT8", "BOOL", "BYTES"])
def test_binary_tensors_are_bounded(app_of: AppOf, ask: Ask, datatype: str) -> None:
    size = {"FP64": 8, "BYTES": 4}.get(datatype, 1)
    app = app_of(lambda data, params: [1], settings={"max_cells": 300})

    def ask_for(count: int) -> Any:
        blob = bytes(size * count)
        form = {
            "name": "x",
            "datatype": datatype,
            "shape": [count],
            "parameters": {"binary_data_size": len(blob)},
        }
        header = json.dumps({"inputs": [form]}).encode()
        length = {"Inference-Header-Content-Length": str(len(header))}
        kind = "application/octet-stream"
        return ask(app, INFER, header + blob, content_type=kind, headers=length)

    assert ask_for(300).status_code == 200
    assert ask_for(301).status_code == 413


def test_json_in_the_texts_of_a_tensor_is_bounded(app_of: AppOf, ask: Ask) -> None:
    app = app_of(
        lambda data, params: [1],
        Schema([ColSpec(Array("double"), "x"), ColSpec(AnyType(), "y")]),
        settings={"max_cells": 100},
    )

    def ask_for(count: int) -> Any:
        text = json.dumps([0] * count)
        forms = [
            {"name": name, "datatype": "BYTES", "shape": [2], "data": [text, text]}
            for name in "xy"
        ]
        return ask(app, INFER, {"inputs": forms})

    assert ask_for(45).status_code == 200
    assert ask_for(60).status_code == 413


def test_a_shape_of_no_elements_has_no_axis_beyond_the_limits(app_of: AppOf, ask: Ask) -> None:
    app = app_of(lambda data, params: [1], settings={"max_rows": 100})
    assert ask(app, INFER, tensor([0, 2], [])).status_code == 200
    assert ask(app, INFER, tensor([101, 0], [])).status_code == 413
    assert ask(app, INFER, tensor([0, 2**31], [])).status_code == 413


def test_single_values_that_are_repeated_in_each_row_count(app_of: AppOf, ask: Ask) -> None:
    body = {"instances": {"a": [0] * 20, "b": 1, **{f"{i}": 1 for i in range(8)}}}
    app = app_of(lambda data, params: [1], COLUMNS, settings={"max_cells": 150})
    assert ask(app, body=body).status_code == 413
    app = app_of(lambda data, params: [1], COLUMNS, settings={"max_cells": 200})
    assert ask(app, body=body).status_code == 200


def test_named_arrays_of_different_lengths_are_not_filled_up(app_of: AppOf, ask: Ask) -> None:
    specs = [TensorSpec(np.dtype("float64"), (-1,), name) for name in ("a", *map(str, range(9)))]
    app = app_of(lambda data, params: [1], Schema(specs), settings={"max_cells": 100})
    body = {"inputs": {"a": [0] * 50, **{f"{i}": [1] for i in range(9)}}}
    assert ask(app, body=body).status_code == 200


@pytest.mark.parametrize(
    "text", ["," * 500, "[" * 500, '\\"' * 300, '\\\\"'.replace('"', "") * 300, '","' * 200]
)
def test_what_stands_in_texts_is_no_cell(app_of: AppOf, ask: Ask, text: str) -> None:
    app = app_of(lambda data, params: [1], settings={"max_cells": 100})
    assert ask(app, body={"inputs": [text, "x"]}).status_code == 200
    assert ask(app, body={"inputs": [text, *[0] * 100]}).status_code == 413


def test_lines_in_quotes_are_no_rows(app_of: AppOf, ask: Ask) -> None:
    app = app_of(lambda data, params: [1], settings={"max_rows": 3, "max_cells": 50})
    text = b"a,b\n" + b'"x\n\ny ""z""\n",1\n' * 3
    assert ask(app, body=text, content_type=CSV).status_code == 200
    assert ask(app, body=text + b"\n" * 100, content_type=CSV).status_code == 200
    assert ask(app, body=text + b"1,2\n", content_type=CSV).status_code == 413


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"a": WIDE, "b": WIDE}, id="columns"),
        pytest.param([{"a": WIDE, "b": WIDE}], id="rows"),
    ],
)
def test_texts_that_widen_others_count_in_full(app_of: AppOf, ask: Ask, value: Any) -> None:
    enough = 2 * 51 * 9_000 * 4
    app = app_of(lambda data, params: [1], settings={"max_expanded_bytes": enough})
    assert ask(app, body={"inputs": value}).status_code == 200
    app = app_of(lambda data, params: [1], settings={"max_expanded_bytes": enough * 9 // 10})
    assert ask(app, body={"inputs": value}).status_code == 413


@pytest.mark.parametrize(
    "table",
    [
        pytest.param({"a": ["x" * 1000] * 1000}, id="a-text-over-and-over"),
        pytest.param({"a": [b"x" * 1000] * 1000}, id="bytes-over-and-over"),
        pytest.param({"a": [["x" * 1000] * 1000]}, id="in-a-list"),
        pytest.param({"a": [{"b": "x" * 1000}] * 1000}, id="in-a-struct"),
        pytest.param({"a": ["x" * 1_000_000]}, id="one-text"),
    ],
)
def test_what_parquet_repeats_or_compresses_counts_in_full(
    app_of: AppOf, ask: Ask, table: Any
) -> None:
    body = parquet(table, compression="zstd")
    assert len(body) < 10_000
    app = app_of(lambda data, params: [1], settings={"max_expanded_bytes": 2_000_000})
    assert ask(app, body=body, content_type=PARQUET).status_code == 200
    app = app_of(lambda data, params: [1], settings={"max_expanded_bytes": 900_000})
    refused = ask(app, body=body, content_type=PARQUET)
    assert refused.status_code == 413
    assert "max_expanded_bytes" in refused.text


def test_a_dictionary_of_many_texts_is_no_bomb(app_of: AppOf, ask: Ask) -> None:
    texts = [f"text {i % 500:010}" for i in range(20_000)]
    app = app_of(lambda data, params: [len(data)], settings={"max_expanded_bytes": 400_000})
    answer = ask(app, body=parquet({"a": texts}), content_type=PARQUET)
    assert answer.json() == {"predictions": [20_000]}


def varint(number: int, length: int = 0) -> bytes:
    """Return a number of Thrift's compact protocol, in more bytes than it needs if asked."""
    number *= 2
    parts: list[int] = []
    while number > 127 or len(parts) + 1 < length:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def test_a_footer_that_lies_about_sizes_is_not_believed(app_of: AppOf, ask: Ask) -> None:
    import pyarrow as pa
    from pyarrow import parquet as pq

    target = io.BytesIO()
    table = pa.table({"a": ["x" * 1_000_000]})
    pq.write_table(table, target, compression="zstd", use_dictionary=False, write_statistics=False)
    body = target.getvalue()
    true = pq.ParquetFile(io.BytesIO(body)).metadata.row_group(0).column(0).total_uncompressed_size
    start = len(body) - 8 - struct.unpack("<I", body[-8:-4])[0]
    said = varint(true)
    footer = body[start:].replace(said, varint(9, len(said)))
    lying = body[:start] + footer
    column = pq.ParquetFile(io.BytesIO(lying)).metadata.row_group(0).column(0)
    assert column.total_uncompressed_size == 9
    app = app_of(lambda data, params: [1], settings={"max_expanded_bytes": 900_000})
    assert ask(app, body=lying, content_type=PARQUET).status_code == 413


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_an_encoding_that_hides_sizes_is_refused(app_of: AppOf, ask: Ask, encoding: str) -> None:
    body = parquet({"a": ["x" * 100] * 9}, use_dictionary=False, column_encoding={"a": encoding})
    app = app_of(lambda data, params: [1])
    refused = ask(app, body=body, content_type=PARQUET)
    assert refused.status_code == 400
    assert "encoding" in refused.text


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", [None, "snappy", "gzip", "zstd"])
def test_parquet_within_the_limits_is_read_as_before(
    app_of: AppOf, ask: Ask, version: str, compression: str | None
) -> None:
    frame = pd.DataFrame(
        {
            "number": np.arange(1000) / 7,
            "text": [f"{i % 7}" for i in range(1000)],
            "lists": [[i, i] for i in range(1000)],
            "moment": pd.date_range("2020-01-01", periods=1000),
            "truth": [True, None] * 500,
            "bytes": [b"x", None] * 500,
        }
    )
    seen: list[Any] = []
    app = app_of(noting(seen))
    target = io.BytesIO()
    frame.to_parquet(
        target,
        engine="pyarrow",
        compression=compression,
        data_page_version=version,
        row_group_size=300,
        data_page_size=500,
    )
    answer = ask(app, body=target.getvalue(), content_type=PARQUET)
    assert answer.status_code == 200
    pd.testing.assert_frame_equal(seen[0], pd.read_parquet(io.BytesIO(target.getvalue())))


def test_a_function_is_not_called_with_too_many_values(ask: Ask) -> None:
    app = create_function_app(
        lambda event: len(event.body), bind="strict", settings=HttpSettings(max_cells=100)
    )
    app.start()
    assert ask(app, "/", [0] * 90).text == "90"
    assert ask(app, "/", [0] * 101).status_code == 413
    assert ask(app, "/", b"," * 101, content_type="text/plain").text == "101"


def test_the_limits_of_the_settings_are_those_of_requests() -> None:
    settings = ServingSettings(max_cells=2, max_names=3, max_rows=4, max_expanded_bytes=5)
    as_given: dict[str, Any] = settings.to_dict()
    assert settings.limits == RequestLimits(2, 3, 4, 5)
    assert ServingSettings(**as_given).limits == settings.limits


@pytest.mark.parametrize("name", [field.name for field in fields(RequestLimits)])
def test_a_limit_is_a_whole_number_of_at_least_one(name: str) -> None:
    wrong: list[Any] = [0, -1, 1.5, "9", True]
    for value in wrong:
        with pytest.raises(InvalidArgumentError, match=name):
            ServingSettings(**{name: value})


@pytest.mark.parametrize("rows", [(1000, 100), (1000, 1000), (999_999, 1)])
def test_realistic_tables_are_within_the_defaults(rows: tuple[int, int]) -> None:
    limits = ServingSettings().limits
    height, width = rows
    limits.check_table(height, width)
    row = "[" + ",".join(["1.5"] * width) + "]"
    limits.check_json('{"dataframe_split":{"data":[' + ",".join([row] * height) + "]}}")
