"""What ``predict`` takes in Python, a server process takes in each of its forms, alike.

Each model tells what it was given, so the answer to a request must be what the loaded model
answers in Python. One process serves one signature, and all cases of it are sent there.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib
import io
import json
import math
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Union  # noqa: UP035 - both spellings

import httpx
import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

import pyfunc
from pyfunc.schema import (
    Array,
    ColSpec,
    InputExample,
    Map,
    ModelSignature,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    TensorSpec,
    infer_schema,
)
from pyfunc.serving.open_inference.tensors import binary_of, datatype_of, json_data_of
from pyfunc.serving.open_inference.values import output_tensors

END = dt.date(9999, 12, 31)
CSV, PARQUET, BINARY = "text/csv", "application/vnd.apache.parquet", "application/octet-stream"
JSON = "application/json"


class Teller(pyfunc.PythonModel):
    """Answers with what it was given: classes in which the doors may differ count as one."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        import json

        told = self.tell(model_input)
        return [json.dumps([told, self.tell(params)] if params else told)]

    def tell(self, value: Any) -> Any:
        import datetime as dt

        import numpy as np
        import pandas as pd

        if isinstance(value, pd.DataFrame):
            columns = [value.iloc[:, i].tolist() for i in range(value.shape[1])]
            return {str(k): self.tell(v) for k, v in zip(value.columns, columns, strict=True)}
        if isinstance(value, (list, tuple, np.ndarray)):
            return [self.tell(item) for item in list(value)]
        if isinstance(value, dict):
            return {key: self.tell(item) for key, item in value.items()}
        if value is None or pd.isna(value):
            return None
        if isinstance(value, (dt.date, np.datetime64)):
            moment = pd.Timestamp(value)
            return (moment.tz_convert(None) if moment.tzinfo else moment).isoformat()
        value = value.item() if isinstance(value, np.generic) else value
        value = bytes(value) if isinstance(value, bytearray) else value
        return f"{type(value).__name__} {value!r}"


class Sent(NamedTuple):
    """A body of a request, and how it is sent."""

    body: bytes
    kind: str = JSON
    path: str = "/invocations"
    header: int | None = None


def json_of(tree: Any) -> Sent:
    return Sent(json.dumps(tree).encode())


