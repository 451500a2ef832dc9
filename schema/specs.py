"""One column, one tensor, one parameter: the parts that a schema is a list of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyfunc.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    InvalidArgumentError,
    InvalidTypeError,
    shorten,
)
from pyfunc.schema.casting.param_values import cast_param
from pyfunc.schema.data_types import parse_data_type
from pyfunc.schema.types import (
    NESTED_WORDS,
    BaseType,
    ColumnType,
    DataType,
    Object,
    Property,
    check_dtype,
    read_object,
    read_required,
    read_type,
    type_dict,
)

__all__ = ["ColSpec", "ParamSpec", "TensorSpec", "can_be_key", "match_specs"]


class ColSpec:
    """The type of one column, with its name unless columns go by position.

    Attributes:
        type: scalar or nested type.
        name: any object that names a column of a frame, or None.
        required: whether the column must be present.
    """

    def __init__(self, type: ColumnType | str, name: object = None, required: bool = True) -> None:
        given: object = type
        if not isinstance(given, (str, DataType, BaseType)) or isinstance(given, Property):
            raise InvalidTypeError(
                "type must be a DataType or its name, Array, Object, Map or AnyType, "
                f"got {shorten(type)}"
            )
        self._type = check_dtype(type, "type", INVALID_PARAMETER_VALUE)
        self._name = name
        self._required = required

    @property
    def type(self) -> ColumnType:
        """The type of the values."""
        return self._type

    @property
    def name(self) -> Any:
        """The name, None for a column that goes by position."""
        return self._name

    @name.setter
    def name(self, name: object) -> None:
        self._name = name

    @property
    def required(self) -> bool:
        """Whether the column must be present."""
        return self._required

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form: the type, then ``name`` unless None, then ``required``."""
        form = type_dict(self.type)
        if self.name is not None:
            form["name"] = self.name
        form["required"] = self.required
        return form

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ColSpec) and (
            (self.name, self.type, self.required) == (other.name, other.type, other.required)
        )

    def __repr__(self) -> str:
        body = f"{self.type!r} ({'required' if self.required else 'optional'})"
        return body if self.name is None else f"{self.name!r}: {body}"

    def __setstate__(self, state: dict[str, object]) -> None:
        fields = dict(state)
        if "_optional" in fields:  # MLflow before 2.9
            fields["_required"] = not fields.pop("_optional")
        self.__dict__.update(fields)

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> ColSpec:
        """Return the column of a JSON object; the old key ``optional`` is read too.

        A missing ``required`` means True for a scalar type and None for a nested one, as in
        MLflow.

        Raises:
            InvalidArgumentError: ``type`` is missing or malformed.
            InvalidTypeError: a scalar column has an unknown key, or ``type`` is no string.
        """
        if "type" not in kwargs:
            raise InvalidArgumentError(
                f"the JSON of a column lacks the key 'type', got {shorten(kwargs)}",
                INTERNAL_ERROR,
            )
        word, name = kwargs["type"], _read_name(kwargs.get("name"))
        if isinstance(word, str) and word in NESTED_WORDS:
            return cls(read_type(kwargs), name, read_required(kwargs, None))
        unknown = kwargs.keys() - {"type", "name", "required", "optional"}
        if unknown:
            raise InvalidTypeError(
                f"the JSON of a column has unknown keys {sorted(unknown)}, got {shorten(kwargs)}"
            )
        return cls(word, name, read_required(kwargs, True))


def _read_name(name: object) -> object:
    """Return a name as a frame has it: a tuple of a multi-index comes out of JSON as a list."""
    return tuple([_read_name(part) for part in name]) if isinstance(name, list) else name


