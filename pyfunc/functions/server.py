"""The process in which a function is served: ``python -m pyfunc.functions.server [PLAN]``.

With the file of a plan it serves until a signal ends it, as in a container. Without one its
standard input brings the plan, one line of JSON, and stays open as long as whoever started it
lives: at its end the server ends too. On standard output comes one line of JSON, the address once
requests are answered, or what went wrong. Everything else that is written goes to standard error.

With several workers this process only watches over them: each is this module again, on the same
socket, and one that dies is replaced.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

from pyfunc.errors import InvalidArgumentError
from pyfunc.functions.liveness import adopt_alive
from pyfunc.functions.names import SERVER_MODULE
from pyfunc.functions.plans import ServerPlan

if TYPE_CHECKING:
    from pyfunc.functions.app import FunctionApp
    from pyfunc.serving.http.settings import HttpSettings

__all__ = ["main"]

_GRACE = 5.0  # seconds beyond those for draining
_LOOK = 0.1
_LONGEST_PAUSE = 30.0
_BACKLOG = 2048


def main(arguments: Sequence[str]) -> int:
    """Serve by the plan in the file that is named, or on standard input; return the status."""
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever the function prints goes to the log
    text = Path(arguments[0]).read_bytes() if arguments else _read_line(0)
    plan = ServerPlan(**json.loads(text))
    if plan.alive is not None:
        adopt_alive(plan.alive)
    listener = _listen(plan)
    signals = _Signals()
    if not arguments:
        signals.follow_lifeline(plan.drain_timeout)
    if plan.workers > 1:
        return _Supervisor(plan, listener, signals, report).run()
    return _serve(plan, listener, report)


def _read_line(descriptor: int) -> bytes:
    """Return the first line, and read no byte beyond it.

    Not through ``sys.stdin``, which the lifeline would hold while the interpreter ends.
    """
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(descriptor, 1)
        if not part:
            raise EOFError("standard input ended before the plan")
        line += part
    return line


class _Signals:
    """Takes note of the signals that end a server, and makes one when standard input ends."""

    def __init__(self) -> None:
        self.ending = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.ending.set()

    def follow_lifeline(self, drain_timeout: float) -> None:
        """End this process once whoever started it is gone."""

        def follow() -> None:
            while os.read(0, 1):
                pass
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(drain_timeout + _GRACE)
            os._exit(1)  # the function does not let the process end

        threading.Thread(target=follow, name="lifeline", daemon=True).start()


def _listen(plan: ServerPlan) -> socket.socket:
    if plan.listen_on is not None:
        return socket.socket(fileno=plan.listen_on)
    family = socket.AF_INET6 if ":" in plan.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((plan.host, plan.port))
    listener.listen(_BACKLOG)
    return listener


def _tell(report: IO[str], message: Mapping[str, object]) -> None:
    with report:
        report.write(json.dumps(message) + "\n")


def _serve(plan: ServerPlan, listener: socket.socket, report: IO[str]) -> int:
    """Serve in this process; return the exit status."""
    import uvicorn

    # What context.logger says; the loggers of other libraries say from WARNING on.
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("pyfunc.functions").setLevel(logging.INFO)

    from pyfunc.serving.http.settings import HttpSettings
    from pyfunc.serving.http.startup import collection_paused, keep_what_is_loaded
    from pyfunc.serving.running import uvicorn_options

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                _tell(report, {"port": listener.getsockname()[1]})

    try:
        settings = HttpSettings(**plan.settings)
        with collection_paused():
            app = _make_app(plan, settings)
        keep_what_is_loaded()
    except Exception as error:
        _tell(report, {"error": f"{type(error).__name__}: {error}"})
        raise
    config = uvicorn.Config(
        app,
        **uvicorn_options(settings),
        timeout_graceful_shutdown=plan.drain_timeout,
        log_level="info",
    )
    server = Server(config)
    with contextlib.suppress(SystemExit):  # which uvicorn raises where the start failed
        server.run(sockets=[listener])
    if app.init_error is not None:
        _tell(report, {"error": f"the init function failed: {app.init_error}"})
        return 1
    return 0 if server.started else 1


def _make_app(plan: ServerPlan, settings: HttpSettings) -> FunctionApp:
    from pyfunc.functions.app import create_function_app

    reserved: Mapping[str, object] = {}
    if plan.reserved is not None:
        reserved = _find(plan.reserved)(**plan.reserved_arguments)
    return create_function_app(
        _find(plan.function),
        init=None if plan.init is None else _find(plan.init),
        init_parameters=plan.init_parameters,
        project=reserved.get("project"),
        run=reserved.get("run"),
        bind=plan.bind,
        compat=plan.compat,
        settings=settings,
        debug=plan.debug,
        worker_id=plan.worker_id,
    )


def _find(reference: str) -> Callable[..., Any]:
    module, colon, name = reference.partition(":")
    if not colon or not module or not name:
        raise InvalidArgumentError(f"expected package.module:function, got {reference!r}")
    found: Callable[..., Any] | None = getattr(importlib.import_module(module), name, None)
    if not callable(found):
        raise InvalidArgumentError(f"{reference} is not a function")
    return found


class _Supervisor:
    """Starts the workers, replaces those that die, and ends them."""

    def __init__(
        self, plan: ServerPlan, listener: socket.socket, signals: _Signals, report: IO[str]
    ) -> None:
        self._plan = plan
        self._listener = listener
        self._ending = signals.ending
        self._report = report
        self._workers: list[_Worker] = []

    def run(self) -> int:
        """Watch over the workers until a signal comes; return the exit status."""
        self._workers = [self._start(number) for number in range(self._plan.workers)]
        try:
            answers = [worker.first_answer() for worker in self._workers]
            failed = next((answer for answer in answers if "error" in answer), None)
            if failed is not None:
                _tell(self._report, failed)
                return 1
            _tell(self._report, {"port": self._listener.getsockname()[1]})
            while not self._ending.wait(_LOOK):
                self._replace_dead()
        finally:
            self._end_all()
        return 0

    def _start(self, number: int) -> _Worker:
        descriptor = self._listener.fileno()
        plan = replace(self._plan, workers=1, alive=None, listen_on=descriptor, worker_id=number)
        return _Worker(plan, descriptor)

    def _replace_dead(self) -> None:
        for number, worker in enumerate(self._workers):
            status = worker.process.poll()
            if status is None:
                continue
            lived = time.monotonic() - worker.started
            print(f"worker {number} ended with status {status}; it is replaced", file=sys.stderr)
            pause = min(
                _LONGEST_PAUSE, 0.0 if lived > _LONGEST_PAUSE else worker.pause * 2 + _LOOK
            )
            if not self._ending.wait(pause):
                self._workers[number] = self._start(number)
                self._workers[number].pause = pause

    def _end_all(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + self._plan.drain_timeout + _GRACE
        for worker in self._workers:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            worker.close()


class _Worker:
    """A process that serves on the socket of this one, and ends with it."""

    def __init__(self, plan: ServerPlan, descriptor: int) -> None:
        self.started = time.monotonic()
        self.pause = 0.0
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", SERVER_MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(descriptor,),
            start_new_session=True,  # Ctrl-C is for this process, which ends the workers
        )
        with contextlib.suppress(BrokenPipeError):
            self._stdin.write(plan.to_json().encode() + b"\n")
            self._stdin.flush()

    @property
    def _stdin(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin

    def first_answer(self) -> dict[str, object]:
        """Return what the worker says once it serves, or why it does not."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            return {"error": f"a worker ended with status {self.process.wait()}"}
        answer: dict[str, object] = json.loads(line)
        return answer

    def close(self) -> None:
        """Close the pipes of a worker that has ended."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
