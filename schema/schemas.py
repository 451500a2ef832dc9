"""The schema of an input or output, and the schema of the parameters of ``predict``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from pyfunc.errors import (
    INTERNAL_ERROR,
    InvalidArgumentError,
    InvalidTypeError,
    find_repeated,
    shorten,
)
from pyfunc.schema.data_types import import_spark_types
from pyfunc.schema.spark_types import spark_type
from pyfunc.schema.specs import ColSpec, ParamSpec, TensorSpec
from pyfunc.schema.types import ColumnType, DataType

__all__ = ["ParamSchema", "Schema"]

InputType: TypeAlias = "ColumnType | np.dtype[np.generic]"


class Schema:
    """The columns or tensors of one input or output, in order.

    Either all or none have a name, and columns do not mix with tensors. ``to_json`` and
    ``from_json`` are inverse to each other.
    """

    def __init__(self, inputs: list[ColSpec] | list[TensorSpec]) -> None:
        _check_inputs(inputs)
        self._inputs: list[Any] = list(inputs)

    @property
    def inputs(self) -> list[Any]:
        """The column or tensor specs."""
        return self._inputs

    def __len__(self) -> int:
        return len(self._inputs)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._inputs)

    def is_tensor_spec(self) -> bool:
        """Return whether this is a schema of tensors."""
        return isinstance(self._inputs[0], TensorSpec)

    def has_input_names(self) -> bool:
        """Return whether the inputs go by name, not by position."""
        return self._inputs[0].name is not None

    def input_names(self) -> list[object]:
        """Return the names, or the positions if there are no names."""
        return self._names(self._inputs, lambda _: True)

    def names_by_text(self) -> dict[str, object]:
        """Return the names that are no text by the keys that JSON and CSV have for them."""
        names = self.input_names() if self.has_input_names() else []
        keys = {str(name): name for name in names if not isinstance(name, str)}
        return {key: name for key, name in keys.items() if key not in names}

    def required_input_names(self) -> list[object]:
        """Return the names (or positions) of the inputs that must be present."""
        return self._names(self._inputs, lambda spec: bool(spec.required))

    def optional_input_names(self) -> list[object]:
        """Return the names (or positions) of the inputs that may be absent."""
        return self._names(self._inputs, lambda spec: not spec.required)

    @staticmethod
    def _names(inputs: Sequence[Any], keep: Any) -> list[object]:
        # MLflow takes any falsy name for a missing one; columns named 0 or "" keep theirs.
        return [
            i if spec.name is None else spec.name for i, spec in enumerate(inputs) if keep(spec)
        ]

    def input_types(self) -> list[InputType]:
        """Return the type of each input."""
        return [spec.type for spec in self._inputs]

    def input_types_dict(self) -> dict[object, InputType]:
        """Return the type of each input by name.

        Raises:
            InvalidArgumentError: the inputs have no names.
        """
        return {name: spec.type for name, spec in self.input_dict().items()}

    def input_dict(self) -> dict[object, Any]:
        """Return each spec by name; of two with the same name the later one.

        Raises:
            InvalidArgumentError: the inputs have no names.
        """
        if not self.has_input_names():
            raise InvalidArgumentError(
                "the inputs of this schema have no names to look them up by", INTERNAL_ERROR
            )
        return {spec.name: spec for spec in self._inputs}

    def numpy_types(self) -> list[np.dtype[np.generic]]:
        """Return the numpy dtype of each tensor or scalar column.

        Raises:
            InvalidArgumentError: a column has a nested type.
        """
        if self.is_tensor_spec():
            return [spec.type for spec in self._inputs]
        return [dtype.to_numpy() for dtype in self._data_types("numpy")]

    def pandas_types(self) -> list[np.dtype[np.generic] | type]:
        """Return the pandas dtype of each scalar column.

        Raises:
            InvalidArgumentError: this is a schema of tensors or a column has a nested type.
        """
        if self.is_tensor_spec():
            raise InvalidArgumentError("a tensor has no pandas dtype", INTERNAL_ERROR)
        return [dtype.to_pandas() for dtype in self._data_types("pandas")]

    def _data_types(self, library: str) -> list[DataType]:
        found: list[DataType] = []
        for spec in self._inputs:
            if not isinstance(spec.type, DataType):
                raise InvalidArgumentError(
                    f"column {spec!r} has no {library} dtype", INTERNAL_ERROR
                )
            found.append(spec.type)
        return found

    def as_spark_schema(self) -> Any:
        """Return the Spark type of one unnamed column, else a ``StructType``.

        Raises:
            MissingDependencyError: pyspark is not installed.
        """
        if self.is_tensor_spec():
            raise InvalidArgumentError("tensors have no Spark schema", INTERNAL_ERROR)
        types = import_spark_types()
        if len(self) == 1 and not self.has_input_names():
            return spark_type(self.inputs[0].type)
        return types.StructType(
            [
                types.StructField(
                    name=str(i) if spec.name is None else spec.name,
                    dataType=spark_type(spec.type),
                    nullable=not spec.required,
                )
                for i, spec in enumerate(self)
            ]
        )

    def to_dict(self) -> list[dict[str, object]]:
        """Return the JSON form of each input."""
        return [spec.to_dict() for spec in self._inputs]

    def to_json(self) -> str:
        """Return the JSON text that an MLmodel file holds."""
        return dump_json(self.to_dict())

    @classmethod
    def from_json(cls, json_str: str) -> Schema:
        """Return the schema of a JSON text.

        Raises:
            InvalidArgumentError: the text is not JSON or not that of a schema.
            InvalidTypeError: a part of it is of the wrong kind.
        """
        return cls([_read_input(form) for form in load_json_list(json_str)])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self._inputs == other._inputs

    def __repr__(self) -> str:
        return repr(self._inputs)


def _read_input(form: dict[str, object]) -> Any:
    if "type" not in form:
        raise InvalidArgumentError(f"an input lacks the key 'type', got {shorten(form)}")
    spec = TensorSpec if form["type"] == "tensor" else ColSpec
    return spec.from_json_dict(**form)


def _check_inputs(inputs: object) -> None:
    if not isinstance(inputs, list):
        raise InvalidArgumentError(
            f"the inputs of a Schema must be a list, got {type(inputs).__name__}"
        )
    if not inputs:
        raise InvalidArgumentError("a Schema needs at least one input")
    _check_kinds({type(spec) for spec in inputs})
    named = [spec.name is not None for spec in inputs]
    if any(named) and not all(named):
        raise InvalidArgumentError(
            "either all inputs of a Schema have a name or none has", INTERNAL_ERROR
        )
    if all(named):
        return
    if isinstance(inputs[0], TensorSpec):
        if len(inputs) > 1:
            raise InvalidArgumentError("several tensors in a Schema need names", INTERNAL_ERROR)
    elif any(spec.required is False for spec in inputs):
        raise InvalidArgumentError("an optional column needs a name", INTERNAL_ERROR)


def _check_kinds(kinds: set[type]) -> None:
    for kind in kinds:
        if not issubclass(kind, (ColSpec, TensorSpec)):
            raise InvalidTypeError(
                f"the inputs of a Schema must be ColSpec or TensorSpec, got {kind.__name__}"
            )
    if len({issubclass(kind, TensorSpec) for kind in kinds}) > 1:
        raise InvalidArgumentError("a Schema holds columns or tensors, not both", INTERNAL_ERROR)


class ParamSchema:
    """The parameters that ``predict`` takes beside the data, in order; it may be empty."""

    def __init__(self, params: list[ParamSpec]) -> None:
        self._params = _check_params(params)

    @property
    def params(self) -> list[ParamSpec]:
        """The parameter specs."""
        return self._params

    def __len__(self) -> int:
        return len(self._params)

    def __iter__(self) -> Iterator[ParamSpec]:
        return iter(self._params)

    def to_dict(self) -> list[dict[str, object]]:
        """Return the JSON form of each parameter."""
        return [spec.to_dict() for spec in self._params]

    def to_json(self) -> str:
        """Return the JSON text that an MLmodel file holds."""
        return dump_json(self.to_dict())

    @classmethod
    def from_json(cls, json_str: str) -> ParamSchema:
        """Return the schema of a JSON text.

        Raises:
            InvalidArgumentError: the text is not JSON or not that of a parameter schema.
            InvalidTypeError: a part of it is of the wrong kind.
        """
        return cls([ParamSpec.from_json_dict(**form) for form in load_json_list(json_str)])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParamSchema) and self._params == other._params

    def __repr__(self) -> str:
        return repr(self._params)


def _check_params(params: object) -> list[ParamSpec]:
    if not isinstance(params, (list, tuple)):
        raise InvalidTypeError(
            f"the parameters of a ParamSchema must be a list, got {shorten(params)}"
        )
    for spec in params:
        if not isinstance(spec, ParamSpec):
            raise InvalidArgumentError(
                f"a ParamSchema holds ParamSpec instances, got {shorten(spec)}"
            )
    names = [spec.name for spec in params]
    if len(set(names)) != len(names):
        twice = sorted(find_repeated(names))
        raise InvalidArgumentError(f"a ParamSchema has parameters of the same name: {twice}")
    return list(params)


def dump_json(form: list[dict[str, object]]) -> str:
    """Return the JSON text of ``form``; numpy's own integers and bools as Python's.

    Raises:
        InvalidTypeError: a name or a default has no JSON form.
    """
    try:
        return json.dumps(form, default=_plain)
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(f"a name or default cannot be written as JSON: {error}") from error


def _plain(value: object) -> object:
    # A narrower number would be read back as one that its own type refuses.
    if isinstance(value, (np.int64, np.bool_)):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form: {shorten(value)}")


def load_json_list(text: object) -> list[dict[str, object]]:
    """Return the objects of a JSON list.

    Raises:
        InvalidArgumentError: the text is not JSON, or is nested too deeply.
        InvalidTypeError: it is not a list of objects.
    """
    if not isinstance(text, (str, bytes, bytearray)):
        raise InvalidTypeError(f"expected a JSON text, got {shorten(text)}")
    try:
        forms = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"not a JSON text: {shorten(text)}") from error
    if not isinstance(forms, list) or not all(isinstance(form, dict) for form in forms):
        raise InvalidTypeError(f"expected a JSON list of objects, got {shorten(text)}")
    return forms
