"""What a conda environment file says: packages, channels, and the lines for pip.

One reading for a caller's file at a save and for a model's at a restore: what the one takes, the
other can use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path

from pyfunc.env.requirements.credentials import without_channel_token
from pyfunc.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    ModelFormatError,
    ModelNotFoundError,
    shorten,
)
from pyfunc.files.yaml_reading import check_mapping, parse_yaml, read_yaml_mapping

__all__ = [
    "channels_of",
    "has_pip_section",
    "packages_of",
    "pip_lines",
    "read_conda_argument",
    "parse_conda_file",
    "read_conda_file",
    "with_pip_section",
]

# What becomes an argument of a command: nothing that looks like an option or a command of its own.
_ITEM = re.compile(r"(?!-)(?!.*(?:\$\(|`))[^\x00-\x1f\x7f\x85\u2028\u2029]+")
_NEAR = re.compile(r"\.{1,2}(?:$|[/\\])|~|file:(?!/)|file://\.")


def read_conda_file(path: Path) -> dict[str, object]:
    """Return what the file says; a byte order mark and merge keys are fine, as people use them.

    Raises:
        ModelFormatError: it is no YAML mapping.
    """
    return read_yaml_mapping(path, by_people=True)


def parse_conda_file(data: bytes, *, path: Path) -> dict[str, object]:
    """Return what :func:`read_conda_file` returns for a file with the content ``data``.

    Raises:
        ModelFormatError: it is no YAML mapping.
    """
    value = parse_yaml(data, path=path, by_people=True)
    return check_mapping({} if value is None else value, path=path)


def read_conda_argument(value: object) -> dict[str, object]:
    """Return a checked copy of a caller's environment, without credentials.

    Raises:
        InvalidTypeError: it is neither a mapping nor the path of a file.
        InvalidArgumentError: an entry is nothing that conda or pip could use.
        ModelNotFoundError: there is no such file.
    """
    if isinstance(value, Mapping):
        conda = dict(deepcopy(value))
    elif isinstance(value, str | Path):
        conda = _read_named(Path(value))
    else:
        raise InvalidTypeError(
            "conda_env must be a dict or the path of a conda environment file, got "
            f"{type(value).__name__} {shorten(value)}"
        )
    items = conda.get("dependencies")
    if not isinstance(items, list):
        raise InvalidArgumentError(
            f"conda_env: expected a list under 'dependencies', got {shorten(items)}"
        )
    conda["dependencies"] = [
        without_channel_token(item) if isinstance(item, str) else item for item in items
    ]
    if isinstance(conda.get("channels"), list):
        conda["channels"] = [
            without_channel_token(c) if isinstance(c, str) else c for c in conda["channels"]
        ]
    try:
        pip_lines(conda), packages_of(conda), channels_of(conda)
    except ModelFormatError as error:
        raise InvalidArgumentError(f"conda_env: {error}") from error
    return conda


def _read_named(path: Path) -> dict[str, object]:
    if not path.exists():
        raise ModelNotFoundError(f"conda_env: the file {str(path)!r} does not exist")
    try:
        return read_conda_file(path)
    except ModelFormatError as error:
        raise InvalidArgumentError(f"conda_env: {error}") from error


def _items_of(conda: Mapping[str, object] | None) -> list[object]:
    items = (conda or {}).get("dependencies")
    return items if isinstance(items, list) else []


def pip_lines(conda: Mapping[str, object] | None, *, path: Path | None = None) -> list[str]:
    """Return the lines of all pip sections, in order; one that holds nothing counts as empty.

    Raises:
        ModelFormatError: an entry is neither text nor a list of lines for pip.
    """
    lines: list[str] = []
    for item in _items_of(conda):
        if isinstance(item, str):
            continue
        if not isinstance(item, dict) or list(item) != ["pip"]:
            raise ModelFormatError(
                f"an entry must be a string or {{'pip': [...]}}, got {shorten(item)}",
                path=path,
                key="dependencies",
            )
        section = item["pip"] if item["pip"] is not None else []
        if not isinstance(section, list) or not all(isinstance(line, str) for line in section):
            raise ModelFormatError(
                f"expected a pip section that is a list of strings, got {shorten(section)}",
                path=path,
                key="dependencies.pip",
            )
        lines += section
    return lines


def has_pip_section(conda: Mapping[str, object] | None) -> bool:
    """Return whether the file says anything about pip's part, be it that there is none."""
    return any(isinstance(item, dict) for item in _items_of(conda))


def packages_of(conda: Mapping[str, object] | None) -> list[str]:
    """Return what conda itself is to install.

    Raises:
        InvalidArgumentError: one could not be an argument of conda.
    """
    return [_checked(item) for item in _items_of(conda) if isinstance(item, str)]


def channels_of(conda: Mapping[str, object] | None) -> list[str]:
    """Return where conda is to look.

    Raises:
        InvalidArgumentError: one could not be an argument of conda, or is a folder that only
            the working directory or the user of the moment tells.
    """
    channels = (conda or {}).get("channels")
    names = [str(channel) for channel in channels] if isinstance(channels, list) else []
    for name in names:
        if _NEAR.match(name):
            raise InvalidArgumentError(
                f"conda file: the channel {name!r} is another folder elsewhere\n"
                "hint: give its whole path, or an address"
            )
    return [_checked(name) for name in names]


def _checked(item: str) -> str:
    if not _ITEM.fullmatch(item):
        raise InvalidArgumentError(
            f"conda file: line {item!r} is neither a conda package nor a channel"
        )
    return item


def with_pip_section(conda: Mapping[str, object], lines: Sequence[str]) -> dict[str, object]:
    """Return ``conda`` with ``lines`` as its one pip section, where the first one was."""
    dependencies: list[object] = []
    placed = False
    for item in _items_of(conda):
        if not isinstance(item, dict):
            dependencies.append(item)
        elif not placed:
            dependencies.append({"pip": list(lines)})
            placed = True
    if not placed:
        dependencies.append({"pip": list(lines)})
    return {**conda, "dependencies": dependencies}
