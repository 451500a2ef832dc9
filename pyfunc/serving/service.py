"""One model being served: what every protocol needs to turn a request into an answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyfunc.code.calling import errors_named
from pyfunc.errors import PyfuncError
from pyfunc.schema import RequestReader
from pyfunc.serving.http.bodies import BodyReader, ClientGoneError
from pyfunc.serving.http.failures import as_pyfunc_error, error_reply
from pyfunc.serving.http.messages import Reply, Request, send_reply
from pyfunc.serving.http.metrics import NO_METRICS, Meter
from pyfunc.serving.http.pool import Group, PredictPool
from pyfunc.serving.http.settings import ServingSettings

if TYPE_CHECKING:
    from pyfunc.model.loaded import PyFuncModel

__all__ = ["Endpoint", "ModelService", "predict"]

Refuse = Callable[[PyfuncError], Reply]


class ModelService:
    """A model, the limits it is served within, and the threads it runs on.

    Attributes:
        model: the loaded model.
        name: what the protocols call it.
        settings: the limits and options.
        reader: reads requests in MLflow's forms.
        pool: runs predictions.
        bodies: receives request bodies.
        meter: counts requests.
        hinted: the model's signature comes from a type hint.
        streams: the model has a ``predict_stream``.
    """

    def __init__(
        self, model: PyFuncModel, name: str, settings: ServingSettings, meter: Meter = NO_METRICS
    ) -> None:
        signature = model.metadata.signature
        self.model = model
        self.name = name
        self.settings = settings
        self.meter = meter
        self.hinted = bool(getattr(signature, "_is_signature_from_type_hint", False))
        self.streams = bool(model.metadata.flavors["python_function"].get("streamable"))
        self.reader = RequestReader(
            model.input_schema,
            model.params_schema,
            from_type_hint=self.hinted,
            allow_nan=settings.allow_nan,
            max_depth=settings.max_depth,
        )
        self.pool = PredictPool(settings.threads, settings.max_queue)
        self.bodies = BodyReader(settings)

    def refuse(self, error: PyfuncError) -> Reply:
        """Return the response for an error, in the form of MLflow's server."""
        return error_reply(error, debug=self.settings.debug)


def predict(model: PyFuncModel, data: Any, params: dict[str, Any] | None) -> Any:
    """Return the prediction.

    Raises:
        PyfuncError: the data does not fit, or the model's own error as a cause.
    """
    with errors_named(as_pyfunc_error):
        return model.predict(data, params)


class Endpoint:
    """An ASGI application that answers a request from work done on a thread.

    Args:
        service: the model that is served.
        label: how metrics call the endpoint.
        work: makes the response; runs on a thread of the pool.
        refuse: makes the response for an error; that of MLflow's server if not given.
        group: lets requests that wait at the same time share the work.
    """

    def __init__(
        self,
        service: ModelService,
        label: str,
        work: Callable[[Request], Reply],
        *,
        refuse: Refuse | None = None,
        group: Group | None = None,
    ) -> None:
        self._service = service
        self._label = label
        self._work = work
        self._refuse = service.refuse if refuse is None else refuse
        self._group = group

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request; whatever goes wrong becomes a response."""
        service, start = self._service, time.perf_counter()
        held = 0
        try:
            body = await service.bodies.read(scope, receive)
            held = len(body)
            request = Request(
                scope["headers"], body, scope.get("path_params", {}), scope["query_string"]
            )
            reply = await service.pool.run(
                self._work,
                request,
                timeout=service.settings.predict_timeout,
                group=self._group,
            )
        except ClientGoneError:
            return
        except Exception as error:
            reply = self._refuse(as_pyfunc_error(error))
        finally:
            service.bodies.release(held)
        service.meter.count(self._label, reply.status, time.perf_counter() - start)
        await send_reply(reply, send)
