"""Running an ONNX graph: the options of its session, and data into and out of its tensors."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
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
from pyfunc.flavors.onnx_tensors import (
    GraphInput,
    columns_to_tensors,
    table_to_tensor,
    tensors_to_frame,
)

if TYPE_CHECKING:
    from pyfunc.model.rows import RowMethod

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
        self._inputs = [GraphInput.of_node(node) for node in session.get_inputs()]
        self._outputs = [node.name for node in session.get_outputs()]

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> object:
        """Return the outputs of the graph by name; ``params`` are ignored.

        Args:
            data: a mapping of input name to array, one array for a graph of one input, or a
                frame: all its columns for a graph of one input, else one column per input.
                Numbers are cast to the type of the graph where no value changes, and doubles
                to single precision.
            params: ignored.

        Returns:
            A dict, or for a frame a frame with each output flattened into a column; where
            they differ in length, with arrays in those of several values per row.

        Raises:
            InvalidTypeError: ``data`` is nothing of this.
            InvalidArgumentError: it is one array, and the graph has several inputs; or a value
                does not fit the type of the graph.
        """
        outputs = self._run(self._feed(data))
        if isinstance(data, pd.DataFrame):
            return tensors_to_frame(self._outputs, outputs, len(data))
        return dict(zip(self._outputs, outputs, strict=True))

    def row_method(self, name: str, columns: list[str]) -> RowMethod | None:
        """Return a method for rows of numbers, which no graph runs code of a user for.

        None for a graph of several inputs, each of which takes a column.
        """
        if name != "predict" or len(self._inputs) != 1:
            return None

        def call(cells: npt.NDArray[np.generic]) -> object:
            feed = table_to_tensor(self._inputs[0], cells)
            return tensors_to_frame(self._outputs, self._run(feed), len(cells))

        return call

    def get_raw_model(self) -> object:
        """Return the session."""
        return self.session

    def _run(self, feed: Mapping[str, object]) -> list[object]:
        casts = {item.name: item.cast for item in self._inputs if item.name in feed}
        given = {**feed, **{name: cast(feed[name]) for name, cast in casts.items()}}
        outputs: list[object] = self.session.run(self._outputs, given)
        return outputs

    def _feed(self, data: object) -> Mapping[str, object]:
        if isinstance(data, Mapping):
            return data
        if isinstance(data, np.ndarray):
            return {self._only_input(): data}
        if isinstance(data, pd.DataFrame):
            return columns_to_tensors(self._inputs, data)
        raise InvalidTypeError(
            f"expected a dict of arrays, an array or a DataFrame, got {shorten(type(data))}"
        )

    def _only_input(self) -> str:
        names = [item.name for item in self._inputs]
        if len(names) != 1:
            raise InvalidArgumentError(
                f"one array cannot be the input of a graph with {len(names)} inputs\n"
                f"hint: give a dict of arrays, or a frame, with {names}"
            )
        return names[0]
