"""Time what functions add: to a call, to a listing, to an import, to each request.

Each figure stands beside its floor: the bare call, the bare reading of as many files, the bare
interpreter, and an ASGI application that answers the same bytes on the same server. The two
servers are asked over the loopback by ``wrk`` in turn, several times, since a machine is never
equally quick twice. Of the requests per second the best round of each counts; of the processor
time that a server took per request, which what else runs on the machine changes less, the median.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyfunc.functions import Project, get_or_create_project
from pyfunc.functions.documents import RUN_KIND, new_document
from pyfunc.functions.names import Key, new_id
from pyfunc.functions.store import Store

__all__ = ["Row", "format_rows", "rows"]

HERE = f"PYTHON3_{sys.version_info[1]}"
RUNS = 10_000
SERVE = """
import json, sys
import uvicorn
from pyfunc.serving.http.running import uvicorn_options, with_hosts
from pyfunc.serving.http.settings import HttpSettings

HEADERS = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"2")]

async def bare(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body, more = b"", True
    while more:
        part = await receive()
        body, more = body + part.get("body", b""), part.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"ok"})

def served(event):
    return "ok"

settings = with_hosts(HttpSettings(), "127.0.0.1")
if sys.argv[1] == "bare":
    app = bare
else:
    from pyfunc.functions.app import create_function_app
    app = create_function_app(served, settings=settings)

class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)

Server(uvicorn.Config(app, **uvicorn_options(settings), port=0, log_level="critical")).run()
"""
POST = """
wrk.method = "POST"
wrk.body = '{"a": [1, 2, 3]}'
wrk.headers["Content-Type"] = "application/json"
"""


@dataclass(frozen=True)
class Row:
    """One figure and its floor; ``wanted`` says what the first is to be."""

    case: str
    unit: str
    ours: float
    floor: float
    wanted: str


def rows(seconds: float = 3.0, rounds: int = 4) -> list[Row]:
    """Return all figures; ``seconds`` is how long one server is asked in one round."""
    with tempfile.TemporaryDirectory() as folder:
        project = get_or_create_project("bench", root=folder)
        table = [_job_row(project), _list_row(project), _import_row()]
        return table + _serve_rows(Path(folder), seconds, rounds)


def _job_row(project: Project) -> Row:
    code = "def f(x): return x"
    function = project.new_function("f", code=code, handler="f", python_version=HERE)
    found = _median(lambda: function.run(parameters={"x": 1}), 200)
    return Row("an in-process job", "ms", found * 1e3, 0.0, "at most 5")


def _median(call: Callable[[], object], times: int) -> float:
    call()
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def _list_row(project: Project) -> Row:
    store = Store(project.path.parent)
    for number in range(RUNS - len(project.list_runs())):
        key = Key(project.name, "run", RUN_KIND, "", new_id())
        document = new_document(key, {"parameters": {"x": number}, "inputs": {}})
        document["status"] |= {"state": "COMPLETED", "outputs": {}, "results": {"y": number}}
        store.create_light(key, document)
    paths = [*project.path.glob("runs/*/entity.json")]
    floor = _median(lambda: [json.loads(path.read_bytes()) for path in paths], 3)
    return Row(f"list {RUNS:,} runs", "s", _median(project.list_runs, 5), floor, "at most 0.5")


def _import_row() -> Row:
    def run(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    found, floor = _median(run("import pyfunc.functions"), 10), _median(run(""), 10)
    return Row("import pyfunc.functions", "ms", found * 1e3, floor * 1e3, "no pandas, no server")


def _serve_rows(folder: Path, seconds: float, rounds: int) -> list[Row]:
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    script = folder / "post.lua"
    script.write_text(POST)
    found = []
    with _started("bare") as bare, _started("function") as function:
        for case, options in (("GET", ()), ("POST, JSON", ("-s", str(script)))):
            for clients in (1, 16, 64):
                rounds_of: dict[_Server, list[_Round]] = {bare: [], function: []}
                for _ in range(rounds):
                    for server, done in rounds_of.items():
                        done.append(_round(server, clients, seconds, options))
                name = f"serve, {case}, {clients} clients"
                ours, floor = rounds_of[function], rounds_of[bare]
                found += [_rate_row(name, ours, floor), _cost_row(name, ours, floor)]
    return found


@dataclass(frozen=True)
class _Server:
    """A server: its port and its process."""

    port: int
    pid: int

    def processor_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        user, system = map(int, fields.split()[11:13])
        return (user + system) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class _Round:
    """What one server did while it was asked once."""

    requests: int
    rate: float
    cost: float  # microseconds of the processor per request


def _rate_row(name: str, ours: list[_Round], floor: list[_Round]) -> Row:
    best, bare = (max(item.rate for item in rounds) for rounds in (ours, floor))
    return Row(name, "requests/s", best, bare, "80% of the floor")


def _cost_row(name: str, ours: list[_Round], floor: list[_Round]) -> Row:
    taken, bare = (statistics.median(item.cost for item in rounds) for rounds in (ours, floor))
    return Row(name, "us of CPU each", taken, bare, "125% of the floor")


@contextmanager
def _started(kind: str) -> Iterator[_Server]:
    command = [sys.executable, "-c", SERVE, kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield _Server(int(process.stdout.readline()), process.pid)
        process.terminate()


def _round(server: _Server, clients: int, seconds: float, options: tuple[str, ...]) -> _Round:
    url = f"http://127.0.0.1:{server.port}/"
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds:g}s", *options, url]
    before = server.processor_seconds()
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    taken = server.processor_seconds() - before
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    count = re.search(r"(\d+) requests in", said)
    if rate is None or count is None or "Non-2xx" in said:
        raise RuntimeError(said)
    return _Round(int(count[1]), float(rate[1]), taken / int(count[1]) * 1e6)


def format_rows(table: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| case | unit | ours | floor | ratio | wanted |", "|---|---|---|---|---|---|"]
    for row in table:
        ratio = f"{row.ours / row.floor:.2f}" if row.floor else "-"
        cells = (row.case, row.unit, f"{row.ours:,.2f}", f"{row.floor:,.2f}", ratio, row.wanted)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a round takes")
    parser.add_argument("--rounds", type=int, default=4, help="rounds of which the best counts")
    arguments = parser.parse_args()
    print(format_rows(rows(arguments.seconds, arguments.rounds)))


if __name__ == "__main__":
    main()
