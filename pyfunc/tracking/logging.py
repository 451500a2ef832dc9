"""One log of a model: MLflow's ``Model.log`` around a save of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pyfunc.files.tracked import import_client, tracking_errors

__all__ = ["ModelInfo", "log"]


class ModelInfo(Protocol):
    """What MLflow returns of a model that was logged; its documentation has all of it."""

    @property
    def model_uri(self) -> str:
        """Where the model is: ``models:/m-...``."""

    @property
    def model_id(self) -> str | None:
        """The id of the logged model."""

    @property
    def run_id(self) -> str | None:
        """The run that it was logged in, or None."""

    @property
    def registered_model_version(self) -> str | None:
        """The version under the name it was registered by, or None."""


def log(flavor: str, save: Callable[..., object], **arguments: object) -> ModelInfo:
    """Save a model to the tracking server; return MLflow's description of it.

    When anything fails, the logged model on the server is marked as failed.

    Args:
        flavor: the name that MLflow records.
        save: writes a model directory; takes ``path``, ``mlflow_model`` and whatever of
            ``arguments`` is none of MLflow's.
        **arguments: those of ``mlflow.models.Model.log`` and of ``save``; None counts as not
            given.

    Raises:
        MissingDependencyError: MLflow's client is not installed; names the pip command.
        StoreError: the server cannot be reached, or refuses.
        Exception: what ``save`` raises.
    """
    models = import_client("mlflow.models", what="logging a model")
    saving = _Saving(flavor, save)
    given = {name: value for name, value in arguments.items() if value is not None}
    given.setdefault("artifact_path", None)
    try:
        info: ModelInfo = models.Model.log(flavor=saving, **given)
    except Exception as error:
        if error is saving.failure:
            raise
        with tracking_errors("logging a model"):
            raise
    return info


class _Saving:
    """What MLflow takes for the module of a flavor.

    Attributes:
        failure: what the save raised, if it did.
    """

    def __init__(self, name: str, save: Callable[..., object]) -> None:
        self.__name__ = name
        self._save = save
        self.failure: BaseException | None = None

    def save_model(self, path: str, mlflow_model: object, **arguments: object) -> None:
        """Write the model directory ``path``; MLflow calls this and sends the directory."""
        try:
            self._save(path=path, mlflow_model=mlflow_model, **arguments)
        except BaseException as error:
            self.failure = error
            if not isinstance(error, Exception):
                _mark_failed(mlflow_model)  # of an interrupt MLflow takes no notice
            raise


def _mark_failed(mlflow_model: object) -> None:
    entities = import_client("mlflow.entities", what="logging a model")
    tracking = import_client("mlflow.tracking", what="logging a model")
    model_id = getattr(mlflow_model, "model_id", None)
    if model_id is not None:
        failed = entities.LoggedModelStatus.FAILED
        tracking.MlflowClient().finalize_logged_model(model_id, failed)
