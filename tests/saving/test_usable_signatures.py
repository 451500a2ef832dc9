"""What is saved as a signature can be loaded and served, and says what the caller said."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyfunc
from pyfunc.errors import InvalidArgumentError, PyfuncError
from pyfunc.schema import (
    ColSpec,
    ModelSignature,
    ParamSchema,
    ParamSpec,
    Schema,
    TensorSpec,
)


class One(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return [1]


RECORDS = np.array([(1, 2)], dtype=[("x", "i4"), ("y", "i4")])


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(RECORDS, id="records"),
        pytest.param(np.array([b"ab"], dtype="V2"), id="void"),
        pytest.param("\ud800", id="half-a-surrogate-pair"),
    ],
)
def test_a_signature_that_cannot_be_used_is_not_saved(
    example: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "pyfunc.saving"):
        pyfunc.save_model(tmp_path / "m", python_model=One(), input_example=example)
    assert "no signature is saved" in caplog.text
    assert pyfunc.load_model(tmp_path / "m").metadata.signature is None


@pytest.mark.parametrize("dtype", [RECORDS.dtype, np.dtype("V2")], ids=str)
def test_a_given_signature_that_cannot_be_loaded_is_refused(dtype: Any, tmp_path: Path) -> None:
    signature = ModelSignature(inputs=Schema([TensorSpec(dtype, (-1,))]))
    with pytest.raises(InvalidArgumentError, match="could not be loaded"):
        pyfunc.save_model(tmp_path / "m", python_model=One(), signature=signature)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("example", [[1, None], {"a": 2**63}, [{"a": 1}, {"a": float("nan")}]])
def test_what_predict_takes_is_saved_with_its_signature(example: Any, tmp_path: Path) -> None:
    pyfunc.save_model(tmp_path / "m", python_model=One(), input_example=example)
    loaded = pyfunc.load_model(tmp_path / "m")
    assert loaded.input_schema is not None
    assert loaded.predict(loaded.input_example) == [1]


def hinted(model_input: list[str]) -> list[str]:
    return model_input


def test_the_parameters_of_the_caller_are_kept_beside_a_hint(tmp_path: Path) -> None:
    params = ParamSchema([ParamSpec("k", "long", 3)])
    signature = ModelSignature(inputs=Schema([ColSpec("string")]), params=params)
    pyfunc.save_model(
        tmp_path / "m", python_model=hinted, signature=signature, pip_requirements=[]
    )
    loaded = pyfunc.load_model(tmp_path / "m")
    assert loaded.params_schema == params
    assert loaded.predict(["a"]) == ["a"]


def test_an_example_that_cannot_be_served_is_refused_beside_a_given_signature(
    tmp_path: Path,
) -> None:
    signature = ModelSignature(inputs=Schema([ColSpec("string", "a")]))
    example = {"a": "\ud800"}
    (tmp_path / "data").write_text("")
    for content in (
        {"python_model": One()},
        {"loader_module": "of_the_user", "data_path": tmp_path / "data"},
    ):
        with pytest.raises(PyfuncError, match="surrogate"):
            pyfunc.save_model(
                tmp_path / "m", signature=signature, input_example=example, **content
            )
        assert not (tmp_path / "m").exists()
