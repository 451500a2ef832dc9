"""Running an application in this process, or in several worker processes, until a signal ends it.

The application is made from a plan of plain values by a function that is known by name, so that a
worker process can make its own.
"""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import uvicorn

from pyfunc.errors import InvalidArgumentError
from pyfunc.serving.http.settings import HttpSettings
from pyfunc.serving.http.startup import collection_paused, keep_what_is_loaded
from pyfunc.variables import METRICS_FOLDER, SERVING_PLAN

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = [
    "Plan",
    "check_workers",
    "import_named",
    "name_of",
    "run_app",
    "uvicorn_options",
    "worker_app",
]

Plan = Mapping[str, Any]  # what JSON can hold, by the names of an application's own arguments


def check_workers(workers: int) -> int:
    """Return ``workers`` unchanged if so many processes can serve.

    Raises:
        InvalidArgumentError: it is no integer of at least 1.
    """
    if type(workers) is not int or workers < 1:
        raise InvalidArgumentError(f"workers must be an integer of at least 1, got {workers!r}")
    return workers


def run_app(
    make_app: Callable[[Plan], Starlette],
    plan: Plan,
    *,
    host: str,
    port: int,
    workers: int,
    settings: HttpSettings,
    drain_timeout: int,
    log_level: str,
) -> None:
    """Serve what ``make_app`` makes of ``plan`` until a signal ends it.

    Args:
        make_app: a function of a module; each process calls it once.
        plan: its argument; with several workers only what JSON can hold.
        host: the address to listen on.
        port: the port; 0 for any that is free.
        workers: how many processes serve; one that dies is replaced. With 1 this process does.
        settings: the limits.
        drain_timeout: seconds that requests have to end after the signal.
        log_level: the least level of the server's own log.

    Raises:
        InvalidArgumentError: the plan cannot reach a worker.
        PyfuncError: whatever ``make_app`` raises, with 1 worker.
    """
    options = {
        **uvicorn_options(settings),
        "host": host,
        "port": port,
        "timeout_graceful_shutdown": drain_timeout,
        "log_level": log_level,
    }
    if workers == 1:
        uvicorn.run(_made(make_app, plan), **options)
    else:
        _run_workers(make_app, plan, {**options, "workers": workers})


def uvicorn_options(settings: HttpSettings) -> dict[str, Any]:
    """Return the options of uvicorn under which the limits hold."""
    from pyfunc.serving.http.connections import guarded_protocol

    return {
        "http": guarded_protocol(settings),
        "ws": "none",
        "lifespan": "on",
        "timeout_keep_alive": settings.keep_alive,
        "access_log": False,
        "server_header": False,
        "limit_concurrency": settings.max_connections,
    }


def worker_app() -> Starlette:
    """Return the application of a worker process, by the plan in its environment."""
    told = SERVING_PLAN.read()
    return _made(import_named(told["app"]), told["plan"])


def name_of(function: Callable[..., object]) -> str:
    """Return ``module:function``, by which :func:`import_named` finds it again."""
    return f"{function.__module__}:{function.__name__}"


def import_named(reference: str) -> Any:
    """Return the function that ``module:function`` names."""
    module, _, function = reference.partition(":")
    return getattr(importlib.import_module(module), function)


def _made(make_app: Callable[[Plan], Starlette], plan: Plan) -> Starlette:
    with collection_paused():
        app = make_app(plan)
    keep_what_is_loaded()
    return app


def _run_workers(
    make_app: Callable[[Plan], Starlette], plan: Plan, options: dict[str, Any]
) -> None:
    try:
        text = json.dumps({"app": name_of(make_app), "plan": plan})
    except TypeError as error:
        raise InvalidArgumentError(
            f"several workers take only what JSON can hold: {error}"
        ) from error
    with tempfile.TemporaryDirectory(prefix="pyfunc-metrics-") as folder:
        shared = METRICS_FOLDER.read() or folder  # so that workers share their figures
        with SERVING_PLAN.setting(text), METRICS_FOLDER.setting(shared):
            uvicorn.run(name_of(worker_app), factory=True, **options)
