"""Copying a model's artifacts into its directory, under names that cannot collide.

Rules: format.md 3.6.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from itertools import count
from pathlib import Path, PurePosixPath

from pyfunc.errors import (
    RESOURCE_DOES_NOT_EXIST,
    InvalidTypeError,
    ModelNotFoundError,
    shorten,
)
from pyfunc.files.copying import copy_into
from pyfunc.files.locations import download, is_remote, local_path
from pyfunc.files.urls import without_credentials

__all__ = ["check_artifacts", "copy_artifacts"]

_FOLDER = "artifacts"


def check_artifacts(artifacts: object) -> dict[str, str]:
    """Return ``artifacts`` with every place as text, after checking that local ones exist.

    Raises:
        InvalidTypeError: it does not map names to paths or URIs.
        ModelNotFoundError: a local path does not exist.
    """
    if artifacts is None:
        return {}
    if not isinstance(artifacts, Mapping):
        raise InvalidTypeError(
            f"artifacts: expected a mapping of name to path or URI, got {shorten(artifacts)}"
        )
    checked: dict[str, str] = {}
    for name, place in artifacts.items():
        if not isinstance(place, (str, os.PathLike)) or not os.fspath(place):
            raise InvalidTypeError(
                f"artifacts[{name!r}]: expected a path or a URI, got {shorten(place)}"
            )
        text = os.fspath(place)
        if not is_remote(text) and not local_path(text).exists():
            raise ModelNotFoundError(
                f"artifacts[{name!r}]: no such file or directory: {text}",
                RESOURCE_DOES_NOT_EXIST,
            )
        checked[str(name)] = text
    return checked


def copy_artifacts(artifacts: Mapping[str, str], directory: Path) -> dict[str, dict[str, object]]:
    """Copy every artifact below ``directory`` and return what MLmodel says of it.

    A place that is named twice is stored once. Places whose last parts are the same name, in
    whatever case, each get a numbered folder.

    Raises:
        ModelNotFoundError: a remote place has nothing, or a file vanished meanwhile.
        ModelPathError: a source holds what is neither file nor folder.
    """
    targets = _targets(dict.fromkeys(artifacts.values()))
    for place, target in targets.items():
        _fetch(place, directory / target)
    return {
        name: {"path": str(targets[place]), "uri": without_credentials(place)}
        for name, place in artifacts.items()
    }


def _targets(places: Mapping[str, None]) -> dict[str, PurePosixPath]:
    names = {place: _last_part(place) for place in places}
    by_name: dict[str, list[str]] = {}
    for place, name in names.items():
        by_name.setdefault(name.casefold(), []).append(place)
    alone = {name for name, sharing in by_name.items() if len(sharing) == 1}
    numbers = (str(number) for number in count() if str(number) not in alone)
    return {
        place: PurePosixPath(_FOLDER, name)
        if name.casefold() in alone
        else PurePosixPath(_FOLDER, next(numbers), name)
        for place, name in names.items()
    }


def _last_part(place: str) -> str:
    if is_remote(place):
        return place.partition("?")[0].rstrip("/").rpartition("/")[2] or "data"
    path = local_path(place)
    return path.name or path.resolve().name or "data"


def _fetch(place: str, target: Path) -> None:
    if not is_remote(place):
        copy_into(local_path(place), target, key=f"artifact {place}")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as private:
        folder = Path(private, "place")
        folder.mkdir()
        download(place, folder).rename(target)
