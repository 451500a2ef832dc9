"""What is wrong with a request or an answer, said in the errors of this library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, TypeVar

from pyfunc.errors import INTERNAL_ERROR, Problem, SchemaError, shorten

if TYPE_CHECKING:
    import pydantic

__all__ = ["RecordType", "built_record", "check_strictly", "checked_record", "refused"]

R_co = TypeVar("R_co", covariant=True)
_PREFIXES = ("Value error, ", "Input should be ", "expected ")


class RecordType(Protocol[R_co]):
    """A class of pydantic's: ours, or that of MLflow."""

    def model_validate(self, obj: object, *, strict: bool | None = None) -> R_co:
        """Return what ``obj`` stands for."""


def checked_record(kind: RecordType[R_co], value: object, subject: str) -> R_co:
    """Return what ``value`` stands for, if it is strictly of the types that ``kind`` asks for.

    Raises:
        SchemaError: it is not; says every problem, and the code is ``INTERNAL_ERROR``.
    """
    import pydantic

    try:
        kind.model_validate(value, strict=True)
        return kind.model_validate(value)
    except pydantic.ValidationError as error:
        raise refused(error, subject) from error


def check_strictly(model: RecordType[object], values: object) -> None:
    """Check that ``values`` are strictly what ``model`` asks for.

    Raises:
        ValueError: pydantic's own error.
    """
    model.model_validate(values, strict=True)


def built_record(kind: RecordType[R_co], value: object, subject: str) -> R_co:
    """Return what ``value`` stands for, with numbers and text converted as pydantic does.

    Raises:
        SchemaError: it does not fit; says every problem.
    """
    import pydantic

    try:
        return kind.model_validate(value)
    except pydantic.ValidationError as error:
        raise refused(error, subject, "INVALID_PARAMETER_VALUE") from error


def refused(
    error: pydantic.ValidationError, subject: str, code: str = INTERNAL_ERROR
) -> SchemaError:
    """Return the error that says what pydantic found."""
    return SchemaError(list(_problems_of(error)), subject=subject, error_code=code)


def _problems_of(error: pydantic.ValidationError) -> Iterator[Problem]:
    for found in error.errors(include_url=False, include_context=False):
        path = "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in found["loc"]
        )
        if found["type"] == "missing":
            yield Problem(path.lstrip(".") or "it", "a value", "nothing")
            continue
        expected = found["msg"]
        for prefix in _PREFIXES:
            expected = expected.removeprefix(prefix)
        expected, _, got = expected.partition(", got ")
        yield Problem(path.lstrip(".") or "it", expected, got or shorten(found["input"]))
