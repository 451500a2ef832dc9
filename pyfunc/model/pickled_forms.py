"""What is pickled in the place of our objects: MLflow's, expressed with cloudpickle and builtins.

A loaded model in the pickle of another one is written whole, as MLflow writes it: the pickle of a
model must mean the same when the directories of the models inside it are gone.
"""

from __future__ import annotations

import functools
import sys
import types
import warnings
from typing import Any, Protocol, TypeVar, runtime_checkable

from pyfunc.code.aliases import Mark
from pyfunc.code.inherited import inherit_marked, inherit_scope
from pyfunc.errors import PyfuncWarning
from pyfunc.model.description import Model
from pyfunc.model.hints import pyfunc, resolved_annotations
from pyfunc.model.loaded import PyFuncModel
from pyfunc.model.mlflow_names import OLDER_NAMES, SCHEMAS, mlflow_module, mlflow_name

__all__ = ["Call", "mlflow_form"]


class Call:
    """Pickles as the call of ``function`` with ``arguments``, and ``state`` set on the result."""

    def __init__(self, function: object, *arguments: object, state: object = None) -> None:
        self._reduced = (function, arguments) if not state else (function, arguments, state)

    def __reduce__(self) -> tuple[object, ...]:
        return self._reduced

    def __call__(self) -> None:
        """Exist, because pickle wants to see that what it writes as a function is callable."""


def _module_of_mlflow(name: str) -> Call:
    from cloudpickle.cloudpickle import subimport

    return Call(subimport, name)


def _of_mlflow(module: str, name: str) -> Call:
    """Return what pickles as the object that MLflow calls ``module.name``."""
    found = OLDER_NAMES.get((module, name))
    if found is not None:
        older = Call(getattr, _module_of_mlflow(module), found, None)
        return Call(getattr, _module_of_mlflow(module), name, older)
    return Call(getattr, _module_of_mlflow(module), name)


def mlflow_form(value: object) -> Call | None:
    """Return what to pickle in the place of ``value``, or None for ``value`` itself."""
    if isinstance(value, types.ModuleType):
        module = mlflow_module(value.__name__)
        return None if module is None else _module_of_mlflow(module)
    if isinstance(value, (type, types.FunctionType, TypeVar)):
        found = mlflow_name(value)
        return _of_mlflow(*found) if found is not None else _undecorated(value)
    home = type(value).__module__
    if home.startswith(SCHEMAS):
        return _schema_value(value)
    return _part_of_model(value) if home.startswith("pyfunc.") else None


def _undecorated(value: object) -> Call | None:
    """Return the call of MLflow's decorator for a function that ours has decorated."""
    original = getattr(value, "_pyfunc_original", None)
    if original is None or not isinstance(value, types.FunctionType):
        return None
    wrap, arguments = getattr(value, "_pyfunc_wrapped_by", (pyfunc, ()))
    place = mlflow_name(wrap)
    assert place is not None, "whatever wraps here has a name of MLflow's"
    return Call(_of_mlflow(*place), _with_resolved_hints(original), *arguments)


def _part_of_model(value: object) -> Call | None:
    if isinstance(value, Mark):
        return Call(str, str(inherit_marked(value)))
    if isinstance(value, PyFuncModel):
        return _loaded_model(value)
    if isinstance(value, Model):
        kind = _of_mlflow("mlflow.models.model", "Model")
        return Call(Call(getattr, kind, "from_dict"), value.to_dict())
    # Asked of the class: what stands for a part of MLflow looks up what it is asked for.
    if hasattr(type(value), "mlflow_wrapper") and isinstance(value, _Wrapped):
        return Call(_of_mlflow(*value.mlflow_wrapper), *value.wrapped())
    return None


@runtime_checkable
class _Wrapped(Protocol):
    """Predicts as a class of MLflow does that is made of the same parts."""

    mlflow_wrapper: tuple[str, str]

    def wrapped(self) -> tuple[object, ...]: ...


def _loaded_model(model: PyFuncModel) -> Call | None:
    """Return the call that makes a loaded model of what is inside it."""
    arguments, state = model.parts()
    impl = arguments[1]
    if type(impl).__module__.startswith("pyfunc.") and not isinstance(impl, _Wrapped):
        warnings.warn(
            f"{model.loader_module}: only the place of this loaded model is pickled, for its "
            "object cannot be: it must stay where it is\n"
            "hint: give its directory as an artifact, and load it in load_context",
            PyfuncWarning,
            stacklevel=2,
        )
        return None
    if model.scope is not None:
        inherit_scope(model.scope)
    if getattr(getattr(impl, "context", None), "artifacts", None):
        warnings.warn(
            "a loaded model with artifacts is pickled without them: where its predict reads them, "
            "they must stay in their place\n"
            "hint: give its directory as an artifact, and load it in load_context",
            PyfuncWarning,
            stacklevel=2,
        )
    return Call(_of_mlflow("mlflow.pyfunc", "PyFuncModel"), *arguments, state=state)


def _with_resolved_hints(function: object) -> object:
    """Return ``function`` with hints that are text replaced by what they mean.

    A name that stands only in a text is not among the globals that go into the pickle, so the
    hint could not be resolved where the model is loaded.
    """
    if not isinstance(function, types.FunctionType):  # a callable object
        return function
    if not any(isinstance(hint, str) for hint in function.__annotations__.values()):
        return function
    home = sys.modules.get(function.__module__)
    if function.__module__ != "__main__" and hasattr(home, function.__name__):
        return function  # pickled by reference, and resolved in its module
    copied = types.FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    functools.update_wrapper(copied, function)
    del copied.__dict__["__wrapped__"]
    copied.__kwdefaults__ = function.__kwdefaults__
    copied.__annotations__ = resolved_annotations(function)
    return copied


def _schema_value(value: Any) -> Call | None:
    """Return the call of MLflow's constructor that makes an equal value."""
    found = mlflow_name(type(value))
    if found is None:
        return None
    kind = _of_mlflow(*found)
    name = type(value).__name__
    if name == "DataType":
        return Call(getattr, kind, value.name)
    if name == "ModelSignature":
        return Call(Call(getattr, kind, "from_dict"), value.to_dict())
    if name in ("Schema", "ParamSchema"):
        return Call(Call(getattr, kind, "from_json"), value.to_json())
    fields = _CONSTRUCTOR_FIELDS.get(name)
    return None if fields is None else Call(kind, *(getattr(value, f) for f in fields))


_CONSTRUCTOR_FIELDS = {
    "AnyType": (),
    "Array": ("dtype",),
    "ColSpec": ("type", "name", "required"),
    "Map": ("value_type",),
    "Object": ("properties",),
    "ParamSpec": ("name", "dtype", "default", "shape"),
    "Property": ("name", "dtype", "required"),
    "SparkMLVector": (),
    "TensorSpec": ("type", "shape", "name"),
}
