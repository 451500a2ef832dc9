"""From the loader module that an MLmodel file names to the code that loads the model.

MLflow's names are known here by text, and the flavors are imported only when one is needed.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyfunc.errors import (
    FlavorNotFoundError,
    ModelFormatError,
    ModelIncompleteError,
    PyfuncError,
    shorten,
)
from pyfunc.model.description import MLMODEL_FILE
from pyfunc.model.mlflow_names import PYTHON_LOADER, SCRIPT_LOADER
from pyfunc.model.opened import OpenedModel
from pyfunc.trust import check_code_may_run

__all__ = ["find_loader"]

_PYTHON_MODELS = "pyfunc.loading.python_models"
_LOADERS = {
    PYTHON_LOADER: _PYTHON_MODELS,
    SCRIPT_LOADER: _PYTHON_MODELS,
}
_NEEDS_MLFLOW = {
    "mlflow.pyfunc.loaders.chat_model": "a ChatModel",
    "mlflow.pyfunc.loaders.chat_agent": "a ChatAgent",
    "mlflow.pyfunc.loaders.responses_agent": "a ResponsesAgent",
}
_FLAVOR_PACKAGES = {"mlflow": "pyfunc.flavors", "pyfunc.flavors": "pyfunc.flavors"}

_KEY = "flavors.python_function.loader_module"

Loader = Callable[[OpenedModel], Any]


def find_loader(opened: OpenedModel) -> Loader:
    """Return the function that loads an opened model.

    Raises:
        ModelFormatError: its loader module is none.
        FlavorNotFoundError: no module here or in the environment loads this kind of model.
        ModelIncompleteError: the loader module of the model itself fails to import.
    """
    name = str(opened.section["loader_module"])
    file = opened.root / MLMODEL_FILE
    if not all(part.isidentifier() for part in name.split(".")):
        raise ModelFormatError(
            f"expected the name of a module, got {shorten(name)}",
            path=file,
            key=_KEY,
        )
    if name in _NEEDS_MLFLOW:
        raise FlavorNotFoundError(
            f"{opened.root}: the model is {_NEEDS_MLFLOW[name]} ({name}), which needs MLflow "
            "itself\nhint: pip install mlflow, and load it with mlflow.pyfunc.load_model"
        )
    home = _LOADERS.get(name) or _flavor_home(name)
    if home is not None:
        return _loader_of(importlib.import_module(home), name, file)
    registered = _registered_flavor(name)
    if registered is not None:
        return _loader_of(registered, name, file)
    if name.partition(".")[0] == "mlflow":
        raise FlavorNotFoundError(
            f"{opened.root}: no flavor here loads {name}\n"
            "hint: install a package that registers it, or load the model with MLflow"
        )
    return _loader_of(_import_own(opened, name), name, file)


def _flavor_home(name: str) -> str | None:
    package, _, flavor = name.rpartition(".")
    home = _FLAVOR_PACKAGES.get(package)
    if home is None or importlib.util.find_spec(f"{home}.{flavor}") is None:
        return None
    return f"{home}.{flavor}"


def _registered_flavor(name: str) -> Any:
    """Return the module that a package registered for one of MLflow's names, or None."""
    package, _, flavor = name.rpartition(".")
    if package not in _FLAVOR_PACKAGES:
        return None
    # Reached by name only: the flavors stand above this module.
    registry = importlib.import_module("pyfunc.flavors.registry")
    return registry.find_flavor(flavor) if flavor in registry.known_flavors() else None


def _import_own(opened: OpenedModel, name: str) -> Any:
    check_code_may_run(f"its loader module {name}", opened.root)
    try:
        with opened.scope.active():
            return opened.scope.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name + ".").startswith(error.name + "."):
            raise FlavorNotFoundError(
                f"{opened.root / MLMODEL_FILE}: loader_module {name!r} is neither in the code "
                "of the model nor installed\nhint: install the package that has it"
            ) from error
        raise ModelIncompleteError(
            f"loader module {name!r} needs module {error.name!r}, which is not installed",
            path=opened.root,
        ) from error
    except PyfuncError:
        raise
    except Exception as error:
        raise ModelIncompleteError(
            f"loader module {name!r} fails to import: {type(error).__name__}: {error}",
            path=opened.root,
        ) from error


def _loader_of(module: Any, name: str, file: Path) -> Loader:
    in_house = getattr(module, "load_opened", None)
    if in_house is not None:
        return in_house  # type: ignore[no-any-return]
    load_pyfunc = getattr(module, "_load_pyfunc", None)
    if not callable(load_pyfunc):
        raise ModelFormatError(
            f"module {name!r} has no function _load_pyfunc", path=file, key=_KEY
        )

    def load(opened: OpenedModel) -> Any:
        path = str(opened.data_path())
        with opened.scope.active():
            try:
                if opened.model_config:
                    return load_pyfunc(path, opened.model_config)
                return load_pyfunc(path)
            except PyfuncError:
                raise
            except Exception as error:
                raise ModelIncompleteError(
                    f"{name}._load_pyfunc failed: {type(error).__name__}: {error}",
                    path=opened.root,
                ) from error

    return load
