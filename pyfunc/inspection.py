"""``inspect``, ``verify`` and ``refresh``: what a model is and whether it is intact.

Nothing of the model is run.
"""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pyfunc.directory.manifest import Manifest, read_manifest
from pyfunc.directory.mlmodel import read_mlmodel
from pyfunc.directory.opened import HeldPlace
from pyfunc.directory.signing import verify_signature
from pyfunc.directory.verification import (
    Extra,
    Found,
    Progress,
    find_additions,
    find_files,
    refresh_manifest,
    verify_files,
)
from pyfunc.errors import (
    InvalidArgumentError,
    MissingDependencyError,
    ModelIntegrityError,
    PyfuncError,
)
from pyfunc.files.locations import local_directory, resolve_model
from pyfunc.files.paths import open_regular_file, read_at_most
from pyfunc.model.description import Model
from pyfunc.pickles.estimators import ESTIMATORS
from pyfunc.pickles.known_data import BASE_GLOBALS, is_of_the_standard_library
from pyfunc.pickles.walking import walk_pickle

if TYPE_CHECKING:
    from pyfunc.flavors.protocol import Serialization
    from pyfunc.pickles.report import PickleReport

__all__ = ["Inspection", "PickleFile", "inspect", "refresh", "verify"]

Integrity = Literal["verified", "modified", "unknown"]
Verdict = Literal["imports-only", "contains-code", "unclear"]

_PICKLE_STARTS = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
# Pickles of older protocols have no mark, and compressed ones another.
_PICKLE_SUFFIXES = (".pkl", ".pickle", ".joblib", ".pkl.gz", ".pkl.bz2", ".pkl.xz", ".pth")
_MAX_PICKLE = 1 << 30
_CODE_SUFFIXES = (".py", ".pyc", ".so", ".pyd")


@dataclass(frozen=True)
class PickleFile:
    """One pickle of a model, read without being loaded.

    Attributes:
        path: relative to the model.
        globals: ``module.name`` of everything that loading it imports by name, sorted.
        verdict: ``contains-code`` if functions or classes come by value, so that names say
            nothing about what it does; ``unclear`` if it could not be followed to the end.
    """

    path: str
    globals: tuple[str, ...]
    verdict: Verdict


@dataclass(frozen=True)
class Inspection:
    """What the files of a model say; none of its code was imported or run.

    Attributes:
        path: the model directory.
        flavors: name -> section of the MLmodel file.
        formats: flavor -> the format its model is stored in, and whether reading it needs a
            pickle; for the flavors that say so.
        loader_module: what would load it as python_function, or None.
        python_version: of the interpreter that saved it, or None.
        mlflow_version: of the format it was written in, or None.
        created: when it was saved, as text in UTC.
        signature: input, output and params as JSON text or None each; None if there is none.
        requirements: the lines of requirements.txt.
        files: relative path -> size in bytes.
        pickles: the pickles among the files.
        code: files that loading the model may run, beside the pickles.
        integrity: ``verified`` or ``modified`` against the manifest; ``unknown`` without one.
        digest: SHA-256 of the manifest, which pins all files; None without one.
        problem: why the files are not those of the manifest, or an empty text.
        additions: files that were not saved, but put there by a store, as stores do.
    """

    path: str
    flavors: Mapping[str, Mapping[str, object]]
    formats: Mapping[str, Serialization]
    loader_module: str | None
    python_version: str | None
    mlflow_version: str | None
    created: str
    signature: Mapping[str, str | None] | None
    requirements: tuple[str, ...]
    files: Mapping[str, int]
    pickles: tuple[PickleFile, ...]
    code: tuple[str, ...]
    integrity: Integrity
    digest: str | None
    problem: str
    additions: tuple[str, ...]

    def to_json(self) -> str:
        """Return all of it as one JSON object."""
        return json.dumps(asdict(self), default=str, sort_keys=True)

    def __str__(self) -> str:
        return "\n".join(_describe(self))


def inspect(path: str | os.PathLike[str]) -> Inspection:
    """Return what the model at ``path`` is and what loading it would run.

    Raises:
        ModelNotFoundError: there is no model.
        ModelFormatError: its MLmodel file is malformed.
    """
    root = resolve_model(path)
    mlmodel = read_mlmodel(root)
    model, section = Model.from_mlmodel(mlmodel), mlmodel.section
    files = find_files(root)
    manifest = read_manifest(root)
    integrity, problem = _integrity(root, manifest)
    return Inspection(
        path=str(root),
        flavors=model.flavors,
        formats=_formats(model.flavors, files),
        loader_module=section.get("loader_module"),
        python_version=section.get("python_version"),
        mlflow_version=model.mlflow_version,
        created=model.utc_time_created,
        signature=None if model.signature is None else model.signature.to_dict(),
        requirements=_requirements(root),
        files={name: found.size for name, found in sorted(files.items())},
        pickles=tuple(_pickles(root, files, _named_pickles(section))),
        code=tuple(name for name in sorted(files) if name.endswith(_CODE_SUFFIXES)),
        integrity=integrity,
        digest=None if manifest is None else manifest.digest,
        problem=problem,
        additions=() if manifest is None else tuple(find_additions(root, manifest)),
    )


