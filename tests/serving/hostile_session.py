"""Drives a server with the worst bodies of every format and measures it; ``nox -s hostile``.

Prints, for each body, the answer, the longest wait for a ping meanwhile (in seconds, and in those
for which the server ran), how late a 504 was and the most memory that the server held. Then many
requests of all kinds come mixed, and the memory and descriptors that it holds are printed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from worst_bodies import BODIES, CSV, INFER, PARQUET, Body

__all__ = ["Client", "Server", "save_model", "serving"]

RUN = """
import json, sys
from pyfunc.serving import ServingSettings, run
settings = ServingSettings(**json.loads(sys.argv[2]))
run(sys.argv[1], port=0, settings=settings, name="model", log_level="info")
"""


@dataclass
class Server:
    """A server in a process of its own."""

    port: int
    pid: int

    def memory(self, what: str = "VmRSS") -> int:
        """Return the mebibytes that it holds, or held at most with ``VmHWM``."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{what}:"):
                return int(line.split()[1]) >> 10
        raise ValueError(what)

    def forget_most(self) -> None:
        """Let the most memory that it held count from now on."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def cpu_seconds(self) -> float:
        """Return how long its threads have run."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        """Return how many files and sockets it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def made(body: Body) -> Body:
    """Return a request whose bytes are there already."""
    raw = body.make()
    return replace(body, make=lambda: raw)


