"""The process in which a function is served: ``python -m pyfunc.functions.server [PLAN]``.

With the file of a plan it serves until a signal ends it, as in a container. Without one its
standard input brings the plan, one line of JSON, and stays open as long as whoever started it
lives: at its end the server ends too. On standard output comes one line of JSON, the port once
requests are answered, or what went wrong. Everything else that is written goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pyfunc.functions.hiding import veil_of
from pyfunc.functions.liveness import adopt_alive
from pyfunc.functions.plans import ServerPlan
from pyfunc.serving.http.processes import end_with_starter, message_of, read_line

if TYPE_CHECKING:
    import socket

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Serve by the plan in the file that is named, or on standard input; return the status."""
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever the function prints goes to the log
    text = Path(arguments[0]).read_bytes() if arguments else read_line(0)
    plan = ServerPlan(**json.loads(text))
    if plan.alive is not None:
        adopt_alive(plan.alive)
    if not arguments:
        end_with_starter(plan.drain_timeout)
    try:
        _serve(plan, report)
    except Exception as error:
        if report.closed:  # it was being served
            raise
        message = message_of(error)
        shown = veil_of(plan.secrets).text(str(message["error"]))
        _tell(report, {**message, "error": shown})
        return 1
    return 0


def _serve(plan: ServerPlan, report: IO[str]) -> None:
    from pyfunc.functions.planned import planned_app
    from pyfunc.serving.http.running import run_app, with_hosts
    from pyfunc.serving.http.settings import HttpSettings

    def tell_port(sockets: Sequence[socket.socket]) -> None:
        _tell(report, {"port": sockets[0].getsockname()[1]})

    settings = with_hosts(HttpSettings(**plan.settings), plan.host)
    plain = replace(plan, settings=settings.to_dict(), alive=None)
    run_app(
        planned_app,
        asdict(plain),
        host=plan.host,
        port=plan.port,
        workers=plan.workers,
        settings=settings,
        drain_timeout=plan.drain_timeout,
        log_level="info",
        when_serving=tell_port,
    )


def _tell(report: IO[str], message: Mapping[str, object]) -> None:
    with report:
        report.write(json.dumps(message) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
