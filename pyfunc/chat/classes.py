"""The classes that users subclass for chats: a chat model, a chat agent, a responses agent.

Instances and methods end up in pickles under MLflow's names, as those of
:class:`~pyfunc.PythonModel` do.
"""

from __future__ import annotations

import functools
import inspect
from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pyfunc.chat.problems import checked_record
from pyfunc.directory.mlmodel import PYTHON_LOADER
from pyfunc.model.python_model import PythonModel
from pyfunc.types import response_items

if TYPE_CHECKING:
    from pyfunc.types.agent import ChatAgentMessage
    from pyfunc.types.records import Record
    from pyfunc.types.responses import ResponsesAgentStreamEvent

__all__ = [
    "ChatAgent",
    "ChatModel",
    "ResponsesAgent",
    "chat_base_of",
    "is_chat",
    "unwrap_mlflow",
    "wrap_dict_predict",
]

Method = TypeVar("Method", bound=Callable[..., Any])
METHODS = ("predict", "predict_stream")


class _Chat(PythonModel, metaclass=ABCMeta):
    @classmethod
    def _wrap_methods(cls) -> None:
        """Wrap the methods that the class itself defines, as far as they are not.

        Their parameters are others than those of a PythonModel, and no hint on them makes a
        signature.
        """
        if cls.__module__ == __name__:
            return
        for name, value in list(vars(cls).items()):
            if not inspect.isfunction(value):
                continue
            plain = _without_layers_of_mlflow(value)
            if name in METHODS and not hasattr(plain, "_pyfunc_wrapped_by"):
                plain = cls.wrap_method(plain)
            if plain is not value:
                setattr(cls, name, plain)

    @classmethod
    def wrap_method(cls, method: Method) -> Method:
        """Return the method as it is called on instances."""
        return method

    @abstractmethod
    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Return the answer."""

    def predict_stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Yield the parts of the answer."""
        raise NotImplementedError(
            f"{type(self).__name__} does not define predict_stream, which streams answers"
        )


class ChatModel(_Chat):
    """A model of chats: define ``predict(self, context, messages, params)``.

    ``messages`` is a list of :class:`~pyfunc.types.llm.ChatMessage` and ``params`` a
    :class:`~pyfunc.types.llm.ChatParams`; ``context`` may be left out. It returns a
    :class:`~pyfunc.types.llm.ChatCompletionResponse`. ``predict_stream`` takes the same, and
    yields :class:`~pyfunc.types.llm.ChatCompletionChunk`.
    """


class ChatAgent(_Chat):
    """An agent: define ``predict(self, messages, context=None, custom_inputs=None)``.

    ``messages`` is a list of :class:`~pyfunc.types.agent.ChatAgentMessage`. It returns a
    :class:`~pyfunc.types.agent.ChatAgentResponse`, and ``predict_stream`` yields
    :class:`~pyfunc.types.agent.ChatAgentChunk`. Both may also be called with one dict, a request.
    """

    @classmethod
    def wrap_method(cls, method: Method) -> Method:
        """Return the method so that it also takes a request as a dict."""
        from pyfunc.types.agent import ChatAgentRequest

        return wrap_dict_predict(method, ChatAgentRequest, "not a request of a ChatAgent", True)

    def _convert_messages_to_dict(
        self, messages: Sequence[ChatAgentMessage]
    ) -> list[dict[str, Any]]:
        return [message.model_dump(exclude_none=True) for message in messages]


