"""The Open Inference Protocol, version 2, which clients of KServe and Triton speak."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pyfunc.errors import ModelFailedError, PyfuncError, shorten
from pyfunc.schema import RequestLimits
from pyfunc.schema.wire.json_text import bad_request, load_json
from pyfunc.serving.http.brief import BriefWork
from pyfunc.serving.http.endpoint import Endpoint
from pyfunc.serving.http.failures import EXTRA_HEADERS, error_tree, status_of
from pyfunc.serving.http.messages import JSON, Reply, Request
from pyfunc.serving.open_inference.rows import TensorRowReader, TensorRows
from pyfunc.serving.open_inference.tensors import (
    binary_of,
    form_of,
    json_data_of,
    parse_tensor,
    shape_of,
)
from pyfunc.serving.open_inference.values import (
    DEFAULT_INPUT,
    DEFAULT_OUTPUT,
    InputBuilder,
    output_tensors,
    tensor_forms,
)
from pyfunc.serving.service import ModelService, Rows, predict
from pyfunc.version import VERSION

__all__ = ["Inference", "inference_routes", "model_metadata"]

_HEADER_LENGTH = b"inference-header-content-length"
_MEDIA_TYPES = (b"application/json", b"application/octet-stream")
_TRITONS_CLIENT = b"python/gevent-http-client-"
MODEL_VERSION = "1"


class Inference:
    """Answers ``infer`` requests; may be called from any number of threads."""

    def __init__(self, service: ModelService) -> None:
        self._service = service
        schema = service.model.params_schema
        self._params = {spec.name for spec in schema} if schema else set()
        self._limits = service.settings.limits
        self._inputs = InputBuilder(service.model, service.reader, self._limits)
        self._output_schema = service.model.metadata.get_output_schema()

    def __call__(self, request: Request) -> Reply:
        """Return the answer to one request.

        Raises:
            PyfuncError: the request cannot be answered.
        """
        check_model(self._service, request.path_params)
        header, blobs = _split_body(request)
        self._limits.check_json(header)
        payload = _load(header, self._service.settings.max_depth)
        data = self._inputs.build(_read_inputs(payload, blobs, self._limits))
        return self.answer(payload, predict(self._service.model, data, self._params_of(payload)))

    def answer(self, payload: dict[str, object], value: object) -> Reply:
        """Return the answer to the object of a request.

        Raises:
            PyfuncError: the prediction has no form that was asked for.
        """
        tensors = output_tensors(value, self._output_schema)
        try:
            return self._format(payload, tensors)
        except PyfuncError as error:
            if status_of(error) == 400 and error.error_code == "BAD_REQUEST":
                raise
            raise ModelFailedError("the prediction has no JSON form") from error
        except (TypeError, UnicodeEncodeError) as error:  # half a surrogate pair is no UTF-8
            raise ModelFailedError("the prediction has no form as UTF-8") from error

    def _params_of(self, payload: dict[str, object]) -> dict[str, object] | None:
        given = _object_of(payload, "parameters")
        return {name: value for name, value in given.items() if name in self._params} or None

    def _format(self, payload: dict[str, Any], tensors: dict[str, Any]) -> Reply:
        wanted = _wanted_outputs(payload, tensors)
        binary_by_default = _object_of(payload, "parameters").get("binary_data_output") is True
        outputs: list[dict[str, object]] = []
        blobs: list[bytes] = []
        for name, options in wanted.items():
            array = tensors[name]
            form = form_of(name, array)
            if options.get("binary_data", binary_by_default) is True:
                blobs.append(binary_of(array))
                form["parameters"] = {"binary_data_size": len(blobs[-1])}
            else:
                form["data"] = json_data_of(array)
            outputs.append(form)
        tree = {"model_name": self._service.name, "model_version": MODEL_VERSION}
        if isinstance(payload.get("id"), str):
            tree["id"] = payload["id"]
        header = orjson.dumps({**tree, "outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)
        if not blobs:
            return Reply(header)
        extra = ((_HEADER_LENGTH, b"%d" % len(header)),)
        return Reply(b"".join([header, *blobs]), 200, b"application/octet-stream", extra)


class _RowInference:
    """Answers requests of rows of numbers without a frame."""

    def __init__(self, service: ModelService, rows: Rows, inference: Inference) -> None:
        self._name = service.name
        self._reader = TensorRowReader(rows.reader)
        self._rows = rows
        self._inference = inference

    def read(self, request: Request) -> TensorRows | None:
        """Return the rows of a request, None for any other request."""
        return self._reader.read(request.body) if self._is_plain(request) else None

    def answer(self, found: TensorRows) -> Reply:
        """Return the answer to rows."""
        return self._inference.answer(found.payload, self._rows.predict(found.cells))

    def _is_plain(self, request: Request) -> bool:
        path = request.path_params
        if path["name"] != self._name or path.get("version", MODEL_VERSION) != MODEL_VERSION:
            return False
        return request.header(b"content-type") == JSON and request.header(_HEADER_LENGTH) is None


def _infer(service: ModelService) -> Callable[[Request], Reply]:
    inference = Inference(service)
    if service.rows is None:
        return inference
    work = _RowInference(service, service.rows, inference)
    return BriefWork(work.read, work.answer, inference, pool=service.pool, turn=service.turn)


def _split_body(request: Request) -> tuple[bytes, memoryview]:
    length = request.header(_HEADER_LENGTH)
    _check_media_type(request)
    if length is None:
        return request.body, memoryview(b"")
    digits = length.strip()
    if not digits.isdigit() or len(digits) > 12 or int(digits) > len(request.body):
        raise bad_request(
            f"Inference-Header-Content-Length is {shorten(length)}, "
            f"the body has {len(request.body)} bytes"
        )
    return request.body[: int(digits)], memoryview(request.body)[int(digits) :]


def _check_media_type(request: Request) -> None:
    """Refuse what a form of a web page could send; Triton's own client names no type."""
    value = request.header(b"content-type")
    if value is None and (request.header(b"user-agent") or b"").startswith(_TRITONS_CLIENT):
        return
    media = (value or b"").partition(b";")[0].strip().lower()
    if media not in _MEDIA_TYPES:
        got = "no Content-Type" if value is None else shorten(media)
        raise PyfuncError(
            f"expected application/json or application/octet-stream, got {got}",
            "UNSUPPORTED_MEDIA_TYPE",
        )


