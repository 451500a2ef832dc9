"""Loading pickles of models: the one place where anything is unpickled.

What is read has MLflow's names mapped to our objects, so that it loads without MLflow (format.md
9.2), and everything else is looked up in the code scope of the model. Every failure is turned into
an error of our tree.
"""

from __future__ import annotations

import contextlib
import functools
import io
import pickle
import platform
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from pyfunc.code.calling import errors_named, told
from pyfunc.code.scope import CodeScope
from pyfunc.errors import (
    IncompatiblePythonError,
    ModelIncompleteError,
    PyfuncError,
    UntrustedModelError,
)
from pyfunc.model.mlflow_names import NAMES, PICKLED, resolve
from pyfunc.model.mlflow_standin import Deferred, attribute_of, is_of_tracing, recorded_module
from pyfunc.model.opened import OpenedModel
from pyfunc.pickles.allowlist import Allowlist
from pyfunc.pickles.known_data import BASE_GLOBALS
from pyfunc.pickles.walking import walk_pickle
from pyfunc.trust import current_policy

__all__ = [
    "ModelUnpickler",
    "load",
    "load_pickle",
    "minor_version",
    "pickle_errors_named",
    "pickle_module",
]

_CLOUDPICKLE_MODULES = frozenset({"cloudpickle.cloudpickle", "cloudpickle.cloudpickle_fast"})


def load_pickle(opened: OpenedModel, data: bytes, *, path: Path) -> Any:
    """Return the object in the pickle ``data``, which is the content of the file ``path``.

    Raises:
        UntrustedModelError: the policy in force does not allow what it imports.
        IncompatiblePythonError: it holds code of another Python version.
        ModelIncompleteError: it is damaged or needs what is not installed.
    """
    _check_python(opened.section, data, path)
    with pickle_errors_named(opened, path):
        return load(data, scope=opened.scope, path=path)


def pickle_errors_named(opened: OpenedModel, path: Path) -> errors_named:
    """Turn whatever unpickling the file ``path`` raises in the body into errors of our tree."""

    def unreadable(error: Exception) -> PyfuncError:
        if isinstance(error, ModuleNotFoundError):
            return ModelIncompleteError(_missing_module(error, opened), path=path)
        if isinstance(error, (AttributeError, ImportError)):
            return ModelIncompleteError(
                f"the pickle needs something that is not there: {told(error)}\n"
                "hint: a package has another version than at the save; requirements.txt names "
                "the versions",
                path=path,
            )
        return ModelIncompleteError(
            f"the pickle cannot be read: {told(error)}\n"
            "hint: the file is damaged, or was written with other versions of the packages that "
            "requirements.txt names",
            path=path,
        )

    return errors_named(unreadable)


def _check_python(section: Mapping[str, object], data: bytes, path: Path) -> None:
    """Refuse code of another Python minor version: it crashes the interpreter at best."""
    saved = section.get("python_version")
    if saved is None or minor_version(saved) == minor_version(platform.python_version()):
        return
    if not current_policy().allow_other_python and walk_pickle(data).has_code:
        raise IncompatiblePythonError(
            f"{path}: holds code of Python {saved}, and this is Python "
            f"{platform.python_version()}\n"
            f"hint: load it with Python {minor_version(saved)}, or save the model from a module "
            "or a script, which any version can read"
        )


def minor_version(version: object) -> str:
    """Return the first two components of a version."""
    return ".".join(str(version).split(".")[:2])


def _missing_module(error: ModuleNotFoundError, opened: OpenedModel) -> str:
    from pyfunc.env.checking.missing_module import remedy_for_module

    remedy = remedy_for_module(error.name or "", opened.files)
    return f"the pickle needs module {error.name!r}, which cannot be imported\nhint: {remedy}"


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
    if policy.allows_code:
        with scope.active():
            return unpickler.load()
    allowed = Allowlist(
        (*BASE_GLOBALS, *policy.allowed_globals), policy.dangerously_allowed_globals
    )
    allowed.check(data, path=path)
    with scope.active():
        return _load_data(data, allowed, unpickler.find)


def _load_data(data: bytes, allowed: Allowlist, find: Callable[[str, str], object]) -> object:
    """Return what the pickle ``data`` describes; nothing of what it names is called."""
    from pyfunc.pickles.restoring import Restorer, restoring_dispatch

    class DataUnpickler(pickle._Unpickler):
        """Python's own in Python, whose steps can be replaced."""

        dispatch = restoring_dispatch(pickle._Unpickler.dispatch)

        def __init__(self, file: BinaryIO) -> None:
            super().__init__(file)
            self.restorer = Restorer(allowed, find, len(data))

        def find_class(self, module: str, name: str) -> object:
            return self.restorer.find(module, name)

    return DataUnpickler(io.BytesIO(data)).load()


