"""Who may ask a server: hosts, origins, types of bodies, tokens, TLS; through a real process."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from pyfunc.errors import InvalidArgumentError
from pyfunc.serving import ServingSettings
from pyfunc.serving.http.guard import default_hosts
from pyfunc.serving.http.running import with_hosts

AppOf = Callable[..., Any]
Live = Callable[..., Any]
JSON = "application/json"
FOREIGN = [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "10.0.0.1",
    "a@localhost",
    "localhost/x",
    "localhost:x",
    "[::1",
    "*",
    "address:*",
]
BODY = {"inputs": [1]}
TENSOR = {"inputs": [{"name": "inputs", "datatype": "INT64", "shape": [1], "data": [1]}]}


@pytest.fixture
def served(app_of: AppOf, live: Live) -> Any:
    """Return a context manager that serves a model under settings, as on the loopback."""

    @contextmanager
    def serve(**options: Any) -> Iterator[int]:
        settings = with_hosts(ServingSettings(**options), "127.0.0.1")
        app = app_of(lambda data, params: [1], settings=settings.to_dict())
        with live(app, settings) as port:
            yield port

    return serve


def send(port: int, path: str = "/invocations", tree: Any = None, **headers: str) -> Any:
    given = {name.replace("_", "-"): value for name, value in headers.items() if value}
    return requests.request(
        "GET" if tree is None else "POST",
        f"http://127.0.0.1:{port}{path}",
        data=None if tree is None else json.dumps(tree),
        headers=given,
        timeout=60,
    )


def test_only_names_of_this_machine_are_answered(served: Any) -> None:
    with served() as port:
        for host in ("localhost", "127.0.0.1", "LOCALHOST.", f"127.0.0.1:{port}", "[::1]:80"):
            assert send(port, "/ping", Host=host).status_code == 200, host
        for host in FOREIGN:
            for path, tree in (("/ping", None), ("/invocations", BODY), ("/", None)):
                answer = send(port, path, tree, Host=host, Content_Type=JSON)
                assert answer.status_code == 403, host
                assert "--allowed-host" in answer.json()["message"]


@pytest.mark.parametrize("line", ["", "Host: evil.example\r\nHost: localhost\r\n"])
def test_no_host_and_two_are_refused(served: Any, line: str) -> None:
    with served() as port, socket.create_connection(("127.0.0.1", port), timeout=60) as raw:
        raw.sendall(f"GET /ping HTTP/1.1\r\n{line}Connection: close\r\n\r\n".encode())
        assert raw.recv(65536).startswith(b"HTTP/1.1 403 ")


def test_hosts_can_be_named(served: Any) -> None:
    with served(allowed_hosts=["models.example", "*.local"]) as port:
        for host in ("models.example", "MODELS.example:80", "a.local", "a.b.local"):
            assert send(port, "/ping", Host=host).status_code == 200, host
        for host in ("localhost", "local", "alocal", "x.models.example"):
            assert send(port, "/ping", Host=host).status_code == 403, host
    with served(allowed_hosts=["*"]) as port:
        assert send(port, "/ping", Host="evil.example").status_code == 200


@pytest.mark.parametrize(
    ("host", "asked", "is_answered"),
    [
        ("127.0.0.1", "localhost", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.4", False),
        ("::1", "[::1]:5000", True),
        ("models.example", "models.example", True),
        ("0.0.0.0", "10.1.2.4:80", True),
        ("::", "[fe80::1]", True),
        ("0.0.0.0", "evil.example", False),
    ],
)
def test_a_server_answers_to_the_address_that_it_is_bound_to(
    app_of: AppOf, ask: Any, host: str, asked: str, is_answered: bool
) -> None:
    app = app_of(lambda data, params: [1], settings={"allowed_hosts": default_hosts(host)})
    assert ask(app, "/ping", headers={"host": asked}).status_code == (200 if is_answered else 403)


@pytest.mark.parametrize("path", ["/invocations", "/v2/models/toy/infer"])
def test_pages_of_other_origins_are_refused(served: Any, path: str) -> None:
    tree = BODY if path == "/invocations" else TENSOR
    with served() as port:
        for origin in ("https://evil.example", "null", "http://localhost:1", "http://127.0.0.1"):
            answer = send(port, path, tree, Origin=origin, Content_Type=JSON)
            assert answer.status_code == 403, origin
            assert "access-control-allow-origin" not in answer.headers
        own = f"http://127.0.0.1:{port}"
        for headers in ({}, {"Origin": own}):
            assert send(port, path, tree, Content_Type=JSON, **headers).status_code == 200


@pytest.mark.parametrize("path", ["/invocations", "/v2/models/toy/infer"])
@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_needs_a_type(served: Any, path: str, kind: str) -> None:
    with served() as port:
        tree = BODY if path == "/invocations" else TENSOR
        assert send(port, path, tree, Content_Type=kind).status_code == 415


def test_pages_of_given_origins_may_ask(served: Any) -> None:
    page = "https://app.example"
    preflight = {"Access-Control-Request-Method": "POST", "Origin": page,
                 "Access-Control-Request-Headers": "content-type, authorization"}  # fmt: skip
    with served(cors_origins=[page]) as port:
        url = f"http://127.0.0.1:{port}/invocations"
        allowed = requests.options(url, headers=preflight, timeout=60)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == page
        assert "authorization" in allowed.headers["access-control-allow-headers"]
        answer = send(port, "/invocations", BODY, Origin=page, Content_Type=JSON)
        assert answer.json() == {"predictions": [1]}
        assert answer.headers["access-control-allow-origin"] == page
        bad = send(port, "/invocations", [], Origin=page, Content_Type=JSON)
        assert (bad.status_code, bad.headers["access-control-allow-origin"]) == (400, page)
        other = send(port, "/invocations", BODY, Origin="https://evil.example", Content_Type=JSON)
        assert other.status_code == 403
        assert "access-control-allow-origin" not in other.headers
    with served(cors_origins=["*"]) as port:
        assert send(port, "/invocations", BODY, Origin=page, Content_Type=JSON).status_code == 200


def test_a_token_is_wanted(served: Any, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("first-secret\n\n  second-secret  \n")
    with served(auth_token_file=str(file)) as port:
        for path in ("/ping", "/health", "/v2/health/live", "/v2/health/ready"):
            assert send(port, path).status_code == 200
        for path, tree in (("/", None), ("/metrics", None), ("/nothing", None),
                           ("/invocations", BODY), ("/v2/models/toy/infer", TENSOR)):  # fmt: skip
            for header in ("", "Bearer", "Bearer third", "Basic first-secret", "first-secret",
                           "Bearer first-secret second-secret"):  # fmt: skip
                answer = send(port, path, tree, Authorization=header, Content_Type=JSON)
                assert answer.status_code == 401, header
                assert answer.headers["www-authenticate"] == "Bearer"
                assert "secret" not in answer.text
        for header in ("Bearer first-secret", "bearer second-secret"):
            answer = send(port, "/invocations", BODY, Authorization=header, Content_Type=JSON)
            assert answer.json() == {"predictions": [1]}


@pytest.mark.parametrize("text", [None, "", "\n \n"])
def test_a_file_without_a_token_is_refused(
    app_of: AppOf, tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "tokens"
    if text is not None:
        file.write_text(text)
    app = app_of(lambda data, params: [1], settings={"auth_token_file": str(file)})
    with pytest.raises(InvalidArgumentError, match="auth_token_file"):
        app.build_middleware_stack()


def test_a_server_stands_below_a_path(served: Any) -> None:
    with served(root_path="/models/toy/") as port:
        for path in ("/ping", "/models/toy/ping", "/models/toy/v2/health/live"):
            assert send(port, path).status_code == 200, path
        for path in ("/models/toyping", "/models/ping"):
            assert send(port, path).status_code == 404, path
        assert send(port, "/openapi.json").json()["servers"] == [{"url": "/models/toy"}]


@pytest.mark.parametrize(
    "options",
    [
        {"allowed_hosts": "localhost"},
        {"allowed_hosts": [1]},
        {"cors_origins": [""]},
        {"root_path": "models"},
        {"root_path": None},
        {"keep_alive": 0},
        {"write_timeout": float("nan")},
    ],
    ids=str,
)
def test_doors_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(options))):
        ServingSettings(**options)
