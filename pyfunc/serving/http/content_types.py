"""The Content-Type of a request, held against what MLflow's server takes."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from pyfunc.errors import PyfuncError, shorten

__all__ = ["MediaType", "parse_content_type"]

MediaType = Literal["application/json", "text/csv", "application/vnd.apache.parquet"]

_KNOWN: dict[str, MediaType] = {
    "application/json": "application/json",
    "text/csv": "text/csv",
    "application/vnd.apache.parquet": "application/vnd.apache.parquet",
}


@lru_cache(maxsize=64)
def parse_content_type(value: bytes | None) -> MediaType:
    """Return the media type of a Content-Type header.

    Raises:
        PyfuncError: with ``UNSUPPORTED_MEDIA_TYPE``: there is no header, the type is none of
            the three, the charset is not UTF-8, or there is another parameter.
    """
    text = "" if value is None else value.decode("latin-1")
    word, *parameters = text.split(";")
    found = _KNOWN.get(word.strip())
    if found is None:
        got = "no Content-Type" if value is None else shorten(text)
        raise _unsupported(f"expected a body of {', '.join(_KNOWN)}, got {got}")
    for parameter in parameters:
        name, _, charset = parameter.partition("=")
        if name.strip().lower() != "charset":
            raise _unsupported(
                f"{found} takes no parameter but charset, got {shorten(parameter.strip())}"
            )
        if charset.strip().strip('"').lower() != "utf-8":
            raise _unsupported(f"the charset must be utf-8, got {shorten(charset.strip())}")
    return found


def _unsupported(message: str) -> PyfuncError:
    return PyfuncError(message, "UNSUPPORTED_MEDIA_TYPE")
