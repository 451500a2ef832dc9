"""scikit-learn estimators: pickle, cloudpickle and skops files (format.md 7.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pyfunc.errors import (
    MissingDependencyError,
    ModelFormatError,
    ModelIncompleteError,
    PyfuncError,
    UntrustedModelError,
    shorten,
)
from pyfunc.flavors.pickled_parts import load_pickled
from pyfunc.mlmodel import FLAVOR_NAME as PYTHON_FUNCTION
from pyfunc.mlmodel import MLMODEL_FILE
from pyfunc.opened_model import OpenedModel

__all__ = ["FLAVOR_NAME", "SklearnPredictor", "load_opened"]

FLAVOR_NAME = "sklearn"

_METHODS = ("predict_proba", "predict_log_proba", "predict_joint_log_proba")


class SklearnPredictor:
    """An estimator behind the interface that every loaded model has.

    It also has those of the estimator's methods that ``predict_fn`` may name.
    """

    def __init__(self, estimator: Any) -> None:
        self.sklearn_model = estimator
        for name in _METHODS:
            method = getattr(estimator, name, None)
            if callable(method):
                setattr(self, name, _of_one_argument(method))

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return what the estimator's ``predict`` gives; ``params`` are ignored."""
        return self.sklearn_model.predict(data)

    def get_raw_model(self) -> Any:
        """Return the estimator."""
        return self.sklearn_model


def _of_one_argument(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    # A pipeline's methods have **params, which are not the parameters of a signature.
    def call(data: Any) -> Any:
        return method(data)

    return call


def load_opened(opened: OpenedModel) -> SklearnPredictor:
    """Return the estimator of an opened model directory, ready to predict.

    Raises:
        ModelIncompleteError: its file is missing, damaged or needs what is not installed.
        UntrustedModelError: the policy in force forbids loading it.
        MissingDependencyError: scikit-learn or skops is not installed.
    """
    return SklearnPredictor(_load_estimator(opened))


def _load_estimator(opened: OpenedModel) -> Any:
    _require_sklearn()
    relative, key = _model_file(opened)
    # Releases before the key existed wrote plain pickles.
    written = opened.flavor(FLAVOR_NAME).get("serialization_format") or "pickle"
    if written in ("pickle", "cloudpickle"):
        return load_pickled(opened, relative, key=key)
    if written == "skops":
        return _load_skops(opened, relative, key)
    raise ModelFormatError(
        f"expected pickle, cloudpickle or skops, got {shorten(written)}",
        path=opened.root / MLMODEL_FILE,
        key=f"flavors.{FLAVOR_NAME}.serialization_format",
    )


def _model_file(opened: OpenedModel) -> tuple[object, str]:
    """Return the file of the estimator, and the key that names it: ``data`` before MLflow 1.10."""
    sections = (
        (FLAVOR_NAME, opened.flavor(FLAVOR_NAME), ("pickled_model",)),
        (PYTHON_FUNCTION, opened.section, ("model_path", "data")),
    )
    for name, section, keys in sections:
        for key in keys:
            if section.get(key) is not None:
                return section[key], f"flavors.{name}.{key}"
    raise ModelFormatError(
        "expected the file of the estimator, missing",
        path=opened.root / MLMODEL_FILE,
        key=f"flavors.{FLAVOR_NAME}.pickled_model",
    )


def _load_skops(opened: OpenedModel, relative: object, key: str) -> Any:
    try:
        from skops import io
        from skops.io.exceptions import UntrustedTypesFoundException
    except ImportError as error:
        raise MissingDependencyError(
            "a scikit-learn model in the skops format", "pip install 'pyfunc-format[sklearn]'"
        ) from error
    trusted = opened.flavor(FLAVOR_NAME).get("skops_trusted_types") or []
    data = opened.files.read(relative, key=key)
    try:
        with opened.scope.active():
            return io.loads(data, trusted=list(trusted))
    except PyfuncError:
        raise
    except UntrustedTypesFoundException as error:
        raise UntrustedModelError(
            f"{opened.root / str(relative)}: {error}\n"
            "hint: save the model with skops_trusted_types"
        ) from error
    except Exception as error:
        raise ModelIncompleteError(
            f"the skops file cannot be read: {type(error).__name__}: {error}",
            path=opened.root / str(relative),
        ) from error


def _require_sklearn() -> None:
    try:
        import sklearn  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise MissingDependencyError(
            "a scikit-learn model", "pip install 'pyfunc-format[sklearn]'"
        ) from error
