"""What a model takes and gives: the signature that an MLmodel file holds."""

from __future__ import annotations

import dataclasses
from typing import Any

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, PyfuncError, shorten
from pyfunc.schema.schemas import ParamSchema, Schema

__all__ = ["ModelSignature", "check_readable"]


class ModelSignature:
    """The schemas of the input, the output and the parameters; at least one is given.

    Attributes:
        inputs: a Schema, or a dataclass to make one of, or None.
        outputs: the same for what ``predict`` returns.
        params: a ParamSchema or None.
    """

    # The two flags are written beside the signature in MLmodel; instances that older
    # releases of MLflow pickled lack them.
    __is_signature_from_type_hint = False
    __is_type_hint_from_example = False

    def __init__(self, inputs: object = None, outputs: object = None, params: Any = None) -> None:
        if inputs is None and outputs is None and params is None:
            raise InvalidArgumentError("a signature needs inputs, outputs or params")
        self.inputs = _check_schema(inputs, "inputs")
        self.outputs = _check_schema(outputs, "outputs")
        if params and not isinstance(params, ParamSchema):
            raise InvalidTypeError(f"params must be a ParamSchema or None, got {shorten(params)}")
        self.params = params

    @property
    def _is_signature_from_type_hint(self) -> bool:
        return self.__is_signature_from_type_hint

    @_is_signature_from_type_hint.setter
    def _is_signature_from_type_hint(self, value: bool) -> None:
        self.__is_signature_from_type_hint = value

    @property
    def _is_type_hint_from_example(self) -> bool:
        return self.__is_type_hint_from_example

    @_is_type_hint_from_example.setter
    def _is_type_hint_from_example(self, value: bool) -> None:
        self.__is_type_hint_from_example = value

    def to_dict(self) -> dict[str, Any]:
        """Return the form in MLmodel: each part as JSON text, None if absent or empty."""
        return {
            "inputs": self.inputs.to_json() if self.inputs else None,
            "outputs": self.outputs.to_json() if self.outputs else None,
            "params": self.params.to_json() if self.params else None,
        }

    @classmethod
    def from_dict(cls, signature_dict: dict[str, Any]) -> ModelSignature:
        """Return the signature of the form in MLmodel; a part may be missing.

        Raises:
            InvalidArgumentError: no part is there, or one is malformed.
            InvalidTypeError: a part is not a text.
        """
        if not isinstance(signature_dict, dict):
            raise InvalidTypeError(f"a signature must be a dict, got {shorten(signature_dict)}")
        inputs, outputs, params = map(signature_dict.get, ("inputs", "outputs", "params"))
        return cls(
            inputs=Schema.from_json(inputs) if inputs else None,
            outputs=Schema.from_json(outputs) if outputs else None,
            params=ParamSchema.from_json(params) if params else None,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelSignature) and (
            (self.inputs, self.outputs, self.params) == (other.inputs, other.outputs, other.params)
        )

    def __repr__(self) -> str:
        return (
            f"inputs: \n  {self.inputs!r}\noutputs: \n  {self.outputs!r}\n"
            f"params: \n  {self.params!r}\n"
        )


def _check_schema(schema: object, argument: str) -> Any:
    """Return a schema, that of a dataclass, or a falsy value as it is (MLflow takes those)."""
    if not schema or isinstance(schema, Schema):
        return schema
    if dataclasses.is_dataclass(schema):
        from pyfunc.schema.dataclass_schemas import convert_dataclass_to_schema

        return convert_dataclass_to_schema(schema)
    raise InvalidTypeError(
        f"{argument} must be a Schema, a dataclass or None, got {shorten(schema)}"
    )


def check_readable(signature: ModelSignature) -> ModelSignature:
    """Return ``signature`` unchanged if an MLmodel file with it can be read back.

    Raises:
        InvalidArgumentError: it cannot, as with a tensor of records.
    """
    try:
        type(signature).from_dict(signature.to_dict())
    except (PyfuncError, TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"signature: a file with it could not be loaded: {error}"
        ) from error
    return signature
