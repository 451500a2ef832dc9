"""From a request to its answer: the body received, the work done on a thread, the answer sent."""

from __future__ import annotations

import time
from collections.abc import Callable

from pyfunc.errors import CodeFailedError, PyfuncError
from pyfunc.serving.http.bodies import BodyReader, ClientGoneError
from pyfunc.serving.http.brief import BriefWork, Turn
from pyfunc.serving.http.failures import as_pyfunc_error, error_reply
from pyfunc.serving.http.messages import HttpScope, Receive, Reply, Request, Send, send_reply
from pyfunc.serving.http.metrics import NO_METRICS, Meter
from pyfunc.serving.http.pool import Group, WorkPool
from pyfunc.serving.http.settings import HttpSettings

__all__ = ["Endpoint", "HttpService", "Refuse"]

Refuse = Callable[[PyfuncError], Reply]


class HttpService:
    """The limits that something is served within, and the threads that it runs on.

    Attributes:
        settings: the limits.
        meter: counts requests.
        pool: runs the work.
        turn: that of the event loop, of which brief work may have a share.
        bodies: receives request bodies.
        open_paths: where web pages of any origin may ask.
    """

    def __init__(self, settings: HttpSettings, meter: Meter = NO_METRICS) -> None:
        self.settings = settings
        self.meter = meter
        self.pool = WorkPool(settings.threads, settings.max_queue)
        self.turn = Turn()
        self.bodies = BodyReader(settings)
        self.open_paths: set[str] = set()

    def refuse(self, error: PyfuncError) -> Reply:
        """Return the response for an error, in the form of MLflow's server."""
        return error_reply(error, debug=self.settings.debug)

    def failure(self) -> CodeFailedError:
        """Return a new error that says that the code that is served failed."""
        return CodeFailedError("the code that is served failed")


class Endpoint:
    """An ASGI application that answers a request from work done on a thread.

    Args:
        service: what is served, and within what limits.
        label: how metrics call the endpoint.
        work: makes the response; runs on a thread of the pool, or on the event loop where it
            is :class:`~pyfunc.serving.http.brief.BriefWork` and proved to be brief.
        refuse: makes the response for an error; that of the service if not given.
        group: lets requests that wait at the same time share the work.
    """

    def __init__(
        self,
        service: HttpService,
        label: str,
        work: Callable[[Request], Reply],
        *,
        refuse: Refuse | None = None,
        group: Group[Request, Reply] | None = None,
    ) -> None:
        self._service = service
        self._label = label
        self._work = work
        self._refuse = service.refuse if refuse is None else refuse
        self._group = group
        self._brief = work if isinstance(work, BriefWork) else None

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong becomes a response."""
        service, start = self._service, time.perf_counter()
        held = 0
        try:
            body = await service.bodies.read(scope, receive)
            held = len(body)
            request = Request(
                scope["headers"], body, scope.get("path_params", {}), scope["query_string"]
            )
            work = self._work if self._brief is None else self._brief.begin(request)
            if isinstance(work, Reply):
                reply = work
            else:
                reply = await service.pool.run(
                    work, request, timeout=service.settings.predict_timeout, group=self._group
                )
        except ClientGoneError:
            return
        except Exception as error:
            reply = self._refuse(as_pyfunc_error(error, service.failure()))
        finally:
            service.bodies.release(held)
        service.meter.count(self._label, reply.status, time.perf_counter() - start)
        await send_reply(reply, send)
