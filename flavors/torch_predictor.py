"""Running a PyTorch module: data into and out of tensors, and the device that it runs on."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, shorten
from pyfunc.schema import InputExample
from pyfunc.variables import DEVICE

__all__ = ["TorchPredictor", "choose_device", "export"]

Array = npt.NDArray[np.generic]


def choose_device(torch: ModuleType, configured: str | None) -> str:
    """Return the device of the configuration, else of the environment, else a GPU if any."""
    device = configured or DEVICE.read()
    if device:
        return device
    return "cuda:0" if torch.cuda.is_available() else "cpu"


class TorchPredictor:
    """A module in evaluation mode behind the interface that every loaded model has.

    Attributes:
        module: the module.
        mlflow_wrapper: MLflow's module and class that predicts with the same object.
    """

    mlflow_wrapper = "mlflow.pytorch", "_PyTorchWrapper"

    def __init__(self, torch: ModuleType, module: Any, device: str) -> None:
        self._torch = torch
        self._device = device
        self.module = module

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> object:
        """Return what the module gives, for a frame as a frame with the same index.

        Args:
            data: a frame, taken as one float32 tensor, or an array, taken as it is.
            params: keyword arguments of ``forward``, except ``device``.

        Raises:
            InvalidTypeError: ``data`` is nothing of this, or the output is no tensor.
            InvalidArgumentError: ``params`` name a device.
        """
        if params and "device" in params:
            raise InvalidArgumentError(
                "the device cannot be chosen for a single prediction\n"
                "hint: load_model(..., model_config={'device': ...}) chooses it"
            )
        if isinstance(data, pd.DataFrame):
            values = data.to_numpy(dtype=np.float32)
        elif isinstance(data, np.ndarray):
            values = data
        else:
            raise InvalidTypeError(f"expected a DataFrame or an array, got {shorten(type(data))}")
        output = self._run(values, params or {})
        if isinstance(data, pd.DataFrame):
            frame = pd.DataFrame(output)
            frame.index = data.index
            return frame
        return output

    def wrapped(self) -> tuple[object, ...]:
        """Return what MLflow's wrapper is made of."""
        return self.module, self._device

    def get_raw_model(self) -> object:
        """Return the module."""
        return self.module

    def _run(self, values: Array, params: Mapping[str, object]) -> Array:
        torch = self._torch
        with evaluating(torch, self.module), torch.no_grad():
            tensor = torch.from_numpy(_writable(values)).to(self._device)
            output = self.module(tensor, **params)
        if not isinstance(output, torch.Tensor):
            raise InvalidTypeError(
                f"expected the module to return one tensor, got {shorten(type(output))}"
            )
        found: Array = output.cpu().numpy()
        return found


class evaluating:  # noqa: N801 - used like a function, in a with statement
    """Puts a module into evaluation mode for the body, and back into the one that it had."""

    def __init__(self, torch: ModuleType, module: Any) -> None:
        # The module of an exported program has its mode fixed.
        self._module = None if isinstance(module, torch.fx.GraphModule) else module

    def __enter__(self) -> None:
        """Begin."""
        if self._module is not None:
            self._was_training = self._module.training
            if self._was_training:
                self._module.eval()

    def __exit__(self, *error: object) -> None:
        """Restore the mode."""
        if self._module is not None and self._was_training:
            self._module.train()


def _writable(values: Array) -> Array:
    return values if values.flags.writeable else values.copy()


def export(torch: ModuleType, module: object, arguments: Mapping[str, object]) -> object:
    """Return ``module`` as an exported program, traced with the input example.

    The first axis of every input stays free, if the module works for any length of it.

    Raises:
        InvalidArgumentError: there is no example of arrays, or the module cannot be traced.
    """
    given = arguments.get("input_example")
    if given is None:
        raise InvalidArgumentError(
            "serialization_format='pt2' traces the module and needs input_example\n"
            "hint: give an array, or use serialization_format='pickle'"
        )
    data = InputExample.from_value(given).inference_data
    if isinstance(data, pd.DataFrame):
        data = data.to_numpy(dtype=np.float32)
    if not isinstance(data, np.ndarray):
        raise InvalidArgumentError(
            f"input_example: tracing needs an array or a frame, got {shorten(type(data))}"
        )
    example = torch.from_numpy(_writable(data))
    with evaluating(torch, module), torch.no_grad():
        try:
            return torch.export.export(module, (example,), dynamic_shapes=_free_first_axis(torch))
        except Exception:  # a module may be written for one length only
            pass
        try:
            return torch.export.export(module, (example,))
        except Exception as error:
            raise InvalidArgumentError(
                f"the module cannot be exported: {type(error).__name__}: {shorten(str(error))}\n"
                "hint: serialization_format='pickle' keeps the Python object"
            ) from error


def _free_first_axis(torch: ModuleType) -> object:
    return ({0: torch.export.Dim.AUTO},)
