"""Tensors of the Open Inference Protocol as numpy arrays, and back, in JSON and in binary.

The binary form is Triton's extension: a JSON header, then the values of each tensor in order.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from pyfunc.errors import InvalidArgumentError, shorten
from pyfunc.schema.text_forms import encode_bytes
from pyfunc.schema.wire.json_arrays import cast_tensor, flatten
from pyfunc.schema.wire.json_cells import CellError
from pyfunc.schema.wire.json_codec import value_tree
from pyfunc.schema.wire.json_text import bad_request, dump_json

__all__ = [
    "DATATYPES",
    "binary_of",
    "datatype_of",
    "form_of",
    "json_data_of",
    "parse_tensor",
    "shape_of",
]

DATATYPES: dict[str, np.dtype[np.generic]] = {
    "BOOL": np.dtype("bool"),
    "UINT8": np.dtype("uint8"),
    "UINT16": np.dtype("uint16"),
    "UINT32": np.dtype("uint32"),
    "UINT64": np.dtype("uint64"),
    "INT8": np.dtype("int8"),
    "INT16": np.dtype("int16"),
    "INT32": np.dtype("int32"),
    "INT64": np.dtype("int64"),
    "FP16": np.dtype("float16"),
    "FP32": np.dtype("float32"),
    "FP64": np.dtype("float64"),
    "BYTES": np.dtype("object"),
}
_NAMES = {dtype: name for name, dtype in DATATYPES.items()}
_LENGTH = struct.Struct("<I")
_MOST_AXES = 32
_MOST_CELLS = 1 << 32  # where an axis is 0, a shape of any other sizes needs no data


def datatype_of(dtype: np.dtype[np.generic]) -> str:
    """Return the protocol's word for a dtype; ``BYTES`` for whatever is no number or truth."""
    return _NAMES.get(dtype.newbyteorder("="), "BYTES")


def form_of(name: object, array: npt.NDArray[np.generic]) -> dict[str, object]:
    """Return the object of the protocol for an array, to which its values are added."""
    return {"name": str(name), "datatype": datatype_of(array.dtype), "shape": list(array.shape)}


def parse_tensor(form: Any, blob: memoryview | None) -> npt.NDArray[np.generic]:
    """Return one input of a request as a new array of the declared shape.

    ``BYTES`` become an object array: of text from JSON, of bytes from the binary form.

    Args:
        form: the JSON object of the input.
        blob: its values in binary, None if the object holds them as ``data``.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, the input is malformed or does not hold
            what its datatype and shape declare.
    """
    name, datatype = form.get("name"), form.get("datatype")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        known = ", ".join(DATATYPES)
        raise _malformed(name, f"datatype must be one of {known}, got {shorten(datatype)}")
    sizes = shape_of(form)
    if blob is not None:
        found: npt.NDArray[np.generic] = _parse_binary(name, blob, datatype, sizes)
        return found
    if not isinstance(form.get("data"), list):
        raise _malformed(name, f"data must be a list, got {shorten(form.get('data'))}")
    array: npt.NDArray[np.generic] = _parse_data(name, form["data"], datatype, sizes)
    return array


def shape_of(form: Mapping[str, object]) -> tuple[int, ...]:
    """Return the shape that the JSON object of an input declares.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, it is no shape, or one of too many elements.
    """
    name, shape = form.get("name"), form.get("shape")
    sizes = shape if isinstance(shape, list) else [None]
    if any(type(size) is not int or not 0 <= size < 2**63 for size in sizes):
        raise _malformed(name, f"shape must be a list of whole numbers, got {shorten(shape)}")
    if len(sizes) > _MOST_AXES:
        raise _malformed(name, f"shape has more than {_MOST_AXES} axes")
    if prod(size or 1 for size in sizes) > _MOST_CELLS:
        raise _malformed(name, f"shape has too many elements: {shorten(shape)}")
    return tuple(sizes)


def _parse_data(name: object, data: object, datatype: str, shape: tuple[int, ...]) -> Any:
    try:
        if datatype == "BYTES":
            cells: Any = _texts(data)
        else:
            cells = cast_tensor(data, DATATYPES[datatype])
    except CellError as error:
        at = "" if error.row is None else f" at element {error.row}"
        raise _malformed(name, f"expected {error.expected}, got {error.got}{at}") from None
    found = cells.shape
    fits = found == shape or (len(found) == 1 and found[0] == prod(shape))
    if not fits:
        raise _malformed(name, f"the data has shape {list(found)}, declared is {list(shape)}")
    return cells.reshape(shape)


