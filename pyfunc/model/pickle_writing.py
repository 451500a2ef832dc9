"""Pickles as they are written: what they refer to, the file of a model, and its compression.

What is written refers to MLflow's names for the base classes (format.md 9.4), expressed with
nothing but cloudpickle and builtins, so that MLflow reads it without this library.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import logging
import lzma
import pickle
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pyfunc.code.calling import errors_named, told
from pyfunc.code.inherited import inherit, is_of_script
from pyfunc.errors import InvalidArgumentError, ModelIncompleteError
from pyfunc.model.pickled_forms import mlflow_form
from pyfunc.variables import COMPRESSION

__all__ = [
    "PickledModel",
    "decompress",
    "dump",
    "pickle_module",
    "write_pickle",
]


_FILE = "python_model.pkl"
_logger = logging.getLogger("pyfunc.pickles")


class _Compression(NamedTuple):
    suffix: str
    open: Callable[[Path, Literal["wb"]], io.BufferedIOBase]
    decompress: Callable[[bytes], bytes]


_COMPRESSIONS = {
    "lzma": _Compression(".xz", lzma.LZMAFile, lzma.decompress),
    "bzip2": _Compression(".bz2", bz2.BZ2File, bz2.decompress),
    "gzip": _Compression(".gz", gzip.GzipFile, gzip.decompress),
}


class PickledModel(NamedTuple):
    """Where a pickle was written, as the keys of MLmodel say it, and the pickle if it was kept."""

    keys: dict[str, str]
    pickle: bytes | None


def write_pickle(python_model: object, directory: Path, *, keep: bool = False) -> PickledModel:
    """Pickle ``python_model`` into ``directory``.

    The environment variable ``MLFLOW_LOG_MODEL_COMPRESSION`` may ask for ``lzma``, ``bzip2`` or
    ``gzip``; another value is ignored with a log line.

    Args:
        python_model: what is pickled.
        directory: where the file goes.
        keep: return the pickle too, uncompressed.

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
    keys = {"python_model": _FILE}
    if compression is not None:
        keys = {
            "python_model": _FILE + compression.suffix,
            "python_model_compression": str(wanted),
        }
    file = directory / keys["python_model"]
    with file.open("wb") if compression is None else compression.open(file, "wb") as stream:
        if not keep:
            _dump_model(python_model, stream)
            return PickledModel(keys, None)
        kept = io.BytesIO()
        _dump_model(python_model, kept)
        stream.write(kept.getbuffer())
        return PickledModel(keys, kept.getvalue())


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


def dump(
    value: object,
    file: io.BufferedIOBase,
    *,
    by_value: bool = True,
    protocol: int | None = None,
) -> None:
    """Write ``value`` to ``file`` as a pickle that MLflow reads without this library.

    Args:
        value: what is pickled.
        file: where it goes.
        by_value: whether code that cannot be imported is pickled as cloudpickle does.
        protocol: of the pickle; by default the newest.

    Raises:
        Exception: whatever pickling an object of the user raises.
    """
    if by_value:
        _pickler_class()(file, protocol).dump(value)
    else:
        _PlainPickler(file, protocol).dump(value)


def pickle_module() -> types.ModuleType:
    """Return what a library takes for the module ``pickle``, to write files of its own.

    It pickles by value as cloudpickle does.
    """
    import cloudpickle

    module = types.ModuleType("pickle")
    vars(module).update(vars(pickle), Pickler=cloudpickle.Pickler, dump=cloudpickle.dump)
    return module


def _dump_model(python_model: object, stream: io.BufferedIOBase) -> None:
    def not_pickled(error: Exception) -> InvalidArgumentError:
        culprits = "".join(f"  - attribute {text}\n" for text in _find_culprits(python_model))
        return InvalidArgumentError(
            f"python_model cannot be pickled: {told(error)}\n{culprits}"
            "hint: open files, connections and locks belong into load_context; a script with "
            "set_model needs no pickle at all"
        )

    with errors_named(not_pickled, OSError):
        dump(python_model, stream)


def _find_culprits(python_model: object) -> list[str]:
    """Return the attributes of a model that cannot be pickled by themselves, with the reasons."""
    reasons = {
        f"{name!r} ({type(value).__name__})": _why_not(value)
        for name, value in getattr(python_model, "__dict__", {}).items()
    }
    return [f"{name}: {reason}" for name, reason in reasons.items() if reason]


def _why_not(value: object) -> str:
    """Return why ``value`` cannot be pickled; nothing if it can."""
    try:
        dump(value, io.BytesIO())
    except Exception as error:  # whatever an object of the user raises
        return str(error) or type(error).__name__
    return ""


class _PlainPickler(pickle.Pickler):
    """Pickles what can be imported, with our names written as MLflow's."""

    def reducer_override(self, value: object) -> Any:
        reduced = mlflow_form(value)
        if reduced is not None:
            return reduced.__reduce__()
        if isinstance(value, (type, types.FunctionType)):
            inherit(value)
        return NotImplemented


@functools.cache
def _pickler_class() -> type[pickle.Pickler]:
    import cloudpickle
    from cloudpickle.cloudpickle import _dynamic_class_reduce

    class ModelPickler(cloudpickle.Pickler):  # type: ignore[misc]
        """cloudpickle's, with our names written as MLflow's, and complete without other models."""

        def reducer_override(self, value: object) -> object:
            reduced = mlflow_form(value)
            if reduced is not None:
                return reduced.__reduce__()
            if isinstance(value, (type, types.FunctionType, types.ModuleType)):
                inherit(value)
                if is_of_script(value):
                    return self._by_value(value)
            return super().reducer_override(value)

        def _by_value(self, value: object) -> object:
            if isinstance(value, types.FunctionType):
                return self._dynamic_function_reduce(value)
            return _dynamic_class_reduce(value) if isinstance(value, type) else NotImplemented

    return ModelPickler
