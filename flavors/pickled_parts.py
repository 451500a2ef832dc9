"""Pickled files of a flavor, loaded under the same rules as any pickle of a model."""

from __future__ import annotations

from pyfunc import pickling
from pyfunc.errors import ModelIncompleteError, PyfuncError
from pyfunc.opened_model import OpenedModel
from pyfunc.trust import check_code_may_run

__all__ = ["load_pickled"]


def load_pickled(opened: OpenedModel, relative: object, *, key: str) -> object:
    """Return the object in the pickle that the value of ``key`` in MLmodel names.

    Raises:
        UntrustedModelError: the policy in force or the environment forbids it.
        ModelPathError: ``relative`` leaves the model.
        ModelIncompleteError: the file is missing, damaged or needs what is not installed.
    """
    check_code_may_run(f"its pickle {relative}", opened.root)
    data = opened.files.read(relative, key=key)
    path = opened.root / str(relative)
    try:
        return pickling.load(data, scope=opened.scope)
    except PyfuncError:
        raise
    except ModuleNotFoundError as error:
        from pyfunc.env.missing_module import remedy_for_module

        remedy = remedy_for_module(error.name or "", opened.root)
        raise ModelIncompleteError(
            f"the pickle needs module {error.name!r}, which cannot be imported\nhint: {remedy}",
            path=path,
        ) from error
    except Exception as error:
        raise ModelIncompleteError(
            f"the pickle cannot be read: {type(error).__name__}: {error}\n"
            "hint: the file is damaged, or was written with other versions of the packages that "
            "requirements.txt names",
            path=path,
        ) from error
