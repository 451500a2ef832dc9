"""Type hints of ``predict``: what a class may say, and what is checked (format.md 5).

``HINTS`` and ``CONVERSIONS`` are also read by the comparison with real MLflow in
``tests/interop``.
"""

from __future__ import annotations

import datetime as dt
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import pandas as pd
import pydantic
import pytest
from scipy.sparse import csc_matrix, csr_matrix

import pyfunc
from pyfunc.errors import INTERNAL_ERROR, INVALID_PARAMETER_VALUE, PyfuncError
from pyfunc.model.hints import TypeHints, read_type_hints
from pyfunc.schema import TypeFromExample


class Row(pydantic.BaseModel):
    """A row with a default, as a hint."""

    name: str
    number: int
    note: str | None = None


class WithoutDefault(pydantic.BaseModel):
    """A row that cannot be a hint: an optional field needs a default."""

    note: str | None


@dataclass
class Record:
    name: str


STRING, LONG = '[{"type": "string", "required": true}]', '[{"type": "long", "required": true}]'


def column(text: str) -> str:
    return f'[{{"type": {text}, "required": true}}]'


ROW = (
    '[{"type": "object", "properties": {"name": {"type": "string", "required": true}, '
    '"note": {"type": "string", "required": false}, '
    '"number": {"type": "long", "required": true}}, "required": true}]'
)

# Hint -> the JSON of the schema; "silent" or "warns" where there is none; or the error's code.
HINTS: list[Any] = [
    pytest.param(list[int], LONG, id="int"),
    pytest.param(list[str], STRING, id="str"),
    pytest.param(list[float], column('"double"'), id="float"),
    pytest.param(list[bool], column('"boolean"'), id="bool"),
    pytest.param(list[bytes], column('"binary"'), id="bytes"),
    pytest.param(list[dt.datetime], column('"datetime"'), id="datetime"),
    pytest.param(list[Any], column('"any"'), id="any"),
    pytest.param(
        list[list[str]],
        '[{"type": "array", "items": {"type": "string"}, "required": true}]',
        id="list-of-lists",
    ),
    pytest.param(
        list[dict[str, int]],
        '[{"type": "map", "values": {"type": "long"}, "required": true}]',
        id="list-of-maps",
    ),
    pytest.param(list[Row], ROW, id="pydantic"),
    pytest.param(list[Union[int, str]], column('"any"'), id="union"),  # noqa: UP007
    pytest.param(list[int | str], column('"any"'), id="union-by-bar"),
    pytest.param(list, INTERNAL_ERROR, id="bare-list"),
    pytest.param(list[dict], INTERNAL_ERROR, id="list-of-bare-dict"),  # type: ignore[type-arg]
    pytest.param(list[list], INTERNAL_ERROR, id="list-of-bare-list"),  # type: ignore[type-arg]
    pytest.param(list[str | None], INTERNAL_ERROR, id="optional-element"),
    pytest.param(Optional[list[str]], "warns", id="optional"),  # noqa: UP045
    pytest.param(list[dict[int, str]], INTERNAL_ERROR, id="map-of-int-keys"),
    pytest.param(list[WithoutDefault], INTERNAL_ERROR, id="field-without-default"),
    pytest.param(str, "warns", id="not-a-list"),
    pytest.param(dict[str, str], "warns", id="a-dict"),
    pytest.param(Record, "warns", id="a-dataclass"),
    pytest.param(list[object], "warns", id="list-of-object"),
    pytest.param(list[pd.DataFrame], "warns", id="list-of-frames"),
    pytest.param(pd.DataFrame, "silent", id="frame"),
    pytest.param(pd.Series, "silent", id="series"),
    pytest.param(np.ndarray, "silent", id="array"),
    pytest.param(csr_matrix, "silent", id="csr"),
    pytest.param(csc_matrix, "silent", id="csc"),
]


def class_with(base: type, hint: Any, output: Any = None) -> type:
    def predict(self: Any, model_input: Any, params: Any = None) -> Any:
        return model_input

    predict.__annotations__ = {"model_input": hint}
    if output is not None:
        predict.__annotations__["return"] = output
    return type("Hinted", (base,), {"predict": predict})


