"""What a request handler is told about the inputs and outputs of its model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex, overload

import numpy as np

from pyfunc.handlers.tensor_types import dtype_of, tensorflow_name, type_of_column
from pyfunc.schema import ModelSignature, Schema

__all__ = [
    "HandlerSignature",
    "SignatureField",
    "signatures_of_model",
    "signatures_of_session",
]

_METHOD = "tensorflow/serving/predict"


@dataclass(frozen=True, slots=True)
class SignatureField:
    """One input or output of a model.

    Attributes:
        name: by which a handler refers to it.
        shape: the lengths of its axes; -1, None or a name where any length is possible.
        type: ONNX's name of its type, such as ``tensor(float)``.
    """

    name: str
    shape: list[int | str | None]
    type: str

    @property
    def dtype(self) -> np.dtype[np.generic] | None:
        """The numpy dtype, None for what is no plain tensor."""
        return dtype_of(self.type)


class HandlerSignature(list[SignatureField]):
    """The inputs or the outputs of a model: a list that also finds its fields by name."""

    def __init__(self, fields: Iterable[SignatureField] = ()) -> None:
        super().__init__(fields)
        self._definition: dict[str, Any] = {}

    @overload
    def __getitem__(self, key: SupportsIndex | str) -> SignatureField: ...
    @overload
    def __getitem__(self, key: slice) -> list[SignatureField]: ...
    def __getitem__(
        self, key: SupportsIndex | slice | str
    ) -> SignatureField | list[SignatureField]:
        """Return the field at a position or of a name."""
        if isinstance(key, str):
            for field in self:
                if field.name == key:
                    return field
            raise KeyError(key)
        return super().__getitem__(key)

    @property
    def names(self) -> list[str]:
        """The names of the fields, in order."""
        return [field.name for field in self]

    def as_signature_def(self) -> dict[str, dict[str, Any]]:
        """Return inputs and outputs as TensorFlow describes the signatures of a model.

        It is the same for the inputs and for the outputs of one model.
        """
        return {"predict": self._definition}

    def listing(self) -> dict[str, dict[str, object]]:
        """Return name -> shape and type, as ``GET /predict/signature`` answers."""
        return {
            field.name: {
                "shape": field.shape,
                "type": field.type if field.dtype is None else field.dtype.name,
            }
            for field in self
        }


def signatures_of_model(
    signature: ModelSignature | None,
) -> tuple[HandlerSignature, HandlerSignature]:
    """Return inputs and outputs of a model by its signature; both empty without one."""
    inputs = None if signature is None else signature.inputs
    outputs = None if signature is None else signature.outputs
    return _paired(_fields_of(inputs, "input"), _fields_of(outputs, "output"))


def signatures_of_session(session: Any) -> tuple[HandlerSignature, HandlerSignature]:
    """Return inputs and outputs of an ONNX session, in its order."""
    return _paired(
        *(
            [SignatureField(item.name, list(item.shape), item.type) for item in items]
            for items in (session.get_inputs(), session.get_outputs())
        )
    )


def _fields_of(schema: Schema | None, unnamed: str) -> list[SignatureField]:
    """Return a field for each column; those without names are counted, a single one is not."""
    fields = []
    for position, spec in enumerate([] if schema is None else schema.inputs):
        name = spec.name
        if name is None:
            name = unnamed if len(schema or ()) == 1 else str(position)
        type_name, shape = type_of_column(spec)
        fields.append(SignatureField(str(name), list(shape), type_name))
    return fields


def _paired(
    inputs: Sequence[SignatureField], outputs: Sequence[SignatureField]
) -> tuple[HandlerSignature, HandlerSignature]:
    pair = HandlerSignature(inputs), HandlerSignature(outputs)
    definition = {
        "inputs": _tensors(inputs),
        "outputs": _tensors(outputs),
        "methodName": _METHOD,
    }
    for signature in pair:
        signature._definition = definition
    return pair


def _tensors(fields: Iterable[SignatureField]) -> Mapping[str, object]:
    return {
        field.name: {
            "dtype": tensorflow_name(field.type),
            "tensorShape": {"dim": [{"size": _size(length)} for length in field.shape]},
            "name": f"{field.name}:0",
        }
        for field in fields
    }


def _size(length: object) -> str:
    return str(length) if isinstance(length, int) else "-1"
