"""The models that handlers work around: an ONNX session, or anything with a signature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pyfunc.errors import SchemaError
from pyfunc.handlers.conversion import pick_values, to_array, to_feeds
from pyfunc.handlers.project import OutputStyle
from pyfunc.handlers.signatures import (
    HandlerSignature,
    signatures_of_model,
    signatures_of_session,
)
from pyfunc.schema import Array, ColSpec, DataType, Schema, as_predict_error, enforce_schema

if TYPE_CHECKING:
    from pyfunc.model.loaded import PyFuncModel

__all__ = ["Adapter", "ModelAdapter", "SessionAdapter", "adapt"]


class Adapter(Protocol):
    """A model as a request handler sees it."""

    inputs: HandlerSignature
    outputs: HandlerSignature

    def predict(self, prepared: object) -> Any:
        """Return what ``post_inference`` is given for what ``pre_inference`` returned."""


def adapt(model: PyFuncModel, style: OutputStyle | None) -> Adapter:
    """Return ``model`` for a handler; the style of its output is that of its kind by default."""
    session = _find_session(model)
    if session is not None and style != "pyfunc":
        return SessionAdapter(session)
    return ModelAdapter(model, style or "pyfunc")


def _find_session(model: PyFuncModel) -> object:
    try:
        raw = model.get_raw_model()
    except NotImplementedError:
        return None
    needed = ("get_inputs", "get_outputs", "run")
    return raw if all(callable(getattr(raw, name, None)) for name in needed) else None


class SessionAdapter:
    """An ONNX session: takes one sample, and answers with a list of one entry per output."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.inputs, self.outputs = signatures_of_session(session)

    def predict(self, prepared: object) -> Any:
        """Return the outputs of the session for one sample.

        Raises:
            InvalidArgumentError: with ``BAD_REQUEST``, an input is missing or does not fit.
        """
        return self._session.run(None, to_feeds(prepared, self.inputs))


class ModelAdapter:
    """A loaded model; its signature is enforced as for every call of ``predict``.

    Args:
        model: the model.
        style: what it answers with: what ``predict`` returned, or a list of arrays.
    """

    def __init__(self, model: PyFuncModel, style: OutputStyle) -> None:
        self._model = model
        self._style = style
        self.inputs, self.outputs = signatures_of_model(model.metadata.signature)

    def predict(self, prepared: object) -> Any:
        """Return the predictions for what ``pre_inference`` returned.

        Raises:
            InvalidArgumentError: with ``BAD_REQUEST``, an input is missing or does not fit.
            SchemaError: values do not fit the signature.
        """
        found = self._model.predict(self._to_data(prepared))
        return found if self._style == "pyfunc" else to_outputs(found)

    def _to_data(self, prepared: object) -> object:
        schema = self._model.input_schema
        if schema is None:
            return prepared
        if schema.is_tensor_spec():
            return self._to_tensors(prepared, schema)
        if isinstance(prepared, (list, np.ndarray)) and len(schema.inputs) == 1:
            prepared = {self.inputs[0].name: prepared}
        if isinstance(prepared, Mapping):
            prepared = _to_columns(prepared, schema, self.inputs)
        # What JSON has no better type for, such as 5 for a double, is cast where nothing is lost.
        try:
            return enforce_schema(prepared, schema, coerce="safe")
        except SchemaError as error:
            raise as_predict_error(error) from error

    def _to_tensors(self, prepared: object, schema: Schema) -> object:
        values = pick_values(prepared, self.inputs)
        named = len(self.inputs) > 1
        arrays = {
            field.name: to_array(values[field.name], field, named=named, keep_batches=True)
            for field in self.inputs
        }
        return arrays if schema.has_input_names() else arrays[self.inputs[0].name]


def _to_columns(prepared: Mapping[str, Any], schema: Schema, inputs: HandlerSignature) -> object:
    """Return the frame of a mapping: one row if its values are single cells, else a table."""
    import pandas as pd

    specs = dict(zip(inputs.names, schema.inputs, strict=True))
    required = [inputs[name] for name, spec in specs.items() if spec.required is not False]
    pick_values(prepared, required) if required else None
    found = {name: prepared[name] for name in specs if name in prepared}
    is_row = all(_is_cell(value, specs[name]) for name, value in found.items())
    labels = [specs[name].name for name in found]
    if labels and labels[0] is None:
        labels = list(range(len(labels)))
    columns = {
        label: [value] if is_row else list(value) if _is_list(value) else value
        for label, value in zip(labels, found.values(), strict=True)
    }
    return pd.DataFrame(columns)


def _is_cell(value: object, spec: object) -> bool:
    if not isinstance(spec, ColSpec) or isinstance(spec.type, DataType):
        return not _is_list(value)
    depth = 0
    column: object = spec.type
    while isinstance(column, Array):
        depth, column = depth + 1, column.dtype
    return _depth(value) <= depth


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _depth(value: object) -> int:
    if isinstance(value, np.ndarray):
        return value.ndim
    if not isinstance(value, (list, tuple)):
        return 0
    return 1 + max((_depth(item) for item in value[:1]), default=0)


def to_outputs(found: object) -> list[object]:
    """Return a prediction as an ONNX session gives it: a list of one array per output."""
    if hasattr(found, "items") and hasattr(found, "keys"):  # a dict or a frame
        return [np.asarray(values) for _, values in found.items()]
    return [np.asarray(found)]
