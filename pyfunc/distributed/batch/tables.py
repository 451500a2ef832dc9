"""Predictions and tables as text or bytes in the formats of files."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pyfunc.errors import BAD_REQUEST, InvalidArgumentError, MissingDependencyError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FileFormat", "format_of", "format_parquet", "frame_of_predictions", "only_utf_8"]

FileFormat = Literal["json", "jsonl", "csv", "parquet"]

_SUFFIXES: dict[str, FileFormat] = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}

_PACKED = frozenset((".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".tgz", ".7z"))
# These say nothing about what the file holds, as does no suffix, or the number of a version.
_SILENT = frozenset((".txt", ".out", ".log", ".tmp"))
_SUFFIX = re.compile(r"\.[a-z][a-z0-9_-]*|\.7z")


def format_of(path: str | None, said: str | None, default: FileFormat = "json") -> FileFormat:
    """Return the format that was asked for, or that the name of the file shows.

    Raises:
        InvalidArgumentError: the format is unknown, or the name is that of another one.
    """
    if said is None:
        return default if path is None else _format_by_name(path, default)
    for known in get_args(FileFormat):
        if said.lower() == known:
            return known  # type: ignore[no-any-return]
    raise InvalidArgumentError(f"expected one of {', '.join(get_args(FileFormat))}, got {said!r}")


def _format_by_name(path: str, default: FileFormat) -> FileFormat:
    suffix = Path(path).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    if _SUFFIX.fullmatch(suffix) and suffix not in _SILENT:
        packed = suffix in _PACKED
        remedy = "unpack it, or send it through a pipe" if packed else "convert it to one of them"
        raise InvalidArgumentError(
            f"{path}: {suffix} is none of the formats {', '.join(get_args(FileFormat))}\n"
            f"hint: {remedy}, or say what the file holds whatever its name is"
        )
    return default


def frame_of_predictions(value: object) -> pd.DataFrame:
    """Return predictions as a table: one row per prediction.

    Arrays of one dimension become the column ``prediction``, those of two ``prediction_0`` and so
    on; a mapping has a column per key.

    Raises:
        InvalidArgumentError: they are no table.
    """
    with only_utf_8():
        return _frame_of(value)


@contextlib.contextmanager
def only_utf_8() -> Iterator[None]:
    """Say of half a surrogate pair in the predictions, which the body stumbles on, what it is.

    Raises:
        InvalidArgumentError: there is one.
    """
    try:
        yield
    except UnicodeEncodeError as error:
        raise _no_table(str(error)) from error


def _frame_of(value: object) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    frame: pd.DataFrame
    if isinstance(value, pd.DataFrame):
        frame = value
    elif isinstance(value, pd.Series):
        frame = value.to_frame("prediction" if value.name is None else value.name)
    elif isinstance(value, dict):
        frame = _frame_of_dict(value)
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        frame = pd.DataFrame(value)
    else:
        array = np.asarray(value, dtype=object) if _is_ragged(value) else np.asarray(value)
        if array.ndim not in (1, 2):
            raise _no_table(f"it has {array.ndim} dimensions")
        names = ["prediction"]
        if array.ndim == 2:
            names = [f"prediction_{number}" for number in range(array.shape[1])]
        frame = pd.DataFrame(array, columns=pd.Index(names))
    return frame


def _frame_of_dict(value: dict[object, object]) -> pd.DataFrame:
    import pandas as pd

    try:
        frame: pd.DataFrame = pd.DataFrame({key: _column(part) for key, part in value.items()})
    except ValueError as error:
        raise _no_table(str(error)) from error
    return frame


def _column(part: Any) -> Any:
    return list(part) if getattr(part, "ndim", 1) > 1 else part


def _is_ragged(value: object) -> bool:
    if not isinstance(value, list) or not all(isinstance(item, list) for item in value):
        return False
    return len({len(item) for item in value}) > 1


def _no_table(why: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"the prediction cannot be written as a table: {why}\nhint: write it as json", BAD_REQUEST
    )


def format_parquet(frame: pd.DataFrame) -> bytes:
    """Return a table as a parquet file, without its index.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        InvalidArgumentError: the table cannot be written so.
    """
    try:
        import pyarrow as arrow
    except ImportError as error:
        raise MissingDependencyError(
            "writing parquet", "pip install 'pyfunc-format[arrow]'"
        ) from error
    buffer = io.BytesIO()
    named = frame.set_axis([str(name) for name in frame.columns], axis=1)
    try:
        named.to_parquet(buffer, index=False, engine="pyarrow")
    except (arrow.ArrowException, ValueError, TypeError) as error:
        raise _no_table(str(error)) from error
    return buffer.getvalue()
