"""A chat that is being saved: its signature is fixed, and it is tried on its example."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyfunc.chat.examples import example_of
from pyfunc.chat.kinds import Chat, chat_of
from pyfunc.errors import InvalidArgumentError
from pyfunc.model.description import Model
from pyfunc.saving.request import SaveRequest
from pyfunc.saving.signature import Trial
from pyfunc.schema import InputExample

__all__ = ["check_chat"]


def check_chat(trial: Trial, request: SaveRequest, model: Model) -> tuple[Chat, InputExample]:
    """Return what is to know of a chat, and its example, on which it answers as it must.

    The signature and the task are in ``model`` afterwards.

    Raises:
        InvalidArgumentError: a signature was given.
        ValueError: the example is no request; says every problem.
        PyfuncError: what it answers is no answer; says every problem.
        Exception: what the model itself raises.
    """
    chat = chat_of(trial.python_model)
    kind = chat.base.__name__
    if request.signature is not None:
        raise InvalidArgumentError(
            f"signature: all models that are a {kind} have the same, which is saved by itself\n"
            "hint: leave the argument out"
        )
    model.signature = chat.signature()
    if model.metadata is None or isinstance(model.metadata, dict):
        model.metadata = {"task": chat.task, **(model.metadata or {})}
    if chat.family != "llm":
        trial.imports.add("pydantic")  # which the types are made with, by no name in the pickle
    example = example_of(chat, request.given_example)
    with trial.prepared() as (python_model, context):
        tried = chat_of(python_model)
        with _named_as("predict fails on the input example"):
            answer = tried.call("predict", example, context)
        tried.dict_of(answer, "predict")
    return chat, InputExample.from_value(example)


@contextmanager
def _named_as(what: str) -> Iterator[None]:
    """Let an exception of the model pass as it is, with a note of what was done."""
    try:
        yield
    except Exception as error:
        if hasattr(error, "add_note"):  # Python 3.11
            error.add_note(f"pyfunc: {what}")
        raise