def quietly(hint: Any) -> Any:
    """Return a model with ``hint``, without the warning that values are not checked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pyfunc.PyfuncWarning)
        return class_with(pyfunc.PythonModel, hint)()


def outcome_of(make: Callable[[], Any], error: type[Exception]) -> tuple[str, list[str]]:
    """Return ``ok`` or the code of the error, and the texts of the warnings."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            make()
            outcome = "ok"
        except error as refused:
            outcome = refused.error_code  # type: ignore[attr-defined]
    return outcome, [str(item.message) for item in seen]


@pytest.mark.parametrize(("hint", "expected"), HINTS)
def test_a_hint_is_accepted_or_refused_at_class_creation(hint: Any, expected: str) -> None:
    outcome, texts = outcome_of(lambda: class_with(pyfunc.PythonModel, hint), PyfuncError)
    if expected == INTERNAL_ERROR:
        assert outcome == expected
    elif expected == "warns":
        assert outcome == "ok"
        assert ["is not checked" in text for text in texts] == [True]
    else:
        assert outcome == "ok"
        assert "is not checked" not in "".join(texts)
        assert ("hint Any" in "".join(texts)) == (hint == list[Any])


@pytest.mark.parametrize(("hint", "expected"), HINTS)
def test_a_hint_makes_the_signature(hint: Any, expected: str, tmp_path: Path) -> None:
    if expected == INTERNAL_ERROR:
        with pytest.raises(PyfuncError):
            class_with(pyfunc.PythonModel, hint)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pyfunc.PyfuncWarning)
        model = class_with(pyfunc.PythonModel, hint)()
        pyfunc.save_model(tmp_path / "t", python_model=model, pip_requirements=[])
        meta = pyfunc.Model.load(tmp_path / "t")
    if not expected.startswith("["):
        assert meta.signature is None
        return
    assert meta.signature is not None
    found = meta.signature.to_dict()
    assert json.loads(found["inputs"]) == json.loads(expected)
    assert json.loads(found["outputs"]) == json.loads(column('"any"'))
    assert meta.to_dict()["is_signature_from_type_hint"] is True


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        pytest.param(list[str], STRING, id="list"),
        pytest.param(int, LONG, id="scalar"),
        pytest.param(pd.DataFrame, column('"any"'), id="unsupported"),
        pytest.param(None, column('"any"'), id="missing"),
    ],
)
def test_the_hint_of_the_output_makes_its_schema(
    output: Any, expected: str, tmp_path: Path
) -> None:
    model = class_with(pyfunc.PythonModel, list[str], output)()
    pyfunc.save_model(tmp_path / "t", python_model=model, pip_requirements=[])
    signature = pyfunc.Model.load(tmp_path / "t").signature
    assert signature is not None
    assert signature.to_dict()["outputs"] == expected


MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5)
REFUSED = object()

# (hint, data, what predict is given); REFUSED where the data does not fit.
CONVERSIONS: list[Any] = [
    pytest.param(list[int], [1, 2], [1, 2], id="int"),
    pytest.param(list[int], [True], [True], id="bool-as-int"),
    pytest.param(list[int], [1.0], REFUSED, id="float-as-int"),
    pytest.param(list[int], ["1"], REFUSED, id="str-as-int"),
    pytest.param(list[float], [1], REFUSED, id="int-as-float"),
    pytest.param(list[str], [1], REFUSED, id="int-as-str"),
    pytest.param(list[str], "a", REFUSED, id="str-instead-of-list"),
    pytest.param(list[str], None, REFUSED, id="none"),
    pytest.param(list[str], {"a": "b"}, REFUSED, id="dict-instead-of-list"),
    pytest.param(list[str], np.array(["a"]), REFUSED, id="array"),
    pytest.param(list[str], [], [], id="empty"),
    pytest.param(list[bytes], [b"a"], [b"a"], id="bytes"),
    pytest.param(list[dt.datetime], [MOMENT], [MOMENT], id="datetime"),
    pytest.param(list[dt.datetime], ["2026-01-02"], REFUSED, id="datetime-as-text"),
    pytest.param(list[list[int]], [[1], [2, 3]], [[1], [2, 3]], id="nested"),
    pytest.param(list[list[int]], [[1], 2], REFUSED, id="nested-not-a-list"),
    pytest.param(list[dict[str, int]], [{"a": 1}], [{"a": 1}], id="map"),
    pytest.param(list[dict[str, int]], [{1: 1}], REFUSED, id="map-with-int-key"),
    pytest.param(list[Any], [1, "a", None], [1, "a", None], id="any"),
    pytest.param(list[int | str], [1, "a"], [1, "a"], id="union"),
    pytest.param(
        list[Row],
        [{"name": "a", "number": 1}, Row(name="b", number=2, note="n")],
        [Row(name="a", number=1), Row(name="b", number=2, note="n")],
        id="pydantic",
    ),
    pytest.param(list[Row], [{"name": "a"}], REFUSED, id="pydantic-missing-field"),
    pytest.param(list[Row], [{"name": "a", "number": "x"}], REFUSED, id="pydantic-wrong-type"),
    pytest.param(list[str], pd.DataFrame({"a": ["x", "y"]}), ["x", "y"], id="one-column"),
    pytest.param(list[str], pd.DataFrame({0: ["x"]}), ["x"], id="unnamed-column"),
    pytest.param(
        list[Row],
        pd.DataFrame({"name": ["a"], "number": [1]}),
        [Row(name="a", number=1)],
        id="records-of-a-frame",
    ),
    pytest.param(
        list[dict[str, int]], pd.DataFrame({0: [{"a": 1}]}), [{"a": 1}], id="column-of-dicts"
    ),
]


