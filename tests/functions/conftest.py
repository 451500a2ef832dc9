"""A project in a store of its own, and functions from the text of their code."""

from __future__ import annotations

import http.server
import os
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from pyfunc.functions import Function, Project, get_or_create_project

# These run beside the real packages, each in an environment of its own: `nox -s digitalhub`.
collect_ignore = ["record_digitalhub.py"]
if "PYFUNC_DIGITALHUB_PYTHON" not in os.environ:
    collect_ignore.append("test_documents_in_digitalhub.py")

HERE = f"PYTHON3_{sys.version_info[1]}"
Make = Callable[..., Function]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def project(root: Path) -> Project:
    return get_or_create_project("demo", root=root)


@pytest.fixture
def make(project: Project) -> Make:
    """Return a function that makes a function of a project from the text of its code."""

    def from_code(code: str, handler: str = "f", name: str = "f") -> Function:
        text = textwrap.dedent(code)
        return project.new_function(name, code=text, handler=handler, python_version=HERE)

    return from_code


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Yield a folder and the URL under which it is served."""
    folder = tmp_path / "site"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(folder))
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
