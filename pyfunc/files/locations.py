"""Turning what a caller gives as a place (a path, a URI) into a local path."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pyfunc.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    MissingDependencyError,
    ModelNotFoundError,
    shorten,
)

__all__ = ["download", "is_remote", "local_path", "resolve_model"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_TRACKING = ("models:", "runs:", "mlflow-artifacts:", "dbfs:")


def local_path(location: str | os.PathLike[str]) -> Path:
    """Return the local path that ``location``, a path or a ``file:`` URI, names.

    Raises:
        InvalidTypeError: it is neither a str nor a path.
        InvalidArgumentError: it is empty or names another machine.
    """
    if not isinstance(location, (str, os.PathLike)):
        raise InvalidTypeError(f"expected a path or a URI, got {shorten(location)}")
    text = os.fspath(location)
    if not text or "\0" in text:
        raise InvalidArgumentError(f"expected a path or a URI, got {shorten(text)}")
    if not text.startswith("file:"):
        return Path(text)
    parts = urlsplit(text)
    if parts.netloc not in ("", "localhost"):
        raise InvalidArgumentError(f"{text}: a file URI of another machine cannot be read")
    return Path(unquote(parts.path))


def is_remote(location: object) -> bool:
    """Return whether ``location`` is a URL that is not a local file."""
    if not isinstance(location, str) or location.startswith("file:"):
        return False
    return _URL.match(location) is not None or location.startswith(_TRACKING)


def resolve_model(model_uri: str | os.PathLike[str], dst_path: str | None = None) -> Path:
    """Return the absolute directory of the model at ``model_uri``, downloaded if it is remote.

    Args:
        model_uri: a path, a ``file:`` URI, or a URL that fsspec reads.
        dst_path: an existing directory to download into; a new temporary one if None.

    Raises:
        ModelNotFoundError: there is nothing at the place.
    """
    if is_remote(model_uri):
        if dst_path is not None and not Path(dst_path).is_dir():
            raise ModelNotFoundError(f"dst_path: no such directory: {dst_path}")
        target = Path(dst_path) if dst_path else Path(tempfile.mkdtemp(prefix="pyfunc-"))
        return download(os.fspath(model_uri), target.absolute())
    path = local_path(model_uri)
    if not path.exists():
        raise ModelNotFoundError(
            f"no model at {path}\nhint: give the directory that save_model wrote"
        )
    if not path.is_dir():
        raise ModelNotFoundError(f"{path} is a file; give the directory that holds it")
    # The model reads files later on too, whatever the working directory is then.
    return Path(os.path.abspath(path))


def download(url: str, directory: Path) -> Path:
    """Copy the file or tree at ``url`` into ``directory`` and return the path of the copy.

    Raises:
        MissingDependencyError: fsspec, or the package for this kind of URL, is not installed.
        ModelNotFoundError: there is nothing at ``url``.
        InvalidArgumentError: the URL belongs to a tracking server.
    """
    if url.startswith(_TRACKING):
        raise InvalidArgumentError(
            f"{url}: only MLflow's tracking client can resolve this\n"
            "hint: give the path that mlflow.artifacts.download_artifacts returns"
        )
    filesystem, remote = _open_filesystem(url)
    name = remote.rstrip("/").rpartition("/")[2] or "model"
    target = directory / name
    try:
        if filesystem.isdir(remote):
            filesystem.get(remote.rstrip("/") + "/", str(target) + "/", recursive=True)
        else:
            filesystem.get_file(remote, str(target))
    except FileNotFoundError as error:
        raise ModelNotFoundError(f"nothing found at {url}") from error
    return target


def _open_filesystem(url: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as error:
        raise MissingDependencyError(
            f"reading {url}", "pip install 'pyfunc-format[fsspec]'"
        ) from error
    try:
        filesystem, remote = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise MissingDependencyError(f"reading {url}", str(error)) from error
    except ValueError as error:
        raise InvalidArgumentError(f"{url}: {error}") from error
    return filesystem, remote
