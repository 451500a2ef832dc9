"""Running a server in this process, or in several worker processes, until it is told to end."""

from __future__ import annotations

import importlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from pyfunc.errors import InvalidArgumentError
from pyfunc.files.locations import resolve_model
from pyfunc.handlers.project import HANDLER_FLAVOR
from pyfunc.loading.entry import load_model
from pyfunc.model.description import Model
from pyfunc.serving.app import create_app
from pyfunc.serving.http.settings import ServingSettings
from pyfunc.serving.http.startup import collection_paused, keep_what_is_loaded
from pyfunc.variables import METRICS_FOLDER, SERVING_PLAN

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["run", "uvicorn_options", "worker_app"]


def run(
    model_path: str | os.PathLike[str],
    *,
    host: str = "127.0.0.1",
    port: int = 5000,
    workers: int = 1,
    settings: ServingSettings | None = None,
    name: str | None = None,
    load_options: Mapping[str, Any] | None = None,
    routes: str | None = None,
    drain_timeout: int = 30,
    log_level: str = "info",
) -> None:
    """Serve a model until a signal ends it; what is being answered then is answered first.

    Args:
        model_path: the model, as for ``load_model``.
        host: the address to listen on; by default only this machine reaches it.
        port: the port; 0 for any that is free.
        workers: how many processes serve, each with a copy of the model; one that dies is
            replaced. With 1 the model is served by this process itself.
        settings: limits and options.
        name: what the Open Inference Protocol calls the model.
        load_options: further arguments of ``load_model``, such as ``trust``; with several
            workers only what JSON can hold.
        routes: ``module:function`` of further routes; the function takes the
            :class:`~pyfunc.serving.ModelService`.
        drain_timeout: seconds that requests have to end after the signal.
        log_level: the least level of the server's own log.

    Raises:
        ModelNotFoundError: there is no such directory.
        InvalidArgumentError: a request handler is to answer, and the model has none.
        PyfuncError: the model cannot be loaded.
    """
    if type(workers) is not int or workers < 1:
        raise InvalidArgumentError(f"workers must be an integer of at least 1, got {workers!r}")
    model_path = resolve_model(model_path)
    settings = ServingSettings() if settings is None else settings
    if settings.handler_on_invocations:
        _check_has_handler(model_path, load_options or {})
    plan = {
        "model_path": str(model_path),
        "name": name,
        "settings": settings.to_dict(),
        "load_options": dict(load_options or {}),
        "routes": routes,
    }
    options = {
        **uvicorn_options(settings),
        "host": host,
        "port": port,
        "timeout_graceful_shutdown": drain_timeout,
        "log_level": log_level,
    }
    if workers == 1:
        uvicorn.run(_app_of(plan), **options)
    else:
        _serve_in_workers(plan, {**options, "workers": workers})


def _check_has_handler(model_path: Path, load_options: Mapping[str, Any]) -> None:
    """Find out before there are workers, which would be replaced for ever as they fail."""
    if HANDLER_FLAVOR not in Model.load(model_path).flavors:
        raise InvalidArgumentError(
            f"handler_on_invocations: {model_path} was saved without a request handler"
        )
    if load_options.get("env") == "isolated":
        raise InvalidArgumentError(
            "handler_on_invocations: request handlers do not run in an environment of their own\n"
            "hint: serve without env_manager, in an environment that has what the model requires"
        )


def uvicorn_options(settings: ServingSettings) -> dict[str, Any]:
    """Return the options of uvicorn under which the limits hold."""
    from pyfunc.serving.http.connections import GuardedProtocol

    return {
        "http": GuardedProtocol,
        "ws": "none",
        "lifespan": "on",
        "access_log": False,
        "server_header": False,
        "limit_concurrency": settings.max_connections,
    }


def worker_app() -> Starlette:
    """Return the application of a worker process, by the plan in its environment."""
    return _app_of(SERVING_PLAN.read())


def _app_of(plan: Mapping[str, Any]) -> Starlette:
    path = plan["model_path"]
    with collection_paused():
        model = load_model(path, **plan["load_options"])
        app = create_app(
            model,
            name=plan["name"] or Path(path).resolve().name,
            settings=ServingSettings(**plan["settings"]),
            extra_routes=_routes_named(plan["routes"]),
        )
    keep_what_is_loaded()
    return app


def _routes_named(reference: str | None) -> Any:
    if reference is None:
        return ()
    module, _, function = reference.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def _serve_in_workers(plan: Mapping[str, Any], options: dict[str, Any]) -> None:
    try:
        text = json.dumps(plan)
    except TypeError as error:
        raise InvalidArgumentError(
            f"load_options must be what JSON can hold for several workers: {error}"
        ) from error
    with tempfile.TemporaryDirectory(prefix="pyfunc-metrics-") as folder:
        shared = METRICS_FOLDER.read() or folder  # so that workers share their figures
        with SERVING_PLAN.setting(text), METRICS_FOLDER.setting(shared):
            uvicorn.run(f"{__name__}:{worker_app.__name__}", factory=True, **options)
