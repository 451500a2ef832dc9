"""Prophet models, in the library's own JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pyfunc.errors import InvalidTypeError, shorten
from pyfunc.flavors.frame import Frame
from pyfunc.flavors.libraries import import_library
from pyfunc.flavors.loading import flavor_key, library_errors_named
from pyfunc.flavors.predictors import NativePredictor
from pyfunc.flavors.protocol import SaveArguments, Serialization
from pyfunc.model.opened import OpenedModel

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "FLAVOR_NAME",
    "describe",
    "get_default_conda_env",
    "get_default_pip_requirements",
    "load_model",
    "load_opened",
    "log_model",
    "save_model",
]

FLAVOR_NAME = "prophet"

_FILE = "model.pr"


def save_model(
    pr_model: object, path: str | os.PathLike[str], **arguments: Unpack[SaveArguments]
) -> None:
    """Write the fitted ``pr_model`` to the new model directory ``path``.

    Args:
        pr_model: a ``prophet.Prophet`` that was fitted.
        path: must not exist, or be an empty directory.
        **arguments: what every flavor takes.
    """
    library = _frame.library()
    if not isinstance(pr_model, library.Prophet):
        raise InvalidTypeError(f"expected a prophet.Prophet, got {shorten(type(pr_model))}")

    def write(directory: Path) -> None:
        text = import_library("prophet.serialize", extra=FLAVOR_NAME).model_to_json(pr_model)
        # MLflow's file is the library's JSON text, once more as a JSON string.
        (directory / _FILE).write_text(json.dumps(text), encoding="utf-8")

    _frame.save(
        pr_model,
        path,
        arguments,
        write=write,
        section={
            "data": _FILE,
            "prophet_version": library.__version__,
            "model_type": type(pr_model).__name__,
        },
        python_function={"data": _FILE},
    )


def _read(opened: OpenedModel) -> object:
    serialize = import_library("prophet.serialize", extra=FLAVOR_NAME)
    relative = flavor_key(opened, FLAVOR_NAME, "data")
    data = opened.files.read(relative, key=f"flavors.{FLAVOR_NAME}.data")
    with library_errors_named(opened, relative):
        return serialize.model_from_json(json.loads(data))


_frame = Frame(
    FLAVOR_NAME,
    ["prophet"],
    read=_read,
    predictor=NativePredictor,
    stored=Serialization("json", True, "data"),
)

load_model = _frame.load_model
log_model = _frame.log_model
load_opened = _frame.load_opened
_load_pyfunc = _frame.load_pyfunc
get_default_pip_requirements = _frame.get_default_pip_requirements
get_default_conda_env = _frame.get_default_conda_env
describe = _frame.describe
