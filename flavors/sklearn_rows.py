"""Rows for a scikit-learn estimator as an array instead of a frame, where nothing can tell.

scikit-learn spends several times as long on the checks of a frame of a hundred rows as on
predicting them: dtypes column by column, names through narwhals. An estimator that was fitted
with names warns when it is given none, so the array goes to a copy of it without names, whose
other attributes are those of the estimator itself. The array is the one that scikit-learn makes
of the frame: the order of its cells in memory decides in which order sums are made, and so
their last bit.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np
import pandas as pd

from pyfunc.schema.enforce.layouts import list_dtypes

__all__ = ["RowEstimator", "only_computes"]

_NAMES = "feature_names_in_"
_OUTPUT = "_sklearn_output_config"  # what ``set_output`` leaves: frames between steps
_PASS_FRAMES = frozenset({"ColumnTransformer", "FeatureUnion", "FunctionTransformer"})
_DTYPES = frozenset(map(np.dtype, ("float64", "float32", "int64", "int32")))
_LIBRARIES = frozenset({"numpy", "scipy", "sklearn"})
_NUMERIC = _LIBRARIES | {"builtins"}
_FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodType)
_MADE_BY_CODE = 1 << 9  # the flag of a class that no library has compiled in


class RowEstimator:
    """Answers arrays as a fitted estimator answers the frames that they are made of.

    Attributes:
        estimator: shares its attributes with the fitted one, and knows no names.
        names: what the fitted one knows of its columns.
    """

    def __init__(self, estimator: object, names: list[Any]) -> None:
        self.estimator = estimator
        self.names = names
        self._known: pd.Index | None = None

    @classmethod
    def of(cls, fitted: object) -> RowEstimator | None:
        """Return one for ``fitted``, None where an array could make a difference."""
        names = getattr(fitted, _NAMES, None)
        if not isinstance(names, np.ndarray):
            return None
        nameless = _without_names(fitted)
        return None if nameless is None else cls(nameless, names.tolist())

    @cached_property
    def only_computes(self) -> bool:
        """Whether its functions and classes are all those of scikit-learn, scipy and numpy."""
        return only_computes(self.estimator)

    def as_array(self, data: object) -> np.ndarray[Any, Any] | None:
        """Return a frame as an array of shape (rows, columns), None if it may not be one.

        It may be where it has a row, the names of the fit in their order, and one dtype for
        all columns, which is float64, float32, int64 or int32.
        """
        if type(data) is not pd.DataFrame or not len(data) or not self._knows(data.columns):
            return None
        dtypes = set(list_dtypes(data))
        return data.to_numpy() if len(dtypes) == 1 and dtypes <= _DTYPES else None

    def _knows(self, columns: pd.Index) -> bool:
        if columns.is_(self._known):  # a view of it too; an index never changes
            return True
        if columns.nlevels != 1 or columns.tolist() != self.names:
            return False
        self._known = columns
        return True


def only_computes(model: object, *libraries: str) -> bool:
    """Whether all that a model is made of is of these libraries, scikit-learn, scipy and numpy."""
    known = _LIBRARIES.union(libraries)
    return all(_is_of_library(part, known) for part in _walk([model]))


def _without_names(fitted: Any) -> object:
    """Return a shallow copy without names, None if part of it looks at more than numbers."""
    if type(fitted).__module__ == "sklearn.pipeline" and type(fitted).__name__ == "Pipeline":
        (name, first), *others = fitted.steps
        nameless = _without_names(first)
        if nameless is None or not _sees_numbers(step for _, step in others):
            return None
        pipeline = copy.copy(fitted)
        pipeline.steps = [(name, nameless), *others]
        return pipeline
    nameless = copy.copy(fitted)
    vars(nameless).pop(_NAMES, None)
    return nameless if _sees_numbers([nameless]) else None


def _sees_numbers(parts: Iterable[object]) -> bool:
    """Whether all that estimators are made of is scikit-learn's, and nothing in it knows names."""
    for part in _walk(parts):
        kind = type(part)
        if kind.__module__.partition(".")[0] not in _NUMERIC or kind.__name__ in _PASS_FRAMES:
            return False
        if not _attributes(part).keys().isdisjoint((_NAMES, _OUTPUT)):
            return False
    return True


def _walk(parts: Iterable[object]) -> Iterator[object]:
    """Yield the parts, and theirs, each once."""
    waiting = list(parts)
    seen: set[int] = set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, (list, tuple, set, frozenset)):
            waiting.extend(part)
        elif isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, np.ndarray):
            waiting.extend(part.flat if part.dtype.hasobject else ())
        else:
            waiting.extend(_attributes(part).values())


def _is_of_library(part: object, libraries: frozenset[str]) -> bool:
    """Whether a part is data, or what one of the libraries has under the name that it says."""
    if isinstance(part, np.ufunc):
        return True
    named = part if isinstance(part, (type, *_FUNCTIONS)) else type(part)
    if named is type(part) and not named.__flags__ & _MADE_BY_CODE:
        return True
    module = getattr(named, "__module__", None) or ""
    if module.partition(".")[0] not in libraries:
        return False
    found: object = sys.modules.get(module)
    for name in named.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is named


def _attributes(part: object) -> dict[str, object]:
    return getattr(part, "__dict__", None) or {}
