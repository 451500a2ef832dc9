"""The input example of a chat: completed as MLflow completes it, and what is saved of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyfunc.chat.kinds import Chat
from pyfunc.chat.problems import checked_record
from pyfunc.errors import InvalidArgumentError, InvalidTypeError, shorten

__all__ = ["example_of"]

_EXPECTED = "input_example: expected a request"


def example_of(chat: Chat, given: object) -> dict[str, Any]:
    """Return the request that ``given`` is, as it is saved; one that says hello if it is empty.

    Raises:
        InvalidTypeError: it is of another kind.
        ValueError: it is no request; says every problem.
    """
    if hasattr(given, "columns"):
        raise InvalidArgumentError(f"{_EXPECTED}, got a frame\nhint: pass a dict")
    if not given:
        return dict(chat.example)
    if chat.family == "llm":
        return _completed(chat, given)
    request = chat.type_of("request")
    if isinstance(given, request):
        return chat.dump(given)
    checked_record(request, given, f"the input example is no {request.__name__}")
    assert isinstance(given, dict), "as it was checked"
    return given


def _completed(chat: Chat, given: object) -> dict[str, Any]:
    """Return the request of a chat model: its messages, and the parameters that were given."""
    params: Mapping[str, object] = {}
    if isinstance(given, tuple) and len(given) == 2:
        given, params = given
    request = chat.type_of("request")
    if isinstance(given, request):
        return chat.dump(given)
    if isinstance(given, list):
        given = {"messages": given}
    if not isinstance(given, Mapping):
        raise InvalidTypeError(f"{_EXPECTED}, a dict or a list of messages, got {shorten(given)}")
    if "messages" not in given:
        raise InvalidArgumentError(f"{_EXPECTED} with the key messages, got {shorten(given)}")
    checked = request.from_dict({**given, **params})
    known = chat.types.ChatParams.keys()
    return {
        "messages": chat.dump(checked)["messages"],
        **{name: value for name, value in given.items() if name in known},
        **params,
    }
