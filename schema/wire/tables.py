"""Request bodies in CSV and parquet as frames of the columns that a schema declares."""

from __future__ import annotations

import csv
import io
import math
import re
from codecs import BOM_UTF8
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from packaging.version import Version

from pyfunc.errors import (
    Problem,
    PyfuncError,
    find_repeated,
    shorten,
)
from pyfunc.schema.casting.object_columns import PANDAS_ERRORS
from pyfunc.schema.data_types import FACTS, DataType, is_missing
from pyfunc.schema.enforce.arrow_tables import import_arrow, read_parquet
from pyfunc.schema.schemas import Schema
from pyfunc.schema.specs import match_specs
from pyfunc.schema.wire.json_cells import CellError, cast_cells, is_required
from pyfunc.schema.wire.json_frames import misfit
from pyfunc.schema.wire.json_text import bad_request
from pyfunc.schema.wire.limits import RequestLimits
from pyfunc.schema.wire.parquet_sizes import check_parquet

__all__ = ["parse_csv", "parse_parquet"]

# What pandas reads as missing where the column is not text.
_MISSING = frozenset(
    ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN")
).union(("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"))
_EMPTY = frozenset({""})
# Newer pandas reads floats exactly by itself and deprecates being told to; and it alone counts the
# cells of every row of a table that it reads in parts.
_IS_NEWER = Version(pd.__version__) >= Version("3.1")
_EXACT_FLOATS = {} if _IS_NEWER else {"float_precision": "round_trip"}
# What pandas takes apart at once: more would not fit into memory that it has already, and of fewer
# rows each column would cost more than its cells.
_CELLS_AT_ONCE, _ROWS_AT_LEAST = 200_000, 5_000
# Types that pandas' own parser reads exactly; what it refuses gets a closer look.
_DIRECT = {member: FACTS[member].numpy for member in (DataType.double, DataType.long)}
_NUMBERS = frozenset(member for member, facts in FACTS.items() if facts.numpy.kind in "bif")
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?\s*", re.ASCII)
_LONGEST_NUMBER = 400
_TRUTHS = {"true": True, "false": False}


def parse_csv(
    body: bytes | str, *, schema: Schema | None, limits: RequestLimits | None = None
) -> pd.DataFrame:
    """Return the frame of a CSV text whose first line holds the column names.

    Columns that the schema names get its types, each cell exactly or not at all; bytes are
    read from base64 text. In a text column only an empty cell is missing, so ``NA`` stays
    text. Other columns get the types that pandas finds.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, the body is not UTF-8, not a table, or has
            a column twice; or the schema has types that CSV cannot hold. With
            ``PAYLOAD_TOO_LARGE``, it is beyond the limits.
        SchemaError: with ``BAD_REQUEST``, a cell does not fit its column.
    """
    raw = _encode(body)
    header = _header_of(raw)
    if limits is not None:
        limits.check_csv(raw, len(header))
    _check_unique(header)
    names = {} if schema is None else schema.names_by_text()
    labels = [names.get(name, name) for name in header]
    specs = _specs_for(labels, schema)
    frame = _read_numbers_directly(raw, specs)
    columns: dict[int, Any] = {}
    problems: list[Problem] = []
    for i, spec in enumerate(specs):
        if spec is None or (spec.type in _DIRECT and frame[i].dtype.kind in "if"):
            continue
        try:
            columns[i] = _cast(frame[i], spec)
        except CellError as error:
            path = f"inputs[{labels[i]!r}]"
            problems.append(Problem(path, error.expected, error.got, error.row))
    if problems:
        raise misfit(problems)
    if columns:
        kept = {i: frame[i].array for i in range(len(header)) if i not in columns}
        cast = {i: columns[i] if i in columns else kept[i] for i in range(len(header))}
        frame = pd.DataFrame(cast, index=frame.index)
    elif schema is not None:  # as after a cast: each dtype in one block, by which pandas sums
        frame = frame.copy()
    frame.columns = pd.Index(labels)
    return frame