def tensors_of(frame: pd.DataFrame, binary: bool) -> Sent:
    forms, blobs = [], []
    for name, array in output_tensors(frame, None).items():
        form: dict[str, Any] = {"name": name, "datatype": datatype_of(array.dtype)}
        form["shape"] = list(array.shape)
        if binary:
            blobs.append(binary_of(array))
            form["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            form["data"] = json_data_of(array)
        forms.append(form)
    header = orjson.dumps({"inputs": forms}, option=orjson.OPT_SERIALIZE_NUMPY)
    if not binary:
        return Sent(header, path="/v2/models/model/infer")
    return Sent(header + b"".join(blobs), BINARY, "/v2/models/model/infer", len(header))


def forms_of(frame: pd.DataFrame) -> dict[str, Sent]:
    """Return a frame in every form of a request."""
    split = json.loads(InputExample.from_value(frame).serving_json)["dataframe_split"]
    rows = split["data"]
    columns = [list(cells) for cells in zip(*rows, strict=True)]
    names = [str(label) for label in frame.columns]
    records = [dict(zip(names, row, strict=True)) for row in rows]
    texts = pd.DataFrame(dict(zip(names, columns, strict=True)), dtype=object)
    file = io.BytesIO()
    with contextlib.suppress(Exception):  # what pyarrow cannot write is sent in no such form
        frame.rename(columns=str).to_parquet(file)
    found = {
        "split": json_of({"dataframe_split": split}),
        "records": json_of({"dataframe_records": records}),
        "rows": json_of({"inputs": records}),
        "columns": json_of({"inputs": dict(zip(names, columns, strict=True))}),
        "instances": json_of({"instances": records}),
        "csv": Sent(texts.to_csv(index=False).encode(), CSV),
        "tensors": tensors_of(frame, binary=False),
    }
    if file.getvalue():
        found["parquet"] = Sent(file.getvalue(), PARQUET)
    with contextlib.suppress(pyfunc.PyfuncError):  # the binary form has no null
        found["binary"] = tensors_of(frame, binary=True)
    return found


@contextlib.contextmanager
def serving(path: Path) -> Iterator[httpx.Client]:
    """Serve a model in a process of its own; yield a client of it."""
    socket = path.parent / "socket"
    command = [sys.executable, "-m", "pyfunc", "serve", str(path), "--uds", str(socket)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    lines: list[str] = []
    try:
        for line in process.stderr:
            lines.append(line)
            if re.search("Serving on", line):
                break
        assert process.poll() is None, "".join(lines)
        transport = httpx.HTTPTransport(uds=str(socket))
        with httpx.Client(transport=transport, base_url="http://localhost", timeout=60) as client:
            yield client
    finally:
        process.terminate()
        process.communicate(timeout=60)


def send(client: httpx.Client, sent: Sent) -> tuple[int, Any]:
    """Return the status, and what the model told."""
    headers = {"content-type": sent.kind}
    if sent.header is not None:
        headers["inference-header-content-length"] = str(sent.header)
    answer = client.post(sent.path, content=sent.body, headers=headers)
    tree = answer.json()
    if answer.status_code != 200:
        return answer.status_code, tree
    found = tree["outputs"][0]["data"] if "outputs" in tree else tree["predictions"]
    return 200, json.loads(found[0])


def save(path: Path, signature: ModelSignature | None, model: Any = None, **more: Any) -> Any:
    """Save a model; return what ``predict`` of it tells in Python."""
    pyfunc.save_model(path, python_model=model or Teller(), signature=signature,
                      pip_requirements=[], **more)  # fmt: skip
    loaded = pyfunc.load_model(path)
    return lambda data, **options: json.loads(loaded.predict(data, **options)[0])


def quiet_schema(data: Any) -> Schema:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that integer columns cannot be missing
        return infer_schema(data)


def objects(*values: Any) -> pd.Series:
    column: pd.Series = pd.Series(list(values), dtype=object)
    return column


NESTED = {"columns", "instances", "csv"}  # forms that columns of lists and objects lack
NO_NULL = {"tensors", "binary"}  # tensors have a null for floats alone
TABLES: list[Any] = [
    pytest.param({"valid_to": objects(END), "x": [1.5]}, set(), id="never"),
    pytest.param({"valid_to": objects(END, None), "x": [1.5, 2.5]}, NO_NULL, id="never-or-null"),
    pytest.param({"a": objects(dt.date(1, 1, 1), dt.date(1500, 1, 2))}, set(), id="long-ago"),
    pytest.param({"a": objects(dt.datetime(1500, 1, 2, 3, 4, 5, 6))}, set(), id="datetime"),
    pytest.param({"a": np.array(["2020-01-02", "NaT"], "M8[ns]")}, NO_NULL, id="nat"),
    pytest.param({"a": pd.to_datetime(["2020-01-02"], utc=True)}, set(), id="zone"),
    pytest.param({"a": np.array(["2020-01-02"], "M8[s]")}, set(), id="seconds"),
    pytest.param({"a": objects(2**63, -1), "b": objects(2**70, None)}, NO_NULL, id="large"),
    pytest.param({"a": objects(-(2**70), 1)}, NO_NULL, id="large-and-small"),
    pytest.param({"a": pd.array([2**53 + 1, None], dtype="Int64")}, NO_NULL, id="Int64"),
    pytest.param({"a": pd.array([True, None], dtype="boolean")}, NO_NULL, id="boolean"),
    pytest.param({"a": objects(1, None)}, NO_NULL, id="null-among-integers"),
    pytest.param({"a": [math.nan, 1.5]}, set(), id="nan"),
    pytest.param({"a": objects(b"abc", bytearray(b"d"))}, set(), id="bytes"),
    pytest.param({"a": objects(b"a\0", b"b")}, set(), id="bytes-with-nul"),
    pytest.param({"a": np.array([1, 2], "i2"), "b": np.array([1.5, 2.5], "f2")}, set(), id="16"),
    pytest.param({"a": np.array([1, 2], "u4"), "b": np.array([1, 2], "u1")}, set(), id="unsigned"),
    pytest.param({"a": objects(np.int16(3)), "b": objects(np.float32(1.5))}, set(), id="scalars"),
    pytest.param({"a": pd.arrays.SparseArray([True, False])}, set(), id="sparse"),
    pytest.param({"a": pd.Series(["x", "y", "x"]).astype("category")}, set(), id="category"),
    pytest.param({"a": pd.Series([3, 1]).astype("category")}, set(), id="category-of-numbers"),
    pytest.param({"a": pd.array(["x"], dtype="string"), "b": ["é"]}, set(), id="text"),
    pytest.param({"a": objects([1, 2], [3])}, NESTED, id="lists"),
    pytest.param({"a": objects([2**63 - 1, None], [3])}, NESTED, id="lists-with-null"),
    pytest.param({"a": objects([1.5, None], [math.nan])}, NESTED, id="floats-with-null"),
    pytest.param({"a": objects([2**70], [1])}, NESTED, id="lists-of-large"),
    pytest.param({"a": objects([], [1])}, NESTED, id="an-empty-list"),
    pytest.param({"a": objects(["x", None], ["y"])}, NESTED, id="lists-of-text"),
    pytest.param({"a": objects([b"x"], [b"yz", b"\xff"])}, NESTED, id="lists-of-bytes"),
    pytest.param({"a": objects([END, dt.date(2020, 1, 2)])}, NESTED, id="lists-of-dates"),
    pytest.param({"a": objects([[1, None], []], [[2]])}, NESTED, id="lists-of-lists"),
    pytest.param({"a": objects(np.array([1, 2]), np.array([3]))}, NESTED, id="arrays"),
    pytest.param({"a": objects(np.array([["x", "yz"]]))}, NESTED, id="2-d"),
    pytest.param({"a": objects({"x": 1}, {"x": None})}, NESTED, id="objects"),
    pytest.param({"a": objects({"x": [b"a"], "t": END})}, NESTED, id="objects-of-bytes"),
    pytest.param({"a": objects([{"x": 1}, {"x": 2**63}])}, NESTED, id="lists-of-objects"),
    pytest.param({0: [1, 2], 1: ["x", "y"]}, set(), id="names-that-are-numbers"),
]  # fmt: skip


def test_one_process_takes_every_table(tmp_path: Path) -> None:
    """All tables are the columns of one schema, each optional, so that one process is enough."""
    specs, frames = [], []
    for case in TABLES:
        columns, refused = case.values
        frame = pd.DataFrame(columns)
        schema = quiet_schema(frame)
        frame.columns = [f"{case.id}.{label}" for label in frame.columns]
        frames.append((frame, refused))
        specs += [ColSpec(s.type, f"{case.id}.{s.name}", required=False) for s in schema]
    for part in ("scalars", "nested"):
        chosen = [pair for pair in frames if (pair[1] == NESTED) == (part == "nested")]
        labels = {label for frame, _ in chosen for label in frame}
        schema = Schema([spec for spec in specs if spec.name in labels])
        (tmp_path / part).mkdir()
        predict = save(tmp_path / part / "model", ModelSignature(schema))
        problems = []
        with serving(tmp_path / part / "model") as client:
            for frame, refused in chosen:
                expected = predict(frame)
                for form, sent in forms_of(frame).items():
                    status, told = send(client, sent)
                    if form in refused and status == 400:
                        continue
                    if (status, told) != (200, expected):
                        problems.append((frame.columns[0], form, status, told, expected))
        assert problems == []


def tensor(data: Any, datatype: str, shape: list[int], name: str = "c", **more: Any) -> Sent:
    form = {"name": name, "datatype": datatype, "shape": shape, "data": data}
    tree = {"inputs": [form], **more}
    return Sent(json.dumps(tree).encode(), path="/v2/models/model/infer")


VALUES: list[Any] = [
    *(None, True, 1, -1, 1.5, 2**63, 2**70, 1e308, "", "a", "AA==", "NaT", "now", "Infinity"),
    *("2020-01-02", "9999-12-31", "9999-12-31T23:59:59.123456789", [], [[]], {}, [{}], [None]),
    *([1], [1, None], [True, 0], [2**63], [[2**70]], [1.5, "a"], [[1, 2], [3]], [1, [2]]),
    *(["a", None], ["AA==", "b"], ["2020-01-02", None], ["NaT"], [[[1]]], [{"x": 1}]),
    *([{"x": 1}, {"x": None}], [{"c": 1}], [{"c": [1, 2]}], [{"c": {"x": [1, None]}}]),
    *({"c": 1}, {"c": [1, 2]}, {"c": [[1, 2], [3, 4]]}, {"c": None}, {"c": {"x": 1}}, {"c": []}),
    *({"x": 1}, {"columns": ["c"], "data": [[1]]}, {"columns": ["c"], "data": [[[1, None]]]}),
    *({"data": [[1, 2]]}, {"data": []}, {"columns": [["c", 1]], "data": [[1]]}),
]
ODD: list[Sent] = [
    *[
        json_of({form: value})
        for form in ("inputs", "instances", "dataframe_split", "dataframe_records")
        for value in VALUES
    ],
    *[json_of({"inputs": [1], "params": value}) for value in VALUES],
    Sent(b'{"inputs": ["a\\ud800"]}'),
    Sent(b'{"inputs": [NaN]}'),
    *[Sent(text, CSV) for text in (b"", b"c", b"c\n1\n", b"c\n\xff\n", b'c\n"', b"c\n1,2\n")],
    *[Sent(f"c\n{cell}\n".encode(), CSV) for cell in (2**63, 2**70, "9999-12-31", "AA==", "x")],
    tensor([1, 2], "INT64", [1, 2]),
    tensor([None], "FP64", [1]),
    tensor([2**64 - 1], "UINT64", [1]),
    tensor([2**63], "INT64", [1]),
    tensor(["a"], "BYTES", [1]),
    tensor(['{"x": [1, null]}'], "BYTES", [1]),
    tensor(["9999-12-31"], "BYTES", [1, 1]),
    tensor([], "BYTES", [0, 2]),
    tensor([1], "INT64", []),
    tensor([True], "BOOL", [1], parameters={"p": [1], "q": {"x": None}}),
]


def check_odd(client: httpx.Client) -> None:
    """Send what fits few signatures; nothing of it is a failure of the server."""
    for sent in ODD:
        status, answer = send(client, sent)
        assert status in (200, 400), (sent, answer)
    for table in (
        pa.table({"c": pa.array([[1, None]])}),
        pa.table({"c": pa.array([{"x": 1}, {"x": None}])}),
        pa.table({"c": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))}),
        pa.table({"c": pa.array([None, None])}),
    ):
        target = io.BytesIO()
        parquet.write_table(table, target)
        status, answer = send(client, Sent(target.getvalue(), PARQUET))
        assert status in (200, 400), (table, answer)


