"""Strict reading and writing of JSON texts: what is not exact JSON never gets past here.

Knows nothing of frames or schemas; those are the work of the codec modules above it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pyfunc.errors import BAD_REQUEST, InvalidArgumentError, find_repeated, shorten
from pyfunc.schema.wire.json_scan import (
    count_keys,
    count_openings,
    may_have_long_integer,
    may_overflow,
)

try:
    import orjson
except ImportError:  # all is read and written alike without it, but slowly
    _parse: Callable[[bytes | bytearray | str], object] | None = None
else:
    _parse = orjson.loads

__all__ = [
    "MAX_DEPTH",
    "bad_request",
    "dump_json",
    "load_json",
    "load_lenient_json",
    "load_plain_object",
]

MAX_DEPTH = 32
"""How deep objects and lists of a request may be nested, the outermost counting as 1."""

_SMALL = 256  # bytes, of which the careful way makes less work than the proof
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def bad_request(message: str, cause: BaseException | None = None) -> InvalidArgumentError:
    """Return the error for a request body that cannot be read."""
    error = InvalidArgumentError(message, BAD_REQUEST)
    error.__cause__ = cause
    return error


def dump_json(tree: object, *, indent: int | None = None) -> str:
    """Return the JSON text of a tree of plain values, in ASCII.

    Raises:
        InvalidArgumentError: the tree holds NaN or infinity, or refers to itself.
    """
    try:
        return json.dumps(tree, allow_nan=False, indent=indent)
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"the value has no JSON form: {error}") from error


def load_json(
    body: bytes | bytearray | str, *, allow_nan: bool = False, max_depth: int = MAX_DEPTH
) -> object:
    """Return the value of a JSON text that came from outside.

    Args:
        body: UTF-8 without a byte order mark, or text.
        allow_nan: accept the tokens ``NaN`` and ``Infinity``, which are not JSON, and
            numbers such as ``1e999`` that read as infinity.
        max_depth: how deep the value may be nested.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, for anything that is not exactly one
            JSON value: other encodings, trailing text, an object that has a key twice, an
            escaped lone surrogate, integers beyond Python's limit of digits.
    """
    raw = body.encode("utf-8", "replace") if isinstance(body, str) else bytes(body)
    openings = count_openings(raw)
    try:
        value = _load_quickly(body, raw, openings)
    except ValueError:
        value = _load_carefully(body, raw, allow_nan, max_depth)
    if openings > max_depth:
        check_depth(value, max_depth, openings)
    return value


def _load_quickly(body: bytes | bytearray | str, raw: bytes, openings: int) -> object:
    """Return the value of a text of which it is certain that the careful way gives the same.

    orjson is as strict, but rounds integers beyond 64 bits and keeps the last of several values
    of a key.

    Raises:
        ValueError: it is not certain, or the text is not exact JSON.
    """
    if _parse is None or len(raw) < _SMALL or may_have_long_integer(raw):
        raise ValueError
    value = _parse(body)
    dicts = [node for level in _levels(value, openings) for node in level if type(node) is dict]
    if sum(map(len, dicts)) != count_keys(raw):
        raise ValueError
    return value


def load_plain_object(raw: bytes) -> dict[str, Any] | None:
    """Return the object of a text, None where more than numbers would have to be looked at.

    It is that of :func:`load_json` if the text has two quotes for each string in it, and so no
    key twice; but integers beyond 64 bits are doubles.
    """
    try:
        value = None if _parse is None else _parse(raw)
    except ValueError:
        return None
    return value if type(value) is dict else None


def _load_carefully(
    body: bytes | bytearray | str, raw: bytes, allow_nan: bool, max_depth: int
) -> object:
    text = _decode(body)
    strict = _CAREFUL if may_overflow(raw) else _STRICT
    decoder = _LENIENT if allow_nan else strict
    try:
        value = decoder.decode(text)
    except RecursionError as error:
        raise bad_request(f"the JSON is nested deeper than {max_depth} levels", error) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise bad_request(f"the body is not valid JSON: {error.msg} at {where}", error) from None
    except InvalidArgumentError:
        raise
    except ValueError as error:  # an integer of more digits than Python converts
        raise bad_request(f"the JSON holds a number that is too long: {error}", error) from None
    if "\\" in text and _SURROGATE_ESCAPE.search(text):
        _check_texts(value)
    return value


def load_lenient_json(body: bytes) -> object:
    """Return the value of a JSON text that MLflow may have written, ``NaN`` tokens included.

    Raises:
        ValueError: the text is not JSON or not UTF-8.
        RecursionError: it is nested too deeply to be read.
    """
    return json.loads(body.decode("utf-8"))


def _decode(body: bytes | bytearray | str) -> str:
    if isinstance(body, str):
        text = body
    else:
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise bad_request(f"the body is not UTF-8: {error}", error) from None
    if text.startswith("\ufeff"):
        raise bad_request("the body starts with a byte order mark, which JSON does not allow")
    return text


def _object_of(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = min(find_repeated([key for key, _ in pairs]))
        raise bad_request(f"the JSON has an object with the key {shorten(twice)} twice")
    return found


def _refuse_constant(token: str) -> object:
    raise bad_request(
        f"the JSON has the token {token}, which is not JSON\n"
        "hint: write null for a missing number, or allow NaN where the body is read"
    )


def _finite_float(token: str) -> float:
    value = float(token)
    if value in (float("inf"), float("-inf")):
        raise bad_request(f"the JSON has the number {shorten(token)}, which is beyond a double")
    return value


_LENIENT = json.JSONDecoder(object_pairs_hook=_object_of)
_STRICT = json.JSONDecoder(object_pairs_hook=_object_of, parse_constant=_refuse_constant)
_CAREFUL = json.JSONDecoder(
    object_pairs_hook=_object_of, parse_constant=_refuse_constant, parse_float=_finite_float
)


def check_depth(value: Any, max_depth: int, most: int | None = None) -> None:
    """Refuse a value of lists and dicts that is nested deeper than ``max_depth``.

    ``most`` is a number of lists and dicts that the value has at most, if one is known.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``.
    """
    for depth, _ in enumerate(_levels(value, most), 1):
        if depth > max_depth:
            raise bad_request(f"the JSON is nested deeper than {max_depth} levels")


def _levels(value: object, most: int | None) -> Iterator[list[Any]]:
    """Yield the lists and dicts of each level of a value, from the outermost on.

    Of the values of a large table none is looked at, once all its rows were seen.
    """
    level = [value] if isinstance(value, (list, dict)) else []
    while level:
        yield level
        if most is not None:
            most -= len(level)
            if most <= 0:
                return
        level = [child for node in level for child in _containers(node)]


def _containers(node: Any) -> Sequence[Any]:
    children = node.values() if isinstance(node, dict) else node
    kinds = set(map(type, children))
    if list not in kinds and dict not in kinds:
        return ()
    return [child for child in children if type(child) is list or type(child) is dict]


def _check_texts(value: object) -> None:
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            try:
                node.encode("utf-8")
            except UnicodeEncodeError as error:
                raise bad_request("the JSON holds half of a surrogate pair", error) from None
        elif isinstance(node, dict):
            stack += node.keys()
            stack += node.values()
        elif isinstance(node, list):
            stack += node
