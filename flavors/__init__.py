"""How each ML library is written and read: one module per library.

::

    import pyfunc.flavors

    pyfunc.flavors.save(estimator, "model", input_example=frame)   # by the type of the object
    pyfunc.flavors.sklearn.save_model(estimator, "model")          # or by name
    pyfunc.flavors.sklearn.load_model("model")                     # the estimator again

A library is imported only when a model of its is saved or loaded.
"""

from __future__ import annotations

import importlib
from typing import Any

from pyfunc.flavors.protocol import Flavor, Predictor, Serialization
from pyfunc.flavors.registry import (
    BUILT_IN,
    describe,
    find_flavor,
    find_flavor_of,
    known_flavors,
    register,
    save,
)

__all__ = [
    "Flavor",
    "Predictor",
    "Serialization",
    "describe",
    "find_flavor",
    "find_flavor_of",
    "known_flavors",
    "register",
    "save",
]


def __getattr__(name: str) -> Any:
    if name in BUILT_IN:
        return importlib.import_module(f"pyfunc.flavors.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