class Case(NamedTuple):
    """What is sent, and the data in Python that it stands for; None if it is refused."""

    data: Any
    sent: Sent


def inputs(value: Any, data: Any = None) -> Case:
    return Case(data, json_of({"inputs": value}))


def records(value: Any, data: Any = None) -> Case:
    return Case(data, json_of({"dataframe_records": value}))


def split(value: Any, data: Any = None) -> Case:
    return Case(data, json_of({"dataframe_split": {"columns": ["c"], "data": [[value]]}}))


def of(dtype: Any, name: Any = None, required: bool = True) -> Schema:
    return Schema([ColSpec(dtype, name, required=required)])


OBJECT = Object([Property("x", "long"), Property("y", Array("double"), required=False)])
DAY = "2020-01-02"
SIGNATURES: list[Any] = [
    pytest.param(of(Array("long")), [
        inputs([[1, 2], [3]], [[1, 2], [3]]),
        inputs([[1, None]], [[1, None]]),
        inputs([[2**63, 2**70]], [[2**63, 2**70]]),
        inputs([{"x": 1}]), inputs([]), inputs([1]), inputs([[1.5]]), inputs({"x": [1]}),
    ], id="list"),
    pytest.param(of(Array("long"), "c"), [
        records([{"c": [1, None]}], [{"c": [1, None]}]),
        records([{"c": 1}], None), records([{"c": None}], None), records([{"c": {"x": 1}}], None),
        inputs([{"c": [1]}], [{"c": [1]}]),
    ], id="list-of-a-name"),
    pytest.param(of(Array("double"), "c"), [
        split([True, 0], [{"c": [True, 0]}]),
        split([1, None], [{"c": [1, None]}]),
        split([2**53 + 1, None], None),
        split([1, 2], None),
        split([[1.5]], None),
        inputs([{"c": [False, 1]}], [{"c": [1.0 * 0, 1.0]}]),
    ], id="doubles"),
    pytest.param(of(Array(Array("datetime")), "c", required=False), [
        split([[DAY, None], []], [{"c": [[dt.date(2020, 1, 2), None], []]}]),
        split([["9999-12-31"]], [{"c": [[END]]}]),
        split(None, [{"c": None}]),
        split([["now"]], None),
    ], id="dates"),
    pytest.param(of("binary", "c"), [
        split("YWJj", [{"c": b"abc"}]), split("YQA=", [{"c": b"a\0"}]),
        split(1, None), split("a", None), split(None, None),
        Case([{"c": b"abc"}], Sent(b"c\nYWJj\n", CSV)),
        Case([{"c": b"abc"}], tensor(["YWJj"], "BYTES", [1])),
    ], id="bytes"),
    pytest.param(of(OBJECT, "c"), [
        inputs([{"c": {"x": 1}}], [{"c": {"x": 1}}]),
        split({"x": 2**63, "y": [1.5, None]}, [{"c": {"x": 2**63, "y": [1.5, None]}}]),
        split({"x": None}, None), split({"z": 1}, None), split([1], None),
        inputs([{"x": 1}]), inputs([]),
    ], id="object"),
    pytest.param(of(Map("datetime"), "c"), [
        split({"k": DAY, "far": "9999-12-31"}, [{"c": {"k": dt.date(2020, 1, 2), "far": END}}]),
        split({"k": 1.5}, None), split([DAY], None),
    ], id="map"),
    pytest.param(of("long"), [
        inputs([1, None], [1, None]), inputs([2**63], [2**63]), inputs([2**70, 1], [2**70, 1]),
        inputs(["5"], [5]), inputs([1.5]), inputs(["x"]), inputs({"a": 1}),
        Case([1, 2], tensor([[1], [2]], "INT64", [2, 1])),
    ], id="long"),
    pytest.param(Schema([TensorSpec(np.dtype("float32"), (-1, 2))]), [
        inputs([[1, 2.5]], np.array([[1, 2.5]], "f4")),
        inputs([[1], [2]]), inputs([1, 2]), inputs([["x", 1]]), inputs([[1e39, 1]]), inputs(1),
        Case(np.array([[1, 2.5]], "f4"), tensor([1, 2.5], "FP32", [1, 2])),
    ], id="tensor"),
    pytest.param(Schema([TensorSpec(np.dtype("bytes"), (-1,), "c"),
                         TensorSpec(np.dtype("M8[s]"), (-1,), "d")]), [
        inputs({"c": ["YWJj"], "d": ["9999-12-31"]},
               {"c": np.array([b"abc"]), "d": np.array(["9999-12-31"], "M8[s]")}),
        inputs({"c": ["YWJj"], "d": ["now"]}), inputs({"c": ["YQA="], "d": [DAY]}),
        inputs({"c": ["YWJj"]}), inputs([1]),
    ], id="tensors"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "cases"), SIGNATURES)
