"""Rows of numbers that are read without a frame: the same bytes as in the careful way."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.svm import SVC

from pyfunc.errors import PyfuncError
from pyfunc.flavors.sklearn import SklearnPredictor
from pyfunc.model.description import Model
from pyfunc.model.loaded import PyFuncModel
from pyfunc.schema import (
    ColSpec,
    ModelSignature,
    ParamSchema,
    ParamSpec,
    RequestLimits,
    RequestReader,
    Schema,
)
from pyfunc.schema.wire.json_rows import RowReader
from pyfunc.serving import create_app
from pyfunc.serving.http.brief import TRIALS
from pyfunc.serving.open_inference.rows import TensorRowReader
from pyfunc.serving.settings import ServingSettings

NAMES = ["a", "b c", "ä"]
TYPES = {"double": "float64", "float": "float32", "long": "int64", "integer": "int32"}
CELLS = st.sampled_from(
    [
        *("1", "1.0", "-0.0", "0.1", "2.5e3", "1e308", "1e39", "1e999", "16777217"),
        *("2147483647", "2147483648", "9223372036854775807", "9223372036854775808"),
        *("123456789012345678901234567890", "null", "true", "false", "NaN", "Infinity"),
        *('"1"', '"1.5"', '"x"', "[1]", "[]", "{}", "01", "1.", "+1"),
    ]
)
GOOD_CELLS = {
    "f": st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr)
    | st.integers(-(2**31), 2**31 - 1).map(str),
    "i": st.integers(-(2**31), 2**31 - 1).map(str),
}
LABELS = st.permutations(NAMES) | st.just(NAMES) | st.lists(st.sampled_from([*NAMES, "z"]))
SPACES = st.sampled_from(["", " ", "\n\t"])


LIMITS = ServingSettings().limits


def schema_of(kind: str) -> Schema:
    return Schema([ColSpec(kind, name) for name in NAMES])


def reader_of(kind: str, limits: RequestLimits = LIMITS) -> RowReader:
    return RowReader(NAMES, np.dtype(TYPES[kind]), limits)


def turned(cells: list[str], by: int) -> list[str]:
    """Return the cells of another row."""
    return cells[by % len(cells) :] + cells[: by % len(cells)]


def split(labels: list[str], cells: list[str], extra: str = "", rows: int = 1) -> str:
    data = ", ".join(f"[{', '.join(turned(cells, i))}]" for i in range(rows))
    held = f'"columns": {json.dumps(labels)}, "data": [{data}]{extra}'
    return f'{{"dataframe_split": {{{held}}}}}'


def record(labels: list[str], cells: list[str], extra: str = "", rows: int = 1) -> str:
    held = [
        ", ".join(
            map(
                "{0[0]}: {0[1]}".format,
                zip(map(json.dumps, labels), turned(cells, i), strict=False),
            )
        )
        for i in range(rows)
    ]
    return f'{{"dataframe_records": [{", ".join(f"{{{pairs}}}" for pairs in held)}]{extra}}}'


def tensors(labels: list[str], cells: list[str], extra: str = "", rows: int = 1) -> str:
    columns = zip(*[turned(cells, i) for i in range(rows)], strict=True)
    forms = [
        f'{{"name": {json.dumps(label)}, "shape": [{rows}], "datatype": "FP64", '
        f'"data": [{", ".join(column)}]}}'
        for label, column in zip(labels, columns, strict=False)
    ]
    return f'{{"inputs": [{", ".join(forms)}]{extra}}}'


def one_tensor(labels: list[str], cells: list[str], extra: str = "", rows: int = 1) -> str:
    data = ", ".join(", ".join(turned(cells, i)) for i in range(rows))
    shape = [rows, len(cells)]
    return (
        f'{{"inputs": [{{"name": "x", "shape": {shape}, "datatype": "FP64", '
        f'"data": [{data}]}}]{extra}}}'
    )


EXTRAS = st.sampled_from(
    [
        *("", "", "", ', "params": {"k": 1}', ', "id": "7"', ', "id": 7', ', "index": [0]'),
        *(', "inputs": [1]', ', "parameters": {}', ', "data": [[1, 2, 3]]', ', "outputs": []'),
        ', "outputs": [{"name": "predictions"}]',
    ]
)


@st.composite
def bodies(draw: st.DrawFn, forms: list[Callable[..., str]]) -> bytes:
    """A body that is nearly what a client sends, or is that."""
    cells = draw(st.lists(CELLS | GOOD_CELLS["f"], min_size=2, max_size=4))
    rows = draw(st.integers(0, 3))
    text: str = draw(st.sampled_from(forms))(draw(LABELS), cells, draw(EXTRAS), rows)
    text = draw(SPACES) + text + draw(SPACES | st.sampled_from(["x", "}"]))
    for old, new in draw(
        st.lists(st.tuples(*[st.sampled_from(["[1]", "1", "a", '"', ",", " "])] * 2), max_size=1)
    ):
        text = text.replace(old, new, 1)
    return text.encode()


@pytest.mark.parametrize("kind", TYPES)
@given(data=st.data())
def test_what_is_read_is_what_the_careful_way_reads(kind: str, data: st.DataObject) -> None:
    body = data.draw(bodies([split, record]))
    cells = reader_of(kind).read(body)
    if cells is None:
        return
    found = RequestReader(schema_of(kind)).parse_json(body)
    assert found.params is None
    assert not found.unified
    frame = pd.DataFrame(cells, columns=NAMES, index=found.data.index)
    pd.testing.assert_frame_equal(found.data, frame, check_exact=True)
    laid = found.data.to_numpy()
    assert cells.tobytes("A") == laid.tobytes("A")
    assert cells.flags.f_contiguous
    assert laid.flags.f_contiguous


@pytest.mark.parametrize("limit", [{"max_cells": 20}, {"max_rows": 4}, {"max_names": 2}])
def test_limits_hold_for_tables(limit: dict[str, int]) -> None:
    limits = replace(LIMITS, **limit)
    body = split(NAMES, ["1.5", "2.5", "3.5"], "", 5).encode()
    with pytest.raises(PyfuncError) as quick:
        reader_of("double", limits).read(body)
    with pytest.raises(PyfuncError) as careful:
        RequestReader(schema_of("double"), limits=limits).parse_json(body)
    assert str(quick.value) == str(careful.value)
    assert quick.value.error_code == careful.value.error_code == "PAYLOAD_TOO_LARGE"


INDEXES = {1: ', "index": [7]', 5: ', "index": [0, 1, 1, -3, 12345678901]'}


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("form", ["split", "split with an index", "record"])
@pytest.mark.parametrize("kind", TYPES)
@given(data=st.data())
def test_what_clients_send_is_read(kind: str, form: str, rows: int, data: st.DataObject) -> None:
    dtype = np.dtype(TYPES[kind])
    cells = data.draw(st.lists(GOOD_CELLS[dtype.kind], min_size=3, max_size=3))
    extra = INDEXES[rows] if form.endswith("index") else ""
    body = (record if form == "record" else split)(NAMES, cells, extra, rows)
    table = reader_of(kind).read(body.encode())
    assert table is not None
    assert table.dtype == dtype
    numbers = [[json.loads(cell) for cell in turned(cells, i)] for i in range(rows)]
    assert table.tolist() == np.array(numbers, dtype=dtype).tolist()


def test_null_is_a_number_that_is_missing() -> None:
    table = reader_of("float").read(split(NAMES, ["null", "1.5", "2"], "", 2).encode())
    assert table is not None
    np.testing.assert_array_equal(table, [[np.nan, 1.5, 2], [1.5, 2, np.nan]])


@pytest.mark.parametrize("kind", ["double", "long"])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            b'{"dataframe_records": [{"a": 1.0, "a": 2.0, "b c": 1.0, "\xc3\xa4": 1.0}]}',
            id="key-twice",
        ),
        pytest.param(split(NAMES, ["1.0"] * 3, ', "data": [[1, 2, 3]]').encode(), id="data-twice"),
        pytest.param(split(NAMES, ["9" * 400] * 3).encode(), id="beyond-a-double"),
        pytest.param(split(NAMES, ["1"] * 2).encode(), id="too-few"),
        pytest.param(split(NAMES, ["1], [1", "1"]).encode(), id="rows-of-several-lengths"),
        pytest.param(split(NAMES, ['"1"', "1", "1"]).encode(), id="text"),
        pytest.param(split(NAMES[::-1], ["1"] * 3).encode(), id="other-order"),
        pytest.param(split(NAMES, ["1"] * 3, ', "index": [0, 1]').encode(), id="long-index"),
        pytest.param(split(NAMES, ["1"] * 3, ', "index": [0.5]').encode(), id="index-of-floats"),
        pytest.param(split(NAMES, ["1"] * 3, ', "index": ["a"]').encode(), id="index-of-texts"),
        pytest.param(split(NAMES, ["1"] * 3, "", 0).encode(), id="no-rows"),
        pytest.param(b'{"dataframe_records": [{"a": 1}, 1]}', id="records-and-others"),
        pytest.param(b'{"instances": [[1, 2, 3]]}', id="another-form"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff", id="no-text"),
    ],
)
def test_all_else_is_left_to_the_careful_way(body: bytes, kind: str) -> None:
    assert reader_of(kind).read(body) is None


def test_integers_beyond_64_bits_are_left_to_the_careful_way() -> None:
    body = split(NAMES, ["-9223372036854775809", "1", "1"]).encode()
    assert reader_of("long").read(body) is None


def test_a_shape_of_many_axes_is_not_multiplied() -> None:
    shape = [1] * 3 + [2**62] * 10**5
    tensor = {"name": "x", "shape": shape, "datatype": "FP64", "data": [1.0, 2.0, 3.0]}
    body = json.dumps({"inputs": [tensor]}).encode()
    assert TensorRowReader(reader_of("double")).read(body) is None


class Recorder(SklearnPredictor):
    """Notes on which threads rows are predicted."""

    def __init__(self, model: object) -> None:
        super().__init__(model)
        self.threads: list[str] = []

    def row_method(self, name: str, columns: list[str]) -> Any:
        method = super().row_method(name, columns)
        assert method is not None

        def call(cells: Any) -> object:
            self.threads.append(threading.current_thread().name)
            return method(cells)

        return call


def loaded(
    predictor: object, kind: str = "double", params: ParamSchema | None = None
) -> PyFuncModel:
    signature = ModelSignature(schema_of(kind), Schema([ColSpec("double")]), params)
    flavors = {"python_function": {"loader_module": "toy"}}
    return PyFuncModel(Model(artifact_path="toy", flavors=flavors, signature=signature), predictor)


def fitted(estimator: Any) -> Any:
    cells = np.random.default_rng(3).uniform(-1.0, 1.0, size=(30, 3))
    frame = pd.DataFrame(cells, columns=NAMES)
    return estimator.fit(frame, cells.sum(axis=1) > 0)


@functools.cache
def recorder() -> Recorder:
    return Recorder(fitted(LinearRegression()))


@functools.cache
def apps() -> tuple[Any, Any]:
    """Return an application whose rows are predicted on the loop by now, and a careful one."""
    settings = ServingSettings(debug=True)
    careful = loaded(recorder())
    careful.row_predictor = None  # so that all go the careful way
    return create_app(loaded(recorder()), settings=settings), create_app(
        careful, settings=settings
    )


def answer_of(ask: Any, app: Any, path: str, body: bytes) -> tuple[int, object, object]:
    response: httpx.Response = ask(app, path, body)
    if response.status_code != 500:
        return response.status_code, sorted(response.headers.items()), response.content
    tree = response.json()  # each error has an id of its own
    return 500, tree.get("error_code"), tree.get("message")


@pytest.mark.parametrize(
    ("path", "forms"),
    [
        pytest.param("/invocations", [split, record], id="scoring"),
        pytest.param("/v2/models/toy/infer", [tensors, one_tensor], id="inference"),
    ],
)
@given(data=st.data())
def test_both_ways_answer_the_same_bytes(
    path: str, forms: list[Callable[..., str]], ask: Any, data: st.DataObject
) -> None:
    quick, careful = apps()
    body = data.draw(bodies(forms))
    assert answer_of(ask, quick, path, body) == answer_of(ask, careful, path, body)


@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize("path", ["/invocations", "/v2/models/toy/infer"])
@pytest.mark.parametrize("name", ["one", "two"])
def test_brief_predictions_move_to_the_loop(live: Any, path: str, name: str, rows: int) -> None:
    predictor = Recorder(fitted(LinearRegression()))
    app = create_app(loaded(predictor))
    form = {
        "/invocations": {"one": split, "two": record},
        "/v2/models/toy/infer": {"one": tensors, "two": one_tensor},
    }[path][name]
    body = form(NAMES, ["0.5", "-1", "2e-1"], "", rows).encode()
    answers = set()
    with live(app) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        while not predictor.threads or predictor.threads[-1].startswith("work-"):
            response = client.post(
                path, content=body, headers={"content-type": "application/json"}
            )
            assert response.status_code == 200
            answers.add(response.content)
    assert len(answers) == 1
    assert [name.startswith("work-") for name in predictor.threads[:TRIALS]] == [True] * TRIALS


def test_a_model_that_blocks_stays_on_its_thread_and_pings_are_answered(live: Any) -> None:
    begun, opened = threading.Event(), threading.Event()

    class Blocking(Recorder):
        def row_method(self, name: str, columns: list[str]) -> Any:
            method = super().row_method(name, columns)

            def call(cells: Any) -> object:
                begun.set()
                opened.wait(60)
                return method(cells)

            return call

    app = create_app(loaded(Blocking(fitted(LinearRegression()))))
    body = split(NAMES, ["1", "2", "3"]).encode()
    with (
        live(app) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        asked = threading.Thread(
            target=lambda: httpx.post(
                f"http://127.0.0.1:{port}/invocations",
                content=body,
                headers={"content-type": "application/json"},
                timeout=60,
            )
        )
        asked.start()
        assert begun.wait(60)
        assert client.get("/ping").status_code == 200
        assert asked.is_alive()
        opened.set()
        asked.join(60)


def user_kernel(first: Any, second: Any) -> Any:
    return first @ second.T


class OwnRegression(LinearRegression):  # type: ignore[misc]
    """May do anything."""


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(OwnRegression(), id="class-of-a-user"),
        pytest.param(SVC(kernel=user_kernel), id="function-of-a-user"),
    ],
)
def test_code_of_a_user_gets_frames_on_threads(estimator: Any) -> None:
    assert loaded(SklearnPredictor(fitted(estimator))).row_predictor is None


def test_other_signatures_get_frames() -> None:
    predictor = SklearnPredictor(fitted(LinearRegression()))
    assert loaded(predictor).row_predictor is not None
    assert loaded(predictor, "boolean").row_predictor is None
    params = ParamSchema([ParamSpec("k", "long", 1)])
    assert loaded(predictor, params=params).row_predictor is None


def test_rows_follow_changes_of_the_raw_model() -> None:
    model = loaded(SklearnPredictor(fitted(LinearRegression())))
    assert model.row_predictor is not None
    row = np.array([[1.0, 2.0, 3.0]])
    before: Any = model.row_predictor.predict(row)
    model.get_raw_model().intercept_ += 100.0
    assert model.row_predictor.predict(row) == pytest.approx(before + 100.0)
