"""The classes that users subclass or wrap: their model, and the context that it is given.

Instances end up in pickles under MLflow's names for these classes, so nothing here may keep
state in an instance that MLflow's own classes would not understand.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard

from pyfunc.directory.mlmodel import PYTHON_LOADER
from pyfunc.errors import InvalidArgumentError, PyfuncWarning, shorten
from pyfunc.model.hints import TypeHints, read_type_hints, wrap_method

__all__ = [
    "FunctionModel",
    "PythonModel",
    "PythonModelContext",
    "check_python_model",
    "is_python_model",
    "overrides_stream",
]

_EXPECTED_NAMES = ("context", "model_input", "params")


def _check_parameters(cls: type, method: Callable[..., object]) -> None:
    names = list(inspect.signature(method).parameters)[1:]
    if not names:
        raise InvalidArgumentError(
            f"{cls.__name__}.{method.__name__} takes no input\n"
            "hint: define it as predict(self, context, model_input, params=None) "
            "or predict(self, model_input)"
        )
    unexpected = [name for name in names if name not in _EXPECTED_NAMES]
    if unexpected:
        warnings.warn(
            f"{cls.__name__}.{method.__name__}: parameters {unexpected} are bound by position; "
            f"MLflow's names are {', '.join(_EXPECTED_NAMES)}",
            PyfuncWarning,
            stacklevel=4,
        )


class PythonModelContext:
    """What a model finds beside itself: its artifacts and its configuration."""

    def __init__(
        self,
        artifacts: Mapping[str, str] | None = None,
        model_config: Mapping[str, object] | None = None,
    ) -> None:
        self._artifacts = dict(artifacts or {})
        self._model_config = None if model_config is None else dict(model_config)

    @property
    def artifacts(self) -> dict[str, str]:
        """Artifact name -> absolute path of the file or folder."""
        return self._artifacts

    @property
    def model_config(self) -> dict[str, Any] | None:
        """The configuration of the model, or None."""
        return self._model_config


class PythonModel:
    """A model written in Python: subclass it and define ``predict``.

    ``predict`` may take ``(model_input)``, ``(model_input, params=None)``,
    ``(context, model_input)`` or ``(context, model_input, params=None)``. A type hint of the form
    ``list[...]`` on ``model_input`` makes the signature, and is checked on every call.

    Defining a subclass issues a :class:`~pyfunc.PyfuncWarning` when its parameters have other
    names or its hint cannot be checked.
    """

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls._wrap_methods()

    @classmethod
    def _wrap_methods(cls) -> None:
        # A class that is being unpickled arrives empty; its methods follow, already wrapped.
        predict = cls.__dict__.get("predict")
        if inspect.isfunction(predict):
            _check_parameters(cls, predict)
            cls.predict = wrap_method(predict)  # type: ignore[method-assign]
        stream = cls.__dict__.get("predict_stream")
        if inspect.isfunction(stream):
            _check_parameters(cls, stream)

    def load_context(self, context: PythonModelContext) -> None:
        """Prepare the model once after it is loaded; files are in ``context.artifacts``."""

    # Declared so that type checkers accept every parameter list that a subclass may choose.
    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Return the predictions for the model input."""
        raise NotImplementedError(f"{type(self).__name__} does not define predict")

    def predict_stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Yield the parts of the prediction for the model input."""
        raise NotImplementedError(f"{type(self).__name__} does not define predict_stream")

    @property
    def predict_type_hints(self) -> TypeHints:
        """The type hints on the input and the output of ``predict``."""
        return read_type_hints(self.predict)


class FunctionModel(PythonModel):
    """A plain function or callable object of one argument, as a model.

    Attributes:
        func: the callable.
        signature: unused here; MLflow's class has it.
    """

    def __init__(self, func: Callable[[Any], Any], signature: object = None) -> None:
        self.signature = signature
        self.func = func

    @property
    def predict_type_hints(self) -> TypeHints:
        """The type hints on the input and the output of the function."""
        return read_type_hints(self.func)

    # A hint other than Any would be read as a hint of the user's.
    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Return what the function gives for ``model_input``."""
        # Functions saved by MLflow 2.x before 2.20 could take params too.
        if "hints" in vars(self) and "params" in inspect.signature(self.func).parameters:
            return self.func(model_input, params)  # type: ignore[call-arg]
        return self.func(model_input)


def is_python_model(value: object) -> TypeGuard[PythonModel]:
    """Return whether ``value`` is an instance of PythonModel, ours or that of real MLflow."""
    return _is_model_class(type(value))


def check_python_model(value: object, argument: str = "python_model") -> None:
    """Check that ``value`` can be saved as a python model.

    Raises:
        InvalidArgumentError: it is neither a PythonModel instance nor a callable of one argument.
    """
    if is_python_model(value):
        return
    if not callable(value):
        raise InvalidArgumentError(
            f"{argument}: expected a PythonModel instance or a callable of one argument, got "
            f"{shorten(value)}\nhint: save_model takes the path of a script with set_model, too"
        )
    if isinstance(value, type) and _is_model_class(value):
        raise InvalidArgumentError(
            f"{argument}: expected an instance, got the class {value.__name__}\n"
            f"hint: pass {value.__name__}()"
        )
    try:
        parameters = inspect.signature(value).parameters
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"{argument}: the parameters of {shorten(value)} cannot be read"
        ) from error
    if len(parameters) != 1:
        raise InvalidArgumentError(
            f"{argument}: a callable must take exactly one argument, "
            f"{shorten(value)} takes {len(parameters)}"
        )


def _is_model_class(kind: type) -> bool:
    return any(base.__name__ == "PythonModel" and _is_base(base) for base in kind.__mro__)


def overrides_stream(model: object) -> bool:
    """Return whether ``model`` defines ``predict_stream`` itself."""
    for kind in type(model).__mro__:
        if "predict_stream" in vars(kind):
            # MLflow's base class, where that is installed, has the method too.
            return kind.__name__ != "PythonModel" or not _is_base(kind)
    return False


def _is_base(kind: type) -> bool:
    return kind is PythonModel or kind.__module__ == PYTHON_LOADER
