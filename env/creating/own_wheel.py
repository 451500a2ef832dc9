"""Builds a wheel of this very library from its imported files, also of an unpublished checkout."""

from __future__ import annotations

import base64
import hashlib
import importlib
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyfunc.env.installed.distributions import declared_requirements
from pyfunc.env.specification import OWN_NAME
from pyfunc.errors import MissingDependencyError
from pyfunc.version import VERSION

__all__ = ["OwnSource", "read_own_source", "requirement_names"]

_STEM = f"{OWN_NAME.replace('-', '_')}-{VERSION}"
_FILE_NAMES = (".css", ".html", ".js", ".py", ".pyi", ".typed")
_EPOCH = (1980, 1, 1, 0, 0, 0)


def requirement_names() -> tuple[str, ...]:
    """Return what this library needs, without versions.

    The model's own requirements decide about versions: a model with an old pandas gets it.

    Raises:
        MissingDependencyError: this library is not installed, only importable, so nothing says
            what it needs.
    """
    declared = declared_requirements(OWN_NAME)
    if not declared:
        raise MissingDependencyError(
            "an environment of its own", "pip install -e . where the source of pyfunc is"
        )
    markers = [(item.name, str(item.marker or "")) for item in declared]
    return tuple(
        f"{name}; {marker}" if marker else name
        for name, marker in markers
        if not re.search(r"\bextra\b", marker)
    )


@dataclass(frozen=True, slots=True)
class OwnSource:
    """The files of this library, as ``(name inside the wheel, content)`` sorted by name."""

    files: tuple[tuple[str, bytes], ...]

    @property
    def digest(self) -> str:
        """The SHA-256 of names and contents, as hex text."""
        total = hashlib.sha256()
        for name, content in self.files:
            total.update(f"{name}\0{len(content)}\0".encode())
            total.update(content)
        return total.hexdigest()

    def write_wheel(self, folder: Path) -> Path:
        """Write the wheel into ``folder`` and return its path; equal files give equal bytes."""
        info = f"{_STEM}.dist-info"
        files = [
            *self.files,
            (f"{info}/METADATA", _metadata().encode()),
            (f"{info}/WHEEL", _WHEEL.encode()),
        ]
        record = [_record_line(name, content) for name, content in files]
        record.append(f"{info}/RECORD,,")
        files.append((f"{info}/RECORD", "".join(f"{line}\n" for line in record).encode()))
        path = folder / f"{_STEM}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files:
                entry = zipfile.ZipInfo(name, _EPOCH)
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, content)
        return path


def read_own_source() -> OwnSource:
    """Return the files of the package ``pyfunc`` that is imported here."""
    package = Path(str(importlib.import_module("pyfunc").__file__)).parent
    return OwnSource(tuple(sorted(_iter_files(package))))


def _iter_files(package: Path) -> Iterator[tuple[str, bytes]]:
    # Links are followed: in a checkout schema, env and flavors are links to their folders.
    for folder, folders, names in os.walk(package, followlinks=True):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            if name.endswith(_FILE_NAMES):
                path = Path(folder, name)
                inside = Path("pyfunc") / path.relative_to(package)
                yield inside.as_posix(), path.read_bytes()


def _metadata() -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {OWN_NAME}", f"Version: {VERSION}"]
    lines += [f"Requires-Dist: {name}" for name in requirement_names()]
    return "\n".join(lines) + "\n"


_WHEEL = "Wheel-Version: 1.0\nGenerator: pyfunc\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def _record_line(name: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}"
