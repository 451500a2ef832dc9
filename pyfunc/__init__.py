"""Save, load and run Python models in the MLflow ``python_function`` format.

::

    import pyfunc

    pyfunc.save_model("model", python_model=MyModel(), input_example=frame)
    model = pyfunc.load_model("model")
    model.predict(frame)

Everything here is imported when it is first used; ``import pyfunc`` itself is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from pyfunc.version import VERSION as __version__  # noqa: N811 - the name that tools look for

if TYPE_CHECKING:
    from pyfunc.directory.signing import sign
    from pyfunc.env import get_model_dependencies
    from pyfunc.errors import (
        EnvironmentMismatchError,
        FlavorNotFoundError,
        HandlerError,
        IncompatiblePythonError,
        InvalidArgumentError,
        InvalidTypeError,
        MissingDependencyError,
        ModelFormatError,
        ModelIncompleteError,
        ModelIntegrityError,
        ModelNotFoundError,
        ModelPathError,
        PyfuncError,
        PyfuncWarning,
        SaveConflictError,
        SaveError,
        SchemaError,
        UntrustedModelError,
    )
    from pyfunc.inspection import inspect, refresh, verify
    from pyfunc.loading.entry import load_model
    from pyfunc.model.config import ModelConfig, set_model
    from pyfunc.model.description import Model, add_to_model
    from pyfunc.model.loaded import PyFuncModel
    from pyfunc.model.python_model import PythonModel, PythonModelContext
    from pyfunc.saving.entry import save_model
    from pyfunc.schema import ModelSignature, infer_signature

__all__ = [
    "EnvironmentMismatchError",
    "FlavorNotFoundError",
    "HandlerError",
    "IncompatiblePythonError",
    "InvalidArgumentError",
    "InvalidTypeError",
    "MissingDependencyError",
    "Model",
    "ModelConfig",
    "ModelFormatError",
    "ModelIncompleteError",
    "ModelIntegrityError",
    "ModelNotFoundError",
    "ModelPathError",
    "ModelSignature",
    "PyFuncModel",
    "PyfuncError",
    "PyfuncWarning",
    "PythonModel",
    "PythonModelContext",
    "SaveConflictError",
    "SaveError",
    "SchemaError",
    "UntrustedModelError",
    "__version__",
    "add_to_model",
    "get_model_dependencies",
    "infer_signature",
    "inspect",
    "load_model",
    "refresh",
    "save_model",
    "set_model",
    "sign",
    "verify",
]

_HOME = {
    "EnvironmentMismatchError": "pyfunc.errors",
    "FlavorNotFoundError": "pyfunc.errors",
    "HandlerError": "pyfunc.errors",
    "IncompatiblePythonError": "pyfunc.errors",
    "InvalidArgumentError": "pyfunc.errors",
    "InvalidTypeError": "pyfunc.errors",
    "MissingDependencyError": "pyfunc.errors",
    "Model": "pyfunc.model.description",
    "ModelConfig": "pyfunc.model.config",
    "ModelFormatError": "pyfunc.errors",
    "ModelIncompleteError": "pyfunc.errors",
    "ModelIntegrityError": "pyfunc.errors",
    "ModelNotFoundError": "pyfunc.errors",
    "ModelPathError": "pyfunc.errors",
    "ModelSignature": "pyfunc.schema",
    "PyFuncModel": "pyfunc.model.loaded",
    "PyfuncError": "pyfunc.errors",
    "PyfuncWarning": "pyfunc.errors",
    "PythonModel": "pyfunc.model.python_model",
    "PythonModelContext": "pyfunc.model.python_model",
    "SaveConflictError": "pyfunc.errors",
    "SaveError": "pyfunc.errors",
    "SchemaError": "pyfunc.errors",
    "UntrustedModelError": "pyfunc.errors",
    "add_to_model": "pyfunc.model.description",
    "get_model_dependencies": "pyfunc.env",
    "infer_signature": "pyfunc.schema",
    "inspect": "pyfunc.inspection",
    "load_model": "pyfunc.loading.entry",
    "refresh": "pyfunc.inspection",
    "save_model": "pyfunc.saving.entry",
    "set_model": "pyfunc.model.config",
    "sign": "pyfunc.directory.signing",
    "verify": "pyfunc.inspection",
}


# Reached as ``pyfunc.flavors`` and so on without an import of their own.
_PACKAGES = frozenset({"cortex", "env", "flavors", "handlers", "isolated", "schema", "serving"})


def __getattr__(name: str) -> object:
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # the next access skips this function
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
