"""From the loader module that an MLmodel file names to the function that loads the model."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import ModuleType

from pyfunc.code.calling import errors_named, told
from pyfunc.directory.mlmodel import MLMODEL_FILE
from pyfunc.errors import (
    FlavorNotFoundError,
    MissingDependencyError,
    ModelFormatError,
    ModelIncompleteError,
    PyfuncError,
    shorten,
)
from pyfunc.loading.registry import PYTHON_LOADERS, find_home
from pyfunc.model.opened import OpenedModel
from pyfunc.trust import check_code_may_run, check_pickles_are_allowed

__all__ = ["check_contents", "find_loader"]

_KEY = "flavors.python_function.loader_module"

Loader = Callable[[OpenedModel], object]
Describe = Callable[[Mapping[str, object], Collection[str]], object]


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
    home = find_home(name)
    if home is not None:
        if name not in PYTHON_LOADERS:
            check_contents(opened, name.rpartition(".")[2], getattr(home, "describe", None))
        return _loader_of(home, name, file)
    if name.partition(".")[0] == "mlflow":
        return _loader_of(_import_of_mlflow(opened, name), name, file)
    return _loader_of(_import_own(opened, name), name, file)


def _import_of_mlflow(opened: OpenedModel, name: str) -> ModuleType:
    """Return the module of MLflow itself that loads a kind of model which has no flavor here."""
    check_code_may_run(f"its loader module {name}", opened.root)

    def not_imported(error: Exception) -> PyfuncError:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and missing.partition(".")[0] != "mlflow":
            return MissingDependencyError(
                f"{opened.root}: loading it with {name}", f"pip install {missing}"
            )
        return FlavorNotFoundError(
            f"{opened.root}: no flavor here loads {name}, and MLflow, which may, is not "
            f"installed or has no such module ({told(error)})\n"
            "hint: install what does: pip install mlflow and the library of the model, or a "
            "package that registers the flavor here"
        )

    with errors_named(not_imported):
        return importlib.import_module(name)


def check_contents(opened: OpenedModel, flavor: str, describe: Describe | None) -> None:
    """Return if a flavor may read an opened model, by what it says of the model's files.

    The door asks, not each flavor: one that does not say what its files are counts as code.

    Args:
        opened: the model.
        flavor: whose section of MLmodel is read.
        describe: the flavor's own; None counts as code.

    Raises:
        UntrustedModelError: the policy in force or the environment forbids it.
    """
    contents = "code"
    if describe is not None:
        described = describe(opened.flavor(flavor), opened.files.names())
        contents = getattr(described, "contents", contents)
    if contents == "pickle":
        check_pickles_are_allowed(opened.root)
    elif contents != "data":
        check_code_may_run(f"its flavor {flavor}", opened.root)


def _import_own(opened: OpenedModel, name: str) -> ModuleType:
    check_code_may_run(f"its loader module {name}", opened.root)

    def not_imported(error: Exception) -> PyfuncError:
        what = f"fails to import: {told(error)}"
        if isinstance(error, ModuleNotFoundError):
            if error.name and (name + ".").startswith(error.name + "."):
                return FlavorNotFoundError(
                    f"{opened.root / MLMODEL_FILE}: loader_module {name!r} is neither in the "
                    "code of the model nor installed\nhint: install the package that has it"
                )
            what = f"needs module {error.name!r}, which is not installed"
        return ModelIncompleteError(f"loader module {name!r} {what}", path=opened.root)

    with errors_named(not_imported), opened.scope.active():
        return opened.scope.import_module(name)


def _loader_of(module: ModuleType, name: str, file: Path) -> Loader:
    in_house = getattr(module, "load_opened", None)
    if in_house is not None:
        return in_house  # type: ignore[no-any-return]
    load_pyfunc = getattr(module, "_load_pyfunc", None)
    if not callable(load_pyfunc):
        raise ModelFormatError(
            f"module {name!r} has no function _load_pyfunc", path=file, key=_KEY
        )

    def load(opened: OpenedModel) -> object:
        path = str(opened.data_path())

        def failed(error: Exception) -> PyfuncError:
            if isinstance(error, ModuleNotFoundError) and module.__name__.startswith("mlflow."):
                what = f"{opened.root}: loading it with {name}"
                return MissingDependencyError(what, f"pip install {error.name}")
            text = f"{name}._load_pyfunc failed: {told(error)}"
            return ModelIncompleteError(text, path=opened.root).caught_as(error)

        with opened.scope.active(), errors_named(failed):
            if opened.model_config:
                return load_pyfunc(path, opened.model_config)
            return load_pyfunc(path)

    return load
