"""Images and sounds as they are given to a pipeline: paths, bytes, base64 or arrays."""

from __future__ import annotations

import base64
import binascii
import importlib
import io
import os
import shutil
from collections.abc import Mapping
from urllib.parse import urlparse

import numpy as np

from pyfunc.errors import (
    BAD_REQUEST,
    INVALID_PARAMETER_VALUE,
    InvalidArgumentError,
    InvalidTypeError,
    MissingDependencyError,
    PyfuncError,
    shorten,
)
from pyfunc.flavors.pipelines.forms import rows_of, values_of

__all__ = ["read_images", "read_sounds"]


def read_images(data: object) -> list[object]:
    """Return one image for each input: its path or URL, or the image itself.

    Raises:
        InvalidArgumentError: a text is no file, no URL and no base64 of an image.
        InvalidTypeError: an input is nothing of this.
    """
    return [_image(value) for value in values_of(data)]


def read_sounds(data: object) -> list[object]:
    """Return one sound for each input: an array of samples, or a mapping with one and its rate.

    Files, and bytes of files, are left as they are for the library, which has ffmpeg read them.

    Raises:
        InvalidArgumentError: a text is no file and no URL.
        InvalidTypeError: an input is nothing of this.
        PyfuncError: ffmpeg is needed, and is not installed.
    """
    if isinstance(data, np.ndarray) and data.dtype.kind == "f":
        return list(data) if data.ndim > 1 else [data]
    return [_sound(row) for row in rows_of(data)]


def _image(value: object) -> object:
    if isinstance(value, str):
        if _is_file_or_url(value) or value.startswith("data:image/"):
            return value
        return _opened(_decoded(value), value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _opened(bytes(value), value)
    if type(value).__module__.partition(".")[0] == "PIL":
        return value
    raise InvalidTypeError(
        f"inputs: expected the path, URL, base64 or bytes of an image, got {shorten(value)}"
    )


def _opened(content: bytes | None, given: object) -> object:
    try:
        library = importlib.import_module("PIL.Image")
    except ImportError as error:
        raise MissingDependencyError("reading an image", "pip install pillow") from error
    try:
        return library.open(io.BytesIO(content or b"")).convert("RGB")
    except OSError as error:
        raise InvalidArgumentError(
            "inputs: expected the path of a file, a URL, or base64 or bytes of an image, got "
            f"{shorten(given)}",
            BAD_REQUEST,
        ) from error


def _sound(row: object) -> object:
    if isinstance(row, Mapping) and "sampling_rate" in row:
        return dict(row)
    value = values_of([row])[0]
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, str):
        if not _is_file_or_url(value):
            raise InvalidArgumentError(
                f"inputs: expected the path of a file or a URL, got {shorten(value)}\n"
                "hint: sound itself is given as bytes, or as an array of samples",
                BAD_REQUEST,
            )
    elif isinstance(value, (bytes, bytearray, memoryview)):
        value = _without_base64(bytes(value))
    else:
        raise InvalidTypeError(
            "inputs: expected an array of samples, or the bytes, path or URL of a sound, got "
            f"{shorten(value)}"
        )
    _check_ffmpeg()
    return value


def _check_ffmpeg() -> None:
    if shutil.which("ffmpeg") is None:
        raise PyfuncError(
            "the library reads files of sound with the program ffmpeg, which is not installed\n"
            "hint: install ffmpeg, or give samples: an array of float32 at the rate of the model, "
            "under a signature with a tensor",
            INVALID_PARAMETER_VALUE,
        )


def _without_base64(content: bytes) -> bytes:
    """Return what was encoded, where a request had base64 and nobody has decoded it."""
    decoded = _decoded(content)
    return content if decoded is None else decoded


def _decoded(content: str | bytes) -> bytes | None:
    try:
        return base64.b64decode(
            "".join(content.split()) if isinstance(content, str) else content, validate=True
        )
    except (binascii.Error, ValueError):
        return None


def _is_file_or_url(text: str) -> bool:
    try:
        parts = urlparse(text)
        return bool(parts.scheme and parts.netloc) or os.path.isfile(text)
    except ValueError:
        return False
