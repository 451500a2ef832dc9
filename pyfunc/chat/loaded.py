"""Whether a loaded model is a chat, and of which kind: for those that serve it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pyfunc.chat.classes import ChatAgent, ChatModel, ResponsesAgent, chat_base_of
from pyfunc.errors import PyfuncError

if TYPE_CHECKING:
    from pyfunc.model.loaded import PyFuncModel

__all__ = ["Family", "family_of", "has_stream"]

Family = Literal["llm", "agent", "responses"]
"""The kinds of chats, by the modules of their types."""

_BASES: dict[type, Family] = {
    ChatModel: "llm",
    ChatAgent: "agent",
    ResponsesAgent: "responses",
}
_TASKS: dict[str, Family] = {
    "agent/v1/chat": "llm",
    "agent/v2/chat": "agent",
    "agent/v1/responses": "responses",
}


def family_of(model: PyFuncModel) -> Family | None:
    """Return which kind of chat ``model`` is, None if it is none.

    Of one in another process its metadata are believed.
    """
    found = _object_of(model)
    if found is not None:
        base = chat_base_of(type(found))
        return None if base is None else _BASES[base]
    metadata = model.metadata.metadata
    task = metadata.get("task") if isinstance(metadata, dict) else None
    return _TASKS.get(str(task))


def has_stream(model: PyFuncModel) -> bool:
    """Return whether ``model`` has a stream; a chat that is saved as if it had need not.

    That is seen where the user's object is in this process.
    """
    if not model.metadata.flavors["python_function"].get("streamable"):
        return False
    found = _object_of(model)
    base = None if found is None else chat_base_of(type(found))
    if base is None:
        return True
    return any("predict_stream" in vars(cls) for cls in _below(type(found), base))


def _below(cls: type, base: type) -> list[type]:
    """Return the classes that ``cls`` is made of below ``base``, ours or MLflow's of its name."""
    names = [each.__name__ for each in cls.__mro__]
    return list(cls.__mro__[: names.index(base.__name__)])


def _object_of(model: PyFuncModel) -> object:
    try:
        found: object = model.unwrap_python_model()
    except PyfuncError:
        return None
    return found
