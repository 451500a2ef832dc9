"""What functions add: to a call, to a listing, to an import, to each request.

Each figure stands beside a time that was wanted or its floor: the bare reading of as many files,
the import of what is below, an ASGI application that answers the same bytes on the same server. A
second one calls a plain function on a thread, as Starlette does, which is what it costs there that
a function which blocks holds up nobody else.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from benchmarks.load import Request, ask
from benchmarks.results import OURS, Effort, Failure, Figure, Goal, Workload
from benchmarks.servers import Target, compare, started
from benchmarks.timing import Call, Once, time_calls, time_imports
from pyfunc.functions import Project, get_or_create_project
from pyfunc.functions.documents import RUN_KIND, new_document
from pyfunc.functions.names import Key, new_id
from pyfunc.functions.store import Store

__all__ = ["measure"]

HERE = f"PYTHON3_{sys.version_info[1]}"
RUNS = 10_000
MOST = "at most"  # stands beside what was measured like a peer
SERVE = """
import sys
import uvicorn
from starlette.concurrency import run_in_threadpool
from pyfunc.serving.http.running import uvicorn_options, with_hosts
from pyfunc.serving.http.settings import HttpSettings

HEADERS = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"2")]

async def call_here():
    return b"ok"

async def call_on_thread():
    return (await run_in_threadpool(served, None)).encode()

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
    answer = await call()
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": answer})

def served(event):
    return "ok"

settings = with_hosts(HttpSettings(), "127.0.0.1")
if sys.argv[1] != "function":
    app = bare
    call = call_here if sys.argv[1] == "bare" else call_on_thread
else:
    from pyfunc.functions.app import create_function_app
    app = create_function_app(served, settings=settings)

uvicorn.run(app, **uvicorn_options(settings), port=int(sys.argv[2]), log_level="critical")
"""


def measure(effort: Effort) -> Iterator[Workload | Failure]:
    """Yield a job, the listing of its runs, the import, and the serving of a function."""
    with tempfile.TemporaryDirectory() as folder:
        project = get_or_create_project("bench", root=folder)
        yield _job(project, effort)
        yield _listing(project, effort)
    yield _importing(effort)
    yield from _serving(effort)


def _job(project: Project, effort: Effort) -> Workload:
    code = "def f(x): return x"
    function = project.new_function("f", code=code, handler="f", python_version=HERE)
    figures = time_calls({OURS: lambda: function.run(parameters={"x": 1})}, effort)
    figures[MOST] = Figure(wall=0.005)
    return Workload("an in-process job", figures, None, (Goal(MOST, 1, "wall"),), "wall")


def _listing(project: Project, effort: Effort) -> Workload:
    store, count, floor = Store(project.path.parent), effort.of(RUNS), "read the files"
    for number in range(count - len(project.list_runs())):
        key = Key(project.name, "run", RUN_KIND, "", new_id())
        document = new_document(key, {"parameters": {"x": number}, "inputs": {}})
        document["status"] |= {"state": "COMPLETED", "outputs": {}, "results": {"y": number}}
        store.create_light(key, document)
    paths = [*project.path.glob("runs/*/entity.json")]
    calls: dict[str, Call | Once] = {
        OURS: project.list_runs,
        floor: lambda: [json.loads(path.read_bytes()) for path in paths],
    }
    figures = {**time_calls(calls, effort), MOST: Figure(wall=0.5 * effort.size)}
    return Workload(f"list {len(paths):,} runs", figures, floor, (Goal(MOST, 1, "wall"),), "wall")


def _importing(effort: Effort) -> Workload:
    floor = "import pyfunc"
    figures = time_imports({OURS: "import pyfunc.functions", floor: floor}, effort)
    return Workload("import pyfunc.functions", figures, floor, measure="wall")


def _serving(effort: Effort) -> Iterator[Workload | Failure]:
    floor, threaded = "bare ASGI", "bare ASGI, on a thread"
    requests = {"GET": Request("/"), "POST, JSON": Request("/", b'{"a": [1, 2, 3]}')}
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(started(name, _command(kind), _answers))
            for name, kind in ((OURS, "function"), (floor, "bare"), (threaded, "threaded"))
        }
        for case, request in requests.items():
            for clients in (1, 16, 64):
                targets = {name: Target(one, request) for name, one in running.items()}
                figures, failures = compare(targets, clients, effort)
                yield from failures
                name = f"serve, {case}, {clients} client" + "s" * (clients > 1)
                if OURS in figures:
                    goals = (Goal(floor, 1.25), Goal(threaded, 1))
                    yield Workload(name, figures, floor, goals, rate=True)


def _command(kind: str) -> Callable[[int], list[str]]:
    return lambda port: [sys.executable, "-c", SERVE, kind, str(port)]


def _answers(port: int) -> bool:
    return ask(port, Request("/")) == b"ok"
