"""Calling code that is not ours: what it raises becomes an error of our tree."""

from __future__ import annotations

from collections.abc import Callable

from pyfunc.errors import PyfuncError

__all__ = ["errors_named", "text_of", "told"]


class errors_named:  # noqa: N801 - used like a function, in a with statement
    """Raises ``make(error)`` from any exception of the body that is none of ours.

    Args:
        make: is given the exception and returns the error that takes its place; the exception
            becomes its cause.
        *passing: kinds of exceptions beside our own that are left alone.

    What does not derive from ``Exception``, such as ``KeyboardInterrupt``, always passes.
    """

    def __init__(
        self, make: Callable[[Exception], PyfuncError], *passing: type[Exception]
    ) -> None:
        self._make = make
        self._passing: tuple[type[Exception], ...] = (PyfuncError, *passing)

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise the error that stands for ``error``, unless that passes."""
        if isinstance(error, Exception) and not isinstance(error, self._passing):
            raise self._make(error) from error


def text_of(error: BaseException) -> str:
    """Return the text of an exception, also where its own code fails to make one."""
    try:
        return str(error)
    except Exception:
        return "<its text cannot be made>"


def told(error: BaseException) -> str:
    """Return the kind and the text of an exception."""
    return f"{type(error).__name__}: {text_of(error)}"
