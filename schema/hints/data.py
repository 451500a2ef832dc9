"""Check and convert the input of ``predict`` by its type hint.

Checking is strict: no value is converted, except text in requests where JSON has nothing better.
A checker is made once for each hint.
"""

from __future__ import annotations

import datetime as dt
import logging
import sys
import typing
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from pyfunc.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    InvalidArgumentError,
    Problem,
    SchemaError,
    shorten,
)
from pyfunc.schema.data_types import is_missing
from pyfunc.schema.hints.schemas import (
    SCALAR_HINTS,
    InvalidTypeHintError,
    UnsupportedTypeHintError,
    describe_hint,
    is_list_hint,
    is_pydantic_model,
    is_unchecked_hint,
    split_optional,
)
from pyfunc.schema.text_forms import decode_bytes, parse_datetime

__all__ = ["convert_to_hint", "validate_against_hint"]

_logger = logging.getLogger("pyfunc.schema")

_MAX_PROBLEMS = 1000

Checker = Callable[[object, str, list[Problem]], object]
"""Returns the value to go on with, or adds problems; the text is the place of the value."""


def validate_against_hint(data: object, hint: object, *, from_json: bool = False) -> Any:
    """Return ``data`` as new lists and dicts if every value in it is an instance of its hint.

    Dicts become instances of pydantic models where the hint names one; instances pass as they
    are. ``data`` is not changed.

    Args:
        data: a list for a hint ``list[...]``.
        hint: a hint that :func:`~pyfunc.schema.hints.schemas.schema_from_hint` takes.
        from_json: text is read as base64 where the hint says bytes, and as an ISO date and
            time where it says datetime.

    Raises:
        SchemaError: values do not fit; they are listed.
        InvalidTypeHintError, UnsupportedTypeHintError: the hint cannot be checked.
    """
    problems: list[Problem] = []
    result = _find_checker(hint, from_json)(data, "input", problems)
    if problems:
        raise SchemaError(
            problems,
            subject=f"input does not match the type hint {describe_hint(hint)}",
            error_code=INVALID_PARAMETER_VALUE,
        )
    return result


def _find_checker(hint: object, from_json: bool) -> Checker:
    try:
        return _cached_checker(hint, from_json)
    except TypeError:  # a hint that cannot be hashed
        return _make_checker(hint, from_json)


def _make_checker(hint: object, from_json: bool) -> Checker:
    inner, optional = split_optional(hint)
    if optional:
        return _optional_checker(_make_checker(inner, from_json))
    if inner is Any:
        return _accept
    if isinstance(hint, type) and hint in SCALAR_HINTS:
        decode = _DECODERS.get(hint) if from_json else None
        return _scalar_checker(hint, decode)
    if is_pydantic_model(hint):
        return _model_checker(hint)
    arguments = typing.get_args(hint)
    if is_list_hint(hint) and len(arguments) == 1:
        return _list_checker(_make_checker(arguments[0], from_json), arguments[0], from_json)
    if typing.get_origin(hint) is dict and len(arguments) == 2:
        return _dict_checker(_make_checker(arguments[1], from_json))
    if hint in (list, dict) or typing.get_origin(hint) in (list, dict):
        raise InvalidTypeHintError(
            f"the type hint {describe_hint(hint)} needs the types of its elements"
        )
    raise UnsupportedTypeHintError(f"unsupported type hint {describe_hint(hint)}")


_cached_checker = lru_cache(maxsize=256)(_make_checker)


def _accept(value: object, path: str, problems: list[Problem]) -> object:
    return value


def _report(problems: list[Problem], path: str, expected: str, value: object) -> None:
    if len(problems) < _MAX_PROBLEMS:
        problems.append(Problem(path, expected, f"{type(value).__name__} {shorten(value)}"))


def _optional_checker(check: Checker) -> Checker:
    def check_optional(value: object, path: str, problems: list[Problem]) -> object:
        return None if value is None else check(value, path, problems)

    return check_optional


def _scalar_checker(cls: type, decode: Callable[[str], object] | None) -> Checker:
    def check_scalar(value: object, path: str, problems: list[Problem]) -> object:
        if decode is not None and isinstance(value, str):
            try:
                return decode(value)
            except ValueError:
                _report(problems, path, f"text that stands for {cls.__name__}", value)
                return value
        if not isinstance(value, cls):
            _report(problems, path, cls.__name__, value)
        return value

    return check_scalar


