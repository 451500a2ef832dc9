"""The signature in a saved model: whether its example fits, and how another one is put there."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping
from functools import partial

from pyfunc.directory.editing import editing
from pyfunc.directory.mlmodel import MLMODEL_FILE
from pyfunc.directory.opened import ModelFiles
from pyfunc.errors import (
    INVALID_PARAMETER_VALUE,
    InvalidTypeError,
    PyfuncError,
    PyfuncWarning,
    SchemaError,
    shorten,
)
from pyfunc.files.locations import local_directory
from pyfunc.files.yaml_writing import dump_yaml
from pyfunc.schema.enforce.params import enforce_params
from pyfunc.schema.enforce.plan import Plan, compile_plan
from pyfunc.schema.examples.reading import read_serving_input
from pyfunc.schema.signature import ModelSignature, check_readable
from pyfunc.schema.wire.requests import RequestReader

__all__ = ["check_served", "set_signature", "telling_of_example"]

_EXAMPLE_KEY = "saved_input_example_info"


def check_served(signature: ModelSignature, request: str, plan: Plan | None = None) -> None:
    """Check that a server takes ``request``, which is saved with an input example.

    ``plan`` is the schema of the inputs compiled, where it is at hand.

    Raises:
        PyfuncError: it cannot be read, or the signature refuses what it holds.
    """
    hinted = bool(signature._is_signature_from_type_hint)
    if signature.inputs is None:
        return
    reader = RequestReader(
        signature.inputs, signature.params, from_type_hint=hinted, allow_nan=True
    )
    found = reader.parse_json(request)
    if not hinted and not found.unified:
        (plan or compile_plan(signature.inputs)).enforce(found.data)
    if signature.params is not None:
        enforce_params(found.params, signature.params)


@contextlib.contextmanager
def telling_of_example() -> Iterator[None]:
    """Say of an error that ends the block that the input example does not match the signature.

    Raises:
        PyfuncError: that one; the code is ``INVALID_PARAMETER_VALUE``.
    """
    told = "the input example does not match the signature"
    try:
        yield
    except SchemaError as error:
        raise SchemaError(
            error.problems, hint=error.hint, subject=told, error_code=INVALID_PARAMETER_VALUE
        ) from error
    except PyfuncError as error:
        raise PyfuncError(f"{told}: {error}", INVALID_PARAMETER_VALUE) from error


def set_signature(model_uri: str | os.PathLike[str], signature: ModelSignature) -> None:
    """Give the model directory ``model_uri`` another signature.

    Of its MLmodel file the key ``signature`` and the two flags beside it change; the file has
    the old or the new content at any time. If the directory has a manifest, the entry of
    MLmodel follows; those of other files stay. A request that is saved with the model is tried
    first; if the signature refuses it, a warning says why, since the example may be what is wrong.

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
        values = edit.files.read_mlmodel().values
        request = _saved_request(edit.files, values)
        if request is not None:
            try:
                with telling_of_example():
                    check_served(signature, request)
            except PyfuncError as error:
                warnings.warn(str(error), PyfuncWarning, stacklevel=2)
        content = {
            **values,
            "signature": signature.to_dict(),
            # The flags tell where a signature came from: this one was given.
            "is_signature_from_type_hint": signature._is_signature_from_type_hint,
            "type_hint_from_example": signature._is_type_hint_from_example,
        }
        edit.contents[MLMODEL_FILE] = dump_yaml(content).encode()


def _saved_request(files: ModelFiles, values: Mapping[str, object]) -> str | None:
    info = values.get(_EXAMPLE_KEY)
    name = info.get("serving_input_path") if isinstance(info, dict) else None
    if not isinstance(info, dict) or not isinstance(name, str) or not files.holds(name):
        return None
    return read_serving_input(info, partial(files.read, key=_EXAMPLE_KEY))
