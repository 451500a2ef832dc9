"""Models of a project: a model directory, with its manifest and the trust rules of ``pyfunc``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyfunc.errors import (
    FlavorNotFoundError,
    InvalidArgumentError,
    ModelNotFoundError,
)
from pyfunc.files.copying import copy_into
from pyfunc.functions.entity import DATA, FileEntity

if TYPE_CHECKING:
    from pyfunc.model.loaded import PyFuncModel

__all__ = ["MODEL_KINDS", "Model", "model_writer"]

MODEL_KINDS = ("mlflow", "model", "sklearn")

_FOLDER = "model"
_PICKLED = {"lightgbm": "cloudpickle", "pytorch": "pickle", "sklearn": "cloudpickle"}
_MLMODEL = "MLmodel"

Fill = Callable[[Path], None]


class Model(FileEntity):
    """A model directory; see ``Project.log_model``."""

    entity_type = "model"
    spec_fields = ("path", "framework", "algorithm")

    def load(self, **options: Any) -> PyFuncModel:  # those of load_model, whatever they are
        """Return the model, ready to predict; ``options`` are those of ``pyfunc.load_model``."""
        from pyfunc.loading.entry import load_model

        return load_model(self.as_file(), **options)


def model_writer(source: object, what: str) -> tuple[str, Fill]:
    """Return the path below the entity for a model, and what writes it there.

    Args:
        source: the path of a model directory, or an object that ``pyfunc.flavors.save`` takes.
        what: what is logged, for messages.

    Raises:
        ModelNotFoundError: nothing is at the path.
        InvalidArgumentError: what is there is no model directory.
    """
    if not isinstance(source, (str, os.PathLike)):
        return f"{DATA}/{_FOLDER}", lambda directory: _save(source, directory)
    path = Path(source)
    if not path.exists():
        raise ModelNotFoundError(f"{what}: source {os.fspath(source)!r} does not exist")
    if not path.joinpath(_MLMODEL).is_file():
        raise InvalidArgumentError(
            f"{what}: source {os.fspath(source)!r} is no model directory: it has no {_MLMODEL}\n"
            "hint: pyfunc.save_model writes one; a file of another kind is an artifact"
        )
    return f"{DATA}/{_FOLDER}", lambda directory: _copy(path, directory)


def _save(value: object, directory: Path) -> None:
    from pyfunc.flavors.registry import find_flavor_of, save

    target = directory / DATA / _FOLDER
    try:
        save(value, target)
    except InvalidArgumentError:
        # The formats without code hold some objects only. A run that has trained for an hour
        # cannot be asked which one it wants.
        try:
            written = _PICKLED.get(find_flavor_of(value))
        except FlavorNotFoundError:
            written = None
        if written is None:
            raise
        save(value, target, serialization_format=written)


def _copy(path: Path, directory: Path) -> None:
    copy_into(path, directory / DATA / _FOLDER, key="source")
