"""Places that only MLflow's client can resolve: models of a registry, runs, logged models.

The client is asked where such a place is named, and imported nowhere else. Which server it speaks
to is its own setting, ``MLFLOW_TRACKING_URI``.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType, TracebackType

from pyfunc.errors import (
    INVALID_PARAMETER_VALUE,
    RESOURCE_DOES_NOT_EXIST,
    InvalidArgumentError,
    MissingDependencyError,
    ModelNotFoundError,
    PyfuncError,
    StoreError,
)
from pyfunc.files.urls import harmless_cause, without_credentials

__all__ = ["download_tracked", "import_client", "is_tracked", "tracking_errors"]

_SCHEMES = ("models:", "runs:", "mlflow-artifacts:", "dbfs:")
_INSTALL = "pip install 'pyfunc-format[tracking]', or pip install mlflow-skinny"
_NOT_THERE = (RESOURCE_DOES_NOT_EXIST, "NOT_FOUND")
# MLflow has no codes for these: an alias or a stage that nothing has, and a URI that is none.
_SAYS_NOT_THERE = re.compile(r"alias .* not found|No versions of model")
_SAYS_NO_URI = re.compile(r"Not a proper \S+ URI")


def is_tracked(text: str) -> bool:
    """Return whether ``text`` is a URI that MLflow's client resolves."""
    return text.startswith(_SCHEMES)


def import_client(module: str, *, what: str) -> ModuleType:
    """Return a module of MLflow's client.

    Args:
        module: its name, which begins with ``mlflow``.
        what: what needs it, for the message.

    Raises:
        MissingDependencyError: MLflow's client is not installed; names the pip command.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(without_credentials(what), _INSTALL) from error


def download_tracked(uri: str, directory: Path | None) -> Path:
    """Return where MLflow's client has put what is at ``uri``: in ``directory``, if one is given.

    Raises:
        MissingDependencyError: MLflow's client is not installed; names the pip command.
        ModelNotFoundError: the server has no such thing.
        InvalidArgumentError: the client does not understand the URI.
        StoreError: the server cannot be reached, or refuses.
    """
    artifacts = import_client("mlflow.artifacts", what=f"reading {uri}")
    with tracking_errors(uri):
        target = None if directory is None else str(directory)
        return Path(artifacts.download_artifacts(artifact_uri=uri, dst_path=target)).absolute()


class tracking_errors:  # noqa: N801 - it reads as what it does
    """Turn what MLflow's client raises in the body into an error of ours that names ``what``."""

    def __init__(self, what: str) -> None:
        self._told = without_credentials(what)

    def __enter__(self) -> None:
        """Nothing is done yet."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Raise ours in place of the error.

        Raises:
            ModelNotFoundError: the server has no such thing.
            InvalidArgumentError: the client refused an argument.
            StoreError: anything else went wrong.
        """
        if not isinstance(error, Exception) or isinstance(error, PyfuncError):
            return
        code = getattr(error, "error_code", None)
        text = without_credentials(f"{self._told}: {error}")
        cause = harmless_cause(error)
        not_there = code in _NOT_THERE or _SAYS_NOT_THERE.search(text)
        if not_there or isinstance(error, FileNotFoundError):
            raise ModelNotFoundError(text) from cause
        if code == INVALID_PARAMETER_VALUE or _SAYS_NO_URI.search(text):
            raise InvalidArgumentError(text) from cause
        raise StoreError(text, code if isinstance(code, str) else None) from cause