def test_a_process_answers_as_python_does(tmp_path: Path, schema: Schema, cases: Any) -> None:
    predict = save(tmp_path / "model", ModelSignature(schema))
    with serving(tmp_path / "model") as client:
        for case in cases:
            status, told = send(client, case.sent)
            if case.data is None:
                assert status == 400, (case, told)
            else:
                assert (status, told) == (200, predict(case.data)), case
        check_odd(client)


PARAMS = ParamSchema([
    ParamSpec("p", "long", [1], (-1,)), ParamSpec("when", "datetime", END),
    ParamSpec("x", "double", 1.5),
    ParamSpec("o", Object([Property("k", "string")]), {"k": "v"}),
])  # fmt: skip
GIVEN: list[tuple[Any, int]] = [
    ({"p": [2, 3], "when": DAY, "x": 1}, 200),
    ({"p": [2**63]}, 200),
    ({"o": {"k": "w"}}, 200),
    ({"unknown": 1}, 200),
    ({}, 200),
    ({"p": 1}, 400),
    ({"p": ["a"]}, 400),
    ({"when": "x"}, 400),
    ({"o": {"z": 1}}, 400),
    ({"o": [1]}, 400),
    ({"x": True}, 400),
]


def test_parameters_come_through_both_protocols(tmp_path: Path) -> None:
    predict = save(tmp_path / "model", ModelSignature(of("long"), params=PARAMS))
    loaded = pyfunc.load_model(tmp_path / "model")
    odd: Any
    for odd in (pd.DataFrame({"p": [1]}), [1], "p", 1):
        with pytest.raises(pyfunc.PyfuncError, match="params must be a dict"):
            loaded.predict([1], params=odd)
    with serving(tmp_path / "model") as client:
        for params, expected in GIVEN:
            for sent in (
                json_of({"inputs": [1], "params": params}),
                tensor([1], "INT64", [1], parameters=params),
            ):
                status, told = send(client, sent)
                assert status == expected, (params, told)
                if status == 200:
                    assert told == predict([1], params=params), params
        check_odd(client)


