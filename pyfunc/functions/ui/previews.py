"""The first rows and lines of files: bounded, and without running anything that is in them.

A pickle is never loaded here. Only the head of a file is read, however long it is.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pyfunc.errors import ModelPathError
from pyfunc.files.paths import open_regular_file, read_at_most
from pyfunc.functions.ui.showing import Shown

__all__ = ["preview_file"]

_HEAD = 1 << 18
_MOST_ROWS = 50
_MOST_COLUMNS = 50
_MOST_CELL = 200
_MOST_ENTRIES = 200
_MOST_PAGE = 64 << 20  # bytes of a column that are unpacked to see its first values
_PICKLES = (".pickle", ".pkl", ".joblib", ".dill", ".cloudpickle")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}

Preview = dict[str, object]


def preview_file(path: Path, shown: Shown) -> Preview:
    """Return what a page shows of the file or folder at ``path``.

    ``kind`` of the result is ``table`` (with ``columns``, ``rows`` and what is left out),
    ``text``, ``folder`` (with ``entries``) or ``none`` (with a ``reason``).
    """
    if path.is_dir():
        return _folder(path, shown)
    suffix = path.suffix.lower()
    if suffix in _PICKLES:
        return _none("a pickle, which is not loaded to be looked at")
    if suffix == ".parquet":
        return _parquet(path, shown)
    with open_regular_file(path, follow=False) as file:
        data = read_at_most(file, _HEAD)
        size = os.fstat(file.fileno()).st_size
    if b"\0" in data:
        return _none("not a text")
    text = data.decode("utf-8", "replace")
    if suffix in _DELIMITERS:
        return _csv(text, _DELIMITERS[suffix], shown, is_whole=len(data) >= size)
    more = size - len(data)
    return {"kind": "text", "text": shown.text(text), "more": max(0, more)}


def _none(reason: str) -> Preview:
    return {"kind": "none", "reason": reason}


def _folder(path: Path, shown: Shown) -> Preview:
    entries: list[dict[str, object]] = []
    more = False
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            more = len(entries) >= _MOST_ENTRIES
            if more:
                break
            found = Path(folder, name)
            size = found.lstat().st_size
            entries.append({"path": shown.text(str(found.relative_to(path))), "size": size})
        if more:
            break
    return {"kind": "folder", "entries": entries, "more": more}


def _csv(text: str, delimiter: str, shown: Shown, *, is_whole: bool) -> Preview:
    whole = text if is_whole else text[: text.rfind("\n") + 1]
    lines = io.StringIO(whole, newline="")
    rows: list[list[str]] = []
    try:
        # One row more than is shown, so that it is known whether there are more.
        for row in csv.reader(lines, delimiter=delimiter):
            rows.append(row)
            if len(rows) > _MOST_ROWS + 1:
                break
    except csv.Error as error:
        return _none(f"not a table: {error}")
    is_long = len(rows) > _MOST_ROWS + 1
    if not is_whole and not is_long and whole.count('"') % 2:
        rows = rows[:-1]  # cut within a cell of several lines
    if not rows:
        return _none("empty" if is_whole else "its first row is too long to be shown")
    more = is_long or not is_whole
    return _table(rows[0], rows[1 : _MOST_ROWS + 1], shown, total=None if more else len(rows) - 1)


def _parquet(path: Path, shown: Shown) -> Preview:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return _none("parquet is read where pyarrow is installed: pip install pyarrow")
    try:
        with (
            open_regular_file(path, follow=False) as raw,
            pq.ParquetFile(raw, pre_buffer=False, buffer_size=1 << 16) as file,
        ):
            if not file.metadata.num_row_groups:
                return _table(file.schema_arrow.names, [], shown, total=0)
            group = file.metadata.row_group(0)
            names = file.schema_arrow.names
            if any(_is_heavy(group, place) for place in range(group.num_columns)):
                return _none("the values of a column are too large to be shown")
            tops = names[:_MOST_COLUMNS]
            batch = next(file.iter_batches(_MOST_ROWS, row_groups=[0], columns=tops), None)
            columns = [] if batch is None else [column.to_pylist() for column in batch.columns]
            rows = [*zip(*columns, strict=True)]
            found = _table(tops, rows, shown, total=file.metadata.num_rows)
            return {**found, "more_columns": len(names) - len(tops)}
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, ModelPathError):
            raise
        return _none(f"cannot be read: {type(error).__name__}")


class _Column(Protocol):
    @property
    def total_uncompressed_size(self) -> int: ...


class _RowGroup(Protocol):
    @property
    def num_rows(self) -> int: ...

    def column(self, place: int) -> _Column: ...


def _is_heavy(group: _RowGroup, place: int) -> bool:
    """Return whether few rows of a column take more memory than a page may."""
    per_row = group.column(place).total_uncompressed_size / max(1, group.num_rows)
    return per_row * _MOST_ROWS > _MOST_PAGE


def _table(
    columns: Sequence[object],
    rows: Sequence[Sequence[object]],
    shown: Shown,
    *,
    total: int | None,
) -> Preview:
    return {
        "kind": "table",
        "columns": [shown.short(str(name), _MOST_CELL) for name in columns[:_MOST_COLUMNS]],
        "rows": [[_cell(value, shown) for value in row[:_MOST_COLUMNS]] for row in rows],
        "total": total,
        "more_columns": max(0, len(columns) - _MOST_COLUMNS),
    }


def _cell(value: object, shown: Shown) -> object:
    if value is None or isinstance(value, bool):
        return value
    # As text, so that the browser rounds no number.
    is_tree = isinstance(value, (dict, list))
    text = json.dumps(value, default=str) if is_tree else str(value)
    return shown.short(text, _MOST_CELL)
