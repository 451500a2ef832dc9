"""Time our server beside MLflow's: the same scikit-learn model, one row, one worker each.

Each server is a process of its own, asked over the loopback by the same clients in turn. Each
is started once before the start that counts, so that all bytecode is compiled. The floor of the
start is a process that imports the model's module of scikit-learn and ends; that of the rest is
an ASGI application that answers without a model. MLflow must be installed already.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["Row", "format_rows", "rows"]

NAMES = ("a", "b", "c", "d")
BODY = json.dumps({"dataframe_split": {"columns": NAMES, "data": [[1.0, 2.0, 3.0, 4.0]]}}).encode()

OURS = """
import json, sys
from pyfunc.serving import ServingSettings, run
settings = ServingSettings(**json.loads(sys.argv[3]))
run(sys.argv[1], port=int(sys.argv[2]), settings=settings, log_level="critical")
"""
FLOOR = """
import sys, uvicorn
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"22")]
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b'{"predictions": [1.0]}'})
uvicorn.run(app, port=int(sys.argv[2]), log_level="critical", access_log=False, lifespan="off")
"""


@dataclass(frozen=True)
class Row:
    """One figure of all servers; ``target`` is the least ratio of MLflow's to ours wanted."""

    case: str
    unit: str
    ours: float
    batching: float
    mlflow: float
    floor: float
    target: float

    @property
    def ratio(self) -> float:
        return self._better(self.ours)

    @property
    def batching_ratio(self) -> float:
        return self._better(self.batching)

    def _better(self, own: float) -> float:
        return own / self.mlflow if self.unit == "requests/s" else self.mlflow / own


@dataclass(frozen=True)
class Server:
    """One way to start a server."""

    name: str
    command: Callable[[str, int], list[str]]


def _servers() -> list[Server]:
    def own(settings: str) -> Callable[[str, int], list[str]]:
        return lambda path, port: [sys.executable, "-c", OURS, path, str(port), settings]

    def floor(path: str, port: int) -> list[str]:
        return [sys.executable, "-c", FLOOR, path, str(port)]

    def mlflow(path: str, port: int) -> list[str]:
        words = ["models", "serve", "-m", path, "-p", str(port), "--env-manager", "local"]
        return [sys.executable, "-m", "mlflow", *words, "--workers", "1"]

    return [
        Server("ours", own("{}")),
        Server("batching", own('{"batching": true}')),
        Server("mlflow", mlflow),
        Server("floor", floor),
    ]


def rows(seconds: float = 3.0, rounds: int = 2) -> list[Row]:
    """Return the figures of all servers; ``seconds`` is how long one is asked in one round."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path = _save_model(Path(folder) / "model")
        starts: dict[str, float] = {}
        ports: dict[str, int] = {}
        for server in _servers():  # one after the other, so that no start slows another down
            with _started(server, path):
                pass
            ports[server.name], starts[server.name] = stack.enter_context(_started(server, path))
        starts["floor"] = _import_milliseconds()
        table = [Row("start to first answer", "ms", **starts, target=5.0)]
        for clients in (1, 4, 16):
            table += _load_rows(ports, clients, seconds, rounds)
    return table


def _save_model(path: Path) -> str:
    from sklearn.linear_model import LinearRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.models
        import mlflow.sklearn

        frame = pd.DataFrame([[float(i + j * j) for j in range(4)] for i in range(20)])
        frame.columns = pd.Index(NAMES)
        model = LinearRegression().fit(frame, frame.sum(axis=1))
        mlflow.sklearn.save_model(
            model,
            str(path),
            signature=mlflow.models.infer_signature(frame, model.predict(frame)),
            pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
        )
    return str(path)


@contextmanager
def _started(server: Server, path: str) -> Iterator[tuple[int, float]]:
    """Yield the port of a running server, and the milliseconds until its first answer."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = int(found.getsockname()[1])
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    begin = time.perf_counter()
    process = subprocess.Popen(
        server.command(path, port),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not _answers(port):
            if process.poll() is not None or time.perf_counter() - begin > 120:
                raise RuntimeError(f"the server {server.name} did not start")
            time.sleep(0.01)
        yield port, (time.perf_counter() - begin) * 1e3
    finally:
        process.terminate()
        process.wait(60)


def _import_milliseconds() -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import sklearn.linear_model"], check=True)
    return (time.perf_counter() - begin) * 1e3


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            _ask(connection, _request())
    except (ConnectionError, TimeoutError):
        return False
    return True


def _request() -> bytes:
    head = "POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY


def _ask(connection: socket.socket, request: bytes) -> None:
    """Send a request and read its answer, with as little work as a client can have."""
    connection.sendall(request)
    answer = connection.recv(65536)
    while b"}" not in answer:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError("the server closed the connection")
        answer += part
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(answer.decode("latin-1"))


def _load_rows(ports: dict[str, int], clients: int, seconds: float, rounds: int) -> list[Row]:
    rates: dict[str, list[float]] = {name: [] for name in ports}
    tails: dict[str, list[float]] = {name: [] for name in ports}
    middles: dict[str, list[float]] = {name: [] for name in ports}
    for port in ports.values():
        _load(port, clients, min(seconds, 1.0))  # warm
    for _ in range(rounds):
        for name, port in ports.items():
            times, elapsed = _load(port, clients, seconds)
            rates[name].append(len(times) / elapsed)
            middles[name].append(times[len(times) // 2] * 1e3)
            tails[name].append(times[int(len(times) * 0.99)] * 1e3)
    who = "1 client" if clients == 1 else f"{clients} clients"

    def row(case: str, unit: str, found: dict[str, list[float]], best: Any) -> Row:
        return Row(f"{case}, {who}", unit, **{n: best(v) for n, v in found.items()}, target=5.0)

    return [
        row("throughput", "requests/s", rates, max),
        row("p50", "ms", middles, min),
        row("p99", "ms", tails, min),
    ]


def _load(port: int, clients: int, seconds: float) -> tuple[list[float], float]:
    """Return the sorted seconds of all requests, and how long the clients asked."""
    until = time.perf_counter() + seconds
    request = _request()
    times: list[list[float]] = [[] for _ in range(clients)]

    def ask(own: list[float]) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (begin := time.perf_counter()) < until:
                _ask(connection, request)
                own.append(time.perf_counter() - begin)

    threads = [threading.Thread(target=ask, args=(own,)) for own in times]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begin
    return sorted(chain.from_iterable(times)), elapsed


def format_rows(table: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| case | unit | ours | with batching | MLflow | floor | ratio | with batching | wanted |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in table:
        cells = (row.ours, row.batching, row.mlflow, row.floor, row.ratio, row.batching_ratio)
        shown = " | ".join(f"{cell:,.2f}" for cell in cells)
        lines.append(f"| {row.case} | {row.unit} | {shown} | {row.target:,.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a round takes")
    parser.add_argument("--rounds", type=int, default=2, help="rounds of which the best counts")
    arguments = parser.parse_args()
    print(format_rows(rows(arguments.seconds, arguments.rounds)))


if __name__ == "__main__":
    main()
