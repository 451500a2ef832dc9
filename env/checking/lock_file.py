"""Reads and writes lock files (PEP 751, ``pylock.toml``)."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from pyfunc.errors import InvalidArgumentError, ModelFormatError
from pyfunc.files.paths import open_regular_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["LOCK_PATH", "LockedPackage", "parse_lock", "read_lock", "write_lock_text"]

LOCK_PATH = ".pyfunc/pylock.toml"
_MAX_BYTES = 16 << 20
_SOURCES = ("vcs", "directory", "archive", "sdist", "wheels")


@dataclass(frozen=True, slots=True)
class LockedPackage:
    """One package of a lock file.

    Attributes:
        name: canonical.
        version: as text.
        source: the keys of the standard that say where it comes from: one of ``vcs``,
            ``directory`` and ``archive``, or ``sdist`` and ``wheels``. Empty where unknown.
        line: what installs it, where the keys cannot say it; empty for a name and version.
    """

    name: str
    version: str
    source: Mapping[str, Any]
    line: str = ""


def write_lock_text(packages: Sequence[LockedPackage], *, requires_python: str) -> str:
    """Return the text of a lock file.

    The standard has no place for a package whose source is unknown; such a one stands under
    ``tool.pyfunc`` instead, so that installers accept the file.
    """
    lines = [
        'lock-version = "1.0"',
        'created-by = "pyfunc"',
        f"requires-python = {_value(requires_python)}",
    ]
    # The standard asks for an array, also when nothing is in it.
    located = [package for package in packages if package.source]
    lines += [] if located else ["packages = []"]
    for package in located:
        lines += ["", "[[packages]]", *_named(package)]
        lines += [f"{key} = {_value(value)}" for key, value in package.source.items()]
    for package in packages:
        if not package.source:
            lines += ["", "[[tool.pyfunc.unlocated]]", *_named(package)]
            lines += [f"requirement = {_value(package.line)}"] if package.line else []
    text = "\n".join(lines) + "\n"
    if len(text.encode()) > _MAX_BYTES:
        raise InvalidArgumentError(
            f"the lock file would be larger than {_MAX_BYTES} bytes, which nothing reads"
        )
    return text


def _named(package: LockedPackage) -> list[str]:
    return [f"name = {_value(package.name)}", f"version = {_value(package.version)}"]


def _value(value: object) -> str:
    """Return a TOML value; tables are written inline."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return _text(str(value))


def _text(text: str) -> str:
    # A JSON string is a TOML basic string, except that TOML wants U+007F escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    bare = key.replace("-", "").replace("_", "").isalnum() and key.isascii()
    return key if bare else _text(key)


def read_lock(path: Path) -> list[LockedPackage]:
    """Return the packages of a lock file.

    Raises:
        ModelFormatError: it is malformed or too large.
        ModelIncompleteError: it does not exist.
        ModelPathError: it is not an ordinary file.
    """
    with open_regular_file(path) as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ModelFormatError(f"the file is larger than {_MAX_BYTES} bytes", path=path)
    return parse_lock(data, path=path)


def parse_lock(data: bytes, *, path: Path | str) -> list[LockedPackage]:
    """Return the packages in the lock file text ``data``, sorted by name.

    Raises:
        ModelFormatError: it is not TOML, of another version of the standard, or malformed.
    """
    try:
        content = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelFormatError(f"not a TOML file: {error}", path=path) from error
    version = content.get("lock-version")
    if not isinstance(version, str) or version.partition(".")[0] != "1":
        raise ModelFormatError(
            f"expected lock-version 1.x, got {version!r}", path=path, key="lock-version"
        )
    own = content.get("tool", {})
    own = own.get("pyfunc", {}) if isinstance(own, dict) else {}
    unlocated = own.get("unlocated", []) if isinstance(own, dict) else []
    found = [
        _package(item, path) for item in [*_tables(content.get("packages"), path), *unlocated]
    ]
    return sorted(found, key=lambda package: package.name)


def _tables(value: object, path: Path | str) -> list[object]:
    if not isinstance(value, list):
        raise ModelFormatError(
            f"expected a list of tables, got {type(value).__name__}", path=path, key="packages"
        )
    return value


def _package(item: object, path: Path | str) -> LockedPackage:
    table = item if isinstance(item, dict) else {}
    name, version = table.get("name"), table.get("version", "")
    if not isinstance(name, str) or not isinstance(version, str):
        raise ModelFormatError("a package has no name as text", path=path, key="packages")
    source = {key: table[key] for key in _SOURCES if key in table}
    line = table.get("requirement", "")
    return LockedPackage(canonicalize_name(name), version, source, str(line))
