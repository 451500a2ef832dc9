"""A stand-in for the package ``mlflow``, shown to the code of models and to nobody else.

Models that MLflow saved say ``import mlflow`` in their code. The stand-in gives them our objects
under MLflow's names (:mod:`pyfunc.model.mlflow_names`), whether MLflow is installed or not, so
that a model behaves the same in both cases and loading it does not pay for MLflow's import.
Everything else comes from real MLflow where that is installed, and is refused with a reason where
it is not. It is never put into ``sys.modules``.
"""

from __future__ import annotations

import importlib
import importlib.util
import threading
import types
from typing import SupportsIndex

from pyfunc.errors import PyfuncError
from pyfunc.model.description import FORMAT_VERSION
from pyfunc.model.mlflow_names import FLAVORS, MODULES, NAMES, resolve

__all__ = ["NeedsMlflowError", "attribute_of", "recorded_module", "stand_in_module"]

_OUR_MODULES = {theirs: ours for ours, theirs in MODULES.items()}
_lock = threading.RLock()
_modules: dict[str, types.ModuleType] = {}


class NeedsMlflowError(PyfuncError, ModuleNotFoundError):
    """Code of a model imports a part of MLflow that this library does not have."""


class _AttributeNeedsMlflowError(PyfuncError, AttributeError):
    """The same for an attribute, so that ``hasattr`` says no."""


def stand_in_module(name: str) -> types.ModuleType:
    """Return the module to use for ``name``, which is ``mlflow`` or below it.

    Raises:
        NeedsMlflowError: neither this library nor an installed MLflow has the module.
    """
    with _lock:
        module = _modules.get(name)
        if module is None:
            module = _modules[name] = _build(name)
            parent, _, child = name.rpartition(".")
            if parent:
                setattr(stand_in_module(parent), child, module)
        return module


def attribute_of(found: object, name: str, module: str) -> object:
    """Return what a pickle calls ``name`` in MLflow's ``module``, for which ``found`` stands.

    Raises:
        NeedsMlflowError: it is MLflow's own, and MLflow is not installed.
    """
    if hasattr(found, name) or module.partition(".")[0] != "mlflow":
        return getattr(found, name)
    real = _real_module(module)
    if real is None or not hasattr(real, name):
        raise _needs_mlflow(f"{module}.{name}")
    return getattr(real, name)


def recorded_module(name: str) -> types.ModuleType:
    """Return the module for a name that a pickle records, which need not mean that it is used.

    cloudpickle records every loaded submodule whose name occurs among the attributes in a
    function. What neither this library nor an installed MLflow has fails when it is used.
    """
    try:
        return stand_in_module(name)
    except NeedsMlflowError:
        return _Unused(name)


class _Unused(types.ModuleType):
    """A module of MLflow that is not here, and fails at its first use."""

    def __getattr__(self, attribute: str) -> object:
        if attribute.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {attribute!r}")
        raise _AttributeNeedsMlflowError(str(_needs_mlflow(f"{self.__name__}.{attribute}")))


def _build(name: str) -> types.ModuleType:
    if name in NAMES:
        return _StandIn(name)
    flavor = name.removeprefix("mlflow.")
    if "." not in flavor and importlib.util.find_spec(f"{FLAVORS}.{flavor}"):
        return importlib.import_module(f"{FLAVORS}.{flavor}")
    real = _real_module(name)
    if real is None:
        raise _needs_mlflow(name)
    return real


class _StandIn(types.ModuleType):
    def __init__(self, name: str) -> None:
        super().__init__(name, "Stand-in of pyfunc for a module of MLflow.")
        self.__path__: list[str] = []

    def __getattr__(self, attribute: str) -> object:
        name = self.__name__
        if attribute in NAMES[name]:
            value = resolve(name, attribute)
        elif attribute == "__all__":
            value = sorted(NAMES[name])
        elif attribute.startswith("__") and attribute != "__version__":
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        else:
            value = self._other(f"{name}.{attribute}", attribute)
        setattr(self, attribute, value)
        return value

    def _other(self, full: str, attribute: str) -> object:
        if attribute == "__version__":
            return FORMAT_VERSION
        if full in NAMES:
            return stand_in_module(full)
        # Code that was saved here names our modules, and is pickled with MLflow's in their place.
        ours = _OUR_MODULES.get(self.__name__)
        if ours is not None and not attribute.startswith("_"):
            found = _our_attribute(ours, attribute)
            if found is not None:
                return found
        real = _real_module(self.__name__)
        if real is not None and hasattr(real, attribute):
            return getattr(real, attribute)
        try:
            return stand_in_module(full)
        except NeedsMlflowError as error:
            raise _AttributeNeedsMlflowError(str(error)) from None

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[object, ...]:
        """Pickle as the module of that name, which it is for whoever reads the pickle."""
        from cloudpickle.cloudpickle import subimport

        return subimport, (self.__name__,)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *NAMES[self.__name__]})


def _our_attribute(name: str, attribute: str) -> object:
    """Return what our module ``name`` has as ``attribute``, or None; it may be a submodule."""
    module = importlib.import_module(name)
    found = getattr(module, attribute, None)
    full = f"{name}.{attribute}"
    if found is None and hasattr(module, "__path__") and importlib.util.find_spec(full):
        found = importlib.import_module(full)
    return found


def _real_module(name: str) -> types.ModuleType | None:
    """Return the module of the installed MLflow, or None."""
    if importlib.util.find_spec("mlflow") is None:
        return None
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name + ".").startswith(error.name + "."):
            return None
        raise


def _needs_mlflow(name: str) -> NeedsMlflowError:
    return NeedsMlflowError(
        f"the code of the model uses {name}, which needs MLflow itself\n"
        "hint: pip install mlflow, and load the model again"
    )
