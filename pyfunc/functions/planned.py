"""The application of a plan, as each process of a server makes it."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

from pyfunc.errors import InvalidArgumentError, PyfuncError
from pyfunc.functions.app import FunctionApp, create_function_app
from pyfunc.functions.hiding import veil_of
from pyfunc.functions.plans import ServerPlan
from pyfunc.serving.http.settings import HttpSettings

__all__ = ["planned_app"]

logger = logging.getLogger("pyfunc.functions")


def planned_app(plan: Mapping[str, Any]) -> FunctionApp:
    """Return the application of a plan, whose init function has returned.

    What goes wrong is in the log with its traceback.

    Raises:
        PyfuncError: the init function failed, or no request could call the function.
        Exception: whatever the module of the function raises.
    """
    served = ServerPlan(**plan)
    veil_of(served.secrets).cover_output()
    # What context.logger says; the loggers of other libraries say from WARNING on.
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logger.setLevel(logging.INFO)
    try:
        app = _make_app(served)
    except Exception:
        logger.exception("the function cannot be served")
        raise
    try:
        app.start()
    except Exception as error:
        logger.exception("the init function failed")
        raise PyfuncError(f"the init function failed: {error}") from error
    return app


def _make_app(plan: ServerPlan) -> FunctionApp:
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
        settings=HttpSettings(**plan.settings),
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