def _encode(body: bytes | str) -> bytes:
    """Return the text in UTF-8, without the mark that some programs put before it."""
    try:
        if isinstance(body, str):
            return body.encode("utf-8").removeprefix(BOM_UTF8)
        if not body.isascii():
            body.decode("utf-8")
    except UnicodeError as error:
        raise bad_request(f"the CSV is not UTF-8: {error}", error) from None
    return body.removeprefix(BOM_UTF8)


def _header_of(raw: bytes) -> list[str]:
    """Return the names of the columns; one without gets that which pandas gives it."""
    try:
        rows = csv.reader(io.TextIOWrapper(io.BytesIO(raw), "utf-8", newline=""))
        header = next((row for row in rows if row), [])
    except csv.Error as error:
        raise bad_request(f"the first line of the CSV cannot be read: {error}", error) from None
    if not header:
        raise bad_request("the CSV has no first line with column names")
    return [name or f"Unnamed: {i}" for i, name in enumerate(header)]


def _check_unique(header: Sequence[str]) -> None:
    twice = find_repeated(header)
    if twice:
        raise bad_request(f"the CSV has several columns named {shorten(sorted(twice))}")


def _specs_for(header: Sequence[object], schema: Schema | None) -> list[Any]:
    """Return the column spec for each label of the header, None where there is none."""
    if schema is None:
        return [None] * len(header)
    found = match_specs(schema.inputs, header)
    for spec in schema.inputs:
        is_wanted = is_required(spec) or any(spec is other for other in found)
        if is_wanted and not isinstance(spec.type, DataType):
            raise bad_request(f"CSV cannot hold {spec!r} of the signature\nhint: send JSON")
    return found


def _read_numbers_directly(raw: bytes, specs: list[Any]) -> pd.DataFrame:
    """Return the table; where pandas cannot read the numbers, those columns are text."""
    known = {i: spec for i, spec in enumerate(specs) if spec is not None}
    dtypes: dict[int, object] = {i: _DIRECT.get(spec.type, object) for i, spec in known.items()}
    longs = [i for i, spec in known.items() if spec.type is DataType.long]
    for i in longs:  # pandas 2 would wrap a number beyond int64 if told the dtype
        del dtypes[i]
    are_numbers = all(spec is not None and spec.type in _DIRECT for spec in specs)
    try:
        return _read_directly(raw, len(specs), dtypes, longs, in_parts=_IS_NEWER and are_numbers)
    except (ValueError, OverflowError):  # pandas' parser errors are ValueErrors
        pass
    dtypes.update(dict.fromkeys(longs, object))
    try:
        return _read(raw, len(specs), dict.fromkeys(dtypes, object))
    except (ValueError, OverflowError) as error:
        raise bad_request(f"the CSV cannot be read as a table: {error}", error) from None


