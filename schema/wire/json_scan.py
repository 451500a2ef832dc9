"""Looks at the bytes of a JSON text before it is parsed, each many times quicker than parsing.

They err on one side: what they say cannot be is not there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["count_openings", "may_overflow"]

_LARGE = 2**15  # from here on arrays pay
_CHUNK = 2**17  # bytes at a time, so that what is made of them stays in the cache
_WORD = 8
_ROW = 64

# A float can only overflow by an exponent of three digits or by over 200 digits before the
# point or the exponent. Searched for without plus signs and with all digits made 0, which is
# far quicker than a regular expression; what looks like it is read with more care.
_LIKE_INFINITE = (b"e000", b"0" * 200)
_SHAPES = bytes.maketrans(b"E123456789", b"e000000000")

_LOWER = np.uint8(0x20)  # the bit by which [ differs from {, too
_DIGITS = np.uint64(0x3030303030303030)  # of all bytes from 0x30 to 0x3F, the digits among them
_HIGH_HALVES = np.uint64(0xF0F0F0F0F0F0F0F0)


def count_openings(raw: bytes) -> int:
    """Return how many lists and objects a text can hold at most; those in strings count, too."""
    if len(raw) < _LARGE:
        return raw.count(b"[") + raw.count(b"{")
    codes = np.frombuffer(raw, dtype=np.uint8)
    return sum(
        int(np.count_nonzero((codes[start : start + _CHUNK] | _LOWER) == ord("{")))
        for start in range(0, len(raw), _CHUNK)
    )


def may_overflow(raw: bytes) -> bool:
    """Return whether the text may hold a number beyond the range of a double."""
    if len(raw) >= _LARGE and not _has_long_exponent(raw) and not _has_many_digits(raw):
        return False
    shape = raw.translate(_SHAPES, b"+")
    # The first letter of the patterns is rare, so searching from the end skips most text.
    return any(shape.rfind(pattern) >= 0 for pattern in _LIKE_INFINITE)


def _has_long_exponent(raw: bytes) -> bool:
    """Return whether an E has a plus sign or three digits after it."""
    codes = np.frombuffer(raw, dtype=np.uint8)
    last = len(raw) - 3
    for start in range(0, last, _CHUNK):
        is_e = (codes[start : min(start + _CHUNK, last)] | _LOWER) == ord("e")
        found = np.flatnonzero(is_e) + start
        first, second, third = [codes[found + ahead] - ord("0") for ahead in (1, 2, 3)]
        has_digits = (first < 10) & (second < 10) & (third < 10)
        if (has_digits | (codes[found + 1] == ord("+"))).any():
            return True
    return False


def _has_many_digits(raw: bytes) -> bool:
    """Return whether 64 bytes in a row, the first at a multiple of 64, may all be digits.

    A run of 200 digits has such a row in it, wherever it starts.
    """
    rows = np.frombuffer(raw, dtype=np.uint64, count=len(raw) // _ROW * _WORD).reshape(-1, _WORD)
    step = _CHUNK // _ROW
    return any(_has_row_of_digits(rows[at : at + step]) for at in range(0, len(rows), step))


def _has_row_of_digits(rows: npt.NDArray[np.uint64]) -> bool:
    differ = (rows & _HIGH_HALVES) ^ _DIGITS
    while differ.shape[1] > 1:  # one word of each row that is 0 if all are
        half = differ.shape[1] // 2
        differ = differ[:, :half] | differ[:, half:]
    return not differ.all()
