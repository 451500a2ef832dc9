"""Who may ask a served function: the doors of every server here, through real processes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, RunError
from pyfunc.functions import Function, Project, Run
from pyfunc.functions.invoking import InvokeError
from pyfunc.serving.http.settings import HttpSettings
from tests.functions.conftest import HERE

CODE = """
def f(event):
    return {"method": event.method, "path": event.path}

def nothing(event):
    return int(event.path[1:]), {"a": 1}
"""
WORKERS = pytest.mark.parametrize("workers", [1, 2])
FOREIGN = "http://evil.example"


@pytest.fixture
def function(project: Project) -> Function:
    return project.new_function("f", code=CODE, handler="f", python_version=HERE)


@contextmanager
def served(function: Function, **options: Any) -> Iterator[Run]:
    run = function.run("serve", **options)
    try:
        yield run
    finally:
        run.stop()


def send(run: Run, method: str = "POST", path: str = "/", **headers: str) -> requests.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"http://{run.status.service['url']}{path}"
    return requests.request(method, url, headers=given, timeout=60)


@WORKERS
def test_only_names_of_this_machine_and_own_pages_are_answered(
    function: Function, workers: int
) -> None:
    with served(function, workers=workers) as run:
        for host in ("localhost", "127.0.0.1:80", "[::1]"):
            assert send(run, Host=host).json() == {"method": "POST", "path": "/"}
        for path in ("/", "/-/ready", "/-/metrics"):
            answer = send(run, "GET", path, Host="evil.example")
            assert answer.status_code == 403
            assert "allowed_hosts" in answer.json()["message"]
        for method in ("POST", "PUT", "DELETE"):
            answer = send(run, method, Origin=FOREIGN)
            assert answer.status_code == 403
            assert "cors_origins" in answer.json()["message"]
            assert "access-control-allow-origin" not in answer.headers
        own = f"http://{run.status.service['url']}"
        assert send(run, Origin=own).status_code == 200
        assert send(run, "OPTIONS").json() == {"method": "OPTIONS", "path": "/"}


@WORKERS
def test_a_token_is_wanted_by_all_but_who_asks_for_life(
    function: Function, tmp_path: Path, workers: int
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("first\nsecond\n")
    with served(function, workers=workers, settings={"auth_token_file": str(tokens)}) as run:
        for path in ("/", "/ping", "/health", "/-/metrics"):
            assert send(run, "GET", path).status_code == 401
            assert send(run, "GET", path, Authorization="Bearer no").status_code == 401
            assert send(run, "GET", path, Authorization="Bearer second").status_code == 200
        assert send(run, "GET", "/-/ready").text == "ready\n"
        assert send(run, "POST", "/-/ready").status_code == 401
        assert run.invoke(headers={"Authorization": "Bearer first"}).ok


def test_pages_of_given_origins_may_use_every_method(function: Function) -> None:
    with served(function, workers=1, settings={"cors_origins": ["http://a.example"]}) as run:
        asked = {"Origin": "http://a.example", "Access_Control_Request_Method": "PATCH"}
        answer = send(run, "OPTIONS", **asked)
        assert answer.status_code == 200
        assert "PATCH" in answer.headers["access-control-allow-methods"]
        answer = send(run, "PATCH", Origin="http://a.example")
        assert answer.json()["method"] == "PATCH"
        assert answer.headers["access-control-allow-origin"] == "http://a.example"
        assert send(run, Origin=FOREIGN).status_code == 403


def test_hosts_and_a_path_can_be_named(function: Function) -> None:
    settings = HttpSettings(allowed_hosts=["m.example"], root_path="/below")
    with served(function, workers=1, settings=settings) as run:
        assert send(run, path="/below/x", Host="m.example").json()["path"] == "/x"
        assert send(run, path="/x", Host="M.example:80").json()["path"] == "/x"
        assert send(run, "GET", "/below/-/ready", Host="m.example").text == "ready\n"
        assert send(run, path="/below/x").status_code == 403
        kept = run.to_dict()["spec"]["settings"]
        assert kept == {"allowed_hosts": ["m.example"], "root_path": "/below"}


@WORKERS
def test_a_certificate_makes_it_tls(
    function: Function, certificate: tuple[Path, Path], workers: int
) -> None:
    certfile, keyfile = map(str, certificate)
    settings = {"certfile": certfile, "keyfile": keyfile}
    with served(function, host="localhost", workers=workers, settings=settings) as run:
        assert run.status.service["url"].startswith("https://localhost:")
        assert run.invoke(verify=certfile).json() == {"method": "POST", "path": "/"}
        assert run.invoke(verify=False).ok
        with pytest.raises(InvokeError, match="CERTIFICATE_VERIFY_FAILED"):
            run.invoke()
        with pytest.raises(InvalidArgumentError, match="verify: none"):
            run.invoke(verify="none")


@WORKERS
def test_limits_are_settings_too(function: Function, workers: int) -> None:
    settings = {"max_body_bytes": 10, "access_log": True}
    with served(function, workers=workers, settings=settings) as run:
        assert run.invoke(data=b"x" * 11).status_code == 413
        assert run.invoke(data=b"x" * 10).ok
        told = [json.loads(line)["status"] for line in written(run, lines=2)]
        assert sorted(told) == [200, 413]  # each worker writes its own


def written(run: Run, *, lines: int) -> list[str]:
    """Return the lines of the access log once there are that many; an answer comes first."""
    while True:
        found = [line for line in run.logs() if line.startswith('{"time"')]
        if len(found) >= lines:
            return found
        time.sleep(0.01)


def test_what_workers_count_is_counted_together(function: Function) -> None:
    with served(function, workers=2) as run:
        for _ in range(8):
            assert run.invoke().ok
        figures = send(run, "GET", "/-/metrics").text
        [line] = [line for line in figures.splitlines() if 'status="200"' in line]
        assert line.endswith(" 8.0")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        pytest.param({"nothing": 1}, InvalidTypeError, "none called nothing", id="unknown"),
        pytest.param({"threads": -1}, InvalidArgumentError, "threads must be", id="value"),
        pytest.param(3, InvalidTypeError, "expected a dict", id="type"),
        pytest.param({"auth_token_file": "none"}, RunError, "auth_token_file: none", id="token"),
        pytest.param({"certfile": "none"}, RunError, "certfile: none", id="certificate"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    function: Function, settings: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        function.run("serve", settings=settings, workers=1)


def test_a_container_speaks_no_tls(project: Project) -> None:
    function = project.new_function(
        "f", code=CODE, handler="f", python_version=HERE, image="localhost/f:1"
    )
    for options in ({"action": "build"}, {"action": "serve", "local_execution": False}):
        with pytest.raises(InvalidArgumentError, match="plain HTTP"):
            function.run(**options, settings={"certfile": "cert.pem"})
    run = function.run("serve", local_execution=False, settings={"threads": 3})
    [config] = [item for item in run.to_manifests() if item["kind"] == "ConfigMap"]
    assert isinstance(config["data"], dict)
    plan = json.loads(config["data"]["function.json"])
    assert plan["settings"] == {"allowed_hosts": ["*"], "threads": 3}


@pytest.mark.parametrize("status", [204, 304])
def test_what_has_no_body_leaves_none_for_the_next_answer(project: Project, status: int) -> None:
    function = project.new_function("f", code=CODE, handler="nothing", python_version=HERE)
    with served(function, workers=1) as run, requests.Session() as session:
        url = f"http://{run.status.service['url']}"
        for code, body in ((status, b""), (200, b'{"a":1}'), (status, b""), (201, b'{"a":1}')):
            answer = session.get(f"{url}/{code}", timeout=60)
            assert (answer.status_code, answer.content) == (code, body)
            assert ("content-length" in answer.headers) == bool(body)
