"""What chat models and agents are given and return, under MLflow's names.

``llm`` is for :class:`~pyfunc.ChatModel`, ``agent`` for :class:`~pyfunc.ChatAgent`, ``responses``
for :class:`~pyfunc.ResponsesAgent`, and ``chat`` has the chat completions of OpenAI. Those of
``llm`` are dataclasses; the others are pydantic models, for which the extra ``chat`` is needed.
"""

from __future__ import annotations

from pyfunc._lazy import face

__getattr__, __dir__, __all__ = face(
    __name__, {}, modules=("agent", "chat", "llm", "responses", "responses_parts")
)
