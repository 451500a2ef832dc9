"""What asks servers counts complete answers of 200, and no others."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from benchmarks.load import Request, ask, load

REQUEST = Request("/ask", b'{"a": 1}')


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the port of a server that sends the parts to each request, and what it was sent."""
    seen: list[bytes] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(ConnectionError):  # the client goes away amid an answer
                while text := self.request.recv(65536):
                    seen.append(text)
                    for answer in answers:
                        self.request.sendall(answer)
                    if not answers:
                        return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1], seen
        server.shutdown()
        thread.join()


WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
ANSWERS = [
    pytest.param([WHOLE], b"ok", id="a-length"),
    pytest.param([WHOLE[:20], WHOLE[20:-1], WHOLE[-1:]], b"ok", id="in-parts"),
    pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length:  0\r\n\r\n"], b"", id="empty"),
    pytest.param(
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", b"0\r\n\r\n"],
        b"2\r\nok\r\n0\r\n\r\n",
        id="chunks",
    ),
]


@pytest.mark.parametrize(("answers", "body"), ANSWERS)
def test_one_question_has_one_answer(answers: list[bytes], body: bytes) -> None:
    with answering(*answers) as (port, seen):
        assert ask(port, REQUEST) == body
    assert b"".join(seen) == (
        b"POST /ask HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b'Content-Length: 8\r\n\r\n{"a": 1}'
    )


@pytest.mark.parametrize("clients", [1, 16])
def test_every_client_asks_over_and_over(clients: int) -> None:
    with answering(WHOLE) as (port, seen):
        found = load(port, REQUEST, clients, 0.2)
    assert clients <= found.count <= len(seen)
    assert 0 < found.p99 < found.seconds


def ask_once(port: int) -> object:
    return ask(port, REQUEST)


def load_shortly(port: int) -> object:
    return load(port, REQUEST, 2, 0.2)


@pytest.mark.parametrize("way", [ask_once, load_shortly])
def test_an_error_of_the_server_is_none_of_its_answers(way: Callable[[int], object]) -> None:
    refused = b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy"
    with answering(refused) as (port, _), pytest.raises(RuntimeError, match="503 Busy"):
        way(port)


def test_a_server_that_goes_away_is_told() -> None:
    with answering() as (port, _):
        with pytest.raises(ConnectionError):
            ask(port, REQUEST)
        with pytest.raises(RuntimeError, match=r"closed the connection|reset by peer"):
            load(port, REQUEST, 2, 0.2)
