"""A real server of the S3 protocol, and file systems of fsspec that tell what is done to them."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import pyfunc

SETTINGS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}
FILES = 12


@pytest.fixture(scope="session")
def s3_settings() -> Iterator[dict[str, str]]:
    """Start the server; return the variables by which a user names it."""
    script = Path(__file__).with_name("s3_server.py")
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    assert port.isdigit(), "the server did not start"
    yield {**SETTINGS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    process.stdin.close()
    process.wait()
    process.stdout.close()


@pytest.fixture
def s3(s3_settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a new bucket."""
    for name, value in s3_settings.items():  # a user tells botocore by these where the store is
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{uuid.uuid4().hex}"
    fsspec.filesystem("s3").mkdir(bucket)
    return f"s3://{bucket}"


class Told:
    """What was done to the store in memory; ``before`` is called first, and may fail or wait."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str]] = []
        self.before: Callable[[str, str], object] = nothing
        self.files = fsspec.filesystem("memory")

    def tell(self, what: str, path: str) -> None:
        name = path.partition("/model/")[2]
        self.before(what, name)
        self.done.append((what, name))

    @property
    def gets(self) -> list[str]:
        return [name for what, name in self.done if what == "get"]

    @property
    def names(self) -> set[str]:
        return {path.partition("/model/")[2] for path in self.files.find("/bucket")}


def nothing(what: str, name: str) -> None:
    """Let everything pass."""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """Return what tells of each change and each read in an empty store at ``memory://bucket``."""
    store = Told()
    for method, what, at in (
        ("put_file", "put", 1),
        ("rm_file", "remove", 0),
        ("cat_file", "get", 0),
    ):
        monkeypatch.setattr(MemoryFileSystem, method, telling(store, method, what, at))
    yield store
    for path in MemoryFileSystem.store.copy():
        if path.startswith("/bucket/"):
            del MemoryFileSystem.store[path]


def telling(store: Told, method: str, what: str, at: int) -> Callable[..., Any]:
    real = getattr(MemoryFileSystem, method)

    def call(self: MemoryFileSystem, *args: Any, **kwargs: Any) -> Any:
        store.tell(what, args[at])
        return real(self, *args, **kwargs)

    return call


class Words(pyfunc.PythonModel):
    """A model that has many files."""

    def load_context(self, context: pyfunc.PythonModelContext) -> None:
        self.words = [Path(context.artifacts[f"w{n}"]).read_text() for n in range(FILES)]

    def predict(self, context: pyfunc.PythonModelContext, model_input: Any) -> list[str]:
        return [self.words[index % FILES][:8] for index in range(len(model_input))]


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Return a function that gives the arguments of a save of :class:`Words`."""

    def arguments(text: str = "first") -> dict[str, Any]:
        folder = tmp_path_factory.mktemp("words")
        for n in range(FILES):
            (folder / f"w{n}.txt").write_text(f"{text}-{n:02}" + os.urandom(500).hex())
        return {
            "python_model": Words(),
            "artifacts": {f"w{n}": folder / f"w{n}.txt" for n in range(FILES)},
            "pip_requirements": ["pandas"],
        }

    return arguments