@pytest.mark.parametrize(("hint", "data", "expected"), CONVERSIONS)
def test_data_is_checked_and_converted(hint: Any, data: Any, expected: Any) -> None:
    model = quietly(hint)
    if expected is REFUSED:
        with pytest.raises(PyfuncError) as caught:
            model.predict(data)
        assert caught.value.error_code == INVALID_PARAMETER_VALUE
        return
    assert model.predict(data) == expected
    assert model.predict(model_input=data) == expected


@pytest.mark.parametrize(("hint", "data", "expected"), CONVERSIONS)
def test_a_loaded_model_does_the_same(hint: Any, data: Any, expected: Any, tmp_path: Path) -> None:
    pyfunc.save_model(
        tmp_path / "t",
        python_model=quietly(hint),
        pip_requirements=[],
    )
    model = pyfunc.load_model(tmp_path / "t", suppress_warnings=True)
    if expected is REFUSED:
        with pytest.raises(PyfuncError):
            model.predict(data)
        return
    assert model.predict(data) == expected


def test_every_bad_element_is_listed() -> None:
    model = class_with(pyfunc.PythonModel, list[int])()
    with pytest.raises(pyfunc.SchemaError) as caught:
        model.predict([1, "a", 2.5])
    assert len(caught.value.problems) == 2


def test_the_caller_s_data_stays_as_it_is() -> None:
    rows = [{"name": "a", "number": 1}]
    class_with(pyfunc.PythonModel, list[Row])().predict(rows)
    assert rows == [{"name": "a", "number": 1}]


def test_missing_values_of_a_frame_become_none() -> None:
    frame = pd.DataFrame({"name": ["a"], "number": [1], "note": [float("nan")]})
    found = class_with(pyfunc.PythonModel, list[Row])().predict(frame)
    assert found == [Row(name="a", number=1, note=None)]


def test_a_first_column_is_taken_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    model = class_with(pyfunc.PythonModel, list[int])()
    assert model.predict(pd.DataFrame({"a": [1], "b": [2]})) == [1]
    assert "takes one column" in caplog.text


def test_rows_become_maps() -> None:
    # MLflow takes the first column here, and refuses its cells for not being dicts.
    model = class_with(pyfunc.PythonModel, list[dict[str, int]])()
    assert model.predict(pd.DataFrame({"a": [1], "b": [2]})) == [{"a": 1, "b": 2}]


