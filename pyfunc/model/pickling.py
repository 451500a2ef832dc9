"""Writing and reading pickles of models: the one place where anything is unpickled.

What is written refers to MLflow's names for the base classes (format.md 9.4), expressed with
nothing but cloudpickle and builtins, so that MLflow reads it without this library. What is read
has MLflow's names mapped to our objects, so that it loads without MLflow (format.md 9.2), and
everything else is looked up in the code scope of the model.
"""

from __future__ import annotations

import functools
import io
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from pyfunc.errors import UntrustedModelError
from pyfunc.model.hints import resolved_annotations
from pyfunc.model.mlflow_names import NAMES, mlflow_module, mlflow_name, resolve
from pyfunc.pickles.allowlist import BASE_GLOBALS, Allowlist
from pyfunc.trust import current_policy

if TYPE_CHECKING:
    from pyfunc.code.scope import CodeScope

__all__ = ["ModelUnpickler", "dump", "load", "pickle_module"]

_CLOUDPICKLE_MODULES = frozenset({"cloudpickle.cloudpickle", "cloudpickle.cloudpickle_fast"})


def dump(value: object, file: BinaryIO) -> None:
    """Write ``value`` to ``file`` as a pickle that MLflow reads without this library.

    Raises:
        Exception: whatever pickling an object of the user raises.
    """
    _pickler_class()(file).dump(value)


def load(data: bytes, *, scope: CodeScope, path: Path | str = "the pickle") -> Any:
    """Return the object in the pickle ``data``, with its code bound to ``scope``.

    Args:
        data: the whole pickle.
        scope: where names of the model's own code are looked up.
        path: the file, for messages.

    Raises:
        UntrustedModelError: the trust policy in force does not allow what it imports.
        Exception: whatever unpickling raises; the loader turns it into an error of our tree.
    """
    policy = current_policy()
    if policy.mode == "none":
        raise UntrustedModelError(f"{path}: nothing of the model is loaded with trust='none'")
    unpickler = ModelUnpickler(io.BytesIO(data), scope)
    if not policy.allows_code:
        allowed = Allowlist((*BASE_GLOBALS, *policy.allowed_globals))
        allowed.check(data, path=path)
        unpickler.find = allowed.guard(unpickler.find)
    with scope.active():
        return unpickler.load()


def pickle_module(scope: CodeScope | None = None) -> Any:
    """Return what a library takes for the module ``pickle``, to write and read its own files.

    It pickles by value as cloudpickle does. Reading needs a scope, and a policy that lets code of
    the model run: the caller has seen to both.
    """
    import cloudpickle

    module: Any = types.ModuleType("pickle")
    vars(module).update(vars(pickle))
    module.Pickler, module.dump = cloudpickle.Pickler, cloudpickle.dump
    if scope is not None:
        module.Unpickler = _scoped_unpickler(scope)
        module.load = lambda file, **options: module.Unpickler(file, **options).load()
    return module


def _scoped_unpickler(scope: CodeScope) -> type[ModelUnpickler]:
    class ScopedUnpickler(ModelUnpickler):
        """Is made from a file alone, as a library makes its own."""

        def __init__(self, file: BinaryIO, **options: Any) -> None:
            super().__init__(file, scope, **options)

    return ScopedUnpickler


class ModelUnpickler(pickle.Unpickler):
    """Finds MLflow's names here, and every other name as the model's own code would."""

    def __init__(self, file: BinaryIO, scope: CodeScope, **options: Any) -> None:
        super().__init__(file, **options)
        self._scope = scope
        self.find: Callable[[str, str], Any] = self._find

    def find_class(self, module: str, name: str) -> Any:
        """Return the object that the pickle calls ``module.name``."""
        return self.find(module, name)

    def _find(self, module: str, name: str) -> Any:
        if name in NAMES.get(module, ()):
            return resolve(module, name)
        if module in _CLOUDPICKLE_MODULES:
            builder = _SCOPED_BUILDERS.get(name)
            if builder is not None:
                return builder(self._scope)
        if module.partition(".")[0] == "mlflow" or self._scope.provides(module):
            found: Any = self._scope.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
            return found
        return super().find_class(module, name)


def _scoped_subimport(scope: CodeScope) -> Callable[[str], types.ModuleType]:
    return scope.import_module


