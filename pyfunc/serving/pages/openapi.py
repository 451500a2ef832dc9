"""The OpenAPI description of a server, made from the signature of its model."""

from __future__ import annotations

from pyfunc.serving.open_inference.tensors import DATATYPES
from pyfunc.serving.pages.openapi_types import Form, input_forms, params_form
from pyfunc.serving.service import ModelService
from pyfunc.version import VERSION

__all__ = ["openapi_document"]

_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_UNIFIED = ("messages", "prompt", "input")
_SAMPLES = "Answer samples with the request handler: each row, element or value is one"
_ERROR: Form = {
    "type": "object",
    "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
    "required": ["error_code", "message"],
}
_OPENAI = {
    "/v1/chat/completions": "A chat completion, as OpenAI has it",
    "/v1/responses": "A response, as OpenAI has it",
}
_REFUSALS = {
    "400": "The request cannot be read or does not fit the signature.",
    "408": "The body did not arrive in time.",
    "413": "The body is too long.",
    "415": "The Content-Type is not supported.",
    "500": "The model failed.",
    "503": "The server is busy.",
    "504": "The model did not answer in time.",
}


def openapi_document(service: ModelService) -> Form:
    """Return the document, in OpenAPI 3.1."""
    paths: Form = {
        "/invocations": {
            "post": _invocations(
                service,
                "predict",
                _answer(service),
                as_samples=service.settings.handler_on_invocations,
            )
        },
        "/ping": {"get": _simple("ping", "Whether the server lives", _text())},
        "/health": {"get": _simple("health", "Whether the server lives", _text())},
        "/version": {"get": _simple("version", "The version of the server", _text())},
        "/v2": {"get": _simple("server", "What the server is", _json({"type": "object"}))},
        "/v2/health/live": {"get": _simple("live", "Whether the server lives", _flag("live"))},
        "/v2/health/ready": {
            "get": _simple("ready", "Whether the server can answer", _flag("ready"), _not_ready())
        },
        **_inference(service),
    }
    if service.streams:
        words = {"event": {"type": "string"}, "data": {"type": "string"}}
        event = {"type": "object", "properties": words, "required": ["data"]}
        events = {"text/event-stream": {"schema": event}}
        answer: Form = {"description": "The parts, one event each.", "content": events}
        paths["/invocations/stream"] = {"post": _invocations(service, "predict_stream", answer)}
    if service.chat is not None:
        paths.update(_openai(service.name))
    root = service.settings.root_path
    if service.settings.metrics:
        paths["/metrics"] = {"get": _simple("metrics", "Figures for Prometheus", _text())}
    return {
        "openapi": "3.1.0",
        "info": {"title": service.name, "version": VERSION},
        **({"servers": [{"url": root}]} if root else {}),
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR}},
    }


def _openai(name: str) -> Form:
    """Return the paths of OpenAI's API; what goes in and out is told by OpenAI."""
    tree: Form = {"type": "object"}
    content: Form = {
        "application/json": {"schema": tree},
        "text/event-stream": {"schema": {"type": "string"}},
    }
    answer: Form = {"description": "The answer, or its parts as events.", "content": content}
    listed = _simple("models", "What is served, for clients of OpenAI", _json(tree))
    paths: Form = {"/v1/models": {"get": listed}}
    paths[f"/v1/models/{name}"] = {"get": {**listed, "operationId": "model"}}
    for path, summary in _OPENAI.items():
        body: Form = {"required": True, "content": {"application/json": {"schema": tree}}}
        asked = _simple(path.rpartition("/")[2], summary, answer, _refusals(tree))
        paths[path] = {"post": {**asked, "requestBody": body}}
    return paths


def _invocations(
    service: ModelService, name: str, answer: Form, *, as_samples: bool = False
) -> Form:
    form = _request_form(service, as_samples=as_samples)
    content: Form = {"application/json": {"schema": form}}
    return {
        "operationId": name,
        "summary": _SAMPLES if as_samples else "Predict",
        "requestBody": {"required": True, "content": content},
        "responses": {"200": answer, **_refusals(_ref("Error"))},
    }


def _request_form(service: ModelService, *, as_samples: bool) -> Form:
    model = service.model
    if as_samples:  # what a handler takes nobody has said
        forms = {**input_forms(None, hinted=False), "instances": {}}
        params: Form = {**params_form(None), "maxProperties": 0}
    else:
        forms = input_forms(model.input_schema, hinted=service.hinted)
        params = params_form(model.params_schema)
    choices: list[Form] = []
    for form, value in forms.items():
        others: Form = {key: False for key in (*_FORMS, *_UNIFIED) if key != form}
        choices.append(
            {
                "type": "object",
                "title": form,
                "properties": {form: value, "params": params, **others},
                "required": [form],
            }
        )
    return choices[0] if len(choices) == 1 else {"oneOf": choices}


def _answer(service: ModelService) -> Form:
    handled = service.settings.handler_on_invocations
    predictions: Form = {"type": "array"} if handled else {}
    form: Form = {
        "type": "object",
        "properties": {"predictions": predictions},
        "required": ["predictions"],
    }
    return _json(form, "The answer to each sample." if handled else "The predictions.")


def _inference(service: ModelService) -> Form:
    base = f"/v2/models/{service.name}"
    error: Form = {
        "type": "object",
        "properties": {"error": {"type": "string"}},
        "required": ["error"],
    }
    sizes: Form = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
    tensor: Form = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "datatype": {"enum": list(DATATYPES)},
            "shape": {"type": "array", "items": sizes, "maxItems": 32},
            "data": {"type": "array"},
        },
        "required": ["name", "datatype", "shape", "data"],
    }
    tensors: Form = {"type": "array", "items": tensor}
    answer: Form = {
        "type": "object",
        "properties": {"model_name": {"type": "string"}, "outputs": tensors},
        "required": ["model_name", "outputs"],
    }
    infer = {
        "operationId": "infer",
        "summary": "Predict, in the Open Inference Protocol",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _infer_form(service, tensor)}},
        },
        "responses": {"200": _json(answer, "The outputs."), **_refusals(error)},
    }
    return {
        base: {"get": _simple("metadata", "What the model takes and gives", _json({}))},
        f"{base}/ready": {
            "get": _simple("model_ready", "Whether it can answer", _flag("ready"), _not_ready())
        },
        f"{base}/infer": {"post": infer},
    }


def _infer_form(service: ModelService, tensor: Form) -> Form:
    name: Form = {"type": "string"}
    output: Form = {"type": "object", "properties": {"name": name}, "required": ["name"]}
    return {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "inputs": {"type": "array", "items": tensor, "minItems": 1},
            "outputs": {"type": "array", "items": output},
        },
        "required": ["inputs"],
    }


def _simple(name: str, summary: str, answer: Form, more: Form | None = None) -> Form:
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": answer, **(more or {})},
    }


def _not_ready() -> Form:
    return {"503": _flag("ready")}


def _flag(name: str) -> Form:
    form: Form = {"type": "object", "properties": {name: {"type": "boolean"}}, "required": [name]}
    return _json(form)


def _json(form: Form, text: str = "Yes.") -> Form:
    return {"description": text, "content": {"application/json": {"schema": form}}}


def _text() -> Form:
    return {"description": "Yes.", "content": {"text/plain": {"schema": {"type": "string"}}}}


def _refusals(form: Form) -> Form:
    return {status: _json(form, text) for status, text in _REFUSALS.items()}


def _ref(name: str) -> Form:
    return {"$ref": f"#/components/schemas/{name}"}
