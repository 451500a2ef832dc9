"""Read types from the JSON objects in which MLflow stores them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyfunc.errors import INTERNAL_ERROR, InvalidArgumentError, shorten
from pyfunc.schema.types import (
    MAX_DEPTH,
    AnyType,
    Array,
    ColumnType,
    Map,
    Object,
    Property,
    SparkMLVector,
    check_dtype,
)

__all__ = ["NESTED_WORDS", "read_array", "read_map", "read_object", "read_property", "read_type"]

NESTED_WORDS = frozenset({"array", "object", "map", "any", "sparkml_vector"})
"""The values of ``type`` that do not name a scalar type."""


def read_type(form: Mapping[str, Any], depth: int = 0) -> ColumnType:
    """Return the type whose JSON object is ``form``; other keys are not looked at.

    Args:
        form: a JSON object with the key ``type``.
        depth: how many types it stands in.

    Raises:
        InvalidArgumentError: a key is missing or has a value of the wrong kind, or types are
            nested too deeply.
    """
    if depth > MAX_DEPTH:
        raise InvalidArgumentError(f"types are nested deeper than {MAX_DEPTH} levels")
    word = form["type"]
    if word == "array":
        return read_array(form, depth)
    if word == "object":
        return read_object(form, depth)
    if word == "map":
        return read_map(form, depth)
    if word == "any":
        return AnyType()
    if word == "sparkml_vector":
        return SparkMLVector()
    return check_dtype(word, "type", INTERNAL_ERROR)


def read_property(form: Mapping[str, Any], depth: int = 0) -> Property:
    """Return the property of ``{name: {"type": ..., "required": ...}}``.

    A missing ``required`` means True; the old ``optional`` is its opposite.
    """
    if len(form) != 1:
        raise InvalidArgumentError(
            f"the JSON of a property needs one key, its name; got {shorten(list(form))}",
            INTERNAL_ERROR,
        )
    [(name, body)] = form.items()
    _check_is_typed(body, f"property {name!r}")
    return Property(name, read_type(body, depth), required=read_required(body, True))


def read_required(form: Mapping[str, Any], default: bool | None) -> Any:
    """Return the ``required`` flag of a JSON object, which old files write as ``optional``."""
    if "required" in form:
        return form["required"]
    return not form["optional"] if "optional" in form else default


def read_object(form: Mapping[str, Any], depth: int = 0) -> Object:
    """Return the object of ``{"type": "object", "properties": {...}}``."""
    properties = _read_part(form, "object", "properties")
    return Object([read_property({name: body}, depth + 1) for name, body in properties.items()])


def read_array(form: Mapping[str, Any], depth: int = 0) -> Array:
    """Return the array of ``{"type": "array", "items": {...}}``."""
    items = _read_part(form, "array", "items")
    _check_is_typed(items, "items of an array")
    return Array(read_type(items, depth + 1))


def read_map(form: Mapping[str, Any], depth: int = 0) -> Map:
    """Return the map of ``{"type": "map", "values": {...}}``."""
    values = _read_part(form, "map", "values")
    _check_is_typed(values, "values of a map")
    return Map(read_type(values, depth + 1))


def _read_part(form: Mapping[str, Any], word: str, key: str) -> dict[str, Any]:
    """Return the dict under ``key`` of a JSON object whose ``type`` is ``word``."""
    missing = {"type", key} - form.keys()
    if missing:
        raise InvalidArgumentError(
            f"the JSON of type {word!r} lacks {sorted(missing)}", INTERNAL_ERROR
        )
    if form["type"] != word:
        raise InvalidArgumentError(
            f"expected type {word!r}, got {shorten(form['type'])}", INTERNAL_ERROR
        )
    part = form[key]
    if not isinstance(part, dict):
        raise InvalidArgumentError(
            f"{key!r} of type {word!r} must be a JSON object, got {shorten(part)}", INTERNAL_ERROR
        )
    return part


def _check_is_typed(form: object, subject: str) -> None:
    if not isinstance(form, dict) or "type" not in form:
        raise InvalidArgumentError(
            f"{subject}: expected a JSON object with the key 'type', got {shorten(form)}",
            INTERNAL_ERROR,
        )
