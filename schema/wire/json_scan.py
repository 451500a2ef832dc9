"""Looks at the bytes of a JSON text before it is parsed, each many times quicker than parsing.

They err on one side: what they say cannot be is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "LOWER",
    "chunks_of",
    "count_keys",
    "count_openings",
    "count_quotes",
    "may_have_long_integer",
    "may_overflow",
]

_LARGE = 2**12  # from here on arrays pay
_CHUNK = 2**17  # bytes at a time, so that what is made of them stays in the cache

# A float can only overflow by an exponent of three digits or by over 200 digits before the
# point or the exponent. Searched for without plus signs and with all digits made 0, which is
# far quicker than a regular expression; what looks like it is read with more care.
_LIKE_INFINITE = (b"e000", b"0" * 200)
_SHAPES = bytes.maketrans(b"E123456789", b"e000000000")

# The shortest integers beyond 64 bits have 19 digits, the first of them not behind a point.
_LONG = b"0" * 19
_LONG_INTEGER = re.compile(rb"(?<![.\d])\d{19}")
_KEY_ENDS = (b'":', b" :", b"\t:", b"\n:", b"\r:")

LOWER = np.uint8(0x20)
"""The bit by which small letters differ from others, and { from [."""


def count_openings(raw: bytes) -> int:
    """Return how many lists and objects a text can hold at most; those in strings count, too."""
    if len(raw) < _LARGE:
        return raw.count(b"[") + raw.count(b"{")
    return sum(int(np.count_nonzero((codes | LOWER) == ord("{"))) for codes in chunks_of(raw))


def count_keys(raw: bytes) -> int:
    """Return how many keys objects can have at most: colons in strings may count, too."""
    if len(raw) < _LARGE:
        return sum(map(raw.count, _KEY_ENDS))
    return sum(
        int(np.count_nonzero(_ends_key(codes[:-1], codes[1:]))) for codes in chunks_of(raw, 1)
    )


def _ends_key(codes: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> Any:
    return (after == ord(":")) & ((codes == ord('"')) | (codes <= ord(" ")))


def count_quotes(raw: bytes) -> int:
    """Return how many quotes there are: two for each string, and those that are in strings."""
    return raw.count(b'"', 0, raw.rfind(b'"') + 1)  # behind the last are the most of a table


def may_have_long_integer(raw: bytes) -> bool:
    """Return whether the text may hold an integer of more than 64 bits."""
    if len(raw) < _LARGE:
        return _LONG in raw.translate(_SHAPES) and _LONG_INTEGER.search(raw) is not None
    return raw[:1].isdigit() or any(map(_has_long_integer, chunks_of(raw, len(_LONG))))


def _has_long_integer(codes: npt.NDArray[np.uint8]) -> bool:
    """Return whether 19 digits follow each other behind anything but a point or a digit."""
    is_digit = codes - np.uint8(ord("0")) < np.uint8(10)
    run = is_digit[1:]
    for step in (1, 2, 4, 8, 3):  # runs of 2, 4, 8, 16 and 19
        run = run[step:] & run[:-step]
    before = codes[: len(run)]
    return bool((run & ~is_digit[: len(run)] & (before != ord("."))).any())


def may_overflow(raw: bytes) -> bool:
    """Return whether the text may hold a number beyond the range of a double."""
    shape = raw.translate(_SHAPES, b"+")
    # The first letter of the patterns is rare, so searching from the end skips most text.
    return any(shape.rfind(pattern) >= 0 for pattern in _LIKE_INFINITE)


def chunks_of(raw: bytes, overlap: int = 0) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the bytes in pieces, each with as many of the next one at its end."""
    codes = np.frombuffer(raw, dtype=np.uint8)
    for start in range(0, len(codes), _CHUNK):
        yield codes[start : start + _CHUNK + overlap]
