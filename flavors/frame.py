"""What every flavor is around its library, made once: the names that its module has to have.

The file of a library says how its objects are written and read, and ends by binding the names
that its frame gives::

    _frame = Frame(FLAVOR_NAME, ["acme"], read=_read, predictor=NativePredictor)

    load_model = _frame.load_model
    log_model = _frame.log_model
    load_opened = _frame.load_opened
    describe = _frame.describe
    _load_pyfunc = _frame.load_pyfunc
    get_default_pip_requirements = _frame.get_default_pip_requirements
    get_default_conda_env = _frame.get_default_conda_env
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pyfunc.flavors.libraries import conda_env_of, import_library, requirements_of_modules
from pyfunc.flavors.loading import load_native, open_from_inside
from pyfunc.flavors.protocol import LoadArguments, Predictor, SaveArguments, Serialization
from pyfunc.model.opened import OpenedModel

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pyfunc.schema import ModelSignature
    from pyfunc.tracking.logging import ModelInfo

__all__ = ["Frame", "describe_weights"]


class Frame:
    """The functions of a flavor that differ in nothing but what is given here.

    Args:
        flavor: its name, as in MLmodel.
        modules: the modules that every model of it needs; the first one is the library.
        read: returns the library's object in an opened directory.
        predictor: puts that object behind the interface of every loaded model.
        load_opened: does both where that is not ``predictor(read(opened))``.
        stored: how every model of it is stored; without, the file has a ``describe`` of its own.
        extra: the extra of this distribution that installs the library, if not ``flavor``.
        loader_module: the module that loads it, when that is not one of MLflow's names.
    """

    def __init__(
        self,
        flavor: str,
        modules: Sequence[str],
        *,
        read: Callable[[OpenedModel], object],
        predictor: Callable[[Any], Predictor],
        load_opened: Callable[[OpenedModel], Predictor] | None = None,
        stored: Serialization | None = None,
        extra: str | None = None,
        loader_module: str | None = None,
    ) -> None:
        self.flavor = flavor
        self.modules = modules
        self.extra = extra or flavor
        self._read = read
        self._predictor = predictor
        self._load_opened = load_opened
        self._loader_module = loader_module
        self._stored = stored

    def __reduce__(self) -> tuple[object, ...]:
        # Code of a model may refer to ``load_model``: its pickle names the public module.
        return importlib.import_module, (self._read.__module__,)

    def library(self) -> ModuleType:
        """Return the library, imported now.

        Raises:
            MissingDependencyError: it is not installed; names the pip command.
        """
        return import_library(self.modules[0], extra=self.extra)

    def save(
        self,
        model: object,
        path: str | os.PathLike[str],
        arguments: SaveArguments,
        *,
        write: Callable[[Path], object],
        section: Mapping[str, object],
        python_function: Mapping[str, Any] | None,
        requirements: Sequence[str] | None = None,
        predictor: Callable[[], Predictor] | None = None,
        predict_fn: str = "predict",
        model_config: Mapping[str, object] | None = None,
        default_signature: ModelSignature | None = None,
    ) -> None:
        """Save ``model`` as :func:`pyfunc.flavors.saving.save_native` does, with what is known.

        Args:
            model: the object of the library.
            path: must not exist, or be an empty directory.
            arguments: what every flavor takes.
            write: writes the library's files below the directory that it is given.
            section: keys of the flavor in MLmodel.
            python_function: keys of that flavor, or None if the model cannot predict.
            requirements: lines it needs whatever else is found; by default those of the flavor.
            predictor: returns the model as it will predict; by default that of the frame.
            predict_fn: the method of it that predicts.
            model_config: default configuration of the model.
            default_signature: what is saved if none is given, and no example shows one.
        """
        from pyfunc.flavors.saving import NativeModel, save_native  # which loading does not need

        native = NativeModel(
            self.flavor,
            section,
            python_function,
            requirements_of_modules(self.modules) if requirements is None else requirements,
            write,
            predictor=predictor or (lambda: self._predictor(model)),
            predict_fn=predict_fn,
            loader_module=self._loader_module,
            default_signature=default_signature,
        )
        save_native(native, path, arguments, model_config=model_config)

    def load_model(
        self, model_uri: str | os.PathLike[str], **arguments: Unpack[LoadArguments]
    ) -> Any:
        """Return the library's own object of the model at ``model_uri``.

        Args:
            model_uri: a place as for ``pyfunc.load_model``.
            **arguments: ``dst_path, model_config, verify, trust, expected_digest, public_key,
                allowed_globals, dangerously_allowed_globals, allow_other_python, progress``, as
                for ``pyfunc.load_model``.

        Raises:
            FlavorNotFoundError: the model is not of this flavor.
            MissingDependencyError: the library is not installed; names the pip command.
            UntrustedModelError: the policy in force forbids loading it.
            PyfuncError: as for ``pyfunc.load_model``.
        """
        return load_native(model_uri, self.flavor, self._read, arguments)

    def log_model(
        self, model: object = None, artifact_path: str | None = None, /, **arguments: object
    ) -> ModelInfo:
        """Save a model to the tracking server that MLflow's client is set to.

        Args:
            model: as for ``save_model``; may be given by the name that it has there.
            artifact_path: MLflow's older name for ``name``.
            **arguments: ``name, registered_model_name, await_registration_for, params, tags,
                model_type, step, model_id, prompts``, as for ``pyfunc.log_model``, and those of
                ``save_model``.

        Returns:
            MLflow's ``ModelInfo``.

        Raises:
            MissingDependencyError: MLflow's client is not installed; names the pip command.
            StoreError: the server cannot be reached, or refuses.
            PyfuncError: as for ``save_model``; the logged model is marked as failed.
        """
        from pyfunc.tracking.logging import log

        save: Callable[..., None] = importlib.import_module(self._read.__module__).save_model
        first = next(iter(inspect.signature(save).parameters))
        given = {first: model, "artifact_path": artifact_path}
        known = {name: value for name, value in given.items() if value is not None}
        return log(f"pyfunc.{self.flavor}", save, **{**known, **arguments})

    def load_opened(self, opened: OpenedModel) -> Predictor:
        """Return the model in an opened directory, ready to predict.

        Raises:
            ModelIncompleteError: its file is missing, damaged or needs what is not installed.
            UntrustedModelError: the policy in force forbids loading it.
            MissingDependencyError: the library is not installed; names the pip command.
        """
        if self._load_opened is not None:
            return self._load_opened(opened)
        return self._predictor(self._read(opened))

    def load_pyfunc(
        self, path: str | os.PathLike[str], model_config: Mapping[str, Any] | None = None
    ) -> Predictor:
        """Return the model that ``path`` is the directory or a file of; MLflow calls this.

        Args:
            path: the model directory, or something in it.
            model_config: takes the place of the configuration that was saved.
        """
        opened = open_from_inside(path, self.flavor)
        if model_config:
            opened = dataclasses.replace(opened, model_config=dict(model_config))
        return self.load_opened(opened)

    def describe(self, section: Mapping[str, object], files: Collection[str]) -> Serialization:
        """Return how the model is stored, from its section of MLmodel and its files' names."""
        assert self._stored is not None, "the file of the library describes its models itself"
        return self._stored

    def get_default_pip_requirements(self) -> list[str]:
        """Return the requirement lines that every model of the flavor has."""
        return requirements_of_modules(self.modules)

    def get_default_conda_env(self) -> dict[str, Any]:
        """Return the conda environment of those requirements."""
        return conda_env_of(self.get_default_pip_requirements())


def describe_weights(section: Mapping[str, object], files: Collection[str]) -> Serialization:
    """Return safetensors, unless the weights are a pickle."""
    pickled = any(name.endswith("pytorch_model.bin") for name in files)
    return Serialization("pickle" if pickled else "safetensors", not pickled)
