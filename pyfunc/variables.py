"""Every environment variable that this library reads or sets: what it is for, and its one reader.

docs/variables.md shows the table. A value that cannot be read is an error that names the variable.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from pyfunc.errors import InvalidArgumentError, shorten

__all__ = [
    "ALLOW_PICKLES",
    "CACHE_FOLDER",
    "COMPRESSION",
    "CONDA_COMMAND",
    "CONDA_EXECUTABLE",
    "CONDA_HOME",
    "CONFIG",
    "DEVICE",
    "ENV_ROOT",
    "FUNCTIONS_ROOT",
    "GIT_PASSWORD",
    "GIT_TOKEN",
    "GIT_USERNAME",
    "HIDE_SCHEMA_DETAILS",
    "INFERENCE_RAISES",
    "IN_SERVER",
    "JOB_INDEX",
    "METRICS_FOLDER",
    "MLFLOW_ENV_ROOT",
    "MODEL_CACHE",
    "NO_COLOR",
    "PROJECT_DIR",
    "PYENV_ROOT",
    "REQUEST_TIMEOUT",
    "SERVER_HOST",
    "SERVER_PORT",
    "SERVER_WORKERS",
    "SHARDS",
    "SKIP_REQUIREMENTS_CHECK",
    "SPARK_HIDES_TRACEBACK",
    "TRACEBACK",
    "TRUST",
    "UV_DETECT",
    "UV_FILES",
    "VARIABLES",
    "BooleanVariable",
    "JsonVariable",
    "NumberVariable",
    "TextVariable",
    "Variable",
    "can_be_value",
]


def can_be_value(text: str) -> bool:
    """Return whether a variable of the environment of a process can hold a text."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable.

    Attributes:
        name: what it is called.
        reader: who reads it.
        meaning: what it does, and what holds where it is not set.
    """

    kind: ClassVar[str]

    name: str
    reader: str
    meaning: str

    def set(self, text: str) -> None:
        """Give the variable ``text`` in this process and those that it starts."""
        os.environ[self.name] = text

    @contextlib.contextmanager
    def setting(self, text: str) -> Iterator[None]:
        """Give the variable ``text`` for the block; it is as before afterwards."""
        before = os.environ.get(self.name)
        os.environ[self.name] = text
        try:
            yield
        finally:
            if before is None:
                del os.environ[self.name]
            else:
                os.environ[self.name] = before


class BooleanVariable(Variable):
    """True or false; ``true`` and ``1``, ``false`` and ``0`` in any case, as in MLflow."""

    kind = "boolean"

    def read(self, *, default: bool) -> bool:
        """Return the value, ``default`` where it is not set.

        Raises:
            InvalidArgumentError: it is set to anything else.
        """
        text = os.environ.get(self.name)
        if text is None:
            return default
        if text.lower() in ("true", "1"):
            return True
        if text.lower() in ("false", "0"):
            return False
        raise InvalidArgumentError(
            f"{self.name}: expected true, false, 1 or 0, got {shorten(text)}"
        )


class TextVariable(Variable):
    """Any text; an empty one counts as not set."""

    kind = "text"

    def read(self) -> str | None:
        """Return the text, None where it is not set."""
        return os.environ.get(self.name) or None


class JsonVariable(Variable):
    """A JSON object; empty text counts as not set."""

    kind = "JSON object"

    def read(self) -> dict[str, Any]:
        """Return the object, an empty one where it is not set.

        Raises:
            InvalidArgumentError: it is set to something else.
        """
        text = os.environ.get(self.name)
        if not text:
            return {}
        try:
            value = json.loads(text)
        except ValueError as error:
            raise InvalidArgumentError(
                f"{self.name}: expected a JSON object, got {shorten(text)} ({error})"
            ) from error
        if not isinstance(value, dict):
            raise InvalidArgumentError(
                f"{self.name}: expected a JSON object, got {shorten(value)}"
            )
        return value


class NumberVariable(Variable):
    """A number; empty text counts as not set."""

    kind = "number"

    def read(self, *, default: float) -> float:
        """Return the number, ``default`` where it is not set.

        Raises:
            InvalidArgumentError: it is set to something else.
        """
        text = os.environ.get(self.name)
        if not text:
            return default
        try:
            return float(text)
        except ValueError as error:
            raise InvalidArgumentError(
                f"{self.name}: expected a number, got {shorten(text)}"
            ) from error


# Of this library.
TRUST = TextVariable(
    "PYFUNC_TRUST", "load_model", "the most that `trust=` may be in this process: one of its modes"
)
ENV_ROOT = TextVariable(
    "PYFUNC_ENV_ROOT", "prepare_environment", "the folder of cached environments"
)
MODEL_CACHE = TextVariable(
    "PYFUNC_MODEL_CACHE",
    "load_model",
    "a folder that keeps models from stores by their digests; else each load downloads anew",
)
PROJECT_DIR = TextVariable(
    "PYFUNC_PROJECT_DIR", "code of handlers", "set, not read: where a handler's project is"
)
TRACEBACK = TextVariable(
    "PYFUNC_TRACEBACK", "the command", "any text adds the traceback to an error"
)

FUNCTIONS_ROOT = TextVariable(
    "PYFUNC_FUNCTIONS_ROOT",
    "functions",
    "the folder of projects, runs and data; else `.pyfunc-functions` in the working directory",
)

SHARDS = TextVariable(
    "PYFUNC_SHARDS", "predict", "how many processes share a file that `--shard env` reads"
)

# Of MLflow, with its meaning.
ALLOW_PICKLES = BooleanVariable(
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION",
    "load_model",
    "false: neither pickles nor code of models run",
)
CONFIG = JsonVariable(
    "MLFLOW_PYFUNC_INFERENCE_CONFIG", "load_model", "overrides of a model's configuration"
)
DEVICE = TextVariable(
    "MLFLOW_DEFAULT_PREDICTION_DEVICE",
    "load_model",
    "the device of PyTorch; else a GPU if there is one",
)
HIDE_SCHEMA_DETAILS = BooleanVariable(
    "MLFLOW_DISABLE_SCHEMA_DETAILS", "predict", "true: errors name no columns and no values"
)
IN_SERVER = BooleanVariable(
    "_MLFLOW_IS_IN_SERVING_ENVIRONMENT",
    "predict",
    "true: data for type hints come from JSON, so text may stand for times and bytes",
)
COMPRESSION = TextVariable(
    "MLFLOW_LOG_MODEL_COMPRESSION",
    "save_model",
    "`lzma`, `bzip2` or `gzip` compress the pickle; anything else is ignored with a log line",
)
INFERENCE_RAISES = BooleanVariable(
    "MLFLOW_REQUIREMENTS_INFERENCE_RAISE_ERRORS",
    "save_model",
    "true: requirements that cannot be inferred are an error, else a log line",
)
UV_DETECT = BooleanVariable(
    "MLFLOW_UV_AUTO_DETECT",
    "save_model",
    "false: a uv project in the working directory is not looked for",
)
UV_FILES = BooleanVariable(
    "MLFLOW_LOG_UV_FILES", "save_model", "false: files of a uv project are not stored"
)
SKIP_REQUIREMENTS_CHECK = BooleanVariable(
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK",
    "save_model",
    "true: requirements of one package that contradict each other are written down, not refused",
)
REQUEST_TIMEOUT = NumberVariable(
    "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT",
    "serve",
    "seconds until a request is answered, without `--timeout` and `predict_timeout`; else 60",
)
SERVER_PORT = NumberVariable("MLFLOW_PORT", "the command `serve`", "the port without `--port`")
SERVER_HOST = TextVariable("MLFLOW_HOST", "the command `serve`", "the address without `--host`")
SERVER_WORKERS = NumberVariable(
    "MLFLOW_MODELS_WORKERS", "the command `serve`", "the processes without `--workers`"
)
MLFLOW_ENV_ROOT = TextVariable(
    "MLFLOW_ENV_ROOT", "prepare_environment", "where `PYFUNC_ENV_ROOT` is not set: the same"
)
CONDA_HOME = TextVariable(
    "MLFLOW_CONDA_HOME", "prepare_environment", "where conda is; else it is looked for on `PATH`"
)
CONDA_COMMAND = TextVariable(
    "MLFLOW_CONDA_CREATE_ENV_CMD", "prepare_environment", "a program to use in place of conda"
)

# Of other programs.
JOB_INDEX = TextVariable(
    "JOB_COMPLETION_INDEX", "predict", "set by an indexed Job of Kubernetes: which share is read"
)
CONDA_EXECUTABLE = TextVariable(
    "CONDA_EXE", "prepare_environment", "the conda of the active environment, if `PATH` has none"
)
PYENV_ROOT = TextVariable(
    "PYENV_ROOT", "prepare_environment", "where pyenv has its Pythons; else `~/.pyenv`"
)
CACHE_FOLDER = TextVariable(
    "XDG_CACHE_HOME", "prepare_environment", "the user's cache; else `~/.cache`"
)
METRICS_FOLDER = TextVariable(
    "PROMETHEUS_MULTIPROC_DIR",
    "serve",
    "where several workers share their figures; else a temporary folder",
)
GIT_TOKEN = TextVariable(
    "GIT_TOKEN",
    "functions",
    "what git is given for code in a repository; goes before the next two",
)
GIT_USERNAME = TextVariable("GIT_USERNAME", "functions", "the user that git is given")
GIT_PASSWORD = TextVariable("GIT_PASSWORD", "functions", "the password of that user")
NO_COLOR = TextVariable("NO_COLOR", "the command", "any text: no colours")
SPARK_HIDES_TRACEBACK = TextVariable(
    "SPARK_HIDE_TRACEBACK",
    "spark_udf",
    "set, not read: a worker of Spark that ends with an error of a model tells the error first",
)

VARIABLES: tuple[Variable, ...] = (
    TRUST, ENV_ROOT, MODEL_CACHE, PROJECT_DIR, TRACEBACK, FUNCTIONS_ROOT, SHARDS,
    ALLOW_PICKLES, CONFIG, DEVICE, HIDE_SCHEMA_DETAILS, IN_SERVER, COMPRESSION, INFERENCE_RAISES,
    UV_DETECT, UV_FILES, SKIP_REQUIREMENTS_CHECK, REQUEST_TIMEOUT, SERVER_PORT, SERVER_HOST,
    SERVER_WORKERS, MLFLOW_ENV_ROOT, CONDA_HOME, CONDA_COMMAND,
    JOB_INDEX, CONDA_EXECUTABLE, PYENV_ROOT, CACHE_FOLDER, METRICS_FOLDER, GIT_TOKEN,
    GIT_USERNAME, GIT_PASSWORD, NO_COLOR, SPARK_HIDES_TRACEBACK,
)  # fmt: skip
