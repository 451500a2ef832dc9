"""An input example as what is saved with a model: the data, its JSON texts, its metadata.

Reading one back is the work of :mod:`pyfunc.schema.examples.reading`.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pyfunc.errors import INTERNAL_ERROR, InvalidArgumentError, shorten
from pyfunc.schema.data_types import is_arrow
from pyfunc.schema.enforce.arrow_tables import read_arrow_table
from pyfunc.schema.infer.value_types import is_pydantic
from pyfunc.schema.wire.json_codec import (
    has_default_columns,
    table_tree,
    value_tree,
)
from pyfunc.schema.wire.json_text import dump_json
from pyfunc.schema.wire.responses import request_of_tree, request_tree

__all__ = ["EXAMPLE_FILE", "SERVING_FILE", "InputExample"]

EXAMPLE_FILE = "input_example.json"
SERVING_FILE = "serving_input_example.json"

_ACCEPTED = (
    "a DataFrame, an ndarray, a dict of ndarrays, a scipy csr_matrix or csc_matrix, a dict, "
    "a list, a string, a number, a boolean, bytes, a datetime, a pydantic instance, "
    "or a tuple of one of these and a dict of parameters"
)


@dataclass(frozen=True, slots=True, eq=False)
class InputExample:
    """One example of what a model takes, ready to be saved.

    Attributes:
        data: the example without its parameters; a pydantic instance as a dict.
        params: the parameters, None if the example has none.
        info: what the MLmodel file says of it, under ``saved_input_example_info``.
        example_json: the text of ``input_example.json``; strict JSON.
        serving_json: the text of ``serving_input_example.json``, a request to a server.
    """

    data: object
    params: dict[str, object] | None
    info: dict[str, object]
    example_json: str
    serving_json: str
    _given: object

    @classmethod
    def from_value(cls, example: object) -> InputExample:
        """Return the example as it will be saved; ``example`` is neither changed nor copied.

        A frame of polars or arrow becomes a pandas frame, for which pyarrow is needed.

        Raises:
            MissingDependencyError: pyarrow is needed but not installed.
            InvalidArgumentError: ``example`` is of a kind that no model directory can hold,
                or a parameter has a value that no signature can describe.
            InvalidTypeError: a part of it has no JSON form.
        """
        given, params = _split_params(example)
        if _is_foreign_frame(given):
            given = read_arrow_table(given)
        data = given.model_dump() if is_pydantic(given) else given
        kind = _kind_of(data)
        if params:
            from pyfunc.schema.infer.param_inference import infer_param_schema

            infer_param_schema(params)
        tree = _example_tree(data, kind)
        is_sparse = kind.startswith("sparse")  # of which a request has every cell
        request = request_tree(data, params) if is_sparse else request_of_tree(tree, data, params)
        if params is not None:
            tree = {"inputs": tree, "params": value_tree(params)}
        return cls(
            data=data,
            params=params,
            info=_info_of(data, kind, params),
            example_json=dump_json(tree),
            serving_json=dump_json(request, indent=2),
            _given=given,
        )

    @property
    def inference_data(self) -> Any:
        """A deep copy of the data as it was given, to infer from or to predict with."""
        if isinstance(self._given, pd.DataFrame):
            return self._given.copy(deep=True)
        return copy.deepcopy(self._given)

    def write(self, directory: str | Path) -> None:
        """Write both JSON files into an existing directory."""
        for name, text in ((EXAMPLE_FILE, self.example_json), (SERVING_FILE, self.serving_json)):
            Path(directory, name).write_bytes(text.encode())


def _is_foreign_frame(data: object) -> bool:
    # a series of pandas or polars has the interface, too, but no schema of columns
    return not isinstance(data, pd.DataFrame) and is_arrow(data) and hasattr(data, "schema")


def _split_params(example: object) -> tuple[Any, dict[str, object] | None]:
    if isinstance(example, tuple) and len(example) == 2 and isinstance(example[1], dict):
        return example[0], example[1]
    return example, None


def _kind_of(data: object) -> str:
    """Return MLflow's word for the kind of ``data``."""
    if isinstance(data, pd.DataFrame):
        return "dataframe"
    if isinstance(data, np.ndarray):
        return "ndarray"
    if isinstance(data, dict):
        return _dict_kind(data)
    if isinstance(data, list):
        if _holds_array(data):
            raise InvalidArgumentError(
                "an input example cannot be a list with ndarrays in it\n"
                "hint: pass one ndarray, or a dict of ndarrays by name",
                INTERNAL_ERROR,  # as MLflow's error for tensors where none are supported
            )
        return "json_object"
    sparse = _sparse_kind(data)
    if sparse is not None:
        return sparse
    if np.isscalar(data) or isinstance(data, dt.datetime):
        return "json_object"
    raise InvalidArgumentError(
        f"an input example must be {_ACCEPTED}; got {type(data).__name__}: {shorten(data)}"
    )


def _dict_kind(data: dict[object, object]) -> str:
    arrays = [isinstance(value, np.ndarray) for value in data.values()]
    if not any(arrays):
        return "json_object"
    if not all(arrays):
        others = sorted({type(v).__name__ for v in data.values()} - {"ndarray"})
        raise InvalidArgumentError(
            "a dict with ndarrays as an input example must hold nothing else, "
            f"got values of type {', '.join(others)} too"
        )
    return "ndarray"


def _holds_array(value: object) -> bool:
    stack = [value]
    seen: set[int] = set()
    while stack:
        node = stack.pop()
        if isinstance(node, np.ndarray):
            return True
        if isinstance(node, (list, dict)) and id(node) not in seen:
            seen.add(id(node))
            stack += node.values() if isinstance(node, dict) else node
    return False


def _sparse_kind(data: object) -> str | None:
    if not hasattr(data, "indptr"):
        return None
    from scipy.sparse import csc_matrix, csr_matrix

    if isinstance(data, csr_matrix):
        return "sparse_matrix_csr"
    return "sparse_matrix_csc" if isinstance(data, csc_matrix) else None


def _example_tree(data: Any, kind: str) -> object:
    if kind == "dataframe":
        return table_tree(data)
    if kind.startswith("sparse"):
        parts = {name: getattr(data, name) for name in ("data", "indices", "indptr")}
        return value_tree({**parts, "shape": [int(length) for length in data.shape]})
    return value_tree(data)


def _info_of(data: Any, kind: str, params: Mapping[str, object] | None) -> dict[str, object]:
    info = {"artifact_path": EXAMPLE_FILE, "type": kind}
    if kind == "dataframe":
        info["pandas_orient"] = "values" if has_default_columns(data) else "split"
    if params is not None:
        info["params"] = "true"
    return {**info, "serving_input_path": SERVING_FILE}
