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
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from pyfunc.code.calling import errors_named, told
from pyfunc.errors import InvalidArgumentError, ModelIncompleteError
from pyfunc.model.hints import pyfunc, resolved_annotations
from pyfunc.model.mlflow_names import OLDER_NAMES, SCHEMAS, mlflow_module, mlflow_name
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


def dump(value: object, file: io.BufferedIOBase) -> None:
    """Write ``value`` to ``file`` as a pickle that MLflow reads without this library.

    Raises:
        Exception: whatever pickling an object of the user raises.
    """
    _pickler_class()(file).dump(value)


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


class _Call:
    """Pickles as the call of ``function`` with ``arguments``."""

    def __init__(self, function: object, *arguments: object) -> None:
        self._reduced = function, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return self._reduced

    def __call__(self) -> None:
        """Exist, because pickle wants to see that what it writes as a function is callable."""


def _module_of_mlflow(name: str) -> _Call:
    from cloudpickle.cloudpickle import subimport

    return _Call(subimport, name)


def _of_mlflow(module: str, name: str) -> _Call:
    """Return what pickles as the object that MLflow calls ``module.name``."""
    found = OLDER_NAMES.get((module, name))
    if found is not None:
        older = _Call(getattr, _module_of_mlflow(module), found, None)
        return _Call(getattr, _module_of_mlflow(module), name, older)
    return _Call(getattr, _module_of_mlflow(module), name)


@functools.cache
def _pickler_class() -> type[pickle.Pickler]:
    import cloudpickle

    class ModelPickler(cloudpickle.Pickler):  # type: ignore[misc]
        """cloudpickle's, with our names written as MLflow's."""

        def reducer_override(self, value: object) -> object:
            reduced = _as_mlflow(value)
            if reduced is not None:
                return reduced.__reduce__()
            return super().reducer_override(value)

    return ModelPickler


def _as_mlflow(value: object) -> _Call | None:
    """Return what to pickle in the place of ``value``, or None for ``value`` itself."""
    if isinstance(value, types.ModuleType):
        module = mlflow_module(value.__name__)
        return None if module is None else _module_of_mlflow(module)
    if isinstance(value, (type, types.FunctionType, TypeVar)):
        found = mlflow_name(value)
        if found is not None:
            return _of_mlflow(*found)
        original = getattr(value, "_pyfunc_original", None)
        if original is not None and isinstance(value, types.FunctionType):
            wrap, arguments = getattr(value, "_pyfunc_wrapped_by", (pyfunc, ()))
            place = mlflow_name(wrap)
            assert place is not None, "whatever wraps here has a name of MLflow's"
            return _Call(_of_mlflow(*place), _with_resolved_hints(original), *arguments)
        return None
    if type(value).__module__.startswith(SCHEMAS):
        return _schema_value(value)
    return None


def _with_resolved_hints(function: object) -> object:
    """Return ``function`` with hints that are text replaced by what they mean.

    A name that stands only in a text is not among the globals that go into the pickle, so the
    hint could not be resolved where the model is loaded.
    """
    if not isinstance(function, types.FunctionType):  # a callable object
        return function
    if not any(isinstance(hint, str) for hint in function.__annotations__.values()):
        return function
    home = sys.modules.get(function.__module__)
    if function.__module__ != "__main__" and hasattr(home, function.__name__):
        return function  # pickled by reference, and resolved in its module
    copied = types.FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    functools.update_wrapper(copied, function)
    del copied.__dict__["__wrapped__"]
    copied.__kwdefaults__ = function.__kwdefaults__
    copied.__annotations__ = resolved_annotations(function)
    return copied


def _schema_value(value: Any) -> _Call | None:
    """Return the call of MLflow's constructor that makes an equal value."""
    found = mlflow_name(type(value))
    if found is None:
        return None
    kind = _of_mlflow(*found)
    name = type(value).__name__
    if name == "DataType":
        return _Call(getattr, kind, value.name)
    if name == "ModelSignature":
        return _Call(_Call(getattr, kind, "from_dict"), value.to_dict())
    if name in ("Schema", "ParamSchema"):
        return _Call(_Call(getattr, kind, "from_json"), value.to_json())
    fields = _CONSTRUCTOR_FIELDS.get(name)
    return None if fields is None else _Call(kind, *(getattr(value, f) for f in fields))


_CONSTRUCTOR_FIELDS = {
    "AnyType": (),
    "Array": ("dtype",),
    "ColSpec": ("type", "name", "required"),
    "Map": ("value_type",),
    "Object": ("properties",),
    "ParamSpec": ("name", "dtype", "default", "shape"),
    "Property": ("name", "dtype", "required"),
    "SparkMLVector": (),
    "TensorSpec": ("type", "shape", "name"),
}
