"""Our server beside the others: one scikit-learn model, one worker each, over the loopback.

The floor is the bar: Starlette with orjson that calls the same ``predict`` where it stands. All
servers of one shape run at the same time and are asked by turns; their CPU is that of all their
processes. Each is started once before the start that counts, so that all bytecode is compiled.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

import pyfunc
import pyfunc.flavors.sklearn
from benchmarks import peers, process_tree
from benchmarks.load import Request, ask, generator
from benchmarks.results import OURS, Effort, Failure, Figure, Goal, Workload
from benchmarks.servers import Running, Target, compare, free_port, started
from benchmarks.timing import time_imports

__all__ = ["measure"]

MLFLOW, MLSERVER = "MLflow", "MLServer"
BAR, BARE = "Starlette + orjson", "the same without the model"
BATCHING, OWN = f"{OURS}, batching", f"{OURS}, MLflow's protocol"
PREDICTING = (OURS, MLFLOW, MLSERVER, BAR)
PLAIN, INFER = "MLflow's protocol", "Open Inference"
SHAPES = ((1, 4), (100, 20), (1000, 100))
SERVE = """
import json, sys
from pyfunc.serving import ServingSettings, run
settings = ServingSettings(**json.loads(sys.argv[3]))
run(sys.argv[1], port=int(sys.argv[2]), settings=settings, name="model", log_level="critical")
"""


@dataclass(frozen=True)
class Shape:
    """Rows and columns of a request, with a model that takes them, in a folder of its own."""

    rows: int
    columns: int
    folder: Path

    def __str__(self) -> str:
        return f"{self.rows:,} x {self.columns}"

    def cells(self) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        return np.random.default_rng(0).normal(size=(self.rows, self.columns))

    def names(self) -> list[str]:
        return [f"c{number}" for number in range(self.columns)]

    def save(self) -> None:
        """Write the model for all: as a directory of MLflow's format, and as joblib alone."""
        train = np.random.default_rng(1).normal(size=(200, self.columns))
        model = LinearRegression().fit(train, train.sum(axis=1))
        self.folder.mkdir()
        joblib.dump(model, self.folder / "model.joblib")
        frame = pd.DataFrame(train, columns=self.names())
        pyfunc.flavors.sklearn.save_model(
            LinearRegression().fit(frame, frame.sum(axis=1)),
            self.folder / "model",
            signature=pyfunc.infer_signature(frame, model.predict(train)),
            pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
        )

    def invocations(self) -> Request:
        """The request of MLflow's protocol."""
        split = {"columns": self.names(), "data": self.cells().tolist()}
        return Request("/invocations", json.dumps({"dataframe_split": split}).encode())

    def infer(self) -> Request:
        """The request of the Open Inference Protocol: all columns as one tensor."""
        cells = self.cells()
        tensor = {"name": "predict", "shape": cells.shape, "datatype": "FP64"}
        body = {"inputs": [{**tensor, "data": cells.ravel().tolist()}]}
        return Request("/v2/models/model/infer", json.dumps(body).encode())

    def is_right(self, answer: dict[str, Any]) -> bool:
        """Return true; an answer with other predictions is an error."""
        found = answer["outputs"][0]["data"] if "outputs" in answer else answer["predictions"]
        np.testing.assert_allclose(np.ravel(found), self.cells().sum(axis=1), atol=1e-9)
        return True


@dataclass(frozen=True)
class Server:
    """One way to serve a model; ``command`` may make the environment that it names."""

    name: str
    command: Callable[[Shape, int], list[str]]
    request: Callable[[Shape], Request] = Shape.invocations
    predicts: bool = True


def _own(settings: str) -> Callable[[Shape, int], list[str]]:
    return lambda shape, port: [
        sys.executable, "-c", SERVE, str(shape.folder / "model"), str(port), settings
    ]  # fmt: skip


def _bar(shape: Shape, port: int) -> list[str]:
    file = shape.folder / "model.joblib"
    return [sys.executable, "-m", "benchmarks.bar", "model", str(port), str(file)]


def _bare(_: Shape, port: int) -> list[str]:
    return [sys.executable, "-m", "benchmarks.bar", "bare", str(port)]


def _mlflow(shape: Shape, port: int) -> list[str]:
    words = ["models", "serve", "-m", str(shape.folder / "model"), "-p", str(port)]
    python = str(peers.make_environment(peers.MLFLOW))
    return [python, "-m", "mlflow", *words, "--env-manager", "local", "--workers", "1"]


def _mlserver(shape: Shape, port: int) -> list[str]:
    """Serve by its runtime for scikit-learn, in the process that answers: its quickest way."""
    folder = shape.folder / "mlserver"
    folder.mkdir(exist_ok=True)
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    settings = {"host": "127.0.0.1", "parallel_workers": 0, "debug": False, **ports}
    model = {
        "name": "model",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(shape.folder / "model.joblib")},
    }
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")
    python = peers.make_environment(peers.MLSERVER)
    return [str(python.parent / "mlserver"), "start", str(folder)]


SERVERS = (
    Server(OURS, _own("{}")),
    Server(MLFLOW, _mlflow),
    Server(MLSERVER, _mlserver, Shape.infer),
    Server(BAR, _bar),
)
FOR_ONE_ROW = (
    Server(BATCHING, _own('{"batching": true}')),
    Server(BARE, _bare, predicts=False),
)


