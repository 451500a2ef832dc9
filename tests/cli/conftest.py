"""What the tests of the command share: small models, and the command run in this process."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import pyfunc
from pyfunc.cli.app import app
from pyfunc.schema import ColSpec, ModelSignature, ParamSchema, ParamSpec, Schema

SCRIPT = """
import pyfunc

class Scripted(pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return {body}

pyfunc.set_model(Scripted())
"""
TWO_DOUBLES = ModelSignature(
    Schema([ColSpec("double", "a"), ColSpec("double", "b")]),
    Schema([ColSpec("double")]),
    ParamSchema([ParamSpec("scale", "double", 1.0)]),
)
TIMES = "(model_input['a'] + model_input['b']).to_numpy() * params['scale']"


class Outcome:
    """What one run of the command left."""

    def __init__(self, result: Any) -> None:
        self.code: int = result.exit_code
        self.out: str = result.stdout
        self.out_bytes: bytes = result.stdout_bytes
        self.err: str = result.stderr


@pytest.fixture
def command() -> Callable[..., Outcome]:
    """Return a function that runs ``pyfunc`` with arguments and standard input."""

    def run(*arguments: object, stdin: str | bytes | None = None) -> Outcome:
        return Outcome(CliRunner().invoke(app, [str(a) for a in arguments], input=stdin))

    return run


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that saves a model whose predict is one expression."""

    def make(
        body: str = TIMES,
        *,
        signature: ModelSignature | None = TWO_DOUBLES,
        name: str = "model",
        **arguments: Any,
    ) -> Path:
        script = tmp_path / f"{name}_script.py"
        script.write_text(textwrap.dedent(SCRIPT).format(body=body), encoding="utf-8")
        arguments = {"pip_requirements": ["numpy"], **arguments}
        pyfunc.save_model(
            tmp_path / name, python_model=str(script), signature=signature, **arguments
        )
        return tmp_path / name

    return make


@pytest.fixture(autouse=True)
def _no_traces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take back what the command sets in the process that it usually has for itself."""
    for name in ("PYFUNC_TRACEBACK", "PYFUNC_PROJECT_DIR", "MLFLOW_PORT", "MLFLOW_HOST"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    logger = logging.getLogger("pyfunc")
    before = (list(logger.handlers), logger.level)
    yield
    logger.handlers[:], level = before
    logger.setLevel(level)