def hinted(hint: Any) -> Any:
    """Return a model whose input has a type hint."""

    def predict(self: Any, model_input: Any, params: Any = None) -> Any:
        return Teller.predict(self, None, model_input, params)

    predict.__annotations__ = {"model_input": hint}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that values of any type are not checked
        return type("Hinted", (Teller,), {"predict": predict})()


HINTS: list[Any] = [
    pytest.param([list[str], List[str], "list[str]", "List[str]"],  # noqa: UP006
                 [(["a", "é"], True), ([1], False), ([["a"]], False), ([], True)], id="text"),
    pytest.param([list[list[int]], List[List[int]], "List[list[int]]"],  # noqa: UP006
                 [([[1, 2**63], []], True), ([[1.5]], False), ([1], False)], id="lists"),
    pytest.param([list[dict[str, float]], List[Dict[str, float]]],  # noqa: UP006
                 [([{"a": 1.5}], True), ([{"a": "x"}], False), ([1], False)], id="dicts"),
    pytest.param([list[Union[int, str]], list[int | str], list[Any]],  # noqa: UP007
                 [([1, "a", None], True), ([[1]], True)], id="unions"),
    pytest.param([list[list[Optional[int]]], list[list[int | None]]],  # noqa: UP045
                 [([[1, None]], True), ([["a"]], False)], id="optional"),
]  # fmt: skip


