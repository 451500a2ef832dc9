"""Input examples out of a model directory, those of old MLflow releases included."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from pyfunc.errors import ModelFormatError, PyfuncError, SchemaError, shorten
from pyfunc.schema.casting.object_columns import object_array
from pyfunc.schema.schemas import Schema
from pyfunc.schema.specs import ColSpec, TensorSpec
from pyfunc.schema.types import Array, DataType
from pyfunc.schema.wire.json_arrays import cast_tensor, fit_array
from pyfunc.schema.wire.json_cells import CellError, may_be_nan
from pyfunc.schema.wire.json_frames import FrameReader, rename_keys
from pyfunc.schema.wire.json_nested import restore_nonfinite, restorer
from pyfunc.schema.wire.json_text import load_lenient_json
from pyfunc.schema.wire.requests import read_split

__all__ = ["ReadFile", "read_example_params", "read_input_example", "read_serving_input"]

ReadFile: TypeAlias = Callable[[str], bytes]
"""Returns the content of a file, given by its path relative to the model directory."""

_KEY = "saved_input_example_info"


def read_input_example(
    info: Mapping[str, object] | None, read: ReadFile, schema: Schema | None = None
) -> Any:
    """Return the example that ``info`` describes, without its parameters.

    Args:
        info: ``saved_input_example_info`` of an MLmodel file; None gives None.
        read: reads a file of the model directory.
        schema: the input schema of the model. With it values get back the types that JSON
            lacks: dtypes of columns and arrays, bytes, datetimes, 32-bit numbers.

    Raises:
        ModelFormatError: ``info`` or the file is malformed, or of an unknown kind.
        SchemaError: the example does not fit ``schema``.
    """
    if not info:
        return None
    kind = info.get("type")
    build = _BUILDERS.get(kind) if isinstance(kind, str) else None
    if build is None:
        raise ModelFormatError(
            f"unknown kind of input example {shorten(kind)}, expected one of "
            f"{', '.join(_BUILDERS)}",
            key=f"{_KEY}.type",
        )
    path, content = _load(info, read)
    tree, _ = _split(info, content, schema)
    try:
        return build(tree, schema)
    except SchemaError:
        raise
    except (PyfuncError, ValueError, TypeError, KeyError) as error:
        raise ModelFormatError(f"not a {kind} example: {error}", path=path) from error


def read_example_params(
    info: Mapping[str, object] | None, read: ReadFile
) -> dict[str, Any] | None:
    """Return the parameters saved with an example, None if there are none.

    Raises:
        ModelFormatError: ``info`` or the file is malformed.
    """
    if not info or not info.get("params"):
        return None
    path, content = _load(info, read)
    _, params = _split(info, content, None)
    if not isinstance(params, dict):
        raise ModelFormatError(f"params must be an object, got {shorten(params)}", path=path)
    return params


def read_serving_input(info: Mapping[str, object] | None, read: ReadFile) -> str | None:
    """Return the text of the request saved with an example, None if there is none.

    Raises:
        ModelFormatError: ``info`` is malformed or the file is not UTF-8.
    """
    if not info or info.get("serving_input_path") is None:
        return None
    path = _path_of(info, "serving_input_path")
    try:
        return read(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelFormatError(f"not UTF-8: {error}", path=path) from error


def _path_of(info: Mapping[str, object], key: str) -> str:
    path = info.get(key)
    if not isinstance(path, str):
        raise ModelFormatError(f"expected a path, got {shorten(path)}", key=f"{_KEY}.{key}")
    return path


def _load(info: Mapping[str, object], read: ReadFile) -> tuple[str, object]:
    path = _path_of(info, "artifact_path")
    body = read(path)
    try:
        return path, load_lenient_json(body)
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"not JSON: {error}", path=path) from error


def _split(
    info: Mapping[str, object], content: Any, schema: Schema | None
) -> tuple[object, object]:
    """Return the data and the parameters of the content of an example file."""
    if info.get("params"):
        if isinstance(content, dict) and content.keys() == {"inputs", "params"}:
            return content["inputs"], content["params"]
        raise ModelFormatError(
            f"an example with parameters has the keys inputs and params, got {shorten(content)}",
            path=_path_of(info, "artifact_path"),
        )
    if info.get("format") == "tf-serving" and isinstance(content, dict):
        return content.get("inputs", content.get("instances", content)), None
    if _is_mistaken_wrapping(content, schema):
        return content["inputs"], None
    return content, None


def _is_mistaken_wrapping(content: object, schema: Schema | None) -> bool:
    """Return whether MLflow wrapped an example with empty parameters and did not say so."""
    if not isinstance(content, dict) or content.keys() != {"inputs", "params"}:
        return False
    return schema is not None and content["params"] == {} and "inputs" not in schema.input_names()


def _build_frame(tree: object, schema: Schema | None) -> pd.DataFrame:
    return read_split(tree, FrameReader(schema), unique=False)


def _build_arrays(tree: object, schema: Schema | None) -> object:
    if isinstance(tree, dict):
        named = schema is not None and schema.has_input_names()
        specs = schema.input_dict() if schema is not None and named else {}
        return {name: _build_array(value, specs.get(name)) for name, value in tree.items()}
    return _build_array(tree, schema.inputs[0] if schema is not None else None)


def _build_array(value: Any, spec: TensorSpec | ColSpec | None) -> Any:
    if isinstance(spec, TensorSpec):
        dtype: np.dtype[np.generic] | None = spec.type
    else:
        scalar = None if spec is None else spec.type
        dtype = scalar.to_numpy() if isinstance(scalar, DataType) else None
    try:
        if dtype is None:
            return fit_array(restore_nonfinite(value))
        return cast_tensor(value, dtype, getattr(spec, "shape", ()))
    except CellError as error:
        if dtype is None:  # ragged: an array of lists, as it was saved
            return object_array(value)
        raise ValueError(f"expected {error.expected}, got {error.got}") from error


def _build_json(tree: object, schema: Schema | None) -> object:
    if schema is None or schema.is_tensor_spec():
        return tree
    if not schema.has_input_names():
        return _restore_column(tree, schema.inputs[0].type)
    specs = schema.input_dict()
    tree = rename_keys(tree, schema.names_by_text())
    if not isinstance(tree, list):
        return _restore_dict(tree, specs)
    rows: list[Any] = [_restore_dict(item, specs) for item in tree]
    for row in rows:
        for name in row if isinstance(row, dict) else ():
            if row[name] is None and may_be_nan(specs.get(name)):
                row[name] = math.nan
    return rows


def _restore_dict(tree: Any, specs: Mapping[Any, Any]) -> object:
    """Return a dict with each value, or each of a list of values, of its column's type."""
    if not isinstance(tree, dict):
        return tree
    found = dict(tree)
    for key in tree.keys() & specs.keys():
        dtype = specs[key].type
        as_one = isinstance(dtype, Array)  # the list is the value
        found[key] = _restore(tree[key], dtype) if as_one else _restore_column(tree[key], dtype)
    return found


