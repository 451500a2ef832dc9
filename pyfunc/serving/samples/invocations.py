"""``POST /invocations`` through the request handler: every row or element is a sample."""

from __future__ import annotations

from pyfunc.errors import BAD_REQUEST, InvalidArgumentError, shorten
from pyfunc.handlers.loading import RequestHandler
from pyfunc.handlers.project import HANDLER_FLAVOR
from pyfunc.handlers.samples import samples_of
from pyfunc.schema import RequestReader
from pyfunc.serving.http.endpoint import Endpoint
from pyfunc.serving.http.messages import Reply, Request
from pyfunc.serving.samples.routes import refuse_as_here
from pyfunc.serving.samples.tracking import AnswerCounter
from pyfunc.serving.scoring import format_reply, parse_scoring_request
from pyfunc.serving.service import ModelService

__all__ = ["handled_invocations"]


def handled_invocations(service: ModelService) -> Endpoint:
    """Return the endpoint that answers ``/invocations`` with the served model's handler.

    Raises:
        InvalidArgumentError: the model has no request handler, or runs in an environment of its
            own, where handlers do not.
    """
    handler = service.model.request_handler
    if not isinstance(handler, RequestHandler):
        reason = "was saved without a request handler"
        if HANDLER_FLAVOR in service.model.metadata.flavors:
            reason = "runs in an environment of its own, where its request handler does not"
        raise InvalidArgumentError(f"handler_on_invocations: the model {reason}")
    return Endpoint(
        service,
        "invocations",
        _HandledScoring(service, handler),
        refuse=lambda error: refuse_as_here(error, service),
    )


class _HandledScoring:
    """Answers requests in MLflow's forms; may be called from any number of threads.

    The bodies are read without the signature of the model, which is for what the handler makes.
    """

    def __init__(self, service: ModelService, handler: RequestHandler) -> None:
        settings = service.settings
        self._handler = handler
        self._settings = settings
        self._answers = AnswerCounter(handler.tracker, service.meter)
        self._reader = RequestReader(
            None,
            as_sent=True,
            allow_nan=settings.allow_nan,
            max_depth=settings.max_depth,
            limits=settings.limits,
        )

    def __call__(self, request: Request) -> Reply:
        parsed = parse_scoring_request(self._reader, request)
        if parsed.params:
            raise InvalidArgumentError(
                "params: the request handler of this model takes none, got "
                f"{shorten(sorted(parsed.params))}",
                BAD_REQUEST,
            )
        answers: list[object] = [
            self._handler.predict_sample(sample) for sample in samples_of(parsed.data)
        ]
        value = answers[0] if parsed.unified else answers
        reply = format_reply(value, nan=self._settings.nan, unified=parsed.unified)
        for answer in answers:
            self._answers.note(answer)
        return reply
