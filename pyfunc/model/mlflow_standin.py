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
from typing import Any, SupportsIndex

from pyfunc.errors import PyfuncError
from pyfunc.model.description import FORMAT_VERSION
from pyfunc.model.mlflow_names import FLAVORS, MODULES, NAMES, TYPES, resolve

__all__ = [
    "Deferred",
    "NeedsMlflowError",
    "attribute_of",
    "is_of_tracing",
    "recorded_module",
    "stand_in_module",
]

_OUR_MODULES = {theirs: ours for ours, theirs in reversed(MODULES.items())}
# What MLflow's own wrappers around methods name in pickles: it is used only to trace.
_TRACING = ("mlflow.tracing.", "mlflow.entities.")
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


def is_of_tracing(module: str) -> bool:
    """Return whether MLflow's ``module`` serves nothing but tracing."""
    return f"{module}.".startswith(_TRACING)


class Deferred:
    """What a pickle calls ``name`` in MLflow's ``module``, looked up when it is used.

    Raises at its first use :class:`NeedsMlflowError` where MLflow is not installed.
    """

    def __init__(self, module: str, name: str) -> None:
        self._place = module, name

    def _found(self) -> Any:
        module, name = self._place
        found: object = stand_in_module(module)
        for part in name.split("."):
            found = attribute_of(found, part, module)
        return found

    def __getattr__(self, attribute: str) -> object:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return getattr(self._found(), attribute)

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Call what it stands for."""
        return self._found()(*args, **kwargs)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._found())

    def __reduce__(self) -> tuple[object, ...]:
        return Deferred, self._place


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
    if is_of_tracing(name):
        return _Unused(name)
    try:
        return stand_in_module(name)
    except NeedsMlflowError:
        return _Unused(name)


class _Unused(types.ModuleType):
    """A module of MLflow that nothing may ever use; where it is not installed, that fails."""

    def __getattr__(self, attribute: str) -> object:
        if attribute.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {attribute!r}")
        try:
            return attribute_of(stand_in_module(self.__name__), attribute, self.__name__)
        except NeedsMlflowError as error:
            raise _AttributeNeedsMlflowError(str(error)) from None


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
            value = self._public_names()
        elif attribute.startswith("__") and attribute != "__version__":
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        else:
            value = self._other(f"{name}.{attribute}", attribute)
        setattr(self, attribute, value)
        return value

    def _public_names(self) -> list[str]:
        ours = _OUR_MODULES.get(self.__name__, "")
        types = importlib.import_module(ours).__all__ if ours.startswith(TYPES) else ()
        return sorted({*NAMES[self.__name__], *types})

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