def _read_directly(
    raw: bytes, width: int, dtypes: dict[int, object], longs: Sequence[int], *, in_parts: bool
) -> pd.DataFrame:
    """Return the table, with 64-bit integers in the columns ``longs``.

    Only those may be left for pandas to find the type of if it reads in parts: whatever else it
    finds may depend on all rows.

    Raises:
        ValueError: another type was found, or a cell has not the type that ``dtypes`` says.
    """
    if not in_parts or len(raw) <= _CELLS_AT_ONCE:  # a cell takes a byte at least
        return _check_longs(_read(raw, width, dtypes), longs)
    rows = max(_CELLS_AT_ONCE // width, _ROWS_AT_LEAST)
    with pd.read_csv(io.BytesIO(raw), chunksize=rows, **_options(width, dtypes)) as reader:
        parts = [_check_longs(_check_index(part), longs) for part in reader]
    return pd.concat(parts, ignore_index=True)


def _check_longs(frame: pd.DataFrame, longs: Sequence[int]) -> pd.DataFrame:
    if all(frame.dtypes.iloc[i] == np.int64 for i in longs):
        return frame
    raise ValueError("a cell is no 64-bit integer")


def _read(raw: bytes, width: int, dtypes: dict[int, object]) -> pd.DataFrame:
    return _check_index(pd.read_csv(io.BytesIO(raw), **_options(width, dtypes)))


def _options(width: int, dtypes: dict[int, object]) -> dict[str, Any]:
    texts = {i for i, dtype in dtypes.items() if dtype is object}
    return {
        "header": 0,
        "names": list(range(width)),
        "dtype": dtypes,
        "na_values": {i: _MISSING for i in range(width) if i not in texts} if texts else None,
        "keep_default_na": not texts,
        "low_memory": False,
        **_EXACT_FLOATS,
    }


def _check_index(frame: pd.DataFrame) -> pd.DataFrame:
    if not isinstance(frame.index, pd.RangeIndex):  # pandas takes surplus cells for row labels
        raise bad_request("a row of the CSV has more cells than the first line has names")
    return frame


def _cast(column: pd.Series, spec: Any) -> object:
    if spec.type is DataType.string and spec.name is not None:
        # MLflow asks for objects by name; columns without one get what pandas makes of text.
        return _cast_texts(column)
    return cast_cells(_prepare(column.tolist(), spec.type), spec.type, is_required(spec))


def _cast_texts(column: pd.Series) -> pd.Series:
    texts = column.to_numpy(copy=True)
    texts[(column.isna() | (column == "")).to_numpy()] = math.nan
    cast: pd.Series = pd.Series(texts, index=column.index, dtype=object)
    return cast


def _prepare(cells: list[object], dtype: DataType) -> list[object]:
    """Return text cells with the missing ones as None, numbers and booleans as what they spell.

    Raises:
        CellError: a cell has the underscores of Python's numbers.
    """
    words = _EMPTY if dtype in (DataType.string, DataType.binary) else _MISSING
    found = [None if is_missing(cell) or cell in words else cell for cell in cells]
    if dtype not in _NUMBERS:
        return found
    for row, cell in enumerate(found):
        if isinstance(cell, str) and "_" in cell:
            raise CellError(row, "a number", shorten(cell))
    truths = [_TRUTHS.get(c.strip().lower(), c) if isinstance(c, str) else c for c in found]
    if dtype is DataType.boolean or set(map(type, truths)) <= {bool, type(None)}:
        found = truths  # only booleans may stand beside numbers
    if dtype in (DataType.float, DataType.double):
        return found
    return [_whole_number_of(cell) if isinstance(cell, str) else cell for cell in found]


def _whole_number_of(cell: str) -> object:
    """Return the whole number that a text spells, such as ``5``, ``5.0`` and ``1e3``, else it."""
    with suppress(ValueError):
        return int(cell)
    if len(cell) > _LONGEST_NUMBER or _NUMBER.fullmatch(cell) is None:
        return cell
    number = Decimal(cell.strip())
    fits = -(2**63) <= number < 2**63  # larger ones are written in digits, or are floats
    return int(number) if fits and number == number.to_integral_value() else cell


def parse_parquet(
    body: bytes, *, schema: Schema | None = None, limits: RequestLimits | None = None
) -> pd.DataFrame:
    """Return the frame of a parquet file, see :func:`~.arrow_tables.read_parquet`.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        InvalidArgumentError: with ``BAD_REQUEST``, the body is not a parquet file. With
            ``PAYLOAD_TOO_LARGE``, it is beyond the limits.
    """
    import_arrow("a parquet request")
    try:
        if limits is not None:
            check_parquet(body, limits)
        return read_parquet(body, () if schema is None else schema.inputs)
    except PyfuncError:
        raise
    except (*PANDAS_ERRORS, OSError) as error:
        raise bad_request(f"the body is not a parquet file: {error}", error) from None
