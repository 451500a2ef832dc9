"""One worker process of a server: ``python -m pyfunc.serving.http.worker ACCESS SOCKET...``.

The arguments are descriptors: of the access log, and of the sockets to listen on. What is served
stands in the environment. On standard output comes one line of JSON once it is loaded, or what
went wrong; a line on standard input then says that requests are to be answered. Standard input
stays open as long as whoever started this process lives.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import uvicorn

from pyfunc.errors import PyfuncError
from pyfunc.serving.http.processes import ending_signals
from pyfunc.serving.http.server import Server, import_named, logged, made, uvicorn_options
from pyfunc.serving.http.settings import HttpSettings
from pyfunc.variables import SERVING_PLAN

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import ASGIApp

__all__ = ["main", "worker_app"]

_GRACE = 5.0


def main(arguments: Sequence[str]) -> int:
    """Serve until a signal ends it; return the exit status."""
    report = os.dup(1)
    os.dup2(2, 1)  # whatever else is printed
    access, *descriptors = map(int, arguments)
    told = SERVING_PLAN.read()
    try:
        app = logged(worker_app(), None if access < 0 else access)
    except Exception as error:
        _tell(report, _message_of(error))
        return 1
    _tell(report, {"loaded": True})
    if os.read(0, 1):
        _follow(told["drain_timeout"])
        _serve(app, told, [socket.socket(fileno=descriptor) for descriptor in descriptors])
    return 0


def _tell(report: int, message: Mapping[str, object]) -> None:
    with os.fdopen(report, "w", encoding="ascii") as file:
        file.write(json.dumps(message) + "\n")


def worker_app() -> Starlette:
    """Return the application of a worker process, by the plan in its environment."""
    told = SERVING_PLAN.read()
    return made(import_named(told["app"]), told["plan"])


def _serve(app: ASGIApp, told: Mapping[str, Any], sockets: list[socket.socket]) -> None:
    settings = HttpSettings(**told["http"])
    options = {
        **uvicorn_options(settings),
        "timeout_graceful_shutdown": told["drain_timeout"],
        "log_level": told["log_level"],
    }
    with ending_signals():
        Server(uvicorn.Config(app, **options), settings).run(sockets)


def _message_of(error: BaseException) -> dict[str, object]:
    """Return what a worker says of the error that keeps it from serving."""
    if isinstance(error, PyfuncError):
        kind = type(error).__name__
        return {"error": str(error), "kind": kind, "code": error.error_code}
    return {"error": f"{type(error).__name__}: {error}"}


def _follow(drain_timeout: float) -> None:
    """End this process once whoever started it is gone."""

    def follow() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(drain_timeout + _GRACE)
        os._exit(1)  # what is served does not let the process end

    threading.Thread(target=follow, name="lifeline", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