def _texts(data: object) -> npt.NDArray[np.object_]:
    shape, flat = flatten(data)
    for row, cell in enumerate(flat):
        if not isinstance(cell, str):
            raise CellError(row, "text", shorten(cell))
    return np.array(flat, dtype=object).reshape(shape)


def _parse_binary(name: object, blob: memoryview, datatype: str, shape: tuple[int, ...]) -> Any:
    count = prod(shape)
    if datatype == "BYTES":
        cells = _split_texts(name, blob)
        if len(cells) != count:
            raise _malformed(name, f"{len(cells)} binary elements for the shape {list(shape)}")
        return np.array([*cells, None], dtype=object)[:-1].reshape(shape)
    dtype = DATATYPES[datatype]
    if len(blob) != count * dtype.itemsize:
        raise _malformed(name, f"{len(blob)} bytes for {datatype} of shape {list(shape)}")
    if datatype == "BOOL" and count and max(blob) > 1:
        raise _malformed(name, "a binary truth must be 0 or 1")
    return np.frombuffer(blob, dtype=dtype.newbyteorder("<")).astype(dtype).reshape(shape)


def _split_texts(name: object, blob: memoryview) -> list[bytes]:
    cells: list[bytes] = []
    place = 0
    while place < len(blob):
        if place + 4 > len(blob):
            raise _malformed(name, "the binary elements end within a length")
        (length,) = _LENGTH.unpack_from(blob, place)
        place += 4
        if place + length > len(blob):
            raise _malformed(name, "the binary elements end within a value")
        cells.append(bytes(blob[place : place + length]))
        place += length
    return cells


def json_data_of(
    array: npt.NDArray[np.generic],
) -> list[object] | npt.NDArray[np.generic]:
    """Return the values of an array in row-major order, for orjson to write as strict JSON.

    NaN, infinities and what is masked are null; bytes are base64 text; what is neither text nor
    number is the text of its JSON.
    """
    array = _filled(array)
    if isinstance(array, np.ma.MaskedArray):
        cells: list[object] = array.reshape(-1).tolist()  # None where masked
        return cells
    if array.dtype.kind in "biuf":
        flat = np.ascontiguousarray(array.reshape(-1).astype(array.dtype.newbyteorder("=")))
        if flat.dtype.kind != "f" or flat.dtype == np.float64:
            return flat
        # The shortest digits of the array's own precision, with the exponents of a double.
        values: list[object] = orjson.loads(orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY))
        return values
    return [_json_cell(cell) for cell in array.reshape(-1).tolist()]


def _filled(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Return floats with NaN where they are masked, any other array itself."""
    if array.dtype.kind == "f" and isinstance(array, np.ma.MaskedArray):
        return np.asarray(array.filled(np.nan))
    return array


def _json_cell(cell: object) -> object:
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, (bytes, bytearray)):
        return encode_bytes(cell).replace("\n", "")
    return _text_of(cell)


def _text_of(cell: object) -> str | None:
    tree = value_tree(cell, "null")
    return tree if isinstance(tree, str) or tree is None else dump_json(tree)


def binary_of(array: npt.NDArray[np.generic]) -> bytes:
    """Return the values of an array in Triton's binary form.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, some are masked; the form has no null.
    """
    array = _filled(array)
    if isinstance(array, np.ma.MaskedArray) and array.mask.any():
        word = datatype_of(array.dtype)
        raise bad_request(
            f"the binary form of {word} has no null\nhint: ask for the output in JSON"
        )
    if array.dtype.kind in "biuf":
        return array.astype(array.dtype.newbyteorder("<"), order="C").tobytes()
    return b"".join(_binary_cells(array.reshape(-1).tolist()))


def _binary_cells(cells: Sequence[object]) -> list[bytes]:
    parts: list[bytes] = []
    for cell in cells:
        if isinstance(cell, (bytes, bytearray)):
            raw = bytes(cell)
        else:
            raw = (cell if isinstance(cell, str) else _text_of(cell) or "").encode("utf-8")
        parts += [_LENGTH.pack(len(raw)), raw]
    return parts


def _malformed(name: object, text: str) -> InvalidArgumentError:
    return bad_request(f"input {shorten(name)}: {text}")