def pickle_module(scope: CodeScope) -> types.ModuleType:
    """Return what a library takes for the module ``pickle``, to read files of its own.

    The policy in force must let code of the model run: the caller has seen to that.
    """

    class ScopedUnpickler(ModelUnpickler):
        """Is made from a file alone, as a library makes its own."""

        def __init__(self, file: BinaryIO, **options: Any) -> None:
            super().__init__(file, scope, **options)

    def load_file(file: BinaryIO, **options: Any) -> object:
        return ScopedUnpickler(file, **options).load()

    module = types.ModuleType("pickle")
    vars(module).update(vars(pickle), Unpickler=ScopedUnpickler, load=load_file)
    return module


class ModelUnpickler(pickle.Unpickler):
    """Finds MLflow's names here, and every other name as the model's own code would."""

    def __init__(self, file: BinaryIO, scope: CodeScope, **options: Any) -> None:
        super().__init__(file, **options)
        self._scope = scope
        self.find: Callable[[str, str], object] = self._find

    def find_class(self, module: str, name: str) -> object:
        """Return the object that the pickle calls ``module.name``."""
        return self.find(module, name)

    def _find(self, module: str, name: str) -> object:
        top, *inside = name.split(".")  # a method is written with its class
        if top in NAMES.get(module, ()) or (module, top) in PICKLED:
            return functools.reduce(getattr, inside, resolve(module, top))
        if is_of_tracing(module):
            return Deferred(module, name)
        if module in _CLOUDPICKLE_MODULES:
            builder = _SCOPED_BUILDERS.get(name)
            if builder is not None:
                return builder(self._scope)
        if module.partition(".")[0] == "mlflow" or self._scope.provides(module):
            if module.partition(".")[0] in sys.stdlib_module_names:
                # What was pickled means the real one, which was loaded before the model's.
                with contextlib.suppress(ImportError, AttributeError):
                    found: object = super().find_class(module, name)
                    return found
            found = self._scope.import_module(module)
            for part in name.split("."):
                found = attribute_of(found, part, module)
            return found
        return super().find_class(module, name)


def _scoped_subimport(scope: CodeScope) -> Callable[[str], types.ModuleType]:
    def subimport(name: str) -> types.ModuleType:
        if name.partition(".")[0] == "mlflow":
            return recorded_module(name)
        return scope.import_module(name)

    return subimport


def _scoped_make_function(scope: CodeScope) -> Callable[..., object]:
    def make_function(code: types.CodeType, globals: dict[str, object], *rest: Any) -> object:
        globals["__builtins__"] = scope.builtins
        return types.FunctionType(code, globals, *rest)

    return make_function


def _scoped_make_skeleton_class(scope: CodeScope) -> Callable[..., object]:
    from cloudpickle.cloudpickle import _make_skeleton_class

    def make_skeleton_class(*arguments: object) -> object:
        # cloudpickle gives back the class with the same tracker and sets its methods anew: that
        # of an earlier load, or the very class of the caller who saved the model here.
        *described, _tracker, extra = arguments
        return _make_skeleton_class(*described, None, extra)

    return make_skeleton_class


def _scoped_make_skeleton_enum(scope: CodeScope) -> Callable[..., object]:
    from cloudpickle.cloudpickle import _make_skeleton_enum

    def make_skeleton_enum(*arguments: object) -> object:
        *described, _tracker, extra = arguments
        return _make_skeleton_enum(*described, None, extra)

    return make_skeleton_enum


def _scoped_function_setstate(scope: CodeScope) -> Callable[..., None]:
    from cloudpickle.cloudpickle import _function_setstate

    def function_setstate(function: types.FunctionType, state: object) -> None:
        _function_setstate(function, state)
        # cloudpickle puts its own builtins here; functions made later inside this one take theirs
        # from the globals, and must know the scope too.
        function.__globals__["__builtins__"] = scope.builtins

    return function_setstate


def _scoped_builtin_type(scope: CodeScope) -> Callable[[str], object]:
    from cloudpickle.cloudpickle import _builtin_type

    def builtin_type(name: str) -> object:
        # cloudpickle before 2.0 builds functions by calling the type itself.
        if name == "FunctionType":
            return _scoped_make_function(scope)
        return _builtin_type(name)

    return builtin_type


_SCOPED_BUILDERS: dict[str, Callable[[CodeScope], Callable[..., object]]] = {
    "_builtin_type": _scoped_builtin_type,
    "_function_setstate": _scoped_function_setstate,
    "_make_function": _scoped_make_function,
    "_make_skeleton_class": _scoped_make_skeleton_class,
    "_make_skeleton_enum": _scoped_make_skeleton_enum,
    "subimport": _scoped_subimport,
}
