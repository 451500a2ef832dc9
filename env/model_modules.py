"""Collects the modules that the files of a saved model refer to, each with the places."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from pyfunc.env.imports import imports_of_source
from pyfunc.env.module_owners import find_owners, find_source, is_standard_library
from pyfunc.env.pickled_modules import modules_of_pickle
from pyfunc.errors import PyfuncError
from pyfunc.paths import open_regular_file
from pyfunc.yaml_files import read_yaml_mapping

__all__ = ["Evidence", "collect_modules"]

Evidence = dict[str, set[str]]
"""Dotted module names, each with the texts that say where it is needed."""

_OWN_FOLDER = ".pyfunc"
_MAX_SOURCE_BYTES = 4 << 20
_MAX_LOCAL_FILES = 500
_RUNTIME_MODULES = ("mlflow", "pyfunc")

_DECOMPRESS: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZ": bz2.open,
    b"\xfd7": lzma.open,
}
_ZLIB = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")
_PICKLES = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))


def collect_modules(directory: Path) -> Evidence:
    """Return the modules that the model in ``directory`` refers to, outside its own code.

    Looks at the pickles (also compressed, or inside PyTorch and skops archives), at the Python
    files and at the loader module; files it cannot read give nothing. Modules of the standard
    library, of the model's own code and of the library that loads it are left out. Local
    modules that are not part of any distribution are followed through their source.
    """
    evidence: Evidence = {}
    own: set[str] = set()
    for path, relative in _iter_files(directory):
        if path.suffix == ".py" and not relative.startswith("artifacts/"):
            own |= _names_of_file(relative)
            _add(evidence, imports_of_source(_read(path)), f"imported in {relative}")
        else:
            _add(evidence, _modules_of_data(path), f"in the pickle {relative}")
    loader = _loader_module(directory)
    if loader:
        _add(evidence, [loader], "the loader module")
    _drop(evidence, own)
    _follow_local_modules(evidence)
    return evidence


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


def _modules_of_data(path: Path) -> set[str]:
    try:
        with open_regular_file(path) as file:
            return _modules_of_stream(file)
    except (PyfuncError, OSError, EOFError, ValueError, lzma.LZMAError, zipfile.BadZipFile):
        return set()


def _modules_of_stream(file: IO[bytes]) -> set[str]:
    start = file.read(4)
    file.seek(0)
    if start[:2] in _PICKLES:
        return modules_of_pickle(file)
    if start[:2] in _DECOMPRESS:
        return _modules_of_stream(cast("IO[bytes]", _DECOMPRESS[start[:2]](file)))
    if start[:2] in _ZLIB:
        return _modules_of_zlib(file)
    if start == b"PK\x03\x04":
        return _modules_of_archive(file)
    return set()


def _modules_of_zlib(file: IO[bytes]) -> set[str]:
    import io

    data = zlib.decompressobj().decompress(file.read(_MAX_SOURCE_BYTES), 16 * _MAX_SOURCE_BYTES)
    return modules_of_pickle(io.BytesIO(data)) if data[:2] in _PICKLES else set()


def _modules_of_archive(file: IO[bytes]) -> set[str]:
    """Return the modules in a PyTorch archive (``data.pkl``) or a skops one (``schema.json``)."""
    found: set[str] = set()
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            if name.endswith("data.pkl"):
                with archive.open(name) as member:
                    found |= modules_of_pickle(member)
            elif name == "schema.json":
                found |= _modules_of_skops(json.loads(archive.read(name)))
    return found


def _modules_of_skops(schema: Any) -> set[str]:
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


def _loader_module(directory: Path) -> str | None:
    try:
        model = read_yaml_mapping(directory / "MLmodel")
    except PyfuncError:
        return None
    flavors = model.get("flavors")
    flavor = flavors.get("python_function") if isinstance(flavors, dict) else None
    loader = flavor.get("loader_module") if isinstance(flavor, dict) else None
    return loader if isinstance(loader, str) else None


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
