"""Values that JSON, CSV and other texts have no form for, as the texts that stand for them.

Bytes are base64, dates and times ISO 8601, what is infinite a word. The readers of text decode by
this module and by nothing else; whether a value fits its type is for enforcement to say.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import math
import re

import numpy as np

__all__ = [
    "NONFINITE",
    "PLAIN_MOMENT",
    "decode_bytes",
    "encode_bytes",
    "offset_of",
    "parse_datetime",
    "parse_moment",
    "restore_datetime",
]

NONFINITE = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
"""The words for floats that JSON lacks."""

PLAIN_MOMENT = re.compile(
    r"(?:1[789]|20|21)\d\d-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?)?", re.ASCII
)
"""What numpy reads exactly, of years that nanoseconds reach."""

_ISO_DATE = re.compile(r"\d{4}(?!\d)", re.ASCII)
# What ``isoformat`` writes: Python reads more, and cuts off what is finer than microseconds.
_ISO_FORMAT = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d(:\d\d)?)?)?", re.ASCII
)
_NANOSECONDS = re.compile(r"\.\d{7}", re.ASCII)
_OFFSET = re.compile(r":.*?([zZ]|[+-]\d\d:?\d\d)\s*$")


def encode_bytes(value: bytes | bytearray) -> str:
    """Return base64 text as MLflow writes it: lines of 76 characters, each ended."""
    return base64.encodebytes(value).decode("ascii")


def decode_bytes(text: object) -> bytes:
    """Return the bytes of a base64 text, line breaks and spaces in it ignored.

    Raises:
        ValueError: it is not base64, or no text.
    """
    if not isinstance(text, str):
        raise ValueError(f"not base64: {text!r}")  # noqa: TRY004 - as for other texts
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {text!r}") from error


def parse_datetime(text: str) -> dt.datetime:
    """Return the date and time of a text that ``isoformat`` wrote; a date alone is its midnight.

    Raises:
        ValueError: the text is anything else.
    """
    # Python 3.10 does not read the Z that JSON texts use for UTC.
    return dt.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)


def parse_moment(text: str) -> np.datetime64:
    """Return the moment of an ISO 8601 text in the unit that holds it, an offset as UTC.

    numpy reads such texts, too, but wraps what nanoseconds cannot reach and takes words for
    the current time.

    Raises:
        ValueError: the text is anything else, or finer than nanoseconds.
    """
    text = text.strip()
    if not _ISO_DATE.match(text):
        raise ValueError(f"not a date: {text!r}")
    if offset_of(text):
        import pandas as pd

        utc: np.datetime64 = pd.Timestamp(text).tz_convert("UTC").tz_localize(None).to_datetime64()
        return utc
    if _NANOSECONDS.search(text) and not PLAIN_MOMENT.fullmatch(text):
        raise ValueError(f"not within nanoseconds: {text!r}")
    found: np.datetime64 = np.datetime64(text)
    return found


def offset_of(text: str) -> str:
    """Return the UTC offset at the end of a text of date and time, empty if there is none."""
    found = _OFFSET.search(text)
    return found[1] if found else ""


def restore_datetime(value: object) -> object:
    """Return the date or datetime that ``isoformat`` made this text of, or a moment of numpy.

    A whole number counts the nanoseconds, as in arrays. Anything else is returned as it is.
    """
    if type(value) is int and -(2**63) <= value < 2**63:
        return np.datetime64(value, "ns")
    if not isinstance(value, str) or not _ISO_FORMAT.fullmatch(value):
        return value
    try:
        if len(value) == len("2020-01-01"):
            return dt.date.fromisoformat(value)
        if not _NANOSECONDS.search(value):
            return parse_datetime(value)
        return value if offset_of(value) else parse_moment(value)  # numpy has no offsets
    except ValueError:
        return value