def _restore_column(tree: object, dtype: object) -> object:
    return [_restore(v, dtype) for v in tree] if isinstance(tree, list) else _restore(tree, dtype)


def _restore(value: object, dtype: object) -> object:
    restore = restorer(dtype)
    return value if restore is None else restore(value)


def _build_sparse(tree: Any, schema: Schema | None, csr: bool) -> object:
    from scipy.sparse import csc_matrix, csr_matrix

    spec = schema.inputs[0] if schema is not None else None
    data = _build_array(tree["data"], spec if isinstance(spec, TensorSpec) else None)
    if data.ndim != 1:
        data = data.reshape(-1)
    parts = (data, np.array(tree["indices"], dtype=int), np.array(tree["indptr"], dtype=int))
    shape = tuple(tree["shape"])
    matrix = csr_matrix(parts, shape=shape) if csr else csc_matrix(parts, shape=shape)
    matrix.check_format(full_check=True)  # scipy would read outside its memory otherwise
    return matrix


_BUILDERS: dict[str, Callable[[object, Schema | None], object]] = {
    "dataframe": _build_frame,
    "ndarray": _build_arrays,
    "json_object": _build_json,
    "sparse_matrix_csr": partial(_build_sparse, csr=True),
    "sparse_matrix_csc": partial(_build_sparse, csr=False),
}
