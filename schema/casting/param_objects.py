"""Check a dict that is supplied for a parameter of an Object type; nothing is cast.

The rules are those for a nested value in a column. MLflow, too, applies them to a copy and then
hands the original to the model.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from pyfunc.errors import Problem
from pyfunc.schema.casting.findings import Findings
from pyfunc.schema.casting.nested import Place, compile_type
from pyfunc.schema.types import Object

__all__ = ["find_object_problems"]


def find_object_problems(path: str, value: object, dtype: Object) -> tuple[Problem, ...]:
    """Return what keeps ``value`` from being a dict with the properties of ``dtype``."""
    findings = Findings()
    compile_type(dtype).enforce([value], Place(path, [0], findings), optional=False)
    if findings:
        return tuple(Problem(p.path, p.expected, p.got) for p in findings.to_error().problems)
    return tuple(_find_dates(path, value))


def _find_dates(path: str, value: object) -> Iterator[Problem]:
    """Yield the dates and datetimes, which a column may hold but the JSON of a default may not."""
    if isinstance(value, dt.date):
        yield Problem(path, "a numpy.datetime64", type(value).__name__)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _find_dates(f"{path}.{key}", item)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for item in value:
            yield from _find_dates(f"{path}[]", item)
