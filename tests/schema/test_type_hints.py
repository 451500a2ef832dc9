"""Type hints of predict: their schemas, checking data against them, frames as lists."""

from __future__ import annotations

import datetime as dt
from importlib.util import find_spec
from typing import Any, Dict, List, Optional, Union  # noqa: UP035 - both spellings are read

import numpy as np
import pandas as pd
import pytest

from pyfunc.errors import InvalidArgumentError, SchemaError
from pyfunc.schema import (
    convert_to_hint,
    schema_from_hint,
    schema_from_list_hint,
    validate_against_hint,
)
from pyfunc.schema.hints.schemas import (
    InvalidTypeHintError,
    TypeFromExample,
    UnsupportedTypeHintError,
    is_unchecked_hint,
)


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (list[int], "long"),
        (list[str], "string"),
        (list[bool], "boolean"),
        (list[float], "double"),
        (list[bytes], "binary"),
        (list[dt.datetime], "datetime"),
        (List[List[str]], "Array(string)"),  # noqa: UP006
        (list[dict[str, int]], "Map(str -> DataType.long)"),
        (list[Dict[str, list[int]]], "Map(str -> Array(long))"),  # noqa: UP006
        (list[Union[int, str]], "Any"),  # noqa: UP007
        (list[int | str], "Any"),
        (list[list[Optional[int]]], "Array(long)"),  # noqa: UP045
        (list[dict[str, int | str]], "Map(str -> Any)"),
    ],
    ids=str,
)
def test_list_hint_gives_one_unnamed_column(hint: Any, expected: str) -> None:
    assert repr(schema_from_list_hint(hint)) == f"[{expected} (required)]"


def test_plain_hint_gives_a_column_of_itself() -> None:
    assert repr(schema_from_hint(str)) == "[string (required)]"
    assert repr(schema_from_hint(list[int])) == "[Array(long) (required)]"


def test_any_has_a_schema_of_its_own() -> None:
    assert repr(schema_from_list_hint(list[Any])) == "[Any (required)]"


@pytest.mark.parametrize(
    ("hint", "error"),
    [
        (list, InvalidTypeHintError),
        (List, InvalidTypeHintError),  # noqa: UP006
        (list[list], InvalidTypeHintError),  # type: ignore[type-arg]
        (list[dict], InvalidTypeHintError),  # type: ignore[type-arg]
        (list[Dict], InvalidTypeHintError),  # type: ignore[type-arg]  # noqa: UP006
        (list[dict[int, str]], InvalidTypeHintError),
        (list[int | None], InvalidTypeHintError),
        (list[int | str | None], InvalidTypeHintError),
        (Optional[list[int]], InvalidTypeHintError),  # noqa: UP045
        (list[type(None)], InvalidTypeHintError),  # type: ignore[misc]
        (list[object], UnsupportedTypeHintError),
        (list[dt.date], UnsupportedTypeHintError),
        (list[np.int64], UnsupportedTypeHintError),
        (list[np.ndarray], UnsupportedTypeHintError),
        (list[tuple[int, int]], UnsupportedTypeHintError),
        (list[TypeFromExample], UnsupportedTypeHintError),  # type: ignore[valid-type]
        (str, InvalidArgumentError),
        (dict[str, int], InvalidArgumentError),
        (pd.DataFrame, InvalidArgumentError),
    ],
    ids=str,
)
def test_hints_that_say_too_little_or_the_impossible_are_refused(
    hint: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        schema_from_list_hint(hint)


def test_classes_of_frames_and_arrays_are_left_to_the_example() -> None:
    assert is_unchecked_hint(pd.DataFrame)
    assert is_unchecked_hint(np.ndarray)
    assert not is_unchecked_hint(list[int])


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        ([1, True], list[int]),
        ([np.float64(1), float("inf")], list[float]),
        ([], list[str]),
        ([[1], []], list[list[int]]),
        ([{"a": 1}], list[dict[str, int]]),
        ([1, "x", None], list[Any]),
        ([1.5, "x"], list[int | list[str]]),
        ([1, None], list[Optional[int]]),  # noqa: UP045
        ([pd.Timestamp("2020")], list[dt.datetime]),
        (5, int),
    ],
    ids=str,
)
def test_fitting_data_passes_as_a_new_list(data: Any, hint: Any) -> None:
    found = validate_against_hint(data, hint)
    assert found == data
    assert not isinstance(data, list) or found is not data


@pytest.mark.parametrize(
    ("data", "hint", "paths"),
    [
        ([1, "x", 2, None], list[int], ["input[1]", "input[3]"]),
        ([1, 2.0], list[float], ["input[0]"]),
        ([np.int64(1)], list[int], ["input[0]"]),
        ("abc", list[str], ["input"]),
        (("a",), list[str], ["input"]),
        (np.array(["a"]), list[str], ["input"]),
        ([dt.date(2020, 1, 1)], list[dt.datetime], ["input[0]"]),
        ([[1], ["x"], None], list[list[int]], ["input[1][0]", "input[2]"]),
        ([{"a": "x", 1: 2}, 5], list[dict[str, int]], ["input[0]", "input[0]['a']", "input[1]"]),
    ],
    ids=str,
)
def test_every_element_that_does_not_fit_is_listed(data: Any, hint: Any, paths: list[str]) -> None:
    with pytest.raises(SchemaError) as caught:
        validate_against_hint(data, hint)
    assert [problem.path for problem in caught.value.problems] == paths
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_hints_that_cannot_be_checked_are_refused() -> None:
    with pytest.raises(InvalidTypeHintError):
        validate_against_hint([1], list)
    with pytest.raises(UnsupportedTypeHintError):
        validate_against_hint([1], list[object])


