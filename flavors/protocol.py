"""What a flavor module is, and the arguments that every flavor takes.

A flavor is a module. To be loaded by ``pyfunc.load_model`` it has to have ``load_opened`` or
MLflow's ``_load_pyfunc``; to be found by ``pyfunc.flavors.save`` it has to have ``save_model`` and
be registered. ``docs/flavors.md`` walks through one.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict, runtime_checkable

from pyfunc.directory.opened import Verify
from pyfunc.files.progress import Progress
from pyfunc.handlers.project import OutputStyle
from pyfunc.model.opened import OpenedModel
from pyfunc.trust import TrustMode

if TYPE_CHECKING:
    from pyfunc.model.description import Model
    from pyfunc.saving.mlflow_models import MlflowModel
    from pyfunc.schema import ModelSignature

__all__ = ["Contents", "Flavor", "LoadArguments", "Predictor", "SaveArguments", "Serialization"]


Contents = Literal["data", "pickle", "code"]


class SaveArguments(TypedDict, total=False):
    """Arguments of every ``save_model``; what they mean is said at ``pyfunc.save_model``."""

    conda_env: Mapping[str, object] | str | None
    code_paths: list[str] | None
    mlflow_model: Model | MlflowModel | None
    signature: ModelSignature | bool | None
    input_example: object
    pip_requirements: Iterable[str] | str | None
    extra_pip_requirements: Iterable[str] | str | None
    metadata: object
    extra_files: list[str | os.PathLike[str]] | None
    loader: Literal["pyfunc", "mlflow"]
    overwrite: bool
    handler: str | os.PathLike[str] | None
    project_dir: str | os.PathLike[str] | None
    handler_metadata: Mapping[str, object] | None
    handler_python_path: Sequence[str] | None
    handler_output_style: OutputStyle | None
    handler_tracker: Mapping[str, object] | None
    wrap_as_pyfunc: bool


class LoadArguments(TypedDict, total=False):
    """Arguments of every ``load_model``; what they mean is said at ``pyfunc.load_model``."""

    dst_path: str | None
    model_config: Mapping[str, object] | str | Path | None
    verify: Verify
    trust: TrustMode
    expected_digest: str | None
    public_key: str | os.PathLike[str] | None
    expected_subject: str | None
    allowed_globals: Iterable[str]
    dangerously_allowed_globals: Iterable[str]
    allow_other_python: bool
    progress: Progress | None


@dataclass(frozen=True, slots=True)
class Serialization:
    """How the model object is stored.

    Attributes:
        format: such as ``skops`` or ``cloudpickle``.
        is_pickle_free: whether no pickle is read to load it.
        contents: what reading it may do, which decides under which trust it is loaded. ``data``:
            it runs nothing that the files name, or asks the trust in force itself; ``pickle``: it
            is read by :func:`pyfunc.flavors.pickled_parts.load_pickled`; ``code``: anything.
    """

    format: str
    is_pickle_free: bool
    contents: Contents = "code"


class Predictor(Protocol):
    """What ``load_opened`` returns: the model behind the interface of every loaded model."""

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> object:
        """Return the predictions for ``data``."""

    def get_raw_model(self) -> object:
        """Return the object of the library."""


@runtime_checkable
class Flavor(Protocol):
    """The names that the modules in this package have."""

    FLAVOR_NAME: str

    def save_model(self, model: object, path: str | os.PathLike[str], **arguments: object) -> None:
        """Write ``model`` to the new directory ``path``."""

    def load_model(self, model_uri: str | os.PathLike[str], **arguments: Any) -> Any:
        """Return the object of the library that was saved."""

    def load_opened(self, opened: OpenedModel) -> Predictor:
        """Return the model in an opened directory, ready to predict."""

    def describe(self, section: Mapping[str, object], files: Collection[str]) -> Serialization:
        """Return how the model is stored, from its section of MLmodel and its files' names."""

    def get_default_pip_requirements(self) -> list[str]:
        """Return the requirement lines that every model of the flavor has."""

    def get_default_conda_env(self) -> dict[str, Any]:
        """Return the conda environment of those requirements."""
