"""Running an application in this process, or in several worker processes, until a signal ends it.

The application is made from a plan of plain values by a function that is known by name, so that a
worker process can make its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import TypeVar

import uvicorn

from pyfunc.errors import InvalidArgumentError
from pyfunc.serving.http import worker
from pyfunc.serving.http.addresses import bound_sockets
from pyfunc.serving.http.guard import check_token_file, default_hosts
from pyfunc.serving.http.processes import Supervisor, ending_signals
from pyfunc.serving.http.server import (
    Application,
    Plan,
    Server,
    import_named,
    logged,
    made,
    name_of,
    uvicorn_options,
)
from pyfunc.serving.http.settings import HttpSettings
from pyfunc.serving.http.worker import worker_app
from pyfunc.variables import METRICS_FOLDER

__all__ = [
    "Application",
    "Plan",
    "check_workers",
    "import_named",
    "name_of",
    "run_app",
    "with_hosts",
    "uvicorn_options",
    "worker_app",
]

S = TypeVar("S", bound=HttpSettings)
_BACKLOG = 2048


def check_workers(workers: int) -> int:
    """Return ``workers`` unchanged if so many processes can serve.

    Raises:
        InvalidArgumentError: it is no integer of at least 1.
    """
    if type(workers) is not int or workers < 1:
        raise InvalidArgumentError(f"workers must be an integer of at least 1, got {workers!r}")
    return workers


def with_hosts(settings: S, host: str, uds: str | None = None) -> S:
    """Return settings that say which hosts a server on this address answers to."""
    if settings.allowed_hosts is not None or uds is not None:
        return settings
    return replace(settings, allowed_hosts=default_hosts(host))


def run_app(
    make_app: Callable[[Plan], Application],
    plan: Plan,
    *,
    host: str,
    port: int,
    workers: int,
    settings: HttpSettings,
    drain_timeout: int,
    log_level: str,
    uds: str | None = None,
    when_serving: Callable[[Sequence[socket.socket]], object] = lambda sockets: None,
) -> None:
    """Serve what ``make_app`` makes of ``plan`` until SIGTERM or SIGINT ends it.

    Args:
        make_app: a function of a module; each process calls it once.
        plan: its argument; with several workers only what JSON can hold, and each finds its
            number there as ``worker_id``.
        host: the address to listen on.
        port: the port; 0 for any that is free.
        workers: how many processes serve; one that dies is replaced. With 1 this process does.
        settings: the limits.
        drain_timeout: seconds that requests have to end after the signal.
        log_level: the least level of the server's own log.
        uds: the path of a unix socket to listen on in place of host and port.
        when_serving: is given the sockets once requests are answered.

    Raises:
        InvalidArgumentError: the plan cannot reach a worker, or the server cannot listen.
        PyfuncError: whatever ``make_app`` raises.
    """
    _check_files(settings)
    options = {
        **uvicorn_options(settings),
        "timeout_graceful_shutdown": drain_timeout,
        "log_level": log_level,
    }
    with bound_sockets(host, port, uds) as sockets, _log_file(settings) as access:
        if workers == 1:
            app = logged(made(make_app, plan), access)
            with ending_signals() as ending:
                config = uvicorn.Config(app, **options)
                Server(config, settings, ending, lambda: when_serving(sockets)).run(sockets)
        else:
            plain = settings.to_dict()
            told = {
                "app": name_of(make_app),
                "http": {field.name: plain[field.name] for field in fields(HttpSettings)},
                "drain_timeout": drain_timeout,
                "log_level": log_level,
            }
            uvicorn.Config("", **options)  # which configures the log
            plans = [{**plan, "worker_id": number} for number in range(workers)]
            _run_workers(told, plans, sockets, access, when_serving)


def _check_files(settings: HttpSettings) -> None:
    """Find out before anything is loaded whether the files of the settings can be used."""
    if settings.auth_token_file is not None:
        check_token_file(settings.auth_token_file)
    if settings.certfile is None:
        if settings.keyfile is not None:
            raise InvalidArgumentError("keyfile: there is no certfile")
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.certfile, settings.keyfile, lambda: "")
    except OSError as error:  # which ssl.SSLError is, too
        named = settings.certfile if settings.keyfile is None else settings.keyfile
        raise InvalidArgumentError(
            f"certfile: {settings.certfile} with the key of {named}: {error.strerror or error}"
        ) from error


@contextlib.contextmanager
def _log_file(settings: HttpSettings) -> Iterator[int | None]:
    """Give the descriptor of standard output for the access log alone, None without one.

    What is printed meanwhile goes to standard error.
    """
    if not settings.access_log:
        yield None
        return
    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(2, 1)
    try:
        yield ours
    finally:
        sys.stdout.flush()
        os.dup2(ours, 1)
        os.close(ours)


def _run_workers(
    told: Mapping[str, object],
    plans: Sequence[Plan],
    sockets: Sequence[socket.socket],
    access: int | None,
    when_serving: Callable[[Sequence[socket.socket]], object],
) -> None:
    if os.name != "posix":
        raise InvalidArgumentError("several workers need a system that lets them share a socket")
    try:
        tasks = [json.dumps({**told, "plan": plan}) for plan in plans]
    except TypeError as error:
        raise InvalidArgumentError(
            f"several workers take only what JSON can hold: {error}"
        ) from error
    descriptors = [sock.fileno() for sock in sockets]
    arguments = [str(-1 if access is None else access), *map(str, descriptors)]
    inherited = descriptors if access is None else [access, *descriptors]
    drain_timeout = float(str(told["drain_timeout"]))
    supervisor = Supervisor(
        worker.__name__, tasks, inherited, arguments, drain_timeout=drain_timeout
    )

    def serving() -> None:
        for sock in sockets:
            sock.listen(_BACKLOG)  # who connects before a worker does so waits for it
        when_serving(sockets)

    with tempfile.TemporaryDirectory(prefix="pyfunc-metrics-") as folder:
        shared = METRICS_FOLDER.read() or folder  # so that workers share their figures
        with METRICS_FOLDER.setting(shared), ending_signals() as ending:
            supervisor.run(ending, serving)
