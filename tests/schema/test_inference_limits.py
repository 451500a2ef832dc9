"""Inference: unusual sources, and values that could make it fail, hang or lose something."""

from __future__ import annotations

import logging
import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, PyfuncWarning
from pyfunc.schema import infer_param_schema, infer_schema, infer_signature

pytestmark = pytest.mark.filterwarnings("ignore::pyfunc.errors.PyfuncWarning")


def list_in_itself() -> Any:
    value: list[Any] = []
    value.append(value)
    return [value]


def dict_in_itself() -> Any:
    value: dict[str, Any] = {}
    value["x"] = value
    value["y"] = [value, {"z": value}]
    return {"a": value}


def shared_lists() -> Any:
    value: Any = 1
    for _ in range(100):
        value = [value, value]
    return {"a": value}


def shared_dicts() -> Any:
    value: Any = 1
    for _ in range(60):
        value = {"p": value, "q": {"s": value}}
    return value


def deep_list() -> Any:
    value: Any = 1
    for _ in range(5000):
        value = [value]
    return {"a": value}


def deep_dict() -> Any:
    value: Any = 1
    for _ in range(5000):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "make", [list_in_itself, dict_in_itself, shared_dicts, deep_list, deep_dict]
)
def test_endless_values_are_refused_in_bounded_time(make: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        infer_schema(make())
    assert repr(infer_signature(make()).inputs) == "[Any (required)]"
    with pytest.raises(InvalidArgumentError):
        infer_param_schema({"p": {"a": make()}})


def test_shared_values_are_looked_at_once() -> None:
    found = infer_schema(shared_lists())
    assert repr(found).count("Array(") == 100


def test_a_million_columns_are_inferred() -> None:
    schema = infer_schema(pd.DataFrame(np.zeros((1, 1_000_000), dtype=np.float32)))
    assert len(schema) == 1_000_000


def test_names_of_duplicate_columns_are_in_the_error() -> None:
    with pytest.raises(InvalidTypeError, match="'a'"):
        infer_schema(pd.DataFrame([[1.5, 2.5, 3.5]], columns=["a", "b", "a"]))


def test_nan_as_a_column_name_is_kept() -> None:
    schema = infer_schema(pd.DataFrame([[1.5, 2.5]], columns=[float("nan"), "a"]))
    assert repr(schema) == "[nan: double (required), 'a': double (required)]"


def test_mixed_content_names_the_column() -> None:
    frame = pd.DataFrame({"b": pd.Series([1, "x", None, [1]], dtype=object)})
    with pytest.raises(InvalidArgumentError, match="column 'b'"):
        infer_schema(frame)


def test_inference_leaves_its_input_alone() -> None:
    records = [{"x": [1, None]}, {"x": []}]
    frame = pd.DataFrame({"a": records})
    infer_signature(frame, records)
    assert records == [{"x": [1, None]}, {"x": []}]
    assert frame["a"].tolist() == records


def test_failed_inference_is_logged_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="pyfunc.schema"):
        signature = infer_signature((1, 2))
    assert repr(signature.inputs) == "[Any (required)]"
    assert "input" in caplog.text


def test_the_integer_warning_does_not_cost_the_schema() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PyfuncWarning):
            infer_signature({"a": 1})
        assert repr(infer_signature({"a": [1]}).inputs) == "['a': Array(long) (required)]"


def test_every_bad_param_is_listed() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        infer_param_schema({"good": 1, "bad": None, "worse": (1,)})
    assert "'bad'" in str(caught.value)
    assert "'worse'" in str(caught.value)
    assert "'good'" not in str(caught.value)


if find_spec("pydantic"):
    import pydantic

    class Item(pydantic.BaseModel):
        a: int

    @pytest.mark.parametrize("value", [[Item(a=1)], {"x": Item(a=1)}, [{"x": [Item(a=1)]}]])
    def test_pydantic_objects_are_referred_to_type_hints(value: Any) -> None:
        with pytest.raises(InvalidArgumentError, match="type hint"):
            infer_signature(value)
