"""Chats of each kind that answer what they were given.

Run as a script it saves them below a folder: their classes then go into the pickles, and a
process that loads them has never seen them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyfunc
from pyfunc.types import agent, llm, responses


class EchoModel(pyfunc.ChatModel):
    def predict(self, context: Any, messages: Any, params: Any) -> Any:
        told = {
            "messages": [message.to_dict() for message in messages],
            "params": params.to_dict(),
            "context": type(context).__name__,
        }
        message = llm.ChatMessage("assistant", json.dumps(told, sort_keys=True))
        return llm.ChatCompletionResponse([llm.ChatChoice(message)], created=1)

    def predict_stream(self, context: Any, messages: Any, params: Any) -> Iterator[Any]:
        for word in messages[-1].content.split():
            delta = llm.ChatChoiceDelta(content=word)
            yield llm.ChatCompletionChunk([llm.ChatChunkChoice(delta)], created=1)


class EchoAgent(pyfunc.ChatAgent):
    def predict(self, messages: Any, context: Any = None, custom_inputs: Any = None) -> Any:
        told = {
            "messages": self._convert_messages_to_dict(messages),
            "context": None if context is None else context.model_dump(),
            "custom_inputs": custom_inputs,
        }
        text = json.dumps(told, sort_keys=True)
        message = agent.ChatAgentMessage(role="assistant", content=text, id="1")
        return agent.ChatAgentResponse(messages=[message], custom_outputs=custom_inputs)

    def predict_stream(
        self, messages: Any, context: Any = None, custom_inputs: Any = None
    ) -> Iterator[Any]:
        for word in messages[-1].content.split():
            message = agent.ChatAgentMessage(role="assistant", content=word, id="1")
            yield agent.ChatAgentChunk(delta=message)


class EchoResponses(pyfunc.ResponsesAgent):
    def predict(self, request: Any) -> Any:
        text = json.dumps(request.model_dump(exclude_none=True), sort_keys=True)
        item = self.create_text_output_item(text, "1")
        return responses.ResponsesAgentResponse.model_validate({"output": [item]})

    def predict_stream(self, request: Any) -> Iterator[Any]:
        text = request.input[-1].content
        for word in text.split():
            yield responses.ResponsesAgentStreamEvent(**self.create_text_delta(word, "1"))
        item = self.create_text_output_item(text, "1")
        done: dict[str, Any] = {"type": "response.output_item.done", "item": item}
        yield responses.ResponsesAgentStreamEvent(**done)


ECHOES: dict[str, Any] = {"model": EchoModel, "agent": EchoAgent, "responses": EchoResponses}


if __name__ == "__main__":
    for kind, echo in ECHOES.items():
        pyfunc.save_model(Path(sys.argv[1], kind), python_model=echo(), pip_requirements=[])