def _load(header: bytes, max_depth: int) -> dict[str, object]:
    payload = load_json(header, max_depth=max_depth)
    if not isinstance(payload, dict):
        raise bad_request(f"the body must be a JSON object, got {shorten(payload)}")
    if not isinstance(payload.get("id", ""), str):
        raise bad_request(f"id must be text, got {shorten(payload['id'])}")
    return payload


def _read_inputs(
    payload: dict[str, Any], blobs: memoryview, limits: RequestLimits
) -> dict[str, Any]:
    tensors: dict[str, object] = {}
    forms = _named(payload, "inputs")
    limits.check_arrays([shape_of(form) for form in forms.values()])
    for name, form in forms.items():
        size = _object_of(form, "parameters").get("binary_data_size")
        blob = None
        if size is not None:
            if type(size) is not int or not 0 <= size <= len(blobs):
                raise bad_request(
                    f"input {shorten(name)}: binary_data_size is {shorten(size)}, "
                    f"{len(blobs)} bytes are left"
                )
            blob, blobs = blobs[:size], blobs[size:]
        tensors[name] = parse_tensor(form, blob)
    if not tensors:
        raise bad_request("inputs must hold at least one tensor")
    if len(blobs):
        raise bad_request(f"{len(blobs)} bytes of the body belong to no input")
    return tensors


