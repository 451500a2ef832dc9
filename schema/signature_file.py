"""The signature in a saved model: what can be read back, and how another one is put there."""

from __future__ import annotations

import os

from pyfunc.directory.editing import editing
from pyfunc.directory.mlmodel import MLMODEL_FILE
from pyfunc.errors import InvalidArgumentError, InvalidTypeError, PyfuncError, shorten
from pyfunc.files.locations import local_directory
from pyfunc.files.yaml_writing import dump_yaml
from pyfunc.schema.signature import ModelSignature

__all__ = ["check_readable", "set_signature"]


def check_readable(signature: ModelSignature) -> ModelSignature:
    """Return ``signature`` unchanged if an MLmodel file with it can be read back.

    Raises:
        InvalidArgumentError: it cannot, as with a tensor of records.
    """
    try:
        type(signature).from_dict(signature.to_dict())
    except (PyfuncError, TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"signature: a file with it could not be loaded: {error}"
        ) from error
    return signature


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
        InvalidArgumentError: ``model_uri`` is not local, or the model could not be loaded with
            the signature.
        ModelNotFoundError: there is no MLmodel file.
        ModelFormatError: the MLmodel file cannot be read.
        ModelIntegrityError: files of the model are not those that were saved.
    """
    if not isinstance(signature, ModelSignature):
        raise InvalidTypeError(f"expected a ModelSignature, got {shorten(signature)}")
    check_readable(signature)
    with editing(local_directory(model_uri)) as edit:
        content = {
            **edit.files.read_mlmodel().values,
            "signature": signature.to_dict(),
            # The flags tell where a signature came from: this one was given.
            "is_signature_from_type_hint": signature._is_signature_from_type_hint,
            "type_hint_from_example": signature._is_type_hint_from_example,
        }
        edit.contents[MLMODEL_FILE] = dump_yaml(content).encode()
