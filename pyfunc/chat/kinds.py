"""The three kinds of chats: how each is described, called, and what it answers."""

from __future__ import annotations

import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import fields
from types import ModuleType
from typing import Any, ClassVar, Literal

from pyfunc.chat.classes import ChatAgent, ChatModel, ResponsesAgent, chat_base_of
from pyfunc.chat.loaders import AGENT_LOADER, MODEL_LOADER, RESPONSES_LOADER
from pyfunc.chat.problems import built_record, checked_record
from pyfunc.chat.signatures import (
    CHAT_AGENT_INPUTS,
    CHAT_AGENT_OUTPUTS,
    CHAT_MODEL_INPUTS,
    CHAT_MODEL_OUTPUTS,
    RESPONSES_INPUTS,
    RESPONSES_OUTPUTS,
)
from pyfunc.directory.mlmodel import PYTHON_LOADER
from pyfunc.errors import INTERNAL_ERROR, PyfuncError, shorten
from pyfunc.model.python_model import PythonModelContext
from pyfunc.schema import ModelSignature, Schema

__all__ = ["Chat", "chat_of"]

_HELLO = [{"role": "user", "content": "Hello!"}]

Method = Literal["predict", "predict_stream"]


class Chat(ABC):
    """A model that chats, as what calls it needs to know it.

    Attributes:
        model: the user's object.
        base: the class that its kind of models is of.
        loader_module: what loads a pickle of one.
        task: what ``metadata`` says in MLmodel.
        example: the request that it is tried with at save if none is given.
    """

    base: ClassVar[type]
    loader_module: ClassVar[str]
    task: ClassVar[str]
    family: ClassVar[str]
    names: ClassVar[Mapping[str, str]]
    example: ClassVar[Mapping[str, object]]
    schemas: ClassVar[tuple[Schema, Schema]]

    def __init__(self, model: Any) -> None:
        self.model = model
        if _is_of_mlflow(type(model)):
            self.types = importlib.import_module(f"mlflow.types.{self.family}")
        else:
            self.types = self.own_types()

    @classmethod
    @abstractmethod
    def own_types(cls) -> ModuleType:
        """Return the module of its types here."""

    @classmethod
    def signature(cls) -> ModelSignature:
        """Return the signature that all models of the kind have."""
        return ModelSignature(*cls.schemas)

    def type_of(self, role: str) -> Any:
        """Return the type of a ``request``, an answer of ``predict`` or one of a stream."""
        return getattr(self.types, self.names[role])

    def call(
        self, method: Method, values: Mapping[str, object], context: PythonModelContext | None
    ) -> Any:
        """Return what the model's method gives for a request.

        Raises:
            ValueError: ``values`` are no request.
            Exception: what the method raises.
        """
        request = self.build_request(values)
        function: Callable[..., object] = getattr(self.model, method)
        return function(*self.arguments(function, request, context))

    def dict_of(self, value: object, method: Method) -> dict[str, Any]:
        """Return what the model's method gave, or one of the parts that it yielded, as a dict.

        Raises:
            PyfuncError: it is not what the method must give; says every problem.
        """
        if inspect.iscoroutine(value):
            value.close()  # else Python warns of one that was never awaited
        if isinstance(value, self.type_of(method)) or self._is_other(value, self.names[method]):
            return self.dump(value)
        return self.check_other(value, method)

    def _is_other(self, value: object, name: str) -> bool:
        """Return whether ``value`` is MLflow's where ours was expected."""
        return any(
            base.__name__ == name and base.__module__ == f"mlflow.types.{self.family}"
            for base in type(value).__mro__
        )

    @abstractmethod
    def build_request(self, values: Mapping[str, object]) -> Any:
        """Return the request that ``values`` are.

        Raises:
            ValueError: they are none; says every problem.
        """

    @abstractmethod
    def arguments(
        self, method: Callable[..., object], request: Any, context: PythonModelContext | None
    ) -> tuple[object, ...]:
        """Return what a method of the model is called with."""

    @abstractmethod
    def dump(self, value: Any) -> dict[str, Any]:
        """Return one of its types as a dict, without what is None."""

    @abstractmethod
    def check_other(self, value: object, method: Method) -> dict[str, Any]:
        """Return what a method gave, which is no instance of its type.

        Raises:
            PyfuncError: it is not admitted.
        """


