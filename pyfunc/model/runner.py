"""Calling a user's ``predict`` with the arguments that its parameters ask for.

Rules: format.md 4.7. The parameters are read once: those of ``predict``
when the model is loaded.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pyfunc.directory.mlmodel import PYTHON_LOADER
from pyfunc.errors import InvalidArgumentError
from pyfunc.model.hints import plain_hint
from pyfunc.model.python_model import PythonModelContext

if TYPE_CHECKING:
    from pyfunc.schema import ModelSignature

__all__ = ["CallStyle", "PythonModelRunner", "prepare_model", "read_call_style"]

_logger = logging.getLogger("pyfunc.predict")


@dataclass(frozen=True)
class CallStyle:
    """What a ``predict`` takes beside its input."""

    context: bool
    params: bool


def read_call_style(method: Callable[..., object]) -> CallStyle:
    """Return how the bound ``method`` is called.

    The context comes first by position if a parameter has its name, or if just two parameters
    are left beside ``params``; ``params`` goes by keyword if a parameter has that name.
    """
    names = list(inspect.signature(method).parameters)
    takes_params = "params" in names
    others = [name for name in names if name != "params"]
    return CallStyle(context="context" in others or len(others) == 2, params=takes_params)


def prepare_model(python_model: object, context: PythonModelContext) -> None:
    """Let ``python_model`` load what it needs; one of another base class may lack the method."""
    load_context: Callable[[PythonModelContext], object] | None = getattr(
        python_model, "load_context", None
    )
    if load_context is not None:
        load_context(context)


class PythonModelRunner:
    """A loaded python model behind the interface that every loaded model has.

    Attributes:
        python_model: the user's object.
        context: what it is given as context.
        signature: the signature of the model, or None.
    """

    def __init__(
        self,
        python_model: Any,
        context: PythonModelContext | None,
        signature: ModelSignature | None,
    ) -> None:
        self.python_model = python_model
        self.context = context
        self.signature = signature
        self._style = read_call_style(python_model.predict)
        self._from_frame = _frame_conversion(python_model)

    @cached_property
    def _stream_style(self) -> CallStyle:
        return read_call_style(self.python_model.predict_stream)

    mlflow_wrapper = PYTHON_LOADER, "_PythonModelPyfuncWrapper"

    def wrapped(self) -> tuple[object, ...]:
        """Return what MLflow's wrapper is made of."""
        return self.python_model, self.context, self.signature

    def __getstate__(self) -> dict[str, object]:
        """Return what MLflow's wrapper keeps."""
        return {
            "python_model": self.python_model,
            "context": self.context,
            "signature": self.signature,
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Take the state of one of ours or of MLflow's wrapper."""
        self.__init__(state["python_model"], state["context"], state["signature"])  # type: ignore[misc]

    def predict(self, model_input: object, params: dict[str, object] | None = None) -> object:
        """Return what the user's ``predict`` gives for ``model_input``."""
        return self._call(self.python_model.predict, self._style, model_input, params)

    def predict_stream(
        self, model_input: object, params: dict[str, object] | None = None
    ) -> Iterator[object]:
        """Return the user's stream of predictions for ``model_input``."""
        stream: Iterator[object] = self._call(
            self.python_model.predict_stream, self._stream_style, model_input, params
        )
        return stream

    def _call(
        self,
        method: Callable[..., object],
        style: CallStyle,
        model_input: object,
        params: dict[str, object] | None,
    ) -> Any:
        if self._from_frame is not None:
            model_input = self._from_frame(model_input)
        arguments = (self.context, model_input) if style.context else (model_input,)
        if style.params:
            return method(*arguments, params=params)
        if params:
            _logger.warning(
                "params %s are ignored: the predict of this model takes none", sorted(params)
            )
        return method(*arguments)


def _frame_conversion(python_model: object) -> Callable[[object], object] | None:
    """Return what turns a frame into the lists that some hints of old releases stand for.

    The model may be of MLflow's own base class, whose hints are of MLflow's own class.
    """
    hints = getattr(python_model, "predict_type_hints", None)
    hint = plain_hint(getattr(hints, "input", None))
    if hint == list[str]:
        return _strings_of
    if hint == list[dict[str, str]]:
        return _records_of
    return None


def _strings_of(data: Any) -> object:
    """Return the first column of ``data`` whose first cell is a str, as a list."""
    if not _is_frame(data):
        return data
    for position in range(data.shape[1]):
        column = data.iloc[:, position]
        if len(column) and isinstance(column.iloc[0], str):
            return column.tolist()
    raise InvalidArgumentError(
        "the model takes list[str]: expected a frame with a column of strings, "
        f"got columns {list(data.columns)[:10]}"
    )


def _records_of(data: Any) -> object:
    """Return the string columns of ``data`` as one dict per row."""
    if not _is_frame(data):
        return data
    if list(data.columns) == [0] and len(data) and isinstance(data.iloc[0, 0], dict):
        return data.iloc[:, 0].tolist()
    strings = [
        position
        for position in range(data.shape[1])
        if len(data) and isinstance(data.iloc[0, position], str)
    ]
    if not strings:
        raise InvalidArgumentError(
            "the model takes list[dict[str, str]]: expected a frame with columns of strings, "
            f"got columns {list(data.columns)[:10]}"
        )
    return data.iloc[:, strings].to_dict("records")


def _is_frame(data: object) -> bool:
    return type(data).__name__ == "DataFrame" and hasattr(data, "iloc")
