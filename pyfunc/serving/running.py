"""Running the server of a model until a signal ends it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyfunc.errors import InvalidArgumentError
from pyfunc.files.locations import resolve_model
from pyfunc.handlers.project import HANDLER_FLAVOR
from pyfunc.loading.entry import load_model
from pyfunc.model.description import Model
from pyfunc.serving.app import create_app
from pyfunc.serving.http.addresses import check_port
from pyfunc.serving.http.running import (
    Plan,
    check_workers,
    import_named,
    run_app,
    uvicorn_options,
    with_hosts,
)
from pyfunc.serving.settings import ServingSettings

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["model_app", "run", "uvicorn_options"]


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
    uds: str | None = None,
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
        uds: the path of a unix socket to listen on in place of host and port.

    Raises:
        ModelNotFoundError: there is no such directory.
        InvalidArgumentError: a request handler is to answer, and the model has none; or the
            server cannot listen there.
        PyfuncError: the model cannot be loaded.
    """
    check_workers(workers)
    check_port(port)
    model_path = resolve_model(model_path)
    settings = with_hosts(ServingSettings() if settings is None else settings, host, uds)
    if settings.handler_on_invocations:
        _check_has_handler(model_path, load_options or {})
    plan = {
        "model_path": str(model_path),
        "name": name,
        "settings": settings.to_dict(),
        "load_options": dict(load_options or {}),
        "routes": routes,
    }
    run_app(
        model_app,
        plan,
        host=host,
        port=port,
        workers=workers,
        settings=settings,
        drain_timeout=drain_timeout,
        log_level=log_level,
        uds=uds,
    )


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


def model_app(plan: Plan) -> Starlette:
    """Return the application that serves the model of a plan."""
    path = plan["model_path"]
    return create_app(
        load_model(path, **plan["load_options"]),
        name=plan["name"] or Path(path).resolve().name,
        settings=ServingSettings(**plan["settings"]),
        extra_routes=() if plan["routes"] is None else import_named(plan["routes"]),
    )
