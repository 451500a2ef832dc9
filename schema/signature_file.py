"""Change the signature of a saved model."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pyfunc.directory.manifest import MANIFEST_PATH, FileEntry, Manifest, read_manifest
from pyfunc.errors import InvalidArgumentError, InvalidTypeError, ModelNotFoundError, shorten
from pyfunc.files.atomic_files import write_file_atomically
from pyfunc.files.yaml_reading import read_yaml_mapping
from pyfunc.files.yaml_writing import dump_yaml
from pyfunc.schema.signature import ModelSignature

__all__ = ["set_signature"]


def set_signature(model_uri: str | os.PathLike[str], signature: ModelSignature) -> None:
    """Give the model directory ``model_uri`` another signature.

    Of its MLmodel file the key ``signature`` and the two flags beside it change; the file has
    the old or the new content at any time. If the directory has a manifest, the entry of
    MLmodel follows; those of other files stay.

    Args:
        model_uri: path or ``file:`` URI of a local model directory.
        signature: the new signature.

    Raises:
        InvalidTypeError: ``signature`` is no ModelSignature.
        InvalidArgumentError: ``model_uri`` is not local.
        ModelNotFoundError: there is no MLmodel file.
        ModelFormatError: the MLmodel file cannot be read.
    """
    if not isinstance(signature, ModelSignature):
        raise InvalidTypeError(f"expected a ModelSignature, got {shorten(signature)}")
    directory = _local_directory(model_uri)
    path = directory / "MLmodel"
    if not path.is_file():
        raise ModelNotFoundError(f"{directory} holds no MLmodel file")
    model = read_yaml_mapping(path)
    model["signature"] = signature.to_dict()
    # The flags tell where a signature came from: this one was given.
    model["is_signature_from_type_hint"] = signature._is_signature_from_type_hint
    model["type_hint_from_example"] = signature._is_type_hint_from_example
    content = dump_yaml(model).encode()
    manifest = read_manifest(directory)
    write_file_atomically(path, content)
    if manifest is not None:
        entry = FileEntry(len(content), hashlib.sha256(content).hexdigest())
        changed = Manifest({**manifest.files, "MLmodel": entry})
        write_file_atomically(directory / MANIFEST_PATH, changed.to_bytes())


def _local_directory(model_uri: str | os.PathLike[str]) -> Path:
    text = os.fspath(model_uri)
    scheme, _, rest = text.partition(":")
    if not rest or len(scheme) < 2 or not scheme.replace("+", "").isalnum():
        return Path(text)
    if scheme == "file":
        parts = urlsplit(text)
        if parts.netloc in ("", "localhost"):
            return Path(unquote(parts.path))
    raise InvalidArgumentError(f"only local model directories can be changed, got {text!r}")
