"""Ask a server over and over: by ``wrk`` where it is installed, else by a process of our own.

``python -m benchmarks.load PORT CLIENTS SECONDS`` is that process: it sends the bytes of its
standard input on each of its connections, waits for the answer, and sends them again.
"""

from __future__ import annotations

import json
import re
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Load", "Request", "ask", "generator", "load"]


@dataclass(frozen=True)
class Request:
    """A request; with a body it is a POST."""

    path: str
    body: bytes = b""
    content_type: str = "application/json"

    def encode(self) -> bytes:
        """Return the request as it is sent."""
        head = f"{'POST' if self.body else 'GET'} {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        if self.body:
            head += f"Content-Type: {self.content_type}\r\nContent-Length: {len(self.body)}\r\n"
        return f"{head}\r\n".encode() + self.body


@dataclass(frozen=True)
class Load:
    """What one server answered while it was asked: how often, how long, 99 of 100 within."""

    count: int
    seconds: float
    p99: float


def generator() -> str:
    """Return the name of what asks."""
    return "wrk" if shutil.which("wrk") else "benchmarks/load.py"


def load(port: int, request: Request, clients: int, seconds: float) -> Load:
    """Ask with ``clients`` connections at once for ``seconds``; all answers must be of 200.

    Raises:
        RuntimeError: an answer was another one, or none.
    """
    if seconds >= 1 and shutil.which("wrk"):  # which takes whole seconds only
        return _load_by_wrk(port, request, clients, seconds)
    command = [sys.executable, "-m", __name__, str(port), str(clients), str(seconds)]
    root = Path(__file__).parents[1]
    done = subprocess.run(
        command, input=request.encode(), capture_output=True, check=False, cwd=root
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace").strip())
    return Load(**json.loads(done.stdout))


SCRIPT = """
wrk.method = "%s"
wrk.headers["Content-Type"] = "%s"
local file = io.open("%s", "rb")
wrk.body = file:read("*a")
function done(summary, latency)
  local e = summary.errors
  local bad = e.connect + e.read + e.write + e.status + e.timeout
  print(string.format("FOUND %%d %%d %%d %%d",
    summary.requests, summary.duration, latency:percentile(99), bad))
end
"""


def _load_by_wrk(port: int, request: Request, clients: int, seconds: float) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        body, script = Path(folder, "body"), Path(folder, "script.lua")
        body.write_bytes(request.body)
        method = "POST" if request.body else "GET"
        script.write_text(SCRIPT % (method, request.content_type, body), encoding="utf-8")
        url = f"http://127.0.0.1:{port}{request.path}"
        command = [
            "wrk",
            "-t1",
            f"-c{clients}",
            f"-d{round(seconds)}s",
            "--timeout",
            "60s",
            "-s",
            str(script),
        ]
        done = subprocess.run([*command, url], capture_output=True, text=True, check=False)
    found = re.search(r"FOUND (\d+) (\d+) (\d+) (\d+)", done.stdout)
    if found is None:
        raise RuntimeError(f"wrk: {done.stdout}{done.stderr}")
    if int(found[4]):
        raise RuntimeError(f"wrk: {found[4]} errors beside {found[1]} answers")
    return Load(int(found[1]), int(found[2]) / 1e6, int(found[3]) / 1e6)


def ask(port: int, request: Request, timeout: float = 60.0) -> bytes:
    """Send one request and return the body of its answer, which must be of 200.

    Raises:
        ConnectionError: nobody listens.
        RuntimeError: the answer is another one.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(request.encode())
        answer = _Answer()
        while not answer.is_complete():
            answer.take(connection.recv(1 << 20))
        return answer.body()


class _Answer:
    """The bytes of one answer, as they come in."""

    def __init__(self) -> None:
        self._parts = b""

    def take(self, part: bytes) -> None:
        if not part:
            raise ConnectionError("the server closed the connection")
        self._parts += part

    def is_complete(self) -> bool:
        head, end, body = self._parts.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(self._parts[:500].decode("latin-1"))
        if length := re.search(rb"(?i)\r\ncontent-length: *(\d+)", head):
            return len(body) >= int(length[1])
        return body.endswith(b"0\r\n\r\n")  # chunks

    def body(self) -> bytes:
        return self._parts.partition(b"\r\n\r\n")[2]


class _Client:
    """One connection that asks again as soon as it is answered."""

    def __init__(self, port: int, request: bytes) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._ask()

    def _ask(self) -> None:
        self._answer, self._sent = _Answer(), time.perf_counter()
        self.connection.sendall(self._request)

    def read(self) -> float | None:
        """Read what has come; return the seconds of the answer where it is complete."""
        self._answer.take(self.connection.recv(1 << 20))
        if not self._answer.is_complete():
            return None
        taken = time.perf_counter() - self._sent
        self._ask()
        return taken


def _load_here(port: int, request: bytes, clients: int, seconds: float) -> Load:
    times: list[float] = []
    begin = time.perf_counter()
    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        for _ in range(clients):
            client = _Client(port, request)
            stack.enter_context(client.connection)
            selector.register(client.connection, selectors.EVENT_READ, client)
        while (left := begin + seconds - time.perf_counter()) > 0 or not times:
            for key, _ in selector.select(timeout=max(left, 0.01)):
                if (taken := key.data.read()) is not None:
                    times.append(taken)
        elapsed = time.perf_counter() - begin
    return Load(len(times), elapsed, sorted(times)[int(len(times) * 0.99)])


if __name__ == "__main__":
    port, clients, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    print(json.dumps(asdict(_load_here(port, sys.stdin.buffer.read(), clients, seconds))))
