"""Faults and floods: what a server does under clients and models that behave badly."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from pyfunc.errors import InvalidArgumentError
from pyfunc.serving import ServingSettings
from pyfunc.serving.http import connections

Ask = Callable[..., Any]
AppOf = Callable[..., Any]
Live = Callable[..., Any]
BODY = {"inputs": [1]}


class Gate:
    """A predict function that waits until it is let go; ``{"inputs": [0]}`` passes."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.entered = threading.Semaphore(0)
        self.calls = 0

    def __call__(self, data: Any, params: Any) -> Any:
        self.calls += 1
        if data[0] == 0:
            return [0]
        self.entered.release()
        self.opened.wait(30)
        return [1]


@pytest.fixture
def gate() -> Any:
    """Return a gate, opened at the end so that no thread stays."""
    found = Gate()
    yield found
    found.opened.set()


def raw_exchange(port: int, *parts: bytes, wait: float = 0.0) -> bytes:
    """Return what the server sends until it closes, to a client that pauses between parts."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(wait)
        except (BrokenPipeError, ConnectionResetError):
            pass
        received = b""
        while True:
            try:
                chunk = connection.recv(65536)
            except ConnectionResetError:
                return received
            if not chunk:
                return received
            received += chunk


HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def test_a_body_that_says_it_is_too_long_is_not_read(app_of: AppOf, live: Live) -> None:
    app = app_of(lambda data, params: [1], settings={"max_body_bytes": 1000})
    with live(app) as port:
        answer = raw_exchange(port, HEAD + b"Content-Length: 1000000000000\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"PAYLOAD_TOO_LARGE" in answer


def test_a_chunked_body_is_cut_off_at_the_limit(app_of: AppOf, live: Live) -> None:
    app = app_of(lambda data, params: [1], settings={"max_body_bytes": 100_000})
    chunk = b"%x\r\n" % 50_000 + b" " * 50_000 + b"\r\n"
    with live(app) as port:
        head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        answer = raw_exchange(port, head, *[chunk] * 20)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert app.state.service.bodies.pending_bytes == 0


def test_a_body_of_the_full_length_is_taken(ask: Ask, app_of: AppOf) -> None:
    app = app_of(lambda data, params: [1], settings={"max_body_bytes": 1000})
    text = json.dumps(BODY)
    assert ask(app, body=text + " " * (1000 - len(text))).status_code == 200
    assert ask(app, body=text + " " * (1001 - len(text))).status_code == 413


def test_a_client_that_sends_a_little_too_much_reads_the_answer(app_of: AppOf, live: Live) -> None:
    app = app_of(lambda data, params: [1], settings={"max_body_bytes": 1_000_000})
    with live(app) as port:
        url = f"http://127.0.0.1:{port}/invocations"
        headers = {"content-type": "application/json"}
        response = requests.post(url, b" " * 3_900_000, headers=headers, timeout=60)
    assert response.status_code == 413


def test_compressed_bodies_are_refused(ask: Ask, app_of: AppOf) -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    app = app_of(lambda data, params: [1])
    response = ask(app, body=bomb, headers={"content-encoding": "gzip"})
    assert response.status_code == 415
    assert ask(app, body=BODY, headers={"content-encoding": "identity"}).status_code == 200


def test_too_many_bodies_at_once_are_refused(
    app_of: AppOf, ask: Ask, gate: Gate, live: Live
) -> None:
    app = app_of(gate, settings={"max_pending_bytes": 1500, "threads": 2})
    text = json.dumps(BODY)
    body = text + " " * (1000 - len(text))
    with live(app) as port, ThreadPoolExecutor(1) as threads:
        url = f"http://127.0.0.1:{port}/invocations"
        headers = {"content-type": "application/json"}
        first = threads.submit(requests.post, url, body, headers=headers, timeout=60)
        assert gate.entered.acquire(timeout=60)
        second = requests.post(url, body, headers=headers, timeout=60)
        assert second.status_code == 503
        assert second.headers["retry-after"] == "1"
        gate.opened.set()
        assert first.result().status_code == 200
    assert app.state.service.bodies.pending_bytes == 0


def test_a_slow_body_is_given_up(app_of: AppOf, live: Live) -> None:
    app = app_of(lambda data, params: [1], settings={"body_timeout": 0.3})
    with live(app) as port:
        parts = [HEAD + b"Content-Length: 50\r\n\r\n", *[b" "] * 6]
        answer = raw_exchange(port, *parts, wait=0.1)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"REQUEST_TIMEOUT" in answer
    assert app.state.service.bodies.pending_bytes == 0


def test_a_slow_head_is_given_up(
    app_of: AppOf, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    with live(app_of(lambda data, params: [1])) as port:
        silent = raw_exchange(port)
        slow = raw_exchange(port, *[b"G", b"E", b"T", b" "] * 2, wait=0.1)
        again = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
        second = raw_exchange(port, again, b"GET /p", wait=0.1)
    assert silent.startswith(b"HTTP/1.1 408 ")
    assert slow.startswith(b"HTTP/1.1 40")
    assert second.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in second


def test_an_endless_head_is_cut_off(
    app_of: AppOf, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_BYTES", 10_000)
    with live(app_of(lambda data, params: [1])) as port:
        answer = raw_exchange(port, b"GET /ping HTTP/1.1\r\nX: ", *[b"x" * 4000] * 4, wait=0.01)
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_idle_connections_are_closed(app_of: AppOf, live: Live) -> None:
    with live(app_of(lambda data, params: [1]), timeout_keep_alive=1) as port:
        answer = raw_exchange(port, b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_too_many_connections_are_refused(app_of: AppOf, live: Live) -> None:
    settings = ServingSettings(max_connections=3)
    with live(app_of(lambda data, params: [1]), settings) as port:
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
        assert requests.get(f"http://127.0.0.1:{port}/ping", timeout=60).status_code == 503
        for connection in held:
            connection.close()
        while requests.get(f"http://127.0.0.1:{port}/ping", timeout=60).status_code != 200:
            time.sleep(0.01)


def test_an_overdue_prediction_is_answered_in_time_and_pings_go_on(
    app_of: AppOf, live: Live, gate: Gate
) -> None:
    app = app_of(gate, settings={"predict_timeout": 2, "threads": 1})
    pool = app.state.service.pool
    with live(app) as port, ThreadPoolExecutor(2) as threads:
        url = f"http://127.0.0.1:{port}"
        overdue = threads.submit(requests.post, f"{url}/invocations", json=BODY, timeout=60)
        assert gate.entered.acquire(timeout=60)
        behind = threads.submit(requests.post, f"{url}/invocations", json=BODY, timeout=60)
        assert requests.get(f"{url}/ping", timeout=60).status_code == 200
        response = overdue.result()
        assert response.status_code == 504
        assert response.json()["error_code"] == "DEADLINE_EXCEEDED"
        assert behind.result().status_code == 504
        assert pool.is_stuck
        assert requests.get(f"{url}/v2/health/ready", timeout=60).status_code == 503
        assert requests.get(f"{url}/ping", timeout=60).status_code == 200
        assert "pyfunc_overdue_threads 1.0" in requests.get(f"{url}/metrics", timeout=60).text
        gate.opened.set()
        quick = requests.post(f"{url}/invocations", json={"inputs": [0]}, timeout=60)
        assert quick.json() == {"predictions": [0]}
        assert gate.calls == 2  # what waited behind was dropped, not run
        assert not pool.is_stuck


def test_the_time_of_a_prediction_is_mlflow_s_variable(
    app_of: AppOf, live: Live, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "1")  # what is tested
    assert ServingSettings(predict_timeout=7).predict_timeout == 7
    with live(app_of(gate)) as port:
        url = f"http://127.0.0.1:{port}/invocations"
        assert requests.post(url, json=BODY, timeout=60).status_code == 504
        gate.opened.set()
    monkeypatch.setenv("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "0")
    with pytest.raises(InvalidArgumentError, match="predict_timeout"):
        ServingSettings()


def test_a_full_queue_is_refused_at_once(app_of: AppOf, live: Live, gate: Gate) -> None:
    app = app_of(gate, settings={"threads": 1, "max_queue": 2})
    with live(app) as port, ThreadPoolExecutor(3) as threads:
        url = f"http://127.0.0.1:{port}/invocations"
        waiting = [threads.submit(requests.post, url, json=BODY, timeout=60)]
        assert gate.entered.acquire(timeout=60)
        waiting += [threads.submit(requests.post, url, json=BODY, timeout=60) for _ in range(2)]
        while app.state.service.pool.waiting < 2:
            time.sleep(0.01)
        refused = requests.post(url, json=BODY, timeout=60)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
        gate.opened.set()
        assert [item.result().status_code for item in waiting] == [200] * 3


def test_a_request_that_is_being_answered_outlives_the_signal(
    app_of: AppOf, live: Live, gate: Gate
) -> None:
    app = app_of(gate)
    with ThreadPoolExecutor(1) as threads:
        with live(app, timeout_graceful_shutdown=10) as port:
            url = f"http://127.0.0.1:{port}/invocations"
            answer = threads.submit(requests.post, url, json=BODY, timeout=60)
            assert gate.entered.acquire(timeout=60)
            threading.Timer(0.3, gate.opened.set).start()
        assert answer.result().json() == {"predictions": [1]}


@pytest.mark.parametrize(
    "options",
    [
        {"max_body_bytes": 0},
        {"max_queue": True},
        {"threads": -1},
        {"max_batch_rows": 1},
        {"body_timeout": 0},
        {"predict_timeout": float("inf")},
        {"predict_timeout": "5"},
        {"nan": "NaN"},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(options))):
        ServingSettings(**options)


def test_settings_survive_their_dict() -> None:
    settings = ServingSettings(batching=True, predict_timeout=60)
    assert ServingSettings(**settings.to_dict()) == settings  # type: ignore[arg-type]
    assert settings.threads == 1