def _scoped_make_function(scope: CodeScope) -> Callable[..., Any]:
    def make_function(code: Any, globals: dict[str, Any], *rest: Any) -> Any:
        globals["__builtins__"] = scope.builtins
        return types.FunctionType(code, globals, *rest)

    return make_function


def _scoped_make_skeleton_class(scope: CodeScope) -> Callable[..., Any]:
    from cloudpickle.cloudpickle import _make_skeleton_class

    def make_skeleton_class(*arguments: Any) -> Any:
        # cloudpickle gives back the class of an earlier load with the same tracker, whose
        # methods would then import the code of that other model.
        if scope.directories:
            *described, _tracker, extra = arguments
            arguments = (*described, None, extra)
        return _make_skeleton_class(*arguments)

    return make_skeleton_class


def _scoped_function_setstate(scope: CodeScope) -> Callable[..., None]:
    from cloudpickle.cloudpickle import _function_setstate

    def function_setstate(function: Any, state: Any) -> None:
        _function_setstate(function, state)
        # cloudpickle puts its own builtins here; functions made later inside this one take theirs
        # from the globals, and must know the scope too.
        function.__globals__["__builtins__"] = scope.builtins

    return function_setstate


def _scoped_builtin_type(scope: CodeScope) -> Callable[[str], Any]:
    from cloudpickle.cloudpickle import _builtin_type

    def builtin_type(name: str) -> Any:
        # cloudpickle before 2.0 builds functions by calling the type itself.
        if name == "FunctionType":
            return _scoped_make_function(scope)
        return _builtin_type(name)

    return builtin_type


_SCOPED_BUILDERS: dict[str, Callable[[CodeScope], Any]] = {
    "_builtin_type": _scoped_builtin_type,
    "_function_setstate": _scoped_function_setstate,
    "_make_function": _scoped_make_function,
    "_make_skeleton_class": _scoped_make_skeleton_class,
    "subimport": _scoped_subimport,
}


class _Call:
    """Pickles as the call of ``function`` with ``arguments``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._reduced = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self._reduced

    def __call__(self) -> None:
        """Exist, because pickle wants to see that what it writes as a function is callable."""


def _module_of_mlflow(name: str) -> _Call:
    from cloudpickle.cloudpickle import subimport

    return _Call(subimport, name)


def _of_mlflow(module: str, name: str) -> _Call:
    """Return what pickles as the object that MLflow calls ``module.name``."""
    return _Call(getattr, _module_of_mlflow(module), name)


@functools.cache
def _pickler_class() -> Any:
    import cloudpickle

    class ModelPickler(cloudpickle.Pickler):  # type: ignore[misc]
        """cloudpickle's, with our names written as MLflow's."""

        def reducer_override(self, value: Any) -> Any:
            reduced = _as_mlflow(value)
            if reduced is not None:
                return reduced.__reduce__()
            return super().reducer_override(value)

    return ModelPickler


def _as_mlflow(value: Any) -> _Call | None:
    """Return what to pickle in the place of ``value``, or None for ``value`` itself."""
    if isinstance(value, types.ModuleType):
        module = mlflow_module(value.__name__)
        return None if module is None else _module_of_mlflow(module)
    if isinstance(value, (type, types.FunctionType, TypeVar)):
        found = mlflow_name(value)
        if found is not None:
            return _of_mlflow(*found)
        original = getattr(value, "_pyfunc_original", None)
        if original is not None and isinstance(value, types.FunctionType):
            decorate = _of_mlflow("mlflow.pyfunc.utils.data_validation", "pyfunc")
            return _Call(decorate, _with_resolved_hints(original))
        return None
    if type(value).__module__.startswith("pyfunc.schema."):
        return _schema_value(value)
    return None


def _with_resolved_hints(function: Any) -> Any:
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


def _schema_value(value: Any) -> _Call | None:
    """Return the call of MLflow's constructor that makes an equal value."""
    found = mlflow_name(type(value))
    if found is None:
        return None
    kind = _of_mlflow(*found)
    name = type(value).__name__
    if name == "DataType":
        return _Call(getattr, kind, value.name)
    if name == "ModelSignature":
        return _Call(_Call(getattr, kind, "from_dict"), value.to_dict())
    if name in ("Schema", "ParamSchema"):
        return _Call(_Call(getattr, kind, "from_json"), value.to_json())
    fields = _CONSTRUCTOR_FIELDS.get(name)
    return None if fields is None else _Call(kind, *(getattr(value, f) for f in fields))


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