class Client:
    """Sends requests to a server, each on a connection of its own."""

    def __init__(self, port: int) -> None:
        self._port = port

    def send(self, body: Body) -> int:
        """Return the status of the answer."""
        return self.ask(
            "POST", body.path, body.make(), {"Content-Type": body.kind, **body.headers}
        )

    def ping(self) -> int:
        """Return the status of a ping."""
        return self.ask("GET", "/ping", b"", {})

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> int:
        """Return the status of the answer to a request."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=300)
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()


def save_model(directory: str, *, typed: bool) -> str:
    """Save a model that does nothing; return its directory."""
    import pyfunc
    from pyfunc.schema import ColSpec, ModelSignature, Schema

    class Idle(pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return [1]

    columns = [ColSpec("double", "a"), ColSpec("string", "b", required=False)]
    signature = ModelSignature(Schema(columns)) if typed else None
    path = str(Path(directory) / ("typed" if typed else "plain"))
    pyfunc.save_model(path, python_model=Idle(), signature=signature, pip_requirements=[])
    return path


@contextmanager
def serving(model: str, **settings: object) -> Iterator[Server]:
    """Serve a model in a process of its own; yield where."""
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, model, json.dumps(settings)], stderr=log
        )
        try:
            yield Server(_port_of(process, Path(log.name)), process.pid)
        finally:
            process.kill()
            process.wait()


def _port_of(process: subprocess.Popen[bytes], log: Path) -> int:
    """Return the port that a server says it listens on."""
    while process.poll() is None:
        found = re.search(rb"Serving on http://127\.0\.0\.1:(\d+)", log.read_bytes())
        if found is not None:
            return int(found[1])
        time.sleep(0.05)
    raise RuntimeError(f"the server ended: {log.read_text()}")


@dataclass
class Pings:
    """Pings a server all the time, and remembers the longest wait.

    Attributes:
        longest: in seconds.
        busiest: in seconds for which the server ran meanwhile, whatever else the machine did.
    """

    server: Server
    longest: float = 0.0
    busiest: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Pings:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._thread.join()

    def _run(self) -> None:
        client = Client(self.server.port)
        while not self.over.wait(0.02):
            start, busy = time.perf_counter(), self.server.cpu_seconds()
            assert client.ping() == 200
            self.longest = max(self.longest, time.perf_counter() - start)
            self.busiest = max(self.busiest, self.server.cpu_seconds() - busy)


def measure_worst(server: Server, timeout: float, only: str) -> None:
    """Print what each of the worst bodies costs."""
    client = Client(server.port)
    print(f"{'body':50} {'MB':>5} answer {'s':>6} {'ping':>5} {'busy':>5} {'late':>5} {'MiB':>5}")
    for body in [body for body in BODIES if only in body.name]:
        ready = made(body)
        server.forget_most()
        with Pings(server) as pings:
            start = time.perf_counter()
            status = client.send(ready)
            seconds = time.perf_counter() - start
        late = f"{seconds - timeout:5.2f}" if status == 504 else "    -"
        print(
            f"{body.name:50} {len(ready.make()) / 1e6:5.1f} {status:6} {seconds:6.2f} "
            f"{pings.longest:5.2f} {pings.busiest:5.2f} {late} {server.memory('VmHWM'):5}",
            flush=True,
        )
        while client.ping() == 200 and _is_busy(client):
            time.sleep(0.1)


def _is_busy(client: Client) -> bool:
    return client.ask("GET", "/v2/health/ready", b"", {}) != 200


def short_bodies() -> list[Body]:
    """Return hostile requests that cost a server little, and those that it refuses at once."""
    texts = [
        b"[" * 10_000,
        b'{"inputs": ' + b"[" * 40 + b"]" * 40 + b"}",
        b"\xff\xfe",
        b"",
        b"{}",
        b'{"inputs": [1, "a", null, {}, []]}',
        b'{"inputs": [[1], [2, 3]]}',
        b'{"inputs": 1e999}',
        b'{"inputs": {"a": 1, "a": 2}}',
        b'{"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}',
        b'{"dataframe_split": {"columns": [[]], "index": [{}], "data": [[1]]}}',
        b'{"dataframe_records": [1, {"a": 2}]}',
        b'{"instances": [{"a": 1}, {"b": 2}]}',
        b'{"inputs": [1], "params": 3}',
        b'{"inputs": "\\ud800"}',
        b'{"inputs": ' + b"9" * 5000 + b"}",
    ]
    found = [Body("JSON", lambda text=text: text) for text in texts]
    found += [Body("infer", lambda text=text: text, path=INFER) for text in texts]
    found += [Body("CSV", lambda text=text: text, kind=CSV) for text in texts]
    found += [Body("parquet", lambda text=text: text, kind=PARQUET) for text in texts]
    found += [Body("no type", lambda: b"{}", kind="text/plain")]
    whole = next(body for body in BODIES if body.name == "parquet: one text").make()
    for at in range(0, len(whole), max(1, len(whole) // 40)):
        flipped = bytearray(whole)
        flipped[at] ^= 0x55
        found.append(Body("parquet flipped", lambda b=bytes(flipped): b, kind=PARQUET))
        found.append(Body("parquet cut", lambda b=whole[:at]: b, kind=PARQUET))
    return found


def measure_many(server: Server, requests: int, clients: int = 8) -> None:
    """Send that many requests of all kinds, and print what the server holds on the way."""
    refused = [body for body in BODIES if body.refused or "infer" in body.name]
    ready = [made(body) for body in refused]
    light = [body for body in ready if len(body.make()) < 1 << 20]
    bodies = [*short_bodies() * 10, *light]
    answers: Counter[int] = Counter()
    print(f"{'requests':>8} {'MiB':>6} {'files':>5} {'ping':>5} {'busy':>5}")
    for done in range(0, requests, requests // 10):
        with Pings(server) as pings:
            shares = [
                random.Random(done + i).choices(bodies, k=requests // 10 // clients)
                for i in range(clients)
            ]
            threads = [
                threading.Thread(target=_send_all, args=(server, share, answers))
                for share in shares
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        print(
            f"{sum(answers.values()):8} {server.memory():6} {server.descriptors():5} "
            f"{pings.longest:5.2f} {pings.busiest:5.2f}",
            flush=True,
        )
    print("answers:", dict(sorted(answers.items())))


def _send_all(server: Server, bodies: list[Body], answers: Counter[int]) -> None:
    client = Client(server.port)
    for body in bodies:
        answers[_status_of(client, body)] += 1


def _status_of(client: Client, body: Body) -> int:
    """Return the status of an answer; 0 if the connection was cut."""
    try:
        return client.send(body)
    except (ConnectionError, http.client.HTTPException):
        return 0


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--only", default="")
    parser.add_argument("--worst", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        for typed in (False, True):
            model = save_model(directory, typed=typed)
            print(f"\n## a model {'with' if typed else 'without'} a signature\n", flush=True)
            with serving(model, predict_timeout=options.timeout) as server:
                if options.worst:
                    measure_worst(server, options.timeout, options.only)
                measure_many(server, options.requests)


if __name__ == "__main__":
    main()
