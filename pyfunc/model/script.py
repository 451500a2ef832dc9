"""Running a models-from-code script and taking the model that it sets (format.md 3.5)."""

from __future__ import annotations

import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyfunc.code.scope import CodeScope, Recipe
from pyfunc.errors import INTERNAL_ERROR, ModelIncompleteError, PyfuncError
from pyfunc.model.config import running_script

__all__ = ["run_model_script"]


def run_model_script(
    path: Path,
    *,
    scope: CodeScope,
    model_config: Mapping[str, object] | None,
    recipe: Recipe | None = None,
) -> Any:
    """Return the object that the script ``path`` gave to ``set_model``.

    The script runs once, as a module of ``scope``; ``ModelConfig`` in it is ``model_config``.

    Raises:
        ModelIncompleteError: the script fails, or does not set exactly one model; the code is
            ``INTERNAL_ERROR`` and the script's own exception the cause.
    """
    with running_script(model_config) as run:
        try:
            scope.run_model_script(path, recipe=recipe, given={"dbutils": _Dbutils("dbutils")})
        except ImportError as error:
            raise _failed(path, f"an import of the script failed: {error}") from error
        except PyfuncError as error:
            raise _failed(path, f"the script failed: {error}") from error
        except Exception as error:
            text = f"the script failed: {type(error).__name__}: {error}"
            raise _failed(path, text) from error
    if len(run.models) != 1:
        raise _failed(
            path,
            f"the script must call set_model once, it did {len(run.models)} times\n"
            "hint: end it with pyfunc.set_model(model)",
        )
    return run.models[0]


class _Dbutils(types.ModuleType):
    """What scripts of Databricks find under this name elsewhere: every part of it does nothing."""

    def __getattr__(self, name: str) -> _Dbutils:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Dbutils(name)

    def __call__(self, *args: object, **kwargs: object) -> None:
        """Do nothing."""


def _failed(path: Path, text: str) -> ModelIncompleteError:
    return ModelIncompleteError(text, path=path, error_code=INTERNAL_ERROR)
