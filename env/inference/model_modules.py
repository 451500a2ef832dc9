"""Collects the modules that the files of a saved model refer to, each with the places."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, cast

from pyfunc.code.source_imports import imports_of_source
from pyfunc.directory.mlmodel import MLmodel, read_mlmodel
from pyfunc.env.installed.module_owners import (
    find_owners,
    find_source,
    is_standard_library,
)
from pyfunc.errors import PyfuncError
from pyfunc.files.paths import open_regular_file
from pyfunc.pickles.report import PickleReport
from pyfunc.pickles.walking import walk_pickle

__all__ = ["Evidence", "collect_modules", "uses_mlflow_itself"]

Evidence = dict[str, set[str]]
"""Dotted module names, each with the texts that say where it is needed."""

_OWN_FOLDER = ".pyfunc"
_MAX_SOURCE_BYTES = 4 << 20
_MAX_PACKED = 4 << 20
_MAX_UNPACKED = 64 << 20
_MAX_LOCAL_FILES = 500
_RUNTIME_MODULES = ("mlflow", "pyfunc")
# What a model may import of MLflow that this library has a stand-in for.
_STAND_INS = frozenset({"exceptions", "models", "pyfunc", "types", "utils"})

_DECOMPRESS: dict[bytes, Callable[[IO[bytes]], object]] = {
    b"\x1f\x8b": gzip.open,
    b"BZ": bz2.open,
    b"\xfd7": lzma.open,
}
_ZLIB = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")
_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)
_IMPORTERS = frozenset({("importlib", "import_module"), ("builtins", "__import__")})
_PICKLES = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))


def collect_modules(directory: Path) -> Evidence:
    """Return the modules that the model in ``directory`` refers to, outside its own code.

    Looks at the pickles (also compressed, or inside PyTorch and skops archives), at the Python
    files and at the loader module; files it cannot read give nothing. Modules of the standard
    library, of the model's own code and of the library that loads it are left out. Local
    modules that are not part of any distribution are followed through their source.
    """
    mlmodel = _read_what_there_is(directory)
    evidence, own = _gather(directory, mlmodel)
    loader = mlmodel.section.get("loader_module")
    if isinstance(loader, str):
        _add(evidence, [loader], "the loader module")
    _drop(evidence, own)
    _follow_local_modules(evidence)
    return evidence


# Flavors that MLflow itself loads, since this library has none for them.
_FLAVORS_OF_MLFLOW = frozenset(
    {
        "diffusers", "dspy", "h2o", "johnsnowlabs", "langchain", "llama_index", "openai",
        "paddle", "pmdarima", "prompt", "shap", "spark",
    }
)  # fmt: skip


def uses_mlflow_itself(directory: Path, mlmodel: MLmodel) -> bool:
    """Return whether the model is loaded by MLflow, or imports parts that have no stand-in."""
    loader = str(mlmodel.section.get("loader_module")).split(".")
    if loader[0] == "mlflow" and loader[1:2] and loader[1] in _FLAVORS_OF_MLFLOW:
        return True
    evidence, _ = _gather(directory, mlmodel)
    parts = (name.split(".") for name in evidence)
    return any(p[0] == "mlflow" and len(p) > 1 and p[1] not in _STAND_INS for p in parts)


def _gather(directory: Path, mlmodel: MLmodel) -> tuple[Evidence, set[str]]:
    """Return all modules that the files refer to, and the names of the model's own modules."""
    foreign = _is_foreign(mlmodel)
    evidence: Evidence = {}
    own: set[str] = set()
    for path, relative in _iter_files(directory):
        if path.suffix == ".py" and not relative.startswith("artifacts/"):
            own |= _names_of_file(relative)
            _add(evidence, imports_of_source(_read(path)), f"imported in {relative}")
        else:
            found = _modules_of_data(path, foreign=foreign)
            _add(evidence, found, f"in the pickle {relative}")
    return evidence, own


def _add(evidence: Evidence, modules: Iterable[str], place: str) -> None:
    for module in modules:
        evidence.setdefault(module, set()).add(place)


def _drop(evidence: Evidence, own: set[str]) -> None:
    for module in list(evidence):
        top = module.partition(".")[0]
        if top in own or top in _RUNTIME_MODULES or is_standard_library(module):
            del evidence[module]


def _iter_files(directory: Path) -> Iterator[tuple[Path, str]]:
    for folder, folders, files in os.walk(directory):
        folders[:] = sorted(f for f in folders if f not in (_OWN_FOLDER, "__pycache__"))
        for name in sorted(files):
            path = Path(folder, name)
            yield path, path.relative_to(directory).as_posix()


