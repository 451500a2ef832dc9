"""Images of models: built for real by podman and buildah, and asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import pyfunc
from tests.images.conftest import (
    BASE,
    ENGINES,
    ask,
    free_port,
    podman,
    wait_until_answered,
)

SCRIPT = """
import pyfunc


class Doubling(pyfunc.PythonModel):
    def predict(self, context, model_input):
        return model_input["a"] * 2


pyfunc.set_model(Doubling())
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_the_image_of_a_model_answers(engine: str, tmp_path: Path) -> None:
    model, name = tmp_path / "model", f"localhost/model-{engine}:1"
    (tmp_path / "script.py").write_text(SCRIPT)
    example = pd.DataFrame({"a": [1.0]})
    pyfunc.save_model(model, python_model=str(tmp_path / "script.py"), input_example=example)
    port = free_port()
    options = ["-d", str(tmp_path / "context"), "--build", "--name", name, "--engine", engine]
    command = [sys.executable, "-m", "pyfunc", "dockerfile", str(model), *options]
    subprocess.run([*command, "--base-image", BASE, "--port", str(port)], check=True)
    [found] = json.loads(podman("image", "inspect", name))
    assert "/ping" in found["Healthcheck"]["Test"][-1]
    container = podman("run", "--detach", name).strip()
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_answered(f"{url}/ping", container)
        answer = ask(
            f"{url}/invocations", b'{"dataframe_split": {"columns": ["a"], "data": [[1.5], [2]]}}'
        )
        assert json.loads(answer)["predictions"] == [{"a": 3.0}, {"a": 4.0}]
        podman("kill", "--signal", "TERM", container)
        assert podman("wait", container).strip() == "0"
    finally:
        podman("rm", "--force", "--time", "0", container)
