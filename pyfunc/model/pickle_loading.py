"""Loading a pickle of an opened model, with every failure turned into an error of our tree."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyfunc.errors import IncompatiblePythonError, ModelIncompleteError, PyfuncError
from pyfunc.model import pickling
from pyfunc.model.opened import OpenedModel
from pyfunc.pickles.walking import walk_pickle
from pyfunc.trust import current_policy

__all__ = ["load_pickle", "minor_version", "pickle_errors_named"]


def load_pickle(opened: OpenedModel, data: bytes, *, path: Path) -> Any:
    """Return the object in the pickle ``data``, which is the content of the file ``path``.

    Raises:
        UntrustedModelError: the policy in force does not allow what it imports.
        IncompatiblePythonError: it holds code of another Python version.
        ModelIncompleteError: it is damaged or needs what is not installed.
    """
    _check_python(opened.section, data, path)
    with pickle_errors_named(opened, path):
        return pickling.load(data, scope=opened.scope, path=path)


@contextlib.contextmanager
def pickle_errors_named(opened: OpenedModel, path: Path) -> Iterator[None]:
    """Turn whatever unpickling the file ``path`` raises in the body into errors of our tree."""
    try:
        yield
    except PyfuncError:
        raise
    except ModuleNotFoundError as error:
        raise ModelIncompleteError(_missing_module(error, opened), path=path) from error
    except Exception as error:
        raise ModelIncompleteError(
            f"the pickle cannot be read: {type(error).__name__}: {error}\n"
            "hint: the file is damaged, or was written with other versions of the packages that "
            "requirements.txt names",
            path=path,
        ) from error


def _check_python(section: Mapping[str, Any], data: bytes, path: Path) -> None:
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

    remedy = remedy_for_module(error.name or "", opened.root)
    return f"the pickle needs module {error.name!r}, which cannot be imported\nhint: {remedy}"
