"""The OpenAPI document is what the server does: generated requests find no difference."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from pyfunc.schema import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec

COLUMNS = Schema(
    [
        ColSpec("double", "a"),
        ColSpec("long", "n"),
        ColSpec("boolean", "f"),
        ColSpec("string", "s", required=False),
    ]
)
MODELS: dict[str, Callable[[Callable[..., Any]], Any]] = {
    "columns": lambda app_of: app_of(
        lambda data, params: [1] * len(data),
        COLUMNS,
        params=ParamSchema([ParamSpec("scale", "double", 1.0)]),
    ),
    "tensors": lambda app_of: app_of(
        lambda data, params: data, Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
    ),
    "stream": lambda app_of: app_of(
        lambda data, params: [1],
        Schema([ColSpec("integer", "i"), ColSpec("float", "x")]),
        stream=lambda data, params: iter([1]),
    ),
}
# Which shape goes with which data is more than JSON Schema can say; nor can it say that
# a stream takes one row.
RELATED = ("/infer", "/stream")


def check_operation(operation: Any) -> None:
    unchecked = [positive_data_acceptance] if operation.path.endswith(RELATED) else []

    @given(case=operation.as_strategy())
    @settings(
        max_examples=60,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def call(case: Any) -> None:
        case.call_and_validate(excluded_checks=unchecked)

    call()


@pytest.mark.parametrize("model", MODELS)
def test_generated_requests_find_nothing(
    model: str, app_of: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    document = schemathesis.openapi.from_asgi("/openapi.json", MODELS[model](app_of))
    labels = []
    for operation in document.get_all_operations():
        assert isinstance(operation, Ok)
        tried = operation.ok()
        labels.append(tried.label)
        check_operation(tried)
    assert "POST /invocations" in labels
    assert "POST /v2/models/toy/infer" in labels
    assert ("POST /invocations/stream" in labels) == (model == "stream")
