"""Copying the code that a model needs into its ``code`` folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from pyfunc.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    ModelNotFoundError,
    shorten,
)
from pyfunc.files.copying import copy_into

__all__ = ["CODE_FOLDER", "check_code_paths", "copy_code", "copy_code_files"]

CODE_FOLDER = "code"


def check_code_paths(code_paths: object) -> list[Path]:
    """Return ``code_paths`` as absolute paths that exist and have different names.

    Raises:
        InvalidTypeError: it is not a list of paths.
        ModelNotFoundError: a path does not exist.
        InvalidArgumentError: two of them have the same name.
    """
    if code_paths is None:
        return []
    if not isinstance(code_paths, list) or not all(
        isinstance(path, (str, os.PathLike)) for path in code_paths
    ):
        raise InvalidTypeError(f"code_paths: expected a list of paths, got {shorten(code_paths)}")
    paths: dict[str, Path] = {}
    for given in code_paths:
        path = Path(os.path.abspath(given))
        if not path.exists():
            raise ModelNotFoundError(
                f"code_paths: no such file or directory: {given}", "INVALID_PARAMETER_VALUE"
            )
        if path.name in paths and paths[path.name] != path:
            raise InvalidArgumentError(
                f"code_paths: {paths[path.name]} and {path} would both be stored as "
                f"{CODE_FOLDER}/{path.name}\nhint: give the folders that hold them"
            )
        paths[path.name] = path
    return list(paths.values())


def copy_code(paths: Iterable[Path], directory: Path) -> str | None:
    """Copy ``paths`` into the code folder of ``directory``; return its name, or None if empty.

    Raises:
        ModelPathError: a path holds what is neither file nor folder.
    """
    copied = False
    for path in paths:
        copy_into(path, directory / CODE_FOLDER / path.name, key="code_paths")
        copied = True
    return CODE_FOLDER if copied else None


def copy_code_files(files: Mapping[Path, str], directory: Path) -> str | None:
    """Copy each file to its relative path in the code folder; return as :func:`copy_code`."""
    for file, relative in files.items():
        copy_into(file, directory / CODE_FOLDER / relative, key="infer_code_paths")
    return CODE_FOLDER if files else None
