"""A real server under the worst bodies of every format: each is answered or refused in time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hostile_session import Client, Server, save_model, serving
from worst_bodies import BODIES, Body

pytestmark = pytest.mark.slow

SLOW = next(body for body in BODIES if body.name == "inputs: objects")


TYPED = [body for body in BODIES if body.name.startswith(("split", "instances", "CSV", "infer"))]


def serve_model(folder: Path, *, typed: bool) -> AbstractContextManager[Server]:
    found: AbstractContextManager[Server]
    found = serving(save_model(str(folder), typed=typed), predict_timeout=250)
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve a model that does nothing and has no signature."""
    with serve_model(tmp_path_factory.mktemp("models"), typed=False) as found:
        yield found


@pytest.fixture(scope="module")
def typed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve one with a signature of columns."""
    with serve_model(tmp_path_factory.mktemp("models"), typed=True) as found:
        yield found


@pytest.mark.parametrize("body", TYPED, ids=lambda body: body.name)
def test_they_are_under_a_signature_too(typed_server: Server, body: Body) -> None:
    check(typed_server, body)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.name)
def test_the_worst_bodies_are_answered_or_refused(server: Server, body: Body) -> None:
    check(server, body)


def check(server: Server, body: Body) -> None:
    client = Client(server.port)
    status = client.send(body)
    assert status in ({413, 400} if body.refused else {200, 400})
    assert client.ping() == 200


def test_a_body_that_takes_long_is_refused_while_it_is_worked_on(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    model = save_model(str(tmp_path_factory.mktemp("models")), typed=False)
    with serving(model, predict_timeout=0.2, threads=1) as found:
        client = Client(found.port)
        assert client.send(SLOW) == 504
        # The answer came, and pings do, before the only thread was done with the body.
        assert client.ask("GET", "/v2/health/ready", b"", {}) == 503
        assert client.ping() == 200
        while client.ask("GET", "/v2/health/ready", b"", {}) != 200:
            assert client.ping() == 200


def test_any_body_is_answered_or_refused_within_bounded_memory() -> None:
    child = Path(__file__).with_name("bounded_child.py")
    ended = subprocess.run(
        [sys.executable, str(child)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert set(json.loads(ended.stdout)) == {"200", "400", "413"}
