"""Images of models: built for real by podman and buildah, and asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import pyfunc
from tests.images.conftest import (
    BASE,
    ENGINES,
    ask,
    free_port,
    is_answered,
    podman,
    wait_until,
)


class Doubling(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: pd.DataFrame) -> Any:
        return model_input["a"] * 2


@pytest.mark.parametrize("engine", ENGINES)
def test_the_image_of_a_model_answers(engine: str, tmp_path: Path) -> None:
    model, name = tmp_path / "model", f"localhost/model-{engine}:1"
    pyfunc.save_model(model, python_model=Doubling(), input_example=pd.DataFrame({"a": [1.0]}))
    port = free_port()
    options = ["-d", str(tmp_path / "context"), "--build", "--name", name, "--engine", engine]
    command = [sys.executable, "-m", "pyfunc", "dockerfile", str(model), *options]
    subprocess.run([*command, "--base-image", BASE, "--port", str(port)], check=True)
    [found] = json.loads(podman("image", "inspect", name))
    assert "/ping" in found["Healthcheck"]["Test"][-1]
    container = podman("run", "--detach", name).strip()
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: is_answered(f"{url}/ping"))
        answer = ask(
            f"{url}/invocations", b'{"dataframe_split": {"columns": ["a"], "data": [[1.5], [2]]}}'
        )
        assert json.loads(answer)["predictions"] == [3.0, 4.0]
        podman("kill", "--signal", "TERM", container)
        assert podman("wait", container).strip() == "0"
    finally:
        podman("rm", "--force", "--time", "0", container)
