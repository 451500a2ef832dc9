"""What a models-from-code script uses: ``set_model`` and ``ModelConfig``.

Both talk to the run of the script through a context variable, so that two threads which run
scripts at once do not see each other's model or configuration.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyfunc.errors import (
    INTERNAL_ERROR,
    ConfigKeyError,
    InvalidArgumentError,
    ModelNotFoundError,
    PyfuncError,
    shorten,
)
from pyfunc.files.yaml_reading import read_yaml_mapping

__all__ = ["ModelConfig", "ScriptRun", "read_model_config", "running_script", "set_model"]


class ScriptRun:
    """One run of a models-from-code script: its configuration, and the model that it sets."""

    def __init__(self, model_config: Mapping[str, object] | None) -> None:
        self.model_config = model_config
        self.models: list[object] = []


_current: contextvars.ContextVar[ScriptRun | None] = contextvars.ContextVar(
    "pyfunc_script_run", default=None
)


@contextlib.contextmanager
def running_script(model_config: Mapping[str, object] | None) -> Iterator[ScriptRun]:
    """Collect what a script sets while the body runs it."""
    run = ScriptRun(model_config)
    token = _current.set(run)
    try:
        yield run
    finally:
        _current.reset(token)


def set_model(model: object) -> None:
    """Declare ``model`` to be the model of the script that is running.

    Outside a save or a load this checks ``model`` and has no other effect, so that the script
    can be run by itself.

    Args:
        model: an instance of ``PythonModel``, or a callable of one argument.

    Raises:
        PyfuncError: ``model`` is something else.
    """
    if not callable(model) and not callable(getattr(model, "predict", None)):
        raise PyfuncError(
            f"set_model expects a PythonModel instance or a callable, got {shorten(model)}",
            INTERNAL_ERROR,
        )
    run = _current.get()
    if run is not None:
        run.models.append(model)


class ModelConfig:
    """The configuration of a models-from-code script.

    While a model is saved or loaded this is the model's own configuration; otherwise it is
    ``development_config``.

    Args:
        development_config: a dictionary, or the path of a YAML file.
    """

    def __init__(
        self, *, development_config: Mapping[str, object] | str | os.PathLike[str] | None = None
    ) -> None:
        run = _current.get()
        if run is None:
            self._source: object = development_config
        else:
            # Falling back to development values in a saved model would go unnoticed.
            self._source = run.model_config or None
        if self._source is None:
            raise ModelNotFoundError(
                "the script uses ModelConfig, but no model_config was given\n"
                "hint: pass model_config= to save_model or load_model"
            )
        self._values = read_model_config(self._source)

    def get(self, key: str) -> Any:
        """Return the value of ``key``.

        Raises:
            ConfigKeyError: the configuration has no such key; the text lists those that it has.
        """
        if key not in self._values:
            known = ", ".join(sorted(map(str, self._values))) or "none"
            raise ConfigKeyError(f"model config has no key {key!r}; it has: {known}")
        return self._values[key]

    def to_dict(self) -> dict[str, Any]:
        """Return a copy of the whole configuration."""
        return dict(self._values)


def read_model_config(source: Mapping[str, object] | str | os.PathLike[str]) -> dict[str, Any]:
    """Return a configuration given as a mapping or as the path of a YAML file.

    Raises:
        InvalidArgumentError: the file is missing or is not a YAML mapping, or ``source`` is
            neither a mapping nor a path.
    """
    if isinstance(source, Mapping):
        return dict(source)
    if not isinstance(source, (str, os.PathLike)):
        raise InvalidArgumentError(
            f"model_config: expected a dictionary or a YAML file's path, got {shorten(source)}"
        )
    path = Path(source)
    if not path.is_file():
        raise InvalidArgumentError(f"model_config: no such file: {path}")
    try:
        return read_yaml_mapping(path, by_people=True)
    except PyfuncError as error:
        raise InvalidArgumentError(f"model_config: {error}") from error