def verify(
    path: str | os.PathLike[str],
    *,
    public_key: str | os.PathLike[str] | None = None,
    expected_subject: str | None = None,
    extra: Extra = "error",
    progress: Progress | None = None,
) -> Manifest:
    """Check that every file of the model at ``path`` is as it was saved, or as it was signed.

    Args:
        path: a model directory.
        public_key: PEM file of the key that it must be signed with, or None.
        expected_subject: what that signature must be of, or None.
        extra: what a file that was not saved means; below a folder that loading imports code
            from it is always an error.
        progress: called with the bytes hashed so far and the bytes to hash.

    Returns:
        The manifest; its ``digest`` pins all files.

    Raises:
        ModelNotFoundError: there is no model.
        ModelIntegrityError: files are missing, modified or extra, or there is no manifest.
        UntrustedModelError: the model is not signed with that key.
    """
    root = resolve_model(path)
    with HeldPlace(root):
        signed = None
        if expected_subject is not None and public_key is None:
            raise InvalidArgumentError("expected_subject: it needs public_key")
        if public_key is not None:
            signed = verify_signature(
                root, public_key=public_key, expected_subject=expected_subject
            )
        return verify_files(root, signed, extra=extra, progress=progress)


def refresh(path: str | os.PathLike[str], *, progress: Progress | None = None) -> Manifest:
    """Declare the files of the model at ``path`` to be right as they are; return the manifest.

    For use after MLflow, or you, changed a file on purpose: look first at what ``verify`` says.
    Whoever pinned the digest or checks a signature needs the new one.

    Args:
        path: a model directory, with a manifest or without.
        progress: called with the bytes hashed so far and the bytes to hash.

    Raises:
        ModelNotFoundError: there is no directory.
        InvalidArgumentError: ``path`` is not local.
        ModelIncompleteError: it has no ``MLmodel``.
        ModelPathError: it holds a link, a FIFO or the like.
    """
    return refresh_manifest(local_directory(path), progress=progress)


def _formats(
    flavors: Mapping[str, Mapping[str, object]], files: Collection[str]
) -> dict[str, Serialization]:
    from pyfunc.flavors.registry import describe

    try:
        return describe(flavors, files)
    except MissingDependencyError:
        return {}


def _integrity(root: Path, manifest: Manifest | None) -> tuple[Integrity, str]:
    if manifest is None:
        return "unknown", ""
    try:
        verify_files(root, manifest)
    except ModelIntegrityError as error:
        return "modified", str(error)
    return "verified", ""


def _requirements(root: Path) -> tuple[str, ...]:
    from pyfunc.env.requirements.of_model import read_requirements

    lines, unreadable = read_requirements(root)
    return (*lines, *(item.line for item in unreadable))


def _pickles(root: Path, files: Mapping[str, Found], named: set[str]) -> Iterator[PickleFile]:
    for name in sorted(files):
        is_named = name in named or name.endswith(_PICKLE_SUFFIXES)
        try:
            with open_regular_file(root / name) as file:
                if not is_named and not file.read(2).startswith(_PICKLE_STARTS):
                    continue
                file.seek(0)
                data = read_at_most(file, _MAX_PICKLE + 1)
        except (PyfuncError, OSError):  # gone since it was listed
            continue
        if len(data) > _MAX_PICKLE:
            yield PickleFile(name, (), "unclear")
            continue
        report = walk_pickle(data)
        imported = {f"{module}.{attribute}" for module, attribute in report.globals}
        yield PickleFile(name, tuple(sorted(imported | set(report.submodules))), _verdict(report))


def _named_pickles(section: Mapping[str, object]) -> set[str]:
    """Return the files that MLmodel says are pickles, whatever they look like."""
    value = section.get("python_model")
    return {posixpath.normpath(value)} if isinstance(value, str) else set()


def _verdict(report: PickleReport) -> Verdict:
    if report.has_code:
        return "contains-code"
    return "imports-only" if report.is_complete else "unclear"