class TensorSpec:
    """The dtype and shape of one array.

    Attributes:
        type: numpy dtype; text and bytes have no fixed width.
        shape: lengths of the axes; -1 matches any length.
        name: name of the tensor, or None.
    """

    def __init__(
        self,
        type: np.dtype[np.generic],
        shape: tuple[int, ...] | list[int],
        name: object = None,
    ) -> None:
        if not isinstance(type, np.dtype):
            raise InvalidTypeError(f"type must be a numpy dtype, got {shorten(type)}")
        if not isinstance(shape, (tuple, list)):
            raise InvalidTypeError(f"shape must be a tuple or a list, got {shorten(shape)}")
        if type.kind in "US" and type.itemsize:
            word = "str" if type.kind == "U" else "bytes"
            raise InvalidArgumentError(
                f"the dtype {type} has a fixed width, use np.dtype({word!r})", INTERNAL_ERROR
            )
        self._type = type
        self._shape = tuple(shape)
        self._name = name

    @property
    def type(self) -> np.dtype[np.generic]:
        """The dtype."""
        return self._type

    @property
    def name(self) -> object:
        """The name, or None."""
        return self._name

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes; -1 matches any length."""
        return self._shape

    @property
    def required(self) -> bool:
        """True: a tensor is never optional."""
        return True

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form; the byte order and fields of the dtype are not part of it."""
        form: dict[str, Any] = {} if self.name is None else {"name": self.name}
        info = {"dtype": self.type.name, "shape": self.shape}
        return {**form, "type": "tensor", "tensor-spec": info}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorSpec) and (
            (self.name, self.type, self.shape) == (other.name, other.type, other.shape)
        )

    def __repr__(self) -> str:
        body = f"Tensor({self.type.name!r}, {self.shape!r})"
        return body if self.name is None else f"{self.name!r}: {body}"

    def __setstate__(self, state: dict[str, Any]) -> None:
        fields = dict(state)
        info = fields.pop("_tensorInfo", None)  # where MLflow's instances keep both
        if info is not None:
            fields.update(_type=info.dtype, _shape=info.shape)
        self.__dict__.update(fields)

    @classmethod
    def from_json_dict(cls, /, **kwargs: object) -> TensorSpec:
        """Return the tensor of a JSON object; other keys are not looked at.

        Raises:
            InvalidArgumentError: a key is missing or ``type`` is not ``tensor``.
            InvalidTypeError: numpy does not know the dtype.
        """
        missing = {"type", "tensor-spec"} - kwargs.keys()
        if missing:
            raise InvalidArgumentError(
                f"the JSON of a tensor lacks {sorted(missing)}", INTERNAL_ERROR
            )
        if kwargs["type"] != "tensor":
            raise InvalidArgumentError(
                f"expected type 'tensor', got {shorten(kwargs['type'])}", INTERNAL_ERROR
            )
        info = TensorInfo.from_json_dict(kwargs["tensor-spec"])
        return cls(info.dtype, info.shape, _read_name(kwargs.get("name")))


