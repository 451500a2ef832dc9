"""One worker process of a server: ``python -m pyfunc.serving.http.worker ACCESS SOCKET...``.

The arguments are descriptors: of the access log, and of the sockets to listen on. Standard input
brings a line of JSON: what is served, and how. On standard output comes one once it is loaded, or
what went wrong; a line on standard input then says that requests are to be answered. Standard
input stays open as long as whoever started this process lives.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import uvicorn

from pyfunc.serving.http.processes import (
    end_with_starter,
    ending_signals,
    message_of,
    read_line,
)
from pyfunc.serving.http.server import (
    Application,
    Server,
    import_named,
    logged,
    made,
    uvicorn_options,
)
from pyfunc.serving.http.settings import HttpSettings

__all__ = ["main", "worker_app"]


def main(arguments: Sequence[str]) -> int:
    """Serve until a signal ends it; return the exit status."""
    report = os.dup(1)
    os.dup2(2, 1)  # whatever else is printed
    access, *descriptors = map(int, arguments)
    told = json.loads(read_line(0))
    try:
        app = logged(worker_app(told), None if access < 0 else access)
    except Exception as error:
        _tell(report, message_of(error))
        return 1
    _tell(report, {"loaded": True})
    if os.read(0, 1):
        end_with_starter(told["drain_timeout"])
        _serve(app, told, [socket.socket(fileno=descriptor) for descriptor in descriptors])
    return 0


def _tell(report: int, message: Mapping[str, object]) -> None:
    with os.fdopen(report, "w", encoding="ascii") as file:
        file.write(json.dumps(message) + "\n")


def worker_app(told: Mapping[str, Any]) -> Application:
    """Return the application of a worker process, by what it is told."""
    app: Application = made(import_named(told["app"]), told["plan"])
    return app


def _serve(app: Application, told: Mapping[str, Any], sockets: list[socket.socket]) -> None:
    settings = HttpSettings(**told["http"])
    options = {
        **uvicorn_options(settings),
        "timeout_graceful_shutdown": told["drain_timeout"],
        "log_level": told["log_level"],
    }
    with ending_signals() as ending:
        Server(uvicorn.Config(app, **options), settings, ending).run(sockets)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
