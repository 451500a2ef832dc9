"""MLflow's own ``Model`` object, where a caller describes a model by one instead of by ours.

``mlflow.models.Model.log`` hands its object to the ``save_model`` of a flavor, asks it about the
example that was saved, and writes it once more when it has seen which environment variables the
model reads. MLflow is not imported here: the object brings what is needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, TypeGuard

from pyfunc.directory.manifest import MANIFEST_PATH
from pyfunc.directory.verification import refresh_manifest
from pyfunc.files.urls import without_credentials
from pyfunc.model.description import Model

__all__ = ["MlflowModel", "fill_mlflow_model", "from_mlflow_model", "is_mlflow_model"]

_MODULE = "mlflow.models.model"


class MlflowModel(Protocol):
    """What is used of MLflow's class."""

    metadata: object

    def to_dict(self) -> Mapping[str, object]:
        """Return what it writes."""

    @classmethod
    def from_dict(cls, model_dict: Mapping[str, object]) -> MlflowModel:
        """Return an object that says what ``model_dict`` says."""

    def save(self, path: str) -> None:
        """Write the MLmodel file."""


def is_mlflow_model(value: object) -> TypeGuard[MlflowModel]:
    """Return whether ``value`` is an instance of MLflow's class, or of one that extends it."""
    kinds = type(value).__mro__
    return any((kind.__module__, kind.__name__) == (_MODULE, "Model") for kind in kinds)


def from_mlflow_model(given: MlflowModel) -> Model:
    """Return what ``given`` says, without credentials that the address of its place may hold."""
    model = Model.from_dict(given.to_dict())
    if isinstance(model.artifact_path, str):
        model.artifact_path = without_credentials(model.artifact_path)
    return model


def fill_mlflow_model(given: MlflowModel, model: Model) -> None:
    """Make ``given`` say what ``model`` does, and keep the manifest right when it is written."""
    vars(given).update(vars(type(given).from_dict(model.to_dict())))
    given.__class__ = _keeping_manifest(type(given))


def _keeping_manifest(kind: type[MlflowModel]) -> type[MlflowModel]:
    """Return ``kind`` with a ``save`` that declares the file right which it writes."""
    if hasattr(kind, "_keeps_manifest"):
        return kind

    def save(self: MlflowModel, path: str | os.PathLike[str]) -> None:
        kind.save(self, os.fspath(path))
        directory = Path(path).parent
        if (directory / MANIFEST_PATH).is_file():
            refresh_manifest(directory)

    names = {"save": save, "_keeps_manifest": True}
    places = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    return type(kind.__name__, (kind,), {**names, **places})
