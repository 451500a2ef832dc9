"""Arrays against the dtype and shape of a tensor; what fits is returned itself."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pyfunc.errors import INTERNAL_ERROR, INVALID_PARAMETER_VALUE
from pyfunc.schema.casting.findings import Findings, name_type
from pyfunc.schema.data_types import is_arrow
from pyfunc.schema.enforce.arrow_tables import read_arrow_table
from pyfunc.schema.enforce.frames import warn_of_extra
from pyfunc.schema.enforce.layouts import make_key
from pyfunc.schema.enforce.tensor_columns import convert_column
from pyfunc.schema.infer.inference import is_sparse_matrix
from pyfunc.schema.specs import TensorSpec

__all__ = ["TensorEnforcer", "check_tensor"]


class TensorEnforcer:
    """The tensors of a schema, ready to be enforced. Safe to use from several threads."""

    def __init__(self, specs: Sequence[TensorSpec]) -> None:
        self.specs = tuple(specs)
        self.is_named = specs[0].name is not None
        self._keys = {make_key(spec.name) for spec in specs}

    def enforce(self, data: object) -> Any:
        """Return the array of an unnamed schema, or a new dict of the arrays of a named one.

        Arrays that fit are returned themselves; columns of a frame are converted.

        Raises:
            SchemaError: a tensor is missing, or its dtype or shape differs.
        """
        if isinstance(data, pd.Series):
            data = data.to_frame()
        elif is_arrow(data) and not isinstance(data, pd.DataFrame):
            data = read_arrow_table(data, self.specs)
        findings = Findings()
        result = self._enforce_named(data, findings) if self.is_named else None
        if not self.is_named:
            result = _enforce_unnamed(data, self.specs[0], findings)
        if findings:
            raise findings.to_error()
        return result

    def _enforce_named(self, data: Any, findings: Findings) -> object:
        if isinstance(data, np.ndarray) and len(self.specs) == 1:
            data = {self.specs[0].name: data}
        is_frame = isinstance(data, pd.DataFrame)
        if not is_frame and not isinstance(data, dict):
            findings.add("inputs", "a dict of arrays or a frame", name_type(data))
            return None
        found = {make_key(name): name for name in data}
        present = [spec for spec in self.specs if make_key(spec.name) in found]
        if len(present) < len(self.specs):  # these come first, for the code of the error
            self._report_missing(found, findings)
        result = {}
        for spec in present:
            path = f"inputs[{spec.name!r}]"
            value = data[found[make_key(spec.name)]]
            result[spec.name] = (
                _enforce_column(value, spec, path, findings)
                if is_frame
                else _enforce_value(value, spec, path, findings)
            )
        extra = [name for key, name in found.items() if key not in self._keys]
        if extra and not findings:
            warn_of_extra(extra, "tensors")
        return result

    def _report_missing(self, found: dict[Hashable, object], findings: Findings) -> None:
        for spec in self.specs:
            if make_key(spec.name) not in found:
                findings.add(f"inputs[{spec.name!r}]", f"a tensor of {spec.type}", "no tensor")


def _enforce_value(value: object, spec: TensorSpec, path: str, findings: Findings) -> object:
    if not isinstance(value, np.ndarray):
        code = INVALID_PARAMETER_VALUE
        findings.add(path, "a numpy array", name_type(value), code=code)
        return value
    return check_tensor(value, spec, path, findings)


def _enforce_column(value: Any, spec: TensorSpec, path: str, findings: Findings) -> object:
    if isinstance(value, pd.DataFrame):
        findings.add(path, "one column", "several columns of this name")
        return value
    return convert_column(value, spec, path, findings)


def _enforce_unnamed(data: object, spec: TensorSpec, findings: Findings) -> object:
    if isinstance(data, pd.DataFrame):
        return _enforce_unnamed_frame(data, spec, findings)
    if isinstance(data, np.ndarray) or is_sparse_matrix(data):
        return check_tensor(data, spec, "inputs", findings)
    findings.add(
        "inputs",
        "a numpy array, a csr or csc matrix or a DataFrame",
        name_type(data),
        hint="the tensor of the signature has no name",
        code=INVALID_PARAMETER_VALUE,
    )
    return data


def _enforce_unnamed_frame(frame: pd.DataFrame, spec: TensorSpec, findings: Findings) -> object:
    if frame.empty:
        findings.add("inputs", "a frame with rows", "an empty frame")
        return frame
    width = frame.shape[1]
    if width == 1:
        return convert_column(frame.iloc[:, 0], spec, "inputs", findings)
    if tuple(spec.shape) != (-1, width):
        findings.add(
            "inputs.shape",
            str(tuple(spec.shape)),
            f"a frame of {width} columns",
            hint=f"{width} columns are a tensor of shape (-1, {width})",
            code=INVALID_PARAMETER_VALUE,
        )
        return frame
    return check_tensor(frame.to_numpy(), spec, "inputs", findings)


def check_tensor(value: Any, spec: TensorSpec, path: str, findings: Findings) -> object:
    """Return ``value`` itself; dtype and shape that differ from ``spec`` become findings.

    Args:
        value: an array or sparse matrix; never copied, never written to.
        spec: the dtype is compared exactly, but for the width of text and bytes; -1 in the shape
            matches any length. An object tensor of shape ``(-1,)`` takes every array, and an
            object array of one dimension stands for ragged rows where another axis is free.
        path: where the value is, for problems.
        findings: gets the problems.
    """
    expected = tuple(spec.shape)
    dtype = value.dtype if isinstance(value, np.ndarray) else value.data.dtype
    if expected == (-1,) and spec.type.kind == "O":
        return value
    is_ragged = len(expected) > 1 and -1 in expected[1:]
    if is_ragged and value.ndim == 1 and dtype.kind == "O":
        return value
    shape = tuple(value.shape)
    if len(shape) != len(expected) or any(
        want not in (-1, length) for want, length in zip(expected, shape, strict=True)
    ):
        hint = "-1 in a shape means any length" if -1 in expected else ""
        findings.add(f"{path}.shape", str(expected), str(shape), hint=hint, code=INTERNAL_ERROR)
    if dtype != spec.type and not (dtype.kind == spec.type.kind and dtype.kind in "US"):
        findings.add(f"{path}.dtype", str(spec.type), str(dtype), code=INTERNAL_ERROR)
    return value
