"""What a skops file may hold where no code of a model may run, and what one holds.

skops trusts every estimator of the installed scikit-learn. Here the list is exact, and without
what points into memory by numbers of the file: trees, indexes of neighbours, sparse matrices.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator

import numpy as np

from pyfunc.errors import UntrustedModelError
from pyfunc.pickles.estimators import ESTIMATORS

__all__ = ["find_types", "is_known_type"]

_SCHEMA = "schema.json"
_MAX_SCHEMA = 64 << 20
_RATIO = 1000

_PLAIN = frozenset(
    [
        *(f"builtins.{name}" for name in ("bool", "bytearray", "bytes", "dict", "float", "int")),
        *(f"builtins.{name}" for name in ("list", "set", "slice", "str", "tuple")),
        "collections.OrderedDict",
        "collections.defaultdict",
        "numpy.ndarray",
        "numpy.ma.MaskedArray",
        "numpy.random.mtrand.RandomState",
        "sklearn.utils._bunch.Bunch",
    ]
)


def is_known_type(name: str) -> bool:
    """Return whether ``name`` is of the list, or one of numpy's plain types and functions."""
    module, _, last = name.rpartition(".")
    if name in _PLAIN or (module, last) in ESTIMATORS:
        return True
    if module != "numpy":
        return False
    found = getattr(np, last, None)
    is_scalar = isinstance(found, type) and issubclass(found, np.generic)
    return is_scalar or isinstance(found, np.ufunc)


def find_types(data: bytes) -> set[str]:
    """Return the dotted name of everything that the skops file ``data`` names.

    Raises:
        UntrustedModelError: its description is very large.
        Exception: what is wrong with a damaged file.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        large = sum(item.file_size for item in archive.infolist())
        if large > max(_MAX_SCHEMA, _RATIO * len(data)):
            raise UntrustedModelError("the skops file becomes much larger than it is")
        with archive.open(_SCHEMA) as file:
            text = file.read(_MAX_SCHEMA + 1)
    if len(text) > _MAX_SCHEMA:
        raise UntrustedModelError(f"the description is larger than {_MAX_SCHEMA} bytes")
    return set(_names_in(json.loads(text)))


def _names_in(tree: object) -> Iterator[str]:
    pending = [tree]
    while pending:
        part = pending.pop()
        if isinstance(part, list):
            pending += part
        elif isinstance(part, dict):
            pending += part.values()
            for module, name in (("__module__", "__class__"), ("module_path", "function")):
                if name in part:
                    yield f"{part.get(module)}.{part[name]}"