def _describe(found: Inspection) -> Iterator[str]:
    yield f"model: {found.path}"
    yield f"flavors: {', '.join(sorted(found.flavors)) or 'none'}"
    for name, stored in sorted(found.formats.items()):
        pickled = "no pickle" if stored.is_pickle_free else "needs a pickle"
        yield f"format of {name}: {stored.format} ({pickled})"
    yield f"loader: {found.loader_module or 'none'}"
    yield (
        f"saved: {found.created} UTC, Python {found.python_version or '?'}, "
        f"format of MLflow {found.mlflow_version or '?'}"
    )
    yield from _signature_table(found.signature or {})
    yield f"requirements: {', '.join(found.requirements) or 'none'}"
    yield f"files: {len(found.files)}, {sum(found.files.values())} bytes"
    yield f"integrity: {found.integrity}" + (f" ({found.digest})" if found.digest else "")
    if found.problem:
        yield found.problem
    if found.additions:
        yield f"added by a store: {', '.join(found.additions)}"
    own = {name.split("/")[1].partition(".")[0] for name in found.code if name.count("/")}
    for pickle in found.pickles:
        yield f"pickle {pickle.path}: {_SAID_OF[pickle.verdict]}"
        for kind, names in _grouped(pickle.globals, own).items():
            yield f"  {kind}:"
            yield from (f"    {_printable(name)}" for name in names)
    if found.code:
        yield f"code that loading may run: {', '.join(found.code)}"


_SAID_OF: dict[Verdict, str] = {
    "imports-only": "imports-only: no code in it, it calls what it imports",
    "contains-code": "contains-code: functions in it may do anything, whatever it imports",
    "unclear": "unclear: it could not be followed to its end",
}
_DATA = "data, which runs nothing"
_PYTHON = "Python's own beyond data, which may run anything"
_OWN = "code of the model"


def _grouped(names: Iterable[str], own: Collection[str]) -> dict[str, list[str]]:
    """Return the names by what importing them means, what is most worth a look first.

    Args:
        names: what a pickle imports.
        own: the modules at the top of the model's code.
    """
    groups: dict[str, list[str]] = {_PYTHON: [], _OWN: []}
    data: list[str] = []
    for name in names:
        module, _, last = name.rpartition(".")
        top = name.partition(".")[0]
        if (module, last) in BASE_GLOBALS or (module, last) in ESTIMATORS:
            data.append(name)
        elif top in own:
            groups[_OWN].append(name)
        elif is_of_the_standard_library(top):
            groups[_PYTHON].append(name)
        else:
            groups.setdefault(f"package {top}", []).append(name)
    return {kind: found for kind, found in (*groups.items(), (_DATA, data)) if found}


def _signature_table(signature: Mapping[str, str | None]) -> Iterator[str]:
    """Yield lines that show each part of a signature as a table: names, types and the rest."""
    for part, text in signature.items():
        rows = [_row_of(i, entry) for i, entry in enumerate(json.loads(text))] if text else []
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        yield from [f"{part}:"] * bool(rows)
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            yield f"  {'  '.join(cells)}".rstrip()


def _row_of(position: int, entry: Mapping[str, Any]) -> tuple[str, str, str]:
    name = entry.get("name")
    shown = f"[{position}]" if name is None else _printable(str(name))
    if "tensor-spec" in entry:
        tensor = entry["tensor-spec"]
        return shown, f"tensor of {tensor['dtype']}", f"shape {_text_of_shape(tensor['shape'])}"
    if "default" in entry:
        shape = entry.get("shape")
        several = "" if shape is None else f", shape {_text_of_shape(shape)}"
        return shown, _text_of_type(entry), f"default {entry['default']!r}{several}"
    return shown, _text_of_type(entry), "required" if entry.get("required", True) else "optional"


def _printable(text: str) -> str:
    """Return ``text``, which comes out of a file, without what a terminal obeys."""
    return text if text.isprintable() else repr(text)


def _text_of_shape(shape: Iterable[object]) -> str:
    return " x ".join("any" if length == -1 else str(length) for length in shape) or "of no axes"


def _text_of_type(entry: Mapping[str, Any]) -> str:
    kind = str(entry.get("type"))
    if kind == "array":
        return f"list of {_text_of_type(entry.get('items', {}))}"
    if kind == "map":
        return f"map of {_text_of_type(entry.get('values', {}))}"
    if kind == "object":
        properties = entry.get("properties", {})
        parts = [
            f"{_printable(name)}{'' if part.get('required', True) else '?'}: {_text_of_type(part)}"
            for name, part in sorted(properties.items())
        ]
        return f"{{{', '.join(parts)}}}"
    return kind
