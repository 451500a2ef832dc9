"""Dataitems: tables and other data of a project.

A frame is written as parquet where pyarrow is installed, else as CSV beside a file with its
column types, which reads back equal for numbers, text, booleans, moments and missing values.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from pyfunc.code.calling import told
from pyfunc.errors import InvalidArgumentError
from pyfunc.functions.entity import DATA, FileEntity

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Dataitem", "frame_writer", "is_frame"]

_TABLE = "table"
_TYPES = "types.json"
_KEPT_TYPES = re.compile(
    r"bool(ean)?|u?int\d+|U?Int\d+|float(32|64)|Float(32|64)|datetime64\[.+\]|str|string|object"
)

Fill = Callable[[Path], None]


class Dataitem(FileEntity):
    """A table or a file; see ``Project.log_dataitem``."""

    entity_type = "dataitem"
    spec_fields = ("path", "schema")

    def as_df(self) -> pd.DataFrame:
        """Return the data as a frame, read where they lie.

        Raises:
            InvalidArgumentError: the file is none that pandas is known to read here.
        """
        import pandas as pd

        path = self.as_file()
        types = self.path / DATA / _TYPES
        if types.is_file():
            return _read_typed_csv(path, types)
        readers: dict[str, Callable[[Path], pd.DataFrame]] = {
            ".csv": pd.read_csv,
            ".json": pd.read_json,
            ".parquet": pd.read_parquet,
        }
        reader = readers.get(path.suffix.lower())
        if reader is None:
            raise InvalidArgumentError(
                f"{self.key}: no frame can be read from {path.name!r}, only from "
                f"{', '.join(sorted(readers))}\nhint: as_file() returns the path"
            )
        return reader(path)


def is_frame(value: object) -> TypeGuard[pd.DataFrame]:
    """Return whether ``value`` is a frame of pandas, which is not loaded to see that."""
    loaded = sys.modules.get("pandas")
    return loaded is not None and isinstance(value, loaded.DataFrame)


def frame_writer(frame: pd.DataFrame, what: str) -> tuple[str, Fill]:
    """Return the path below the entity for ``frame``, and what writes it there.

    Where that cannot hold the frame, ``what`` is named with the reason.
    """
    if importlib.util.find_spec("pyarrow") is not None:

        def fill(directory: Path) -> None:
            (directory / DATA).mkdir()
            try:
                frame.to_parquet(directory / DATA / f"{_TABLE}.parquet")
            except OSError:  # the disk says no, not the frame
                raise
            except Exception as error:  # pyarrow has kinds of its own
                raise InvalidArgumentError(
                    f"{what}: the frame cannot be written as parquet: {told(error)}\n"
                    "hint: give its columns names and values that parquet holds"
                ) from error

        return f"{DATA}/{_TABLE}.parquet", fill

    types = _column_types(frame)
    missing = _missing_text(frame)

    def fill_csv(directory: Path) -> None:
        (directory / DATA).mkdir()
        frame.to_csv(directory / DATA / f"{_TABLE}.csv", na_rep=missing, index_label="index")
        said = {"types": types, "index": frame.index.name, "missing": missing}
        (directory / DATA / _TYPES).write_text(json.dumps(said), encoding="ascii")

    return f"{DATA}/{_TABLE}.csv", fill_csv


def _column_types(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return name and type of the index and of each column.

    Raises:
        InvalidArgumentError: CSV with types beside it cannot hold the frame.
    """
    import pandas as pd

    if frame.index.nlevels > 1 or frame.columns.nlevels > 1 or not frame.columns.is_unique:
        raise _needs_pyarrow("more than one index, or two columns of one name")
    found = []
    for name, column in [("index", frame.index.to_series()), *frame.items()]:
        dtype = str(column.dtype)
        if not isinstance(name, str) or not _KEPT_TYPES.fullmatch(dtype):
            raise _needs_pyarrow(f"a column {name!r} of type {dtype}")
        if dtype == "object" and not all(isinstance(v, str) or pd.isna(v) for v in column):
            raise _needs_pyarrow(f"other objects than text in column {name!r}")
        found.append((name, dtype))
    return found


def _needs_pyarrow(what: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"a frame with {what} cannot be written as CSV and read back equal\n"
        "hint: pip install 'pyfunc-format[arrow]', or return it as an artifact"
    )


def _missing_text(frame: pd.DataFrame) -> str:
    """Return a text for missing values that no cell holds."""
    missing = "NA"
    while frame.isin([missing]).any(axis=None):
        missing += "_"
    return missing


def _read_typed_csv(path: Path, types: Path) -> pd.DataFrame:
    import pandas as pd

    said = json.loads(types.read_bytes())
    # As text first: each type then decides how its text is read, to the last bit.
    cells = pd.read_csv(path, dtype=object, keep_default_na=False, na_values=[said["missing"]])
    columns = [
        _typed(cells.iloc[:, position], dtype) for position, (_, dtype) in enumerate(said["types"])
    ]
    index = pd.Index(columns[0], name=said["index"])
    names = [name for name, _ in said["types"][1:]]
    arrays = dict(enumerate(column.array for column in columns[1:]))
    frame: pd.DataFrame = pd.DataFrame(arrays, index=index)
    frame.columns = pd.Index(names)
    return frame


def _typed(cells: pd.Series, name: str) -> pd.Series:
    import pandas as pd

    dtype = pd.api.types.pandas_dtype(name)
    if name in ("bool", "boolean"):
        return cells.map({"True": True, "False": False}).astype(dtype)
    if name.startswith("datetime64"):
        return pd.to_datetime(cells, format="ISO8601", utc="," in name).astype(dtype)
    if name[0] in "IUF":  # those with missing values, from exact numbers
        read = float if name[0] == "F" else int
        numbers = [pd.NA if pd.isna(cell) else read(cell) for cell in cells]
        cells = pd.Series(numbers, dtype=object)
    return cells.astype(dtype)
