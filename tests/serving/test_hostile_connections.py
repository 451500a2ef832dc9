"""Connections of clients that send without end or do not read, through raw sockets."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from pyfunc.serving import ServingSettings
from pyfunc.serving.http import connections

AppOf = Callable[..., Any]
Live = Callable[..., Any]
LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
CHUNKED = b"Host: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def read_all(connection: socket.socket) -> bytes:
    """Return what comes until the server closes the connection."""
    received = b""
    while True:
        try:
            part = connection.recv(65536)
        except ConnectionResetError:
            return received
        if not part:
            return received
        received += part


def send_until_closed(port: int, head: bytes, part: bytes, most: int) -> tuple[int, bytes]:
    """Send ``part`` over and over; return how many bytes were taken, and the answer."""
    with connect(port) as connection:
        connection.sendall(head)
        sent = 0
        try:
            while sent < most:
                connection.sendall(part)
                sent += len(part)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return sent, read_all(connection)


@LOOPS
@pytest.mark.parametrize(
    "request_line",
    ["GET /ping", "POST /ping", "POST /nothing", "POST /invocations", "POST /v2/models/toy/infer"],
)
@pytest.mark.parametrize(
    "part",
    [b"X-T: " + b"t" * 1000 + b"\r\n", b"t" * 1000, b"a: b\r\n" * 200],
    ids=["trailers", "one trailer", "short trailers"],
)
def test_endless_trailers_are_cut_off(
    app_of: AppOf, live: Live, loop: str, request_line: str, part: bytes
) -> None:
    head = request_line.encode() + b" HTTP/1.1\r\n" + CHUNKED + b"2\r\n{}\r\n0\r\nX: "
    with live(app_of(lambda data, params: [1]), loop=loop) as port:
        sent, answer = send_until_closed(port, head, part, most=64 << 20)
    assert sent < 8 << 20  # what lies in the buffers of sockets is beyond the 64 KiB
    if answer:
        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 200 "))


@LOOPS
def test_endless_sizes_of_chunks_are_cut_off(app_of: AppOf, live: Live, loop: str) -> None:
    head = b"POST /invocations HTTP/1.1\r\n" + CHUNKED + b"2;x="
    with live(app_of(lambda data, params: [1]), loop=loop) as port:
        sent, _ = send_until_closed(port, head, b"y" * 1000, most=64 << 20)
    assert sent < 8 << 20


@LOOPS
def test_a_few_trailers_do_no_harm(app_of: AppOf, live: Live, loop: str) -> None:
    text = b'{"inputs": [1]}'
    body = b"%x\r\n%s\r\n0\r\nX-Checksum: 1\r\nX-More: 2\r\n\r\n" % (len(text), text)
    ask = b"POST /invocations HTTP/1.1\r\n" + CHUNKED + body
    last = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with live(app_of(lambda data, params: [1]), loop=loop) as port, connect(port) as connection:
        connection.sendall(ask + last)
        answer = read_all(connection)
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert b'{"predictions": [1]}' in answer


@LOOPS
def test_who_goes_on_after_the_answer_is_cut_off(app_of: AppOf, live: Live, loop: str) -> None:
    settings = ServingSettings(max_body_bytes=100_000)
    head = b"POST /nothing HTTP/1.1\r\n" + CHUNKED
    with live(app_of(lambda data, params: [1]), settings, loop=loop) as port:
        sent, answer = send_until_closed(port, head, b"400\r\n" + b"x" * 1024 + b"\r\n", 64 << 20)
    assert sent < 8 << 20
    assert not answer or answer.startswith(b"HTTP/1.1 404 ")


@LOOPS
def test_who_does_not_end_an_answered_request_is_cut_off(
    app_of: AppOf, live: Live, loop: str
) -> None:
    settings = ServingSettings(body_timeout=0.3)
    head = b"POST /nothing HTTP/1.1\r\n" + CHUNKED
    with (
        live(app_of(lambda data, params: [1]), settings, loop=loop) as port,
        connect(port) as connection,
    ):
        connection.sendall(head)
        answer = connection.recv(65536)
        connection.sendall(b"1\r\nx\r\n")  # after which no keep-alive runs
        assert read_all(connection).count(b"HTTP/1.1") == 0
    assert answer.startswith(b"HTTP/1.1 404 ")


@LOOPS
def test_an_answered_request_that_ends_late_leaves_an_idle_connection(
    app_of: AppOf, live: Live, loop: str
) -> None:
    head = b"POST /nothing HTTP/1.1\r\n" + CHUNKED
    with (
        live(app_of(lambda data, params: [1]), loop=loop, timeout_keep_alive=1) as port,
        connect(port) as connection,
    ):
        connection.sendall(head)
        assert connection.recv(65536).startswith(b"HTTP/1.1 404 ")
        connection.sendall(b"1\r\nx\r\n0\r\n\r\n")
        connection.sendall(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP/1.1 200 " in read_all(connection)  # and closes in the end


@LOOPS
@pytest.mark.parametrize("many", [False, True])
def test_heads_of_more_than_64_kib_are_refused(
    app_of: AppOf, live: Live, loop: str, many: bool
) -> None:
    line = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    with live(app_of(lambda data, params: [1]), loop=loop) as port:
        found = []
        for length in (60_000, 66_000, 70_000, 200_000):
            value = b"x" * length
            more = b"a: b\r\n" * (length // 6) if many else b"X: " + value + b"\r\n"
            with connect(port) as connection:
                connection.sendall(line + more + b"\r\n")
                found.append(read_all(connection)[:12])
    assert found[0] == b"HTTP/1.1 200"
    assert set(found[1:]) <= {b"HTTP/1.1 431", b""}  # a reset may overtake the answer
    assert b"HTTP/1.1 431" in found[1:]


@LOOPS
def test_a_long_body_before_a_head_does_not_count_as_one(
    app_of: AppOf, live: Live, loop: str
) -> None:
    body = json.dumps({"inputs": [1], "params": {"x": "y" * 150_000}}).encode()
    ask = b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    with live(app_of(lambda data, params: [1]), loop=loop) as port, connect(port) as connection:
        connection.sendall(ask + body + b"GET /ping HTTP/1.1\r\nHost: loc")
        time.sleep(0.1)
        connection.sendall(b"alhost\r\nConnection: close\r\n\r\n")
        answer = read_all(connection)
    assert b"HTTP/1.1 404 " in answer
    assert b"HTTP/1.1 200 " in answer


def endless(closed: threading.Semaphore) -> Callable[..., Iterator[str]]:
    def stream(data: Any, params: Any) -> Iterator[str]:
        try:
            while True:
                yield "x" * 100_000
        finally:
            closed.release()

    return stream


STREAM = (
    b"POST /invocations/stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b'Content-Length: 15\r\n\r\n{"inputs": [1]}'
)


@LOOPS
def test_streams_that_nobody_reads_end(app_of: AppOf, live: Live, loop: str) -> None:
    closed = threading.Semaphore(0)
    settings = ServingSettings(max_streams=3, write_timeout=0.3)
    app = app_of(
        lambda data, params: [1],
        stream=endless(closed),
        settings={"max_streams": 3, "write_timeout": 0.3},
    )
    with live(app, settings, loop=loop) as port, contextlib.ExitStack() as opened:
        held = [opened.enter_context(connect(port)) for _ in range(3)]
        for connection in held:
            connection.sendall(STREAM)
        for _ in held:
            assert closed.acquire(timeout=60)
        with connect(port) as connection:
            connection.sendall(STREAM)
            assert connection.recv(12) == b"HTTP/1.1 200"
    assert closed.acquire(timeout=60)


@LOOPS
@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"])
def test_long_answers_that_nobody_reads_are_dropped(
    app_of: AppOf, live: Live, loop: str, more: bytes
) -> None:
    settings = ServingSettings(max_connections=2, write_timeout=0.3)
    app = app_of(lambda data, params: ["x" * 20_000_000])
    ask = STREAM.replace(b"/stream", b"").replace(b"Host", more + b"Host")
    with live(app, settings, loop=loop) as port, contextlib.ExitStack() as opened:
        held = opened.enter_context(connect(port))
        held.sendall(ask)
        assert held.recv(1, socket.MSG_PEEK)
        while requests.get(f"http://127.0.0.1:{port}/ping", timeout=60).status_code == 503:
            time.sleep(0.01)
        assert len(read_all(held)) < 20_000_000


@LOOPS
def test_a_client_that_reads_slowly_gets_all(
    app_of: AppOf, live: Live, loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of the kernel's buffers, which take megabytes, a client takes less at a time than it could.
    monkeypatch.setattr(connections, "TAKEN_BYTES", 1000)
    settings = ServingSettings(write_timeout=1)
    app = app_of(lambda data, params: ["x" * 20_000_000])
    with live(app, settings, loop=loop) as port, connect(port) as connection:
        ask = STREAM.replace(b"/stream", b"")
        connection.sendall(ask.replace(b"Host", b"Connection: close\r\nHost"))
        received = 0
        while part := connection.recv(2_000_000):
            received += len(part)
            time.sleep(0.05)
    assert received > 20_000_000


@LOOPS
def test_an_offer_of_another_protocol_is_answered_in_this_one(
    app_of: AppOf, live: Live, loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    ask = STREAM.replace(b"/stream", b"")
    offer = ask.replace(b"Host", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHost", 1)
    last = ask.replace(b"Host", b"Connection: close\r\nHost")
    with (
        live(app_of(lambda data, params: [1]), loop=loop, log_level="warning") as port,
        connect(port) as connection,
    ):
        connection.sendall(offer)
        first = b""
        while b"predictions" not in first and (part := connection.recv(65536)):
            first += part
        connection.sendall(last)
        second = read_all(connection)
    assert first.startswith(b"HTTP/1.1 200 ")
    assert second.startswith(b"HTTP/1.1 200 ")
    assert "upgrade" not in caplog.text.lower()
    assert "websocket" not in caplog.text.lower()