def measure(effort: Effort) -> Iterator[Workload | Failure]:
    """Yield the starts, the requests of every shape, and the memory that is used after them."""
    with TemporaryDirectory() as folder:
        for rows, columns in SHAPES:
            shape = Shape(rows, columns, Path(folder, str(columns)))
            shape.save()
            with ExitStack() as stack:
                yield from _measure_shape(shape, stack, effort)
    yield from _measure_generator(effort)


def _measure_shape(shape: Shape, stack: ExitStack, effort: Effort) -> Iterator[Workload | Failure]:
    is_first = shape.rows == 1
    running: dict[str, Running] = {}
    for server in SERVERS + FOR_ONE_ROW * is_first:
        times = 2 if is_first and effort.rounds > 1 else 1
        started_or_not = _start_last(server, shape, stack, times)
        if isinstance(started_or_not, Failure):
            yield started_or_not
        else:
            running[server.name] = started_or_not
    if is_first:
        yield _start(running, effort)
    for clients in (1, 16):
        yield from _measure_requests(shape, running, clients, effort)
    if is_first:
        yield _memory(running)


def _start_last(server: Server, shape: Shape, stack: ExitStack, times: int) -> Running | Failure:
    """Start a server so often, and leave it running the last time until ``stack`` ends it."""
    try:
        for _ in range(times - 1):
            with _started(server, shape):
                pass
        return stack.enter_context(_started(server, shape))
    except (RuntimeError, OSError) as error:
        return Failure(f"{server.name}, {shape}", str(error))


def _started(server: Server, shape: Shape) -> AbstractContextManager[Running]:
    request = server.request(shape)

    def is_answer(port: int) -> bool:
        answer = ask(port, request)
        return not server.predicts or shape.is_right(json.loads(answer))

    return started(server.name, lambda port: server.command(shape, port), is_answer)


def _start(running: Mapping[str, Running], effort: Effort) -> Workload:
    floor = "import sklearn"
    figures = {name: one.start for name, one in running.items() if name in PREDICTING}
    figures |= time_imports({floor: "import sklearn.linear_model"}, effort)
    goals = (Goal(MLFLOW, 1 / 5, "wall"),)
    return Workload("start to the first answer", figures, floor, goals, "wall", headline=True)


def _memory(running: Mapping[str, Running]) -> Workload:
    figures = {
        name: Figure(memory=process_tree.resident_bytes(one.pid))
        for name, one in running.items()
        if name in PREDICTING
    }
    goals = (Goal(MLSERVER, 1.0, "memory"),)
    return Workload("memory after these requests", figures, BAR, goals, "memory", headline=True)


def _measure_requests(
    shape: Shape, running: Mapping[str, Running], clients: int, effort: Effort
) -> Iterator[Workload | Failure]:
    """Yield what the servers do with requests of MLflow's protocol, and of Open Inference."""
    spoken = {
        PLAIN: (shape.invocations(), [name for name in running if name != MLSERVER]),
        INFER: (shape.infer(), [name for name in (OURS, MLSERVER, BAR) if name in running]),
    }
    targets = {
        (protocol, name): Target(running[name], request)
        for protocol, (request, names) in spoken.items()
        for name in names
    }
    found, failures = compare(targets, clients, effort)
    yield from failures
    who = "1 client" if clients == 1 else f"{clients} clients"
    for protocol, (_, names) in spoken.items():
        figures = {name: found[protocol, name] for name in names if (protocol, name) in found}
        if OURS not in figures:
            continue
        if protocol == INFER and (PLAIN, OURS) in found:
            figures[OWN] = found[PLAIN, OURS]
        goals = _goals(protocol, shape.rows, clients)
        case = f"serve {shape}, {protocol}, {who}"
        yield Workload(case, figures, BAR, goals, rate=True, headline=clients > 1)


def _goals(protocol: str, rows: int, clients: int) -> tuple[Goal, ...]:
    if protocol == PLAIN:
        return {
            1: (Goal(BAR, 1.4 if clients == 1 else 1.2),),
            100: (Goal(MLFLOW, 1 / 10, "wall"),),
            1000: (Goal(MLFLOW, 1 / 10, "wall"),),
        }[rows]
    return Goal(OWN, 1.2), *{
        1: (Goal(MLSERVER, 0.6),),
        100: (Goal(MLSERVER, 1 / 2, "wall"),),
        1000: (Goal(MLSERVER, 1 / 1.1, "wall"),),
    }[rows]


def _measure_generator(effort: Effort) -> Iterator[Workload | Failure]:
    """Yield what the load generator can do at most: answers that cost next to nothing."""
    request, words = Request("/", b"{}"), [sys.executable, "-m", "benchmarks.bar", "socket"]

    def is_answer(port: int) -> bool:
        return bool(ask(port, request))

    with started("a socket", lambda port: [*words, str(port)], is_answer) as running:
        for clients in (1, 16):
            found, failures = compare({generator(): Target(running, request)}, clients, effort)
            yield from failures
            yield Workload(f"the load generator at most, {clients} at once", found, rate=True)