def test_text_is_read_as_bytes_and_dates_where_it_comes_from_json(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")
    assert class_with(pyfunc.PythonModel, list[bytes])().predict(["YWJj"]) == [b"abc"]
    found = class_with(pyfunc.PythonModel, list[dt.datetime])().predict(["2026-01-02T03:04:05"])
    assert found == [MOMENT]


def test_annotations_that_are_text_are_resolved() -> None:
    def predict(self: Any, model_input: "list[str]") -> "list[int]":  # noqa: UP037
        return [len(text) for text in model_input]

    hints = read_type_hints(predict)
    assert (hints.input, hints.output) == (list[str], list[int])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("list[str]", list[str]),
        ("List[ str ]", list[str]),
        ("list[dict[str, str]]", list[dict[str, str]]),
        ("list[NoSuchName]", None),
    ],
)
def test_annotations_that_cannot_be_resolved(text: str, expected: Any) -> None:
    def predict(self: Any, model_input: Any, params: Any = None) -> Any:
        return model_input

    predict.__annotations__ = {"model_input": text, "return": "NoSuchName"}
    hints = read_type_hints(predict)
    assert (hints.input, hints.output) == (expected, None)


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ("model_input: list[int]", "model_input"),
        ("context, model_input: list[int]", "model_input"),
        ("context, model_input: list[int], params=None", "model_input"),
        ("model_input: list[int], params=None", "model_input"),
        ("x: list[int]", "x"),
        ("context, x: list[int]", "x"),
    ],
)
def test_the_input_is_found_among_the_parameters(parameters: str, name: str) -> None:
    scope: dict[str, Any] = {}
    exec(f"def predict(self, {parameters}):\n    return {name}\n", scope)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pyfunc.PyfuncWarning)
        model = type("Made", (pyfunc.PythonModel,), {"predict": scope["predict"]})()
    before = [None] if "context" in parameters else []
    assert model.predict(*before, [1]) == [1]
    with pytest.raises(PyfuncError):
        model.predict(*before, ["a"])
    assert model.predict(*before, **{name: [2]}) == [2]


def test_a_function_is_checked_too(tmp_path: Path) -> None:
    def lengths(model_input: list[str]) -> list[int]:
        return [len(text) for text in model_input]

    pyfunc.save_model(tmp_path / "t", python_model=lengths, pip_requirements=[])
    model = pyfunc.load_model(tmp_path / "t", suppress_warnings=True)
    assert model.predict(["a", "bc"]) == [1, 2]
    with pytest.raises(PyfuncError):
        model.predict([1])
    assert lengths(["abc"]) == [3]


def test_a_subclass_inherits_the_checked_predict() -> None:
    class Child(class_with(pyfunc.PythonModel, list[int])):  # type: ignore[misc]
        pass

    with pytest.raises(PyfuncError):
        Child().predict(["a"])


def test_wrapping_twice_checks_once() -> None:
    from pyfunc.model.hints import pyfunc as decorate

    @decorate
    def once(model_input: list[int]) -> list[int]:
        return model_input

    assert decorate(once) is once
    assert once([1]) == [1]


def test_the_hints_of_a_model_can_be_asked_for() -> None:
    model = class_with(pyfunc.PythonModel, list[int], list[str])()
    hints = model.predict_type_hints
    assert isinstance(hints, TypeHints)
    assert repr(hints) == "<input: list[int], output: list[str]>"


@pytest.mark.parametrize(
    ("example", "given", "expected"),
    [
        pytest.param(["a", "b"], ["x"], ["x"], id="list"),
        pytest.param([{"a": 1}], [{"a": 2}], [{"a": 2}], id="records"),
        pytest.param(
            pd.DataFrame({"a": [1]}),
            pd.DataFrame({"a": [2]}),
            pd.DataFrame({"a": [2]}),
            id="frame",
        ),
    ],
)
def test_the_example_says_the_form_of_the_input(
    example: Any, given: Any, expected: Any, tmp_path: Path
) -> None:
    model = class_with(pyfunc.PythonModel, TypeFromExample)()
    pyfunc.save_model(
        tmp_path / "t", python_model=model, input_example=example, pip_requirements=[]
    )
    found = pyfunc.load_model(tmp_path / "t", suppress_warnings=True).predict(given)
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected)
    else:
        assert found == expected


def test_hints_of_old_models_turn_frames_into_lists(tmp_path: Path) -> None:
    """A predict that was pickled before hints were checked gets lists all the same."""
    from pyfunc.model.runner import PythonModelRunner

    class Old(pyfunc.PythonModel):
        predict_type_hints = TypeHints(list[str])

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input

    runner = PythonModelRunner(Old(), None, None)
    frame = pd.DataFrame({"n": [1, 2], "text": ["a", "b"]})
    assert runner.predict(frame) == ["a", "b"]
    assert runner.predict(["c"]) == ["c"]
    with pytest.raises(pyfunc.InvalidArgumentError, match="column of strings"):
        runner.predict(frame[["n"]])
    Old.predict_type_hints = TypeHints(list[dict[str, str]])
    runner = PythonModelRunner(Old(), None, None)
    assert runner.predict(frame) == [{"text": "a"}, {"text": "b"}]
    assert runner.predict(pd.DataFrame({0: [{"a": "b"}]})) == [{"a": "b"}]
