"""From the section that an MLmodel file has for a request handler to the handler that works.

What runs handlers is imported when a model has one.
"""

from __future__ import annotations

from pyfunc.directory.mlmodel import MLMODEL_FILE
from pyfunc.errors import ModelFormatError, shorten
from pyfunc.handlers.project import HANDLER_FLAVOR, WRAPPED_KEY
from pyfunc.model.loaded import PyFuncModel, SampleHandler
from pyfunc.model.opened import OpenedModel
from pyfunc.trust import check_code_may_run

__all__ = ["attach_handler"]


def attach_handler(opened: OpenedModel, model: PyFuncModel) -> None:
    """Load the request handler of an opened model, if it has one, and give it to ``model``.

    Raises:
        UntrustedModelError: the policy in force forbids its code.
        HandlerError: its code fails, or its functions take other arguments than they should.
        ModelFormatError: its section in MLmodel is malformed.
        ModelPathError: the section names something outside the model.
    """
    if HANDLER_FLAVOR not in opened.meta.flavors:
        return
    check_code_may_run("its request handler", opened.root)
    section = opened.meta.flavors[HANDLER_FLAVOR]
    if section.get(WRAPPED_KEY) is not None:
        model.use_handler(_handler_inside(opened, model, section[WRAPPED_KEY]))
        return
    from pyfunc.handlers.loading import load_handler

    model.use_handler(load_handler(opened, model))


def _handler_inside(opened: OpenedModel, model: PyFuncModel, attribute: object) -> SampleHandler:
    """Return the handler of the model inside, which ``load_context`` has loaded."""
    name = attribute if isinstance(attribute, str) else ""
    inner = getattr(model.unwrap_python_model(), name, None)
    handler: SampleHandler | None = getattr(inner, "request_handler", None)
    if handler is None:
        raise ModelFormatError(
            f"expected the attribute that holds the model inside, got {shorten(attribute)}",
            path=opened.root / MLMODEL_FILE,
            key=f"flavors.{HANDLER_FLAVOR}.{WRAPPED_KEY}",
        )
    return handler
