"""Check and complete the parameters of one call by the schema of the model."""

from __future__ import annotations

import copy
import logging
from typing import Any

from pyfunc.errors import (
    INVALID_PARAMETER_VALUE,
    InvalidTypeError,
    Problem,
    SchemaError,
    shorten,
)
from pyfunc.schema.casting.param_values import ParamMisfitError, cast_param
from pyfunc.schema.schemas import ParamSchema

__all__ = ["enforce_params"]

_logger = logging.getLogger("pyfunc.schema")


def enforce_params(params: Any, schema: ParamSchema | None) -> dict[str, Any] | None:
    """Return the supplied parameters, cast, followed by the defaults of the others.

    Unknown parameters are logged and dropped. The result is a new dict with plain Python
    values; lists and dicts that are defaults are copies. Without a schema no parameter is
    known: the result is empty, or ``params`` itself if it is None or empty.

    Raises:
        InvalidTypeError: ``schema`` is no ParamSchema, or ``params`` no dict though there is
            a schema; or they are a table or an array.
        SchemaError: values do not fit; every one is listed.
    """
    if schema is None:
        return _ignore(params)
    if not isinstance(schema, ParamSchema):
        raise InvalidTypeError(f"expected a ParamSchema, got {shorten(schema)}")
    if params is None:
        params = {}
    if not isinstance(params, dict):
        raise _no_dict(params)
    specs = {spec.name: spec for spec in schema}
    supplied = _known(params, specs)
    result: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in supplied.items():
        spec = specs[name]
        try:
            result[name] = cast_param(name, value, spec.dtype, spec.shape)
        except ParamMisfitError as error:
            problems += error.problems
    if problems:
        raise SchemaError(
            problems,
            subject="parameters do not match the signature",
            error_code=INVALID_PARAMETER_VALUE,
        )
    for name, spec in specs.items():
        if name not in result:
            result[name] = copy.deepcopy(spec.default)
    return result


def _ignore(params: Any) -> dict[str, object] | None:
    if hasattr(params, "__array__"):  # which MLflow asks in vain whether they are true
        raise _no_dict(params)
    if params is None or params == {}:
        return params  # type: ignore[no-any-return]
    given = sorted(map(str, params)) if isinstance(params, dict) else type(params).__name__
    _logger.warning("the model declares no parameters, these are ignored: %s", shorten(given))
    return {}


def _no_dict(params: object) -> InvalidTypeError:
    return InvalidTypeError(f"params must be a dict, got {type(params).__name__}")


def _known(params: dict[Any, object], specs: dict[str, Any]) -> dict[str, object]:
    if not all(isinstance(name, str) for name in params):
        _logger.warning("names of parameters are made strings: %s", shorten(list(params)))
        params = {str(name): value for name, value in params.items()}
    unknown = sorted(name for name in params if name not in specs)
    if unknown:
        _logger.warning(
            "unknown parameters are ignored: %s; the model has %s",
            shorten(unknown),
            shorten(list(specs)),
        )
    return {name: value for name, value in params.items() if name in specs}
