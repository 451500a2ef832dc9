"""Sends any bodies to an application in a process whose memory is bounded; prints the statuses.

Run by ``test_worst_bodies.py``. Exits with an error where a body is neither answered nor refused.
"""

from __future__ import annotations

import asyncio
import io
import json
import resource
from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from starlette.applications import Starlette

from pyfunc.model.description import Model
from pyfunc.model.loaded import PyFuncModel
from pyfunc.schema import ColSpec, ModelSignature, Schema
from pyfunc.serving import ServingSettings, create_app

MORE_BYTES = 600 << 20
LIMITS = ServingSettings(
    max_cells=300_000, max_names=20_000, max_rows=200_000, max_expanded_bytes=64 << 20, threads=1
)
JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
COUNTS = st.sampled_from([0, 1, 20, 400, 5_000, 60_000, 150_000, 400_000])
SCALARS = ["0", "1.5", '"a"', "null", "[]", "{}"]
UNITS = [*SCALARS, '[0,"a"]', '{"a":0}', '{"a":"b","c":[]}', "[[[[0]]]]"]
FORMS = ["dataframe_split", "dataframe_records", "inputs", "instances", "messages"]


class Idle:
    """A model that does nothing."""

    def predict(self, data: object, params: object = None) -> list[int]:
        """Return one number."""
        return [1]


def bytes_of(text: str) -> bytes:
    return text.encode()


def split_body(unit: str, count: int, columns: int) -> bytes:
    labels = json.dumps([f"{i}" for i in range(columns)]) if columns else "null"
    row = f"[{','.join([unit] * max(columns, 1))}]"
    rows = ",".join([row] * min(count, 600_000 // (columns + 1)))
    return bytes_of(f'{{"dataframe_split":{{"columns":{labels},"data":[{rows}]}}}}')


def same_body(form: str, unit: str, count: int) -> bytes:
    return bytes_of(f'{{"{form}":[{",".join([unit] * count)}]}}')


def keys_body(form: str, unit: str, count: int) -> bytes:
    objects = [f'{{"{i}":{unit}}}' for i in range(count)]
    return bytes_of(f'{{"{form}":[{",".join(objects)}]}}')


def object_body(form: str, unit: str, count: int, length: int) -> bytes:
    cell = f"[{','.join([unit] * min(length, 600_000 // (count + 1)))}]" if length else unit
    pairs = [f'"{i}":{cell}' for i in range(count)]
    return bytes_of(f'{{"{form}":{{{",".join(pairs)}}}}}')


def text_body(length: int, count: int) -> bytes:
    return json.dumps({"inputs": ["x" * length, *["y"] * count]}).encode()


def csv_body(names: int, line: str, count: int) -> bytes:
    return bytes_of(",".join(map(str, range(names))) + "\n" + line * count)


def parquet_body(width: int, length: int, count: int, nested: bool) -> bytes:
    indices = pa.array(np.zeros(count, dtype=np.int32))
    column = pa.DictionaryArray.from_arrays(indices, ["x" * length])
    if nested:
        column = pa.ListArray.from_arrays([0, count], column)
    target = io.BytesIO()
    table = pa.table({f"{i}": column for i in range(max(1, min(width, 50)))})
    parquet.write_table(table, target, compression="zstd")
    return target.getvalue()


def tensor_body(datatype: str, count: int, width: int) -> bytes:
    cell = "" if datatype == "BYTES" else 0
    form = {"name": "x", "datatype": datatype, "shape": [count, width], "data": [cell] * count}
    return json.dumps({"inputs": [form]}).encode()


UNIT, FORM = st.sampled_from(UNITS), st.sampled_from(FORMS)
JSON_BODIES = st.one_of(
    st.builds(split_body, UNIT, COUNTS, COUNTS),
    st.builds(same_body, FORM, UNIT, COUNTS),
    st.builds(keys_body, FORM, UNIT, COUNTS),
    st.builds(object_body, FORM, UNIT, COUNTS, COUNTS),
    st.builds(text_body, COUNTS, COUNTS),
).map(lambda body: ("/invocations", JSON, body))
CSV_BODIES = st.builds(
    csv_body, COUNTS, st.sampled_from(["1\n", "\n", '"\n"\n', "1,2\n", 'a"\n', "\r"]), COUNTS
).map(lambda body: ("/invocations", CSV, body))
PARQUET_BODIES = st.builds(parquet_body, COUNTS, COUNTS, COUNTS, st.booleans()).map(
    lambda body: ("/invocations", PARQUET, body)
)
TENSORS = st.builds(
    tensor_body, st.sampled_from(["FP64", "BYTES", "BOOL"]), COUNTS, st.sampled_from([0, 1, 2])
).map(lambda body: ("/v2/models/model/infer", JSON, body))


def make_app(schema: Schema | None) -> Starlette:
    flavors = {"python_function": {"loader_module": "idle"}}
    signature = None if schema is None else ModelSignature(schema)
    model = PyFuncModel(Model(flavors=flavors, signature=signature), Idle())
    return create_app(model, name="model", settings=LIMITS)


def main() -> None:
    """Send the bodies, and print how often each status came."""
    columns = Schema([ColSpec("double", "0"), ColSpec("string", "a", required=False)])
    apps = [make_app(None), make_app(columns)]
    # What Arrow keeps for all that follows, a gibibyte of addresses in some of its releases.
    pd.read_parquet(io.BytesIO(parquet_body(1, 1, 1, nested=False)))
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MORE_BYTES, size + MORE_BYTES))
    seen: Counter[int] = Counter()

    @given(st.one_of(JSON_BODIES, CSV_BODIES, PARQUET_BODIES, TENSORS), st.sampled_from([0, 1]))
    @settings(
        max_examples=120,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    def send(request: tuple[str, str, bytes], which: int) -> None:
        path, kind, body = request

        async def ask() -> int:
            transport = httpx.ASGITransport(apps[which])
            async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
                answer = await client.post(path, content=body, headers={"content-type": kind})
                return answer.status_code

        status = asyncio.run(ask())
        seen[status] += 1
        assert status in {200, 400, 413}, (status, path, kind, body[:200])

    send()
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
