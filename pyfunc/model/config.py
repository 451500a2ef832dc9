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
    INVALID_PARAMETER_VALUE,
    ConfigKeyError,
    InvalidArgumentError,
    InvalidTypeError,
    ModelNotFoundError,
    PyfuncError,
    shorten,
)
from pyfunc.files.yaml_reading import read_yaml_mapping
from pyfunc.model.python_model import check_python_model

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
        InvalidArgumentError: ``model`` is something else, which no save would take.
    """
    check_python_model(model, "set_model")
    run = _current.get()
    if run is not None:
        run.models.append(model)


class ModelConfig:
    """The configuration of a models-from-code script.

    While a model is saved or loaded this is the model's own configuration; otherwise it is
    ``development_config``.

    Args:
        development_config: a dictionary, or the path of a YAML file, which is read whenever a
            value is asked for.

    Attributes:
        config: where the values are: a mapping or the path of a file.

    Raises:
        ModelNotFoundError: there is no configuration, or no such file.
        InvalidTypeError: it is neither a mapping nor a path.
    """

    def __init__(
        self, *, development_config: Mapping[str, object] | str | os.PathLike[str] | None = None
    ) -> None:
        run = _current.get()
        # Falling back to development values in a saved model would go unnoticed.
        config = development_config if run is None else run.model_config
        if not config:
            raise ModelNotFoundError(
                "the script uses ModelConfig, but no model_config was given\n"
                "hint: pass model_config= to save_model or load_model"
            )
        if not isinstance(config, Mapping):
            _check_file(config)
        self.config: Mapping[str, object] | str | os.PathLike[str] = config

    def get(self, key: str) -> Any:
        """Return the value of ``key``.

        Raises:
            ConfigKeyError: the configuration has no such key; the text lists those that it has.
        """
        values = self.to_dict()
        if key not in values:
            known = ", ".join(sorted(map(str, values))) or "none"
            raise ConfigKeyError(f"model config has no key {key!r}; it has: {known}")
        return values[key]

    def to_dict(self) -> dict[str, Any]:
        """Return a copy of the whole configuration."""
        return read_model_config(self.config)


def read_model_config(source: Mapping[str, object] | str | os.PathLike[str]) -> dict[str, Any]:
    """Return a configuration given as a mapping or as the path of a YAML file.

    Raises:
        ModelNotFoundError: there is no such file.
        InvalidArgumentError: it is not a YAML mapping.
        InvalidTypeError: ``source`` is neither a mapping nor a path.
    """
    if isinstance(source, Mapping):
        return dict(source)
    path = _check_file(source)
    try:
        return read_yaml_mapping(path, by_people=True)
    except PyfuncError as error:
        raise InvalidArgumentError(f"model_config: {error}") from error


def _check_file(source: object) -> Path:
    if not isinstance(source, (str, os.PathLike)):
        raise InvalidTypeError(
            f"model_config: expected a dictionary or a YAML file's path, got {shorten(source)}"
        )
    path = Path(source)
    if not path.is_file():
        raise ModelNotFoundError(f"model_config: no such file: {path}", INVALID_PARAMETER_VALUE)
    return path