def _names_of_file(relative: str) -> set[str]:
    """Return the top-level module names that a file of the model may be imported by."""
    parts = relative.removesuffix(".py").split("/")
    return {parts[0]} if len(parts) == 1 else {parts[0], parts[1]}


def _read(path: Path) -> bytes:
    try:
        with open_regular_file(path) as file:
            return file.read(_MAX_SOURCE_BYTES)
    except PyfuncError:
        return b""


def _modules_of_data(path: Path, *, foreign: bool) -> set[str]:
    try:
        with open_regular_file(path) as file:
            pickles, found = _read_stream(file)
    except (PyfuncError, *_UNREADABLE):
        return set()
    for data in pickles:
        found |= _modules_of_pickle(data, foreign=foreign)
    return found


def _read_stream(file: IO[bytes]) -> tuple[list[bytes], set[str]]:
    """Return the pickles in a file, and the modules that it names in another way."""
    start = file.read(4)
    file.seek(0)
    if start[:2] in _PICKLES:
        return [file.read()], set()
    if start[:2] in _DECOMPRESS:
        return _read_stream(cast("IO[bytes]", _DECOMPRESS[start[:2]](file)))
    if start[:2] in _ZLIB:
        data = zlib.decompressobj().decompress(file.read(_MAX_PACKED), _MAX_UNPACKED)
        return [data] if data[:2] in _PICKLES else [], set()
    if start == b"PK\x03\x04":
        return _read_archive(file)
    return [], set()


def _read_archive(file: IO[bytes]) -> tuple[list[bytes], set[str]]:
    """Return what a PyTorch archive (``data.pkl``) or a skops one (``schema.json``) holds."""
    pickles: list[bytes] = []
    found: set[str] = set()
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            if name.endswith("data.pkl"):
                pickles.append(archive.read(name))
            elif name == "schema.json":
                found |= _modules_of_skops(json.loads(archive.read(name)))
    return pickles, found


def _modules_of_pickle(data: bytes, *, foreign: bool) -> set[str]:
    report = walk_pickle(data)
    found = {*report.modules, *report.imported_names}
    # "from google.cloud import storage": the bytecode names the two parts one by one, and only
    # together they say which distribution of a shared namespace is meant.
    shared = set(report.imported_names) - find_owners(report.imported_names).keys()
    found |= find_owners(f"{a}.{b}" for a in shared for b in report.code_names).keys()
    found |= find_owners(_asked_names(report)).keys()
    if foreign:
        # Bytecode of another Python is not read; a name that it uses and that is the top of an
        # installed distribution is as good as an import.
        found |= find_owners(report.code_names).keys()
    return found


def _asked_names(report: PickleReport) -> Iterator[str]:
    """Yield the texts that code may import by; what is no installed module does not matter."""
    by_another_name = not _IMPORTERS.isdisjoint(report.globals)
    texts = report.code_constants if by_another_name else report.asked_names
    return (text for text in texts if all(part.isidentifier() for part in text.split(".")))


def _modules_of_skops(schema: object) -> set[str]:
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            module = value.get("__module__")
            if isinstance(module, str):
                found.add(module)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found | {"skops.io"} if found else found


def _read_what_there_is(directory: Path) -> MLmodel:
    """Return the MLmodel file; if it is missing or broken an empty one, as the rest counts."""
    try:
        return read_mlmodel(directory)
    except PyfuncError:
        return MLmodel({}, directory)


def _is_foreign(mlmodel: MLmodel) -> bool:
    """Return whether another Python minor version saved the model."""
    saved = (mlmodel.python_version or "").split(".")[:2]
    return len(saved) == 2 and saved != [str(part) for part in sys.version_info[:2]]


def _follow_local_modules(evidence: Evidence) -> None:
    """Add what local source files import: modules that no distribution owns."""
    owned = find_owners(evidence)
    waiting = [name for name in evidence if name not in owned]
    seen: set[Path] = set()
    while waiting and len(seen) < _MAX_LOCAL_FILES:
        for name, path in find_source(waiting.pop()):
            if path in seen:
                continue
            seen.add(path)
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            modules = imports_of_source(_read(path), package=package)
            fresh = [module for module in modules if module not in evidence]
            _add(evidence, modules, f"imported in the local module {name}")
            _drop(evidence, set())
            owned = find_owners(module for module in fresh if module in evidence)
            waiting += [m for m in fresh if m in evidence and m not in owned]
