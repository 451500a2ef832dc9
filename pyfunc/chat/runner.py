"""A loaded chat behind the interface that every loaded model has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pyfunc.chat.kinds import Chat, chat_of
from pyfunc.chat.requests import RequestForm

if TYPE_CHECKING:
    from pyfunc.model.python_model import PythonModelContext
    from pyfunc.schema import ModelSignature

__all__ = ["ChatRunner"]


class ChatRunner:
    """A chat that is given requests and gives answers as dicts.

    Attributes:
        python_model: the user's object.
        context: what a chat model is given as context.
        signature: the signature of the model, or None.
        validates_itself: the input comes here as it was given.
    """

    validates_itself = True

    def __init__(
        self, chat: Chat, context: PythonModelContext | None, signature: ModelSignature | None
    ) -> None:
        self.python_model = chat.model
        self.context = context
        self.signature = signature
        self._chat = chat
        inputs = None if signature is None else signature.inputs
        self._form = RequestForm(chat.schemas[0] if inputs is None else inputs)

    def __getstate__(self) -> dict[str, object]:
        """Return what it is made of."""
        return {
            "python_model": self.python_model,
            "context": self.context,
            "signature": self.signature,
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Become one of the same model."""
        ChatRunner.__init__(
            self, chat_of(state["python_model"]), state["context"], state["signature"]
        )

    def get_raw_model(self) -> object:
        """Return the user's object."""
        return self.python_model

    def predict(self, model_input: object) -> dict[str, Any]:
        """Return the answer to the one request in ``model_input``.

        Raises:
            SchemaError: it is no request; says every problem.
            PyfuncError: the model gave what is no answer.
            Exception: what the model raises.
        """
        request = self._form.read(model_input)
        return self._chat.dict_of(self._chat.call("predict", request, self.context), "predict")

    def predict_stream(self, model_input: object) -> Iterator[dict[str, Any]]:
        """Yield the parts of the answer; errors are those of :meth:`predict`."""
        request = self._form.read(model_input)
        parts = self._chat.call("predict_stream", request, self.context)
        try:
            for part in parts:
                yield self._chat.dict_of(part, "predict_stream")
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()