def _wanted_outputs(
    payload: dict[str, object], tensors: dict[str, object]
) -> dict[str, dict[str, object]]:
    asked = _named(payload, "outputs")
    unknown = [name for name in asked if name not in tensors]
    if unknown:
        raise bad_request(
            f"the model has no outputs {shorten(unknown)}, only {shorten(list(tensors))}"
        )
    names = asked or {name: {} for name in tensors}
    return {name: _object_of(form, "parameters") for name, form in names.items()}


def _named(payload: dict[str, object], key: str) -> dict[str, dict[str, object]]:
    """Return the objects of a list by their names."""
    found: dict[str, dict[str, object]] = {}
    forms = payload.get(key, [])
    if not isinstance(forms, list):
        raise bad_request(f"{key} must be a list, got {shorten(forms)}")
    for form in forms:
        name = form.get("name") if isinstance(form, dict) else None
        if not isinstance(name, str):
            raise bad_request(f"{key} must hold objects with a name, got {shorten(form)}")
        if name in found:
            raise bad_request(f"{key} has {shorten(name)} twice")
        found[name] = form
    return found


def _object_of(form: dict[str, object], key: str) -> dict[str, object]:
    found = form.get(key)
    if found is not None and not isinstance(found, dict):
        raise bad_request(f"{key} must be an object, got {shorten(found)}")
    return found or {}


def check_model(service: ModelService, path_params: Mapping[str, object]) -> None:
    """Raise unless a path names the served model and its only version."""
    name, version = path_params["name"], path_params.get("version", MODEL_VERSION)
    if name != service.name:
        raise PyfuncError(f"there is no model {shorten(name)}", "NOT_FOUND")
    if version != MODEL_VERSION:
        raise PyfuncError(f"the model has no version {shorten(version)}", "NOT_FOUND")


def model_metadata(service: ModelService) -> dict[str, object]:
    """Return what the protocol says about the model: its inputs and outputs."""
    model = service.model
    return {
        "name": service.name,
        "versions": [MODEL_VERSION],
        "platform": "mlflow_python_function",
        "inputs": tensor_forms(model.input_schema, DEFAULT_INPUT),
        "outputs": tensor_forms(model.metadata.get_output_schema(), DEFAULT_OUTPUT),
    }


def inference_routes(service: ModelService) -> list[BaseRoute]:
    """Return the routes of the protocol."""

    def refuse(error: PyfuncError) -> Reply:
        tree = error_tree(error, debug=service.settings.debug)
        status = status_of(error)
        body = orjson.dumps({"error": tree["message"]})
        return Reply(body, status, JSON, EXTRA_HEADERS.get(status, ()))

    def get(path: str, answer: Callable[[dict[str, object]], tuple[int, object]]) -> Route:
        async def endpoint(request: StarletteRequest) -> Response:
            try:
                status, tree = answer(request.path_params)
            except PyfuncError as error:
                reply = refuse(error)
                return Response(reply.body, reply.status, media_type="application/json")
            return Response(orjson.dumps(tree), status, media_type="application/json")

        return Route(path, endpoint, methods=["GET"])

    def ready(path_params: dict[str, object]) -> tuple[int, Any]:
        is_ready = not service.pool.is_stuck
        return 200 if is_ready else 503, {"ready": is_ready}

    def model_ready(path_params: dict[str, object]) -> tuple[int, object]:
        check_model(service, path_params)
        status, tree = ready(path_params)
        return status, {"name": service.name, **tree}

    def metadata(path_params: dict[str, object]) -> tuple[int, object]:
        check_model(service, path_params)
        return 200, model_metadata(service)

    server = {"name": "pyfunc", "version": VERSION, "extensions": ["binary_tensor_data"]}
    infer = Endpoint(service, "infer", _infer(service), refuse=refuse)
    routes: list[BaseRoute] = []
    for base in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        routes.append(Route(f"{base}/infer", infer, methods=["POST"]))
        routes.append(get(f"{base}/ready", model_ready))
        routes.append(get(base, metadata))
    return [
        *routes,
        get("/v2/health/live", lambda _: (200, {"live": True})),
        get("/v2/health/ready", ready),
        get("/v2", lambda _: (200, server)),
    ]
