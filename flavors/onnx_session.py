"""Running an ONNX graph: the options of its session, and data into and out of its tensors."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, shorten
from pyfunc.flavors.libraries import import_library
from pyfunc.flavors.onnx_options import (
    EXECUTION_MODES,
    LEVELS,
    THREADS,
    check_providers,
    check_session_options,
)

__all__ = ["OnnxPredictor", "check_session_options", "open_session"]

_logger = logging.getLogger("pyfunc.flavors")


def open_session(graph: str | bytes, options: object, providers: object) -> object:
    """Return an ``onnxruntime.InferenceSession``.

    Args:
        graph: the path of the file, or its content.
        options: as :func:`check_session_options`, or None.
        providers: as :func:`check_providers`, or None; those that are not available here are
            passed over with a log line.

    Raises:
        InvalidArgumentError: an option or a provider is not passed on.
    """
    checked = check_session_options(options or {})
    wanted = check_providers(providers or [])
    runtime = import_library("onnxruntime", extra="onnx", feature="running an ONNX model")
    available = runtime.get_available_providers()
    usable = [item for item in wanted if (item if isinstance(item, str) else item[0]) in available]
    if len(usable) < len(wanted):
        _logger.info("of the providers %s there are %s here", wanted, usable)
    return runtime.InferenceSession(
        graph,
        sess_options=_session_options(runtime, checked),
        providers=usable or ["CPUExecutionProvider"],
    )


def _session_options(runtime: ModuleType, given: Mapping[str, Any]) -> object:
    options = runtime.SessionOptions()
    for name in THREADS:
        if name in given:
            setattr(options, name, given[name])
    if "execution_mode" in given:
        options.execution_mode = getattr(
            runtime.ExecutionMode, EXECUTION_MODES[given["execution_mode"]]
        )
    if "graph_optimization_level" in given:
        options.graph_optimization_level = getattr(
            runtime.GraphOptimizationLevel, LEVELS[given["graph_optimization_level"]]
        )
    for key, value in given["extra_session_config"].items():
        options.add_session_config_entry(key, value)
    # Without it the ending of the file's name decides, and what is checked is ONNX.
    options.add_session_config_entry("session.load_model_format", "ONNX")
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
