"""Running an ONNX graph: the options of its session, and data into and out of its tensors."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, shorten
from pyfunc.flavors.libraries import import_library

__all__ = ["OnnxPredictor", "check_session_options", "open_session"]

_logger = logging.getLogger("pyfunc.flavors")

_THREADS = ("inter_op_num_threads", "intra_op_num_threads")
_MODES = {"sequential": "ORT_SEQUENTIAL", "parallel": "ORT_PARALLEL"}
_LEVELS = {
    0: "ORT_DISABLE_ALL",
    1: "ORT_ENABLE_BASIC",
    2: "ORT_ENABLE_EXTENDED",
    99: "ORT_ENABLE_ALL",
}
_KEYS = (*_THREADS, "execution_mode", "graph_optimization_level", "extra_session_config")


def check_session_options(options: Mapping[str, object]) -> None:
    """Check the options of a session by name and value.

    Raises:
        InvalidArgumentError: one is unknown or has a value that cannot work.
    """
    unknown = sorted(options.keys() - set(_KEYS))
    if unknown:
        raise InvalidArgumentError(
            f"onnx_session_options: expected {', '.join(_KEYS)}, got {', '.join(unknown)}"
        )
    for key, allowed in (("execution_mode", _MODES), ("graph_optimization_level", _LEVELS)):
        value = options.get(key)
        if value is not None and value not in allowed:
            raise InvalidArgumentError(
                f"onnx_session_options[{key!r}]: expected one of "
                f"{', '.join(str(item) for item in allowed)}, got {shorten(value)}"
            )


def open_session(
    graph: str | bytes, options: Mapping[str, object] | None, providers: Sequence[Any] | None
) -> object:
    """Return an ``onnxruntime.InferenceSession``.

    Args:
        graph: the path of the file, or its content.
        options: as :func:`check_session_options`.
        providers: those that are not available here are passed over with a log line.
    """
    runtime = import_library("onnxruntime", extra="onnx", feature="running an ONNX model")
    available = runtime.get_available_providers()
    wanted = list(providers or ())
    usable = [item for item in wanted if _provider_name(item) in available]
    if len(usable) < len(wanted):
        _logger.info("of the providers %s there are %s here", wanted, usable)
    return runtime.InferenceSession(
        graph,
        sess_options=_session_options(runtime, options or {}),
        providers=usable or ["CPUExecutionProvider"],
    )


def _provider_name(provider: object) -> object:
    return provider[0] if isinstance(provider, (list, tuple)) and provider else provider


def _session_options(runtime: ModuleType, given: Mapping[str, Any]) -> object:
    check_session_options(given)
    options = runtime.SessionOptions()
    for name in _THREADS:
        if given.get(name) is not None:
            setattr(options, name, given[name])
    if given.get("execution_mode") is not None:
        options.execution_mode = getattr(runtime.ExecutionMode, _MODES[given["execution_mode"]])
    if given.get("graph_optimization_level") is not None:
        options.graph_optimization_level = getattr(
            runtime.GraphOptimizationLevel, _LEVELS[given["graph_optimization_level"]]
        )
    for key, value in (given.get("extra_session_config") or {}).items():
        options.add_session_config_entry(str(key), str(value))
    return options


class OnnxPredictor:
    """A session of onnxruntime behind the interface that every loaded model has.

    Attributes:
        session: the ``onnxruntime.InferenceSession``.
    """

    def __init__(self, session: Any) -> None:
        self.session = session
        self._inputs = [(node.name, node.type) for node in session.get_inputs()]
        self._outputs = [node.name for node in session.get_outputs()]

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> object:
        """Return the outputs of the graph by name; ``params`` are ignored.

        Args:
            data: a mapping of input name to array, one array for a graph of one input, or a
                frame: all its columns for a graph of one input, else one column per input.
                Arrays of float64 are cast where the graph takes float32.
            params: ignored.

        Returns:
            A dict, or for a frame a frame with each output flattened into a column.

        Raises:
            InvalidTypeError: ``data`` is nothing of this.
            InvalidArgumentError: it is one array, and the graph has several inputs.
        """
        outputs = self.session.run(self._outputs, self._feed(data))
        if isinstance(data, pd.DataFrame):
            columns = {
                name: np.asarray(output).reshape(-1)
                for name, output in zip(self._outputs, outputs, strict=True)
            }
            return pd.DataFrame.from_dict(columns)
        return dict(zip(self._outputs, outputs, strict=True))

    def get_raw_model(self) -> object:
        """Return the session."""
        return self.session

    def _feed(self, data: object) -> dict[str, object]:
        if isinstance(data, Mapping):
            feed = dict(data)
        elif isinstance(data, np.ndarray):
            feed = {self._only_input(): data}
        elif isinstance(data, pd.DataFrame):
            feed = self._of_frame(data)
        else:
            raise InvalidTypeError(
                f"expected a dict of arrays, an array or a DataFrame, got {shorten(type(data))}"
            )
        for name, kind in self._inputs:
            value = feed.get(name)
            is_double = isinstance(value, np.ndarray) and value.dtype == np.float64
            if kind == "tensor(float)" and is_double:
                feed[name] = np.asarray(value, dtype=np.float32)
        return feed

    def _only_input(self) -> str:
        names = [str(name) for name, _ in self._inputs]
        if len(names) != 1:
            raise InvalidArgumentError(
                f"one array cannot be the input of a graph with {len(names)} inputs\n"
                f"hint: give a dict of arrays, or a frame, with {names}"
            )
        return names[0]

    def _of_frame(self, frame: pd.DataFrame) -> dict[str, object]:
        if len(self._inputs) == 1:
            return {self._inputs[0][0]: frame.to_numpy()}
        return {name: frame[name].to_numpy() for name, _ in self._inputs if name in frame}