class TensorInfo:
    """The dtype and shape inside a :class:`TensorSpec`; pickles of MLflow refer to it."""

    def __init__(self, dtype: np.dtype[np.generic], shape: tuple[int, ...] | list[int]) -> None:
        self._dtype = dtype
        self._shape = shape

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The dtype."""
        return self._dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return tuple(self._shape)

    @classmethod
    def from_json_dict(cls, form: object) -> TensorInfo:
        """Return what ``{"dtype": ..., "shape": [...]}`` says."""
        if not isinstance(form, dict):
            raise InvalidTypeError(f"'tensor-spec' must be a JSON object, got {shorten(form)}")
        missing = {"dtype", "shape"} - form.keys()
        if missing:
            raise InvalidArgumentError(f"'tensor-spec' lacks {sorted(missing)}", INTERNAL_ERROR)
        try:
            dtype = np.dtype(form["dtype"])
        except (TypeError, ValueError) as error:
            raise InvalidTypeError(f"unknown tensor dtype {shorten(form['dtype'])}") from error
        if not isinstance(form["shape"], (list, tuple)):
            raise InvalidTypeError(f"a shape must be a list, got {shorten(form['shape'])}")
        return cls(dtype, tuple(form["shape"]))


class ParamSpec:
    """The type and default of one parameter of ``predict``.

    Attributes:
        name: the key in ``params``, always a string.
        dtype: a scalar type except binary, or an Object.
        default: the default, cast as a supplied value would be.
        shape: None for a scalar or an Object, ``(-1,)`` for a list of scalars.
    """

    def __init__(
        self,
        name: object,
        dtype: DataType | Object | str,
        default: object,
        shape: tuple[int, ...] | list[int] | None = None,
    ) -> None:
        self._name = str(name)
        self._dtype = _check_param_dtype(dtype)
        self._shape = _check_param_shape(shape, self._name)
        self._default = cast_param(self._name, default, self._dtype, self._shape)

    @property
    def name(self) -> str:
        """The key in ``params``."""
        return self._name

    @property
    def dtype(self) -> DataType | Object:
        """The type of the value, or of each element of a list."""
        return self._dtype

    @property
    def default(self) -> object:
        """The value that counts when none is supplied."""
        return self._default

    @property
    def shape(self) -> tuple[int, ...] | None:
        """None, or ``(-1,)`` for a list."""
        return self._shape

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form; datetimes as ISO text."""
        default: object = self.default
        if self.dtype == DataType.datetime:
            default = _iso(default)
        form = {"name": self.name, "default": default, "shape": self.shape}
        return {**form, **type_dict(self.dtype)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParamSpec) and (
            (self.name, self.dtype, self.default, self.shape)
            == (other.name, other.dtype, other.default, other.shape)
        )

    def __repr__(self) -> str:
        text = f"{self.name!r}: {self.dtype!r} (default: {self.default})"
        return text if self.shape is None else f"{text} (shape: {self.shape})"

    @classmethod
    def validate_param_spec(cls, value: object, param_spec: ParamSpec) -> object:
        """Return ``value`` cast to what ``param_spec`` asks for."""
        return cast_param(param_spec.name, value, param_spec.dtype, param_spec.shape)

    @classmethod
    def validate_type_and_shape(
        cls,
        spec: str,
        value: object,
        value_type: DataType | Object,
        shape: tuple[int, ...] | None,
    ) -> object:
        """Return ``value`` cast to ``value_type``; ``spec`` names the parameter in errors."""
        return cast_param(spec, value, value_type, shape)

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> ParamSpec:
        """Return the parameter of a JSON object; the old key ``dtype`` stands for ``type``.

        Raises:
            InvalidArgumentError: a key is missing, or the type or default does not fit.
        """
        missing = {"name", "default"} - kwargs.keys()
        if not kwargs.keys() & {"type", "dtype"}:
            missing.add("type")
        if missing:
            raise InvalidArgumentError(
                f"the JSON of a parameter lacks {sorted(missing)}, got {sorted(kwargs)}"
            )
        word = kwargs.get("type") or kwargs.get("dtype")
        dtype: Any = read_object({**kwargs, "type": word}) if word == "object" else word
        return cls(str(kwargs["name"]), dtype, kwargs["default"], kwargs.get("shape"))


def _iso(value: object) -> object:
    if isinstance(value, list):
        return [_iso(item) for item in value]
    return value.isoformat() if isinstance(value, dt.date) else value


def _check_param_dtype(dtype: object) -> DataType | Object:
    if isinstance(dtype, str):
        found: DataType | Object = parse_data_type(dtype, INVALID_PARAMETER_VALUE)
    elif isinstance(dtype, (DataType, Object)):
        found = dtype
    else:
        raise InvalidTypeError(
            f"the dtype of a parameter must be a DataType, its name or Object, got {dtype!r}"
        )
    if found is DataType.binary:
        raise InvalidArgumentError("the dtype of a parameter cannot be binary")
    return found


def _check_param_shape(shape: object, name: str) -> tuple[int, ...] | None:
    if shape is None:
        return None
    if not isinstance(shape, (tuple, list)):
        raise InvalidTypeError(
            f"the shape of parameter {name!r} must be None or (-1,), got {shorten(shape)}"
        )
    if tuple(shape) != (-1,):
        raise InvalidArgumentError(
            f"the shape of parameter {name!r} must be None or (-1,), got {shorten(shape)}"
        )
    return (-1,)


def can_be_key(name: object) -> bool:
    """Return whether a dict may have ``name`` as a key."""
    try:
        hash(name)
    except TypeError:
        return False
    return True


def match_specs(specs: Sequence[Any], labels: Sequence[object]) -> list[Any]:
    """Return the spec of each label, by name or else by position; None where there is none."""
    if not specs or specs[0].name is None:
        return [*specs, *[None] * len(labels)][: len(labels)]
    by_name = {spec.name: spec for spec in specs if can_be_key(spec.name)}
    return [by_name.get(label) for label in labels]