def _list_checker(check: Checker, element: object, from_json: bool) -> Checker:
    plain = isinstance(element, type) and element in SCALAR_HINTS
    plain = plain and not (from_json and element in _DECODERS)

    def check_list(value: object, path: str, problems: list[Problem]) -> object:
        if not isinstance(value, list):
            _report(problems, path, "list", value)
            return value
        if plain and set(map(type, value)) <= {element}:
            return list(value)
        return [check(item, f"{path}[{i}]", problems) for i, item in enumerate(value)]

    return check_list


def _dict_checker(check: Checker) -> Checker:
    def check_dict(value: object, path: str, problems: list[Problem]) -> object:
        if not isinstance(value, dict):
            _report(problems, path, "dict", value)
            return value
        for key in value:
            if not isinstance(key, str):
                _report(problems, path, "keys of type str", key)
        return {key: check(item, f"{path}[{key!r}]", problems) for key, item in value.items()}

    return check_dict


def _model_checker(model: Any) -> Checker:
    from pydantic import BaseModel, ValidationError

    def check_model(value: object, path: str, problems: list[Problem]) -> object:
        if isinstance(value, model):
            return value
        if isinstance(value, BaseModel):
            value = value.model_dump() if hasattr(value, "model_dump") else value.dict()
        if not isinstance(value, dict):
            _report(problems, path, f"a dict or an instance of {model.__name__}", value)
            return value
        try:
            if hasattr(model, "model_validate"):
                return model.model_validate(value, strict=True)
            return model(**value)  # pydantic 1 has no strict mode
        except ValidationError as error:
            for problem in error.errors():
                place = "".join([f"[{part!r}]" for part in problem["loc"]])
                _report(problems, path + place, problem["msg"], problem.get("input"))
            return value

    return check_model


_DECODERS: dict[object, Callable[[str], object]] = {
    bytes: decode_bytes,
    dt.datetime: parse_datetime,
}


def convert_to_hint(data: Any, hint: object) -> Any:
    """Return a DataFrame as the list that ``hint`` asks for; other data as it is.

    Rows become dicts for a list of pydantic models or dicts, unless the frame is one column
    that holds those already; otherwise the first column is the list. NaN becomes None, arrays
    become lists. The frame is not changed.

    Raises:
        InvalidArgumentError: ``hint`` is not a list, so that no frame fits it.
    """
    if not _is_frame(data) or is_unchecked_hint(hint):
        return data
    if not is_list_hint(hint):
        raise InvalidArgumentError(
            f"a DataFrame fits only a type hint list[...], got {describe_hint(hint)}",
            INTERNAL_ERROR,
        )
    arguments = typing.get_args(hint)
    element = split_optional(arguments[0])[0] if arguments else Any
    if not len(data.columns):
        return []
    first = data.iloc[:, 0]
    if _is_record_hint(element) and not _holds_records(data, element):
        return [_plain(record) for record in data.to_dict("records")]
    if len(data.columns) > 1:
        _logger.warning(
            "the type hint %s takes one column, all but %r of %s are ignored",
            describe_hint(hint),
            data.columns[0],
            shorten(list(data.columns)),
        )
    return _plain(first.tolist())


def _is_frame(data: object) -> bool:
    frame = getattr(sys.modules.get("pandas"), "DataFrame", None)
    return frame is not None and isinstance(data, frame)


def _is_record_hint(element: object) -> bool:
    return is_pydantic_model(element) or element is dict or typing.get_origin(element) is dict


def _holds_records(frame: Any, element: object) -> bool:
    """Return whether the one column of ``frame`` already holds what a row would become.

    A named column of dicts may also be the one field of a model, then it is left as that.
    """
    if len(frame.columns) > 1 or list(frame.columns) == [0]:
        return len(frame.columns) == 1
    return not is_pydantic_model(element) and all(isinstance(v, dict) for v in frame.iloc[:, 0])


def _plain(value: object) -> object:
    # Numbers of numpy stay, unlike in the samples of handlers, as a hint is checked strictly.
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    return None if is_missing(value) else value
