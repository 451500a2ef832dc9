"""What the page shows of a model, as plain values."""

from __future__ import annotations

import importlib.util
import json

from pyfunc.errors import PyfuncError
from pyfunc.schema import (
    ColSpec,
    DataType,
    ParamSchema,
    Schema,
    TensorSpec,
    format_request,
)
from pyfunc.serving.http.failures import logger
from pyfunc.serving.service import ModelService
from pyfunc.version import VERSION

__all__ = ["describe_model"]

_MOST_EXAMPLE = 200_000


def describe_model(service: ModelService) -> dict[str, object]:
    """Return the name, kind, signature and an example request of the served model.

    Where the request handler answers ``/invocations`` there is no signature and no example:
    those of the model are for what the handler makes.
    """
    model = service.model
    if service.settings.handler_on_invocations:
        about: dict[str, object] = {
            "hinted": False,
            "columns": None,
            "inputs": [],
            "outputs": [],
            "params": [],
            "example": None,
        }
    else:
        about = _signature(service)
    return {
        "name": service.name,
        "server": VERSION,
        "kind": model.loader_module,
        "saved": str(model.metadata.utc_time_created or ""),
        "libraries": sorted(set(model.metadata.flavors) - {"python_function"}),
        "takes": ["csv", "json", *_parquet()],
        "max_body_bytes": service.settings.max_body_bytes,
        "metrics": service.settings.metrics,
        "streams": service.streams,
        "chat": service.chat,
        **about,
    }


def _parquet() -> list[str]:
    return ["parquet"] if importlib.util.find_spec("pyarrow") else []


def _signature(service: ModelService) -> dict[str, object]:
    model, signature = service.model, service.model.metadata.signature
    return {
        "hinted": service.hinted,
        "columns": _columns(model.input_schema),
        "inputs": _specs(model.input_schema),
        "outputs": _specs(None if signature is None else signature.outputs),
        "params": _params(model.params_schema),
        "example": _example(service),
    }


def _columns(schema: Schema | None) -> list[dict[str, object]] | None:
    """Return the fields of a form; None unless all inputs are named scalar columns."""
    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        return None
    specs = list(schema)
    if not all(isinstance(s.type, DataType) and isinstance(s.name, str) for s in specs):
        return None
    return [{"name": s.name, "type": s.type.name, "required": bool(s.required)} for s in specs]


def _specs(schema: Schema | None) -> list[dict[str, object]]:
    return [] if schema is None else [_spec(spec) for spec in schema]


def _spec(spec: ColSpec | TensorSpec) -> dict[str, object]:
    shape = getattr(spec, "shape", None)
    kind = str(spec.type) if shape is not None else repr(spec.type)
    text = f"{kind} {list(shape)}" if shape is not None else kind
    return {
        "name": None if spec.name is None else str(spec.name),
        "path": f"[{spec.name!r}]",  # as errors name it
        "type": text,
        "required": bool(getattr(spec, "required", True)),
    }


def _params(schema: ParamSchema | None) -> list[dict[str, object]]:
    return [
        {
            "name": spec.name,
            "path": f"[{spec.name!r}]",
            "type": repr(spec.dtype),
            "list": spec.shape is not None,
            "default": _plain(spec.default),
        }
        for spec in schema or ()
    ]


def _plain(value: object) -> object:
    return json.loads(format_request(value))["inputs"]


def _example(service: ModelService) -> object:
    """Return the request that the input example makes, None if there is none to show."""
    try:
        example = service.model.input_example
        if example is None:
            return None
        text = format_request(example)
    except (PyfuncError, ValueError, OSError) as error:
        logger.warning("the input example cannot be shown: %s", error)
        return None
    return json.loads(text) if len(text) <= _MOST_EXAMPLE else None