class _ModelChat(Chat):
    base = ChatModel
    loader_module = MODEL_LOADER
    task = "agent/v1/chat"
    family = "llm"
    names: ClassVar[Mapping[str, str]] = {
        "request": "ChatCompletionRequest",
        "predict": "ChatCompletionResponse",
        "predict_stream": "ChatCompletionChunk",
    }
    schemas = (CHAT_MODEL_INPUTS, CHAT_MODEL_OUTPUTS)
    example: ClassVar[Mapping[str, object]] = {
        "messages": _HELLO,
        "temperature": 1.0,
        "max_tokens": 10,
        "stop": ["\n"],
        "n": 1,
        "stream": False,
    }

    @classmethod
    def own_types(cls) -> ModuleType:
        from pyfunc.types import llm

        return llm

    def build_request(self, values: Mapping[str, object]) -> Any:
        return self.type_of("request").from_dict(values)

    def arguments(
        self, method: Callable[..., object], request: Any, context: PythonModelContext | None
    ) -> tuple[object, ...]:
        kind = self.types.ChatParams
        params = kind(**{field.name: getattr(request, field.name) for field in fields(kind)})
        parameters = inspect.signature(method).parameters
        if "context" in parameters or len(parameters) > 2:
            return context, request.messages, params
        return request.messages, params

    def dump(self, value: Any) -> dict[str, Any]:
        dumped: dict[str, Any] = value.to_dict()
        return dumped

    def check_other(self, value: object, method: Method) -> dict[str, Any]:
        raise PyfuncError(
            f"{type(self.model).__name__}.{method}: expected a {self.names[method]}, "
            f"got {type(value).__name__}: {shorten(value)}\n"
            f"hint: make one from pyfunc.types.llm; the method must not be async",
            INTERNAL_ERROR,
        )


class _RecordChat(Chat):
    def build_request(self, values: Mapping[str, object]) -> Any:
        return built_record(
            self.type_of("request"), values, "input does not match what the agent takes"
        )

    def dump(self, value: Any) -> dict[str, Any]:
        dumped: dict[str, Any] = value.model_dump(exclude_none=True)
        return dumped

    def check_other(self, value: Any, method: Method) -> dict[str, Any]:
        where = f"{type(self.model).__name__}.{method}"
        checked_record(
            self.type_of(method), value, f"{where} gave what is no {self.names[method]}"
        )
        given: dict[str, Any] = value
        return given


class _AgentChat(_RecordChat):
    base = ChatAgent
    loader_module = AGENT_LOADER
    task = "agent/v2/chat"
    family = "agent"
    names: ClassVar[Mapping[str, str]] = {
        "request": "ChatAgentRequest",
        "predict": "ChatAgentResponse",
        "predict_stream": "ChatAgentChunk",
    }
    schemas = (CHAT_AGENT_INPUTS, CHAT_AGENT_OUTPUTS)
    example: ClassVar[Mapping[str, object]] = {"messages": _HELLO}

    @classmethod
    def own_types(cls) -> ModuleType:
        from pyfunc.types import agent

        return agent

    def arguments(
        self, method: Callable[..., object], request: Any, context: PythonModelContext | None
    ) -> tuple[object, ...]:
        return request.messages, request.context, request.custom_inputs


class _ResponsesChat(_RecordChat):
    base = ResponsesAgent
    loader_module = RESPONSES_LOADER
    task = "agent/v1/responses"
    family = "responses"
    names: ClassVar[Mapping[str, str]] = {
        "request": "ResponsesAgentRequest",
        "predict": "ResponsesAgentResponse",
        "predict_stream": "ResponsesAgentStreamEvent",
    }
    schemas = (RESPONSES_INPUTS, RESPONSES_OUTPUTS)
    example: ClassVar[Mapping[str, object]] = {"input": _HELLO}

    @classmethod
    def own_types(cls) -> ModuleType:
        from pyfunc.types import responses

        return responses

    def arguments(
        self, method: Callable[..., object], request: Any, context: PythonModelContext | None
    ) -> tuple[object, ...]:
        return (request,)


_KINDS: tuple[type[Chat], ...] = (_ModelChat, _AgentChat, _ResponsesChat)


def chat_of(model: object) -> Chat:
    """Return what is to know of ``model``, for which ``is_chat`` is true."""
    base = chat_base_of(type(model))
    return next(kind(model) for kind in _KINDS if kind.base is base)


def _is_of_mlflow(cls: type) -> bool:
    return any(base.__module__ == PYTHON_LOADER for base in cls.__mro__)
