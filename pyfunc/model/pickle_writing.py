"""The file with the pickled model: writing it, and its compression both ways."""

from __future__ import annotations

import bz2
import gzip
import io
import logging
import lzma
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

from pyfunc.errors import InvalidArgumentError, ModelIncompleteError, PyfuncError
from pyfunc.model import pickling
from pyfunc.variables import COMPRESSION

__all__ = ["decompress", "read_pickle", "write_pickle"]


_FILE = "python_model.pkl"
_logger = logging.getLogger("pyfunc.pickles")


class _Compression(NamedTuple):
    suffix: str
    open: Callable[[Path, Literal["wb"]], Any]
    decompress: Callable[[bytes], bytes]


_COMPRESSIONS = {
    "lzma": _Compression(".xz", lzma.open, lzma.decompress),
    "bzip2": _Compression(".bz2", bz2.open, bz2.decompress),
    "gzip": _Compression(".gz", gzip.open, gzip.decompress),
}


def write_pickle(python_model: Any, directory: Path) -> dict[str, str]:
    """Pickle ``python_model`` into ``directory``; return the keys of MLmodel that say where.

    The environment variable ``MLFLOW_LOG_MODEL_COMPRESSION`` may ask for ``lzma``, ``bzip2`` or
    ``gzip``; another value is ignored with a log line.

    Raises:
        InvalidArgumentError: a part of the model cannot be pickled.
    """
    wanted = COMPRESSION.read()
    compression = _COMPRESSIONS.get(wanted or "")
    if wanted and compression is None:
        _logger.warning(
            "%s: unknown compression %r, the pickle is not compressed",
            COMPRESSION.name,
            wanted,
        )
    if compression is None:
        with (directory / _FILE).open("wb") as plain:
            _dump(python_model, plain)
        return {"python_model": _FILE}
    name = _FILE + compression.suffix
    with compression.open(directory / name, "wb") as stream:
        _dump(python_model, stream)
    return {"python_model": name, "python_model_compression": str(wanted)}


def read_pickle(section: Mapping[str, Any], directory: Path) -> bytes:
    """Return the pickle that :func:`write_pickle` wrote into ``directory``."""
    path = directory / section["python_model"]
    return decompress(path.read_bytes(), section.get("python_model_compression"), path)


def decompress(data: bytes, compression: str | None, path: Path) -> bytes:
    """Return ``data`` decompressed; an unknown kind is left as it is, with a log line.

    Raises:
        ModelIncompleteError: the data is not of that kind, or is cut off.
    """
    if compression is None:
        return data
    found = _COMPRESSIONS.get(compression)
    if found is None:
        _logger.warning("%s: unknown compression %r, read as it is", path, compression)
        return data
    try:
        return found.decompress(data)
    except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
        raise ModelIncompleteError(f"not a {compression} file: {error}", path=path) from error


def _dump(python_model: Any, stream: BinaryIO) -> None:
    try:
        pickling.dump(python_model, stream)
    except (OSError, PyfuncError):
        raise
    except Exception as error:
        culprits = "".join(f"  - attribute {text}\n" for text in _find_culprits(python_model))
        raise InvalidArgumentError(
            f"python_model cannot be pickled: {type(error).__name__}: {error}\n{culprits}"
            "hint: open files, connections and locks belong into load_context; a script with "
            "set_model needs no pickle at all"
        ) from error


def _find_culprits(python_model: Any) -> list[str]:
    """Return the attributes of a model that cannot be pickled by themselves, with the reasons."""
    reasons = {
        f"{name!r} ({type(value).__name__})": _why_not(value)
        for name, value in getattr(python_model, "__dict__", {}).items()
    }
    return [f"{name}: {reason}" for name, reason in reasons.items() if reason]


def _why_not(value: Any) -> str:
    """Return why ``value`` cannot be pickled; nothing if it can."""
    try:
        pickling.dump(value, io.BytesIO())
    except Exception as error:  # whatever an object of the user raises
        return str(error) or type(error).__name__
    return ""
