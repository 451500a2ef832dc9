"""Turning what a caller gives as a place (a path, a URI) into a local path.

Everything public that takes the place of a model takes it through :func:`resolve_model`, or
through :func:`local_directory` where the model is changed.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pyfunc.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    ModelNotFoundError,
    shorten,
)
from pyfunc.files.downloads import download_cached, download_into
from pyfunc.files.progress import Progress
from pyfunc.files.tracked import download_tracked, is_tracked
from pyfunc.files.urls import without_credentials
from pyfunc.variables import MODEL_CACHE

__all__ = [
    "check_directory",
    "download",
    "is_remote",
    "local_directory",
    "local_path",
    "resolve_model",
]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def local_path(location: str | os.PathLike[str]) -> Path:
    """Return the local path that ``location``, a path or a ``file:`` URI, names.

    Raises:
        InvalidTypeError: it is neither text nor a path.
        InvalidArgumentError: it is empty, holds NUL, or is a URI of another machine.
    """
    text = _text_of(location)
    path = _path_of_uri(text) if _is_file_uri(text) else text
    if not path or "\0" in path:
        raise InvalidArgumentError(
            f"expected a path or a URI, got {shorten(without_credentials(text))}"
        )
    return Path(path)


def _text_of(location: object) -> str:
    text = os.fspath(location) if isinstance(location, (str, os.PathLike)) else None
    if not isinstance(text, str):  # some paths are bytes
        raise InvalidTypeError(f"expected a path or a URI, got {shorten(location)}")
    return text


def _told(location: object) -> str:
    """Return a location as messages may show it."""
    return without_credentials(location if isinstance(location, str) else shorten(location))


def _is_file_uri(text: str) -> bool:
    return text[:5].lower() == "file:"


def _path_of_uri(uri: str) -> str:
    try:
        parts = urlsplit(uri)
    except ValueError as error:  # such as brackets that are no address
        raise InvalidArgumentError(f"{without_credentials(uri)}: {error}") from error
    if parts.netloc.lower() not in ("", "localhost"):
        told = without_credentials(uri)
        raise InvalidArgumentError(f"{told}: a file URI of another machine cannot be read")
    return unquote(parts.path)


def is_remote(location: object) -> bool:
    """Return whether ``location`` is a URL that is not a local file."""
    if not isinstance(location, str) or _is_file_uri(location):
        return False
    return _URL.match(location) is not None or is_tracked(location)


def resolve_model(
    model_uri: str | os.PathLike[str],
    dst_path: str | None = None,
    *,
    progress: Progress | None = None,
) -> Path:
    """Return the absolute directory of the model at ``model_uri``, downloaded if it is remote.

    Args:
        model_uri: a path, a ``file:`` URI, a URL that fsspec reads, or a URI that MLflow's
            client resolves: ``models:/name/1``, ``models:/name@alias``, ``runs:/id/path``, ...
        dst_path: an existing directory to download into. If None, a model of a store is kept
            in the folder of the variable ``PYFUNC_MODEL_CACHE``, or goes into a temporary one.
        progress: called with the bytes copied from a store so far and the bytes to copy.

    Raises:
        ModelNotFoundError: there is no directory at the place.
        InvalidTypeError: ``model_uri`` is neither text nor a path.
        InvalidArgumentError: as :func:`local_path`.
        MissingDependencyError: what reads such a place is not installed; names the pip command.
        StoreError: the store or the tracking server failed.
    """
    if not is_remote(model_uri):
        return local_directory(model_uri)
    url = os.fspath(model_uri)
    if dst_path is not None and not Path(dst_path).is_dir():
        raise ModelNotFoundError(f"dst_path: no such directory: {dst_path}")
    cache = MODEL_CACHE.read()
    if dst_path is not None:
        found = download(url, Path(dst_path).absolute(), progress=progress)
    elif is_tracked(url):
        found = download_tracked(url, None)
    elif cache is not None:
        found = download_cached(Path(cache).absolute(), url, progress=progress)
    else:
        found = download(url, Path(tempfile.mkdtemp(prefix="pyfunc-")), progress=progress)
    return check_directory(found)


def local_directory(model_uri: str | os.PathLike[str]) -> Path:
    """Return the absolute directory at ``model_uri``, a path or a ``file:`` URI.

    For what changes a model: a copy that was downloaded would be changed in vain.

    Raises:
        ModelNotFoundError: there is no directory at the place.
        InvalidTypeError: ``model_uri`` is neither text nor a path.
        InvalidArgumentError: it is remote, or as :func:`local_path`.
    """
    if is_remote(model_uri):
        raise InvalidArgumentError(
            f"{_told(model_uri)}: only a model in a local directory can be changed"
        )
    # The model reads files later on too, whatever the working directory is then.
    return Path(os.path.abspath(check_directory(local_path(model_uri))))


def check_directory(path: Path) -> Path:
    """Return ``path`` unchanged if a directory is there.

    Raises:
        ModelNotFoundError: there is nothing, or something else.
    """
    if os.path.isdir(path):
        return path
    if os.path.exists(path):
        raise ModelNotFoundError(f"{path} is a file; give the directory that holds it")
    raise ModelNotFoundError(
        f"there is no model directory at {path}\nhint: give the directory that save_model wrote"
    )


def download(url: str, directory: Path, *, progress: Progress | None = None) -> Path:
    """Copy the file or tree at ``url`` into ``directory`` and return the path of the copy.

    Raises:
        PyfuncError: as :func:`resolve_model`.
    """
    if is_tracked(url):
        return download_tracked(url, directory)
    return download_into(directory, url, progress=progress)