def test_text_of_requests_is_decoded_where_json_has_nothing_better() -> None:
    assert validate_against_hint([["eA=="]], list[list[bytes]], from_json=True) == [[b"x"]]
    found = validate_against_hint(["2020-01-01T00:00:00Z"], list[dt.datetime], from_json=True)
    assert found == [dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)]
    for text, hint in (("***", list[bytes]), ("é", list[bytes]), ("x", list[dt.datetime])):
        with pytest.raises(SchemaError):
            validate_against_hint([text], hint, from_json=True)
    with pytest.raises(SchemaError):
        validate_against_hint(["eA=="], list[bytes])


@pytest.mark.parametrize(
    ("frame", "hint", "expected"),
    [
        (pd.DataFrame({"a": [1, 2]}), list[int], [1, 2]),
        (pd.DataFrame({"a": [1, 2], "b": [3, 4]}), list[int], [1, 2]),
        (pd.DataFrame({"a": [1.5, None]}), list[float], [1.5, None]),
        (pd.DataFrame({"a": [np.array([1, 2])]}), list[list[int]], [[1, 2]]),
        (pd.DataFrame({"a": [{"q": np.nan}]}), list[Any], [{"q": None}]),
        (pd.DataFrame({"a": [{"q": 1}]}), list[dict[str, int]], [{"q": 1}]),
        (pd.DataFrame({0: [{"q": 1}]}), list[dict[str, int]], [{"q": 1}]),
        (pd.DataFrame({"a": [1], "b": [2]}), list[dict[str, int]], [{"a": 1, "b": 2}]),
        (pd.DataFrame(), list[int], []),
    ],
    ids=str,
)
def test_frame_becomes_the_list_of_its_hint(
    frame: pd.DataFrame, hint: Any, expected: list[Any]
) -> None:
    kept = frame.copy(deep=True)
    assert convert_to_hint(frame, hint) == expected
    pd.testing.assert_frame_equal(frame, kept)


def test_only_lists_can_be_made_of_a_frame() -> None:
    frame = pd.DataFrame({"a": [1]})
    assert convert_to_hint(frame, pd.DataFrame) is frame
    assert convert_to_hint([1], list[int]) == [1]
    with pytest.raises(InvalidArgumentError):
        convert_to_hint(frame, str)


if find_spec("pydantic"):
    import pydantic

    class Inner(pydantic.BaseModel):
        b: int
        a: str = "x"

    class Outer(pydantic.BaseModel):
        inner: Inner
        many: list[Inner] = []
        note: str | None = None

    class Strict(pydantic.BaseModel):
        z: int | None

    class Loop(pydantic.BaseModel):
        children: list[Loop] = []

    def test_pydantic_model_gives_an_object() -> None:
        assert repr(schema_from_list_hint(list[Outer])) == (
            "[{inner: {a: string (required), b: long (required)} (required), many: "
            "Array({a: string (required), b: long (required)}) (required), "
            "note: string (optional)} (required)]"
        )

    class Empty(pydantic.BaseModel):
        pass

    class Holder(pydantic.BaseModel):
        options: Empty

    @pytest.mark.parametrize(
        ("model", "error"),
        [
            (Strict, InvalidTypeHintError),
            (Loop, UnsupportedTypeHintError),
            (Empty, UnsupportedTypeHintError),
            (Holder, UnsupportedTypeHintError),
            (dict[str, Empty], UnsupportedTypeHintError),
            (Optional[Empty], UnsupportedTypeHintError),  # noqa: UP045
        ],
        ids=str,
    )
    def test_models_that_no_schema_describes_are_refused(model: Any, error: Any) -> None:
        with pytest.raises(error):
            schema_from_list_hint(list[model])

    def test_dicts_become_instances_and_instances_pass() -> None:
        ready = Inner(b=2)
        found = validate_against_hint([{"b": 1}, ready], list[Inner])
        assert found[0] == Inner(b=1)
        assert found[1] is ready

    @pytest.mark.parametrize("value", [{"b": "1"}, {"b": 1.0}, {"a": "x"}])
    def test_models_are_checked_strictly(value: Any) -> None:
        with pytest.raises(SchemaError) as caught:
            validate_against_hint([value], list[Inner])
        assert caught.value.problems[0].path == "input[0]['b']"

    def test_rows_of_a_frame_become_dicts_for_a_model() -> None:
        frame = pd.DataFrame({"b": [1], "a": ["x"]})
        assert convert_to_hint(frame, list[Inner]) == [{"b": 1, "a": "x"}]
        column = pd.DataFrame({0: [{"b": 1}]})
        assert convert_to_hint(column, list[Inner]) == [{"b": 1}]
        named = pd.DataFrame({"inner": [{"b": 1}]})
        assert convert_to_hint(named, list[Outer]) == [{"inner": {"b": 1}}]
