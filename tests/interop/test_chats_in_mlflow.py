"""Chats saved here, loaded by real MLflow where this library cannot be imported.

``PYFUNC_MLFLOW_PYTHON`` names the interpreter with MLflow, by default the running one.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pyfunc
from tests.interop.test_models_in_mlflow import PREDICTING, PYTHON, run_script

pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings("ignore")]

# Written so that the releases have what it names; run as a script, so that the classes are
# pickled by value.
SAVING = """
import sys
import pyfunc
from pyfunc.types import agent, llm, responses


class Model(pyfunc.ChatModel):
    def load_context(self, context):
        self.end = context.model_config["end"]

    def predict(self, context, messages, params):
        text = f"{len(messages)} {messages[-1].content} {params.temperature}{self.end}"
        message = llm.ChatMessage(role="assistant", content=text)
        return llm.ChatCompletionResponse(choices=[llm.ChatChoice(message=message)], created=1)

    def predict_stream(self, context, messages, params):
        for word in messages[-1].content.split():
            delta = llm.ChatChoiceDelta(content=word)
            choice = llm.ChatChunkChoice(delta=delta)
            yield llm.ChatCompletionChunk(choices=[choice], created=1)


class Agent(pyfunc.ChatAgent):
    def load_context(self, context):
        self.end = context.model_config["end"]

    def predict(self, messages, context=None, custom_inputs=None):
        told = [
            agent.ChatAgentMessage(role="assistant", content=part.delta.content, id=str(at))
            for at, part in enumerate(self.predict_stream({"messages": messages_of(messages)}))
        ]
        return agent.ChatAgentResponse(messages=told, custom_outputs=custom_inputs)

    def predict_stream(self, messages, context=None, custom_inputs=None):
        for word in [*messages[-1].content.split(), self.end]:
            message = agent.ChatAgentMessage(role="assistant", content=word, id="1")
            yield agent.ChatAgentChunk(delta=message)


def messages_of(messages):
    return [message.model_dump(exclude_none=True) for message in messages]


ITEM = {"type": "message", "id": "1", "role": "assistant"}


class Responses(pyfunc.ResponsesAgent):
    def load_context(self, context):
        self.end = context.model_config["end"]

    def predict(self, request):
        part = {"type": "output_text", "text": request.input[-1].content + self.end}
        return {"output": [{**ITEM, "content": [part]}]}

    def predict_stream(self, request):
        for word in request.input[-1].content.split():
            yield {"type": "response.output_text.delta", "item_id": "1", "delta": word}


for chat in (Model(), Agent(), Responses()):
    pyfunc.save_model(
        f"{sys.argv[1]}/{type(chat).__name__}",
        python_model=chat,
        model_config={"end": "!"},
        pip_requirements=[],
    )
"""
HI = [{"role": "user", "content": "hi there"}]
REQUESTS: dict[str, dict[str, Any]] = {
    "Model": {"messages": HI, "temperature": 0.5},
    "Agent": {"messages": HI, "custom_inputs": {"a": [1, {"b": None}]}},
    "Responses": {"input": HI},
}
MISSING = {"2.14": {"Model", "Agent", "Responses"}}
"""What the types that a model names are called otherwise in, or what there is none of."""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chats")
    (folder / "save.py").write_text(SAVING)
    subprocess.run([sys.executable, str(folder / "save.py"), str(folder)], check=True, timeout=300)
    return folder


@pytest.fixture(scope="module")
def theirs(saved: Path) -> dict[str, Any]:
    plan = [
        {
            "name": f"{name} {stream}",
            "path": str(saved / name),
            "input": {"kind": "raw", "data": request},
            "stream": stream,
        }
        for name, request in REQUESTS.items()
        for stream in (False, True)
    ]
    return run_script(PYTHON, PREDICTING, plan)


@pytest.fixture(scope="module")
def release() -> str:
    code = "import importlib.metadata as m; print(m.version('mlflow'))"
    found = subprocess.run([PYTHON, "-c", code], check=True, capture_output=True, text=True)
    return ".".join(found.stdout.strip().split(".")[:2])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", REQUESTS)
def test_mlflow_answers_what_is_answered_here(
    saved: Path, theirs: dict[str, Any], release: str, name: str, stream: bool
) -> None:
    found = theirs[f"{name} {stream}"]
    if name in MISSING.get(release, ()):
        assert "error" in found
        return
    assert "error" not in found, found["error"]
    model = pyfunc.load_model(saved / name, suppress_warnings=True)
    request = REQUESTS[name]
    ours = list(model.predict_stream(request)) if stream else model.predict(request)
    assert found["value"] == ours
