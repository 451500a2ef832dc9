"""What the tests of request handlers share: small models with handlers, and a client."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

import pyfunc
from pyfunc.schema import ModelSignature

SCRIPT = """
import pyfunc

class Echo(pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return {body}

pyfunc.set_model(Echo())
"""


def write_project(root: Path, files: Mapping[str, str]) -> Path:
    for relative, text in files.items():
        path = root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return root


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the files of a project and returns its folder."""

    def make(files: Mapping[str, str], name: str = "source") -> Path:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        return write_project(root, files)

    return make


@pytest.fixture
def save(tmp_path: Path, project: Callable[..., Path]) -> Callable[..., Path]:
    """Return a function that saves a model with a handler and returns its directory."""

    def make(
        source: str = "",
        /,
        *,
        body: str = "model_input",
        files: Mapping[str, str] | None = None,
        signature: ModelSignature | None = None,
        name: str = "model",
        **arguments: Any,
    ) -> Path:
        root = project({"handler.py": source, **(files or {})}, f"{name}-project")
        script = write_project(tmp_path, {f"{name}_script.py": SCRIPT.format(body=body)})
        pyfunc.save_model(
            tmp_path / name,
            python_model=str(script / f"{name}_script.py"),
            signature=signature,
            **{
                "pip_requirements": [],
                "handler": "handler.py",
                "project_dir": root,
                **arguments,
            },
        )
        return tmp_path / name

    return make


@pytest.fixture
def load() -> Callable[[Path], pyfunc.PyFuncModel]:
    """Return a function that loads a model without looking at its requirements."""
    return lambda path: pyfunc.load_model(path, suppress_warnings=True)


def ask(app: Any, method: str, path: str, **request: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.request(method, path, **request)

    return asyncio.run(send())


@pytest.fixture
def client() -> Callable[..., httpx.Response]:
    """Return a function that sends one request to an application: (app, method, path, ...)."""
    return ask