class ResponsesAgent(_Chat):
    """An agent of OpenAI's Responses API: define ``predict(self, request)``.

    It takes a :class:`~pyfunc.types.responses.ResponsesAgentRequest` and returns a
    :class:`~pyfunc.types.responses.ResponsesAgentResponse`; ``predict_stream`` yields
    :class:`~pyfunc.types.responses.ResponsesAgentStreamEvent`. Both may also be called with one
    dict, a request. The static methods make the items and events of an answer.
    """

    @classmethod
    def wrap_method(cls, method: Method) -> Method:
        """Return the method so that it also takes a request as a dict."""
        from pyfunc.types.responses import ResponsesAgentRequest

        return wrap_dict_predict(
            method, ResponsesAgentRequest, "not a request of a ResponsesAgent", False
        )

    create_text_delta = staticmethod(response_items.create_text_delta)
    create_annotation_added = staticmethod(response_items.create_annotation_added)
    create_text_output_item = staticmethod(response_items.create_text_output_item)
    create_reasoning_item = staticmethod(response_items.create_reasoning_item)
    create_function_call_item = staticmethod(response_items.create_function_call_item)
    create_function_call_output_item = staticmethod(
        response_items.create_function_call_output_item
    )
    prep_msgs_for_cc_llm = staticmethod(response_items.to_chat_completions_input)
    _responses_to_cc = staticmethod(response_items.responses_to_cc)

    @staticmethod
    def output_to_responses_items_stream(
        chunks: Iterable[Any], aggregator: list[dict[str, Any]] | None = None
    ) -> Iterator[ResponsesAgentStreamEvent]:
        """Yield the events that the stream of a chat completion stands for."""
        from pyfunc.types.responses import output_to_responses_items_stream

        return output_to_responses_items_stream(chunks, aggregator)

    @staticmethod
    def responses_agent_output_reducer(chunks: Iterable[Any]) -> dict[str, Any]:
        """Return the answer that the complete items of a stream are, as a dict."""
        from pyfunc.types.responses import responses_agent_output_reducer

        return responses_agent_output_reducer(chunks)


def is_chat(value: object) -> bool:
    """Return whether ``value`` is an instance of one of the classes, ours or MLflow's."""
    return chat_base_of(type(value)) is not None


def chat_base_of(cls: type) -> type | None:
    """Return which of the classes here ``cls`` is below, itself or by MLflow's of the name."""
    for base in cls.__mro__:
        for kind in (ChatModel, ChatAgent, ResponsesAgent):
            if base is kind or (base.__name__, base.__module__) == (kind.__name__, PYTHON_LOADER):
                return kind
    return None


def wrap_dict_predict(
    method: Method, request_type: type[Record], refusal: str, unpack: bool = False
) -> Method:
    """Return ``method`` so that, called with one dict, it is given what the dict stands for.

    Args:
        method: of a class.
        request_type: what the dict must be, strictly.
        refusal: what an error says of a dict that is not.
        unpack: give the method the fields that it names in place of the request.
    """
    names = list(inspect.signature(method).parameters)
    fields = [name for name in names if name in request_type.model_fields]

    @functools.wraps(method)
    def wrapper(self: object, *args: object, **kwargs: object) -> object:
        if len(args) != 1 or not isinstance(args[0], dict):
            return method(self, *args, **kwargs)
        request = checked_record(request_type, args[0], refusal)
        if unpack:
            return method(self, **{name: getattr(request, name) for name in fields})
        return method(self, request)

    vars(wrapper).update(
        _is_pyfunc=True,
        _pyfunc_original=method,
        _pyfunc_wrapped_by=(wrap_dict_predict, (request_type, refusal, unpack)),
    )
    return cast("Method", wrapper)


def unwrap_mlflow(model: object) -> None:
    """Take off what MLflow put around the methods of a chat that came out of a pickle.

    It would look for MLflow's tracing.
    """
    for cls in type(model).__mro__:
        if issubclass(cls, _Chat):
            cls._wrap_methods()


def _without_layers_of_mlflow(function: Callable[..., Any]) -> Callable[..., Any]:
    while _is_of_mlflow(getattr(function, "__globals__", {})):
        inner = getattr(function, "__wrapped__", None)
        if inner is None:
            return function
        function = inner
    return function


def _is_of_mlflow(namespace: Mapping[str, object]) -> bool:
    return str(namespace.get("__name__")).startswith("mlflow.")