@pytest.mark.parametrize(("hints", "cases"), HINTS)
def test_spellings_of_a_type_hint_serve_alike(tmp_path: Path, hints: Any, cases: Any) -> None:
    (taken, _), *_ = cases
    columns: dict[Any, Any] = {0: objects(*taken)}
    if not isinstance(taken[0], dict):  # rows of several columns are dicts themselves
        columns["other"] = ["b"] * len(taken)
    table = pd.DataFrame(columns)
    schemas, told_of_tables = [], []
    for number, hint in enumerate(hints):
        (tmp_path / str(number)).mkdir()
        predict = save(tmp_path / str(number) / "model", None, hinted(hint))
        schemas.append(pyfunc.load_model(tmp_path / str(number) / "model").input_schema)
        told_of_tables.append(predict(table))
    assert schemas == [schemas[0]] * len(hints)
    assert told_of_tables == [told_of_tables[0]] * len(hints)
    with serving(tmp_path / str(len(hints) - 1) / "model") as client:
        for value, is_taken in cases:
            status, told = send(client, json_of({"inputs": value}))
            assert status == (200 if is_taken else 400), (value, told)
            if is_taken:
                assert told == predict(value), value
        check_odd(client)


class Answers(pyfunc.PythonModel):
    """Answers with integers beside a null, in each way in which pandas and Python hold them."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        import numpy as np
        import pandas as pd

        values = [2**53 + 1, None]
        masked = pd.array(values, dtype="Int64")
        return {
            "Int64": masked,
            "Series": pd.Series(masked),
            "arrow": pd.Series(values, dtype="int64[pyarrow]"),
            "list": values,
            "frame": pd.DataFrame({"c": masked}),
            "masked": np.ma.MaskedArray([2**53 + 1, 0], mask=[False, True]),
        }[model_input[0]]


def test_integers_beside_nulls_are_answered_exactly(tmp_path: Path) -> None:
    save(tmp_path / "model", None, Answers())
    with serving(tmp_path / "model") as client:
        for form in ("Int64", "Series", "arrow", "list", "frame", "masked"):
            sent = tensor([form], "BYTES", [1])
            answer = client.post(sent.path, content=sent.body, headers={"content-type": JSON})
            (output,) = answer.json()["outputs"]
            assert (output["datatype"], output["data"]) == ("INT64", [2**53 + 1, None]), form
            tree = {"inputs": [form]}
            told = client.post("/invocations", json=tree).json()["predictions"]
            cells = [next(iter(row.values())) if isinstance(row, dict) else row for row in told]
            assert cells == [2**53 + 1, None], form


FRAME = pd.DataFrame({"n": np.arange(40.0), "c": ["x", "y", "z", "x"] * 10, "k": [1, 2] * 20})
TARGET = [0, 1, 1, 0] * 10


def train(library: str) -> tuple[Any, Any]:
    """Return a flavor, and a model of it that was trained with a column of categories."""
    if library == "sklearn":
        import sklearn.compose
        import sklearn.linear_model
        import sklearn.pipeline
        import sklearn.preprocessing

        encode = sklearn.preprocessing.OneHotEncoder(handle_unknown="ignore")
        columns = sklearn.compose.make_column_transformer((encode, ["c"]), remainder="passthrough")
        logistic = sklearn.linear_model.LogisticRegression()
        model: Any = sklearn.pipeline.make_pipeline(columns, logistic)
    elif library == "xgboost":
        import xgboost

        model = xgboost.XGBClassifier(enable_categorical=True, n_estimators=3)
    else:
        import lightgbm

        small: dict[str, Any] = {"min_data_in_leaf": 1, "min_data_per_group": 1, "verbosity": -1}
        model = lightgbm.LGBMClassifier(n_estimators=3, **small)
    flavor = importlib.import_module(f"pyfunc.flavors.{library}")
    return flavor, model.fit(FRAME.astype({"c": "category", "k": "category"}), TARGET)


@pytest.mark.parametrize("library", ["xgboost", "lightgbm", "sklearn"])
def test_categories_answer_plain_texts(tmp_path: Path, library: str) -> None:
    flavor, model = train(library)
    trained = FRAME.astype({"c": "category", "k": "category"})
    signature = ModelSignature(quiet_schema(trained))
    flavor.save_model(model, tmp_path / "model", signature=signature, pip_requirements=[])
    predict = pyfunc.load_model(tmp_path / "model").predict
    rows = FRAME.head(8)
    expected = np.asarray(predict(trained.head(8))).tolist()
    assert len(set(expected)) > 1
    if library == "xgboost" and not hasattr(model.get_booster(), "get_categories"):
        with pytest.raises(ValueError, match="must be int, float, bool or category"):
            predict(rows)  # models of XGBoost before 3.1 do not hold their categories
        return
    assert np.asarray(predict(rows)).tolist() == expected
    with serving(tmp_path / "model") as client:
        for form, sent in (forms_of(rows) | {"own": forms_of(trained.head(8))["parquet"]}).items():
            headers = {"content-type": sent.kind}
            if sent.header is not None:
                headers["inference-header-content-length"] = str(sent.header)
            tree = client.post(sent.path, content=sent.body, headers=headers).json()
            found = tree["outputs"][0]["data"] if "outputs" in tree else tree.get("predictions")
            assert found == expected, (form, tree)
