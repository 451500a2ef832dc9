"""Pickled files of a flavor, written and loaded under the same rules as any pickle of a model."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Literal

from pyfunc.code.calling import errors_named, told
from pyfunc.errors import InvalidArgumentError, PyfuncError
from pyfunc.model.opened import OpenedModel
from pyfunc.model.pickle_loading import load_pickle
from pyfunc.trust import check_pickles_are_allowed

__all__ = ["PickleFormat", "dump_pickled", "load_pickled"]

PickleFormat = Literal["pickle", "cloudpickle"]


def dump_pickled(model: object, file: Path, written: PickleFormat) -> None:
    """Write ``model`` to ``file``, in the protocol that MLflow writes.

    Raises:
        InvalidArgumentError: a part of the model cannot be pickled; it is caught as the error of
            pickle, too.
    """
    import cloudpickle

    dump = pickle.dump if written == "pickle" else cloudpickle.dump
    with errors_named(_not_pickled, OSError), file.open("wb") as stream:
        dump(model, stream, protocol=pickle.DEFAULT_PROTOCOL)


def _not_pickled(error: Exception) -> PyfuncError:
    refused = InvalidArgumentError(f"the model cannot be pickled: {told(error)}")
    # Under MLflow these are errors of pickle.
    of_pickle = isinstance(error, (pickle.PicklingError, TypeError, AttributeError))
    return refused.caught_as(error, *([pickle.PicklingError] if of_pickle else []))


def load_pickled(opened: OpenedModel, relative: object, *, key: str) -> Any:
    """Return the object in the pickle that the value of ``key`` in MLmodel names.

    Raises:
        UntrustedModelError: the policy in force or the environment forbids it.
        ModelPathError: ``relative`` leaves the model.
        ModelIncompleteError: the file is missing, damaged or needs what is not installed.
    """
    check_pickles_are_allowed(opened.root, f"its pickle {relative}")
    data = opened.files.read(relative, key=key)
    return load_pickle(opened, data, path=opened.root / str(relative))
