"""Chat models need no pydantic; the types of agents name the command that installs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HIDING = """
import sys

class Hidden:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "pydantic":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
import pyfunc
"""
TALKING = """
from pyfunc.types.llm import ChatChoice, ChatCompletionResponse, ChatMessage

class Talking(pyfunc.ChatModel):
    def predict(self, messages, params):
        return ChatCompletionResponse([ChatChoice(ChatMessage("assistant", messages[0].content))])

pyfunc.save_model("talking", python_model=Talking(), pip_requirements=[])
request = {"messages": [{"role": "user", "content": "hi"}]}
print(pyfunc.load_model("talking").predict(request)["choices"][0]["message"]["content"])
"""
ASKING = """
def types_of_agents():
    return pyfunc.types.agent

def class_of_agent():
    class Own(pyfunc.ResponsesAgent):
        def predict(self, request):
            return request

for ask in (types_of_agents, class_of_agent):
    try:
        ask()
    except pyfunc.MissingDependencyError as error:
        print(error)
"""


def run(code: str, folder: Path) -> str:
    command = [sys.executable, "-c", HIDING + code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_chat_model_works(tmp_path: Path) -> None:
    assert run(TALKING, tmp_path) == "hi\n"


def test_an_agent_says_what_is_missing(tmp_path: Path) -> None:
    assert run(ASKING, tmp_path).count("pip install 'pyfunc-format[chat]'") == 2
