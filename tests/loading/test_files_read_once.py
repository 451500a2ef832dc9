"""A load opens each file of a model once: what is checked is what is used, however large it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import pyfunc
from pyfunc.types.llm import ChatCompletionResponse

# In a process of its own, since nothing takes an audit hook away again.
COUNTING = """
import json, os, sys
from collections import Counter
import pyfunc

root = sys.argv[1]
opened = Counter()

def note(event, arguments):
    if event == "open" and not isinstance(arguments[0], int):
        path = os.path.join(os.getcwd(), os.fspath(arguments[0]))
        if path.startswith(root + os.sep) and os.path.isfile(path):
            opened[os.path.relpath(path, root)] += 1

sys.addaudithook(note)
pyfunc.load_model(root)
print(json.dumps(opened))
"""


class Model(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input


class Chat(pyfunc.ChatModel):
    def predict(self, context: Any, messages: Any, params: Any) -> Any:
        return ChatCompletionResponse.from_dict(
            {"choices": [{"message": {"role": "assistant", "content": "yes"}}]}
        )


def answer(model_input: Any) -> Any:
    return model_input


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"python_model": Model()}, id="object"),
        pytest.param({"python_model": Model(), "model_config": {"a": 1}}, id="configured"),
        pytest.param(
            {"python_model": answer, "input_example": pd.DataFrame({"x": [1.0]})}, id="function"
        ),
        pytest.param({"python_model": Chat()}, id="chat"),
    ],
)
def test_each_file_is_opened_once(arguments: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(bytes(2000))  # smaller ones may be pointers of Git LFS
    if isinstance(arguments["python_model"], pyfunc.PythonModel):
        arguments = {**arguments, "artifacts": {"weights": str(tmp_path / "weights")}}
    root = tmp_path / "m"
    pyfunc.save_model(root, pip_requirements=["pandas"], **arguments)
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, str(root)],
        capture_output=True,
        text=True,
        check=True,
    )
    names = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    assert json.loads(done.stdout) == dict.fromkeys(names, 1)
