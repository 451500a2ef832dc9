"""Which configuration a loaded model gets: what was saved, with what the caller overrides.

Rules: format.md 4.5.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping

from pyfunc.errors import PyfuncWarning
from pyfunc.model.config import read_model_config
from pyfunc.variables import CONFIG

__all__ = ["merge_model_config"]


def merge_model_config(
    saved: Mapping[str, object] | None, given: Mapping[str, object] | str | os.PathLike[str] | None
) -> dict[str, object] | None:
    """Return the saved configuration with the overrides of the environment and the caller.

    Only keys that the saved configuration has are overridden; the others are named in a
    :class:`~pyfunc.PyfuncWarning` and ignored. ``saved`` is not changed.

    Raises:
        InvalidArgumentError: ``given`` or the environment variable cannot be read.
    """
    overrides = CONFIG.read()
    if given is not None:
        overrides.update(read_model_config(given))
    if not overrides:
        return None if saved is None else dict(saved)
    if not saved:
        _warn(
            f"model_config keys {sorted(overrides)} are ignored: the model was saved without a "
            "model configuration"
        )
        return None
    unknown = sorted(set(overrides) - set(saved))
    if unknown:
        _warn(f"model_config keys {unknown} are ignored; the model knows {sorted(saved)}")
    return {key: overrides.get(key, value) for key, value in saved.items()}


def _warn(text: str) -> None:
    warnings.warn(text, PyfuncWarning, stacklevel=7)
