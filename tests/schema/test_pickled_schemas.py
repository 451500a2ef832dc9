"""Objects that MLflow pickled become ours; the files were written by the releases they name."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

import pyfunc.schema
from pyfunc.schema import ColSpec, DataType, ModelSignature, TensorSpec

DATA = Path(__file__).parents[1] / "data" / "pickled_schemas"


class MappingUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in ("mlflow.types.schema", "mlflow.models.signature"):
            return getattr(pyfunc.schema, name)
        return super().find_class(module, name)


def restore(data: bytes) -> Any:
    return MappingUnpickler(io.BytesIO(data)).load()


@pytest.mark.parametrize(
    "file", [pytest.param(path, id=path.stem) for path in sorted(DATA.glob("*.pkl"))]
)
def test_objects_that_mlflow_pickled_are_restored(file: Path) -> None:
    found = restore(file.read_bytes())
    assert {name: repr(value) for name, value in found.items()} == json.loads(
        file.with_suffix(".json").read_text()
    )
    assert found["data_type"] is DataType.long
    assert found["column"] == ColSpec("double", "a", required=False)
    assert type(found["tensor"]) is TensorSpec
    assert found["tensor"].shape == (-1, 3)
    assert ModelSignature.from_dict(found["signature"].to_dict()) == found["signature"]
    assert found["signature"]._is_signature_from_type_hint is False


def test_state_of_a_column_with_the_old_optional_flag_is_read() -> None:
    column = ColSpec.__new__(ColSpec)
    column.__setstate__({"_name": "a", "_type": DataType.long, "_optional": True})
    assert column == ColSpec("long", "a", required=False)


def test_our_own_objects_survive_a_pickle() -> None:
    found = restore((DATA / "mlflow-3.17.2.pkl").read_bytes())
    assert pickle.loads(pickle.dumps(found)) == found
