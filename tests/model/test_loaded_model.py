"""What a loaded model does: predict, params, streams, comparison (format.md 4.4, 4.7, 4.8)."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import pyfunc
from pyfunc.errors import INVALID_PARAMETER_VALUE, PyfuncError, SchemaError
from pyfunc.model.description import Model, add_to_model
from pyfunc.model.loaded import PyFuncModel
from pyfunc.model.python_model import FunctionModel, PythonModelContext
from pyfunc.model.runner import CallStyle, PythonModelRunner, read_call_style
from pyfunc.schema import ColSpec, ModelSignature, ParamSchema, ParamSpec, Schema


def saved(path: Path, model: Any, **arguments: Any) -> PyFuncModel:
    pyfunc.save_model(path, python_model=model, **{"pip_requirements": [], **arguments})
    return pyfunc.load_model(path, suppress_warnings=True)


def described(signature: ModelSignature | None = None) -> Model:
    model = Model(signature=signature)
    return add_to_model(model, "mlflow.pyfunc.model")


def in_memory(implementation: Any, signature: ModelSignature | None = None) -> PyFuncModel:
    return PyFuncModel(described(signature), implementation)


class Echo:
    def predict(self, data: Any, params: Any = None) -> Any:
        return data, params


class EchoAlone:
    def predict(self, data: Any) -> Any:
        return data


# --- how the user's predict is called


def context_and_params(self: Any, context: Any, model_input: Any, params: Any = None) -> Any:
    return context, model_input, params


def context_only(self: Any, context: Any, model_input: Any) -> Any:
    return context, model_input


def input_only(self: Any, model_input: Any) -> Any:
    return (model_input,)


def input_and_params(self: Any, model_input: Any, params: Any = None) -> Any:
    return model_input, params


def any_two_names(self: Any, ctx: Any, x: Any) -> Any:
    return ctx, x


def any_two_names_and_params(self: Any, ctx: Any, x: Any, params: Any = None) -> Any:
    return ctx, x, params


def with_keywords(self: Any, context: Any, model_input: Any, **kwargs: Any) -> Any:
    return context, model_input, kwargs


def context_last(self: Any, model_input: Any, context: Any = None) -> Any:
    return model_input, context


def params_first(self: Any, params: Any, context: Any, model_input: Any) -> Any:
    return params, context, model_input


def three_odd_names(self: Any, a: Any, b: Any, c: Any = None) -> Any:
    return a, b, c


CALLS = [
    pytest.param(context_and_params, ("context", "x", {"p": 1}), id="context-and-params"),
    pytest.param(context_only, ("context", "x"), id="context"),
    pytest.param(input_only, ("x",), id="input"),
    pytest.param(input_and_params, ("x", {"p": 1}), id="input-and-params"),
    pytest.param(any_two_names, ("context", "x"), id="two-names"),
    pytest.param(any_two_names_and_params, ("context", "x", {"p": 1}), id="two-names-params"),
    pytest.param(with_keywords, ("context", "x", {}), id="keywords"),
    pytest.param(context_last, ("context", "x"), id="swap-trap"),
]


def model_with(predict: Any, stream: Any = None) -> Any:
    methods = {"predict": predict} if stream is None else {"predict_stream": stream}
    if stream is not None:
        methods["predict"] = input_only
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pyfunc.PyfuncWarning)
        return type("Made", (pyfunc.PythonModel,), methods)()


def call(method: Callable[..., Any], context: Any, params: Any) -> Any:
    runner = PythonModelRunner(model_with(method), context, None)
    return runner.predict("x", params=params)


@pytest.mark.parametrize(("method", "expected"), CALLS)
def test_arguments_follow_the_parameters_of_predict(method: Any, expected: Any) -> None:
    assert call(method, "context", {"p": 1}) == expected


@pytest.mark.parametrize(("method", "expected"), CALLS)
def test_a_stream_is_called_in_the_same_way(method: Any, expected: Any) -> None:
    runner = PythonModelRunner(model_with(None, stream=method), "context", None)  # type: ignore[arg-type]
    assert runner.predict_stream("x", params={"p": 1}) == expected


def test_three_odd_names_fail_as_the_call_fails() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'b'"):
        call(three_odd_names, "context", None)


def test_params_before_the_context_are_given_by_name() -> None:
    with pytest.raises(TypeError, match="multiple values"):
        call(params_first, "context", {"p": 1})


@pytest.mark.parametrize("method", [context_only, input_only, with_keywords, any_two_names])
def test_params_that_predict_does_not_take_are_said(
    method: Any, caplog: pytest.LogCaptureFixture
) -> None:
    call(method, "context", None)
    assert caplog.text == ""
    call(method, "context", {"p": 1})
    assert "['p'] are ignored" in caplog.text


def test_the_call_style_is_read_from_the_bound_method() -> None:
    assert read_call_style(model_with(context_and_params).predict) == CallStyle(True, True)
    assert read_call_style(model_with(input_only).predict) == CallStyle(False, False)


def test_a_method_with_other_names_is_said_at_class_creation() -> None:
    with pytest.warns(pyfunc.PyfuncWarning, match=r"\['ctx', 'x'\] are bound by position") as seen:
        type("Odd", (pyfunc.PythonModel,), {"predict": any_two_names})
    assert len(seen) == 1
    with pytest.warns(pyfunc.PyfuncWarning, match="bound by position"):
        type(
            "Odd",
            (pyfunc.PythonModel,),
            {"predict": input_only, "predict_stream": any_two_names},
        )


def test_a_predict_without_input_is_refused_at_class_creation() -> None:
    with pytest.raises(pyfunc.InvalidArgumentError, match="takes no input"):
        type("Odd", (pyfunc.PythonModel,), {"predict": lambda self: 1})


def test_a_model_of_another_base_class_needs_no_load_context(tmp_path: Path) -> None:
    runner = PythonModelRunner(EchoAlone(), PythonModelContext(), None)
    assert runner.predict([1]) == [1]


# --- predict


A_DOUBLE = ModelSignature(Schema([ColSpec("double", "a")]))
WITH_PARAMS = ModelSignature(
    Schema([ColSpec("double", "a")]),
    params=ParamSchema([ParamSpec("p", "long", 1), ParamSpec("q", "string", "x")]),
)


def test_without_a_signature_anything_reaches_the_model_itself() -> None:
    model = in_memory(EchoAlone())
    for data in (None, object(), [1], pd.DataFrame({"a": ["x"]}), iter([1])):
        assert model.predict(data) is data
    assert (model.input_schema, model.params_schema) == (None, None)


def test_conforming_data_is_not_copied() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    assert in_memory(EchoAlone(), A_DOUBLE).predict(frame) is frame


def test_data_is_cast_as_the_signature_says_and_never_changed() -> None:
    frame = pd.DataFrame({"a": np.array([1, 2], dtype="int32"), "b": [5, 6]})
    before = frame.copy(deep=True)
    found = in_memory(EchoAlone(), A_DOUBLE).predict(frame)
    pd.testing.assert_frame_equal(found, pd.DataFrame({"a": [1.0, 2.0]}))
    pd.testing.assert_frame_equal(frame, before)


def test_data_that_does_not_fit_is_refused_with_every_problem() -> None:
    schema = Schema([ColSpec("double", "a"), ColSpec("long", "b"), ColSpec("string", "c")])
    model = in_memory(EchoAlone(), ModelSignature(schema))
    with pytest.raises(SchemaError) as caught:
        model.predict(pd.DataFrame({"a": ["x"], "b": [1.5]}))
    error = caught.value
    assert len(error.problems) == 3
    assert error.error_code == INVALID_PARAMETER_VALUE
    assert error.error_class == "SCHEMA_ENFORCEMENT_FAILED"
    assert error.sqlstate == "KAM01"


def test_a_safe_coercion_can_be_asked_for(tmp_path: Path) -> None:
    pyfunc.save_model(
        tmp_path / "t",
        python_model=model_with(input_only),
        signature=ModelSignature(Schema([ColSpec("long", "a")])),
        pip_requirements=[],
    )
    whole = pd.DataFrame({"a": [1.0, 2.0]})
    with pytest.raises(SchemaError):
        pyfunc.load_model(tmp_path / "t", suppress_warnings=True).predict(whole)
    lenient = pyfunc.load_model(tmp_path / "t", suppress_warnings=True, coerce="safe")
    assert lenient.predict(whole)[0]["a"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(None, {"p": 1, "q": "x"}, id="none"),
        pytest.param({}, {"p": 1, "q": "x"}, id="empty"),
        pytest.param({"p": 5}, {"p": 5, "q": "x"}, id="one"),
        pytest.param({"p": 5, "q": "y"}, {"p": 5, "q": "y"}, id="all"),
    ],
)
def test_params_have_their_defaults(given: Any, expected: Any) -> None:
    model = in_memory(Echo(), WITH_PARAMS)
    assert model.predict(pd.DataFrame({"a": [1.0]}), params=given)[1] == expected


def test_unknown_params_are_said_and_dropped(caplog: pytest.LogCaptureFixture) -> None:
    model = in_memory(Echo(), WITH_PARAMS)
    given = {"p": 2, "z": 3}
    assert model.predict(pd.DataFrame({"a": [1.0]}), given)[1] == {"p": 2, "q": "x"}
    assert given == {"p": 2, "z": 3}
    assert "z" in caplog.text


def test_params_of_a_wrong_type_are_refused() -> None:
    model = in_memory(Echo(), WITH_PARAMS)
    with pytest.raises(PyfuncError, match="p") as caught:
        model.predict(pd.DataFrame({"a": [1.0]}), {"p": "x"})
    assert caught.value.error_code == INVALID_PARAMETER_VALUE
    with pytest.raises(PyfuncError):
        model.predict(pd.DataFrame({"a": [1.0]}), [1])  # type: ignore[arg-type]


def test_params_without_a_schema_are_said_and_ignored(caplog: pytest.LogCaptureFixture) -> None:
    model = in_memory(Echo())
    assert model.predict(1, {"p": 2}) == (1, {})
    assert "p" in caplog.text
    caplog.clear()
    assert model.predict(1, None) == (1, None)
    assert model.predict(1, {}) == (1, {})
    assert caplog.text == ""


def test_an_implementation_that_takes_no_params_is_called_without(
    caplog: pytest.LogCaptureFixture,
) -> None:
    frame = pd.DataFrame({"a": [1.0]})
    assert in_memory(EchoAlone(), WITH_PARAMS).predict(frame, {"p": 2}) is frame
    assert "ignored" in caplog.text


def test_an_error_of_the_model_itself_passes_unchanged(tmp_path: Path) -> None:
    def failing(model_input: Any) -> Any:
        raise ZeroDivisionError("my own text")

    with pytest.raises(ZeroDivisionError, match="my own text"):
        saved(tmp_path / "t", failing).predict(1)


def test_predict_can_be_called_from_many_threads(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def doubled(model_input: list[int]) -> list[int]:
        return [2 * number for number in model_input]

    model = saved(tmp_path / "t", doubled)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: model.predict([number]), range(200)))
    assert found == [[2 * number] for number in range(200)]


# --- streams


def streaming_model() -> pyfunc.PythonModel:
    class Streaming(pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input

        def predict_stream(
            self, context: Any, model_input: Any, params: Any = None
        ) -> Iterator[Any]:
            yield "first"
            yield model_input
            yield params

    return Streaming()


def test_a_stream_starts_when_it_is_read(tmp_path: Path) -> None:
    def counting(model_input: Any) -> Any:
        return model_input

    parts = saved(tmp_path / "t", counting).predict_stream(1)
    assert inspect.isgenerator(parts)
    with pytest.raises(PyfuncError, match="does not support predict_stream"):
        next(parts)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(5, 5, id="scalar"),
        pytest.param({"a": 1}, {"a": 1}, id="dict"),
        pytest.param([{"a": 1}], {"a": 1}, id="list-of-one"),
        pytest.param(pd.DataFrame({"a": [1], "b": ["x"]}), {"a": 1, "b": "x"}, id="frame"),
        pytest.param(pd.DataFrame({0: ["x"]}), "x", id="unnamed-column"),
        pytest.param(np.array(["x"]), "x", id="array"),
    ],
)
def test_a_stream_takes_one_input(tmp_path: Path, data: Any, expected: Any) -> None:
    model = saved(tmp_path / "t", streaming_model())
    assert list(model.predict_stream(data)) == ["first", expected, None]


@pytest.mark.parametrize(
    "data",
    [[1, 2], [], pd.DataFrame({"a": [1, 2]}), np.array([1, 2])],
    ids=["two", "none", "frame", "array"],
)
def test_a_stream_takes_nothing_but_one_input(tmp_path: Path, data: Any) -> None:
    parts = saved(tmp_path / "t", streaming_model()).predict_stream(data)
    with pytest.raises(PyfuncError, match="single input"):
        next(parts)


def test_a_stream_enforces_the_signature(tmp_path: Path) -> None:
    model = saved(tmp_path / "t", streaming_model(), signature=WITH_PARAMS)
    assert list(model.predict_stream({"a": 1.0}, {"p": 7})) == [
        "first",
        {"a": 1.0},
        {"p": 7, "q": "x"},
    ]
    with pytest.raises(SchemaError):
        next(model.predict_stream({"a": "x"}))


def test_an_error_within_a_stream_comes_after_what_was_there(tmp_path: Path) -> None:
    class Breaking(pyfunc.PythonModel):
        def predict(self, model_input: Any) -> Any:
            return model_input

        def predict_stream(self, model_input: Any) -> Iterator[Any]:
            yield 1
            raise RuntimeError("broken off")

    parts = saved(tmp_path / "t", Breaking()).predict_stream(1)
    assert next(parts) == 1
    with pytest.raises(RuntimeError, match="broken off"):
        next(parts)


# --- what a model says of itself


def test_equality_is_that_of_the_description(tmp_path: Path) -> None:
    first = saved(tmp_path / "a", streaming_model())
    again = pyfunc.load_model(tmp_path / "a", suppress_warnings=True)
    other = saved(tmp_path / "b", streaming_model())
    assert first == again
    assert first != other
    assert first != "a model"
    with pytest.raises(TypeError, match="unhashable"):
        hash(first)


def test_a_model_shows_what_loaded_it() -> None:
    model = in_memory(EchoAlone())
    assert yaml.safe_load(repr(model)) == {
        "mlflow.pyfunc.loaded_model": {"flavor": "mlflow.pyfunc.model"}
    }
    model.metadata.run_id, model.metadata.artifact_path = "abc", "somewhere"
    assert yaml.safe_load(repr(model))["mlflow.pyfunc.loaded_model"] == {
        "artifact_path": "somewhere",
        "flavor": "mlflow.pyfunc.model",
        "run_id": "abc",
    }


def test_the_parts_of_a_model_are_there(tmp_path: Path) -> None:
    model = saved(
        tmp_path / "t",
        streaming_model(),
        signature=WITH_PARAMS,
        model_config={"a": 1},
        mlflow_model=Model(model_id="m-1"),
    )
    assert model.loader_module == "mlflow.pyfunc.model"
    assert model.model_id == "m-1"
    assert model.model_config == {"a": 1}
    assert model.input_schema == WITH_PARAMS.inputs == model.metadata.get_input_schema()
    assert model.params_schema == WITH_PARAMS.params == model.metadata.get_params_schema()
    assert model.metadata.get_output_schema() is None
    assert type(model.unwrap_python_model()).__name__ == "Streaming"
    assert model.input_example is None
    model.input_example = [1]
    assert model.input_example == [1]


def test_what_is_no_python_model_cannot_be_unwrapped() -> None:
    with pytest.raises(PyfuncError, match="not saved from a PythonModel"):
        in_memory(EchoAlone()).unwrap_python_model()


def test_the_raw_model_is_what_the_loader_gives_out() -> None:
    class WithRaw(EchoAlone):
        def get_raw_model(self) -> Any:
            return "raw"

    assert in_memory(WithRaw()).get_raw_model() == "raw"
    with pytest.raises(NotImplementedError, match=r"mlflow\.pyfunc\.model"):
        in_memory(EchoAlone()).get_raw_model()


@pytest.mark.parametrize("name", ["missing", "__class__", "__init__"])
def test_a_function_of_the_model_that_is_no_method(name: str) -> None:
    with pytest.raises(PyfuncError, match=name):
        PyFuncModel(described(), EchoAlone(), name)


def test_another_function_of_the_model_can_predict() -> None:
    class Scoring(EchoAlone):
        def score(self, data: Any) -> Any:
            return "scored"

    assert PyFuncModel(described(), Scoring(), "score").predict(1) == "scored"


# --- functions as models


def test_a_function_is_wrapped(tmp_path: Path) -> None:
    model = saved(tmp_path / "t", lambda model_input: [model_input])
    wrapper = model.unwrap_python_model()
    assert isinstance(wrapper, FunctionModel)
    assert wrapper.func(1) == [1]
    assert model.predict(2) == [2]


def test_a_callable_object_is_wrapped(tmp_path: Path) -> None:
    class Adder:
        def __init__(self) -> None:
            self.term = 3

        def __call__(self, model_input: list[int]) -> list[int]:
            return [number + self.term for number in model_input]

    model = saved(tmp_path / "t", Adder())
    assert model.predict([1]) == [4]


@pytest.mark.parametrize("value", [{"a": "b"}, None], ids=["given", "none"])
def test_the_context_cannot_be_changed_through_what_was_given(value: Any) -> None:
    given = None if value is None else dict(value)
    context = PythonModelContext(given, given)
    if given is not None:
        given["a"] = "changed"
    assert context.artifacts == (value or {})
    assert context.model_config == value
    with pytest.raises(AttributeError):
        context.artifacts = {}  # type: ignore[misc]
