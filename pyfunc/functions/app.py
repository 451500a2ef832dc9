"""The ASGI application that serves one function.

Every method and every path reach the function, of those who may ask, apart from the two paths of
the server itself: ``/-/ready`` and ``/-/metrics``. The function runs on a thread, coroutines and
generators too, so that one which blocks holds up nothing but its own request.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import Awaitable, Mapping
from typing import Literal

from pyfunc.code.calling import told
from pyfunc.errors import MissingDependencyError, PyfuncError
from pyfunc.functions.events import Compat, Context, Event, Trigger, check_compat

try:
    from pyfunc.functions.replies import Replies, Stream
    from pyfunc.serving.http.bodies import BodyReader, ClientGoneError
except ImportError as error:
    raise MissingDependencyError("serving", "pip install 'pyfunc-format[serve]'") from error

from pyfunc.functions.awaiting import Awaiter
from pyfunc.functions.binding import Binding, Function, call_init, plan_binding
from pyfunc.functions.outputs import outputs_of
from pyfunc.functions.streams import StreamSender
from pyfunc.serving.http.failures import error_reply
from pyfunc.serving.http.guard import Guard
from pyfunc.serving.http.messages import TEXT, HttpScope, Receive, Reply, Send, send_reply
from pyfunc.serving.http.metrics import NO_METRICS, Meter, PrometheusMeter
from pyfunc.serving.http.pool import WorkPool
from pyfunc.serving.http.settings import HttpSettings

__all__ = ["METRICS_PATH", "READY_PATH", "FunctionApp", "create_function_app"]

READY_PATH = "/-/ready"
METRICS_PATH = "/-/metrics"

_LABEL = "function"


def create_function_app(
    function: Function,
    *,
    init: Function | None = None,
    init_parameters: Mapping[str, object] | None = None,
    project: object = None,
    run: object = None,
    bind: Literal["strict", "json"] = "strict",
    compat: Compat | None = None,
    settings: HttpSettings | None = None,
    debug: bool = False,
    worker_id: int = 0,
) -> FunctionApp:
    """Return an ASGI application that answers requests with ``function``.

    Args:
        function: is called once for each request, by keyword; a plain function, a coroutine
            function or a generator.
        init: is called once, before the first request, with the context and
            ``init_parameters``; if it fails, the application does not start.
        init_parameters: further arguments of ``init``, by name.
        project: what the function gets as ``project``.
        run: what the function gets as ``run``.
        bind: ``strict`` gives the function only ``project``, ``run``, ``context`` and
            ``event``; ``json`` fills its other parameters from the keys of a JSON body.
        compat: ``digitalhub`` for what nuclio's wrapper does with bodies, answers and errors.
        settings: limits and options; ``predict_timeout`` is that of one call.
        debug: send the text and traceback of the function's errors to the client.
        worker_id: the number of this worker.

    Raises:
        InvalidArgumentError: no request could call the function so.
    """
    check_compat(compat)
    settings = HttpSettings() if settings is None else settings
    context = Context(worker_id=worker_id)
    context.project, context.run, context.user_function = project, run, function
    binding = plan_binding(function, bind=bind, project=project, run=run, context=context)
    replies = Replies(
        outputs=outputs_of(function),
        nan=settings.nan,
        compat=compat,
        debug=debug or settings.debug,
    )
    calls = _Calls(function, binding, replies, compat=compat, settings=settings)
    return FunctionApp(calls, context, settings, init=init, init_parameters=init_parameters or {})


class _Calls:
    """Calls a function for events; may be called from any number of threads."""

    def __init__(
        self,
        function: Function,
        binding: Binding,
        replies: Replies,
        *,
        compat: Compat | None,
        settings: HttpSettings,
    ) -> None:
        self._function = function
        self._binding = binding
        self.replies = replies
        self.compat = compat
        self.timeout = settings.predict_timeout
        self.awaiter = Awaiter(self.timeout)
        self._max_cells = settings.max_cells

    def __call__(self, event: Event) -> Reply | Stream:
        """Return the answer to ``event``; whatever the function raises becomes one.

        Raises:
            PyfuncError: the body holds too many values; the function is not called.
        """
        event.check_size(self._max_cells)
        try:
            value = self._function(**self._binding.arguments(event))
            if type(value) not in _PLAIN and inspect.isawaitable(value):
                value = self.awaiter.wait(value)
            return self.replies.reply(value)
        except BaseException as error:  # on this thread all of them are the function's
            return self.replies.failure(error)

    def late_reply(self) -> Reply:
        """Return the answer to a request whose time is up."""
        code = "REQUEST_TIMEOUT" if self.compat == "digitalhub" else "DEADLINE_EXCEEDED"
        return error_reply(PyfuncError(f"no answer within {self.timeout:g} seconds", code))


class FunctionApp:
    """An ASGI application made by :func:`create_function_app`; it belongs to one event loop.

    Attributes:
        context: what the function gets as ``context``.
        is_ready: whether requests are answered: the init function has returned.
    """

    def __init__(
        self,
        calls: _Calls,
        context: Context,
        settings: HttpSettings,
        *,
        init: Function | None,
        init_parameters: Mapping[str, object],
    ) -> None:
        self.context = context
        self.is_ready = False
        self._calls = calls
        self._settings = settings
        self._init = init
        self._init_parameters = init_parameters
        self._trigger = Trigger()
        self._bodies = BodyReader(settings)
        self._pool = WorkPool(settings.threads, settings.max_queue)
        self._guard = Guard(self._pass, settings, life_paths={READY_PATH}, methods=("*",))
        self._streams = StreamSender(self._pool, calls.replies, calls.awaiter, settings)
        self._metrics = PrometheusMeter() if settings.metrics else None
        self._meter: Meter = self._metrics or NO_METRICS
        if self._metrics is not None:
            self._metrics.watch(self._pool)

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the life of the server."""
        if scope["type"] == "http":
            await self._guard(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    def _pass(self, scope: HttpScope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request of somebody who may ask."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        own = self._own_reply(path)
        return self._answer(path, scope, receive, send) if own is None else send_reply(own, send)

    def start(self) -> None:
        """Call the init function, if that was not done; requests are answered afterwards.

        Raises:
            InvalidArgumentError: its parameters are not those that are given.
            Exception: whatever it raises.
        """
        if self._init is not None and not self.is_ready:
            value = call_init(self._init, self.context, self._init_parameters)
            if inspect.isawaitable(value):
                with contextlib.closing(Awaiter(None)) as awaiter:
                    awaiter.wait(value)
        self.is_ready = True

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await asyncio.get_running_loop().run_in_executor(None, self.start)
        except Exception as error:
            self.context.logger.exception("the init function failed")
            text = f"the init function failed: {told(error)}"
            await send({"type": "lifespan.startup.failed", "message": text})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.is_ready = False
        self._pool.close()
        self._calls.awaiter.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _own_reply(self, path: str) -> Reply | None:
        """Return the answer of the server itself, None if the path is the function's."""
        if not self.is_ready:
            return _NOT_READY
        if path == READY_PATH:
            return _READY
        if path == METRICS_PATH and self._metrics is not None:
            return self._metrics.reply()
        return None

    async def _answer(self, path: str, scope: HttpScope, receive: Receive, send: Send) -> None:
        start, held = time.perf_counter(), 0
        try:
            body = await self._bodies.read(scope, receive) if _has_body(scope) else b""
            held = len(body)
            answer = await self._pool.run(
                self._calls, self._event(path, scope, body), timeout=self._calls.timeout
            )
        except ClientGoneError:
            return
        except PyfuncError as error:  # what the server itself has to say
            is_late = error.error_code == "DEADLINE_EXCEEDED"
            answer = self._calls.late_reply() if is_late else error_reply(error)
        finally:
            self._bodies.release(held)
        if isinstance(answer, Stream):
            status = await self._streams.send(answer, receive, send)
            self._meter.count(_LABEL, status, time.perf_counter() - start)
        else:  # first, so that who has an answer finds it among the figures
            self._meter.count(_LABEL, answer.status, time.perf_counter() - start)
            await send_reply(answer, send)

    def _event(self, path: str, scope: HttpScope, body: bytes) -> Event:
        return Event(
            body,
            headers=scope["headers"],
            method=scope["method"],
            path=path,
            query=scope["query_string"],
            trigger=self._trigger,
            compat=self._calls.compat,
        )


def _has_body(scope: HttpScope) -> bool:
    """Return whether a body comes, for which alone it is worth to watch the clock."""
    for name, _ in scope["headers"]:  # noqa: SIM110 a generator takes twice as long
        if name in _BODY_HEADERS:
            return True
    return False


_BODY_HEADERS = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})
_PLAIN = frozenset({str, bytes, dict, list, type(None)})  # what most functions return
_READY = Reply(b"ready\n", 200, TEXT)
_NOT_READY = Reply(b"not ready\n", 503, TEXT)
