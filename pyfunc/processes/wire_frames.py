"""Frames, series, indexes and sparse matrices in the form of ``wire_values``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pandas as pd

from pyfunc.errors import InvalidTypeError, MissingDependencyError

__all__ = ["TreeReader", "TreeWriter", "read_pandas", "write_pandas"]


class TreeWriter(Protocol):
    """What writes the values inside a frame: a ``ValueWriter``."""

    def write(self, value: Any) -> Any:
        """Return the tree of any value."""

    def write_array(self, array: np.ndarray[Any, Any]) -> Any:
        """Return the tree of an array."""

    def add_buffer(self, content: Any) -> int:
        """Keep bytes beside the tree and return their number."""


class TreeReader(Protocol):
    """What reads the values inside a frame: a ``ValueReader``."""

    def take_buffer(self, number: int) -> Any:
        """Return the bytes beside the tree that have this number, once."""

    def read(self, tree: Any) -> Any:
        """Return the value of a tree."""

    def read_array(self, tree: Any) -> np.ndarray[Any, Any]:
        """Return the array of a tree."""

    def read_items(self, trees: list[Any]) -> list[Any]:
        """Return the values of several trees."""


_MASKED: dict[str, Any] = {
    "IntegerArray": pd.arrays.IntegerArray,
    "FloatingArray": pd.arrays.FloatingArray,
    "BooleanArray": pd.arrays.BooleanArray,
}


_SPARSE_FORMATS = ("csr", "csc")


def write_pandas(writer: TreeWriter, value: Any) -> Any:
    """Return the tree of a value of pandas, scipy or Arrow, None for any other."""
    if value is pd.NaT or value is pd.NA:
        return ["nat" if value is pd.NaT else "na"]
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write(writer, value)
    if _is_sparse(value):
        return _write_sparse(writer, value)
    if hasattr(value, "__arrow_c_stream__"):
        return _write_arrow(writer, value)
    return None


def _write_frame(writer: TreeWriter, value: Any) -> Any:
    columns = [_write_values(writer, value.iloc[:, i].array) for i in range(value.shape[1])]
    index, labels = _write_index(writer, value.index), _write_index(writer, value.columns)
    return ["frame", index, labels, columns]


def _write_series(writer: TreeWriter, value: Any) -> Any:
    index, name = _write_index(writer, value.index), writer.write(value.name)
    return ["series", index, _write_values(writer, value.array), name]


def _write_timestamp(writer: TreeWriter, value: Any) -> Any:
    return ["timestamp", writer.write_array(np.asarray(value.asm8)), _zone(value.tz)]


_WRITERS: tuple[tuple[type, Callable[[Any, Any], Any]], ...] = (
    (pd.DataFrame, _write_frame),
    (pd.Series, _write_series),
    (pd.Index, lambda writer, value: ["index", _write_index(writer, value)]),
    (
        pd.api.extensions.ExtensionArray,
        lambda writer, value: ["extension", _write_values(writer, value)],
    ),
    (pd.Timestamp, _write_timestamp),
    (
        pd.Timedelta,
        lambda writer, value: ["pd-timedelta", writer.write_array(np.asarray(value.asm8))],
    ),
)


def _zone(zone: Any) -> str | None:
    return None if zone is None else str(getattr(zone, "key", None) or zone)


def _is_sparse(value: Any) -> bool:
    return type(value).__module__.startswith("scipy.sparse") and hasattr(value, "tocsr")


def _write_sparse(writer: TreeWriter, value: Any) -> Any:
    format_name = value.format if value.format in _SPARSE_FORMATS else "csr"
    packed = value.asformat(format_name)
    is_array = not type(value).__name__.endswith("_matrix")
    parts = [writer.write_array(part) for part in (packed.data, packed.indices, packed.indptr)]
    return ["sparse", format_name, is_array, list(packed.shape), parts]


def _write_arrow(writer: TreeWriter, value: Any) -> Any:
    pa = _import_arrow()
    return ["arrow", writer.add_buffer(_stream(pa, pa.table(value)))]


def _import_arrow() -> Any:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingDependencyError(
            "sending Arrow data to or from an isolated model", "pip install pyarrow"
        ) from error
    return pa


def _stream(pa: Any, table: Any) -> Any:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return memoryview(sink.getvalue())


def _write_index(writer: TreeWriter, index: pd.Index) -> Any:
    names = [writer.write(name) for name in index.names]
    if isinstance(index, pd.RangeIndex):
        return ["range", index.start, index.stop, index.step, names]
    if isinstance(index, pd.MultiIndex):
        levels = [_write_index(writer, level) for level in index.levels]
        codes = [writer.write_array(np.asarray(code)) for code in index.codes]
        return ["multi", levels, codes, names]
    freq = getattr(index, "freqstr", None)
    return ["values", _write_values(writer, index.array), names, freq]


def _write_values(writer: TreeWriter, values: Any) -> Any:
    """Return the tree of the contents of a column: dtype and missing values are kept."""
    dtype = values.dtype
    # StringArray is a subclass in some versions of pandas.
    if type(values) is pd.arrays.NumpyExtensionArray or isinstance(dtype, np.dtype):
        array = np.asarray(values)
        text = _write_text(writer, array) if array.dtype.kind == "O" else None
        return ["numpy", text or writer.write_array(array)]
    if isinstance(dtype, pd.StringDtype):
        missing = values.isna()
        array = np.asarray(values, dtype=object).copy()  # the caller's own must not change
        array[missing] = ""
        mask = writer.write_array(missing)
        nan = dtype.na_value is not pd.NA
        return ["string", _write_text(writer, array), mask, nan]
    if isinstance(dtype, pd.CategoricalDtype):
        codes = writer.write_array(values.codes)
        return ["category", codes, _write_index(writer, values.categories), bool(values.ordered)]
    if isinstance(dtype, pd.DatetimeTZDtype):
        # Naive values of an aware column are UTC.
        naive = values.tz_convert("UTC").tz_localize(None)
        return ["aware", writer.write_array(np.asarray(naive)), _zone(dtype.tz)]
    if type(values).__name__ in _MASKED:
        parts = [writer.write_array(part) for part in (values._data, values._mask)]
        return ["nullable", type(values).__name__, *parts]
    if isinstance(dtype, pd.ArrowDtype):
        pa = _import_arrow()
        table = pa.table({"values": values.__arrow_array__()})
        return ["arrow-column", writer.add_buffer(_stream(pa, table))]
    raise InvalidTypeError(
        f"a column of dtype {dtype} cannot be sent to or from an isolated model"
    )


def _write_text(writer: TreeWriter, array: np.ndarray[Any, Any]) -> Any:
    """Return the tree of an array of nothing but ``str``, None for any other."""
    values = array.ravel().tolist()
    if not values or set(map(type, values)) != {str}:
        return None
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    joined = "".join(values).encode("utf-8", "surrogatepass")
    return ["text", list(array.shape), writer.write_array(lengths), writer.add_buffer(joined)]


def read_pandas(reader: TreeReader, tree: Any) -> Any:
    """Return the value of a tree that :func:`write_pandas` wrote.

    Raises:
        ValueError: the tree is none.
    """
    kind, *parts = tree
    if kind not in _READERS:
        raise ValueError(f"unknown kind of value {kind!r}")
    return _READERS[kind](reader, *parts)


def _read_frame(reader: TreeReader, index: Any, columns: Any, trees: list[Any]) -> Any:
    labels = _read_index(reader, columns)
    rows = _read_index(reader, index)
    contents = {i: _make_series(_read_values(reader, t), rows) for i, t in enumerate(trees)}
    frame = pd.DataFrame(contents, index=rows)
    frame.columns = labels
    return frame


def _read_series(reader: TreeReader, index: Any, values: Any, name: Any) -> Any:
    series = _make_series(_read_values(reader, values), _read_index(reader, index))
    return series.rename(reader.read(name))


def _make_series(values: Any, index: pd.Index) -> pd.Series:
    # With the dtype said, pandas does not turn objects that are all text into its text type.
    series: pd.Series = pd.Series(values, index, dtype=values.dtype)
    return series


def _read_index(reader: TreeReader, tree: Any) -> Any:
    kind, *parts = tree
    if kind == "range":
        start, stop, step, names = parts
        index: Any = pd.RangeIndex(start, stop, step)
    elif kind == "multi":
        levels, codes, names = parts
        index = pd.MultiIndex(
            levels=[_read_index(reader, level) for level in levels],
            codes=[reader.read_array(code).tolist() for code in codes],
            verify_integrity=True,
        )
    else:
        values, names, freq = parts
        content = _read_values(reader, values)
        index = pd.Index(content, dtype=content.dtype)
        if freq is not None:
            # Names of frequencies differ between versions of pandas; they are a convenience.
            with contextlib.suppress(ValueError):
                index.freq = freq
    index.names = reader.read_items(names)
    return index


def _read_values(reader: TreeReader, tree: Any) -> Any:
    kind, *parts = tree
    if kind == "numpy":
        return (
            reader.read(parts[0]) if parts[0][0] != "text" else _read_text(reader, *parts[0][1:])
        )
    return _VALUES[kind](reader, *parts)


def _read_text(
    reader: TreeReader, shape: list[int], lengths: Any, buffer: int
) -> np.ndarray[Any, Any]:
    text = bytes(reader.take_buffer(buffer)).decode("utf-8", "surrogatepass")
    ends = np.cumsum(reader.read_array(lengths)).tolist()
    if (ends[-1] if ends else 0) != len(text) or sorted(ends) != ends:
        raise ValueError("the lengths of texts are not those of the text")
    array = np.empty(len(ends), object)
    array[:] = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return array.reshape(shape)


def _read_string(reader: TreeReader, text: Any, mask: Any, nan: bool) -> Any:
    array = np.empty(0, object) if text is None else _read_text(reader, *text[1:])
    missing = reader.read_array(mask)
    array[missing] = np.nan if nan else pd.NA
    if not nan:
        return pd.array(array, dtype="string")
    try:
        dtype: Any = pd.StringDtype(na_value=np.nan)
    except TypeError:  # before pandas 2.3, text with NaN is an object column
        return array
    return pd.array(array, dtype=dtype)


def _read_category(reader: TreeReader, codes: Any, categories: Any, ordered: bool) -> Any:
    dtype = pd.CategoricalDtype(_read_index(reader, categories), ordered=ordered)
    return pd.Categorical.from_codes(reader.read_array(codes), dtype=dtype)


def _read_aware(reader: TreeReader, values: Any, zone: str) -> Any:
    naive = pd.DatetimeIndex(reader.read_array(values))
    return naive.tz_localize("UTC").tz_convert(_check_zone(zone)).array


def _read_nullable(reader: TreeReader, name: str, data: Any, mask: Any) -> Any:
    return _MASKED[name](reader.read_array(data), reader.read_array(mask))


def _read_arrow_column(reader: TreeReader, buffer: int) -> Any:
    table = _read_arrow(reader, buffer)
    return pd.arrays.ArrowExtensionArray(table.column("values"))


def _read_arrow(reader: TreeReader, buffer: int) -> Any:
    pa = _import_arrow()
    table = pa.ipc.open_stream(pa.py_buffer(bytes(reader.take_buffer(buffer)))).read_all()
    table.validate(full=True)  # offsets are only believed until somebody looks
    return table


def _read_sparse(
    reader: TreeReader, format_name: str, is_array: bool, shape: list[int], parts: list[Any]
) -> Any:
    from scipy import sparse

    if format_name not in _SPARSE_FORMATS:
        raise ValueError(f"unknown kind of sparse matrix {format_name!r}")
    kind = getattr(sparse, f"{format_name}_{'array' if is_array else 'matrix'}")
    data, indices, indptr = (reader.read_array(part) for part in parts)
    rows, columns = shape if format_name == "csr" else reversed(shape)
    _check_places(data, indices, indptr, rows, columns)
    return kind((data, indices, indptr), shape=tuple(shape))


def _check_places(data: Any, indices: Any, pointers: Any, rows: int, columns: int) -> None:
    """Check the places of a sparse matrix: compiled code goes wherever they say.

    scipy's own check passes over them where the last pointer is not positive.

    Raises:
        ValueError: one is outside the matrix.
    """
    fits = (
        data.ndim == indices.ndim == pointers.ndim == 1
        and indices.dtype.kind == pointers.dtype.kind == "i"
        and len(pointers) == rows + 1
        and pointers[0] == 0
        and pointers[-1] == len(indices) == len(data)
        and bool((np.diff(pointers) >= 0).all())
        and bool(((indices >= 0) & (indices < columns)).all())
    )
    if not fits:
        raise ValueError("a sparse matrix has values outside of it")


def _read_timestamp(reader: TreeReader, value: Any, zone: str | None) -> Any:
    moment: Any = pd.Timestamp(reader.read(["scalar", value]))
    return moment if zone is None else moment.tz_localize("UTC").tz_convert(_check_zone(zone))


def _check_zone(zone: object) -> str:
    # pandas opens the file that stands behind this word.
    if not isinstance(zone, str) or zone.startswith("dateutil"):
        raise ValueError("a time zone is not named by its name")
    return zone


_VALUES: dict[str, Callable[..., Any]] = {
    "aware": _read_aware,
    "arrow-column": _read_arrow_column,
    "category": _read_category,
    "nullable": _read_nullable,
    "string": _read_string,
}

_READERS: dict[str, Callable[..., Any]] = {
    "arrow": _read_arrow,
    "extension": _read_values,
    "frame": _read_frame,
    "index": _read_index,
    "na": lambda _reader: pd.NA,
    "nat": lambda _reader: pd.NaT,
    "pd-timedelta": lambda reader, value: pd.Timedelta(reader.read(["scalar", value])),
    "series": _read_series,
    "sparse": _read_sparse,
    "timestamp": _read_timestamp,
}
